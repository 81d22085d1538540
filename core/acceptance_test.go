package core

import (
	"errors"
	"os"
	"strconv"
	"testing"
)

// The acceptance list: each row is a promise that a README may print. The
// numbers are the rows of the list, with gaps where a row needs what is not
// here yet.

// splitmix is enough randomness for a test, and the same everywhere.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *splitmix) below(n uint64) uint64 { return s.next() % n }

// Row 1, the list of what has crashed others: each is refused or harmless, and
// a refusal changes nothing.
func TestAcceptance01MalformedMessages(t *testing.T) {
	leader := newTestCluster(t, 3)
	l := leader.elect()
	leader.propose(l, 1, 2, 3)
	leader.deliver()
	fresh := newTestCluster(t, 3)
	term := leader.replicas[l].term
	entry := func(i Index, data string) Entry {
		e := Entry{EntryID: EntryID{Term: term, Index: i}, Kind: EntryCommand, Data: []byte(data)}
		e.Digest = e.Chain(0)
		return e
	}
	conf := Entry{EntryID: EntryID{Term: 1, Index: 1}, Kind: EntryConfiguration, Data: []byte{255, 1, 2}}
	conf.Digest = conf.Chain(0)
	for _, c := range []struct {
		name string
		to   *testReplica
		m    Message
		bad  bool
	}{
		{"heartbeat whose commit is beyond the log", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: 1, AppendEntries: AppendEntries{Commit: 1 << 60}}, false},
		{"append without a leader's term at the leader", leader.replicas[l],
			Message{Kind: KindAppendEntries}, true},
		{"a second leader of the term", leader.replicas[l],
			Message{Kind: KindAppendEntries, Term: term}, true},
		{"a configuration that can not be read", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: 1, AppendEntries: AppendEntries{Entries: []Entry{conf}}}, true},
		{"vote request with term 0", fresh.replicas[1],
			Message{Kind: KindRequestVote}, true},
		{"read index request without a name", leader.replicas[l],
			Message{Kind: KindReadIndex, Term: term}, true},
		{"append with a gap between its entries", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: term, AppendEntries: AppendEntries{Entries: []Entry{entry(1, "a"), entry(3, "b")}}}, true},
		{"answer to a read round that has not begun", leader.replicas[l],
			Message{Kind: KindAppendEntriesResponse, Term: term, AppendEntriesResponse: AppendEntriesResponse{Round: 1 << 40}}, true},
		{"answer that matches beyond the leader's log", leader.replicas[l],
			Message{Kind: KindAppendEntriesResponse, Term: term, AppendEntriesResponse: AppendEntriesResponse{Match: 1 << 40}}, true},
		{"snapshot without voters", fresh.replicas[1],
			Message{Kind: KindInstallSnapshot, Term: 1, InstallSnapshot: InstallSnapshot{Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 9}}}}, true},
		{"snapshot chunk past its end", fresh.replicas[1],
			Message{Kind: KindInstallSnapshot, Term: 1, InstallSnapshot: InstallSnapshot{Offset: ^uint64(0), Data: []byte{1},
				Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 9}, Configuration: Configuration{Voters: []ReplicaID{1}}}}}, true},
		{"no kind", fresh.replicas[1], Message{Term: 1}, true},
		{"another cluster", fresh.replicas[1], Message{Kind: KindAppendEntries, Term: 1, Cluster: 8}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.to.Clone()
			m := c.m
			m.To, m.From = r.cfg.ID, r.cfg.ID%3+1
			if m.Cluster == 0 {
				m.Cluster = 7
			}
			before := r.Hash()
			var out Ready
			err := r.Step(&Input{Kind: InputMessage, Message: &m}, &out)
			if c.bad != errors.Is(err, ErrBadMessage) {
				t.Fatalf("error %v, want bad message: %t", err, c.bad)
			}
			if c.bad && r.Hash() != before {
				t.Fatal("refused, but the state has changed")
			}
			if err := r.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Row 1, generated: no message panics, and a refused one changes nothing. The
// test runs 10^5 messages; SEAWORTHY_MESSAGES says otherwise.
func TestAcceptance01GeneratedMessages(t *testing.T) {
	count := 100_000
	if s := os.Getenv("SEAWORTHY_MESSAGES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	rng := splitmix(1)
	var starts []*Raft
	for n := 1; n <= 5; n++ {
		c := newTestCluster(t, n)
		starts = append(starts, c.replicas[1].Clone())
		l := c.elect()
		for _, id := range c.ids {
			starts = append(starts, c.replicas[id].Clone())
		}
		c.isolate(l)
		c.propose(l, 1, 2, 3)
		c.run(13)
		for _, id := range c.ids {
			starts = append(starts, c.replicas[id].Clone())
		}
	}
	var out Ready
	refused, accepted := 0, 0
	var r *Raft
	before := uint64(0)
	for i := range count {
		if i%50 == 0 {
			r = starts[rng.below(uint64(len(starts)))].Clone()
			before = r.Hash()
		}
		in := generatedInput(&rng, r)
		err := r.Step(&in, &out)
		after := r.Hash()
		switch {
		case errors.Is(err, ErrBadMessage):
			refused++
			if after != before {
				t.Fatalf("message %d refused with %v, but the state has changed: %+v", i, err, in.Message)
			}
		case err != nil:
			t.Fatalf("message %d: %v: %+v", i, err, in.Message)
		default:
			accepted++
			if err := r.CheckInvariants(); err != nil && i%16 == 0 {
				t.Fatalf("message %d: %v: %+v", i, err, in.Message)
			}
		}
		before = after
		// What the step asked to be written is durable, most of the time.
		if out.WriteSet && rng.below(4) > 0 {
			p := Input{Kind: InputPersisted, Persisted: Persisted{out.Mark, out.HardState.Term, out.HardState.Vote}}
			if err := r.Step(&p, &out); err != nil {
				t.Fatal(err)
			}
			before = r.Hash()
		}
	}
	if refused < count/20 || accepted < count/20 {
		t.Fatalf("of %d messages %d were refused and %d accepted: the generator misses one side", count, refused, accepted)
	}
}

// generatedInput is a message whose every field is drawn from values near
// those of the replica, so that many pass the gate, or now and then from all
// values.
func generatedInput(rng *splitmix, r *Raft) Input {
	if rng.below(8) == 0 {
		return Input{Kind: InputTick, Ticks: uint32(rng.below(12)), Jitter: uint32(rng.next()), JitterSet: true}
	}
	wild := rng.below(40) == 0
	near := func(v uint64) uint64 {
		if wild && rng.below(3) == 0 {
			return rng.next()
		}
		switch rng.below(4) {
		case 0:
			return v + rng.below(3)
		case 1:
			return v - rng.below(min(v, 3)+1)
		default:
			return v
		}
	}
	m := &Message{
		Kind: MessageKind(1 + rng.below(uint64(kindEnd))), Cluster: 7, To: r.cfg.ID,
		From: ReplicaID(near(uint64(r.cfg.ID%5 + 1))), Boot: Boot(near(1)), Term: Term(near(uint64(r.term))),
	}
	index := func() Index {
		if rng.below(3) == 0 {
			return Index(rng.below(uint64(r.log.lastIndex()) + 3))
		}
		return Index(near(uint64(r.log.lastIndex())))
	}
	id := func() EntryID {
		i := index()
		if term, _, ok := r.log.position(i); ok && rng.below(4) > 0 {
			return EntryID{Term: term, Index: i}
		}
		return EntryID{Term: Term(near(uint64(r.term))), Index: i}
	}
	snap := func() Snapshot {
		s := Snapshot{EntryID: id(), Size: rng.below(20), Sum: rng.below(2)}
		if rng.below(8) > 0 {
			s.Configuration.Voters = r.members().Voters
		}
		_, s.Digest, _ = r.log.position(s.Index)
		return s
	}
	switch m.Kind {
	case KindRequestVote:
		m.RequestVote = RequestVote{Pre: rng.below(2) == 0, For: Term(near(uint64(m.Term))), Last: id()}
	case KindRequestVoteResponse:
		m.RequestVoteResponse = RequestVoteResponse{Pre: rng.below(2) == 0, For: Term(near(uint64(m.Term))), Granted: rng.below(3) > 0}
	case KindAppendEntries:
		a := &m.AppendEntries
		a.Prev, a.Commit, a.Round = id(), index(), near(0)
		_, a.PrevDigest, _ = r.log.position(a.Prev.Index)
		chain, prev := a.PrevDigest, a.Prev
		for range rng.below(4) {
			e := Entry{EntryID: EntryID{Term: Term(near(uint64(prev.Term))), Index: prev.Index + 1}, Kind: EntryCommand, Time: near(0)}
			if own := r.log.at(e.Index); own != nil && rng.below(3) > 0 {
				e = *own
			} else {
				e.Digest = e.Chain(chain)
			}
			if wild && rng.below(4) == 0 {
				e.Digest++
			}
			a.Entries = append(a.Entries, e)
			chain, prev = e.Digest, e.EntryID
		}
	case KindAppendEntriesResponse:
		m.AppendEntriesResponse = AppendEntriesResponse{Reject: rng.below(2) == 0, Match: index(), Prev: index(), Hint: id(), Round: near(r.lead.reads.round)}
	case KindInstallSnapshot:
		m.InstallSnapshot = InstallSnapshot{Snapshot: snap(), Offset: near(0), Data: make([]byte, rng.below(21))}
	case KindInstallSnapshotResponse:
		s := snap()
		m.InstallSnapshotResponse = InstallSnapshotResponse{Snapshot: s.EntryID, Sum: s.Sum, Received: rng.below(20), Match: index(), Round: near(0)}
	case KindReadIndex:
		m.ReadIndex.ID = ReadID{Replica: m.From, Boot: m.Boot, Counter: near(1)}
	case KindReadIndexResponse:
		m.ReadIndexResponse = ReadIndexResponse{ID: ReadID{Replica: r.cfg.ID, Boot: r.cfg.Boot, Counter: near(1)}, Index: index(), Refused: RefusalReason(rng.below(3))}
	}
	return Input{Kind: InputMessage, Message: m}
}

// Row 3: the schedule behind the stale reads of others. Two reads with the
// same tag, answers of the first round delivered again and late: the second
// read is not answered by them. Nor is a read of a later term.
func TestAcceptance03RepeatedReadTagIsNeverAnsweredEarly(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	c.run(3)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	var answers []Message
	c.cut = func(m *Message) bool {
		if m.Kind == KindAppendEntriesResponse {
			answers = append(answers, *m)
		}
		return false
	}
	c.deliver()
	if len(r.reads) != 1 || len(answers) == 0 {
		t.Fatalf("first read: answered %d times, %d answers to its round", len(r.reads), len(answers))
	}
	c.isolate(l)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	replay := func() {
		for i := range answers {
			if c.replicas[l].role == RoleLeader || answers[i].Term <= c.replicas[l].term {
				c.step(l, Input{Kind: InputMessage, Message: &answers[i]})
			}
		}
	}
	replay()
	replay()
	if len(r.reads) != 1 {
		t.Fatal("the second read was answered by the first one's round")
	}
	c.cut = nil
	c.deliver()
	c.run(3)
	if len(r.reads) != 2 {
		t.Fatal("the second read was not answered after its own round")
	}

	// The same leader in a later term.
	c.isolate(l)
	c.run(60)
	c.cut = nil
	for c.elect() != l {
		c.isolate(c.leader())
		c.run(40)
		c.cut = nil
	}
	c.isolate(l)
	n := len(r.reads)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	replay()
	if len(r.reads) != n {
		t.Fatal("a read was answered by a round of an earlier term")
	}
}

// Row 8: acknowledgements of writes come late, twice, and in the wrong order;
// one of an overwritten tail counts for nothing.
func TestAcceptance08AcknowledgementsInAnyOrder(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	r.auto = false
	c.propose(l, 1)
	c.propose(l, 2)
	c.propose(l, 3)
	acks := append([]Persisted(nil), r.writes...)
	if len(acks) != 3 {
		t.Fatalf("%d writes, want 3", len(acks))
	}
	for _, i := range []int{1, 0, 1, 2, 0, 2} {
		before := r.log.persistedIndex
		c.step(l, Input{Kind: InputPersisted, Persisted: acks[i]})
		if r.log.persistedIndex < before || r.log.persistedIndex < acks[i].Log.Index {
			t.Fatalf("ack %d: persisted %d, was %d", i, r.log.persistedIndex, before)
		}
	}

	// The tail is overwritten by another leader while its writes are out.
	r.auto = true
	c.deliver()
	c.run(3)
	c.isolate(l)
	r.auto = false
	r.writes, r.held = nil, nil
	c.propose(l, 4)
	c.propose(l, 5)
	stale := append([]Persisted(nil), r.writes...)
	r.writes, r.held, r.auto = nil, nil, true
	for r.role == RoleLeader || c.leader() == 0 {
		c.run(1)
	}
	c.cut = nil
	c.propose(c.leader(), 6)
	c.run(3)
	if e := r.log.at(stale[0].Log.Index); e == nil || e.Term == stale[0].Log.Term {
		t.Fatal("the tail was not overwritten")
	}
	before := r.log.persistedIndex
	for _, p := range stale {
		c.step(l, Input{Kind: InputPersisted, Persisted: p})
	}
	if r.log.persistedIndex != before {
		t.Fatalf("acks of an overwritten tail moved what counts as durable from %d to %d", before, r.log.persistedIndex)
	}

	// An ack for what was never written is the host's fault, and halts.
	h := c.replicas[l].Clone()
	var out Ready
	err := h.Step(&Input{Kind: InputPersisted, Persisted: Persisted{Log: LogMark{h.log.acceptTerm, h.log.lastIndex() + 1}}}, &out)
	if !errors.Is(err, ErrHalted) || h.Halted() != HaltPersisted {
		t.Fatalf("error %v, halted %v", err, h.Halted())
	}
}

// logOf builds a log whose terms are given as runs.
func logOf(runs ...struct {
	term Term
	n    int
}) []Entry {
	var log []Entry
	var chain uint64
	for _, run := range runs {
		for range run.n {
			e := Entry{EntryID: EntryID{Term: run.term, Index: Index(len(log) + 1)}, Kind: EntryCommand}
			e.Digest = e.Chain(chain)
			chain = e.Digest
			log = append(log, e)
		}
	}
	return log
}

// Row 9: a follower 100,000 entries behind, with k divergent terms: the leader
// finds where the logs part with at most k+1 probes.
func TestAcceptance09ProbesAreBoundedByDivergentTerms(t *testing.T) {
	type run = struct {
		term Term
		n    int
	}
	for k := 0; k <= 8; k++ {
		common := run{1, 1000}
		mine := []run{common}
		theirs := []run{common}
		for i := 0; i < k; i++ {
			theirs = append(theirs, run{Term(2 + 2*i), 500})
			mine = append(mine, run{Term(3 + 2*i), 300})
		}
		mine = append(mine, run{Term(50), 100_000})
		c := newTestCluster(t, 2)
		conf := Snapshot{Configuration: Configuration{Voters: c.ids}}
		c.start(1, State{HardState: HardState{Term: 60}, Snapshot: conf, Entries: logOf(mine...)}, 1, testLimits())
		c.start(2, State{HardState: HardState{Term: 60}, Snapshot: conf, Entries: logOf(theirs...)}, 1, testLimits())
		probes, found := 0, false
		c.cut = func(m *Message) bool {
			if m.Kind == KindAppendEntriesResponse && !found {
				probes++
				found = !m.AppendEntriesResponse.Reject
			}
			return false
		}
		c.replicas[1].electionTimeout = 10
		c.replicas[2].electionTimeout = 19
		for !found {
			c.run(1)
		}
		// The answer that accepts is one probe more.
		if probes-1 > k+1 {
			t.Errorf("%d divergent terms: %d refused probes, want at most %d", k, probes-1, k+1)
		}
		c.run(20)
		c.sameLogs(1, 2)
	}
}

// Row 10: a follower that does not answer costs the leader a window and no
// more, and the others nothing.
func TestAcceptance10SlowFollowerIsBoundedByTheWindow(t *testing.T) {
	limits := testLimits()
	limits.InflightBytes, limits.InflightMessages, limits.MessageBytes = 4000, 1000, 1000
	c := newTestCluster(t, 3)
	for _, id := range c.ids {
		c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: c.ids}}}, 1, limits)
	}
	l := c.elect()
	slow := l%3 + 1
	c.run(3)
	sent := uint64(0)
	c.cut = func(m *Message) bool {
		if m.To == slow && m.Kind == KindAppendEntries {
			for i := range m.AppendEntries.Entries {
				sent += m.AppendEntries.Entries[i].Bytes()
			}
		}
		return m.To == slow && m.Kind == KindAppendEntries && len(m.AppendEntries.Entries) > 0
	}
	largest := 0
	for tag := uint64(1); tag <= 2000; tag++ {
		c.propose(l, tag)
		largest = max(largest, cap(c.replicas[l].out.Messages))
		c.deliver()
		p := c.replicas[l].peer(slow)
		if p.Window.Bytes() > limits.InflightBytes+limits.MessageBytes {
			t.Fatalf("%d bytes in flight to the slow follower", p.Window.Bytes())
		}
	}
	if sent > limits.InflightBytes+limits.MessageBytes {
		t.Errorf("%d bytes sent to a follower that answers nothing, window %d", sent, limits.InflightBytes)
	}
	if got := c.replicas[l].log.commitIndex; got < 2000 {
		t.Errorf("commit index %d after 2000 proposals: the slow follower held it back", got)
	}
	if largest > 16 {
		t.Errorf("one step made room for %d messages", largest)
	}
}

