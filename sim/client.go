package sim

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/netsim"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Clients ask for one operation after another, each over a connection to one
// replica. Who gets no answer in time, or hears that its connection is cut,
// does not know what became of the operation, and asks somebody else:
//
//   - A read, or a command of a session, is the same operation again.
//   - Any other command is a new operation with the same content. The first
//     stays unknown: it may take effect as well.
//   - Only who was told by every replica asked that it will not be done knows
//     that it is not.

// client is one of them.
type client struct {
	w       *world
	index   int
	caller  Caller
	choices Choices
	pace    choice.Stream
	manner  choice.Stream // of reads
	conns   []netsim.Conn // by replica
	reach   uint64        // replicas that it can reach, as bits

	state  clientState
	wakeAt uint32 // the wake event that counts
	due    uint64 // when the next operation is to begin
	target int    // the replica that it asks
	round  int    // the last one that it chose by itself

	// The operation under way.
	op        linearizability.OpID
	bytes     []byte
	read      bool
	once      bool
	probe     bool
	reading   reading
	uncertain bool   // a request may still take effect
	refusedBy uint64 // replicas that refused it, as bits
	tries     int
	// The request under way.
	asked    int // the replica
	epoch    uint32
	serial   uint32 // of its request
	deadline uint64

	scratch []byte
}

type clientState uint8

const (
	clientIdle    clientState = iota // between two operations
	clientWaiting                    // for an answer
	clientBackoff                    // before it tries again
)

// reading is how a read is asked for.
type reading uint8

const (
	readConfirmed reading = iota // by replica.Read
	readByLease                  // by replica.ReadLease
	// readBarrier waits for replica.Barrier and then looks at the state of that
	// replica's state machine by itself, as a user of barriers does.
	readBarrier
)

// reply is an answer on its way to a client.
type reply struct {
	kind   replica.AnswerKind
	op     linearizability.OpID
	serial uint32
	index  core.Index
	reason core.RefusalReason
	leader core.ReplicaID
}

// request is a request on its way to a replica, or with it.
type request struct {
	client      uint8
	host        uint8
	read        bool
	out         bool // with the replica, to be answered
	used        bool
	epoch       uint32
	incarnation uint32 // of the process it was sent to
	serial      uint32
	op          linearizability.OpID
	bytes       []byte
	asked       question // of a read: how things were when it was asked
	reading     reading
	// Of the operator, and no client's.
	ask    askKind
	change core.Change
	target core.ReplicaID
	led    bool // the replica led when it was asked
	term   core.Term
}

// requests are in slots that are used again; a tag is a slot and a serial.
type requests struct {
	slots []request
	free  []uint32
	next  uint32
}

const tagSerialBits = 31

func (r *requests) take() uint32 {
	r.next = (r.next + 1) & (1<<tagSerialBits - 1)
	var slot uint32
	if n := len(r.free); n > 0 {
		slot = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		r.slots = append(r.slots, request{})
		slot = uint32(len(r.slots) - 1)
	}
	r.slots[slot] = request{used: true, serial: r.next}
	return slot
}

func (r *requests) tag(slot uint32) uint64 {
	return uint64(r.slots[slot].serial)<<32 | uint64(slot)
}

// find is the request of a tag that waits for its answer, or nil.
func (r *requests) find(tag uint64) (uint32, *request) {
	slot := uint32(tag)
	if int(slot) >= len(r.slots) {
		return 0, nil
	}
	q := &r.slots[slot]
	if !q.used || !q.out || uint64(q.serial) != tag>>32 {
		return 0, nil
	}
	return slot, q
}

func (w *world) forgetRequest(slot uint32) {
	q := &w.requests.slots[slot]
	if q.used {
		*q = request{}
		w.requests.free = append(w.requests.free, slot)
	}
}

