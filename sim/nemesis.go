package sim

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/netsim"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// FaultKind is a kind of bad luck.
type FaultKind uint8

// The faults. Those of single packets and pieces of data are drawn all the
// time while the set has them; the others are begun by the nemesis and end
// after a while.
const (
	FaultLoss FaultKind = iota
	FaultDuplicate
	FaultReorder
	FaultStraggle
	FaultCorrupt
	FaultClientCut
	FaultClientDelay

	FaultSplit   // two sides that do not hear each other
	FaultIsolate // one replica alone
	FaultOneWay  // some are heard and do not hear
	FaultBridge  // two sides, and one that hears both
	FaultRing    // each hears its neighbours only, in a ring, a chain or a star
	FaultMatrix  // any set of directed links
	FaultClog    // links hold back what they carry
	FaultSwizzle // replicas are clogged one after another, and let go in another order
	FaultDepose  // a leader is cut off, and what it was sent before reaches it bit by bit

	FaultCrash
	FaultPowerOne
	FaultPowerMinority
	FaultPowerMajority
	FaultPowerAll
	FaultPause

	FaultDiskSlow
	FaultDiskStall
	FaultDiskFail // the next sync fails, and what it was to make durable may be lost
	FaultApplySlow
	FaultApplyStall

	FaultClockFast
	FaultClockSlow
	FaultClockStop
	FaultClockJump

	// Those of mishap.go, which the nemesis does not begin.
	FaultSaveFail    // snapshots can not be saved
	FaultRestoreFail // a snapshot can not be read when it is to be restored
	FaultClockLeap   // a clock goes forward by hours

	// Those of loss.go: one at most in a run.
	FaultDiskWiped      // a replica starts on an empty disk
	FaultDiskRolledBack // or on a backup of its own
	FaultDiskDamaged    // a byte of what was synced is another one

	FaultCount
)

// FaultNames are what faults are called.
var FaultNames = [FaultCount]string{
	"loss", "duplicate", "reorder", "straggle", "corrupt", "client-cut", "client-delay",
	"split", "isolate", "one-way", "bridge", "ring", "matrix", "clog", "swizzle", "depose",
	"crash", "power-one", "power-minority", "power-majority", "power-all", "pause",
	"disk-slow", "disk-stall", "disk-fail", "apply-slow", "apply-stall",
	"clock-fast", "clock-slow", "clock-stop", "clock-jump",
	"save-fail", "restore-fail", "clock-leap",
	"disk-wiped", "disk-rolled-back", "disk-damaged",
}

func (k FaultKind) String() string {
	if k < FaultCount {
		return FaultNames[k]
	}
	return "unknown"
}

// packetFaults are those that the nemesis does not begin.
const packetFaults = 1<<FaultLoss | 1<<FaultDuplicate | 1<<FaultReorder | 1<<FaultStraggle |
	1<<FaultCorrupt | 1<<FaultClientCut | 1<<FaultClientDelay

// packetFaultOf says under what the network counts them.
var packetFaultOf = [...]struct {
	kind    FaultKind
	counted netsim.Fault
}{
	{FaultLoss, netsim.FaultLoss}, {FaultDuplicate, netsim.FaultDuplicate}, {FaultReorder, netsim.FaultReorder},
	{FaultStraggle, netsim.FaultStraggler}, {FaultCorrupt, netsim.FaultCorruption},
	{FaultClientCut, netsim.FaultConnCut}, {FaultClientDelay, netsim.FaultConnDelay},
}

const partitionFaults FaultSet = 1<<FaultSplit | 1<<FaultIsolate | 1<<FaultOneWay | 1<<FaultBridge |
	1<<FaultRing | 1<<FaultMatrix

const powerFaults FaultSet = 1<<FaultPowerOne | 1<<FaultPowerMinority | 1<<FaultPowerMajority | 1<<FaultPowerAll

// trigger is a moment at which a fault does the most harm.
type trigger uint8

