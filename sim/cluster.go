package sim

import (
	"fmt"
	"io"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/netsim"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/wire"
)

// host is one machine of the cluster: a disk that survives, and a process that
// may not, with the replica in it. It is the replica's Host.
type host struct {
	w     *world
	index int
	id    core.ReplicaID

	clock    clock
	jitter   choice.Stream
	timeouts uint64 // random numbers of election timeouts, so far
	disk     disk

	// The process. It is down exactly if replica is nil.
	replica *replica.Replica
	machine witness
	applier applier
	// incarnation counts the processes; an event of an earlier one is void.
	incarnation uint32
	// timer counts the plans of the clock; a tick of an earlier plan is void.
	timer   uint32
	paused  bool
	waiting []event // what came while it was paused, in order

	batch []core.Proposal // gathered, for eventBatch
	one   [1]core.Proposal

	role role // as last seen
	down downReason

	// What the operator has done to it, and what it has told.
	resigned bool // this process was asked not to lead any more
	retired  bool // it was taken away for good
	out      bool // its disk is gone, or no process may start on it
	lost     bool // it has started on a disk that has forgotten what it promised
	joined   bool // it knows of a configuration that it is a member of
	stalled  bool // it has said that its disk stands still
	// Its latest configuration and to whom it hands over, as last seen.
	configuration core.EntryID
	committed     bool // it knows that this one is
	successor     core.ReplicaID
}

// role is what others see of a replica's part in the cluster.
type role struct {
	role   core.Role
	term   core.Term
	leader core.ReplicaID
}

// downReason says how a process ended.
type downReason uint8

const (
	downNever downReason = iota
	downCrash
	downPower
	downOrderly
	downRetired
)

var downNames = [...]string{"not started", "crash", "power loss", "shut down", "taken away"}

// newHosts makes the machines, with empty disks, and starts nothing. Those
// beyond the founding ones know of no configuration, and are not there before
// the operator wants them.
func (w *world) newHosts() {
	s := w.scenario
	founding := w.founding()
	w.hosts = make([]host, s.Replicas+s.Spares)
	w.grown = s.Replicas
	for i := range w.hosts {
		h := &w.hosts[i]
		h.w, h.index, h.id = w, i, core.ReplicaID(i+1)
		h.jitter = w.stream("jitter", i, 0)
		h.disk.device = device{DiskScenario: s.Disk, stream: w.stream("disk", i, 0)}
		if h.index+1 == s.SlowDisk.Replica {
			h.disk.leastNanos = s.SlowDisk.SyncNanos
		}
		members := core.Configuration{}
		if i < s.Replicas {
			members = founding
			h.joined = true
		}
		h.disk.memory = replica.NewMemory(members)
		if w.options.Disk != nil {
			h.disk.own = newTwin(h, members)
		}
		h.applier.device = device{DiskScenario: s.Applier, stream: w.stream("apply", i, 0)}
		h.clock = newClock(s.TickNanos, w.drift(i), 0)
		h.machine.h = h
	}
}

// drift draws the rate of a clock without faults.
func (w *world) drift(i int) uint64 {
	if i < len(w.scenario.Rates) {
		return w.scenario.Rates[i]
	}
	ppm := uint64(w.scenario.DriftPPM)
	if ppm == 0 {
		return clockExact
	}
	st := w.stream("drift", i, 0)
	if w.scenario.LeaseDriftPPM != 0 && w.source.Chance(w.stream("drift/most", i, 0), 1, 2) {
		// What reads rely on is tried to the end.
		if w.source.Chance(st, 1, 2) {
			return clockExact - ppm
		}
		return clockExact + ppm
	}
	if w.source.Chance(st, 1, 2) {
		return clockExact - w.source.ChooseRange(st, 0, ppm)
	}
	return clockExact + w.source.ChooseRange(st, 0, ppm)
}

