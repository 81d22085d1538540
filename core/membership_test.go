package core

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
)

// change asks the leader l for a change and returns why it was refused.
func (c *testCluster) change(l ReplicaID, tag uint64, ops ...Operation) RefusalReason {
	c.t.Helper()
	return c.changeIf(l, tag, Change{Operations: ops})
}

func (c *testCluster) changeIf(l ReplicaID, tag uint64, change Change) RefusalReason {
	c.t.Helper()
	n := len(c.replicas[l].refused)
	c.step(l, Input{Kind: InputChange, Tag: tag, Change: change})
	if r := c.replicas[l].refused; len(r) > n {
		return r[len(r)-1].Reason
	}
	return RefusedNone
}

// mustChange asks for a change and lets it come to its end.
func (c *testCluster) mustChange(ops ...Operation) {
	c.t.Helper()
	l := c.leader()
	if why := c.change(l, 0, ops...); why != RefusedNone {
		c.t.Fatal(why)
	}
	for range 100 {
		c.run(1)
		if r := c.replicas[max(c.leader(), 1)]; c.leader() != 0 {
			if m := r.Configuration(); !m.IsJoint() && len(m.Planned) == 0 && m.Index <= r.log.commitIndex && m.Votes(c.leader()) {
				return
			}
		}
	}
	c.t.Fatalf("%v does not come to its end", ops)
}

// join starts a replica that knows nobody.
func (c *testCluster) join(id ReplicaID) {
	c.t.Helper()
	c.start(id, State{}, 1, testLimits())
	c.ids = append(c.ids, id)
}

// crash stops a replica for good.
func (c *testCluster) crash(id ReplicaID) {
	delete(c.replicas, id)
	c.flight = slices.DeleteFunc(c.flight, func(m Message) bool { return m.From == id })
}

func (c *testCluster) members(id ReplicaID) *Configuration {
	m := c.replicas[id].Configuration()
	return &m
}

func (c *testCluster) happened(id ReplicaID, e Event) int {
	n := 0
	for _, got := range c.replicas[id].events {
		if got == e {
			n++
		}
	}
	return n
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
	if got := c.members(l); len(got.Learners) != 2 || len(got.Voters) != 3 {
		t.Fatalf("before anyone has caught up: %+v", got)
	}
	c.run(30)
	l = c.leader()
	got := c.members(l)
	if len(got.Voters) != 3 || got.IsJoint() || got.Has(a) || got.Has(b) || got.Member(4).Address != "four" {
		t.Fatalf("%+v", got)
	}
	for _, e := range []Event{{EventPromoted, 4}, {EventPromoted, 5}, {EventRemoved, a}, {EventRemoved, b}} {
		if n := c.happened(l, e); n != 1 {
			t.Errorf("%d times: %v of replica %d", n, e.Kind, e.Replica)
		}
	}
	c.propose(l, 9)
	c.run(5)
	c.sameLogs(l, 4, 5)
	for _, id := range []ReplicaID{a, b} {
		if got := c.members(id); got.Has(id) {
			t.Errorf("replica %d was not told that it is removed: %+v", id, got)
		}
	}
	if why := c.change(l, 2, Operation{Kind: confchange.AddLearner, ID: a}); why != RefusedUsedID {
		t.Fatalf("an id that was removed: %v", why)
	}
}

