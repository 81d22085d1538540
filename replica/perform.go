package replica

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
)

// This file is the only place that does what a core.Ready asks for. The order
// is that of its fields, but that who waits for an entry is noted before the
// entry is handed over, and three rules of it are what everything else
// stands on:
//
//   - A message that promises something leaves when what it promises is
//     durable: the write of its own step and every write before it.
//   - An entry is applied when the core says that it is committed, and in its
//     turn.
//   - A read is answered from a state that has applied the index that it was
//     confirmed at.

// perform does what the core wants after a step.
func (r *Replica) perform(rd *core.Ready) {
	// 1. The disk.
	if rd.WriteSet || rd.ChunkSet || len(rd.Released) > 0 {
		r.submitStep(rd)
	}

	// 2. Messages that promise nothing: beside the disk, not behind it.
	for i := range rd.Messages {
		r.send(&rd.Messages[i])
	}

	// 3. Messages that promise what some write still has to make durable.
	for i := range rd.Held {
		if r.completed == r.submitted {
			r.send(&rd.Held[i])
		} else {
			r.hold(&rd.Held[i])
		}
	}

	// Who waits for which entry is noted before entries are handed over, so
	// that no order of these two in one step can lose a waiter. Nobody outside
	// sees it.
	for _, a := range rd.Accepted {
		r.pending.add(a.ID, a.Tag)
		r.requestEnds(a.Tag)
	}
	if rd.LeaderChanged {
		r.leader = rd.Leader
	}

	// 4. The state machine.
	if rd.RestoreSet {
		r.handRestore(&rd.Restore)
	}
	if len(rd.Committed) > 0 {
		r.handPage(rd.Committed)
	}
	if rd.LostLeadership {
		r.giveUpProposals()
	}

	// 5. Reads.
	for _, c := range rd.Reads {
		r.reads.confirm(c.Tag, c.Index)
	}
	r.handQueries()

	// 6. What was asked about leadership, and refusals.
	for _, d := range rd.Done {
		r.requestEnds(d.Tag)
		r.answer = Answer{Tag: d.Tag, Kind: AnswerApplied, Leader: d.Leader}
		r.host.Answer(&r.answer)
	}
	r.performRefusals(rd)

	// 8. and 9. Members, and news.
	if rd.ConfigurationSet {
		r.host.Members(&rd.Configuration)
	}
	for _, e := range rd.Events {
		r.host.Event(e)
	}

	// 10. A random number, with the next tick.
	r.wantJitter = r.wantJitter || rd.WantJitter

	// Only now: who was accepted, confirmed or refused in this step has to be
	// known to whoever makes an end.
	if r.unreadable != nil {
		r.halt(HaltRead, r.unreadable)
	}
}

func (r *Replica) performRefusals(rd *core.Ready) {
	for _, f := range rd.Refusals {
		if f.Tag&readTag != 0 {
			r.refuse(r.reads.remove(f.Tag), true, f.Reason, f.Leader)
		} else {
			r.requestEnds(f.Tag)
			r.refuse(f.Tag, false, f.Reason, f.Leader)
		}
	}
}

// submitStep hands over the write of a step.
func (r *Replica) submitStep(rd *core.Ready) {
	w := r.takeWrite()
	if rd.WriteSet {
		w.core = true
		w.HardState = rd.HardState
		w.HardStateSet = rd.HardState != r.hardState
		r.hardState = rd.HardState
		w.Truncate = rd.Truncate
		w.Entries = append(w.Entries, rd.Entries...)
		w.Compact = rd.Compact
		w.Mark = rd.Mark
	}
	if rd.Reset {
		w.Reset, w.ResetTo = true, rd.Restore
	}
	if rd.ChunkSet {
		w.ChunkSet = true
		w.Chunk = rd.Chunk
		w.chunkData = append(w.chunkData, rd.Chunk.Data...)
		w.Chunk.Data = w.chunkData
	}
	for i := range rd.Released {
		if !r.deferRelease(&rd.Released[i]) {
			w.Released = append(w.Released, rd.Released[i])
		}
	}
	r.submit(w)
}

