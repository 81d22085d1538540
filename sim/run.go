// Package sim runs whole clusters in one thread and in virtual time, from one
// seed: replicas with their disks, clocks and state machines, the network
// between them, clients, and everything that goes wrong with all of these. One
// seed is one run, on every machine and for ever, and every step of it is
// checked.
//
//	run.go         Run: the plan of a run, from first fault to last check
//	scenario.go    what is decided before a run begins
//	world.go       virtual time, the events, and one step
//	cluster.go     the replicas' hosts: ticks, packets, crashes, pauses
//	disk.go        how long disks and state machines take, and how they fail
//	storage.go     disks that are not the simulator's
//	nemesis.go     what goes wrong, when, and to whom
//	directed.go    what goes wrong by hand, and scenarios from a file
//	mishap.go      the same for what happens seldom
//	loss.go        disks that are lost, rolled back or damaged
//	again.go       whether every replica could be started again
//	operator.go    who changes members and hands leadership over
//	client.go      clients, their requests and retries
//	workload.go    what they ask for
//	misuse.go      what a workload may not do
//	invariant.go   what a workload demands of its replicas together
//	panic.go       where a panic came from
//	checker.go     what must hold after every event; books.go is its memory
//	membership.go  the same for configurations
//	promises.go    what a message may say when it is sent
//	confirmed.go   which reads may be confirmed
//	effects.go     what may be applied and answered
//	replies.go     how a state machine has to answer
//	liveness.go    what a healed cluster must achieve, and when it need not
//	connectivity.go  clusters whose links stay cut: any directed graph
//	marks.go       situations that a campaign must have reached; lookout.go sees them
//	trace.go       what happened, as words and as text
package sim

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// Options say what to run.
type Options struct {
	Seed uint64
	// Focus names features that must be on, by the letters of ParseFocus; empty:
	// the scenario is drawn from all.
	Focus string
	// Scenario, if not nil, is run instead of one that is drawn.
	Scenario *Scenario
	// Source makes the decisions; nil: those of the seed, not recorded.
	Source *choice.Source
	// Workload makes what the clients do; nil: the store kv.
	Workload func() Workload
	// Disk makes the disk of each replica, empty, as replica.NewMemory makes it
	// for a cluster with these founding members; nil: the simulator's.
	Disk func(founding core.Configuration) Disk
	// Trace, if not nil, hears of everything that happens. The event is borrowed
	// for the call.
	Trace func(*TraceEvent)
	// Until stops the run before this step; zero: the whole run.
	Until uint64
	// ChecksOff is for measuring what the checks cost.
	ChecksOff bool
	// ClientsOnly leaves the verdict to what the clients saw: nobody looks into
	// replicas and messages, and the run ends with the faults.
	ClientsOnly bool
	// KeepHistory fills in Result.History also when the run passed.
	KeepHistory bool
	// MaxNanos and MaxDecisions, unless zero, end the faults early: after so
	// much virtual time, and soon after so many decisions.
	MaxNanos, MaxDecisions uint64

	searchSteps uint64 // of the second judge; zero: linearizability.WholeStepsMax
}

// Verdict is how a run ended.
type Verdict uint8

const (
	Passed          Verdict = iota
	Safety                  // something happened that never may
	Linearizability         // clients saw what one copy could not have shown them
	Liveness                // a healed cluster did not recover in time
	Panic                   // the program failed
	Unknown                 // the judge of the history gave up; one that has points never does
	Misuse                  // what was to be run can not be, and says nothing about the cluster
)

var verdictNames = [...]string{"passed", "safety", "linearizability", "liveness", "panic", "unknown", "misuse"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "invalid"
}

// ExitCode is that of a process which ran only this.
func (v Verdict) ExitCode() int {
	return [...]int{Passed: 0, Safety: 1, Linearizability: 1, Liveness: 3, Panic: 4, Unknown: 6, Misuse: 2}[v]
}

// Failure is the first thing that went wrong.
type Failure struct {
	Property string
	Detail   string
	Step     uint64
	At       uint64 // virtual time, nanoseconds
	Tick     uint64 // by the clock of the replica
	Replica  int    // position, from 0; -1: none in particular
	// From and To are the stretch of virtual time that is wrong. It ends at At,
	// unless what is wrong was seen later, as in a history of clients.
	From, To uint64
}