func TestChangesAreRefusedWithAReason(t *testing.T) {
	add := Operation{Kind: confchange.AddLearner, ID: 9}
	c := newTestCluster(t, 3)
	if why := c.change(1, 1, add); why != RefusedNotLeader {
		t.Errorf("at a follower: %v", why)
	}
	for c.leader() == 0 {
		c.cut = func(m *Message) bool { return m.Kind == KindAppendEntriesResponse }
		c.run(1)
	}
	l := c.leader()
	if why := c.change(l, 2, add); why != RefusedTermNotOpen {
		t.Errorf("before an entry of the term is committed: %v", why)
	}
	c.cut = nil
	l = c.elect()
	r := c.replicas[l]
	last := r.log.lastIndex()
	for _, tt := range []struct {
		ops  []Operation
		want RefusalReason
	}{
		{nil, RefusedNoChange},
		{[]Operation{{Kind: confchange.Update, ID: 1}}, RefusedNoChange},
		{[]Operation{{Kind: confchange.AddVoter, ID: 3}}, RefusedUsedID},
		{[]Operation{{Kind: confchange.Remove, ID: 9}}, RefusedNoMember},
		{[]Operation{{Kind: confchange.Promote, ID: 1}}, RefusedNoMember},
		{[]Operation{{Kind: confchange.Remove, ID: 1}, {Kind: confchange.Demote, ID: 1}}, RefusedTwice},
		{[]Operation{{Kind: confchange.Remove, ID: 1}, {Kind: confchange.Remove, ID: 2}, {Kind: confchange.Remove, ID: 3}}, RefusedNoVoters},
		{[]Operation{{Kind: confchange.Update, ID: 1, Address: string(make([]byte, 300))}}, RefusedTooManyMembers},
	} {
		if why := c.change(l, 3, tt.ops...); why != tt.want {
			t.Errorf("%v: %v, want %v", tt.ops, why, tt.want)
		}
	}
	if r.log.lastIndex() != last || len(r.accepted) > 0 {
		t.Error("a refused change was appended")
	}

	// Another change is on its way, and then a joint configuration.
	c.cut = func(m *Message) bool { return m.To == l }
	if why := c.change(l, 4, Operation{Kind: confchange.Remove, ID: l%3 + 1}, Operation{Kind: confchange.Demote, ID: (l+1)%3 + 1}); why != RefusedNone {
		t.Fatal(why)
	}
	if why := c.change(l, 5, add); why != RefusedChangePending || !r.members().IsJoint() {
		t.Errorf("while a change is not committed: %v", why)
	}
	c.cut = nil
	c.run(10)
	if got := c.members(l); got.IsJoint() || len(got.Voters) != 1 || len(got.Learners) != 1 {
		t.Fatalf("%+v", got)
	}
	if a := r.accepted; len(a) != 1 || a[0].Tag != 4 || r.log.at(a[0].ID.Index).Kind != EntryConfiguration {
		t.Errorf("%+v", a)
	}
}

func TestChangeForAConfigurationThatHasMovedOnIsRefused(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	update := func(address string, at EntryID) RefusalReason {
		t.Helper()
		why := c.changeIf(l, 1, Change{Operations: []Operation{{Kind: confchange.Update, ID: 1, Address: address}}, If: at, IfSet: true})
		c.run(3)
		return why
	}
	if why := update("a", EntryID{Term: 1, Index: 1}); why != RefusedConfigurationMoved {
		t.Errorf("for one that never was: %v", why)
	}
	if why := update("a", EntryID{}); why != RefusedNone {
		t.Errorf("for the founding one: %v", why)
	}
	at := c.members(l).EntryID
	if why := update("b", EntryID{}); why != RefusedConfigurationMoved {
		t.Errorf("for the founding one, which is not in force: %v", why)
	}
	if why := update("b", at); why != RefusedNone || c.members(1).Member(1).Address != "b" {
		t.Errorf("for the one in force: %v", why)
	}
}

// appended is an entry behind prev.
func appended(prev Entry, term Term, conf *Configuration) Entry {
	e := Entry{EntryID: EntryID{Term: term, Index: prev.Index + 1}, Kind: EntryNoop, Time: prev.Time}
	if conf != nil {
		conf.EntryID = e.EntryID
		e.Kind, e.Data = EntryConfiguration, conf.Append(nil)
	}
	e.Digest = e.Chain(prev.Digest)
	return e
}

