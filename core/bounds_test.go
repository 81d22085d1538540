package core

import (
	"errors"
	"testing"
)

// A peer that is silent, and needs a snapshot, costs heartbeats until it is
// heard again.
func TestSilentPeerIsNotSentASnapshotAgainAndAgain(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	dead := c.ids[(int(l))%3]
	c.isolate(dead)
	for i := uint64(0); i < 20; i++ {
		c.propose(l, i+1)
		c.deliver()
	}
	r := c.replicas[l]
	term, chain, _ := r.log.position(r.log.appliedIndex)
	c.step(l, Input{Kind: InputSnapshotTaken, Snapshot: Snapshot{EntryID: EntryID{Term: term, Index: r.log.appliedIndex}, Digest: chain,
		Time: r.PositionTime(r.log.appliedIndex), Size: 100 << 20, Sum: 5, Configuration: *r.members()}})
	c.deliver()
	c.run(40)
	n, beats := 0, 0
	bytes := uint64(0)
	c.cut = func(m *Message) bool {
		if m.To == dead {
			if m.Kind == KindInstallSnapshot {
				n++
				bytes += uint64(m.InstallSnapshot.Length)
			} else {
				beats++
			}
		}
		return m.To == dead || m.From == dead
	}
	for i := uint64(0); i < 100; i++ {
		c.propose(l, i+1000)
		c.deliver()
		for _, id := range c.ids {
			if id != dead {
				c.tick(id, 1)
			}
		}
		c.deliver()
	}
	if n > 10 {
		t.Fatalf("%d chunks, %d KiB (and %d heartbeats) in 100 ticks to a peer that has been silent for 40", n, bytes>>10, beats)
	}
}

// The bytes were bad, the answer that says so is lost, and the network repeats
// the first chunk: the leader must go back to what the follower holds.
func TestStreamGoesBackToWhatTheFollowerHolds(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	slow := c.ids[(int(l))%3]
	c.isolate(slow)
	for i := uint64(0); i < 20; i++ {
		c.propose(l, i+1)
		c.deliver()
	}
	r := c.replicas[l]
	term, chain, _ := r.log.position(r.log.appliedIndex)
	s := Snapshot{EntryID: EntryID{Term: term, Index: r.log.appliedIndex}, Digest: chain,
		Time: r.PositionTime(r.log.appliedIndex), Size: 1 << 20, Sum: 5, Configuration: *r.members()}
	c.step(l, Input{Kind: InputSnapshotTaken, Snapshot: s})
	c.deliver()
	var first *Message
	c.cut = func(m *Message) bool {
		if m.Kind == KindInstallSnapshot && m.InstallSnapshot.Offset == 0 && first == nil {
			k := *m
			k.InstallSnapshot.Data = make([]byte, k.InstallSnapshot.Length)
			first = &k
		}
		return false
	}
	f := c.replicas[slow]
	for i := 0; i < 100 && !f.follower.incoming.installing; i++ {
		c.run(1)
	}
	if !f.follower.incoming.installing {
		t.Fatal("not installing")
	}
	// the bytes were bad; the answer that says so is lost; the network repeats the first chunk
	c.step(slow, Input{Kind: InputSnapshotFailed, Snapshot: s})
	c.flight = nil
	c.step(slow, Input{Kind: InputMessage, Message: first})
	c.flight = nil
	c.run(2000)
	var off uint64
	for i := range r.lead.peers {
		if p := &r.lead.peers[i]; p.ID == slow {
			off = p.Stream.Offset
		}
	}
	if !f.follower.incoming.installing {
		t.Fatalf("after 2000 quiet ticks: leader at offset %d, follower holds %d of %d", off, f.follower.incoming.received, s.Size)
	}
}

// A candidate does not start over while its own vote is being written.
func TestDiskSlowerThanTheElectionTimeoutStillElects(t *testing.T) {
	c := newTestCluster(t, 1)
	r := c.replicas[1]
	r.auto = false
	type due struct {
		at int
		p  Persisted
	}
	var q []due
	for now := 0; now < 5000; now++ {
		c.tick(1, 1)
		for _, p := range r.writes {
			q = append(q, due{now + 45, p.Persisted})
		}
		r.writes, r.held = nil, nil
		for len(q) > 0 && q[0].at <= now {
			p := q[0].p
			q = q[1:]
			c.step(1, Input{Kind: InputPersisted, Persisted: p})
		}
		if r.role == RoleLeader {
			return
		}
	}
	t.Fatalf("no leader in 5000 ticks; term %d, %d writes out", r.term, len(q))
}

// There is always a term after this one.
func TestLastTermIsRefused(t *testing.T) {
	c := newTestCluster(t, 1)
	c.elect()
	m := Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: 9, To: 1, Boot: 1, Term: ^Term(0)}
	err := c.replicas[1].Step(&Input{Kind: InputMessage, Message: &m}, &c.replicas[1].out)
	if !errors.Is(err, ErrBadMessage) {
		t.Fatalf("error %v", err)
	}
}