const (
	triggerNone       trigger = iota
	triggerProposal           // a replica got a client's command
	triggerEntries            // a replica writes entries that it was sent
	triggerVote               // a replica writes a vote
	triggerCandidate          // a replica became a candidate
	triggerLeader             // a replica became the leader
	triggerTruncate           // a replica replaces the end of its log
	triggerChunk              // a replica writes a piece of a snapshot
	triggerInstall            // a replica writes the last piece
	triggerPublish            // a replica publishes a snapshot of its own
	triggerUnsynced           // a majority has writes that are not synced
	triggerMembers            // a replica writes a configuration
	triggerJoint              // a joint one
	triggerCommitted          // a leader has committed a configuration
	triggerTransfer           // a leader begins to hand over
	triggerTimeoutNow         // it asks the other to stand
	triggerCount
)

// nemesis is the one who makes things go wrong. At each move it draws a fault,
// and begins it at once or lies in wait for the worst moment. All that it does
// is undone in the end.
type nemesis struct {
	w       *world
	moves   choice.Stream
	victims choice.Stream
	times   choice.Stream
	odds    *choice.Weights
	kinds   []FaultKind // by position in odds; the first is none
	stopped bool

	faults []fault
	free   []uint32

	// The partition in force, and the fault whose it is.
	partition uint32 // slot + 1; zero: none
	clogs     int    // clogged links and replicas
	released  []netsim.Released

	cascade int // moves to follow at once

	trap
	ambush FaultKind // what waits for the moment
}

// trap waits for a moment.
type trap struct {
	armed     trigger
	countdown int
	pending   bool // the moment has come
	prey      int  // at this replica
}

// fault is one that goes on.
type fault struct {
	kind FaultKind
	used bool
	host int8 // the replica concerned, or -1
	at   int  // swizzle and depose: how far the plan has come
	plan netsim.Swizzle
	rate uint64 // of a clock, before
	// Clog: the link.
	from, to netsim.End
	what     string // whom it hits and how, for the trace
}

func (n *nemesis) begin(w *world) {
	n.w = w
	s := w.scenario
	n.moves = w.stream("nemesis/move", 0, 0)
	n.victims = w.stream("nemesis/victim", 0, 0)
	n.times = w.stream("nemesis/time", 0, 0)
	n.prey = -1
	w.setRules()
	weights := []uint32{1}
	n.kinds = []FaultKind{FaultCount}
	for k := range FaultCount {
		if !s.Faults.Has(k) || (packetFaults|mishaps|losses)>>k&1 != 0 || len(w.hosts) == 1 && soleExempt>>k&1 != 0 {
			continue
		}
		n.kinds = append(n.kinds, k)
		weights = append(weights, faultWeights[k])
	}
	if len(weights) == 1 {
		return
	}
	n.odds = choice.NewWeights(weights...)
	w.queue.push(n.pause(), eventMove, 0, 0)
}

// faultWeights are how often each is begun where all are on.
var faultWeights = [FaultCount]uint32{
	FaultSplit: 5, FaultIsolate: 6, FaultOneWay: 3, FaultBridge: 3, FaultRing: 2, FaultMatrix: 3,
	FaultClog: 3, FaultSwizzle: 2, FaultDepose: 6,
	FaultCrash: 6, FaultPowerOne: 4, FaultPowerMinority: 2, FaultPowerMajority: 4, FaultPowerAll: 3,
	FaultPause: 5, FaultDiskSlow: 2, FaultDiskStall: 3, FaultDiskFail: 3, FaultApplySlow: 2, FaultApplyStall: 3,
	FaultClockFast: 2, FaultClockSlow: 2, FaultClockStop: 1, FaultClockJump: 2,
}

// soleExempt makes no sense with a single replica.
const soleExempt = partitionFaults | 1<<FaultClog | 1<<FaultSwizzle | 1<<FaultDepose | 1<<FaultPowerMinority | 1<<FaultPowerMajority

// setRules puts the packet faults of the scenario in force.
func (w *world) setRules() {
	s := w.scenario
	l := &s.Links
	on := func(k FaultKind, weight uint32) uint32 {
		if s.Faults.Has(k) {
			return weight
		}
		return 0
	}
	weights := netsim.Weights{
		Lost:       on(FaultLoss, l.Loss),
		Duplicated: on(FaultDuplicate, l.Duplicate),
		Reordered:  on(FaultReorder, l.Reorder),
		Straggling: on(FaultStraggle, l.Straggle),
		Corrupted:  on(FaultCorrupt, l.Corrupt),
	}
	sum := weights.Lost + weights.Duplicated + weights.Reordered + weights.Straggling + weights.Corrupted
	if sum == 0 {
		w.network.SetRules()
		return
	}
	weights.OnTime = 10_000 - min(sum, 9_000)
	w.network.SetRules(netsim.Rule{
		Links: netsim.All(len(w.hosts)), Weights: weights, Reorder: l.ReorderNanos, Straggle: l.StraggleNanos,
	})
}

