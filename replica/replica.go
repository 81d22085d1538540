package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
)

// Options are what a replica is told beside what its core is told.
type Options struct {
	// SnapshotBytes of entries are applied before the replica takes the next
	// snapshot of its own. Zero: it never takes one.
	SnapshotBytes uint64
}

// Replica is one running copy. All its verbs are called by its host, one at a
// time; see package documentation.
type Replica struct {
	core    *core.Raft
	storage Storage
	host    Host
	options Options
	limits  core.Limits
	// electionTicks is the least election timeout.
	electionTicks uint32

	// One step of the core.
	in  core.Input
	out core.Ready
	one [1]core.Proposal

	// The disk: writes that the host has and has not completed, and messages
	// that wait for one of them.
	//
	//	seq       .. completed] (completed+1 .. submitted]
	//	                         writes, held
	submitted uint64
	completed uint64
	writes    ring[*Write]
	held      ring[heldMessage]
	hardState core.HardState // the last one submitted
	chunk     []byte         // memory for InstallSnapshot.Data

	// The state machine: tasks that the host has, in their order, and the index
	// of the last entry handed over, which it will have applied when they have
	// run.
	tasks     ring[*Task]
	handed    core.Index
	queryOut  bool  // a TaskQuery is among the tasks
	spoilt    error // see Task; whoever runs tasks may touch it, nobody else
	snapshots snapshots
	pending   pending
	reads     reads
	// requests are the tags of requests that the core has not answered. It answers
	// each in the step that brings it, but for one transfer or resignation: there
	// are never more than two.
	requests   []uint64
	freeWrites []*Write
	freeTasks  []*Task

	// What was learnt from the core.
	leader     core.ReplicaID
	wantJitter bool

	dropped        DropReason
	droppedEntries int

	answer Answer
	halted *HaltError
	// unreadable: a message of this step could not be completed from the disk.
	unreadable error
}

// New opens the storage and starts the replica on what it finds. cfg.Boot is
// overwritten by what the storage says. The state machine is expected to be
// empty: if there is a snapshot, the first task restores it, and New hands it
// to the host before it returns.
func New(cfg core.Config, options Options, storage Storage, host Host) (*Replica, error) {
	opened, err := storage.Open()
	if err != nil {
		return nil, fmt.Errorf("replica: open storage: %w", err)
	}
	cfg.Boot = opened.Boot
	c, err := core.New(cfg, opened.State)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		core:           c,
		storage:        storage,
		host:           host,
		options:        options,
		limits:         cfg.Limits,
		electionTicks:  cfg.ElectionTicks,
		hardState:      opened.State.HardState,
		handed:         opened.State.Snapshot.Index,
		dropped:        opened.Dropped,
		droppedEntries: opened.DroppedEntries,
	}
	r.snapshots.latest = opened.State.Snapshot.Index
	if !opened.State.Snapshot.IsZero() {
		r.handRestore(&opened.State.Snapshot)
	}
	return r, nil
}

// Tick says that n ticks have passed, and brings a random number if it has
// one. A host delivers the ticks that its clock owes before anything else.
func (r *Replica) Tick(n, jitter uint32, hasJitter bool) {
	r.in = core.Input{Kind: core.InputTick, Ticks: n, Jitter: jitter, JitterSet: hasJitter}
	if hasJitter {
		r.wantJitter = false
	}
	_ = r.step()
	r.refuseOverdue(n)
	r.tickSnapshots(n)
}

// refuseOverdue answers the reads that were confirmed an upper election timeout
// ago and wait for entries that do not come: this replica may be cut off, and
// another may know better.
func (r *Replica) refuseOverdue(n uint32) {
	r.reads.ticks += uint64(n)
	for {
		tag, ok := r.reads.overdue(2 * uint64(r.electionTicks))
		if !ok {
			break
		}
		r.refuse(tag, true, core.RefusedTimeout, r.leader)
	}
	if r.halted == nil {
		r.handQueries() // those that stood after them
	}
}

// WantJitter asks for a random number with the next tick.
func (r *Replica) WantJitter() bool { return r.wantJitter }

// Receive takes a message, which is borrowed for the call, except that the
// data of entries is kept. The error is core.ErrBadMessage if no honest
// replica can have sent it, which changes nothing, or the HaltError.
func (r *Replica) Receive(m *core.Message) error {
	r.in = core.Input{Kind: core.InputMessage, Message: m}
	return r.step()
}

// NextDeadline is after how many ticks the replica may next do something of its
// own accord: a host may sleep that long and bring the ticks at once, as long
// as it brings those that it owes before anything else that happens.
func (r *Replica) NextDeadline() uint32 {
	next := uint64(r.core.NextDeadline())
	if deadline, waits := r.reads.deadline(2 * uint64(r.electionTicks)); waits {
		next = min(next, deadline)
	}
	if r.snapshots.failed() {
		next = min(next, max(r.snapshots.retryTicks, 1))
	}
	return uint32(next)
}

