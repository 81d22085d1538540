package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// leaseRead says whether l answers a read at once, by its lease. A stale
// answer fails the test.
func (c *testCluster) leaseRead(l ReplicaID, driftPPM uint32) bool {
	c.t.Helper()
	r := c.replicas[l].Raft.Clone()
	var out Ready
	if err := r.Step(&Input{Kind: InputRead, Tag: 1, Lease: true, LeaseDriftPPM: driftPPM}, &out); err != nil {
		c.t.Fatal(err)
	}
	if len(out.Reads) == 0 || !out.Reads[0].Lease {
		return false
	}
	for id, other := range c.replicas {
		if other.log.commitIndex > out.Reads[0].Index {
			c.t.Fatalf("replica %d of term %d reads at %d under its lease, and replica %d of term %d has committed %d",
				l, r.term, out.Reads[0].Index, id, other.term, other.log.commitIndex)
		}
	}
	return true
}

// others lets a tick pass and everything arrive, and has whoever leads beside l
// commit something.
func (c *testCluster) others(l ReplicaID) {
	c.t.Helper()
	c.run(1)
	for _, id := range c.ids {
		if r := c.replicas[id]; r != nil && id != l && r.role == RoleLeader {
			c.propose(id, 1000)
			c.deliver()
		}
	}
}

