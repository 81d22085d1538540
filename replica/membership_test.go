package replica

import (
	"errors"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// join adds a host that knows nobody.
func (c *cluster) join() *host {
	n := &host{t: c.t, id: core.ReplicaID(len(c.hosts) + 1), disk: NewMemory(core.Configuration{}), answers: map[uint64]outcome{}}
	n.sm = &ledger{}
	n.start(Options{})
	c.hosts = append(c.hosts, n)
	return n
}

func TestMembersChangeAndAreAnnounced(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	n := c.join()
	l.replica.Change(5, core.Change{Operations: []core.Operation{
		{Kind: confchange.AddVoter, ID: n.id, Address: "here:1"},
		{Kind: confchange.Remove, ID: 3},
	}})
	c.ticks(20)
	if a := l.answers[5]; a.Kind != AnswerApplied {
		t.Fatalf("%+v", a)
	}
	for _, h := range []*host{l, n} {
		if m := h.members; !m.Votes(n.id) || m.Has(3) || m.Member(n.id).Address != "here:1" || m.IsJoint() {
			t.Errorf("replica %d was told %+v", h.id, m)
		}
	}
	told := map[core.Event]bool{}
	for _, e := range l.events {
		told[e] = true
	}
	if !told[core.Event{Kind: core.EventPromoted, Replica: n.id}] || !told[core.Event{Kind: core.EventRemoved, Replica: 3}] {
		t.Errorf("events: %v", l.events)
	}
	l.replica.Change(6, core.Change{Operations: []core.Operation{{Kind: confchange.AddLearner, ID: 3}}})
	if a := l.answers[6]; a.Kind != AnswerRefused || a.Reason != core.RefusedUsedID {
		t.Errorf("an id for the second time: %+v", a)
	}
}

func TestANewReplicaTakesNoSnapshotBeforeItKnowsItsMembers(t *testing.T) {
	c := newCluster(t, 3, Options{})
	n := c.join()
	if n.replica.TakeSnapshot() {
		t.Fatal("a snapshot without members")
	}
	l := c.elect(1)
	if !l.replica.TakeSnapshot() {
		t.Fatal("the leader takes none on demand")
	}
	c.settle()
	if got := l.replica.Core().Snapshot().Index; got != l.replica.Core().Status().Commit {
		t.Fatalf("snapshot at %d", got)
	}
	if l.replica.TakeSnapshot() {
		t.Fatal("nothing new, and yet another snapshot")
	}
}

func TestTransferAndResignationAreAnsweredOnce(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	l.replica.Transfer(1, 2)
	c.settle()
	if a := l.answers[1]; a.Kind != AnswerApplied || a.Leader != 2 {
		t.Fatalf("%+v", a)
	}
	l = c.hosts[1]
	l.replica.Resign(2)
	c.settle()
	if a := l.answers[2]; a.Kind != AnswerApplied || l.replica.Leader() == l.id {
		t.Fatalf("%+v, leader %d", a, l.replica.Leader())
	}
	l.replica.Campaign(3)
	if a := l.answers[3]; a.Kind != AnswerRefused || a.Reason != core.RefusedNotVoter {
		t.Fatalf("who has resigned stands for election: %+v", a)
	}
}

func TestAHaltAnswersATransferUnderWay(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	l.replica.Transfer(1, 2)
	if _, answered := l.answers[1]; answered {
		t.Fatal("answered before anyone else could lead")
	}
	l.replica.Completed(0, errors.New("the disk is gone"))
	if a := l.answers[1]; a.Kind != AnswerRefused || a.Reason != core.RefusedHalted {
		t.Fatalf("%+v", a)
	}
}

func TestBarrierWaitsForTheStateMachine(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	l.replica.Propose(1, []byte("a"))
	c.settle()
	f := c.hosts[1]
	f.replica.Barrier(9)
	c.settle()
	a, ok := f.read(9)
	if !ok || a.Kind != AnswerApplied || a.reply != "" {
		t.Fatalf("%+v", a)
	}
	if got, want := f.replica.Core().Status().Applied, l.replica.Core().Status().Commit; got != want {
		t.Fatalf("applied %d of %d", got, want)
	}
}

func TestRescueLetsTheSurvivorsGoOn(t *testing.T) {
	c := newCluster(t, 5, Options{})
	l := c.elect(1)
	l.replica.Propose(1, []byte("before"))
	c.ticks(3)
	commit := c.hosts[1].replica.Core().Status().Commit
	c.cut = func(m *core.Message) bool { return m.To > 2 || m.From > 2 }
	c.ticks(40)
	if c.hosts[0].replica.Leader() != 0 || c.hosts[1].replica.Leader() != 0 {
		t.Fatal("two of five have a leader")
	}
	n := c.hosts[1]
	if err := Rescue(n.disk, []core.ReplicaID{2, 7}); err == nil {
		t.Fatal("a stranger survived")
	}
	if err := Rescue(n.disk, []core.ReplicaID{2, 1}); err != nil {
		t.Fatal(err)
	}
	n.start(Options{})
	for range 100 {
		c.hosts[0].tick()
		n.tick()
		c.settle()
	}
	if n.replica.Leader() == 0 || c.hosts[0].replica.Leader() != n.replica.Leader() {
		t.Fatalf("leaders %d and %d", n.replica.Leader(), c.hosts[0].replica.Leader())
	}
	for _, h := range c.hosts[:2] {
		s := h.replica.Core().Status()
		if m := h.replica.Core().Configuration(); len(m.Voters) != 2 || s.Commit <= commit {
			t.Errorf("replica %d: %+v, commit %d", h.id, m, s.Commit)
		}
	}
}
