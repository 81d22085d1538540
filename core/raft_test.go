package core

import (
	"errors"
	"testing"
)

func TestThreeReplicasElectReplicateAndApply(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	for tag := uint64(1); tag <= 10; tag++ {
		c.propose(l, tag)
	}
	c.deliver()
	c.run(3) // a heartbeat tells the commit index
	c.sameLogs(1, 2, 3)
	if got := len(c.replicas[l].accepted); got != 10 {
		t.Fatalf("%d proposals accepted, want 10", got)
	}
	for _, id := range c.ids {
		if got := len(c.replicas[id].applied); got != 11 {
			t.Fatalf("replica %d applied %d entries, want the no-op and 10 commands", id, got)
		}
	}
}

func TestEveryClusterSizeElects(t *testing.T) {
	for n := 1; n <= 7; n++ {
		c := newTestCluster(t, n)
		l := c.elect()
		c.propose(l, 1)
		c.deliver()
		c.run(3)
		c.sameLogs(c.ids...)
	}
}

func TestIsolatedLeaderStepsDownAndItsTailIsReplaced(t *testing.T) {
	c := newTestCluster(t, 3)
	old := c.elect()
	c.isolate(old)
	c.propose(old, 1, 2, 3)
	c.run(60)
	if c.replicas[old].role == RoleLeader {
		t.Fatal("a leader that hears nobody still leads after six election timeouts")
	}
	l := c.leader()
	if l == 0 || l == old {
		t.Fatalf("leader is %d, was %d", l, old)
	}
	c.propose(l, 4)
	c.cut = nil
	c.run(30)
	c.sameLogs(1, 2, 3)
	for _, e := range c.replicas[old].applied {
		if string(e.Data) == "command 1" {
			t.Fatal("an entry of the deposed leader's tail was applied")
		}
	}
}

func TestCutOffReplicaDisturbsNobodyWhenItReturns(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	away := l%3 + 1
	c.isolate(away)
	term := c.replicas[l].term
	c.run(200)
	c.cut = nil
	c.run(50)
	if c.leader() != l || c.replicas[l].term != term {
		t.Fatalf("leader %d in term %d became %d in term %d", l, term, c.leader(), c.replicas[l].term)
	}
}

func TestCommitWaitsForTheLeadersOwnDiskInAClusterOfOne(t *testing.T) {
	c := newTestCluster(t, 1)
	l := c.elect()
	r := c.replicas[l]
	r.auto = false
	before := r.log.commitIndex
	c.propose(l, 1)
	if r.log.commitIndex != before {
		t.Fatal("committed before it was durable")
	}
	c.persist(l)
	if r.log.commitIndex != before+1 {
		t.Fatal("durable, but not committed")
	}
}

func TestNoMessageSpeaksOfATermThatIsNotDurable(t *testing.T) {
	c := newTestCluster(t, 3)
	for _, id := range c.ids {
		c.replicas[id].auto = false
	}
	stood := false
	for range 200 {
		for _, id := range c.ids {
			c.tick(id, 1)
			for _, m := range c.flight {
				if from := c.replicas[m.From]; m.Term > from.durableTerm {
					t.Fatalf("replica %d, durable term %d: %+v", m.From, from.durableTerm, m)
				}
			}
			c.deliver()
			stood = stood || c.replicas[id].role == RoleCandidate
		}
	}
	if !stood || c.leader() != 0 {
		t.Fatalf("a candidate stood: %t; leader without a durable vote: %d", stood, c.leader())
	}
	for _, id := range c.ids {
		c.replicas[id].auto = true
	}
	c.elect()
}

