package sim

import (
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// world is one simulated cluster with its clients, its network, its disks and
// its bad luck, on one thread. Nothing happens but events, one after another;
// the time is that of the event at hand.
type world struct {
	options  *Options
	scenario *Scenario
	source   *choice.Source
	workload Workload
	sessions Sessions // the workload, if it has them; or nil
	model    linearizability.Model

	now   uint64 // virtual time, nanoseconds
	steps uint64
	queue queue

	hosts    []host
	grown    int // of them, how many are there or have been: the first ones
	network  *netsim.Network
	packets  packets
	message  core.Message // being delivered
	clients  []client
	requests requests
	memory   arena // of commands
	ledger   ledger
	history  linearizability.History
	nemesis  nemesis
	mishap   mishap
	loss     loss
	operator operator
	directed directed
	checker  *checker

	invariants invariants

	phase        phase
	enough       bool   // decisions were taken, so that the faults end early
	timeoutNanos uint64 // of clients, in this phase
	saveNanos    uint64 // of saving a snapshot, in this phase
	restoreNanos uint64 // of restoring one
	answered     bool   // a probe was
	links        links  // that are open once all is healed
	recovery     recovery
	office       office
	livelock     livelock

	verdict Verdict
	failure *Failure
	result  *Result

	hash  uint64
	sink  func(*TraceEvent)
	heard TraceEvent   // what sink is being told
	shown core.Message // the message in it, if it had to be read again
	story story
}

// phase is how far a run has come.
type phase uint8

const (
	phaseFaults phase = iota
	phaseHealed
	phaseEnd
)

func (p phase) String() string { return [...]string{"faults", "healed", "end"}[p] }

// step takes the next event and reports whether there was one. One event goes
// to one replica, or to the world outside of them.
func (w *world) step() bool {
	e, ok := w.queue.pop()
	if !ok {
		return false
	}
	w.now = e.at
	w.steps++
	w.livelock.count(w)
	if e.kind >= eventWake {
		w.dispatch(&e)
		w.strike()
		if w.invariants.stirred {
			w.checkInvariants(false)
		}
		return true
	}
	h := &w.hosts[e.who]
	if !h.admit(&e) {
		return true
	}
	h.tickOwed()
	h.dispatch(&e)
	h.drain()
	w.touched(int(e.who))
	w.strike()
	if w.invariants.stirred {
		w.checkInvariants(false)
	}
	return true
}

// dispatch passes on an event that is not a replica's.
func (w *world) dispatch(e *event) {
	switch e.kind {
	case eventWake:
		if c := &w.clients[e.who]; e.arg == c.wakeAt {
			c.awake()
		}
	case eventReply:
		w.clients[e.who].receive(e.arg)
	case eventCut:
		w.clients[e.who].heardCut(e.arg)
	case eventSweep:
		w.sweep()
	case eventMove:
		w.nemesis.move()
	case eventEnd:
		w.nemesis.end(e.arg)
	case eventStart:
		w.restart(int(e.who), e.arg)
	case eventOperate:
		w.operator.move()
	case eventShutDown:
		w.operator.shutDown(int(e.who), e.arg)
	case eventRetire:
		w.operator.retire(int(e.who))
	case eventDirect:
		w.directed.step(int(e.arg))
	case eventDirectEnd:
		w.directed.end(int(e.arg))
	case eventMishap:
		w.mishap.move()
	case eventLoss:
		w.loss.move()
	}
}

// saw says that a moment has come at a replica, which is in the middle of a
// step.
func (w *world) saw(t trigger, h *host) {
	w.nemesis.saw(t, h)
	w.operator.saw(t, h)
}

// strike does what the ambushes have led to, between two events.
func (w *world) strike() {
	if w.failure == nil && (w.nemesis.pending || w.operator.pending) {
		w.nemesis.strike()
		w.operator.strike()
	}
}

// runUntil takes events up to, and without, the time until.
func (w *world) runUntil(until uint64) {
	for w.failure == nil && !w.stopped() && !w.enough && w.queue.before(until) {
		w.step()
	}
	if w.failure == nil && !w.stopped() && !w.enough {
		w.now = until
	}
}

// stopped says that the run was asked to go no further.
func (w *world) stopped() bool {
	return w.options.Until != 0 && w.steps+1 >= w.options.Until
}

// fail notes a violation. The first one counts: what follows from it may be
// nonsense.
func (w *world) fail(v Verdict, property, detail string) {
	w.failAt(v, -1, property, detail)
}

// failAt is fail with the replica concerned.
func (w *world) failAt(v Verdict, replica int, property, detail string) {
	if w.failure != nil {
		return
	}
	w.verdict = v
	w.failure = &Failure{
		Property: property,
		Detail:   detail,
		Step:     w.steps,
		At:       w.now,
		Replica:  replica,
	}
	if replica >= 0 && replica < len(w.hosts) {
		w.failure.Tick = w.hosts[replica].clock.delivered
	}
	w.failure.From, w.failure.To = w.now, w.now
	w.emitWith(TraceFailure, replica, uint64(v), 0, 0, 0, func() string { return property + ": " + detail })
}

func (w *world) founding() core.Configuration {
	c := core.Configuration{}
	for i := range w.scenario.Replicas {
		id := core.ReplicaID(i + 1)
		c.Voters = append(c.Voters, id)
		if i < len(w.scenario.Priorities) && w.scenario.Priorities[i] != 0 {
			c.Members = append(c.Members, core.Member{ID: id, Priority: w.scenario.Priorities[i]})
		}
	}
	return c
}

// machines are the replicas that are there, as bits by position: from when they
// are installed until they are taken away.
func (w *world) machines() uint64 {
	set := uint64(0)
	for i := range w.grown {
		if !w.hosts[i].retired {
			set |= 1 << i
		}
	}
	return set
}

// electorate are the voters among them, as the leader sees it; without one, all
// of them.
func (w *world) electorate() uint64 {
	set := w.machines()
	if l := w.leader(); l >= 0 {
		voters := uint64(0)
		c := w.hosts[l].replica.Core().Configuration()
		for _, id := range c.Voters {
			voters |= 1 << (id - 1)
		}
		if set&voters != 0 {
			set &= voters
		}
	}
	return set
}

// nth is the member of a set that has k others before it.
func nth(set uint64, k int) int {
	for range k {
		set &= set - 1
	}
	return bits.TrailingZeros64(set)
}

func (w *world) size() int { return len(w.hosts) }

func (w *world) electionTicks() uint32 { return w.scenario.ElectionTicks }

func (w *world) ticks(i int) uint64 { return w.hosts[i].clock.delivered }

func (w *world) inspect(i int) inspector { return w.hosts[i].replica.Core() }

func (w *world) durable(i int) durableView { return w.hosts[i].disk.memory }

func (w *world) state(i int) uint64 { return w.hosts[i].machine.machine.Digest() }

func (w *world) revision(i int) (n uint64, ok bool) {
	if w.sessions == nil {
		return 0, false
	}
	return w.sessions.Revision(w.hosts[i].machine.machine), true
}

func (w *world) repeated(i int) bool {
	return w.sessions != nil && w.sessions.Repeated(w.hosts[i].machine.machine)
}

func (w *world) there(i int) bool { return w.machines()>>i&1 != 0 }

func (w *world) mark(m Mark) { w.result.Marks[m]++ }

// fault counts a fault that had an effect.
func (w *world) fault(k FaultKind) { w.result.Faults[k]++ }

// stream is the stream of decisions of that name.
func (w *world) stream(name string, a, b int) choice.Stream {
	return w.source.Stream(name, uint64(a), uint64(b))
}

// livelock watches that time goes on: a cluster that does ever more at one
// instant, or in one second, is stuck however busy it looks.
type livelock struct {
	second uint64
	events uint64
}

// eventsPerSecondMax is far above what any scenario needs, and far below what
// would make a run hang.
const eventsPerSecondMax = 1_000_000

func (l *livelock) count(w *world) {
	if w.now >= l.second {
		l.second = w.now + 1e9
		l.events = 0
	}
	l.events++
	if l.events > eventsPerSecondMax {
		w.fail(Liveness, "Livelock", "more than 1,000,000 events within a simulated second")
	}
}

// eventKind says what an event does. Those up to eventWake go to a replica,
// and find it down, or wait while its process is paused.
type eventKind uint8

const (
	eventTick   eventKind = iota // the next tick of its clock
	eventPacket                  // a packet arrives
	eventDisk                    // the sync under way ends
	eventTask                    // the first task of the state machine ends
	eventSave                    // the first snapshot being saved is saved
	eventBatch                   // the proposals gathered go to the replica
	eventAsk                     // a request of the operator arrives

	eventWake  // a client does what is next
	eventReply // a packet arrives at a client
	eventCut   // a client learns that its connection has been cut
	eventSweep // clients that waited for too long give up
	eventMove  // the nemesis makes its next move
	eventEnd   // a fault ends
	eventStart // a replica that is down starts

	eventOperate  // the operator makes its next move
	eventShutDown // it stops a process, to start it again
	eventRetire   // it takes a replica away that was removed

	eventDirect    // a step of the schedule is due
	eventDirectEnd // what it did ends
	eventMishap    // the next mishap
	eventLoss      // the next stage of a loss
)

// event is something that will happen. Its meaning of arg depends on the kind:
// a slot of a packet or fault, or the incarnation of the replica that asked
// for it.
type event struct {
	at   uint64 // nanoseconds
	seq  uint64 // events of one time happen in the order in which they were made
	arg  uint32
	kind eventKind
	who  uint8 // replica or client
}

func (e *event) earlier(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// queue holds the events to come: a heap in which each parent has four
// children, which makes it flat and keeps siblings next to each other.
type queue struct {
	heap []event
	seq  uint64
}

func (q *queue) push(at uint64, kind eventKind, who uint8, arg uint32) {
	q.seq++
	q.put(event{at: at, seq: q.seq, arg: arg, kind: kind, who: who})
}

// put lets e rise from the bottom.
func (q *queue) put(e event) {
	i := len(q.heap)
	q.heap = append(q.heap, e)
	for i > 0 {
		parent := (i - 1) / 4
		if !e.earlier(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) pop() (event, bool) {
	n := len(q.heap) - 1
	if n < 0 {
		return event{}, false
	}
	first, last := q.heap[0], q.heap[n]
	q.heap = q.heap[:n]
	if n > 0 {
		q.sink(last)
	}
	return first, true
}

// sink puts e into the hole at the top.
func (q *queue) sink(e event) {
	h := q.heap
	i := 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].earlier(&h[least]) {
				least = c
			}
		}
		if !h[least].earlier(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// hasten brings events of a kind that would come after the time until forward
// to it, in the order in which they were made.
func (q *queue) hasten(kind eventKind, until uint64) {
	late := q.heap
	q.heap = make([]event, 0, cap(late))
	for i := range late {
		e := late[i]
		if e.kind == kind {
			e.at = min(e.at, until)
		}
		q.put(e)
	}
}

// before says whether there is an event before the time until.
func (q *queue) before(until uint64) bool {
	return len(q.heap) > 0 && q.heap[0].at < until
}

// clock is the monotonic clock of one replica. It may run fast or slow, stand
// still, and jump ahead. It never goes back: that is what monotonic means.
type clock struct {
	tickNanos uint64
	rate      uint64 // local nanoseconds per million true ones; 0: it stands still
	since     uint64 // true time of the last change of rate
	local     uint64 // what it showed then
	delivered uint64 // ticks delivered to the replica
	next      uint64 // true time at which the next tick is owed; never if it stands
}

const (
	never      = 1<<64 - 1
	clockExact = 1_000_000 // rate of a clock that runs true
)

func newClock(tickNanos, rate, now uint64) clock {
	c := clock{tickNanos: tickNanos, rate: rate, since: now}
	c.plan()
	return c
}

// read is what the clock shows at the true time now.
func (c *clock) read(now uint64) uint64 { return c.local + mulDiv(now-c.since, c.rate, clockExact) }

// owed is how many ticks have passed that were not delivered yet.
func (c *clock) owed(now uint64) uint64 {
	if now < c.next {
		return 0
	}
	return c.read(now)/c.tickNanos - c.delivered
}

// plan finds out when the next tick will be owed.
func (c *clock) plan() {
	target := (c.delivered + 1) * c.tickNanos
	if target <= c.local {
		c.next = c.since
		return
	}
	if c.rate == 0 {
		c.next = never
		return
	}
	wait := mulDiv(target-c.local, clockExact, c.rate)
	for c.local+mulDiv(wait, c.rate, clockExact) < target {
		wait++
	}
	c.next = c.since + wait
}

// deliver notes that n ticks have been delivered.
func (c *clock) deliver(n uint64) {
	c.delivered += n
	if n == 1 && c.rate == clockExact {
		c.next += c.tickNanos
		return
	}
	c.plan()
}

func (c *clock) setRate(now, rate uint64) {
	c.local, c.since, c.rate = c.read(now), now, rate
	c.plan()
}

func (c *clock) jump(now, nanos uint64) {
	c.local, c.since = c.read(now)+nanos, now
	c.plan()
}

// arena hands out bytes that live until the garbage collector finds nobody
// interested, in blocks, so that a small command does not cost an allocation.
type arena struct{ free []byte }

const arenaBlockBytes = 64 << 10

// take returns n bytes of nobody else's, with no capacity beyond them.
func (a *arena) take(n int) []byte {
	if n > len(a.free) {
		if n > arenaBlockBytes/8 {
			return make([]byte, n)
		}
		a.free = make([]byte, arenaBlockBytes)
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}

// keep returns a copy of b.
func (a *arena) keep(b []byte) []byte {
	k := a.take(len(b))
	copy(k, b)
	return k
}

// mulDiv is a*b/c without overflow in between.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi == 0 {
		return lo / c
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}