// start starts a process on what the disk holds.
func (h *host) start() {
	w := h.w
	if h.replica != nil || h.retired || h.out {
		return
	}
	h.incarnation++
	h.paused = false
	h.waiting = h.waiting[:0]
	h.batch = h.batch[:0]
	h.disk.boot()
	h.applier.tasks.clear()
	h.applier.saves.clear()
	h.applier.busy = false
	h.applier.serial++
	h.machine.machine, h.machine.applied = w.workload.Machine(), 0
	if h.machine.machine == nil {
		w.misuse("Workload", fmt.Sprintf("%T.Machine returns nil", w.workload))
		return
	}
	config := h.config()
	config.Jitter = h.drawJitter()
	r, err := replica.New(config, replica.Options{SnapshotBytes: w.scenario.SnapshotBytes}, storage{h.disk.storage(), h}, h)
	if err != nil {
		if !w.loss.refused(h, err) {
			w.failAt(Safety, h.index, "Recovery", err.Error())
		}
		return
	}
	h.replica = r
	w.invariants.stirred = true
	h.role = role{}
	h.resigned, h.stalled = false, false
	h.configuration, h.committed, h.successor = core.EntryID{}, true, 0
	// The process has owed no ticks while it was not there.
	h.clock.deliver(h.clock.owed(w.now))
	h.planTick()
	s := r.Core().Status()
	w.emit(TraceStart, h.index, uint64(h.incarnation), uint64(s.Last.Index), uint64(s.Term), uint64(s.Snapshot.Index))
	w.checker.onRestart(h.index)
	h.drain()
}

// config is what the core is told, but for the jitter.
func (h *host) config() core.Config {
	s := h.w.scenario
	return core.Config{
		ID: h.id, Cluster: clusterID,
		ElectionTicks: s.ElectionTicks, HeartbeatTicks: s.HeartbeatTicks, Limits: core.Limits(s.Limits),
	}
}

const clusterID core.ClusterID = 1

// stop ends the process. What it had appended stays on the disk, unless power
// is lost too.
func (h *host) stop(why downReason, st choice.Stream) {
	w := h.w
	if h.replica == nil {
		return
	}
	lost := uint64(0)
	if why == downPower {
		if h.disk.powerLoss(w, st) {
			lost = 1
			w.result.UnsyncedLost++
		}
		w.checker.onPowerLoss(h.index)
	} else {
		w.checker.onCrash(h.index)
	}
	h.replica = nil
	w.invariants.stirred = true
	h.machine.machine = nil
	h.paused = false
	h.down = why
	h.incarnation++
	h.timer++
	for i := range h.waiting {
		w.drop(&h.waiting[i])
	}
	h.waiting = h.waiting[:0]
	w.abandonRequests(h.index)
	w.emit(TraceDown, h.index, uint64(why), lost, 0, 0)
}

// pause stops the process, as a debugger or a long collection of garbage does.
// Its disk and its clock go on.
func (h *host) pause() {
	if h.replica == nil || h.paused {
		return
	}
	h.paused = true
	h.timer++
	h.w.emit(TracePause, h.index, 1, 0, 0, 0)
}

// resume lets the process go on: with the ticks it owes, as one, and then with
// all that has come in the meantime.
func (h *host) resume() {
	if !h.paused {
		return
	}
	w := h.w
	h.paused = false
	w.emit(TracePause, h.index, 0, 0, 0, 0)
	h.tickOwed()
	h.planTick()
	for _, e := range h.waiting {
		w.queue.push(w.now, e.kind, e.who, e.arg)
	}
	h.waiting = h.waiting[:0]
	h.drain()
	w.look(h)
}

// setRate changes how fast the clock goes.
func (h *host) setRate(rate uint64) {
	h.clock.setRate(h.w.now, rate)
	h.planTick()
}

// jump puts the clock forward.
func (h *host) jump(nanos uint64) {
	h.clock.jump(h.w.now, nanos)
	h.planTick()
}

// planTick makes the event of the next tick, and voids the one before.
func (h *host) planTick() {
	h.timer++
	if h.replica != nil && !h.paused && h.clock.next != never {
		h.w.queue.push(max(h.clock.next, h.w.now), eventTick, uint8(h.index), h.timer)
	}
}

// admit says whether an event gets through to the process.
func (h *host) admit(e *event) bool {
	switch {
	case e.kind == eventTick:
		return e.arg == h.timer
	case h.replica == nil:
		if e.kind == eventPacket {
			h.w.emitUnheard(h.index, &h.w.packets.slots[e.arg])
		}
		h.w.drop(e)
		return false
	case e.kind == eventDisk && e.arg != h.disk.serial,
		e.kind == eventTask && e.arg != h.applier.serial,
		(e.kind == eventSave || e.kind == eventBatch) && e.arg != h.incarnation:
		return false
	case h.paused:
		if e.kind == eventDisk {
			h.disk.endSync(h)
		} else {
			h.waiting = append(h.waiting, *e)
		}
		return false
	}
	return true
}