// pause is when the next move comes.
func (n *nemesis) pause() uint64 {
	s := n.w.scenario
	if n.cascade > 0 {
		// Within an election timeout or two, while the cluster still reels.
		n.cascade--
		return n.w.now + s.electionNanos()/8*uint64(1+n.w.source.Choose(n.times, 16))
	}
	return n.w.now + s.Nemesis.EveryNanos/8*uint64(1+n.w.source.Choose(n.times, 16))
}

// duration draws how long a fault lasts: each order of magnitude alike.
func (n *nemesis) duration() uint64 {
	s := n.w.scenario
	least := max(s.electionNanos()/8, 1)
	return n.w.source.ChooseLog(n.times, least, max(s.Nemesis.DurationNanos, least))
}

// move is what comes of an eventMove.
func (n *nemesis) move() {
	w := n.w
	if n.stopped {
		return
	}
	s := w.scenario
	kind := n.kinds[w.source.Pick(n.moves, n.odds)]
	if kind != FaultCount {
		switch {
		case n.armed == triggerNone && w.source.Chance(n.moves, uint32(s.Nemesis.Ambush), 100):
			n.lieInWait(kind)
		default:
			n.start(kind, -1)
		}
		if n.cascade == 0 && w.source.Chance(n.moves, uint32(s.Nemesis.Cascade), 100) {
			n.cascade = 1 + w.source.Choose(n.moves, 4)
		}
	}
	w.queue.push(n.pause(), eventMove, 0, 0)
}

// lieInWait arms the ambush.
func (n *nemesis) lieInWait(kind FaultKind) {
	n.ambush = kind
	n.arm(n.w, n.moves, allMoments[:])
}

// allMoments are those that a fault may wait for.
var allMoments = func() (all [triggerCount - 1]trigger) {
	for i := range all {
		all[i] = trigger(i + 1)
	}
	return all
}()

// arm draws the moment to wait for.
func (a *trap) arm(w *world, st choice.Stream, moments []trigger) {
	a.armed = moments[w.source.Choose(st, len(moments))]
	a.countdown = w.source.Choose(st, 8)
	if a.armed >= triggerMembers {
		a.countdown /= 4 // these are rare
	}
}

// disarm waits no more.
func (a *trap) disarm() { a.armed, a.pending = triggerNone, false }

// saw says that a moment has come at a replica. It does nothing yet: the
// replica is in the middle of a step.
func (a *trap) saw(t trigger, h *host) {
	if a.armed != t {
		return
	}
	if a.countdown > 0 {
		a.countdown--
		return
	}
	a.armed = triggerNone
	a.pending = true
	a.prey = h.index
}

// sawWrite looks at what a replica writes.
func (a *trap) sawWrite(h *host, wr *replica.Write) {
	is := false
	switch a.armed {
	case triggerEntries:
		is = len(wr.Entries) > 0 && h.role.role != core.RoleLeader
	case triggerVote:
		is = wr.HardStateSet && wr.HardState.Vote != 0 && wr.HardState.Vote != h.id
	case triggerTruncate:
		is = wr.Truncate != 0
	case triggerChunk:
		is = wr.ChunkSet
	case triggerInstall:
		is = wr.ChunkSet && wr.Chunk.Last
	case triggerPublish:
		is = wr.PublishSet
	case triggerUnsynced:
		unsynced := 1
		machines := h.w.machines()
		for i := range h.w.hosts {
			d := &h.w.hosts[i].disk
			if i != h.index && d.appended > d.synced {
				unsynced++
			}
		}
		is = 2*unsynced > bits.OnesCount64(machines)
	case triggerMembers, triggerJoint:
		is = bringsMembers(wr, a.armed == triggerJoint)
	}
	if is {
		a.saw(a.armed, h)
	}
}