// abandonRequests forgets what a process that has ended would have answered,
// and cuts its connections.
func (w *world) abandonRequests(host int) {
	for slot := range w.requests.slots {
		if q := &w.requests.slots[slot]; q.out && int(q.host) == host {
			w.forgetRequest(uint32(slot))
		}
	}
	for i := range w.clients {
		w.clients[i].cut(host)
	}
}

// newClients makes the clients, and lets each begin in its turn.
func (w *world) newClients() {
	s := w.scenario
	w.clients = make([]client, s.Traffic.Clients)
	for i := range w.clients {
		c := &w.clients[i]
		c.w, c.index = w, i
		c.choices = Choices{w.source, w.stream("client", i, 0)}
		if c.caller = w.workload.Caller(i, &c.choices); c.caller == nil {
			w.misuse("Workload", fmt.Sprintf("%T.Caller returns nil for client %d", w.workload, i))
			return
		}
		c.pace = w.stream("client/pace", i, 0)
		c.manner = w.stream("client/manner", i, 0)
		c.reach = 1<<len(w.hosts) - 1
		c.target = i % s.Replicas
		c.round = c.target
		c.conns = make([]netsim.Conn, len(w.hosts))
		for h := range c.conns {
			c.conns[h] = netsim.NewConn(w.source, w.network.Counts(), uint64(i), uint64(h))
			c.conns[h].SetRule(w.connRule(i, h))
		}
		c.due = uint64(i) * c.interval() / uint64(s.Traffic.Clients)
		c.wake(c.due)
	}
	w.queue.push(w.sweepNanos(), eventSweep, 0, 0)
}

func (w *world) connRule(client, host int) netsim.ConnRule {
	s := w.scenario
	r := netsim.ConnRule{
		Base:   w.source.ChooseRange(w.stream("conn/base", client, host), s.Links.BaseNanosMin, s.Links.BaseNanosMax),
		OnTime: 10_000,
	}
	if s.Faults.Has(FaultClientCut) {
		r.Cut = s.Links.ClientCut
	}
	if s.Faults.Has(FaultClientDelay) {
		r.Delayed, r.Delay = s.Links.ClientDelay, s.Links.ClientDelayNanos
	}
	return r
}

// interval is the time from one operation of a client to its next.
func (c *client) interval() uint64 {
	t := &c.w.scenario.Traffic
	return max(uint64(t.Clients)*1e9/max(t.RatePerSecond, 1), 1000)
}

func (w *world) sweepNanos() uint64 { return max(w.timeoutNanos/8, w.scenario.TickNanos) }

// sweep ends the waiting of clients that have waited for too long.
func (w *world) sweep() {
	for i := range w.clients {
		if c := &w.clients[i]; c.state == clientWaiting && w.now >= c.deadline {
			c.uncertain = true
			c.askElsewhere(0)
			c.again(false)
		}
	}
	w.queue.push(w.now+w.sweepNanos(), eventSweep, 0, 0)
	if most := w.options.MaxDecisions; most != 0 && w.phase == phaseFaults && w.source.Decisions() >= most {
		w.enough = true
	}
}

// wake plans the client's next move.
func (c *client) wake(at uint64) {
	c.wakeAt++
	c.w.queue.push(max(at, c.w.now), eventWake, uint8(c.index), c.wakeAt)
}

// awake is what comes of an eventWake.
func (c *client) awake() {
	switch c.state {
	case clientIdle:
		c.begin()
	case clientBackoff:
		c.ask()
	}
}