// A follower may be told of several configurations before it knows that any is
// committed. Each counts at once, and each truncation brings back the one that
// counted before.
func TestTruncationBringsEarlierConfigurationsBack(t *testing.T) {
	c := newTestCluster(t, 3)
	f := c.replicas[1]
	var log []Entry
	var prev Entry
	for i, voters := range [][]ReplicaID{nil, {1, 2}, nil, {1, 2, 3, 4}, {1, 4}} {
		var conf *Configuration
		if voters != nil {
			conf = &Configuration{Voters: voters, Highest: ReplicaID(3 + i/3)}
		}
		prev = appended(prev, 1, conf)
		log = append(log, prev)
	}
	send := func(from ReplicaID, term Term, behind int, entries ...Entry) {
		t.Helper()
		a := AppendEntries{Entries: entries}
		if behind > 0 {
			a.Prev, a.PrevDigest = log[behind-1].EntryID, log[behind-1].Digest
		}
		c.step(1, Input{Kind: InputMessage, Message: &Message{Kind: KindAppendEntries, Cluster: 7, From: from, To: 1, Boot: 1, Term: term, AppendEntries: a}})
	}
	want := func(index Index, voters ...ReplicaID) {
		t.Helper()
		if got := f.Configuration(); got.Index != index || !slices.Equal(got.Voters, voters) {
			t.Fatalf("configuration %+v, want that of %d with %v", got, index, voters)
		}
	}
	want(0, 1, 2, 3)
	send(2, 1, 0, log[:3]...)
	want(2, 1, 2)
	send(2, 1, 3, log[3:]...)
	want(5, 1, 4)
	if at, ok := f.ConfigurationAt(4); !ok || at.Index != 4 {
		t.Fatalf("%+v", at)
	}
	if at, _ := f.ConfigurationAt(3); at.Index != 2 {
		t.Fatalf("%+v", at)
	}
	send(3, 2, 4, appended(log[3], 2, nil)) // takes the last one away
	want(4, 1, 2, 3, 4)
	send(2, 3, 2, appended(log[1], 3, nil)) // and the one before
	want(2, 1, 2)
	send(2, 4, 0, appended(Entry{}, 4, nil))
	want(0, 1, 2, 3)
	var told []Index
	for i := range f.told {
		told = append(told, f.told[i].Index)
	}
	if !slices.Equal(told, []Index{2, 5, 4, 2, 0}) {
		t.Errorf("the host was told of the configurations of %v", told)
	}
}

// The configurations after a start are those before it, whether they stood in
// the log, in the snapshot, or behind it, and whatever the log still holds.
func TestRestartRestoresTheConfigurations(t *testing.T) {
	for _, trailing := range []uint64{0, 500, 1 << 20} {
		for at := range 7 {
			t.Run(fmt.Sprintf("snapshot after %d changes, %d bytes trailing", at, trailing), func(t *testing.T) {
				c := newTestCluster(t, 3)
				c.installs = true
				for _, id := range c.ids {
					limits := testLimits()
					limits.TrailingBytes = trailing
					c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: []ReplicaID{1, 2, 3}}}}, 1, limits)
				}
				c.elect()
				c.join(4)
				tag := uint64(0)
				for i, ops := range [][]Operation{
					{{Kind: confchange.AddLearner, ID: 4, Address: "four"}},
					{{Kind: confchange.Update, ID: 1, Priority: 0, Address: "one"}},
					{{Kind: confchange.Promote, ID: 4}, {Kind: confchange.Demote, ID: 2}},
					{{Kind: confchange.Remove, ID: 2}},
					{{Kind: confchange.AddVoter, ID: 5}}, // there is none yet, so it stays planned
				} {
					if i == at {
						c.snapshot(c.leader())
					}
					if i == 4 {
						if why := c.change(c.leader(), 0, ops...); why != RefusedNone {
							t.Fatal(why)
						}
					} else {
						c.mustChange(ops...)
					}
					tag++
					c.propose(c.leader(), tag)
					c.run(4)
				}
				l := c.leader()
				if at >= 5 {
					c.snapshot(l)
				}
				before := c.replicas[l]
				if trailing > 0 && at > 1 && at < 6 && before.log.base.Index >= before.snapshot.Index {
					t.Fatal("the log does not reach behind the snapshot")
				}
				c.restart(l)
				after := c.replicas[l]
				for i := before.snapshot.Index; i <= before.log.lastIndex(); i++ {
					x, _ := before.ConfigurationAt(i)
					y, ok := after.ConfigurationAt(i)
					if !ok || !x.Encodes(y.Append(nil)) {
						t.Fatalf("at %d: was %+v, is %+v", i, x, y)
					}
				}
				if x, y := before.Configuration(), after.Configuration(); !x.Encodes(y.Append(nil)) || !x.Promotes(5) {
					t.Fatalf("was %+v, is %+v", x, y)
				}
				// What was planned goes on under any leader.
				c.join(5)
				c.run(60)
				if got := c.members(c.leader()); !slices.Equal(got.Voters, []ReplicaID{1, 3, 4, 5}) {
					t.Fatalf("%+v", got)
				}
			})
		}
	}
}