// drop forgets an event that reaches nobody.
func (w *world) drop(e *event) {
	switch e.kind {
	case eventPacket:
		if p := &w.packets.slots[e.arg]; p.kind == packetRequest {
			w.forgetRequest(p.request)
		}
		w.packets.release(e.arg)
	case eventAsk:
		w.forgetRequest(e.arg)
	}
}

// tickOwed delivers the ticks that the clock owes, before anything else.
func (h *host) tickOwed() {
	w := h.w
	if w.now < h.clock.next {
		return
	}
	n := h.clock.owed(w.now)
	if n == 0 {
		h.clock.plan()
		return
	}
	h.clock.deliver(n)
	jitter, brought := uint32(0), h.replica.WantJitter()
	word := uint64(0)
	if brought {
		jitter = h.drawJitter()
		word = uint64(jitter) + 1
	}
	w.emit(TraceTick, h.index, n, word, 0, 0)
	if n >= uint64(w.scenario.ElectionTicks) {
		w.mark(MarkTicksAtOnce)
	}
	h.replica.Tick(uint32(min(n, 1<<30)), jitter, brought)
}

// drawJitter draws the random number of an election timeout. The benign one is
// the replica's own, and another each time: were it the same each time, two
// voters with one timeout and equal links would stand for election together
// for ever, and no place of its own for each would help, because there may be
// more replicas than ticks in a timeout. In a healed cluster it is always that
// one. A protocol that owes its progress to chance can be held to a bound only
// where nobody chooses against it, and a fuzzer's input goes on after the heal.
func (h *host) drawJitter() uint32 {
	h.timeouts++
	own := uint32(digest.Finish(digest.Word(digest.Word(0, uint64(h.index)), h.timeouts)))
	if h.w.phase != phaseFaults {
		return own
	}
	if drawn := h.w.source.Choose(h.jitter, choice.AlternativesMax); drawn != 0 {
		return uint32(drawn)
	}
	return own
}

// dispatch passes an event to the replica.
func (h *host) dispatch(e *event) {
	switch e.kind {
	case eventTick:
		// The tick itself has been delivered with those owed.
		if h.clock.next != never {
			h.w.queue.push(max(h.clock.next, h.w.now), eventTick, e.who, e.arg)
		}
	case eventPacket:
		h.receive(e.arg, e.at)
	case eventDisk:
		h.disk.endSync(h)
	case eventTask:
		if h.applier.stalled(h.w) {
			h.applier.plan(h, eventTask, h.applier.stalledUntil-h.w.now)
			return
		}
		h.applier.busy = false
		h.runTask()
	case eventSave:
		t := h.applier.saves.pop()
		h.traceTask(t)
		t.Run(&h.machine)
		if t.Err() == nil && h.disk.saveFailed {
			h.w.mark(MarkSavedAfterFailure)
		}
		h.disk.saveFailed = t.Err() != nil
		h.replica.Applied(t)
	case eventBatch:
		h.propose(h.batch)
		h.batch = h.batch[:0]
	case eventAsk:
		h.ask(e.arg)
	}
}

// drain does what a replica has asked for and what takes no time, until there
// is no more of it, and starts what takes time. The replica is never called
// from within a call of its own.
func (h *host) drain() {
	for h.replica != nil && h.w.failure == nil {
		switch {
		case h.disk.told < h.disk.synced:
			h.disk.told = h.disk.synced
			h.w.checker.onCompleted(h.index, h.disk.told)
			h.replica.Completed(h.disk.told, nil)
		case h.disk.failed:
			h.tellFailure()
		case h.disk.startSync(h):
		case h.startTask():
			h.runTask()
		default:
			h.w.look(h)
			return
		}
	}
}

// startTask sees to it that the first task is under way, and reports whether
// it may be run now.
func (h *host) startTask() bool {
	a := &h.applier
	if a.busy || a.tasks.len() == 0 {
		return false
	}
	t := a.takes(h.w, a.tasks.front().Bytes())
	if a.tasks.front().Kind == replica.TaskRestore {
		t += h.w.restoreNanos
	}
	if t == 0 {
		return true
	}
	a.busy = true
	a.plan(h, eventTask, t)
	return false
}