// begin begins the next operation, if there is to be one.
func (c *client) begin() {
	w := c.w
	probe := w.phase == phaseHealed
	if probe && w.answered {
		return // enough is known
	}
	t := &w.scenario.Traffic
	if !probe && (t.OperationsMax != 0 && w.history.Len() >= t.OperationsMax ||
		t.UnknownMax != 0 && w.result.UnknownOps >= t.UnknownMax) {
		return
	}
	o := c.caller.Next(c.scratch[:0], probe)
	if c.checkOperation(&o, probe); w.failure != nil {
		return
	}
	c.scratch = o.Bytes[:0]
	c.bytes = w.memory.keep(o.Bytes)
	c.read, c.once, c.probe = o.Read, o.Once, probe
	c.tries = 0
	c.call()
	if f := t.FollowerReads; c.read && f != 0 && w.source.Chance(c.pace, uint32(f), 100) {
		set := w.machines()
		c.target = nth(set, w.source.Choose(c.pace, bits.OnesCount64(set)))
	}
	c.reading = readConfirmed
	switch {
	case !c.read:
	case t.LeaseReads != 0 && w.source.Chance(c.manner, uint32(t.LeaseReads), 100):
		c.reading = readByLease
	case t.Barriers != 0 && w.source.Chance(c.manner, uint32(t.Barriers), 100):
		c.reading = readBarrier
	}
	c.ask()
}

// call records that an operation begins.
func (c *client) call() {
	w := c.w
	c.uncertain, c.refusedBy = false, 0
	c.op = w.history.Call(c.index, w.now, c.bytes)
	w.result.Operations++
	w.emitWith(TraceCall, -1, uint64(c.index), uint64(c.op), flag(c.read), uint64(len(c.bytes)),
		func() string { return w.describe(c.bytes, nil) })
}

// ask sends a request.
func (c *client) ask() {
	w := c.w
	h := &w.hosts[c.target]
	c.asked = c.target
	c.deadline = w.now + w.timeoutNanos
	c.state = clientWaiting
	c.serial = 0
	w.emit(TraceAttempt, c.target, uint64(c.index), uint64(c.op), uint64(c.tries), 0)
	if c.reach>>c.target&1 == 0 {
		if w.sink != nil {
			w.tellLost(c.target, fmt.Sprintf("request of c%d, which can't reach it", c.index))
		}
		return // nothing comes back, not even a refusal; nothing was done either
	}
	if h.replica == nil {
		// Nobody listens: the machine says so.
		c.askElsewhere(0)
		c.again(true)
		return
	}
	conn := &c.conns[c.target]
	c.epoch = conn.Open()
	at, sent := conn.Send(w.now, netsim.Client)
	if sent == netsim.SentOK || sent == netsim.SentThenCut {
		slot := w.requests.take()
		q := &w.requests.slots[slot]
		q.client, q.host, q.epoch = uint8(c.index), uint8(c.target), c.epoch
		q.incarnation = h.incarnation
		q.read, q.op, q.bytes, q.reading = c.read, c.op, c.bytes, c.reading
		if c.uncertain && !c.read {
			w.mark(MarkRetried)
		}
		c.serial = q.serial
		p := w.packets.take()
		s := &w.packets.slots[p]
		s.bytes = s.bytes[:0]
		s.kind, s.from, s.request, s.epoch = packetRequest, uint8(c.index), slot, c.epoch
		w.queue.push(at, eventPacket, uint8(c.target), p)
	}
	if sent == netsim.SentThenCut || sent == netsim.SentCut {
		c.tellCut(c.target)
	}
	if sent == netsim.SentCut && w.sink != nil {
		w.tellLost(c.target, fmt.Sprintf("request of c%d, whose connection is cut", c.index))
	}
}

// cut cuts the connection to a replica, if there is one.
func (c *client) cut(host int) {
	if c.conns[host].Cut(c.w.now) {
		c.tellCut(host)
	}
}

// tellCut lets the client know in time that a connection was cut.
func (c *client) tellCut(host int) {
	conn := &c.conns[host]
	c.w.queue.push(max(conn.Told(netsim.Client), c.w.now), eventCut, uint8(c.index), conn.Epoch()<<8|uint32(host))
}

// heardCut is what comes of an eventCut.
func (c *client) heardCut(arg uint32) {
	host, epoch := int(arg&255), arg>>8
	if c.state != clientWaiting || c.asked != host || c.epoch&(1<<24-1) != epoch {
		return
	}
	c.w.emit(TraceCut, -1, uint64(c.index), uint64(c.op), 0, 0)
	c.uncertain = true
	c.askElsewhere(0)
	c.again(false)
}