func (r *Replica) submit(w *Write) {
	r.submitted++
	w.Seq = r.submitted
	*r.writes.push() = w
	r.host.Submit(w)
}

// performCompleted does what waited for the writes up to seq.
func (r *Replica) performCompleted(seq uint64) {
	r.completed = seq
	for r.held.len() > 0 && r.held.front().seq <= seq {
		r.send(&r.held.pop().message)
	}
	// The steps below may submit further writes, beyond seq. What the core
	// hears about the last of several writes holds for those before it, unless
	// there is news of a snapshot in between.
	persisted := core.Persisted{}
	behind := false
	for r.halted == nil && r.writes.len() > 0 && (*r.writes.front()).Seq <= seq {
		w := *r.writes.pop()
		if w.core {
			persisted = core.Persisted{Log: w.Mark, Term: w.HardState.Term, Vote: w.HardState.Vote}
			behind = true
		}
		kind, snapshot := r.snapshotNews(w)
		r.putWrite(w)
		if behind && (kind != 0 || r.writes.len() == 0 || (*r.writes.front()).Seq > seq) {
			r.in = core.Input{Kind: core.InputPersisted, Persisted: persisted}
			_ = r.step()
			behind = false
		}
		if kind != 0 {
			r.in = core.Input{Kind: kind, Snapshot: snapshot}
			_ = r.step()
		}
	}
}

// performApplied does what waited for a task.
func (r *Replica) performApplied(t *Task) {
	kind, index := t.Kind, t.Index
	switch kind {
	case TaskApply, TaskQuery:
		if t.err != nil {
			r.giveUpTask(t)
			break
		}
		begin := 0
		for i := range t.waiters {
			w := &t.waiters[i]
			r.answer = Answer{Tag: w.tag, Kind: AnswerApplied, Read: kind == TaskQuery,
				Index: index, Reply: t.replies[begin:w.end]}
			if kind == TaskApply {
				r.answer.Index = t.Entries[w.entry].Index
			}
			begin = w.end
			r.host.Answer(&r.answer)
		}
		r.answer = Answer{}
		if kind == TaskQuery {
			r.queryOut = false
		}
	case TaskRestore, TaskSnapshot, TaskSave:
		if t = r.snapshotStage(t); t == nil {
			return
		}
	}
	r.putTask(t)
	if r.halted != nil {
		return
	}
	switch kind {
	case TaskApply, TaskRestore:
		r.in = core.Input{Kind: core.InputApplied, Applied: index}
		_ = r.step()
	case TaskQuery:
		r.handQueries()
	}
}

// giveUpTask answers those who wait for a task that was not done, because the
// state machine could not be restored before it.
func (r *Replica) giveUpTask(t *Task) {
	for i := range t.waiters {
		if t.Kind == TaskQuery {
			r.refuse(t.waiters[i].tag, true, core.RefusedHalted, 0)
		} else {
			r.answer = Answer{Tag: t.waiters[i].tag, Kind: AnswerUnknown, Leader: r.leader}
			r.host.Answer(&r.answer)
		}
	}
	r.halt(HaltRestore, t.err)
}

// handPage hands committed entries to the state machine, and with them those
// who wait for their replies.
func (r *Replica) handPage(entries []core.Entry) {
	t := r.takeTask(TaskApply)
	// Committed entries stay where they are in the core's log, for as long as
	// anyone looks at them.
	t.Entries = entries
	for i := range t.Entries {
		e := &t.Entries[i]
		tag, waits, overtaken := r.pending.take(e.EntryID)
		if waits {
			t.waiters = append(t.waiters, waiter{tag: tag, entry: i})
		} else if overtaken && !r.out.LostLeadership {
			panic(fmt.Sprintf("replica: entry %v is committed while another one before it waits", e.EntryID))
		}
		r.snapshots.bytes += e.Bytes()
	}
	if first := t.Entries[0].Index; first != r.handed+1 {
		panic(fmt.Sprintf("replica: entry %d is to be applied after %d", first, r.handed))
	}
	r.handed = t.Entries[len(t.Entries)-1].Index
	r.hand(t)
	r.maybeTakeSnapshot()
}