// Who has no vote is not remembered.
func TestBallotsOfStrangersAreNotKept(t *testing.T) {
	c := newTestCluster(t, 3)
	c.cut = func(m *Message) bool { return true }
	for c.replicas[1].role != RolePreCandidate {
		c.tick(1, 1)
	}
	for i := 10; i < 10010; i++ {
		c.step(1, Input{Kind: InputMessage, Message: &Message{Kind: KindRequestVoteResponse, Cluster: 7, From: ReplicaID(i), To: 1, Boot: 1,
			RequestVoteResponse: RequestVoteResponse{Pre: true, For: 1, Round: c.replicas[1].candidate.round}}})
	}
	if n := len(c.replicas[1].candidate.ballots); n > 3 {
		t.Fatalf("%d ballots of 3 voters", n)
	}
}

func newBoundedCluster(t *testing.T, unapplied, messageBytes uint64) *testCluster {
	c := newTestCluster(t, 3)
	limits := testLimits()
	limits.UnappliedBytes, limits.MessageBytes = unapplied, messageBytes
	for _, id := range c.ids {
		c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: c.ids}}}, 1, limits)
	}
	return c
}

// A follower whose state machine stands still holds no more than its bound. It
// costs its leader an append with each heartbeat, and it is there again as
// soon as its state machine is.
func TestFollowerHoldsNoMoreThanItsStateMachineCanTake(t *testing.T) {
	c := newBoundedCluster(t, 2000, 300)
	l := c.elect()
	c.run(3)
	x := l%3 + 1
	f := c.replicas[x]
	f.noApply = true
	for tag := range uint64(400) {
		c.propose(l, tag)
		c.deliver()
		if f.log.unappliedBytes > 2000 {
			t.Fatalf("%d bytes wait for the state machine", f.log.unappliedBytes)
		}
	}
	r := c.replicas[l]
	if r.log.commitIndex != r.log.lastIndex() || f.log.lastIndex() >= r.log.lastIndex() {
		t.Fatalf("the leader has %d, committed %d, the follower %d", r.log.lastIndex(), r.log.commitIndex, f.log.lastIndex())
	}
	n := 0
	c.cut = func(m *Message) bool {
		if m.To == x {
			n++
		}
		return false
	}
	c.run(100)
	if n > 3*50 {
		t.Errorf("%d messages in 50 heartbeats to a follower that can not keep up", n)
	}
	c.resume(x)
	c.run(20)
	c.sameLogs(1, 2, 3)
}

// All of them stand still: nothing is lost, nobody waits for ever.
func TestStateMachinesThatStandStillDoNotDeadlock(t *testing.T) {
	c := newBoundedCluster(t, 1000, 300)
	l := c.elect()
	c.run(3)
	for _, id := range c.ids {
		c.replicas[id].noApply = true
	}
	tag, full := uint64(0), 0
	for range 300 {
		tag++
		c.propose(l, tag)
		c.run(1)
		if _, refused := c.answer(l, tag); refused != nil {
			if refused.Reason != RefusedUnappliedFull {
				t.Fatalf("%+v", refused)
			}
			full++
		}
	}
	if full == 0 || c.leader() != l {
		t.Fatalf("%d refused, leader %d", full, c.leader())
	}
	// The leader is lost with all of that.
	c.isolate(l)
	c.run(60)
	c.cut = nil
	c.run(20)
	for _, id := range c.ids {
		c.resume(id)
	}
	c.run(20)
	l = c.leader()
	c.propose(l, 1000)
	c.run(10)
	c.sameLogs(1, 2, 3)
	if got := c.replicas[l].log; got.appliedIndex != got.lastIndex() {
		t.Fatalf("applied %d of %d", got.appliedIndex, got.lastIndex())
	}
}

