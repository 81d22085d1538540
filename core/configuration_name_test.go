package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// replacedConfiguration leads five replicas to where two leaders have each
// appended a configuration at one index: that of 1 has reached nobody but 3,
// that of 2 is in effect for 2, 4 and 5.
func replacedConfiguration(t *testing.T, of1, of2 Operation) (c *testCluster, old Configuration) {
	t.Helper()
	c = newTestCluster(t, 5)
	for _, id := range c.ids {
		c.replicas[id].electionTimeout = 19
	}
	c.replicas[1].electionTimeout = 10
	if l := c.elect(); l != 1 {
		t.Fatalf("leader %d", l)
	}
	c.run(3)
	c.cut = func(m *Message) bool { return m.From == 1 && m.To != 3 || m.To == 1 && m.From != 3 }
	c.propose(1, 1) // where 2 will have its no-op
	if why := c.change(1, 2, of1); why != RefusedNone {
		t.Fatal(why)
	}
	c.deliver()
	old = *c.members(1)
	c.cut = func(m *Message) bool { return m.From == 1 || m.To == 1 || m.From == 3 || m.To == 3 }
	c.replicas[4].resigned, c.replicas[5].resigned = true, true
	for c.replicas[2].role != RoleLeader {
		c.run(1)
	}
	c.run(3)
	if why := c.change(2, 3, of2); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(3)
	if now := c.members(2); now.Index != old.Index || now.EntryID == old.EntryID {
		t.Fatalf("configurations %v and %v", old.EntryID, now.EntryID)
	}
	return c, old
}

// A configuration that takes the place of another at the same index is told to
// the host: it has other members, at other addresses.
func TestConfigurationReplacedAtItsIndexIsTold(t *testing.T) {
	c, old := replacedConfiguration(t,
		Operation{Kind: confchange.Update, ID: 1, Address: "of a leader that is gone"},
		Operation{Kind: confchange.AddLearner, ID: 6, Address: "six"})
	three := c.replicas[3]
	if got := three.told[len(three.told)-1]; got.EntryID != old.EntryID {
		t.Fatalf("told of %v, not of %v", got.EntryID, old.EntryID)
	}
	c.cut = func(m *Message) bool { return m.From == 1 || m.To == 1 }
	c.run(10)
	if got, want := three.told[len(three.told)-1], c.members(3); !got.Equal(want) || got.Member(6).Address != "six" {
		t.Errorf("in effect is %+v, the host was told of %+v", *want, got)
	}
}

// A change that was made for one of them is refused under the other.
func TestCompareAndSetTellsConfigurationsOfOneIndexApart(t *testing.T) {
	c, old := replacedConfiguration(t, Operation{Kind: confchange.Demote, ID: 5}, Operation{Kind: confchange.Demote, ID: 4})
	c.cut = func(m *Message) bool { return m.From == 1 || m.To == 1 }
	c.run(10)
	why := c.changeIf(2, 4, Change{Operations: []Operation{{Kind: confchange.Demote, ID: 3}}, If: old.EntryID, IfSet: true})
	if why != RefusedConfigurationMoved {
		t.Errorf("made for %v, in effect is %v: %v", old.Voters, c.members(2).Voters, why)
	}
}

// A snapshot's configuration is named like any other.
func TestConfigurationOfASnapshotBearsItsTerm(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 9})
	c.run(3)
	c.snapshot(l)
	if got := c.replicas[l].Snapshot().Configuration.EntryID; got.Term != c.replicas[l].term || got != c.members(l).EntryID {
		t.Errorf("%v", got)
	}
}