// askElsewhere chooses whom to ask next: who is said to lead, or else the next
// machine on its own round of all of them. Now and then it does not believe
// what it is told: two that are cut off may name each other for ever, and those
// that were removed may all name one that was removed too.
func (c *client) askElsewhere(leader core.ReplicaID) {
	set := c.w.machines()
	if i := int(leader) - 1; i >= 0 && i != c.asked && c.tries%4 != 3 && set>>i&1 != 0 {
		c.target = i
		return
	}
	for range 2 {
		above := set &^ (2<<c.round - 1)
		if above == 0 {
			above = set
		}
		if c.round = bits.TrailingZeros64(above); c.round != c.asked {
			break
		}
	}
	c.target = c.round
}

// again tries the operation again, after a while unless someone else is known
// to lead, or gives it up.
func (c *client) again(wait bool) {
	w := c.w
	if c.probe && w.answered || !c.probe && c.tries >= w.scenario.Traffic.RetriesMax {
		c.giveUp()
		return
	}
	c.tries++
	if c.uncertain && !c.read && !c.once {
		// Another operation, alike in everything but what becomes of it.
		w.history.GiveUp(c.op, w.now)
		w.result.UnknownOps++
		w.emit(TraceGiveUp, -1, uint64(c.index), uint64(c.op), uint64(c.tries), 0)
		c.call()
	}
	c.state = clientBackoff
	at := w.now
	if wait {
		at += w.scenario.electionNanos() / 64 * uint64(1+w.source.Choose(c.pace, 32))
	}
	c.wake(at)
}

// giveUp ends an operation without an answer.
func (c *client) giveUp() {
	w := c.w
	outcome := linearizability.OutcomeUnknown
	if c.uncertain {
		w.history.GiveUp(c.op, w.now)
		w.result.UnknownOps++
	} else {
		outcome = linearizability.OutcomeRefused
		w.history.Refuse(c.op, w.now)
	}
	w.emit(TraceReturn, -1, uint64(c.index), uint64(c.op), uint64(outcome), 0)
	c.caller.Done(nil)
	c.end()
}

// end plans the next operation. Who is behind hurries.
func (c *client) end() {
	w := c.w
	c.state = clientIdle
	if w.phase == phaseHealed {
		c.wake(w.now + w.scenario.electionNanos()/8)
		return
	}
	step := c.interval()
	c.due += step/2 + step*uint64(w.source.Choose(c.pace, choice.AlternativesMax))/choice.AlternativesMax
	if w.now > c.due+patienceNanos {
		c.due = w.now - patienceNanos
	}
	c.wake(c.due)
}

// patienceNanos is how far a client that was held up tries to catch up.
const patienceNanos = 2e9

// receive is what comes of an eventReply.
func (c *client) receive(slot uint32) {
	w := c.w
	p := &w.packets.slots[slot]
	a := &p.answer
	host := int(p.from)
	if !c.conns[host].Arrives(p.epoch, w.now) {
		w.packets.release(slot)
		return
	}
	w.result.Deliveries++
	switch {
	case c.state == clientIdle || a.op != c.op:
		// About something it has given up.
	case a.kind == replica.AnswerApplied:
		c.answered(host, a, p.bytes)
	case c.state == clientWaiting && a.serial == c.serial:
		if a.kind == replica.AnswerUnknown {
			c.uncertain = true
		} else {
			c.refusedBy |= 1 << host
		}
		c.askElsewhere(a.leader)
		c.again(c.target+1 != int(a.leader))
	}
	w.packets.release(slot)
}