// A snapshot brings the configuration along, to a new replica as to one that
// holds a later configuration of its own that nobody else has.
func TestInstalledSnapshotBringsItsConfiguration(t *testing.T) {
	c := newTestCluster(t, 3)
	c.installs = true
	old := c.elect()
	c.isolate(old)
	for i := range uint64(30) {
		c.propose(old, i)
	}
	if why := c.change(old, 1, Operation{Kind: confchange.Remove, ID: old%3 + 1}); why != RefusedNone {
		t.Fatal(why)
	}
	own := c.members(old)
	for c.leader() == old || c.leader() == 0 {
		c.run(1)
	}
	l := c.leader()
	c.run(3)
	c.join(4)
	if why := c.change(l, 2, Operation{Kind: confchange.AddLearner, ID: 4, Address: "four"}); why != RefusedNone {
		t.Fatal(why)
	}
	c.cut = func(m *Message) bool { return m.To == old || m.From == old || m.To == 4 }
	c.run(4)
	c.snapshot(l)
	s := c.replicas[l].snapshot
	if s.Configuration.Index == 0 || s.Index >= own.Index {
		t.Fatalf("%+v, own one of %d", s, own.Index)
	}
	c.cut = nil
	c.run(40)
	for _, id := range []ReplicaID{old, 4} {
		got := c.members(id)
		if len(c.replicas[id].restored) == 0 || !got.Encodes(s.Configuration.Append(nil)) {
			t.Errorf("replica %d: %d snapshots, %+v", id, len(c.replicas[id].restored), got)
		}
	}
	c.sameLogs(1, 2, 3, 4)
	c.restart(4)
	if got := c.members(4); !got.Encodes(s.Configuration.Append(nil)) {
		t.Errorf("after a start: %+v", got)
	}
}

// A replica that lives on a snapshot in which it is no member has been removed.
func TestSnapshotTellsOfARemoval(t *testing.T) {
	c := newTestCluster(t, 3)
	c.installs = true
	l := c.elect()
	x := l%3 + 1
	c.isolate(x)
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 9})
	r := c.replicas[l]
	s := Snapshot{EntryID: EntryID{Term: r.term, Index: r.log.lastIndex() + 5}, Digest: 1, Size: 0,
		Configuration: Configuration{EntryID: EntryID{Term: r.term, Index: r.log.lastIndex() + 1}, Voters: []ReplicaID{l}, Highest: 9}}
	c.step(x, Input{Kind: InputMessage, Message: &Message{Kind: KindInstallSnapshot, Cluster: 7, From: l, To: x, Boot: 1, Term: r.term,
		InstallSnapshot: InstallSnapshot{Snapshot: s}}})
	if c.happened(x, Event{EventRemoved, x}) != 1 || c.members(x).Has(x) {
		t.Fatalf("%+v, %+v", c.replicas[x].events, c.members(x))
	}
	c.run(100)
	if c.replicas[x].role != RoleFollower {
		t.Error("it stands for election")
	}
}

