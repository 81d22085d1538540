package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// leap lets id hear one message of a term as far ahead as a message may move it,
// or further.
func (c *testCluster) leap(id ReplicaID, by Term) {
	c.t.Helper()
	m := Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: 99, To: id, Boot: 1, Term: c.replicas[id].term + by}
	c.step(id, Input{Kind: InputMessage, Message: &m})
}

// However far terms lie apart, replicas that follow the protocol hear each other:
// the one behind comes nearer with every message.
func TestLeapOfTermsMakesNobodyDeaf(t *testing.T) {
	works := func(t *testing.T, c *testCluster) {
		t.Helper()
		c.run(100)
		l := c.leader()
		if l == 0 {
			t.Fatal("no leader")
		}
		c.propose(l, 1)
		c.run(20)
		want := c.replicas[l].Status()
		for id, r := range c.replicas {
			if got := r.Status(); r != nil && (got.Term != want.Term || got.Commit != want.Commit) {
				t.Errorf("replica %d is in term %d with commit %d, leader %d in %d with %d", id, got.Term, got.Commit, l, want.Term, want.Commit)
			}
		}
	}
	for name, by := range map[string]Term{"as far as one message moves": termLeapMax, "further": 5*termLeapMax + 3, "as far as there are terms": termMax / 2} {
		t.Run(name, func(t *testing.T) {
			t.Run("one of three", func(t *testing.T) {
				c := newTestCluster(t, 3)
				l := c.elect()
				c.leap(l, by)
				works(t, c)
			})
			t.Run("one of two that run", func(t *testing.T) {
				c := newTestCluster(t, 3)
				l := c.elect()
				delete(c.replicas, l%3+1)
				c.leap(l, by)
				works(t, c)
			})
			t.Run("all, and then a new replica", func(t *testing.T) {
				c := newTestCluster(t, 3)
				c.elect()
				for range 7 {
					for _, id := range c.ids {
						c.leap(id, by)
					}
				}
				c.run(100)
				c.join(4)
				c.mustChange(Operation{Kind: confchange.AddLearner, ID: 4})
				works(t, c)
			})
		})
	}
}

// One message moves a term by no more than termLeapMax, so no message ends all
// elections.
func TestOneMessageMovesATermOnlySoFar(t *testing.T) {
	c := newTestCluster(t, 3)
	c.leap(1, termMax)
	if got := c.replicas[1].term; got != termLeapMax {
		t.Errorf("term %d", got)
	}
	c.leap(1, 2)
	if got := c.replicas[1].term; got != termLeapMax+2 {
		t.Errorf("term %d", got)
	}
}

// A new member's id may not take away those of all who come after.
func TestOneIDDoesNotEndAllAdding(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	for tag, id := range map[uint64]ReplicaID{1: ^ReplicaID(0), 2: confchange.IDMax, 3: 4 + confchange.IDLeapMax} {
		if why := c.change(l, tag, Operation{Kind: confchange.AddLearner, ID: id}); why != RefusedFarID {
			t.Errorf("replica %d is added: %v", id, why)
		}
	}
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 3 + confchange.IDLeapMax})
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 4 + confchange.IDLeapMax})
	for _, conf := range []Configuration{{Voters: []ReplicaID{1, confchange.IDMax + 1}}, {Voters: []ReplicaID{1}, Highest: confchange.IDMax + 1}} {
		if conf.Check() == nil {
			t.Errorf("%+v passes", conf)
		}
	}
}
