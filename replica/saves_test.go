package replica

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// full fails SaveSnapshot as long as it is full, halfway through the stream.
type full struct {
	*Memory
	is bool
}

func (f *full) SaveSnapshot(s *core.Snapshot, src io.WriterTo) error {
	if f.is {
		return f.Memory.SaveSnapshot(s, halfway{src})
	}
	return f.Memory.SaveSnapshot(s, src)
}

var errFull = errors.New("no space left on device")

// halfway writes the first bytes of a stream and fails.
type halfway struct{ io.WriterTo }

func (halfway) WriteTo(w io.Writer) (int64, error) {
	n, _ := w.Write([]byte("the first bytes"))
	return int64(n), errFull
}

// TestFailedSaveKeepsTheLog: a snapshot that can not be saved costs nothing but
// the room for the log. The replica tells, tries again after a time that doubles
// up to a bound, and compacts its log once a save succeeds.
func TestFailedSaveKeepsTheLog(t *testing.T) {
	o := Options{SnapshotBytes: 500}
	c := newCluster(t, 1, o)
	n := c.elect(1)
	disk := &full{Memory: n.disk, is: true}
	n.replica.storage = disk
	for i := range uint64(100) {
		n.replica.Propose(i, []byte("some command"))
		n.settle()
	}
	if len(n.saveErrs) != 1 {
		t.Fatalf("%d saves tried while time stood still, want 1: %v", len(n.saveErrs), n.saveErrs)
	}
	if err := n.saveErrs[0]; !errors.Is(err, errFull) || !strings.Contains(err.Error(), "snapshot ") {
		t.Errorf("told %q", err)
	}
	s := n.replica.Core().Status()
	if s.First != 1 || s.Applied != s.Last.Index || len(n.sm.commands) != 100 {
		t.Fatalf("without a snapshot: %+v", s)
	}
	ticks := 0
	for len(n.saveErrs) < 9 {
		before := len(n.saveErrs)
		n.tick()
		n.settle()
		if ticks++; len(n.saveErrs) == before {
			continue
		}
		if want := n.retries[before-1]; uint64(ticks) != want {
			t.Errorf("tried again after %d ticks, announced %d", ticks, want)
		}
		ticks = 0
	}
	if want := []uint64{20, 40, 80, 160, 320, 640, 640, 640, 640}; !slices.Equal(n.retries, want) {
		t.Errorf("tries again after %d, want %d", n.retries, want)
	}
	// A host that sleeps as long as it may misses no retry.
	if d := n.replica.NextDeadline(); d == 0 || d > 640 {
		t.Errorf("next deadline in %d ticks", d)
	}
	disk.is = false
	for range 640 {
		n.tick()
		n.settle()
	}
	s = n.replica.Core().Status()
	if got := n.disk.Durable().Snapshot; got.EntryID != s.Snapshot || s.Snapshot.Index < 100 || s.First < 70 {
		t.Fatalf("after a save that succeeded: %+v, on disk %v", s, got.EntryID)
	}
	// The next failure starts from the shortest wait again.
	disk.is = true
	for i := range uint64(20) {
		n.replica.Propose(1000+i, []byte("some command"))
		n.settle()
	}
	if len(n.retries) != 10 || n.retries[9] != 20 {
		t.Errorf("after a success and a failure it tries again after %d", n.retries[9:])
	}
}

// TestSavesThatFailEverywhere: with no room for snapshots anywhere, the cluster
// goes on, and comes back after each restart.
func TestSavesThatFailEverywhere(t *testing.T) {
	o := Options{SnapshotBytes: 300}
	c := newCluster(t, 3, o)
	for round := range uint64(3) {
		for _, n := range c.hosts {
			n.replica.storage = &full{Memory: n.disk, is: true}
		}
		n := c.elect(1)
		for i := range uint64(30) {
			n.replica.Propose(100*round+i, fmt.Appendf(nil, "command %d", i))
			c.settle()
			if a := n.answers[100*round+i]; a.Kind != AnswerApplied {
				t.Fatalf("round %d, command %d: %+v", round, i, a)
			}
		}
		for _, n := range c.hosts {
			if h := n.replica.Halted(); h != nil || len(n.saveErrs) == 0 {
				t.Fatalf("replica %d: halted %v, told of %d failures", n.id, h, len(n.saveErrs))
			}
			n.disk.PowerLoss(0, 0)
			n.start(o)
		}
	}
}

