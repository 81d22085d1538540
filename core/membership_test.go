package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// change asks the leader l for a change and returns why it was refused.
func (c *testCluster) change(l ReplicaID, tag uint64, ops ...Operation) RefusalReason {
	c.t.Helper()
	n := len(c.replicas[l].refused)
	c.step(l, Input{Kind: InputChange, Tag: tag, Change: Change{Operations: ops}})
	if r := c.replicas[l].refused; len(r) > n {
		return r[len(r)-1].Reason
	}
	return RefusedNone
}

// join starts a replica that knows nobody.
func (c *testCluster) join(id ReplicaID) {
	c.t.Helper()
	c.start(id, State{}, 1, testLimits())
	c.ids = append(c.ids, id)
}

func TestReplacementOfSeveralMembersInOneChange(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.join(4)
	c.join(5)
	a, b := l%3+1, (l+1)%3+1
	if why := c.change(l, 1,
		Operation{Kind: confchange.AddVoter, ID: 4, Address: "four"}, Operation{Kind: confchange.AddVoter, ID: 5},
		Operation{Kind: confchange.Remove, ID: a}, Operation{Kind: confchange.Remove, ID: b}); why != RefusedNone {
		t.Fatal(why)
	}
	if got := c.replicas[l].Configuration(); len(got.Learners) != 2 || len(got.Voters) != 3 {
		t.Fatalf("before anyone has caught up: %+v", got)
	}
	c.run(30)
	l = c.leader()
	got := c.replicas[l].Configuration()
	if len(got.Voters) != 3 || got.IsJoint() || got.Has(a) || got.Has(b) || got.Member(4).Address != "four" {
		t.Fatalf("%+v", got)
	}
	c.propose(l, 9)
	c.run(5)
	c.sameLogs(l, 4, 5)
	for _, id := range []ReplicaID{a, b} {
		if got := c.replicas[id].Configuration(); got.Has(id) {
			t.Errorf("replica %d was not told that it is removed: %+v", id, got)
		}
	}
	if why := c.change(l, 2, Operation{Kind: confchange.AddLearner, ID: a}); why != RefusedUsedID {
		t.Fatalf("an id that was removed: %v", why)
	}
}

func TestRemovedLeaderHandsOverAndStepsDown(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	if why := c.change(l, 1, Operation{Kind: confchange.Remove, ID: l}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(4)
	if c.leader() == l || c.leader() == 0 {
		t.Fatalf("leader is %d, was %d", c.leader(), l)
	}
	c.run(100)
	if c.replicas[l].role != RoleFollower {
		t.Fatal("a removed replica stands for election")
	}
}

func TestTransfer(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	to := l%3 + 1
	c.step(l, Input{Kind: InputTransfer, Tag: 7, Target: to})
	c.propose(l, 8)
	c.deliver()
	if c.leader() != to {
		t.Fatalf("leader is %d", c.leader())
	}
	if r := c.replicas[l].refused; len(r) != 1 || r[0].Reason != RefusedTransferring || r[0].Leader != to {
		t.Fatalf("%+v", r)
	}
	if d := c.replicas[l].done; len(d) != 1 || d[0].Tag != 7 || d[0].Leader != to {
		t.Fatalf("%+v", d)
	}
}

func TestLeaseRead(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	c.isolate(l)
	read := func() int {
		c.step(l, Input{Kind: InputRead, Tag: 1, Lease: true, LeaseDriftPPM: 100_000})
		return len(c.replicas[l].reads)
	}
	if read() != 1 || !c.replicas[l].reads[0].Lease {
		t.Fatal("no lease")
	}
	c.tick(l, 8)
	if read() != 1 {
		t.Fatal("the lease lasts too long")
	}
}