// runTask runs the first task and reports it.
func (h *host) runTask() {
	t := h.applier.tasks.pop()
	h.machine.task, h.machine.at = t, 0
	kind := t.Kind
	t.Run(&h.machine)
	h.machine.task = nil
	h.traceTask(t)
	switch {
	case kind == replica.TaskApply, kind == replica.TaskRestore && t.Err() == nil:
		h.machine.applied = t.Index
		h.w.invariants.stirred = true
	}
	if kind == replica.TaskRestore && t.Err() == nil && h.w.failure == nil {
		h.w.checker.onInstall(h.index, t.Snapshot)
	}
	err := t.Err()
	h.replica.Applied(t)
	if err != nil && kind == replica.TaskRestore && h.disk.unreadable {
		h.tellUnreadable(err)
	}
}

func (h *host) traceTask(t *replica.Task) {
	work := uint64(len(t.Entries))
	if t.Kind == replica.TaskQuery {
		work = uint64(t.Queries())
	}
	digest := uint64(0)
	if t.Kind != replica.TaskSave {
		digest = h.machine.machine.Digest()
	}
	h.w.emit(TraceTask, h.index, uint64(t.Kind), uint64(t.Index), work, digest)
}

// look notes what has changed about a replica that others would want to know.
func (w *world) look(h *host) {
	if h.replica == nil {
		return
	}
	if e := h.replica.Halted(); e != nil {
		w.checker.onError(h.index, e)
		return
	}
	s, successor := h.replica.Core().Office(), h.successor
	if s.Configuration != h.configuration || !h.committed || s.Successor != h.successor {
		h.lookAtMembers(&s)
	}
	now := role{s.Role, s.Term, s.Leader}
	if now == h.role {
		return
	}
	if now.role == core.RoleLeader && (h.role.role != core.RoleLeader || h.role.term != now.term) {
		w.result.LeaderChanges++
		if h.index+1 == w.scenario.SlowDisk.Replica {
			w.mark(MarkSlowDiskLeads)
		}
		w.saw(triggerLeader, h)
	} else if now.role == core.RoleCandidate && h.role.role != core.RoleCandidate {
		w.saw(triggerCandidate, h)
	}
	if h.role.role == core.RoleLeader {
		w.leftOffice(h, successor)
	}
	h.role = now
	w.invariants.stirred = true
	w.emit(TraceRole, h.index, uint64(now.role), uint64(now.term), uint64(now.leader), uint64(s.Commit))
}

// lookAtMembers notes how far a change or a handover has come.
func (h *host) lookAtMembers(s *core.Office) {
	committed := s.Commit >= s.Configuration.Index
	if committed && s.Role == core.RoleLeader && (!h.committed || s.Configuration.Index > h.configuration.Index) {
		h.w.saw(triggerCommitted, h)
	}
	if s.Successor != 0 && h.successor == 0 {
		h.w.saw(triggerTransfer, h)
	}
	h.configuration, h.committed, h.successor = s.Configuration, committed, s.Successor
}

// Members implements replica.Host.
func (h *host) Members(c *core.Configuration) {
	w := h.w
	w.checker.onMembers(h.index, c)
	w.emit(TraceMembers, h.index, uint64(c.Index), bitsOf(c.Voters), bitsOf(c.Outgoing), bitsOf(c.Learners))
	if !h.joined && c.Has(h.id) {
		h.joined = true
		w.mark(MarkReplicaJoined)
	}
}

// bitsOf is a set of replicas as bits by position.
func bitsOf(set []core.ReplicaID) (b uint64) {
	for _, id := range set {
		b |= 1 << (id - 1)
	}
	return b
}

// Event implements replica.Host.
func (h *host) Event(e core.Event) {
	w := h.w
	w.emit(TraceTold, h.index, uint64(e.Kind), uint64(e.Replica), 0, 0)
	w.checker.onEvent(h.index, e)
	switch e.Kind {
	case core.EventRemoved:
		w.operator.heardRemoved(int(e.Replica) - 1)
	case core.EventDiskStalled:
		h.stalled = true
		w.calledStalled(h)
	case core.EventDiskLost:
		w.loss.told(h, e.Replica)
	case core.EventHandover:
		if h.stalled {
			w.mark(MarkDiskStallHandover)
		}
	}
}

// SaveFailed implements replica.Host.
func (h *host) SaveFailed(error, uint64) { h.w.mark(MarkSaveFailed) }