// handQueries hands over the reads whose index has been handed over before
// them: tasks run in order. One such task is out at a time, so that reads
// gather in the meantime.
func (r *Replica) handQueries() {
	if r.queryOut || !r.reads.ripe(r.handed) {
		return
	}
	t := r.takeTask(TaskQuery)
	t.waiters = r.reads.takeRipe(r.handed, t.waiters)
	r.queryOut = true
	r.hand(t)
}

// hand gives the task to the host. The state machine will then have applied
// what was handed over up to now.
func (r *Replica) hand(t *Task) {
	t.Index = r.handed
	t.stage = taskHanded
	if t.Kind == TaskSave {
		r.snapshots.save = t
	} else {
		*r.tasks.push() = t
	}
	r.host.Apply(t)
}

// giveUpProposals answers those who wait for entries that others decide about.
func (r *Replica) giveUpProposals() {
	for r.pending.queue.len() > 0 {
		r.answer = Answer{Tag: r.pending.queue.pop().tag, Kind: AnswerUnknown, Leader: r.leader}
		r.host.Answer(&r.answer)
	}
}

func (r *Replica) refuse(tag uint64, read bool, reason core.RefusalReason, leader core.ReplicaID) {
	r.answer = Answer{Tag: tag, Kind: AnswerRefused, Read: read, Reason: reason, Leader: leader}
	r.host.Answer(&r.answer)
}

// send lets a message go. A snapshot's bytes are put in here, from the disk.
func (r *Replica) send(m *core.Message) {
	if r.halted != nil {
		return
	}
	if m.Kind == core.KindInstallSnapshot {
		s := &m.InstallSnapshot
		if cap(r.chunk) < int(s.Length) {
			r.chunk = make([]byte, s.Length)
		}
		s.Data = r.chunk[:s.Length]
		n, err := r.storage.ReadSnapshot(&s.Snapshot, s.Offset, s.Data)
		if err == nil && n < len(s.Data) {
			err = ErrCorrupt
		}
		if err != nil {
			r.unreadable = fmt.Errorf("snapshot %v at %d: %w", s.Snapshot.EntryID, s.Offset, err)
			return
		}
	}
	r.host.Send(m)
}

// heldMax bounds the messages that wait for the disk. Their number is not
// bounded by the leader's window: heartbeats and rounds go on while a disk
// stands still, and each is answered.
const heldMax = 1024

// heldMessage is a message that waits for the writes up to seq.
type heldMessage struct {
	seq     uint64
	message core.Message
}

// hold keeps a message until everything submitted so far is durable. It is
// copied, because the Ready it came in is reused; what is held has no entries
// in it, since only a leader sends those, and its term is durable.
func (r *Replica) hold(m *core.Message) {
	if r.held.len() == heldMax {
		return // lost, as on any network
	}
	h := r.held.push()
	h.seq, h.message = r.submitted, *m
}

func (r *Replica) takeWrite() *Write {
	if n := len(r.freeWrites); n > 0 {
		w := r.freeWrites[n-1]
		r.freeWrites = r.freeWrites[:n-1]
		return w
	}
	return &Write{}
}

func (r *Replica) putWrite(w *Write) {
	clear(w.Entries)
	clear(w.Released)
	*w = Write{Entries: w.Entries[:0], Released: w.Released[:0], chunkData: keepArena(w.chunkData)}
	r.freeWrites = append(r.freeWrites, w)
}

func (r *Replica) takeTask(kind TaskKind) *Task {
	var t *Task
	if n := len(r.freeTasks); n > 0 {
		t = r.freeTasks[n-1]
		r.freeTasks = r.freeTasks[:n-1]
	} else {
		t = &Task{}
	}
	t.Kind = kind
	t.storage, t.spoilt = r.storage, &r.spoilt
	return t
}

func (r *Replica) putTask(t *Task) {
	t.reset()
	r.freeTasks = append(r.freeTasks, t)
}