// Propose asks for a command to be applied. Tags are the caller's; those of
// reads and barriers are apart from all others, and all are below 1<<63. The command is
// kept, and must never be changed again.
func (r *Replica) Propose(tag uint64, command []byte) {
	r.one[0] = core.Proposal{Tag: tag, Data: command}
	r.ProposeBatch(r.one[:])
	r.one[0] = core.Proposal{}
}

// ProposeBatch asks for several, to stand in the log in this order as far as
// they are not refused. The slice is borrowed for the call.
func (r *Replica) ProposeBatch(proposals []core.Proposal) {
	for i := range proposals {
		mustTag(proposals[i].Tag)
	}
	r.in = core.Input{Kind: core.InputPropose, Proposals: proposals}
	if r.halted != nil {
		for i := range proposals {
			r.refuse(proposals[i].Tag, false, core.RefusedHalted, 0)
		}
		return
	}
	_ = r.step()
}

func mustTag(tag uint64) {
	if tag&readTag != 0 {
		panic(fmt.Sprintf("replica: tag %#x out of range", tag))
	}
}

// Change asks for other members. It is answered as applied when the first of
// the configurations that it takes is committed; Host.Members and Host.Event
// tell of the rest. The operations are borrowed for the call.
func (r *Replica) Change(tag uint64, change core.Change) {
	r.request(core.Input{Kind: core.InputChange, Tag: tag, Change: change})
}

// Transfer asks this leader to hand over to target, or to the best of the other
// voters when it is zero. It is answered as applied when that one leads.
func (r *Replica) Transfer(tag uint64, target core.ReplicaID) {
	r.request(core.Input{Kind: core.InputTransfer, Tag: tag, Target: target})
}

// Campaign asks this replica to stand for election now. It is refused while this
// one hears a leader, or may not stand; otherwise it is answered at once, and
// whether it wins, Leader will tell.
func (r *Replica) Campaign(tag uint64) {
	r.request(core.Input{Kind: core.InputCampaign, Tag: tag})
}

// Resign asks this replica not to lead any more until it is started again: to
// be called, and waited for, before it is shut down.
func (r *Replica) Resign(tag uint64) {
	r.request(core.Input{Kind: core.InputResign, Tag: tag})
}

// request passes on what is answered like a proposal.
func (r *Replica) request(in core.Input) {
	mustTag(in.Tag)
	if r.halted != nil {
		r.refuse(in.Tag, false, core.RefusedHalted, 0)
		return
	}
	r.requests = append(r.requests, in.Tag)
	r.in = in
	_ = r.step()
}

// requestEnds forgets a request that has got its answer, or waits for an entry.
func (r *Replica) requestEnds(tag uint64) {
	if i := slices.Index(r.requests, tag); i >= 0 {
		r.requests = slices.Delete(r.requests, i, i+1)
	}
}

// Read asks for a query to be answered from a state that has applied all that
// was acknowledged to anyone, anywhere, before this call. The query is
// borrowed until the answer.
func (r *Replica) Read(tag uint64, query []byte) {
	r.read(tag, query, false, core.Input{Kind: core.InputRead})
}

// ReadLease is Read, but a leader with a lease answers at once. That is right
// as long as the clock of no replica goes faster than that of another by more
// than driftPPM parts per million.
func (r *Replica) ReadLease(tag uint64, query []byte, driftPPM uint32) {
	r.read(tag, query, false, core.Input{Kind: core.InputRead, Lease: true, LeaseDriftPPM: driftPPM})
}

// Barrier asks to be told when this replica's state machine has applied all
// that was acknowledged to anyone before this call. It is answered like a read,
// without a reply.
func (r *Replica) Barrier(tag uint64) {
	r.read(tag, nil, true, core.Input{Kind: core.InputRead})
}

func (r *Replica) read(tag uint64, query []byte, barrier bool, in core.Input) {
	switch {
	case r.halted != nil:
		r.refuse(tag, true, core.RefusedHalted, 0)
		return
	case uint64(len(query)) > r.limits.EntryBytes:
		r.refuse(tag, true, core.RefusedTooLarge, 0)
		return
	case r.reads.len() >= int(r.limits.Reads),
		r.reads.bytes+uint64(len(query)) > r.limits.UnappliedBytes:
		r.refuse(tag, true, core.RefusedReadsFull, r.leader)
		return
	}
	in.Tag = r.reads.add(tag, query, barrier)
	r.in = in
	_ = r.step()
}

