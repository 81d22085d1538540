package sim

import (
	"errors"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// The fault model of the devices below a replica. The disk itself is
// replica.Memory, which says what a power loss may leave; here is how long
// things take.
//
// Writes are appended at once and made durable by a sync, one at a time: what
// is appended while a sync is under way waits for the next, as on a real disk.
// So at any moment there may be writes that are durable and known to be, that
// are durable and not known to be (the completion waits for a paused process),
// that are being synced, and that are only appended. A sync takes the
// scenario's time, now and then many times as long, for a while always so many
// times as long, or nothing comes back at all until a stall is over. One disk may
// be slow for ever. A sync never ends too early. It may fail, and what is not durable by then may be lost as
// with a power loss: the process has to end, and nothing that it says after that
// is to be relied on.
//
// The state machine is slow and stalls in the same ways, beside the disk: it is
// part of the process, and is gone when that ends.

// device is a thing that does one piece of work after another.
type device struct {
	DiskScenario
	stream choice.Stream
	// serial counts the pieces of work; the end of an earlier one is void.
	serial uint32
	// Faults.
	slowUntil    uint64
	slowFactor   uint64
	stalledUntil uint64
	failing      bool // the next sync fails
	// leastNanos is what everything takes at least, for ever.
	leastNanos uint64
}

// takes is how long a piece of work of so many bytes takes from now on.
func (d *device) takes(w *world, bytes uint64) uint64 {
	t := d.BaseNanos + d.NanosPerByte*bytes
	if d.Slow != 0 && w.source.Chance(d.stream, d.Slow, 10_000) {
		t = max(t, 1000) * w.source.ChooseLog(d.stream, 2, max(d.SlowFactor, 2))
	}
	if w.now < d.slowUntil {
		t = max(t, 1000) * d.slowFactor
	}
	if w.now+t < d.stalledUntil {
		t = d.stalledUntil - w.now
	}
	return max(t, d.leastNanos)
}

// plan lets the piece of work under way end after so many nanoseconds.
func (d *device) plan(h *host, kind eventKind, nanos uint64) {
	d.serial++
	h.w.queue.push(h.w.now+nanos, kind, uint8(h.index), d.serial)
}

// stalled says that nothing comes back yet.
func (d *device) stalled(w *world) bool { return w.now < d.stalledUntil }

// heal ends the faults, and lets nothing take longer than most, but for what a
// disk takes that is slow for the whole run.
func (d *device) heal(most uint64) {
	d.slowUntil, d.stalledUntil, d.failing = 0, 0, false
	d.Slow = 0
	d.BaseNanos = min(d.BaseNanos, most/2)
	d.NanosPerByte = 0
}

// disk is the Storage of a replica and what is under way on it. By Seq of
// writes:
//
//	told <= synced <= syncing <= appended
type disk struct {
	device
	memory *replica.Memory
	own    *twin // what stands in for the memory, which runs beside it; or nil
	// Until when no snapshot can be saved; and whether one that is to be restored
	// can not be read.
	savesFailUntil uint64
	unreadable     bool
	saveFailed     bool // the last one could not

	told     uint64 // the replica knows that these are durable
	synced   uint64
	syncing  uint64 // equal to synced: no sync is under way
	appended uint64
	bytes    uint64 // appended since the last sync began
	failed   bool   // the sync under way has ended with an error
}

// storage is what a replica starts on.
func (d *disk) storage() replica.Storage {
	if d.own != nil {
		return d.own
	}
	return d.memory
}

// boot forgets what was under way.
func (d *disk) boot() {
	d.serial++
	d.told, d.synced, d.syncing, d.appended, d.bytes = 0, 0, 0, 0, 0
	d.failing, d.failed = false, false
}

// append takes a write. It is not durable before a sync.
func (d *disk) append(h *host, wr *replica.Write) {
	if err := d.memory.Append(wr); err != nil {
		h.w.failAt(Safety, h.index, "WriteOrder", err.Error())
		return
	}
	if d.own != nil && d.own.Append(wr) != nil {
		return
	}
	d.appended = wr.Seq
	d.bytes += wr.Bytes()
}

// startSync begins a sync of all that is appended, unless one is under way. It
// reports whether it is over already.
func (d *disk) startSync(h *host) bool {
	if d.syncing != d.synced || d.appended == d.synced {
		return false
	}
	d.syncing = d.appended
	t := d.takes(h.w, d.bytes)
	d.bytes = 0
	if t == 0 {
		d.endSync(h)
		return true
	}
	d.plan(h, eventDisk, t)
	return false
}

// endSync makes durable what is being synced. Of a paused process the disk goes
// on, and the completion waits.
func (d *disk) endSync(h *host) {
	if d.failing {
		d.failing, d.failed = false, true
		return
	}
	if err := d.memory.Sync(d.syncing); err != nil {
		h.w.failAt(Safety, h.index, "Sync", err.Error())
		return
	}
	if d.own != nil && d.own.Sync(d.syncing) != nil {
		return
	}
	d.synced = d.syncing
	h.stalled = false
	h.w.emit(TraceDurable, h.index, d.synced, 0, 0, 0)
}

// errSync is what a disk says of a sync that failed.
var errSync = errors.New("sim: sync failed")

// tellFailure brings the news of a sync that failed. The process has to end
// with it, and starts again later, on a disk that has lost something.
func (h *host) tellFailure() {
	w := h.w
	h.disk.failed = false
	h.replica.Completed(h.disk.syncing, errSync)
	if w.failure != nil {
		return
	}
	if h.replica.Halted() == nil {
		w.failAt(Safety, h.index, "Sync", "it goes on after a sync that failed")
		return
	}
	w.fault(FaultDiskFail)
	w.tell(TraceEvent{
		Kind: TraceFault, Replica: h.index, Words: [4]uint64{uint64(FaultDiskFail)}, Detail: replicaText(uint64(h.id)) + ", a sync failed",
	})
	h.stop(downPower, h.disk.stream)
	w.queue.push(w.now+w.nemesis.duration(), eventStart, uint8(h.index), h.incarnation)
}

// powerLoss takes what was not synced, except for what is drawn. It reports
// whether anything was lost.
func (d *disk) powerLoss(w *world, st choice.Stream) bool {
	if d.own != nil {
		d.own.powerLoss(w)
		return false // what was lost shows at the next start
	}
	logs, hards := d.memory.Unsynced()
	keepLogs, keepHard := logs, hards
	if logs > 0 {
		keepLogs = logs - lossOf(w.source, st, logs)
	}
	if hards > 0 {
		keepHard = hards - lossOf(w.source, st, hards)
	}
	if keepHard > 0 && keepLogs < logs {
		w.mark(MarkHardStateWithoutLog)
	}
	if keepLogs > 0 && keepHard < hards {
		w.mark(MarkLogWithoutHardState)
	}
	d.memory.PowerLoss(keepLogs, keepHard)
	return keepLogs < logs || keepHard < hards
}

// lossOf draws how many of n go: none, all, or any number.
func lossOf(src *choice.Source, st choice.Stream, n int) int {
	switch src.Choose(st, 3) {
	case 0:
		return 0
	case 1:
		return n
	default:
		return int(src.ChooseRange(st, 0, uint64(n)))
	}
}

// heal ends the faults of both devices of a host, and what they were busy with
// takes no longer than what comes after.
func (h *host) heal() {
	w := h.w
	d, a := &h.disk, &h.applier
	d.device.heal(w.scenario.TickNanos)
	a.device.heal(w.scenario.TickNanos)
	if h.replica == nil {
		return
	}
	if d.syncing != d.synced {
		d.plan(h, eventDisk, d.takes(w, 0))
	}
	if a.busy {
		a.plan(h, eventTask, a.takes(w, 0))
	}
}

// applier is the state machine of a replica, and the work it is given.
type applier struct {
	device
	tasks ring // to be done in order; the first may be under way
	busy  bool // the first one ends with an event
	saves ring // snapshots being saved, beside the others
}

// ring is a queue of tasks.
type ring struct {
	tasks []*replica.Task
	head  int
}

func (r *ring) len() int { return len(r.tasks) - r.head }

func (r *ring) push(t *replica.Task) { r.tasks = append(r.tasks, t) }

func (r *ring) front() *replica.Task { return r.tasks[r.head] }

func (r *ring) pop() *replica.Task {
	t := r.tasks[r.head]
	r.tasks[r.head] = nil
	r.head++
	if r.head == len(r.tasks) {
		r.tasks, r.head = r.tasks[:0], 0
	}
	return t
}

func (r *ring) clear() {
	clear(r.tasks)
	r.tasks, r.head = r.tasks[:0], 0
}
