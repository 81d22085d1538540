package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// A schedule is what goes wrong by hand: cut this at five seconds, crash that,
// then that. It is part of a scenario, beside what the nemesis and the operator
// do in it, and mostly in place of them. What it leaves to chance (what a power
// loss takes, whom clients ask) the seed decides as ever.
//
// Replicas are named "r1", "r2" and so on, "all", or by what they are when the
// step is done: "leader" is who leads in the highest term, "followers" are the
// others. A step that names one of these waits until somebody leads.

// Step is one line of a schedule.
type Step struct {
	// AtNanos is when, or, if it waits for a leader, not before when.
	AtNanos uint64 `json:"at_nanos"`
	// Do is one of Actions.
	Do string `json:"do"`
	// Replicas are those that it is done to.
	Replicas []string `json:"replicas,omitempty"`
	// Peers are the other ends of the links of a cut or connect; empty: all.
	Peers []string `json:"peers,omitempty"`
	// ForNanos is for how long; zero: until another step ends it, or all faults
	// end.
	ForNanos uint64 `json:"for_nanos,omitempty"`
	// Factor is how many times as long a slow device takes.
	Factor uint64 `json:"factor,omitempty"`
	// RatePPM is how fast a clock goes, in millionths of true time; zero: it
	// stands still. JumpNanos is by how much it leaps ahead.
	RatePPM   uint64 `json:"rate_ppm,omitempty"`
	JumpNanos uint64 `json:"jump_nanos,omitempty"`
	// Target is to whom leadership is handed over; empty: to the best.
	Target string `json:"target,omitempty"`
}

// action is what a Step does.
type action uint8

const (
	actCut action = iota
	actCutOut
	actCutIn
	actConnect
	actCrash
	actPowerLoss
	actStart
	actPause
	actResume
	actDiskSlow
	actDiskStall
	actDiskFail
	actApplySlow
	actApplyStall
	actClockRate
	actClockJump
	actAddVoter
	actAddLearner
	actPromote
	actDemote
	actRemove
	actTransfer
	actCampaign
	actResign
	actionCount
)

// Actions are what a Step can do.
var Actions = [actionCount]string{
	actCut:     "cut",     // the links between replicas and peers, both ways
	actCutOut:  "cut-out", // from replicas to peers only
	actCutIn:   "cut-in",  // from peers to replicas only
	actConnect: "connect", // ends all of these; without replicas, everywhere

	actCrash:     "crash",      // the process ends, the disk keeps all
	actPowerLoss: "power-loss", // of all of them at one instant
	actStart:     "start",      // who is down
	actPause:     "pause",      // the process, not its disk and clock
	actResume:    "resume",

	actDiskSlow:   "disk-slow",
	actDiskStall:  "disk-stall",
	actDiskFail:   "disk-fail", // the next sync fails
	actApplySlow:  "apply-slow",
	actApplyStall: "apply-stall",

	actClockRate: "clock-rate",
	actClockJump: "clock-jump",

	// The leader is asked to make these replicas members, or others than they
	// are.
	actAddVoter:   "add-voter",
	actAddLearner: "add-learner",
	actPromote:    "promote",
	actDemote:     "demote",
	actRemove:     "remove",
	// Each of these replicas is asked.
	actTransfer: "transfer",
	actCampaign: "campaign",
	actResign:   "resign",
}

func (a action) String() string { return Actions[a] }

func actionNamed(name string) (action, error) {
	if i := slices.Index(Actions[:], name); i >= 0 {
		return action(i), nil
	}
	return 0, fmt.Errorf("do is %q, want one of %s", name, strings.Join(Actions[:], " "))
}

// undoneBy is what ends an action; actionCount: nothing does.
var undoneBy = func() (u [actionCount]action) {
	for a := range u {
		u[a] = actionCount
	}
	u[actCut], u[actCutOut], u[actCutIn] = actConnect, actConnect, actConnect
	u[actCrash], u[actPowerLoss], u[actPause] = actStart, actStart, actResume
	u[actClockRate] = actClockRate
	return u
}()

// operationOf is what an action asks of the leader; zero: nothing.
var operationOf = [actionCount]confchange.OperationKind{
	actAddVoter: confchange.AddVoter, actAddLearner: confchange.AddLearner, actPromote: confchange.Promote,
	actDemote: confchange.Demote, actRemove: confchange.Remove,
}

