package sim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// Partial connectivity: some links between the replicas are gone, in one
// direction or in both, and stay so. Nothing else goes wrong. Wherever the
// replicas of some majority all hear each other, a leader has to commit, and to
// go on doing so, whatever those outside send in. The same holds where one
// replica alone hears a majority and is heard by it, as long as nobody in that
// majority has a better log: see canStandStill.
//
// A run begins with all links open, until a leader commits, and then takes some
// of them away; or they are missing from the start. From there on there is one
// command after another: everyone gets it who leads, until it is committed, and
// after a pause comes the next. In some runs the pauses are short, so that
// nothing goes unnoticed. In others they are long: then those that are cut off
// miss nothing, might be elected, and are the greater threat.

// Connectivity is one such run.
type Connectivity struct {
	// Graph has the links that stay, by vertex. Which replica is at which vertex
	// is drawn, except that Leader is the one that leads when the links change.
	Graph netsim.Matrix
	// Leader is a vertex; -1: the links are gone from the start.
	Leader int
	// Behind are vertices, as bits, without Leader and at most a minority, that
	// are cut off for a while before the links change, so that they lack what is
	// committed by then.
	Behind uint64
	Seed   uint64
	// Trace, if not nil, hears of everything that happens.
	Trace func(*TraceEvent)
}

// DrawConnectivity is the run of a graph with a seed, from 1 on. Of four seeds
// one starts afresh; in the others each vertex leads in its turn, and every
// other time some lack a part of the log.
func DrawConnectivity(graph netsim.Matrix, seed uint64) Connectivity {
	n := uint64(len(graph))
	c := Connectivity{Graph: graph, Leader: -1, Seed: seed}
	if seed%4 == 0 {
		return c
	}
	turn := (seed - 1) - (seed-1)/4
	c.Leader = int(turn % n)
	if turn/n%2 == 1 {
		src := choice.New(seed)
		st := src.Stream("connectivity/behind", 0, 0)
		for range (n - 1) / 2 {
			if v := src.Choose(st, int(n)); v != c.Leader {
				c.Behind |= 1 << v
			}
		}
	}
	return c
}

// RunOf is the run of a named case with a seed.
func (k *ConnectivityCase) RunOf(seed uint64) Connectivity {
	return Connectivity{Graph: k.Graph, Leader: k.Leader, Behind: k.Behind, Seed: seed}
}

const (
	// ConnectivityElectionTicks is the least election timeout of these runs. It
	// is much longer than a message takes, as it should be.
	ConnectivityElectionTicks = 30
	// ConnectivityTimeouts is for how many upper election timeouts a command may
	// wait. All graphs with twenty seeds each stay below 2.4.
	ConnectivityTimeouts = 4
	// connectivityWindow is how many more a run goes on after the first commit: more
	// than that, or nothing that came later could take too long.
	connectivityWindow = 6
	// connectivityPause is the short pause between two commands, in ticks.
	connectivityPause = 10
)

// ConnectivityResult is what came of a run.
type ConnectivityResult struct {
	// Result is the run's; its scenario is what was drawn.
	Result
	// Order is the position of the replica at each vertex.
	Order []int
	// Live says that the cluster had to go on: to the end some replica could have
	// been elected by a majority that it hears and that hears it.
	Live bool
	// FirstTicks is how long the first command after the change of links waited
	// until it was committed, which came with the change or, with long pauses, a
	// pause later; zero: it never was.
	FirstTicks uint64
	// WaitTicks is the longest that a later command waited, up to the end of the
	// run.
	WaitTicks uint64
	// Elections are those won after the links changed, and LaterElections those
	// after the first command was committed.
	Elections, LaterElections int
}

// Run does the run. What panics inside, it does not catch.
func (c *Connectivity) Run() *ConnectivityResult {
	w := &world{options: &Options{Seed: c.Seed, Trace: c.Trace}, result: &Result{Seed: c.Seed}}
	w.source = choice.New(c.Seed)
	s := c.scenario(w.source)
	w.options.Scenario, w.options.Source = &s, w.source
	w.build()
	w.clients[0].wakeAt++ // it is there to put a name to the commands, and asks for nothing
	p := prober{w: w, result: &ConnectivityResult{}, out: make([]probe, len(w.hosts)), leader: -1}
	p.pauseNanos = connectivityPause * s.TickNanos
	if d := (draw{w.source}); d.chance("pause/long", 1, 2) {
		p.pauseNanos = d.between("pause", p.upperNanos()/2, 3*p.upperNanos())
	}
	p.run(c)
	p.result.Result = *w.conclude()
	return p.result
}