// Row 11, the core's part: every tag comes back exactly once, whatever
// happens to messages and leaders meanwhile.
func TestAcceptance11EveryTagIsAnsweredExactlyOnce(t *testing.T) {
	for seed := splitmix(1); seed < 20; seed++ {
		rng := seed
		c := newTestCluster(t, 3)
		lost := uint64(0)
		c.cut = func(m *Message) bool { return rng.below(100) < lost }
		tag := uint64(0)
		proposals, reads := map[uint64]bool{}, map[uint64]bool{}
		for range 400 {
			if rng.below(20) == 0 {
				lost = rng.below(4) * 25
			}
			id := ReplicaID(rng.below(3) + 1)
			tag++
			if rng.below(2) == 0 {
				proposals[tag] = true
				c.propose(id, tag)
			} else {
				reads[tag] = true
				c.step(id, Input{Kind: InputRead, Tag: tag})
			}
			c.run(int(rng.below(3)))
		}
		lost = 0
		c.run(100)
		answers := map[uint64]int{}
		for _, id := range c.ids {
			r := c.replicas[id]
			for _, a := range r.accepted {
				answers[a.Tag]++
				if !proposals[a.Tag] {
					t.Fatalf("seed %d: tag %d accepted as a proposal", seed, a.Tag)
				}
			}
			for _, a := range r.reads {
				answers[a.Tag]++
				if !reads[a.Tag] {
					t.Fatalf("seed %d: tag %d answered as a read", seed, a.Tag)
				}
			}
			for _, a := range r.refused {
				answers[a.Tag]++
				if a.Reason == RefusedNone {
					t.Fatalf("seed %d: tag %d refused without a reason", seed, a.Tag)
				}
			}
		}
		for i := uint64(1); i <= tag; i++ {
			if answers[i] != 1 {
				t.Fatalf("seed %d: tag %d answered %d times", seed, i, answers[i])
			}
		}
	}
}