// Votes that are there before the own one is durable elect nobody until it is:
// a leader that lost power could vote for another one in its own term.
func TestVotesOfOthersWaitForTheOwnOne(t *testing.T) {
	c := newTestCluster(t, 3)
	r := c.replicas[1]
	r.auto = false
	for r.role != RoleCandidate {
		c.tick(1, 1)
		for _, id := range []ReplicaID{2, 3} {
			c.step(1, Input{Kind: InputMessage, Message: &Message{Kind: KindRequestVoteResponse, Cluster: 7, From: id, To: 1, Boot: 1,
				RequestVoteResponse: RequestVoteResponse{Pre: true, For: 1, Round: r.candidate.round, Granted: true}}})
		}
	}
	for _, id := range []ReplicaID{2, 3} {
		c.step(1, Input{Kind: InputMessage, Message: &Message{Kind: KindRequestVoteResponse, Cluster: 7, From: id, To: 1, Boot: 1, Term: 1,
			RequestVoteResponse: RequestVoteResponse{For: 1, Granted: true}}})
	}
	if r.role != RoleCandidate {
		t.Fatalf("%+v", r.Status())
	}
	c.persist(1)
	if r.role != RoleLeader {
		t.Fatalf("%+v", r.Status())
	}
}

func TestRestartKeepsWhatWasDurable(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.propose(l, 1, 2, 3)
	c.deliver()
	c.run(3)
	r := c.replicas[l]
	st := State{
		HardState: HardState{r.term, r.vote, r.log.commitIndex},
		Snapshot:  r.snapshot,
		Entries:   r.log.entries,
	}
	c.start(l, st, 2, testLimits())
	c.elect()
	c.run(30)
	c.sameLogs(1, 2, 3)
}

func TestStateThatContradictsItselfIsRefused(t *testing.T) {
	conf := Snapshot{Configuration: Configuration{Voters: []ReplicaID{1}}}
	cfg := Config{ID: 1, ElectionTicks: 10, HeartbeatTicks: 1, Limits: DefaultLimits()}
	e := Entry{EntryID: EntryID{Term: 1, Index: 1}, Kind: EntryNoop}
	e.Digest = e.Chain(0)
	gap := e
	gap.Index = 2
	for name, st := range map[string]State{
		"no voters":         {Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 1}}},
		"commit beyond log": {Snapshot: conf, HardState: HardState{Term: 1, Commit: 2}, Entries: []Entry{e}},
		"gap":               {Snapshot: conf, Entries: []Entry{gap}},
		"snapshot not held": {Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 5}, Configuration: conf.Configuration}, Entries: []Entry{e}},
	} {
		if _, err := New(cfg, st); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(cfg, State{Snapshot: conf, Entries: []Entry{e}}); err != nil {
		t.Error(err)
	}
}

// Entries of earlier terms are committed along with one of the leader's own,
// and never because a majority holds them (dissertation §3.6.2, figure 3.7).
func TestEntriesOfEarlierTermsAreNotCommittedByCounting(t *testing.T) {
	c := newTestCluster(t, 3)
	limits := testLimits()
	limits.MessageBytes = 1 // one entry a message
	conf := Snapshot{Configuration: Configuration{Voters: c.ids}}
	for _, id := range c.ids {
		st := State{HardState: HardState{Term: 5}, Snapshot: conf}
		if id == 1 {
			st.Entries = logOf(struct {
				term Term
				n    int
			}{2, 5})
		}
		c.start(id, st, 1, limits)
	}
	r := c.replicas[1]
	held := false
	c.cut = func(*Message) bool {
		if r.role == RoleLeader && r.log.commitIndex < r.lead.termStart {
			if r.log.commitIndex > 0 {
				t.Fatalf("%d is committed, the term begins at %d", r.log.commitIndex, r.lead.termStart)
			}
			held = held || r.voters().Reached(r.matchOf) > 0
		}
		return false
	}
	c.elect()
	if !held || r.log.commitIndex != 6 {
		t.Fatalf("a majority held an earlier entry alone: %t; commit %d", held, r.log.commitIndex)
	}
}