// TestFailedSaveAndTheLeadersSnapshot: what a failed save was to be tried again
// for may be gone by then: the leader's snapshot has replaced it.
func TestFailedSaveAndTheLeadersSnapshot(t *testing.T) {
	n := newHost(t, 3, 3, Options{SnapshotBytes: 100})
	disk := &full{Memory: n.disk, is: true}
	n.replica.storage = disk
	prefix := []string{"a", "b", "c", "d"}
	m := appendTo(1, 1, nil, prefix...)
	m.AppendEntries.Commit = 4
	n.receive(m)
	n.settle()
	if len(n.saveErrs) == 0 {
		t.Fatal("no save was tried")
	}
	sm := &ledger{}
	for i := range uint64(50) {
		sm.Apply(i+1, i+1, []byte("x"), nil)
	}
	var p pieces
	sm.Snapshot().WriteTo(&p)
	s := core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 50}, Digest: 1, Time: 50, Size: p.sum.Size(), Sum: p.sum.Sum64(), Configuration: founding(3)}
	n.receive(core.Message{Kind: core.KindInstallSnapshot, From: 1, Term: 1,
		InstallSnapshot: core.InstallSnapshot{Snapshot: s, Length: uint32(s.Size), Data: p.data}})
	n.settle()
	disk.is = false
	for range 50 {
		n.tick()
		n.settle()
	}
	if n.sm.index != 50 || n.replica.snapshots.failed() || n.replica.snapshots.taking {
		t.Errorf("applied up to %d, snapshots %+v", n.sm.index, n.replica.snapshots)
	}
}

// TestFailedRestoreSaysWhy: the replica halts, and says what Restore returned.
func TestFailedRestoreSaysWhy(t *testing.T) {
	o := Options{SnapshotBytes: 300}
	n := newCluster(t, 1, o).elect(1)
	for i := range uint64(30) {
		n.replica.Propose(i, []byte("some command"))
		n.settle()
	}
	n.start(o)
	task := n.tasks[0]
	task.Run(unreadable{})
	if !errors.Is(task.Err(), errFormat) {
		t.Errorf("the task's error is %v", task.Err())
	}
	n.replica.Applied(task)
	h := n.replica.Halted()
	if h == nil || h.Reason != HaltRestore || !errors.Is(h, errFormat) || !strings.Contains(h.Error(), "can not read format 3") {
		t.Errorf("halted: %v", h)
	}
}

// TestNothingIsAnsweredAfterAFailedRestore: what stands behind a restore that
// fails is not done on what is left of the state, and nobody gets an answer from
// it.
func TestNothingIsAnsweredAfterAFailedRestore(t *testing.T) {
	o := Options{SnapshotBytes: 300}
	n := newCluster(t, 1, o).elect(1)
	for i := range uint64(30) {
		n.replica.Propose(i, []byte("some command"))
		n.settle()
	}
	n.start(o)
	for range 40 {
		n.tick()
		n.sync(len(n.writes))
	}
	n.replica.Read(100, []byte("q"))
	if len(n.tasks) < 1 {
		t.Fatal("nothing to restore")
	}
	later := n.replica.takeTask(TaskQuery)
	later.waiters = append(later.waiters, waiter{tag: 101})
	n.replica.hand(later)
	page := n.replica.takeTask(TaskApply)
	page.Entries = []core.Entry{{EntryID: core.EntryID{Term: 9, Index: 1000}, Kind: core.EntryCommand, Data: []byte("x")}}
	page.waiters = append(page.waiters, waiter{tag: 102})
	n.replica.hand(page)
	for len(n.tasks) > 0 {
		task := n.tasks[0]
		n.tasks = n.tasks[1:]
		task.Run(unreadable{}) // panics if anything but Restore is called
		n.replica.Applied(task)
	}
	for _, tag := range []uint64{100, 101} {
		if a, ok := n.read(tag); !ok || a.Kind != AnswerRefused {
			t.Errorf("read %d: %+v, answered %t", tag, a, ok)
		}
	}
	if a := n.answers[102]; a.Kind != AnswerUnknown {
		t.Errorf("proposal: %+v", a)
	}
	if h := n.replica.Halted(); h == nil || !errors.Is(h, errFormat) {
		t.Errorf("halted: %v", h)
	}
}

var errFormat = errors.New("can not read format 3")

// unreadable is a state machine that can not be restored.
type unreadable struct{ StateMachine }

func (unreadable) Restore(io.Reader) error { return errFormat }