// answered ends an operation with its answer.
func (c *client) answered(host int, a *reply, bytes []byte) {
	w := c.w
	if !c.read && c.refusedBy>>host&1 != 0 {
		w.mark(MarkRefusedThenApplied)
	}
	outcome := linearizability.OutcomeUnknown
	if c.caller.Done(bytes) {
		outcome = linearizability.OutcomeKnown
		if c.read {
			w.history.Read(c.op, uint64(a.index))
		}
		w.history.Return(c.op, w.now, bytes)
		w.result.Acknowledged++
		w.answered = w.answered || c.probe
	} else {
		w.history.GiveUp(c.op, w.now)
		w.result.UnknownOps++
	}
	w.emitWith(TraceReturn, -1, uint64(c.index), uint64(c.op), uint64(outcome), uint64(a.index),
		func() string { return w.describe(c.bytes, bytes) })
	c.end()
}

// request takes a client's request off the network.
func (h *host) request(slot uint32, at uint64) {
	w := h.w
	p := &w.packets.slots[slot]
	r := p.request
	from := p.from
	arrives := w.clients[from].conns[h.index].Arrives(p.epoch, at)
	w.packets.release(slot)
	q := &w.requests.slots[r]
	if !arrives || q.incarnation != h.incarnation {
		if w.sink != nil {
			w.tellLost(h.index, fmt.Sprintf("request of c%d, whose connection was cut on its way", from))
		}
		w.forgetRequest(r)
		return
	}
	w.result.Deliveries++
	q.out = true
	tag := w.requests.tag(r)
	w.emit(TraceRequest, h.index, uint64(q.client), uint64(q.op), flag(q.read), 0)
	if q.read {
		q.asked = w.checker.onRead(h.index, q.reading == readByLease)
	} else {
		w.checker.onPropose(h.index)
	}
	switch {
	case q.read:
		h.read(tag, q)
	case w.scenario.BatchNanos != 0:
		if len(h.batch) == 0 {
			w.queue.push(w.now+w.scenario.BatchNanos, eventBatch, uint8(h.index), h.incarnation)
		}
		h.batch = append(h.batch, core.Proposal{Tag: tag, Data: q.bytes})
	default:
		h.one[0] = core.Proposal{Tag: tag, Data: q.bytes}
		h.propose(h.one[:])
	}
}

// read passes a read on.
func (h *host) read(tag uint64, q *request) {
	switch q.reading {
	case readByLease:
		h.replica.ReadLease(tag, q.bytes, h.w.scenario.LeaseDriftPPM)
		q.asked.led = h.w.checker.onLease(h.index)
	case readBarrier:
		h.replica.Barrier(tag)
	default:
		h.replica.Read(tag, q.bytes)
	}
}

// propose passes proposals on, and notes which entries they have become: those
// that were not refused at once are in the log, in their order.
func (h *host) propose(proposals []core.Proposal) {
	w := h.w
	before := h.replica.Core().Status().Last.Index
	last := before
	h.replica.ProposeBatch(proposals)
	s := h.replica.Core().Status()
	for i := range proposals {
		if _, q := w.requests.find(proposals[i].Tag); q != nil {
			last++
			w.ledger.add(core.EntryID{Term: s.Term, Index: last}, q.op)
		}
	}
	if last != s.Last.Index {
		w.failAt(Safety, h.index, "Accepted", fmt.Sprintf("proposals became entries up to %d, but the log ends at %d", last, s.Last.Index))
	}
	if last > before {
		w.saw(triggerProposal, h)
	}
}

