package core

import "testing"

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