// Result is what came of a run.
type Result struct {
	Seed     uint64
	Scenario Scenario
	Verdict  Verdict
	Failure  *Failure // nil if it passed

	Steps          uint64 // events taken
	Deliveries     uint64 // messages and client packets handed to their receivers
	SimulatedNanos uint64
	TraceHash      uint64

	Marks              Marks
	Faults             [FaultCount]uint64 // by kind; those of packets count packets
	Network            netsim.Counts
	LeaderChanges      int // the first election included
	SnapshotsInstalled int
	UnsyncedLost       int // power losses that took something

	Operations   int
	Acknowledged int
	UnknownOps   int
	// SearchCut says that the search for any order at all of a small history was
	// given up (see judge).
	SearchCut bool

	// RecoveryTicks is what the healed cluster took, RecoveryBoundTicks what it
	// might have; zero if the run did not get that far.
	RecoveryTicks      uint64
	RecoveryBoundTicks uint64

	History *linearizability.History // if it failed, or was asked for
	Model   linearizability.Model
	Tape    *choice.Tape // if the source recorded
	Drift   *choice.Drift
	// Story, of a run that failed, are faults, restarts and elections up to what
	// went wrong, and some that followed, one line each.
	Story []string
}

// Run runs one simulation. It does not panic: a panic inside becomes the
// verdict. What can not be run becomes the verdict Misuse, whose failure says
// which option is wrong, and how.
func Run(o *Options) (result *Result) {
	w := &world{options: o}
	w.result = &Result{Seed: o.Seed}
	defer func() {
		if p := recover(); p != nil {
			w.failure, w.sink = nil, nil // the listener may be who panicked
			w.failAt(Panic, w.working(), "Panic", PanicText(p, debug.Stack()))
		}
		result = w.conclude()
	}()
	if err := o.Check(); err != nil {
		w.misuse("Options", err.Error())
		return nil
	}
	if w.build(); w.failure == nil {
		w.run()
	}
	return nil // set by conclude
}

// Check says what can not be run: a focus that names nothing, or a scenario
// that no world can be made of.
func (o *Options) Check() error {
	if _, err := ParseFocus(o.Focus); err != nil {
		return err
	}
	if o.Scenario == nil {
		return nil
	}
	if o.Focus != "" {
		return fmt.Errorf("focus %q: it says how a scenario is drawn, and one is given", o.Focus)
	}
	if err := o.Scenario.Check(); err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	return nil
}

// build makes the world of a scenario.
func (w *world) build() {
	o := w.options
	w.source = o.Source
	if w.source == nil {
		w.source = choice.New(o.Seed)
	}
	s := &w.result.Scenario
	if o.Scenario != nil {
		*s = *o.Scenario
	} else {
		focus, _ := ParseFocus(o.Focus) // as Check has seen
		*s = Draw(w.source, focus)
	}
	if o.MaxNanos != 0 {
		s.FaultNanos = min(s.FaultNanos, o.MaxNanos)
	}
	w.scenario = s
	w.sink = o.Trace
	w.timeoutNanos = s.Traffic.TimeoutNanos
	w.saveNanos, w.restoreNanos = s.SaveNanos, s.RestoreNanos
	if o.Workload != nil {
		w.workload = o.Workload()
	} else {
		w.workload = newKV(&s.Traffic)
	}
	if w.checkWorkload(); w.failure != nil {
		return
	}
	w.sessions, _ = w.workload.(Sessions)
	w.newHosts()
	w.newNetwork()
	w.checker = newChecker(w)
	w.checker.broken = o.ChecksOff || o.ClientsOnly
	w.newInvariants()
	w.newClients()
}

// newNetwork makes the links, each with its own latency.
func (w *world) newNetwork() {
	s := w.scenario
	l := netsim.Link{
		Jitter: s.Links.JitterNanos, Ordered: s.Links.Ordered,
		BytesPerSecond: s.Links.BytesPerSecond, QueueBytes: s.Links.QueueBytes,
	}
	w.network = netsim.New(w.source, l, len(w.hosts))
	for from := range w.hosts {
		for to := range w.hosts {
			if from != to {
				l.Base = w.source.ChooseRange(w.stream("link/base", from, to), s.Links.BaseNanosMin, s.Links.BaseNanosMax)
				w.network.SetLink(netsim.End(from), netsim.End(to), l)
			}
		}
	}
}