// bringsMembers says whether a write has a configuration in it.
func bringsMembers(wr *replica.Write, joint bool) bool {
	for i := range wr.Entries {
		if e := &wr.Entries[i]; e.Kind == core.EntryConfiguration {
			if !joint {
				return true
			}
			if c, err := confchange.Decode(e.Data); err == nil && c.IsJoint() {
				return true
			}
		}
	}
	return false
}

// strike does what an ambush has led to, between two events.
func (n *nemesis) strike() {
	if !n.pending {
		return
	}
	n.pending = false
	n.start(n.ambush, n.prey)
}

// slot takes a place for a fault of one replica that goes on, and plans its end.
func (n *nemesis) slot(kind FaultKind, host int, nanos uint64) uint32 {
	return n.slotFor(kind, host, nanos, "")
}

// slotFor is slot for a fault that hits something else than just one replica, or
// in a way that its name does not tell; what says whom and how.
func (n *nemesis) slotFor(kind FaultKind, host int, nanos uint64, what string) uint32 {
	if host >= 0 {
		what = strings.TrimSuffix(replicaText(uint64(host)+1)+", "+what, ", ")
	}
	var slot uint32
	if k := len(n.free); k > 0 {
		slot = n.free[k-1]
		n.free = n.free[:k-1]
	} else {
		n.faults = append(n.faults, fault{})
		slot = uint32(len(n.faults) - 1)
	}
	n.faults[slot] = fault{kind: kind, used: true, host: int8(host), what: what}
	n.w.queue.push(n.w.now+nanos, eventEnd, 0, slot)
	if nanos > 0 {
		what += ", for " + secondsText(nanos)
	}
	n.w.emitFault(host, uint64(kind), uint64(slot), 0, nanos, true, what)
	n.w.fault(kind)
	return slot
}

// victim draws a replica: the prey of an ambush, the leader, or anyone.
func (n *nemesis) victim(prey int) int {
	w := n.w
	c := w.source.Choose(n.victims, 8)
	if prey >= 0 && c != 7 {
		return prey
	}
	if l := w.leader(); l >= 0 && c < 4 {
		return l
	}
	set := w.machines()
	return nth(set, w.source.Choose(n.victims, bits.OnesCount64(set)))
}

// leader is the replica that leads in the highest term, or -1.
func (w *world) leader() int {
	best, term := -1, core.Term(0)
	for i := range w.hosts {
		if r := &w.hosts[i].role; w.hosts[i].replica != nil && r.role == core.RoleLeader && r.term >= term {
			best, term = i, r.term
		}
	}
	return best
}

// start begins a fault. prey is the replica that an ambush waited for, or -1.
func (n *nemesis) start(kind FaultKind, prey int) {
	w := n.w
	switch kind {
	case FaultSplit, FaultIsolate, FaultOneWay, FaultBridge, FaultRing, FaultMatrix:
		n.part(kind, prey)
	case FaultClog:
		n.clog(prey)
	case FaultSwizzle:
		n.swizzle()
	case FaultDepose:
		n.depose(prey)
	case FaultCrash:
		v := n.victim(prey)
		n.kill(kind, 1<<v, downCrash)
	case FaultPowerOne:
		n.kill(kind, 1<<n.victim(prey), downPower)
	case FaultPowerMinority:
		n.kill(kind, n.some(prey, (bits.OnesCount64(w.electorate())-1)/2), downPower)
	case FaultPowerMajority:
		n.kill(kind, n.some(prey, bits.OnesCount64(w.electorate())/2+1), downPower)
	case FaultPowerAll:
		n.kill(kind, 1<<len(w.hosts)-1, downPower)
	case FaultPause:
		n.pauseProcess(n.victim(prey))
	case FaultDiskSlow, FaultDiskStall, FaultApplySlow, FaultApplyStall:
		n.slow(kind, n.victim(prey))
	case FaultDiskFail:
		w.hosts[n.victim(prey)].disk.failing = true
	case FaultClockFast, FaultClockSlow, FaultClockStop, FaultClockJump:
		n.skew(kind, n.victim(prey))
	}
}