const (
	scheduleMax = 1_000

	whoLeader    = "leader"
	whoFollowers = "followers"
	whoAll       = "all"
)

func (s *Scenario) checkSchedule() error {
	if err := within("schedule: their number", len(s.Schedule), 0, scheduleMax); err != nil {
		return err
	}
	for i := range s.Schedule {
		if err := s.checkStep(&s.Schedule[i]); err != nil {
			return fmt.Errorf("schedule[%d]: %w", i, err)
		}
	}
	return nil
}

func (s *Scenario) checkStep(p *Step) error {
	a, err := actionNamed(p.Do)
	if err != nil {
		return err
	}
	if p.AtNanos >= s.FaultNanos {
		return fmt.Errorf("at_nanos is %d, but the faults end at fault_nanos, %d", p.AtNanos, s.FaultNanos)
	}
	if len(p.Replicas) == 0 && a != actConnect {
		return fmt.Errorf("%s without replicas", a)
	}
	for _, name := range slices.Concat(p.Replicas, p.Peers) {
		if err := s.checkWho(name); err != nil {
			return err
		}
	}
	if p.Target != "" {
		if err := s.checkWho(p.Target); err != nil {
			return err
		}
	}
	slow, stall := a == actDiskSlow || a == actApplySlow, a == actDiskStall || a == actApplyStall
	links := a == actCut || a == actCutOut || a == actCutIn || a == actConnect
	for _, f := range [...]struct {
		field string
		set   bool
		may   bool
	}{
		{"peers", len(p.Peers) > 0, links},
		{"for_nanos", p.ForNanos != 0, undoneBy[a] != actionCount || slow || stall},
		{"factor", p.Factor != 0, slow},
		{"rate_ppm", p.RatePPM != 0, a == actClockRate},
		{"jump_nanos", p.JumpNanos != 0, a == actClockJump},
		{"target", p.Target != "", a == actTransfer},
	} {
		if f.set && !f.may {
			return fmt.Errorf("%s has no %s", a, f.field)
		}
	}
	switch {
	case slow:
		return errors.Join(within("for_nanos", p.ForNanos, 1, waitMax), within("factor", p.Factor, 2, slowFactorMax))
	case stall:
		return within("for_nanos", p.ForNanos, 1, waitMax)
	case a == actClockRate && p.RatePPM != 0:
		return errors.Join(within("for_nanos", p.ForNanos, 0, waitMax), within("rate_ppm", p.RatePPM, rateMin, rateMax))
	case a == actClockJump:
		return within("jump_nanos", p.JumpNanos, 1, delayMax)
	}
	return within("for_nanos", p.ForNanos, 0, waitMax)
}

// checkWho refuses a name that stands for no replica.
func (s *Scenario) checkWho(name string) error {
	if name == whoLeader || name == whoFollowers || name == whoAll {
		return nil
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "r")); err == nil && strings.HasPrefix(name, "r") && n >= 1 && n <= s.Replicas+s.Spares {
		return nil
	}
	return fmt.Errorf("there is no replica %q; there are r1 to r%d, leader, followers and all", name, s.Replicas+s.Spares)
}

// String is the step in words.
func (p *Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s %s", nanos(p.AtNanos), p.Do)
	if len(p.Replicas) > 0 {
		fmt.Fprintf(&b, " %s", strings.Join(p.Replicas, "+"))
	}
	if len(p.Peers) > 0 {
		fmt.Fprintf(&b, " and %s", strings.Join(p.Peers, "+"))
	}
	if p.Target != "" {
		fmt.Fprintf(&b, " to %s", p.Target)
	}
	if p.Factor != 0 {
		fmt.Fprintf(&b, " %d times", p.Factor)
	}
	if p.Do == Actions[actClockRate] {
		fmt.Fprintf(&b, " %d ppm", p.RatePPM)
	}
	if p.JumpNanos != 0 {
		fmt.Fprintf(&b, " by %s", nanos(p.JumpNanos))
	}
	if p.ForNanos != 0 {
		fmt.Fprintf(&b, " for %s", nanos(p.ForNanos))
	}
	return b.String()
}

// directed does the steps of a schedule.
type directed struct {
	w       *world
	stopped bool
	closed  [64]uint64 // by replica, those that it does not reach, as bits
	rates   []uint64   // of the clocks, before any step has touched them; zero: none has
	undo    []undoing
}

