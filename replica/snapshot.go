package replica

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
)

// snapshots is what a replica knows about its snapshots. One of its own goes
// through these hands:
//
//	TaskSnapshot   the state machine is cloned, in its turn
//	TaskSave       the clone is streamed to the disk, beside everything else
//	Write.Publish  it becomes the latest, in the order of the writes
//	InputSnapshotTaken
//
// and one from a leader through these:
//
//	Write.Chunk ...             its pieces are kept, in order
//	InputSnapshotInstalled      the last one was durable, and the sum is right
//	TaskRestore                 the state machine is replaced, in its turn
type snapshots struct {
	latest core.Index // of the latest one that is durable
	taking bool       // one of this replica's own is on its way
	save   *Task      // the TaskSave that is with the host
	bytes  uint64     // of the entries handed over since the last one
	// After saves that failed, one after another: how many, and after how many
	// ticks the next one is tried.
	failures   uint32
	retryTicks uint64
	// later are snapshots that the core has released while a task to restore
	// them was still out.
	later []core.Snapshot
}

// maybeTakeSnapshot begins a snapshot of the state as of the last entry handed
// over, when enough has been applied since the last one.
func (r *Replica) maybeTakeSnapshot() {
	s := &r.snapshots
	if r.options.SnapshotBytes != 0 && s.bytes >= r.options.SnapshotBytes && !s.failed() {
		r.TakeSnapshot()
	}
}

// retryFactorMax bounds the time between a snapshot that could not be saved and
// the next one, in election timeouts.
const retryFactorMax = 64

// failed says that the last snapshot could not be saved, and another one is to
// be taken.
func (s *snapshots) failed() bool { return s.failures > 0 && !s.taking }

// saveFailed keeps the log as it is, and has a snapshot taken again after a
// time that doubles from one failure to the next: two election timeouts at
// first, 64 at most.
func (r *Replica) saveFailed(t *Task) {
	s := &r.snapshots
	s.taking = false
	factor := uint64(retryFactorMax)
	if s.failures < 5 {
		factor = 2 << s.failures
	}
	s.failures++
	s.retryTicks = factor * uint64(r.electionTicks)
	r.host.SaveFailed(fmt.Errorf("replica: snapshot %v not saved: %w", t.Snapshot.EntryID, t.err), s.retryTicks)
}

// tickSnapshots takes a snapshot again, when it is time to. If the leader's has
// replaced the state meanwhile, there may be nothing to take.
func (r *Replica) tickSnapshots(n uint32) {
	s := &r.snapshots
	if !s.failed() {
		return
	}
	s.retryTicks -= min(s.retryTicks, uint64(n))
	if s.retryTicks == 0 && !r.TakeSnapshot() {
		s.failures = 0
	}
}

// TakeSnapshot begins a snapshot of the state as of the last entry handed
// over, at once, also after one that could not be saved. It reports false if
// there is nothing new to take, one is under way already, or this replica is
// new and does not know yet who its members are.
func (r *Replica) TakeSnapshot() bool {
	s := &r.snapshots
	// What has been handed over is in the core's log still: only a snapshot at
	// or beyond it could compact it away.
	at := r.handed
	members, known := r.core.ConfigurationAt(at)
	if r.halted != nil || s.taking || at <= s.latest || !known {
		return false
	}
	s.taking = true
	s.bytes = 0
	term, chain, ok := r.core.Position(at)
	if !ok {
		panic(fmt.Sprintf("replica: entry %d was handed over and is not in the log", at))
	}
	t := r.takeTask(TaskSnapshot)
	t.Snapshot = core.Snapshot{
		EntryID:       core.EntryID{Term: term, Index: at},
		Digest:        chain,
		Time:          r.core.PositionTime(at),
		Configuration: members,
	}
	r.hand(t)
	return true
}

// handRestore hands over a snapshot that replaces the state.
func (r *Replica) handRestore(s *core.Snapshot) {
	t := r.takeTask(TaskRestore)
	t.Snapshot = *s
	r.handed = s.Index
	r.snapshots.bytes = 0
	r.hand(t)
}

// snapshotStage takes a task that has to do with snapshots on from where it
// is. It returns the task if it is done with it, and nil if it goes on.
func (r *Replica) snapshotStage(t *Task) *Task {
	if r.halted != nil {
		return t
	}
	switch t.Kind {
	case TaskRestore:
		if t.err != nil {
			r.halt(HaltRestore, fmt.Errorf("snapshot %v: %w", t.Snapshot.EntryID, t.err))
			return t
		}
		r.releaseLater(&t.Snapshot)
	case TaskSnapshot:
		t.Kind = TaskSave
		r.hand(t)
		return nil
	case TaskSave:
		if t.err != nil {
			r.saveFailed(t)
			return t
		}
		r.snapshots.failures = 0
		w := r.takeWrite()
		w.PublishSet, w.Publish = true, t.Snapshot
		r.submit(w)
	}
	return t
}

// snapshotNews says what a durable write means for the snapshots, as an input
// for the core; zero: nothing.
func (r *Replica) snapshotNews(w *Write) (core.InputKind, core.Snapshot) {
	s := &r.snapshots
	switch {
	case w.ChunkSet && w.Chunk.Last && w.SnapshotFailed:
		return core.InputSnapshotFailed, w.Chunk.Snapshot
	case w.ChunkSet && w.Chunk.Last:
		s.latest = max(s.latest, w.Chunk.Snapshot.Index)
		return core.InputSnapshotInstalled, w.Chunk.Snapshot
	case w.PublishSet:
		s.taking = false
		if w.Publish.Index <= s.latest {
			// One from the leader, further on, was faster: storage has dropped
			// this one.
			return 0, core.Snapshot{}
		}
		s.latest = w.Publish.Index
		return core.InputSnapshotTaken, w.Publish
	}
	return 0, core.Snapshot{}
}

// deferRelease says whether the bytes of a released snapshot are still to be
// restored from, and if so, sees to it that they go after that.
func (r *Replica) deferRelease(s *core.Snapshot) bool {
	for i := range r.tasks.len() {
		if t := *r.tasks.at(i); t.Kind == TaskRestore && t.Snapshot.Same(s) {
			r.snapshots.later = append(r.snapshots.later, *s)
			return true
		}
	}
	return false
}

// releaseLater lets go of a snapshot that has been restored, if the core has
// released it in the meantime.
func (r *Replica) releaseLater(s *core.Snapshot) {
	later := r.snapshots.later
	for i := range later {
		if later[i].Same(s) {
			r.snapshots.later = append(later[:i], later[i+1:]...)
			w := r.takeWrite()
			w.Released = append(w.Released, *s)
			r.submit(w)
			return
		}
	}
}