// some draws a set of voters of the given size, mostly with the prey or the
// leader in it.
func (n *nemesis) some(prey, size int) uint64 {
	w := n.w
	size = max(size, 1)
	first := n.victim(prey)
	set := uint64(1) << first
	pool := w.electorate()
	k := bits.OnesCount64(pool)
	for bits.OnesCount64(set) < size && pool&^set != 0 {
		for v := w.source.Choose(n.victims, k); ; v = (v + 1) % k {
			if m := nth(pool, v); set>>m&1 == 0 {
				set |= 1 << m
				break
			}
		}
	}
	return set
}

// kill ends processes, all at one instant, and plans when each comes back.
func (n *nemesis) kill(kind FaultKind, set uint64, why downReason) {
	w := n.w
	hit := uint64(0)
	for i := range w.hosts {
		h := &w.hosts[i]
		if set>>i&1 == 0 || h.replica == nil {
			continue
		}
		hit |= 1 << i
		h.stop(why, n.victims)
		w.queue.push(w.now+n.duration(), eventStart, uint8(i), h.incarnation)
	}
	if hit != 0 {
		w.fault(kind)
		w.emitFault(-1, uint64(kind), 0, set, 0, false, setText(hit))
	}
}

// restart is what comes of an eventStart.
func (w *world) restart(who int, incarnation uint32) {
	if h := &w.hosts[who]; h.replica == nil && h.incarnation == incarnation {
		h.start()
		w.touched(who)
	}
}

func (n *nemesis) pauseProcess(v int) {
	h := &n.w.hosts[v]
	if h.replica == nil || h.paused {
		return
	}
	nanos := n.duration()
	if h.role.role == core.RoleLeader && nanos > n.w.scenario.electionNanos() {
		n.w.mark(MarkLeaderPaused)
	}
	n.slot(FaultPause, v, nanos)
	h.pause()
}

func (n *nemesis) slow(kind FaultKind, v int) {
	w := n.w
	h := &w.hosts[v]
	d := &h.disk.device
	if kind == FaultApplySlow || kind == FaultApplyStall {
		d = &h.applier.device
	}
	nanos := n.duration()
	if kind == FaultDiskSlow || kind == FaultApplySlow {
		d.slowUntil = w.now + nanos
		d.slowFactor = w.source.ChooseLog(n.times, 4, 256)
		n.slotFor(kind, v, nanos, fmt.Sprintf("%d times slower", d.slowFactor))
	} else {
		n.slot(kind, v, nanos)
		d.stalledUntil = max(d.stalledUntil, w.now+nanos)
	}
}

func (n *nemesis) skew(kind FaultKind, v int) {
	w := n.w
	h := &w.hosts[v]
	if kind == FaultClockJump {
		timeout := w.scenario.electionNanos()
		nanos := w.source.ChooseLog(n.times, timeout/8, timeout*32)
		if nanos > timeout {
			w.mark(MarkClockJump)
		}
		w.fault(kind)
		w.emitFault(v, uint64(kind), 0, nanos, 0, false, replicaText(uint64(v)+1)+", ahead by "+secondsText(nanos))
		h.jump(nanos)
		return
	}
	for i := range n.faults {
		if f := &n.faults[i]; f.used && int(f.host) == v && f.rate != 0 {
			return // one at a time
		}
	}
	nanos, percent := n.duration(), uint64(0)
	switch kind {
	case FaultClockFast:
		percent = w.source.ChooseRange(n.times, 110, 800)
	case FaultClockSlow:
		percent = w.source.ChooseRange(n.times, 10, 90)
	}
	f := &n.faults[n.slotFor(kind, v, nanos, fmt.Sprintf("at %d %%", percent))]
	f.rate = h.clock.rate
	h.setRate(f.rate * percent / 100)
}