func TestConfigThatCanNotWorkIsRefused(t *testing.T) {
	good := Config{ID: 1, ElectionTicks: 10, HeartbeatTicks: 2, Limits: DefaultLimits()}
	founded := State{Snapshot: Snapshot{Configuration: Configuration{Voters: []ReplicaID{1}}}}
	if _, err := New(good, founded); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(c *Config){
		"no id":                   func(c *Config) { c.ID = 0 },
		"no heartbeat":            func(c *Config) { c.HeartbeatTicks = 0 },
		"two heartbeats in all":   func(c *Config) { c.ElectionTicks = 5 },
		"a timeout for ever":      func(c *Config) { c.ElectionTicks = 1<<20 + 1 },
		"no bytes in a message":   func(c *Config) { c.Limits.MessageBytes = 0 },
		"no reads":                func(c *Config) { c.Limits.Reads = 0 },
		"nothing unapplied":       func(c *Config) { c.Limits.UnappliedBytes = 0 },
		"too large a window ring": func(c *Config) { c.Limits.InflightMessages = 1<<12 + 1 },
	} {
		c := good
		spoil(&c)
		if _, err := New(c, founded); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What only a broken host can report stops the replica, and so it stays.
func TestImpossibleReportsHalt(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.propose(l, 1, 2, 3)
	c.run(3)
	r := c.replicas[l]
	for name, tt := range map[string]struct {
		in   Input
		want HaltReason
	}{
		"applied beyond what was handed out": {Input{Kind: InputApplied, Applied: r.log.handedIndex + 1}, HaltApplied},
		"a snapshot of what is not applied": {Input{Kind: InputSnapshotTaken,
			Snapshot: Snapshot{EntryID: EntryID{Term: r.term, Index: r.log.appliedIndex + 1}}}, HaltSnapshotIndex},
		"a snapshot of another history": {Input{Kind: InputSnapshotTaken,
			Snapshot: Snapshot{EntryID: EntryID{Term: r.term + 1, Index: r.log.appliedIndex}}}, HaltSnapshotTerm},
		"an installed snapshot of another history": {Input{Kind: InputSnapshotInstalled,
			Snapshot: Snapshot{EntryID: EntryID{Term: r.term, Index: r.log.appliedIndex}, Digest: 1}}, HaltSnapshotUnknown},
		"a vote that was never given": {Input{Kind: InputPersisted, Persisted: Persisted{Term: r.term, Vote: 9}}, HaltPersisted},
		"a term that is not yet":      {Input{Kind: InputPersisted, Persisted: Persisted{Term: r.term + 1}}, HaltPersisted},
	} {
		h := r.Raft.Clone()
		var out Ready
		for range 2 {
			if err := h.Step(&tt.in, &out); !errors.Is(err, ErrHalted) || h.Halted() != tt.want || duties(&out) != "" {
				t.Errorf("%s: error %v, halted: %v", name, err, h.Halted())
			}
		}
	}
	// Late and repeated reports are nothing special.
	for _, in := range []Input{
		{Kind: InputApplied, Applied: 1},
		{Kind: InputPersisted, Persisted: Persisted{}},
	} {
		c.step(l, in)
	}
}

func TestReadsThatAreTooManyAreRefused(t *testing.T) {
	c := newTestCluster(t, 3)
	for _, id := range c.ids {
		limits := testLimits()
		limits.Reads = 3
		c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: c.ids}}}, 1, limits)
	}
	l := c.elect()
	c.run(3)
	f := l%3 + 1
	for tag := range uint64(4) {
		for _, id := range []ReplicaID{l, f} {
			c.step(id, Input{Kind: InputRead, Tag: tag})
		}
	}
	c.wantRefused(l, 3, RefusedReadsFull)
	c.wantRefused(f, 3, RefusedReadsFull)
	// The follower's request, which has its first read in it, finds the leader
	// full; the next one finds room.
	c.deliver()
	c.run(5)
	if n := len(c.replicas[l].reads); n != 3 {
		t.Errorf("%d of the leader's reads are answered", n)
	}
	c.wantRefused(f, 0, RefusedReadsFull)
	if n := len(c.replicas[f].reads); n != 2 {
		t.Errorf("%d reads are answered when there is room again", n)
	}
}