// Completed says that the writes with a Seq up to seq are durable; all of them
// are the replica's again. Late and repeated completions are harmless. With an
// error, it says that nothing after the last completion can be relied on, and
// the replica halts.
func (r *Replica) Completed(seq uint64, err error) {
	if r.halted != nil {
		return
	}
	if err != nil {
		r.halt(HaltStorage, err)
		return
	}
	if seq > r.submitted {
		r.halt(HaltHost, fmt.Errorf("write %d completed, %d submitted", seq, r.submitted))
		return
	}
	if seq > r.completed {
		r.performCompleted(seq)
	}
}

// Applied says that the task has run; it is the replica's again. The replica
// halts if it has not, or was reported before, or comes out of turn: nobody gets
// an answer that the state machine has not given.
func (r *Replica) Applied(t *Task) {
	if wrong := r.checkReport(t); wrong != "" {
		kind := TaskKind(0)
		if t != nil {
			kind = t.Kind
		}
		r.halt(HaltHost, fmt.Errorf("%v task %s", kind, wrong))
		return
	}
	t.stage = taskIdle
	if t.Kind == TaskSave {
		r.snapshots.save = nil
	} else {
		r.tasks.pop()
	}
	r.performApplied(t)
}

// checkReport says what is wrong with the report of a task, if anything is.
func (r *Replica) checkReport(t *Task) string {
	switch {
	case t == nil || t.stage == taskIdle:
		return "reported that is not with the host: twice?"
	case t.misrun:
		return "run twice, or after it was reported"
	case t.stage != taskRan:
		return "reported before it was run: the one before it twice?"
	case t.Kind == TaskSave && r.snapshots.save != t,
		t.Kind != TaskSave && (r.tasks.len() == 0 || *r.tasks.front() != t):
		return "reported out of turn"
	}
	return ""
}

// Core is the inspector's access: to look, not to Step.
func (r *Replica) Core() *core.Raft { return r.core }

// Leader is who this replica believes leads; zero if it knows of none.
func (r *Replica) Leader() core.ReplicaID { return r.leader }

// Recovery says what Opened said at the start.
func (r *Replica) Recovery() (DropReason, int) { return r.dropped, r.droppedEntries }

// HaltReason says which promise was broken.
type HaltReason uint8

const (
	// HaltStorage: a write or a sync failed. What is durable is unknown.
	HaltStorage HaltReason = iota + 1
	// HaltRead: a durable snapshot can not be read.
	HaltRead
	// HaltRestore: the state machine can not be restored from its snapshot.
	HaltRestore
	// HaltCore: the core has halted.
	HaltCore
	// HaltHost: the host reported something that was not asked for.
	HaltHost
)

var haltNames = [...]string{"none", "storage failed", "snapshot not readable", "snapshot not restored",
	"core halted", "host out of order"}

func (h HaltReason) String() string {
	if int(h) < len(haltNames) {
		return haltNames[h]
	}
	return "invalid"
}

// HaltError says why a replica has halted: it says nothing more to its peers
// and applies nothing more, until it is started again.
type HaltError struct {
	Reason HaltReason
	Err    error
}

func (e *HaltError) Error() string { return fmt.Sprintf("replica: halted: %v: %v", e.Reason, e.Err) }

func (e *HaltError) Unwrap() error { return e.Err }

// Halted is nil as long as the replica runs.
func (r *Replica) Halted() *HaltError { return r.halted }

// step gives r.in to the core and does what the core wants.
func (r *Replica) step() error {
	if r.halted != nil {
		return r.halted
	}
	err := r.core.Step(&r.in, &r.out)
	// What was borrowed for the call must not be kept alive beyond it.
	r.in.Message, r.in.Proposals, r.in.Change.Operations = nil, nil, nil
	if err == nil {
		r.perform(&r.out)
		return nil
	}
	if errors.Is(err, core.ErrHalted) {
		r.performRefusals(&r.out)
		r.halt(HaltCore, fmt.Errorf("%w: %v", err, r.core.Halted()))
		return r.halted
	}
	return err
}

// halt makes an end. Who still waits learns that: for a proposal in the log
// nobody here can say what becomes of it, and a read has no effect in any
// case. Tasks that the host has still bring their answers, because what was
// committed stays so.
func (r *Replica) halt(reason HaltReason, err error) {
	if r.halted != nil {
		return
	}
	r.halted = &HaltError{Reason: reason, Err: err}
	r.giveUpProposals()
	for _, tag := range r.requests {
		r.refuse(tag, false, core.RefusedHalted, 0)
	}
	r.requests = nil
	for s := range r.reads.slots {
		if r.reads.slots[s].state != readFree {
			r.refuse(r.reads.release(uint32(s)), true, core.RefusedHalted, 0)
		}
	}
	r.reads.confirmed = ring[uint32]{}
}