// slowly gives id no entry beyond what allowed says.
func (c *testCluster) slowly(id ReplicaID, allowed *Index) {
	c.cut = func(m *Message) bool {
		if m.To == id && m.Kind == KindAppendEntries {
			a := &m.AppendEntries
			for i := range a.Entries {
				if a.Entries[i].Index > *allowed {
					a.Entries = a.Entries[:i]
					break
				}
			}
		}
		return false
	}
}

// A learner is promoted after a round that takes less than an election
// timeout, and not before.
func TestLearnerIsPromotedWhenItKeepsUp(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.join(4)
	if why := c.change(l, 1, Operation{Kind: confchange.AddVoter, ID: 4}); why != RefusedNone {
		t.Fatal(why)
	}
	allowed := Index(0)
	c.slowly(4, &allowed)
	tag := uint64(10)
	for range 20 {
		// What the log holds now arrives when the log holds more.
		last := c.replicas[l].log.lastIndex()
		tag++
		c.propose(l, tag)
		allowed = last
		c.run(12)
		if got := c.members(l); !got.Promotes(4) || got.Votes(4) {
			t.Fatalf("a learner that needs 12 ticks for a round was promoted: %+v", got)
		}
	}
	if got := c.replicas[4].log.lastIndex(); got != allowed {
		t.Fatalf("it was meant to follow slowly: %d of %d", got, allowed)
	}
	allowed = ^Index(0)
	c.run(8)
	if got := c.members(l); !got.Votes(4) || len(got.Planned) > 0 {
		t.Fatalf("a learner that keeps up was not promoted: %+v", got)
	}
	if c.happened(l, Event{EventPromoted, 4}) != 1 || c.happened(4, Event{EventPromoted, 4}) != 1 {
		t.Error("nobody was told")
	}
}