// Answer implements replica.Host.
func (h *host) Answer(a *replica.Answer) {
	w := h.w
	slot, q := w.requests.find(a.Tag)
	if q == nil || int(q.host) != h.index || q.read != a.Read {
		w.failAt(Safety, h.index, "AnswerOnce", fmt.Sprintf("tag %#x was answered (%v) that was not asked, or answered before", a.Tag, a.Kind))
		return
	}
	if q.ask != askNone {
		w.checker.onAnswered(h.index, a)
		w.operator.answered(h, q, a)
		w.forgetRequest(slot)
		return
	}
	w.checker.onAnswer(h.index, a, q.bytes, q.asked)
	answer := a.Reply
	if q.reading == readBarrier && a.Kind == replica.AnswerApplied {
		answer = h.machine.machine.Query(q.bytes, nil)
	}
	w.emitWith(TraceAnswer, h.index, uint64(q.client), uint64(q.op), uint64(a.Kind), uint64(a.Index),
		func() string { return refusalText(a) })
	c := &w.clients[q.client]
	conn := &c.conns[h.index]
	leaves := false
	if conn.IsOpen() && conn.Epoch() == q.epoch {
		at, sent := conn.Send(w.now, netsim.Server)
		if leaves = sent == netsim.SentOK || sent == netsim.SentThenCut; leaves {
			p := w.packets.take()
			s := &w.packets.slots[p]
			s.bytes = append(s.bytes[:0], answer...)
			s.kind, s.from, s.epoch = packetReply, uint8(h.index), q.epoch
			s.answer = reply{a.Kind, q.op, q.serial, a.Index, a.Reason, a.Leader}
			w.queue.push(at, eventReply, uint8(c.index), p)
		}
		if sent == netsim.SentThenCut || sent == netsim.SentCut {
			c.tellCut(h.index)
		}
	}
	if !leaves && w.sink != nil {
		w.tellLost(h.index, fmt.Sprintf("answer to c%d, whose connection is cut", q.client))
	}
	w.forgetRequest(slot)
}

// ledger knows which operation stands behind each entry that was ever
// proposed, by EntryID: an index may be taken by several, of different terms,
// of which one at most is applied.
type ledger struct {
	heads   []int32 // by index: the last proposal put there, + 1
	entries []proposed
	applied core.Index // the highest applied by anyone
}

type proposed struct {
	id     core.EntryID
	op     linearizability.OpID
	before int32 // another proposal of the same index, + 1
}

func (l *ledger) add(id core.EntryID, op linearizability.OpID) {
	for len(l.heads) <= int(id.Index) {
		l.heads = append(l.heads, 0)
	}
	l.entries = append(l.entries, proposed{id, op, l.heads[id.Index]})
	l.heads[id.Index] = int32(len(l.entries))
}

func (l *ledger) find(id core.EntryID) (linearizability.OpID, bool) {
	if int(id.Index) >= len(l.heads) {
		return 0, false
	}
	for at := l.heads[id.Index]; at != 0; at = l.entries[at-1].before {
		if l.entries[at-1].id == id {
			return l.entries[at-1].op, true
		}
	}
	return 0, false
}

// attempts are the entries that an operation was proposed as, one for each
// attempt that a leader took, as text.
func (l *ledger) attempts(op linearizability.OpID) string {
	var ids []string
	for i := range l.entries {
		if e := &l.entries[i]; e.op == op {
			ids = append(ids, e.id.String())
		}
	}
	return strings.Join(ids, ", ")
}

// noteApplied records where an operation took effect, when its entry is
// applied for the first time.
func (w *world) noteApplied(h *host, e *core.Entry) {
	if e.Index <= w.ledger.applied {
		return
	}
	w.ledger.applied = e.Index
	op, ok := w.ledger.find(e.EntryID)
	if !ok {
		w.failAt(Safety, h.index, "Requested", fmt.Sprintf("entry %v, %s, was applied, but nobody asked for it", e.EntryID, w.describe(e.Data, nil)))
		return
	}
	if w.sessions != nil && w.sessions.Repeated(h.machine.machine) {
		return
	}
	w.history.Wrote(op, uint64(e.Index))
	if again := w.history.Op(op).Again; again != 0 {
		o := w.history.Op(op)
		w.failAt(Safety, h.index, "AppliedOnce", fmt.Sprintf("operation %d of client c%d, %s, took effect at %d and again at %d; it became the entries %s",
			op, o.Client, w.describe(o.Input, nil), o.Point.Index, again, w.ledger.attempts(op)))
	}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