// Row 15: no allocation in steady state.
func TestAcceptance15NoAllocationInSteadyState(t *testing.T) {
	check := func(name string, f func()) {
		t.Helper()
		for range 3000 {
			f() // let buffers reach their size
		}
		if n := testing.AllocsPerRun(2000, f); n != 0 {
			t.Errorf("%s: %v allocations per run", name, n)
		}
	}
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	leader, follower := c.replicas[l].Raft, c.replicas[l%3+1].Raft
	other := l%3 + 1
	third := other%3 + 1
	var lout, fout Ready
	data := []byte("sixteen bytes...")
	in := Input{Kind: InputPropose, Proposals: []Proposal{{1, data}}}
	append1 := func() Message {
		if err := leader.Step(&in, &lout); err != nil {
			t.Fatal(err)
		}
		for i := range lout.Messages {
			if lout.Messages[i].To == other {
				return lout.Messages[i]
			}
		}
		t.Fatal("nothing sent")
		return Message{}
	}
	step := func(r *Raft, in *Input, out *Ready) {
		if err := r.Step(in, out); err != nil {
			t.Fatal(err)
		}
	}
	var msg, ack Message
	var persisted, applied, message Input
	round := func() {
		msg = append1()
		persisted = Input{Kind: InputPersisted, Persisted: Persisted{lout.Mark, lout.HardState.Term, lout.HardState.Vote}}
		step(leader, &persisted, &lout)
		message = Input{Kind: InputMessage, Message: &msg}
		step(follower, &message, &fout)
		ack = fout.Held[0]
		persisted = Input{Kind: InputPersisted, Persisted: Persisted{fout.Mark, fout.HardState.Term, fout.HardState.Vote}}
		if n := len(fout.Committed); n > 0 {
			applied = Input{Kind: InputApplied, Applied: fout.Committed[n-1].Index}
			step(follower, &persisted, &fout)
			step(follower, &applied, &fout)
		} else {
			step(follower, &persisted, &fout)
		}
		for _, from := range [...]ReplicaID{other, third} {
			ack.From = from
			message = Input{Kind: InputMessage, Message: &ack}
			step(leader, &message, &lout)
			if n := len(lout.Committed); n > 0 {
				applied = Input{Kind: InputApplied, Applied: lout.Committed[n-1].Index}
				step(leader, &applied, &lout)
			}
		}
	}
	check("leader append, follower append, answers, commit", round)

	tick := Input{Kind: InputTick, Ticks: 1}
	check("leader tick and heartbeat, with answers", func() {
		step(leader, &tick, &lout)
		for i := range lout.Messages {
			if lout.Messages[i].To != other {
				continue
			}
			msg = lout.Messages[i]
			message = Input{Kind: InputMessage, Message: &msg}
			step(follower, &message, &fout)
			ack = fout.Held[0]
			for _, from := range [...]ReplicaID{other, third} {
				ack.From = from
				message = Input{Kind: InputMessage, Message: &ack}
				step(leader, &message, &lout)
			}
			break
		}
	})
	check("follower tick", func() {
		follower.electionElapsed, follower.contactTicks = 0, 0
		step(follower, &tick, &fout)
	})
}