// One that is silent does not count as having kept up before.
func TestSilentLearnerIsNotPromoted(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.join(4)
	if why := c.change(l, 1, Operation{Kind: confchange.AddVoter, ID: 4}, Operation{Kind: confchange.AddVoter, ID: 5}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(10)
	if p := c.replicas[l].peer(4); !p.CatchUp.Done {
		t.Fatal("it keeps up")
	}
	c.crash(4)
	c.run(15)
	c.join(5)
	c.run(40)
	if got := c.members(l); got.Votes(4) || got.Votes(5) || c.leader() != l {
		t.Fatalf("%+v", got)
	}
}

func TestRemovingALearnerDropsItsPlan(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	if why := c.change(l, 1, Operation{Kind: confchange.AddVoter, ID: 9}, Operation{Kind: confchange.Remove, ID: l%3 + 1}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(30)
	if got := c.members(l); len(got.Planned) != 2 || len(got.Voters) != 3 {
		t.Fatalf("%+v", got)
	}
	if why := c.change(l, 2, Operation{Kind: confchange.Remove, ID: 9}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(30)
	if got := c.members(l); len(got.Planned) > 0 || len(got.Voters) != 3 || got.Has(9) {
		t.Fatalf("%+v", got)
	}
	if c.replicas[l].peer(9) != nil {
		t.Error("a replica that never answered is followed after its removal")
	}
}

func TestDemotedVoterFollowsAndDecidesNothing(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.mustChange(Operation{Kind: confchange.Demote, ID: x})
	c.propose(l, 1)
	c.run(3)
	c.sameLogs(1, 2, 3)
	// Its word alone commits nothing, and it does not stand.
	other := 6 - l - x
	c.cut = func(m *Message) bool { return m.From == other || m.To == other }
	before := c.replicas[l].log.commitIndex
	c.propose(l, 2)
	c.run(5)
	if c.replicas[x].log.lastIndex() != before+1 || c.replicas[l].log.commitIndex != before {
		t.Fatalf("commit %d, was %d; the learner has %d", c.replicas[l].log.commitIndex, before, c.replicas[x].log.lastIndex())
	}
	c.crash(l)
	c.run(100)
	if r := c.replicas[x]; r.role != RoleFollower {
		t.Fatalf("a learner is %v", r.role)
	}
}

func TestDemotedLeaderHandsOver(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.mustChange(Operation{Kind: confchange.Demote, ID: l})
	if c.leader() == l || c.replicas[l].role != RoleFollower || !slices.Contains(c.members(l).Learners, l) {
		t.Fatalf("leader %d, was %d", c.leader(), l)
	}
	c.propose(c.leader(), 1)
	c.run(4)
	c.sameLogs(1, 2, 3)
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
	if c.happened(l, Event{EventRemoved, l}) != 1 || c.happened(l, Event{EventHandover, c.leader()}) != 1 {
		t.Errorf("%+v", c.replicas[l].events)
	}
	c.run(100)
	if c.replicas[l].role != RoleFollower {
		t.Fatal("a removed replica stands for election")
	}
}

// A leader that is none of the voters any more does not stay because nobody
// can take over at that moment, and does not repeat itself at every answer.
func TestRemovedLeaderStepsDownWhenNobodyCanTakeOver(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	if why := c.change(l, 1, Operation{Kind: confchange.Remove, ID: l}); why != RefusedNone {
		t.Fatal(why)
	}
	// A transfer that fails is under way when the removal is committed.
	c.step(l, Input{Kind: InputTransfer, Tag: 2, Target: l%3 + 1})
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	for range 9 {
		c.run(1)
	}
	if r.role != RoleLeader || !r.handover.active() || r.log.commitIndex < r.members().Index {
		t.Fatalf("%+v", r.Status())
	}
	for i := range r.lead.peers {
		if p := &r.lead.peers[i]; p.ID != l {
			p.BecomeSnapshot(progress.Stream{})
		}
	}
	c.tick(l, 1)
	if r.role != RoleFollower {
		t.Fatalf("it leads on: %+v", r.Status())
	}
	c.cut = nil
	c.run(60)
	if got := c.leader(); got == l || got == 0 {
		t.Fatalf("leader %d", got)
	}
}

// The last configuration of the log is not committed, and this replica is no
// voter there: it may be the only one with all that is committed, and has to
// stand (dissertation §4.2.2).
func TestVoterOfAConfigurationThatMayCountAgainStands(t *testing.T) {
	c := newTestCluster(t, 4)
	l := c.elect()
	x := l%4 + 1
	c.run(3)
	// The removal of x reaches nobody but x, and the leader is gone.
	c.cut = func(m *Message) bool { return m.From == l && m.To != x }
	if why := c.change(l, 1, Operation{Kind: confchange.Remove, ID: x}); why != RefusedNone {
		t.Fatal(why)
	}
	c.deliver()
	if c.members(x).Has(x) || c.replicas[x].log.commitIndex >= c.members(x).Index {
		t.Fatalf("%+v", c.members(x))
	}
	c.crash(l)
	c.cut = nil
	won := false
	for range 200 {
		c.run(1)
		won = won || c.happened(x, Event{EventRemoved, x}) > 0
		if c.leader() != 0 && c.leader() != x && won {
			break
		}
	}
	got := c.leader()
	if !won || got == 0 || got == x {
		t.Fatalf("leader %d, replica %d is %+v", got, x, c.replicas[x].Status())
	}
	if m := c.members(got); m.Has(x) || m.Index > c.replicas[got].log.commitIndex {
		t.Fatalf("%+v", m)
	}
	// Now that it is committed, it stands no more.
	c.isolate(x)
	c.run(100)
	if c.replicas[x].role != RoleFollower {
		t.Fatal("it stands for election though its removal is committed")
	}
}

// A replica that was removed while it was away never hears of it, and disturbs
// nobody.
func TestReplicaThatDoesNotKnowOfItsRemovalDisturbsNobody(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.isolate(x)
	c.run(20)
	c.mustChange(Operation{Kind: confchange.Remove, ID: x})
	c.run(20)
	if c.replicas[l].peer(x) != nil {
		t.Error("a silent replica is followed after its removal")
	}
	term := c.replicas[l].term
	c.cut = nil
	c.run(300)
	if c.leader() != l || c.replicas[l].term != term {
		t.Fatalf("leader %d in term %d became %d in term %d", l, term, c.leader(), c.replicas[c.leader()].term)
	}
	if !c.members(x).Has(x) {
		t.Error("it was told after all; this test is about one that was not")
	}
	// Its words change nothing either.
	before := c.replicas[l].log.commitIndex
	for _, kind := range []MessageKind{KindAppendEntriesResponse, KindInstallSnapshotResponse} {
		m := Message{Kind: kind, Cluster: 7, From: x, To: l, Boot: 1, Term: term}
		m.AppendEntriesResponse.Match, m.InstallSnapshotResponse.Match = before, before
		c.step(l, Input{Kind: InputMessage, Message: &m})
	}
	if c.replicas[l].peer(x) != nil {
		t.Error("a word of a replica that is no member made it a peer")
	}
}

// A removed replica that answers is told, and then left alone.
func TestRemovedReplicaIsToldAndLeftAlone(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.mustChange(Operation{Kind: confchange.Remove, ID: x})
	c.run(6)
	if c.happened(x, Event{EventRemoved, x}) != 1 || c.members(x).Has(x) {
		t.Fatalf("%+v", c.members(x))
	}
	if c.replicas[l].peer(x) != nil {
		t.Error("it is followed after it was told")
	}
	c.cut = func(m *Message) bool {
		if m.From == x || m.To == x {
			t.Errorf("message of kind %d from %d to %d", m.Kind, m.From, m.To)
		}
		return false
	}
	c.run(100)
	c.restart(x)
	c.run(100)
	if c.replicas[x].role != RoleFollower {
		t.Error("it stands for election")
	}
}

// A replica that learns of its removal in the step that brings the entry and its
// commit knows it after a restart as well.
func TestRemovedReplicaRemembersItsRemoval(t *testing.T) {
	c := newTestCluster(t, 4)
	l := c.elect()
	x := l%4 + 1
	c.cut = func(m *Message) bool { return m.To == x && len(m.AppendEntries.Entries) > 0 }
	if why := c.change(l, 1, Operation{Kind: confchange.Remove, ID: x}); why != RefusedNone {
		t.Fatal(why)
	}
	c.deliver()
	if c.replicas[l].log.commitIndex < c.members(l).Index {
		t.Fatal("not committed")
	}
	c.cut = nil
	c.run(6)
	c.cut = func(m *Message) bool { return m.To == x }
	if c.happened(x, Event{EventRemoved, x}) != 1 || c.replicas[x].mayStand() {
		t.Fatalf("%+v", c.replicas[x].Status())
	}
	c.restart(x)
	if c.replicas[x].mayStand() {
		t.Fatalf("it has forgotten: %+v", c.replicas[x].Status())
	}
}

// A change after which those who decide are not in touch would be the last one
// for a long time: two of three voters are a majority, and one of them is to go
// while the third is down.
func TestChangeIsRefusedWhenThoseWhoWouldDecideAreSilent(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	dead, other := l%3+1, (l+1)%3+1
	c.crash(dead)
	c.run(30)
	for _, kind := range []confchange.OperationKind{confchange.Remove, confchange.Demote} {
		if why := c.change(l, 1, Operation{Kind: kind, ID: other}); why != RefusedQuorumSilent {
			t.Fatalf("%v: %v", kind, why)
		}
	}
	c.run(50)
	if c.leader() != l || c.members(l).Index != 0 {
		t.Fatalf("leader %d, %+v", c.leader(), c.members(l))
	}
	// The dead one may go, and then the other.
	c.mustChange(Operation{Kind: confchange.Remove, ID: dead})
	c.mustChange(Operation{Kind: confchange.Remove, ID: other})
}

// A plan waits as well: two of five voters are down, and it is two others that are
// to be replaced.
func TestPlanWaitsForThoseWhoWouldDecide(t *testing.T) {
	c := newTestCluster(t, 5)
	l := c.elect()
	at := func(n ReplicaID) ReplicaID { return (l-1+n)%5 + 1 }
	if why := c.change(l, 1, Operation{Kind: confchange.AddVoter, ID: 6},
		Operation{Kind: confchange.Remove, ID: at(1)}, Operation{Kind: confchange.Remove, ID: at(2)}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(3)
	st := c.replicas[at(3)].disk
	c.crash(at(3))
	c.crash(at(4))
	c.run(30)
	c.join(6)
	c.run(30)
	if p := c.replicas[l].peer(6); !p.CatchUp.Done || c.members(l).IsJoint() || c.leader() != l {
		t.Fatalf("leader %d, %+v, %+v", c.leader(), c.members(l), p)
	}
	c.start(at(3), st, 9, c.replicas[l].cfg.Limits)
	c.run(30)
	if m := c.members(c.leader()); !m.Votes(6) || m.Has(at(1)) || m.Has(at(2)) || m.IsJoint() {
		t.Fatalf("%+v", m)
	}
}

// The leader has promoted a learner, and nobody knows; the next one has told
// nobody but that learner what it began with, and is gone. Of the two voters that
// are left one needs the learner's vote, and does not get it: so the learner
// stands, though nothing it knows says yet that it votes.
func TestLearnerWhoseVoteIsNeededStands(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	a, b := l%3+1, (l+1)%3+1
	c.run(5)
	c.join(4)
	if why := c.change(l, 1, Operation{Kind: confchange.AddVoter, ID: 4}); why != RefusedNone {
		t.Fatal(why)
	}
	c.cut = func(m *Message) bool { return m.From == l && c.members(l).Votes(4) }
	for n := 0; !c.members(l).Votes(4); n++ {
		if c.run(1); n > 100 {
			t.Fatal("it is not promoted")
		}
	}
	c.cut = func(m *Message) bool {
		return m.From == l || m.To == l || m.From == a && m.To == b && m.Kind == KindAppendEntries
	}
	for n := 0; c.replicas[a].role != RoleLeader; n++ {
		if c.tick(a, 1); n < 10 {
			c.tick(b, 1) // as long as they would stick to the one before
			c.tick(4, 1)
		}
		if c.deliver(); n > 200 {
			t.Fatal("no second leader")
		}
	}
	c.deliver()
	if c.members(a).Votes(4) || c.replicas[4].log.last() != c.replicas[a].log.last() ||
		c.replicas[b].log.last().Term == c.replicas[a].term {
		t.Fatalf("%+v, %+v", c.replicas[4].Status(), c.replicas[b].Status())
	}
	term := c.replicas[a].term
	c.crash(a)
	c.cut = nil
	for n := 0; ; n++ {
		c.run(1)
		if got := c.leader(); got != 0 && c.replicas[got].term > term && c.members(got).Votes(4) && c.replicas[got].log.commitIndex >= c.members(got).Index {
			break
		}
		if n > 200 {
			t.Fatalf("%d and %d, a majority of what is committed, elect nobody", l, b)
		}
	}
}

// A snapshot right before a configuration that is not committed: what counted
// before it goes into the snapshot, and counts again if its entry goes.
func TestSnapshotBeforeAnUncommittedConfiguration(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	c.isolate(l)
	if why := c.change(l, 1, Operation{Kind: confchange.Remove, ID: l%3 + 1}); why != RefusedNone {
		t.Fatal(why)
	}
	c.snapshot(l)
	r := c.replicas[l]
	if r.log.base.Index+1 != r.members().Index || r.snapshot.Configuration.Index != 0 || len(r.snapshot.Configuration.Voters) != 3 {
		t.Fatalf("base %d, configuration of %d, snapshot %+v", r.log.base.Index, r.members().Index, r.snapshot)
	}
	for c.leader() == l || c.leader() == 0 {
		c.run(1)
	}
	c.cut = nil
	c.run(30)
	if got := c.members(l); got.Index != 0 || len(got.Voters) != 3 {
		t.Fatalf("%+v", got)
	}
	c.sameLogs(1, 2, 3)
}
