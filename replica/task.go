package replica

import (
	"io"

	"github.com/seaworthy-raft/seaworthy/core"
)

// TaskKind says what a task does to the state machine.
type TaskKind uint8

const (
	// TaskApply applies a page of committed entries.
	TaskApply TaskKind = iota + 1
	// TaskRestore replaces the state by that of a durable snapshot.
	TaskRestore
	// TaskQuery answers reads.
	TaskQuery
	// TaskSnapshot clones the state for a snapshot: StateMachine.Snapshot.
	TaskSnapshot
	// TaskSave streams such a clone to Storage.SaveSnapshot. It does not touch
	// the state machine and needs no place in the order of the others.
	TaskSave
)

var taskNames = [...]string{"none", "apply", "restore", "query", "snapshot", "save"}

func (k TaskKind) String() string {
	if int(k) < len(taskNames) {
		return taskNames[k]
	}
	return "invalid"
}

// Task is a piece of work for the state machine. Hosts look, and call Run;
// nothing in it is theirs to change.
type Task struct {
	Kind TaskKind
	// Entries are those that TaskApply applies; those that are not commands are
	// passed over.
	Entries []core.Entry
	// Snapshot is the one to restore, or the position of the one to be made.
	Snapshot core.Snapshot
	// Index is the last entry that the state machine has applied when the task
	// has run. It has no meaning for TaskSave.
	Index core.Index

	storage Storage
	// spoilt is the error of a restore that failed, and shared by all tasks of a
	// replica: the state machine is of no use after that, to anyone.
	spoilt  *error
	waiters []waiter    // TaskApply: who waits, in the order of the entries; TaskQuery: who asks
	replies []byte      // arena of the waiters' replies
	scratch []byte      // replies that nobody waits for
	source  io.WriterTo // from TaskSnapshot to TaskSave
	err     error
	stage   taskStage
	// misrun: the host has run it when it was not handed over, or twice. It is
	// kept until someone is told.
	misrun bool
}

// taskStage is where a task is. A host that reports one twice, or reports one
// that it has not run, is found out by it, even when the task is in use again.
type taskStage uint8

const (
	taskIdle   taskStage = iota // the replica's
	taskHanded                  // the host's, which has not run it
	taskRan                     // the host's, which has
)

// waiter is a tag that gets its answer from a task. An apply task's waiter
// stands at entry; a query's brings its query along.
type waiter struct {
	tag   uint64
	query []byte
	// barrier: there is nothing to ask.
	barrier bool
	entry   int // position in Task.Entries
	end     int // where its reply ends in the arena; it begins where the one before ends
}

// Bytes is about how much work the task is: the data of its entries or
// queries, or the size of the snapshot as far as it is known.
func (t *Task) Bytes() uint64 {
	switch t.Kind {
	case TaskApply:
		n := uint64(0)
		for i := range t.Entries {
			n += uint64(len(t.Entries[i].Data))
		}
		return n
	case TaskQuery:
		n := uint64(0)
		for i := range t.waiters {
			n += uint64(len(t.waiters[i].query))
		}
		return n
	case TaskRestore, TaskSave:
		return t.Snapshot.Size
	}
	return 0
}

// Queries is how many reads a TaskQuery answers.
func (t *Task) Queries() int {
	if t.Kind != TaskQuery {
		return 0
	}
	return len(t.waiters)
}

// Err is what went wrong when the task ran: a TaskRestore or a TaskSave can
// fail, and what comes after a restore that failed is not done. The replica deals
// with it when the task is reported.
func (t *Task) Err() error { return t.err }

// Run does the work: on sm, or for TaskSave on the storage. Only the host
// calls it, once, with its state machine. A second call does nothing, and the
// replica halts when it hears of the task.
func (t *Task) Run(sm StateMachine) {
	if t.stage != taskHanded {
		t.misrun = true
		return
	}
	t.stage = taskRan
	if t.Kind != TaskSave && *t.spoilt != nil {
		t.err = *t.spoilt
		return
	}
	switch t.Kind {
	case TaskApply:
		w := 0
		for i := range t.Entries {
			e := &t.Entries[i]
			waits := w < len(t.waiters) && t.waiters[w].entry == i
			if e.Kind == core.EntryCommand {
				if waits {
					t.replies = sm.Apply(uint64(e.Index), e.Time, e.Data, t.replies)
				} else {
					t.scratch = sm.Apply(uint64(e.Index), e.Time, e.Data, t.scratch[:0])
				}
			}
			if waits {
				t.waiters[w].end = len(t.replies)
				w++
			}
		}
	case TaskQuery:
		for i := range t.waiters {
			if !t.waiters[i].barrier {
				t.replies = sm.Query(t.waiters[i].query, t.replies)
			}
			t.waiters[i].end = len(t.replies)
		}
	case TaskRestore:
		t.err = t.restore(sm)
		*t.spoilt = t.err
	case TaskSnapshot:
		t.source = sm.Snapshot()
	case TaskSave:
		t.err = t.storage.SaveSnapshot(&t.Snapshot, t.source)
	}
}

func (t *Task) restore(sm StateMachine) error {
	r, err := t.storage.OpenSnapshot(&t.Snapshot)
	if err != nil {
		return err
	}
	err = sm.Restore(r)
	if e := r.Close(); err == nil {
		err = e
	}
	return err
}

// arenaKeepBytes is the largest arena that a task or write keeps for its next
// use: one large reply must not stay in memory for ever.
const arenaKeepBytes = 1 << 20

// reset empties the task for its next use.
func (t *Task) reset() {
	clear(t.waiters)
	*t = Task{
		misrun:  t.misrun,
		waiters: t.waiters[:0],
		replies: keepArena(t.replies),
		scratch: keepArena(t.scratch),
	}
}

func keepArena(b []byte) []byte {
	if cap(b) > arenaKeepBytes {
		return nil
	}
	return b[:0]
}