// run is the plan of a run.
func (w *world) run() {
	w.startHosts()
	w.runUntil(w.scenario.FaultNanos)
	if w.over() || w.options.ChecksOff {
		return // how far it has recovered, only the checker could tell
	}
	w.enough = false
	if !w.options.ClientsOnly {
		w.heal()
		w.recover()
	}
	if w.over() {
		return
	}
	w.enter(phaseEnd)
	w.judge()
}

// startHosts lets the first phase begin.
func (w *world) startHosts() {
	w.enter(phaseFaults)
	for i := range w.grown {
		w.hosts[i].start()
		w.touched(i)
	}
	w.nemesis.begin(w)
	w.mishap.begin(w)
	w.loss.begin(w)
	w.operator.begin(w)
	w.directed.begin(w)
}

// over says that there is nothing more to do: a violation was found, or the
// run was to stop here.
func (w *world) over() bool { return w.failure != nil || w.stopped() }

func (w *world) enter(p phase) {
	w.phase = p
	w.emit(TracePhase, -1, uint64(p), 0, 0, 0)
}

// heal ends all faults, as far as the scenario allows: from here on links lose
// nothing and take less than half a heartbeat, clocks agree within a tenth,
// disks and state machines answer within a tick, and all but a minority run. A disk
// that is slow for the whole run stays slow: that is no reason not to recover.
// What stays down or cut stays so for good.
func (w *world) heal() {
	s := w.scenario
	w.enter(phaseHealed)
	w.recovery = recovery{HealedAt: w.now}
	latency := max(s.heartbeatNanos()/2, 2)
	w.nemesis.heal()
	w.mishap.heal()
	w.loss.heal()
	w.operator.end()
	w.directed.heal()
	w.release(w.network.Heal(w.now, latency, nil))
	w.queue.hasten(eventPacket, w.now+latency) // stragglers too
	for i := range w.hosts {
		w.hosts[i].heal()
	}
	w.saveNanos, w.restoreNanos = min(w.saveNanos, s.TickNanos), min(w.restoreNanos, s.TickNanos)
	w.startAll()
	w.leaveCut()
	// A client has to wait for a write of a slow disk behind the one that is under
	// way, at the leader or at a follower, or it will never hear an answer.
	w.timeoutNanos = max(min(w.timeoutNanos, 2*s.electionNanos()), 4*s.SlowDisk.SyncNanos)
	for i := range w.clients {
		c := &w.clients[i]
		c.reach = 1<<len(w.hosts) - 1
		for h := range c.conns {
			if c.conns[h].Heal(w.now, latency) {
				c.tellCut(h)
			}
		}
		c.deadline = min(c.deadline, w.now+w.timeoutNanos)
		if c.state == clientIdle {
			c.wake(w.now + uint64(i)*s.TickNanos)
		}
	}
}

// startAll starts who is down, and ends the minority that is to stay down.
func (w *world) startAll() {
	set := w.machines()
	var order []int
	for i := range w.hosts {
		if set>>i&1 != 0 {
			order = append(order, i)
		}
	}
	leave := min(w.scenario.LeaveDown, (len(order)-1)/2)
	if leave > 0 {
		choice.Shuffle(w.source, w.stream("leave-down", 0, 0), order)
	}
	// With other members than at first, a minority of the machines may be more
	// than one of the voters.
	standings := w.checker.standings(nil)
	for _, i := range order {
		standings[i].Up = !w.hosts[i].out && !w.hosts[i].lost
	}
	for k, i := range order {
		h := &w.hosts[i]
		if k < leave && standings[i].Up {
			standings[i].Up = false
			if !canStandStill(standings, allLinks(len(w.hosts))) {
				h.stop(downCrash, w.nemesis.victims)
				continue
			}
			standings[i].Up = true
		}
		h.start()
		w.touched(i)
	}
}