// undoing is a step that ends after a while.
type undoing struct {
	step     int
	act      action
	set      uint64 // replicas
	peers    uint64
	outgoing bool // links: from set to peers
	incoming bool // links: from peers to set
}

func (d *directed) begin(w *world) {
	d.w = w
	d.rates = make([]uint64, len(w.hosts))
	for i := range w.scenario.Schedule {
		w.queue.push(w.scenario.Schedule[i].AtNanos, eventDirect, 0, uint32(i))
	}
}

// step is what comes of an eventDirect.
func (d *directed) step(i int) {
	w := d.w
	if d.stopped {
		return
	}
	p := &w.scenario.Schedule[i]
	a, err := actionNamed(p.Do)
	if err != nil {
		panic("sim: " + err.Error()) // Check has seen it
	}
	set, ok1 := d.who(p.Replicas)
	peers, ok2 := d.who(p.Peers)
	target, ok3 := d.who([]string{p.Target}[:min(len(p.Target), 1)])
	if !ok1 || !ok2 || !ok3 || operationOf[a] != 0 && w.leader() < 0 {
		w.queue.push(w.now+w.scenario.TickNanos, eventDirect, 0, uint32(i))
		return
	}
	if len(p.Peers) == 0 {
		peers = 1<<len(w.hosts) - 1
	}
	if a == actConnect && len(p.Replicas) == 0 {
		set = peers
	}
	u := undoing{i, undoneBy[a], set, peers, a != actCutIn, a != actCutOut}
	d.do(a, p, &u, target)
	if u.act != actionCount && p.ForNanos != 0 {
		d.undo = append(d.undo, u)
		w.queue.push(w.now+p.ForNanos, eventDirectEnd, 0, uint32(len(d.undo)-1))
	}
}

// who are the replicas of these names, as bits; not ok if nobody leads, and one
// of the names needs that.
func (d *directed) who(names []string) (set uint64, ok bool) {
	w := d.w
	for _, name := range names {
		leader := w.leader()
		switch {
		case name == whoAll:
			set |= w.machines()
		case name != whoLeader && name != whoFollowers:
			n, _ := strconv.Atoi(name[1:])
			set |= 1 << (n - 1)
		case leader < 0:
			return 0, false
		case name == whoLeader:
			set |= 1 << leader
		default:
			set |= w.machines() &^ (1 << leader)
		}
	}
	return set, true
}

// do does an action.
func (d *directed) do(a action, p *Step, u *undoing, target uint64) {
	w := d.w
	w.emit(TraceDirected, -1, uint64(u.step), uint64(a), u.set, u.peers)
	switch {
	case a == actCut || a == actCutOut || a == actCutIn || a == actConnect:
		d.link(u, a != actConnect)
		return
	case operationOf[a] != 0:
		d.change(operationOf[a], u.set)
		return
	}
	for i := range w.hosts {
		if u.set>>i&1 != 0 {
			d.doTo(&w.hosts[i], a, p, target)
		}
	}
}

// doTo does an action to one replica.
func (d *directed) doTo(h *host, a action, p *Step, target uint64) {
	w := d.w
	switch a {
	case actCrash:
		h.stop(downCrash, w.stream("directed", 0, 0))
	case actPowerLoss:
		h.stop(downPower, w.stream("directed", 0, 0))
	case actStart:
		if h.index < w.grown {
			h.start()
			w.touched(h.index)
		}
	case actPause:
		h.pause()
	case actResume:
		if h.paused {
			h.resume()
			w.touched(h.index)
		}
	case actDiskFail:
		h.disk.failing = true
	case actDiskSlow:
		h.disk.slowUntil, h.disk.slowFactor = w.now+p.ForNanos, p.Factor
	case actApplySlow:
		h.applier.slowUntil, h.applier.slowFactor = w.now+p.ForNanos, p.Factor
	case actDiskStall:
		h.disk.stalledUntil = max(h.disk.stalledUntil, w.now+p.ForNanos)
	case actApplyStall:
		h.applier.stalledUntil = max(h.applier.stalledUntil, w.now+p.ForNanos)
	case actClockRate:
		if d.rates[h.index] == 0 {
			d.rates[h.index] = h.clock.rate
		}
		h.setRate(p.RatePPM)
	case actClockJump:
		h.jump(p.JumpNanos)
	case actTransfer:
		id := core.ReplicaID(0)
		if target != 0 {
			id = core.ReplicaID(bits.TrailingZeros64(target) + 1)
		}
		w.operator.send(askTransfer, h.index, core.Change{}, id)
	case actCampaign:
		w.operator.send(askCampaign, h.index, core.Change{}, 0)
	case actResign:
		w.operator.send(askResign, h.index, core.Change{}, 0)
	}
}