// Row 7: a lease read is never stale: not when a transfer is or was under way,
// not when followers are started again, not after a pause, not across changes
// of the members, not when a follower is told to stand.
func TestAcceptance07LeaseReadsAreNeverStale(t *testing.T) {
	start := func(t *testing.T, n int) (*testCluster, ReplicaID) {
		c := newTestCluster(t, n)
		l := c.elect()
		c.run(3)
		if !c.leaseRead(l, 0) {
			t.Fatal("no lease")
		}
		return c, l
	}
	t.Run("it ends before the followers vote for another", func(t *testing.T) {
		for _, tt := range []struct{ drift, ticks uint32 }{{0, 9}, {100_000, 8}, {500_000, 6}, {2_000_000, 3}, {10_000_000, 0}} {
			c := newTestCluster(t, 3)
			l := c.elect()
			c.run(2) // a heartbeat was sent and answered in this tick, or the one before
			for c.replicas[l].lead.heartbeatElapsed != 0 {
				c.run(1)
			}
			c.isolate(l)
			held := uint32(0)
			for c.leaseRead(l, tt.drift) {
				held++
				c.tick(l, 1)
			}
			if held != tt.ticks {
				t.Errorf("with a drift of %d ppm the lease lasts %d ticks, want %d", tt.drift, held, tt.ticks)
			}
		}
	})
	t.Run("no lease before an entry of the term is committed", func(t *testing.T) {
		c := newTestCluster(t, 3)
		c.cut = func(m *Message) bool {
			if m.Kind == KindAppendEntriesResponse {
				m.AppendEntriesResponse.Match = 0
			}
			return false
		}
		for c.leader() == 0 {
			c.run(1)
		}
		c.run(4)
		if l := c.leader(); c.replicas[l].log.commitIndex > 0 || c.leaseRead(l, 0) {
			t.Fatal("it does not know what is committed")
		}
	})
	t.Run("transfer, from the request on, for the rest of the term", func(t *testing.T) {
		c, l := start(t, 3)
		x := l%3 + 1
		c.cut = func(m *Message) bool { return m.To == x && len(m.AppendEntries.Entries) > 0 }
		c.propose(l, 1)
		c.deliver()
		c.transfer(l, 2, x)
		if !c.leaseRead(l, 0) {
			t.Error("nobody was asked yet, and the lease is void")
		}
		var late []Message
		c.cut = func(m *Message) bool {
			if m.Kind == KindTimeoutNow {
				late = append(late, *m)
			}
			return m.Kind == KindTimeoutNow
		}
		c.run(3)
		if c.leaseRead(l, 0) || len(late) == 0 {
			t.Error("a target was asked, and the lease lasts")
		}
		c.run(20)
		if c.leader() != l || c.leaseRead(l, 0) {
			t.Error("a target was asked in this term, and the lease lasts")
		}
		// The request arrives now, and the leader hears nothing of it.
		c.isolate(l)
		c.step(x, Input{Kind: InputMessage, Message: &late[0]})
		for range 5 {
			c.others(l)
			c.leaseRead(l, 0)
		}
		if c.replicas[x].role != RoleLeader {
			t.Fatal("the late request is meant to succeed")
		}
		// In a term of its own the replica has a lease again.
		c.cut = nil
		c.run(5)
		c.transfer(x, 3, l)
		c.run(5)
		if c.leader() != l || !c.leaseRead(l, 0) {
			t.Error("no lease in a new term")
		}
	})
	t.Run("followers are started again", func(t *testing.T) {
		c, l := start(t, 5)
		c.isolate(l)
		for _, id := range c.ids {
			if id != l {
				c.restart(id)
			}
		}
		for range 60 {
			c.leaseRead(l, 0)
			c.others(l)
			c.leaseRead(l, 0)
		}
	})
	t.Run("a pause", func(t *testing.T) {
		c, l := start(t, 3)
		c.isolate(l)
		for range 40 {
			for _, id := range c.ids {
				if id != l {
					c.tick(id, 1)
				}
			}
			c.deliver()
		}
		for _, id := range c.ids {
			if c.replicas[id].role == RoleLeader && id != l {
				c.propose(id, 7)
				c.deliver()
			}
		}
		c.tick(l, 40) // what its clock owes comes first
		if c.leaseRead(l, 0) || c.replicas[l].role == RoleLeader {
			t.Error("it slept through its lease and leads on")
		}
	})
	t.Run("a follower is told to stand", func(t *testing.T) {
		c, l := start(t, 3)
		x, y := l%3+1, (l+1)%3+1
		c.cut = func(m *Message) bool { return m.From == y && m.To == l || m.From == l && m.To == y }
		c.run(10) // y hears nobody, x is all the leader has
		if c.leader() != l {
			t.Fatal("the leader is meant to lead on")
		}
		c.step(x, Input{Kind: InputCampaign, Tag: 1})
		c.isolate(l)
		for range 15 {
			c.deliver()
			c.leaseRead(l, 0)
			c.others(l)
		}
	})
	t.Run("one voter is left, and it is not the leader", func(t *testing.T) {
		for _, restart := range []bool{false, true} {
			c, l := start(t, 2)
			x := l%2 + 1
			c.change(l, 1, Operation{Kind: confchange.Remove, ID: l})
			c.cut = func(m *Message) bool { return m.To == l }
			c.deliver()
			c.isolate(l)
			if restart {
				c.restart(x)
			}
			if c.members(x).Has(l) {
				t.Fatal("it does not know")
			}
			for range 30 {
				c.leaseRead(l, 0)
				c.others(l)
			}
			if c.replicas[x].role != RoleLeader {
				t.Error("it does not lead after all")
			}
		}
	})
	t.Run("voters come and go", func(t *testing.T) {
		for messages := range 60 {
			c, l := start(t, 3)
			c.join(4)
			c.join(5)
			c.mustChange(Operation{Kind: confchange.AddLearner, ID: 4}, Operation{Kind: confchange.AddLearner, ID: 5})
			c.change(l, 2, Operation{Kind: confchange.Promote, ID: 4}, Operation{Kind: confchange.Promote, ID: 5},
				Operation{Kind: confchange.Remove, ID: l%3 + 1}, Operation{Kind: confchange.Remove, ID: (l+1)%3 + 1})
			n := 0
			c.cut = func(m *Message) bool {
				n++
				c.leaseRead(l, 0)
				return n > messages && (m.From == l || m.To == l)
			}
			for range 40 {
				c.others(l)
				c.leaseRead(l, 0)
			}
		}
	})
}

// A lease read that the lease does not cover goes the ordinary way.
func TestReadWithoutALeaseAsksTheOthers(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	c.replicas[l].lead.leaseVoid = true
	c.step(l, Input{Kind: InputRead, Tag: 5, Lease: true})
	if len(c.replicas[l].reads) != 0 {
		t.Fatal("answered without a lease")
	}
	c.deliver()
	if got := c.replicas[l].reads; len(got) != 1 || got[0].Lease {
		t.Fatalf("%+v", got)
	}
	f := l%3 + 1
	c.run(3)
	c.step(f, Input{Kind: InputRead, Tag: 6, Lease: true})
	c.deliver()
	if got := c.replicas[f].reads; len(got) != 1 || got[0].Lease {
		t.Fatalf("at a follower: %+v", got)
	}
}