// leaveCut leaves some links cut for good, if the scenario says so, but not so
// many that the cluster could not go on.
func (w *world) leaveCut() {
	n := len(w.hosts)
	w.links = allLinks(n)
	if w.scenario.LeaveCut == "" {
		return
	}
	st := w.stream("leave-cut", 0, 0)
	var m netsim.Matrix
	for shape := range netsim.Shapes {
		if shape.String() == w.scenario.LeaveCut {
			m = shape.Draw(w.source, st, w.grown)
		}
	}
	l := allLinks(n)
	for i := range m {
		l[i] &= m[i] | ^uint64(0)<<len(m)
	}
	if m == nil || canStandStill(w.checker.standings(nil), l) {
		return
	}
	w.links = l
	w.network.Partition(m)
}

// recover lets the healed cluster go on until it has recovered or its time is
// up.
func (w *world) recover() {
	p := w.pace()
	bound := p.boundNanos()
	w.result.RecoveryBoundTicks = p.ticks(bound)
	deadline := w.now + min(bound, never/4)
	for !w.over() && w.now < deadline {
		w.runUntil(min(w.now+w.scenario.TickNanos, deadline))
		w.recovery.observe(w.checker, w.links, w.now, w.answered, w.settled())
		w.lookAtOffice()
		if w.recovery.done() && w.quiet() {
			w.result.RecoveryTicks = p.ticks(w.recovery.nanos())
			return
		}
	}
	if w.over() || canStandStill(w.checker.standings(nil), w.links) {
		return
	}
	missing := w.recovery.missing()
	if w.recovery.done() {
		missing = "a client still waits for an answer"
	}
	w.fail(Liveness, "Recovery", fmt.Sprintf("%s within %d ticks of the heal, at %d.%03d s",
		missing, p.ticks(bound), w.recovery.HealedAt/1e9, w.recovery.HealedAt/1e6%1e3))
}

// settled says whether nothing is under way about members and leadership that
// the leader could finish: no joint configuration, no promotion of a learner
// within its reach, no handover; and it is a voter itself.
func (w *world) settled() bool {
	l := w.leader()
	if l < 0 {
		return false
	}
	raft := w.hosts[l].replica.Core()
	st, c := raft.Status(), raft.Configuration()
	if st.Successor != 0 || st.Commit < c.Index || c.IsJoint() || !c.Votes(st.ID) {
		return false
	}
	promotes := false
	for _, op := range c.Planned {
		if op.Kind == confchange.Promote {
			i := int(op.ID) - 1
			if w.hosts[i].replica == nil || w.hosts[i].lost || !w.links.both(l, i) {
				return true // all that is planned waits for this one, for ever
			}
			promotes = true
		}
	}
	return !promotes
}

// quiet says that no client waits and no replica owes an answer.
func (w *world) quiet() bool {
	for i := range w.clients {
		if w.clients[i].state != clientIdle {
			return false
		}
	}
	for i := range w.requests.slots {
		if w.requests.slots[i].out {
			return false
		}
	}
	return true
}

// pace is what the healed cluster can do. What is owed crosses the slowest of
// its ways: the link, or a window of appends or a piece of a snapshot per round
// trip.
func (w *world) pace() *pace {
	s := w.scenario
	p := &pace{ElectionTicks: s.ElectionTicks, TickNanos: s.TickNanos, SlowestTickNanos: s.TickNanos, SyncNanos: s.SlowDisk.SyncNanos}
	owed := uint64(0)
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.clock.rate != 0 {
			p.SlowestTickNanos = max(p.SlowestTickNanos, mulDiv(s.TickNanos, clockExact, h.clock.rate))
		}
		d := h.disk.memory.Durable()
		bytes := d.Snapshot.Size
		if h.replica != nil {
			c := h.replica.Core()
			st := c.Status()
			for j := st.First; j <= st.Last.Index; j++ {
				if e, ok := c.Entry(j); ok {
					bytes += e.Bytes()
				}
			}
		}
		owed = max(owed, bytes)
	}
	// A snapshot yet to be taken may be as huge as any.
	p.OwedBytes = owed + s.HugeBytes
	// A round trip, with a sync and a task at either end, and where a disk stays
	// slow one of its writes: each piece of a snapshot waits for the one before.
	trip := s.heartbeatNanos() + 4*s.TickNanos + p.SyncNanos
	l := &s.Limits
	window := min(l.InflightBytes, uint64(l.InflightMessages)*l.MessageBytes, uint64(l.ChunkBytes), l.ApplyBytes)
	p.BytesPerSecond = max(mulDiv(max(window, 64), 1e9, trip), 1)
	if b := s.Links.BytesPerSecond; b != 0 {
		p.BytesPerSecond = min(p.BytesPerSecond, b)
	}
	return p
}