// part puts a partition in force, in place of the one before, and decides on
// which side each client is.
func (n *nemesis) part(kind FaultKind, prey int) {
	w := n.w
	size := w.grown // who is installed later is on all sides
	voters := bits.OnesCount64(w.electorate())
	var m netsim.Matrix
	switch kind {
	case FaultIsolate:
		m = netsim.Isolate(size, netsim.End(n.victim(prey)))
	case FaultSplit:
		// The leader on the smaller side is where logs grow apart.
		m = netsim.TwoSides(size, n.some(prey, 1+w.source.Choose(n.victims, max(voters-1, 1))))
	case FaultOneWay:
		// Who is heard and does not hear, or hears and is not heard.
		side := n.some(prey, 1+w.source.Choose(n.victims, max(voters-1, 1)))
		if all := uint64(1)<<size - 1; side != all && w.source.Chance(n.victims, 1, 2) {
			side = all &^ side
		}
		m = netsim.OneWay(size, side)
	case FaultBridge:
		m = netsim.ShapeBridge.Draw(w.source, n.victims, size)
	case FaultRing:
		m = []netsim.Shape{netsim.ShapeRing, netsim.ShapeChain, netsim.ShapeStar}[w.source.Choose(n.victims, 3)].
			Draw(w.source, n.victims, size)
	default:
		m = netsim.ShapeAny.Draw(w.source, n.victims, size)
	}
	nanos := n.duration()
	n.partition = n.slotFor(kind, -1, nanos, linksText(m)) + 1
	w.network.Partition(m)
	n.partClients(m)
}

// partClients puts each client on the side of one replica, or on both.
func (n *nemesis) partClients(m netsim.Matrix) {
	w := n.w
	mode := w.source.Choose(n.victims, 4)
	for i := range w.clients {
		c := &w.clients[i]
		reach := uint64(1)<<len(w.hosts) - 1
		at := -1
		switch {
		case mode == 1, mode == 3:
			at = w.source.Choose(n.victims, w.grown)
		case mode == 2 && w.leader() >= 0:
			at = w.leader()
		}
		if at >= 0 {
			reach = 0
			for j := range w.hosts {
				if j >= len(m) || m.Both(netsim.End(at), netsim.End(j)) {
					reach |= 1 << j
				}
			}
		}
		c.setReach(reach)
	}
}

// setReach cuts the connections to replicas that are out of reach.
func (c *client) setReach(reach uint64) {
	c.reach = reach
	for h := range c.conns {
		if reach>>h&1 == 0 {
			c.cut(h)
		}
	}
}

func (n *nemesis) clog(prey int) {
	w := n.w
	from := n.victim(prey)
	to := w.source.Choose(n.victims, w.grown)
	if to == from {
		to = (to + 1) % w.grown
	}
	if to == from {
		return
	}
	for i := range n.faults {
		if f := &n.faults[i]; f.used && f.kind == FaultClog && f.from == netsim.End(from) && f.to == netsim.End(to) {
			return
		}
	}
	f := &n.faults[n.slotFor(FaultClog, -1, n.duration(), fmt.Sprintf("r%d to r%d", from+1, to+1))]
	f.from, f.to = netsim.End(from), netsim.End(to)
	n.clogs++
	w.network.Clog(f.from, f.to)
}

func (n *nemesis) swizzle() {
	for i := range n.faults {
		if f := &n.faults[i]; f.used && f.kind == FaultSwizzle {
			return
		}
	}
	plan := netsim.DrawSwizzle(n.w.source, n.victims, n.w.grown)
	what := endsText(plan.Clog) + " one after another, let go as " + endsText(plan.Unclog)
	n.faults[n.slotFor(FaultSwizzle, -1, 0, what)].plan = plan
}

// swizzleOn does the next part of the plan, and reports whether it was the
// last.
func (n *nemesis) swizzleOn(f *fault, slot uint32) bool {
	w := n.w
	k := len(f.plan.Clog)
	if f.at < k {
		w.network.ClogEnd(f.plan.Clog[f.at])
		n.clogs++
	} else {
		n.released = w.network.UnclogEnd(w.now, f.plan.Unclog[f.at-k], n.released[:0])
		n.unclogged()
	}
	f.at++
	if f.at == 2*k {
		return true
	}
	w.queue.push(w.now+1+n.duration()/uint64(2*k), eventEnd, 0, slot)
	return false
}