// link closes links, or opens them again, and puts in force what is closed, in
// place of a partition of the nemesis.
func (d *directed) link(u *undoing, closed bool) {
	w := d.w
	each := func(from, to uint64) {
		for i := range w.hosts {
			switch {
			case from>>i&1 == 0:
			case closed:
				d.closed[i] |= to &^ (1 << i)
			default:
				d.closed[i] &^= to
			}
		}
	}
	if u.outgoing {
		each(u.set, u.peers)
	}
	if u.incoming {
		each(u.peers, u.set)
	}
	rows := make([]uint64, len(w.hosts))
	all := uint64(0)
	for i := range rows {
		rows[i] = ^d.closed[i]
		all |= d.closed[i]
	}
	w.nemesis.partition = 0
	if all == 0 {
		w.network.Partition(nil)
		return
	}
	w.network.Partition(netsim.FromRows(rows))
}

// change asks the leader for one change of all these replicas. A new one is
// installed first: it starts at once, knowing nobody.
func (d *directed) change(kind confchange.OperationKind, set uint64) {
	w := d.w
	var c core.Change
	for i := range w.hosts {
		if set>>i&1 == 0 {
			continue
		}
		c.Operations = append(c.Operations, core.Operation{Kind: kind, ID: core.ReplicaID(i + 1)})
		if kind == confchange.AddVoter || kind == confchange.AddLearner {
			for ; w.grown <= i; w.grown++ {
				w.restart(w.grown, 0)
			}
		}
	}
	ask := [...]askKind{confchange.AddVoter: askAddVoter, confchange.AddLearner: askAddLearner,
		confchange.Promote: askPromote, confchange.Demote: askDemote, confchange.Remove: askRemove}[kind]
	w.operator.send(ask, w.leader(), c, 0)
}

// end is what comes of an eventDirectEnd.
func (d *directed) end(i int) {
	if d.stopped {
		return
	}
	u := &d.undo[i]
	if u.act == actClockRate {
		d.restoreClocks(u.set)
		return
	}
	d.do(u.act, &Step{}, u, 0)
}

func (d *directed) restoreClocks(set uint64) {
	for i, rate := range d.rates {
		if set>>i&1 != 0 && rate != 0 {
			d.w.hosts[i].setRate(rate)
			d.rates[i] = 0
		}
	}
}

// heal undoes everything, and does nothing more. Links, disks and who is down
// are the world's to heal.
func (d *directed) heal() {
	d.stopped = true
	if len(d.w.scenario.Schedule) == 0 {
		return
	}
	d.restoreClocks(^uint64(0))
	for i := range d.w.hosts {
		if h := &d.w.hosts[i]; h.paused {
			h.resume()
			d.w.touched(i)
		}
	}
}

// Plain is the scenario that ParseScenario begins with: that of Bench without
// anything that goes wrong, for twenty seconds.
func Plain() Scenario {
	s := Bench()
	s.Name = ""
	l := &s.Links
	l.Loss, l.Duplicate, l.Reorder, l.Straggle, l.Corrupt, l.ClientCut, l.ClientDelay = 0, 0, 0, 0, 0, 0, 0
	l.ReorderNanos, l.StraggleNanos, l.ClientDelayNanos = 0, 0, 0
	s.Disk.Slow, s.Disk.SlowFactor = 0, 0
	s.FaultNanos = 20e9
	s.Faults = 0
	s.Nemesis = NemesisScenario{}
	return s
}

// ParseScenario reads a scenario that somebody has written by hand: an object
// of JSON with the fields in which it differs from Plain. A field that there is
// not, and what Check refuses, is an error.
func ParseScenario(text []byte) (*Scenario, error) {
	s := Plain()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the scenario")
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return &s, nil
}