// judge makes the checks of the end: the cluster has one state with everything
// in it that was acknowledged, and what clients saw is linearizable. The points
// of its operations prove that. For small histories a search that knows nothing
// of them has to come to the same; where it takes too long, the proof stands
// alone.
func (w *world) judge() {
	reach := uint64(0)
	if leader := w.checker.leaderNow(); leader >= 0 {
		reach = withinReach(w.checker.standings(nil), w.links, leader)
	}
	w.checker.atEnd(reach)
	w.checkInvariants(true)
	if w.failure == nil {
		w.checkStartsAgain()
	}
	if w.failure != nil {
		return
	}
	judge := linearizability.NewChecker(w.model)
	r, err := judge.Points(&w.history)
	if err == nil && r.Verdict == linearizability.Ok && w.scenario.Small {
		var whole linearizability.Result
		if whole, err = judge.Whole(&w.history, cmp.Or(w.options.searchSteps, linearizability.WholeStepsMax)); whole.Verdict == linearizability.Illegal {
			r = whole
		}
		w.result.SearchCut = err == nil && whole.Verdict == linearizability.Unknown
	}
	switch {
	case err != nil:
		w.fail(Panic, "Model", err.Error())
	case r.Verdict == linearizability.Illegal:
		w.fail(Linearizability, "Linearizability", r.Violation.Text)
		w.failure.From, w.failure.To = w.stretch(&r.Violation)
	case r.Verdict != linearizability.Ok:
		w.fail(Unknown, "Linearizability", fmt.Sprintf("no verdict after %d steps of the model", r.Steps))
	}
}

// stretch is the time from the first call to the last return of the operations
// that a violation is about; of one that is about none, all of it.
func (w *world) stretch(v *linearizability.Violation) (from, to uint64) {
	from, to = never, 0
	for _, id := range [...]linearizability.OpID{v.First, v.Second} {
		if id >= 0 {
			op := w.history.Op(id)
			from, to = min(from, op.Call.Nanos), max(to, op.Call.Nanos, op.Return.Nanos)
		}
	}
	if from > to {
		return 0, w.now
	}
	return from, to
}

// describe says what a client asked, and was answered unless output is nil, as
// its model does, for people. That model may be wrong about anything.
func (w *world) describe(input, output []byte) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%q", short(input))
		}
	}()
	if d, ok := w.workload.Model().(linearizability.Describer); ok {
		return strings.TrimSuffix(d.Describe(input, output), " -> ?")
	}
	if text = fmt.Sprintf("%q", short(input)); output != nil {
		text += fmt.Sprintf(" -> %q", short(output))
	}
	return text
}

// conclude sums up.
func (w *world) conclude() *Result {
	r := w.result
	r.Verdict, r.Failure = w.verdict, w.failure
	if w.failure == nil {
		r.Verdict = Passed
	}
	r.Steps = w.steps
	r.SimulatedNanos = w.now
	r.TraceHash = digest.Finish(w.hash)
	if w.failure != nil {
		r.Story = w.story.lines(w.failure.To)
	}
	if w.network != nil {
		r.Network = *w.network.Counts()
		for _, f := range packetFaultOf {
			r.Faults[f.kind] = r.Network[f.counted]
		}
	}
	r.Model = w.model
	if (r.Failure != nil || w.options.KeepHistory) && r.Verdict != Misuse {
		r.History = &w.history
	}
	if w.source != nil {
		r.Tape = w.source.Tape()
		if d, ok := w.source.Drift(); ok {
			r.Drift = &d
		}
	}
	return r
}

// touched looks at a replica after something other than an event has moved it.
func (w *world) touched(i int) {
	if w.failure == nil {
		w.checker.afterEvent(i)
	}
}