// depose makes a leader that does not know that it is none any more, and sends
// clients to it. What its peers have answered before they lost it reaches it
// bit by bit, so that it believes for as long as possible that it is still
// heard.
func (n *nemesis) depose(prey int) {
	w := n.w
	leader := w.leader()
	if prey >= 0 && w.hosts[prey].role.role == core.RoleLeader {
		leader = prey
	}
	if leader < 0 {
		return
	}
	for i := range n.faults {
		if f := &n.faults[i]; f.used && f.kind == FaultDepose {
			return
		}
	}
	for p := range w.hosts {
		if p != leader {
			w.network.Clog(netsim.End(p), netsim.End(leader))
		}
	}
	n.clogs++
	n.slotFor(FaultDepose, leader, n.eighths(3), "which leads: what it is sent is held, then it is cut off")
	if w.scenario.Faults.Has(FaultClockSlow) && w.source.Chance(n.victims, 1, 4) {
		n.skew(FaultClockSlow, leader)
	}
}

// eighths draws a time up to so many eighths of the least election timeout.
func (n *nemesis) eighths(most uint64) uint64 {
	return n.w.scenario.electionNanos() * most / 256 * uint64(1+n.w.source.Choose(n.times, 32))
}

// deposeSteps is how many parts the plan of depose has: about four election
// timeouts.
const deposeSteps = 12

// deposeOn does the next part of the plan, and reports whether it was the
// last.
func (n *nemesis) deposeOn(slot uint32) bool {
	w := n.w
	f := &n.faults[slot]
	leader := netsim.End(f.host)
	if f.at == 0 {
		n.partition = slot + 1
		w.network.Partition(netsim.Isolate(len(w.hosts), leader))
		n.unclogLeader(leader, true)
	}
	if f.at++; f.at == deposeSteps {
		return true
	}
	// Some clients come to it, others go where they find another leader.
	for i := range w.clients {
		c := &w.clients[i]
		switch w.source.Choose(n.victims, 4) {
		case 1:
			c.target = int(leader)
			c.setReach(1 << leader)
		case 2:
			c.setReach((1<<len(w.hosts) - 1) &^ (1 << leader))
		}
	}
	w.queue.push(w.now+n.eighths(6), eventEnd, 0, slot)
	return false
}

// unclogLeader lets go of what a leader's peers have sent it, with delays if
// it is to come bit by bit.
func (n *nemesis) unclogLeader(leader netsim.End, late bool) {
	w := n.w
	n.released = n.released[:0]
	for p := range w.hosts {
		if p != int(leader) {
			n.released = w.network.Unclog(w.now, netsim.End(p), leader, n.released)
		}
	}
	if late {
		for i := range n.released {
			n.released[i].At += n.eighths(20)
		}
	}
	n.unclogged()
}

// unclogged sends on what a clog has let go.
func (n *nemesis) unclogged() {
	n.clogs--
	n.w.release(n.released)
}

// end is what comes of an eventEnd.
func (n *nemesis) end(slot uint32) {
	f := &n.faults[slot]
	if !f.used {
		return
	}
	if f.kind == FaultSwizzle && !n.swizzleOn(f, slot) || f.kind == FaultDepose && !n.deposeOn(slot) {
		return
	}
	n.undo(f, slot)
}

// undo ends a fault.
func (n *nemesis) undo(f *fault, slot uint32) {
	w := n.w
	w.emitWith(TraceFaultEnd, int(f.host), uint64(f.kind), uint64(slot), 0, 0, func() string { return f.what })
	if n.partition == slot+1 {
		n.partition = 0
		w.network.Partition(nil)
		for i := range w.clients {
			w.clients[i].reach = 1<<len(w.hosts) - 1
		}
	}
	switch {
	case f.kind == FaultDepose:
		if f.at == 0 {
			n.unclogLeader(netsim.End(f.host), false)
		}
	case f.kind == FaultClog:
		n.released = w.network.Unclog(w.now, f.from, f.to, n.released[:0])
		n.unclogged()
	case f.kind == FaultPause:
		if h := &w.hosts[f.host]; h.paused {
			h.resume()
			w.touched(h.index)
		}
	case f.rate != 0:
		w.hosts[f.host].setRate(f.rate)
	}
	*f = fault{}
	n.free = append(n.free, slot)
}

// heal undoes everything, and begins nothing more.
func (n *nemesis) heal() {
	n.stopped = true
	n.disarm()
	for slot := range n.faults {
		if f := &n.faults[slot]; f.used {
			n.undo(f, uint32(slot))
		}
	}
	n.clogs = 0 // what a plan cut short has left, the network undoes by itself
}