// Send implements replica.Host: the message becomes bytes, and the network
// says when and how often they arrive.
func (h *host) Send(m *core.Message) {
	w := h.w
	w.checker.onSend(h.index, m)
	to := int(m.To) - 1
	if uint(to) >= uint(len(w.hosts)) {
		w.failAt(Safety, h.index, "Addressee", fmt.Sprintf("message to replica %d of %d", m.To, len(w.hosts)))
		return
	}
	if m.Kind == core.KindTimeoutNow {
		w.saw(triggerTimeoutNow, h)
	}
	slot := w.packets.take()
	p := &w.packets.slots[slot]
	p.bytes = wire.AppendMessage(p.bytes[:0], m)
	p.kind, p.from = packetMessage, uint8(h.index)
	var out [2]netsim.Delivery
	n := w.network.Send(w.now, netsim.Packet{
		From: netsim.End(h.index), To: netsim.End(to), Kind: uint8(m.Kind), Size: uint32(len(p.bytes)), Handle: uint64(slot),
	}, &out)
	if w.sink != nil {
		w.tellSent(h.index, m, out[:n])
	}
	switch {
	case n > 0:
		w.deliverLater(slot, uint8(to), out[:n])
	case w.nemesis.clogs > 0:
		// It may be lost, or it may come out of a clog.
		p.limbo = true
		w.packets.limbo = append(w.packets.limbo, slot)
	default:
		w.packets.release(slot)
	}
}

// release sends on what the network held back. Once it holds nothing, what did
// not come out was lost.
func (w *world) release(out []netsim.Released) {
	for i := range out {
		r := &out[i]
		if w.sink != nil {
			w.tellReleased(r)
		}
		w.deliverLater(uint32(r.Handle), uint8(r.To), []netsim.Delivery{r.Delivery})
		w.packets.slots[r.Handle].limbo = false
	}
	if w.nemesis.clogs > 0 {
		return
	}
	for _, slot := range w.packets.limbo {
		if p := &w.packets.slots[slot]; p.limbo {
			p.limbo = false
			w.packets.release(slot)
		}
	}
	w.packets.limbo = w.packets.limbo[:0]
}

// deliverLater schedules the arrivals of a packet. The second of two has bytes
// of its own.
func (w *world) deliverLater(slot uint32, to uint8, out []netsim.Delivery) {
	for i := range out {
		d := &out[i]
		at := slot
		if d.Copy {
			at = w.packets.take()
			p, o := &w.packets.slots[at], &w.packets.slots[slot]
			p.bytes = append(p.bytes[:0], o.bytes...)
			p.kind, p.from = o.kind, o.from
		} else if d.Damage.Mask != 0 {
			p := &w.packets.slots[slot]
			d.Damage.Do(p.bytes)
			p.damaged = true
		}
		w.queue.push(d.At, eventPacket, to, at)
	}
}

// receive takes a packet off the network.
func (h *host) receive(slot uint32, at uint64) {
	w := h.w
	p := &w.packets.slots[slot]
	if p.kind == packetRequest {
		h.request(slot, at)
		return
	}
	w.result.Deliveries++
	err := wire.DecodeMessage(p.bytes, &w.message)
	switch {
	case p.damaged && err == nil:
		w.failAt(Safety, h.index, "Corruption", fmt.Sprintf("a damaged message of replica %d was not detected", p.from+1))
	case p.damaged:
		w.emit(TraceDamaged, h.index, uint64(p.from)+1, uint64(len(p.bytes)), 0, 0)
	case err != nil:
		w.failAt(Safety, h.index, "Codec", fmt.Sprintf("a message of replica %d does not decode: %v", p.from+1, err))
	default:
		m := &w.message
		sum := p.bytes[len(p.bytes)-4:]
		w.fold(TraceDeliver, h.index, uint64(m.From), uint64(m.Kind), uint64(m.Term),
			uint64(sum[0])|uint64(sum[1])<<8|uint64(sum[2])<<16|uint64(sum[3])<<24)
		if w.sink != nil {
			w.tell(TraceEvent{Kind: TraceDeliver, Replica: h.index, Words: [4]uint64{uint64(m.From)}, Message: m})
		}
		w.checker.onReceive(h.index, m)
		if err := h.replica.Receive(m); err != nil {
			w.checker.onError(h.index, err)
		}
	}
	w.packets.release(slot)
}

