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
			q = append(q, due{now + 45, p})
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
			RequestVoteResponse: RequestVoteResponse{Pre: true, For: 1}}})
	}
	if n := len(c.replicas[1].candidate.ballots); n > 3 {
		t.Fatalf("%d ballots of 3 voters", n)
	}
}