// Scenario is that of the run.
func (c *Connectivity) Scenario() Scenario { return c.scenario(choice.New(c.Seed)) }

// scenario draws what the machines are like. Nothing goes wrong with them.
func (c *Connectivity) scenario(src *choice.Source) Scenario {
	d := draw{src}
	s := Scenario{
		Name:           "connectivity",
		Replicas:       len(c.Graph),
		TickNanos:      10e6,
		ElectionTicks:  ConnectivityElectionTicks,
		HeartbeatTicks: uint32(d.between("heartbeat", 1, ConnectivityElectionTicks/3)),
		Limits:         LimitScenario(core.DefaultLimits()),
		DriftPPM:       uint32(d.tight("drift", 1, 2, 0, 10, 20_000)),
		Traffic: TrafficScenario{
			Clients: 1, RatePerSecond: 1, TimeoutNanos: never / 16, Keys: 1, SessionsMax: 1,
			Operations: []uint32{1},
		},
	}
	timeout := s.electionNanos()
	s.Links.BaseNanosMin = d.magnitude("link/base", 50e3, timeout/32)
	s.Links.BaseNanosMax = d.magnitude("link/spread", s.Links.BaseNanosMin, timeout/16)
	s.Links.JitterNanos = d.tight("link/jitter", 2, 3, 0, 10e3, timeout/32)
	s.Disk.BaseNanos = d.tight("disk", 7, 8, 0, 20e3, timeout/32)
	return s
}

// prober gives commands to leaders and notes when they are committed.
type prober struct {
	w          *world
	result     *ConnectivityResult
	pauseNanos uint64
	out        []probe // by position: what the leader there was given last
	// due is when the present command is to be given for the first time.
	due uint64
	// changed: the links have; until then, nothing is measured.
	changed bool
	leader  int // the last one to commit a command; -1: none yet
}

// probe is a command in a leader's log.
type probe struct {
	id  core.EntryID // zero: none
	due uint64       // which command it is
}

// run is the plan of a run.
func (p *prober) run(c *Connectivity) {
	w := p.w
	n := len(w.hosts)
	w.startHosts()
	order := make([]int, n)
	for v := range order {
		order[v] = v
	}
	st := w.stream("connectivity/order", 0, 0)
	choice.Shuffle(w.source, st, order)
	if c.Leader >= 0 && !p.lead(c, order) {
		return
	}
	p.result.Order = order

	m := relabel(c.Graph, order)
	p.partition(m)
	p.changed, p.due = true, w.now
	if p.pauseNanos > connectivityPause*w.scenario.TickNanos {
		p.due += p.pauseNanos
	}
	elections := w.result.LeaderChanges
	bound := ConnectivityTimeouts * p.upperNanos()
	p.tickUntil(p.due+bound, func() bool { return p.result.FirstTicks != 0 })
	if p.result.FirstTicks != 0 {
		before := w.result.LeaderChanges
		p.tickFor(connectivityWindow * p.upperNanos())
		p.result.WaitTicks = max(p.result.WaitTicks, p.waitedTicks())
		p.result.LaterElections = w.result.LeaderChanges - before
	}
	p.result.Elections = w.result.LeaderChanges - elections
	if !w.over() {
		p.judge(m)
	}
}

// judge says whether the cluster went on, if it had to.
func (p *prober) judge(m netsim.Matrix) {
	w, r := p.w, p.result
	l := make(links, len(m))
	copy(l, m)
	r.Live = !canStandStill(w.checker.standings(nil), l)
	const most = ConnectivityTimeouts * 2 * ConnectivityElectionTicks
	switch {
	case r.FirstTicks == 0 && r.Live:
		w.fail(Liveness, "Partial Connectivity", fmt.Sprintf("links %v: nothing was committed within %d ticks", m, most))
	case r.FirstTicks == 0 && ClassOf(m) == GraphMajority:
		w.fail(Liveness, "Partial Connectivity", fmt.Sprintf("links %v: of a majority that hear each other none can be elected", m))
	case r.FirstTicks > most || r.WaitTicks > most:
		w.fail(Liveness, "Partial Connectivity", fmt.Sprintf(
			"links %v: the first command waited for %d ticks, a later one for %d, which is more than %d", m, r.FirstTicks, r.WaitTicks, most))
	}
}