// Submit implements replica.Host.
func (h *host) Submit(wr *replica.Write) {
	w := h.w
	last := uint64(0)
	if n := len(wr.Entries); n > 0 {
		last = uint64(wr.Entries[n-1].Index)
	}
	w.emit(TraceSubmit, h.index, wr.Seq, uint64(len(wr.Entries)), last, uint64(wr.HardState.Term))
	if w.nemesis.armed != triggerNone {
		w.nemesis.sawWrite(h, wr)
	}
	if w.operator.armed != triggerNone {
		w.operator.sawWrite(h, wr)
	}
	h.disk.append(h, wr)
	w.checker.onSubmit(h.index, wr)
	if wr.ChunkSet && wr.Chunk.Last && !wr.SnapshotFailed {
		w.result.SnapshotsInstalled++
		if wr.Chunk.Snapshot.Size >= hugeBytes {
			w.mark(MarkSnapshotHuge)
		}
	}
}

// Apply implements replica.Host.
func (h *host) Apply(t *replica.Task) {
	h.w.checker.onTask(h.index, t)
	if t.Kind == replica.TaskSave {
		h.applier.saves.push(t)
		h.w.queue.push(h.w.now+h.w.saveNanos, eventSave, uint8(h.index), h.incarnation)
		return
	}
	h.applier.tasks.push(t)
}

// witness is a state machine that the world watches.
type witness struct {
	h       *host
	machine replica.StateMachine
	applied core.Index    // up to here, at the end of the last task
	task    *replica.Task // being run
	at      int           // of its entries, the next one to be applied
	replies replies
}

// Apply implements replica.StateMachine.
func (m *witness) Apply(index, time uint64, command, reply []byte) []byte {
	n := len(reply)
	reply = m.appended("Apply", reply, m.machine.Apply(index, time, command, m.replies.given()))
	for m.at < len(m.task.Entries) && uint64(m.task.Entries[m.at].Index) < index {
		m.at++
	}
	e := &m.task.Entries[m.at]
	m.at++
	w := m.h.w
	w.noteApplied(m.h, e)
	if w.sessions != nil && w.sessions.Failed(m.machine) {
		w.mark(MarkCommandFailed)
	}
	w.checker.onApply(m.h.index, e.Index, time, e, reply[n:], m.machine.Digest())
	return reply
}

// Query implements replica.StateMachine.
func (m *witness) Query(query, reply []byte) []byte {
	return m.appended("Query", reply, m.machine.Query(query, m.replies.given()))
}

// Snapshot implements replica.StateMachine.
func (m *witness) Snapshot() io.WriterTo {
	if n := m.h.w.scenario.HugeBytes; n > 0 {
		return huge{m.machine.Snapshot(), n}
	}
	return m.machine.Snapshot()
}

// Restore implements replica.StateMachine.
func (m *witness) Restore(r io.Reader) error {
	if n := m.h.w.scenario.HugeBytes; n > 0 {
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			return err
		}
	}
	return m.machine.Restore(r)
}

// Digest implements replica.StateMachine.
func (m *witness) Digest() uint64 { return m.machine.Digest() }

// packets are those on their way, in slots that are used again.
type packets struct {
	slots []packet
	free  []uint32
	limbo []uint32 // given to the network while it held packets
}

type packet struct {
	bytes   []byte
	kind    packetKind
	damaged bool
	limbo   bool  // perhaps held by the network
	from    uint8 // replica or client
	answer  reply // packetReply
	request uint32
	epoch   uint32 // of the connection, packetRequest and packetReply
}

type packetKind uint8

const (
	packetMessage packetKind = iota // between replicas
	packetRequest                   // of a client
	packetReply                     // to a client
)

func (p *packets) take() uint32 {
	if n := len(p.free); n > 0 {
		slot := p.free[n-1]
		p.free = p.free[:n-1]
		return slot
	}
	p.slots = append(p.slots, packet{})
	return uint32(len(p.slots) - 1)
}

// packetKeepBytes is the largest buffer that a slot keeps for its next packet.
const packetKeepBytes = 64 << 10

func (p *packets) release(slot uint32) {
	s := &p.slots[slot]
	s.damaged = false
	if cap(s.bytes) > packetKeepBytes {
		s.bytes = nil
	}
	p.free = append(p.free, slot)
}