// A tail goes, and what should replace it has to wait for the state machine.
// The write of the tail is acknowledged late: it counts for nothing, and breaks
// nothing.
func TestLateAcknowledgementOfATailThatWasNotReplaced(t *testing.T) {
	c := newBoundedCluster(t, 100, 300)
	f := c.replicas[1]
	f.auto = false
	one := appended(Entry{}, 1, nil)
	two := appended(one, 1, nil)
	three := appended(two, 1, nil)
	send := func(from ReplicaID, term Term, prev Entry, entries ...Entry) {
		c.step(1, Input{Kind: InputMessage, Message: &Message{Kind: KindAppendEntries, Cluster: 7, From: from, To: 1, Boot: 1, Term: term,
			AppendEntries: AppendEntries{Prev: prev.EntryID, PrevDigest: prev.Digest, Commit: 1, Entries: entries}}})
	}
	send(2, 1, Entry{}, one, two, three)
	send(3, 2, one, appended(one, 2, nil))
	if f.log.lastIndex() != 1 || len(f.writes) != 2 {
		t.Fatalf("last %d, %d writes", f.log.lastIndex(), len(f.writes))
	}
	c.step(1, Input{Kind: InputPersisted, Persisted: f.writes[0].Persisted})
	if f.log.persistedIndex > 1 {
		t.Fatal("a tail that is gone counts as durable")
	}
	c.persist(1)
	if f.log.persistedIndex != 1 {
		t.Fatalf("persisted %d", f.log.persistedIndex)
	}
	c.resume(1)
	send(3, 2, one, appended(one, 2, nil))
	if f.log.last() != (EntryID{Term: 2, Index: 2}) || f.log.persistedIndex != 2 {
		t.Fatalf("%+v", f.Status())
	}
}

// While a snapshot is on its way, the log behind it stays: who receives it needs
// no second one. But that has a bound.
func TestCompactionKeepsTheLogBehindAStream(t *testing.T) {
	for _, bounded := range []bool{false, true} {
		c := newBoundedCluster(t, 4000, 1000)
		c.installs = true
		for _, id := range c.ids {
			c.replicas[id].cfg.Limits.ChunkBytes = 10 // ten chunks
		}
		l := c.elect()
		x := l%3 + 1
		c.isolate(x)
		tag := uint64(0)
		write := func(n int) {
			for range n {
				tag++
				c.propose(l, tag)
				c.deliver()
			}
		}
		write(20)
		c.run(12)
		c.snapshot(l)
		first := c.replicas[l].snapshot.EntryID
		var held []Message
		stop := false
		c.cut = func(m *Message) bool {
			if stop && m.From == x && m.Kind == KindInstallSnapshotResponse {
				held = append(held, *m)
				return true
			}
			return false
		}
		sent := map[Index]bool{}
		for i := 0; i < 10 && c.replicas[x].follower.incoming.received == 0; i++ {
			for _, id := range c.ids {
				c.tick(id, 1)
			}
			for len(c.flight) > 0 && c.replicas[x].follower.incoming.received == 0 {
				m := c.flight[0]
				c.flight = c.flight[1:]
				if m.Kind == KindInstallSnapshot {
					m.InstallSnapshot.Data = make([]byte, m.InstallSnapshot.Length)
				}
				c.step(m.To, Input{Kind: InputMessage, Message: &m})
			}
		}
		stop = true
		more := 10
		if bounded {
			more = 200
		}
		write(more)
		c.snapshot(l)
		r := c.replicas[l]
		if !bounded && (r.log.base.Index != first.Index || r.snapshot.Index <= first.Index) {
			t.Fatalf("base %d, the snapshot on its way is of %d, the latest of %d", r.log.base.Index, first.Index, r.snapshot.Index)
		}
		if bounded && r.log.base.Index <= first.Index {
			t.Fatalf("%d entries are kept for one peer", r.log.lastIndex()-r.log.base.Index)
		}
		stop = false
		c.cut = func(m *Message) bool {
			if m.Kind == KindInstallSnapshot {
				sent[m.InstallSnapshot.Snapshot.Index] = true
			}
			return false
		}
		c.flight = append(c.flight, held...)
		c.run(60)
		c.sameLogs(1, 2, 3)
		if got := len(c.replicas[x].restored); !bounded && (got != 1 || len(sent) > 1) {
			t.Errorf("%d snapshots installed, %v sent", got, sent)
		}
	}
}

// The bound is full of what is not committed, and its leader is gone: the next
// one's first entry has to get through, as nothing is committed without it.
func TestFollowersFullOfUncommittedEntriesTakeTheNextLeadersFirst(t *testing.T) {
	c := newBoundedCluster(t, 1000, 300)
	l := c.elect()
	c.run(3)
	c.cut = func(m *Message) bool {
		return m.To == l && m.Kind == KindAppendEntriesResponse && !m.AppendEntriesResponse.Reject
	}
	for tag := uint64(1); ; tag++ {
		c.propose(l, tag)
		c.deliver()
		if _, refused := c.answer(l, tag); refused != nil {
			break
		}
	}
	c.replicas[l].peer(l%3 + 1).BecomeProbe(0) // all that the leader has
	c.replicas[l].peer((l+1)%3 + 1).BecomeProbe(0)
	for range 3 {
		c.run(1)
	}
	c.isolate(l)
	for c.leader() == l || c.leader() == 0 {
		c.run(1)
	}
	next := c.leader()
	c.run(10)
	if r := c.replicas[next]; r.log.commitIndex < r.lead.termStart || r.log.commitIndex < 5 {
		t.Fatalf("%+v", r.Status())
	}
}