// Row 16, the core's part: the same inputs lead to the same state, step by
// step, and on every kind of machine: the last hash is pinned.
func TestAcceptance16SameInputsSameHash(t *testing.T) {
	run := func() []uint64 {
		var hashes []uint64
		c := newTestCluster(t, 3)
		rng := splitmix(16)
		lost := uint64(10)
		c.cut = func(m *Message) bool { return rng.below(100) < lost }
		for tag := uint64(1); tag <= 300; tag++ {
			c.propose(ReplicaID(rng.below(3)+1), tag)
			c.step(ReplicaID(rng.below(3)+1), Input{Kind: InputRead, Tag: tag})
			c.run(int(rng.below(3)))
			for _, id := range c.ids {
				hashes = append(hashes, c.replicas[id].Hash())
			}
		}
		return hashes
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("hash %d differs: %x and %x", i, a[i], b[i])
		}
	}
	const pinned = 0x45265b5cf4f6c2e4
	if last := a[len(a)-1]; last != pinned {
		t.Errorf("last hash %#x, pinned %#x: if the state or the protocol was meant to change, pin the new one", last, uint64(pinned))
	}
}

// A clone and its original part ways without touching each other, and renamed
// replicas have the same canonical hash.
func TestCloneAndCanonicalHash(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l].Raft
	clone := r.Clone()
	if clone.Hash() != r.Hash() {
		t.Fatal("a clone has another hash")
	}
	h := r.Hash()
	var out Ready
	for range 40 {
		in := Input{Kind: InputPropose, Proposals: []Proposal{{1, []byte("x")}}}
		if err := clone.Step(&in, &out); err != nil {
			t.Fatal(err)
		}
	}
	in := Input{Kind: InputTick, Ticks: 30}
	if err := clone.Step(&in, &out); err != nil {
		t.Fatal(err)
	}
	if r.Hash() != h {
		t.Fatal("stepping a clone changed the original")
	}

	swap := func(id ReplicaID) ReplicaID { return id%3 + 1 }
	same := func(id ReplicaID) ReplicaID { return id }
	fresh := newTestCluster(t, 3)
	if fresh.replicas[1].CanonicalHash(swap) != fresh.replicas[2].CanonicalHash(same) {
		t.Error("replica 1 renamed to 2 is not replica 2")
	}
	if fresh.replicas[1].CanonicalHash(same) == fresh.replicas[2].CanonicalHash(same) {
		t.Error("two replicas have the same canonical hash without renaming")
	}
	ticked := fresh.replicas[1].Clone()
	in = Input{Kind: InputTick, Ticks: 1}
	if err := ticked.Step(&in, &out); err != nil {
		t.Fatal(err)
	}
	if ticked.CanonicalHash(same) != fresh.replicas[1].CanonicalHash(same) || ticked.Hash() == fresh.replicas[1].Hash() {
		t.Error("a tick must change the exact hash and not the canonical one")
	}
}