// upperNanos is the upper election timeout.
func (p *prober) upperNanos() uint64 { return 2 * p.w.scenario.electionNanos() }

// lead waits until the cluster has a leader that commits, puts it at its
// vertex, and lets those fall behind that are to.
func (p *prober) lead(c *Connectivity, order []int) bool {
	w := p.w
	st := w.stream("connectivity/before", 0, 0)
	upper := p.upperNanos()
	p.tickUntil(w.now+ConnectivityTimeouts*upper, func() bool { return p.leader >= 0 })
	if p.leader < 0 {
		if !w.over() {
			w.fail(Liveness, "Partial Connectivity", "no leader has committed anything while all links were open")
		}
		return false
	}
	for v := range order {
		if order[v] == p.leader {
			order[v], order[c.Leader] = order[c.Leader], order[v]
			break
		}
	}
	p.tickFor(w.source.ChooseRange(st, 0, upper))
	if c.Behind != 0 {
		side := uint64(0)
		for v, i := range order {
			side |= c.Behind >> v & 1 << i
		}
		p.partition(netsim.TwoSides(len(order), side))
		p.due = w.now // there has to be something for them to miss
		p.tickFor(w.source.ChooseRange(st, upper/2, upper))
	}
	return !w.over()
}

// partition takes the links away that m does not have.
func (p *prober) partition(m netsim.Matrix) {
	p.w.network.Partition(m)
	p.w.fault(FaultMatrix)
	rows := uint64(0)
	for i, row := range m {
		rows |= row << (8 * i)
	}
	p.w.emitFault(-1, uint64(FaultMatrix), 0, rows, 0, false, linksText(m)+" for good")
}

// relabel puts vertex v of a graph at position order[v].
func relabel(graph netsim.Matrix, order []int) netsim.Matrix {
	m := netsim.None(len(graph))
	for a, i := range order {
		for b, j := range order {
			if graph.Open(netsim.End(a), netsim.End(b)) {
				m[i] |= 1 << j
			}
		}
	}
	return m
}

func (p *prober) tickFor(nanos uint64) { p.tickUntil(p.w.now+nanos, func() bool { return false }) }

// tickUntil lets time pass, tick by tick, up to a deadline or until done says
// so.
func (p *prober) tickUntil(deadline uint64, done func() bool) {
	w := p.w
	for w.now < deadline && !w.over() && !done() {
		w.runUntil(min(w.now+w.scenario.TickNanos, deadline))
		for i := range w.hosts {
			if w.over() {
				return
			}
			p.visit(i)
		}
	}
}

// visit looks at what became of the command that replica i was given, and gives
// it the present one if it leads.
func (p *prober) visit(i int) {
	h, o := &p.w.hosts[i], &p.out[i]
	st := h.replica.Core().Status()
	switch {
	case st.Role != core.RoleLeader:
		*o = probe{}
	case o.id.Term == st.Term && o.due == p.due:
		if st.Commit >= o.id.Index {
			p.committed(i)
		}
	case p.w.now >= p.due:
		p.give(h)
	}
}

// give proposes a command to a leader.
func (p *prober) give(h *host) {
	w := p.w
	slot := w.requests.take()
	q := &w.requests.slots[slot]
	q.host, q.incarnation, q.out = uint8(h.index), h.incarnation, true
	q.bytes = p.w.clients[0].caller.Next(nil, true).Bytes
	q.op = w.history.Call(0, w.now, q.bytes)
	w.checker.onPropose(h.index)
	h.one[0] = core.Proposal{Tag: w.requests.tag(slot), Data: q.bytes}
	before := h.replica.Core().Status().Last.Index
	h.propose(h.one[:])
	if st := h.replica.Core().Status(); st.Last.Index > before {
		p.out[h.index] = probe{core.EntryID{Term: st.Term, Index: st.Last.Index}, p.due}
	}
	h.drain()
	w.touched(h.index)
}

// committed takes down that the present command is, by replica i.
func (p *prober) committed(i int) {
	p.leader = i
	if r := p.result; !p.changed {
	} else if ticks := p.waitedTicks(); r.FirstTicks == 0 {
		r.FirstTicks = max(ticks, 1)
	} else {
		r.WaitTicks = max(r.WaitTicks, ticks)
	}
	p.due = p.w.now + p.pauseNanos
}

// waitedTicks is how long the present command has waited.
func (p *prober) waitedTicks() uint64 {
	tick := p.w.scenario.TickNanos
	return (p.w.now - min(p.due, p.w.now) + tick - 1) / tick
}
