package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/netsim"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// ConnectivityOptions say which runs of partial connectivity to do. The zero
// value of Size, Case and Graph is all of them.
type ConnectivityOptions struct {
	// Size is 3 or 5: the graphs of so many replicas, and no named case.
	Size int
	// Case is a named case, and no other.
	Case string
	// Graph, if set, is one graph of Size replicas, by number.
	Graph *int
	// Seeds is how many each graph and case gets, from 1 on; Seed, unless zero,
	// is the only one instead.
	Seeds, Seed uint64
	// Every takes only each so manyth graph; 0 is 1.
	Every int
	// Jobs is the number of workers; 0 is one per core that Go may use.
	Jobs int
	// Progress is called a few times a second if it is not nil, on the goroutine
	// of RunConnectivity.
	Progress func(done, of uint64)
}

// ConnectivitySeeds is how many seeds are usual.
const ConnectivitySeeds = 20

// connectivityRunsMax bounds what is kept of the runs until all are done: some
// words of each.
const connectivityRunsMax = 100_000_000

// ConnectivitySummary is what came of them.
type ConnectivitySummary struct {
	Type        string                 `json:"type"` // "connectivity"
	Rows        []*ConnectivityRow     `json:"rows"`
	Runs        uint64                 `json:"runs"`
	Failures    uint64                 `json:"failures"`
	Failed      []*ConnectivityFailure `json:"failed"` // the first few
	Interrupted bool                   `json:"interrupted"`
	// UpperTicks is the upper election timeout, AllowedTicks how long a command
	// may wait.
	UpperTicks   uint64  `json:"upper_ticks"`
	AllowedTicks uint64  `json:"allowed_ticks"`
	RealSeconds  float64 `json:"real_seconds"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	TraceHash    string  `json:"trace_hash"`
	ExitCode     int     `json:"exit_code"`

	hash uint64
}

// ConnectivityRow sums up one named case, or the graphs of one size and class.
// Ticks are those that the first command after the change of links waited until
// it was committed, in runs in which it was.
type ConnectivityRow struct {
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	Graphs   uint64 `json:"graphs"`
	Runs     uint64 `json:"runs"`
	// Live runs had to go on, and Committed ones did.
	Live        uint64 `json:"live"`
	Committed   uint64 `json:"committed"`
	Failures    uint64 `json:"failures"`
	MedianTicks uint64 `json:"median_ticks"`
	P99Ticks    uint64 `json:"p99_ticks"`
	MaxTicks    uint64 `json:"max_ticks"`
	// Slowest repeats the run of MaxTicks.
	Slowest string `json:"slowest"`
	// WaitTicks is the longest that a later command waited.
	WaitTicks uint64 `json:"wait_ticks"`
	// Elections are those won after the change, and LaterElections those after
	// the first commit.
	Elections      uint64 `json:"elections"`
	LaterElections uint64 `json:"later_elections"`

	ticks []uint64 // how many runs took so many
}

// ConnectivityFailure is a run that failed.
type ConnectivityFailure struct {
	Verdict string `json:"verdict"`
	Detail  string `json:"detail"`
	Command string `json:"repeat"`
	code    int
}

// connectivityUnit is one graph or case with all of its seeds.
type connectivityUnit struct {
	row     *ConnectivityRow
	graph   netsim.Matrix
	named   *sim.ConnectivityCase
	command string // but for the seed
}

// connectivityDone is what came of a unit, to be folded in their order.
type connectivityDone struct {
	first            uint64   // seed
	ticks, waits     []uint64 // by seed
	runs, live       uint64
	elections, later uint64
	failures         uint64
	hash             uint64
	failed           []*ConnectivityFailure
	cut              bool // short, by the context
}

// Check says what is wrong with the options, in words for those who gave them.
// Which cases and graphs there are, RunConnectivity says.
func (o *ConnectivityOptions) Check() error {
	switch {
	case badJobs(o.Jobs) != nil:
		return badJobs(o.Jobs)
	case o.Every < 0:
		return fmt.Errorf("each %dth graph: 1 is every one", o.Every)
	case o.Seed != 0 && o.Graph == nil && o.Case == "":
		return errors.New("one seed of which --graph or --case?")
	}
	return nil
}

// RunConnectivity does the runs. Cancelling the context ends it early and marks
// the summary as interrupted. The error is about the options.
func RunConnectivity(ctx context.Context, o ConnectivityOptions) (*ConnectivitySummary, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Seeds == 0 {
		o.Seeds = ConnectivitySeeds
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	const upper = 2 * sim.ConnectivityElectionTicks
	s := &ConnectivitySummary{Type: "connectivity", UpperTicks: upper, AllowedTicks: upper * sim.ConnectivityTimeouts}
	units, err := o.units(s)
	if err != nil {
		return nil, err
	}
	if most := connectivityRunsMax / uint64(len(units)); o.Seeds > most {
		return nil, fmt.Errorf("%d seeds for each: of %d graphs and cases there are at most %d for each", o.Seeds, len(units), most)
	}
	began, cpuBegan := time.Now(), cpuTime()
	done := make([]*connectivityDone, len(units))
	work, finished := make(chan int), make(chan struct{}, len(units))
	go func() {
		defer close(work)
		for n := range units {
			select {
			case <-ctx.Done():
				return
			case work <- n:
			}
		}
	}()
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() {
			for n := range work {
				done[n] = units[n].run(ctx, &o)
				finished <- struct{}{}
			}
		})
	}
	go func() {
		workers.Wait()
		close(finished)
	}()
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	count := 0
	for more := true; more; {
		select {
		case _, more = <-finished:
			if more {
				count++
			}
		case <-ticker.C:
			if o.Progress != nil {
				o.Progress(uint64(count), uint64(len(units)))
			}
		}
	}
	s.Interrupted = count < len(units)
	for n, d := range done {
		if d != nil {
			s.fold(&units[n], d)
			s.Interrupted = s.Interrupted || d.cut
		}
	}
	s.finish()
	s.RealSeconds, s.CPUSeconds = time.Since(began).Seconds(), (cpuTime() - cpuBegan).Seconds()
	return s, nil
}

// units are what there is to do, and their rows.
func (o *ConnectivityOptions) units(s *ConnectivitySummary) ([]connectivityUnit, error) {
	var units []connectivityUnit
	add := func(row *ConnectivityRow, u connectivityUnit) {
		u.row = row
		row.Graphs++
		units = append(units, u)
	}
	if o.Size == 0 && o.Graph == nil {
		cases := sim.ConnectivityCases()
		for i := range cases {
			c := &cases[i]
			if o.Case != "" && o.Case != c.Name {
				continue
			}
			row := &ConnectivityRow{Name: c.Name, Replicas: len(c.Graph)}
			s.Rows = append(s.Rows, row)
			add(row, connectivityUnit{named: c, graph: c.Graph, command: "--case " + c.Name})
		}
		if o.Case != "" {
			if len(units) == 0 {
				return nil, fmt.Errorf("there is no case %q; there are%s", o.Case, connectivityNames())
			}
			return units, nil
		}
	}
	switch {
	case o.Case != "":
		return nil, fmt.Errorf("a case has a size and a graph of its own")
	case o.Size != 0 && o.Size != 3 && o.Size != 5:
		return nil, fmt.Errorf("size %d: there are graphs of 3 and of 5 replicas", o.Size)
	case o.Graph != nil && o.Size == 0:
		return nil, fmt.Errorf("graph %d of which size, 3 or 5?", *o.Graph)
	}
	for _, size := range [...]int{3, 5} {
		if o.Size != 0 && o.Size != size {
			continue
		}
		rows := [sim.GraphClasses]*ConnectivityRow{}
		for class := range rows {
			rows[class] = &ConnectivityRow{Name: sim.GraphClass(class).String(), Replicas: size}
		}
		graphs := sim.Digraphs(size)
		if o.Graph != nil && (*o.Graph < 0 || *o.Graph >= len(graphs)) {
			return nil, fmt.Errorf("graph %d: those of %d replicas are numbered from 0 to %d", *o.Graph, size, len(graphs)-1)
		}
		for n, g := range graphs {
			if o.Graph != nil && *o.Graph != n || n%max(o.Every, 1) != 0 && o.Graph == nil {
				continue
			}
			add(rows[sim.ClassOf(g)], connectivityUnit{graph: g, command: fmt.Sprintf("--size %d --graph %d", size, n)})
		}
		for _, row := range rows {
			if row.Graphs > 0 {
				s.Rows = append(s.Rows, row)
			}
		}
	}
	return units, nil
}

func connectivityNames() (names string) {
	for _, c := range sim.ConnectivityCases() {
		names += " " + c.Name
	}
	return names
}

// Watch does the only run that the options name, for a closer look: begin sees
// its scenario, and trace every event. The error is about the options.
func (o *ConnectivityOptions) Watch(begin func(*sim.Scenario), trace func(*sim.TraceEvent)) (*SingleOutcome, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	units, err := o.units(&ConnectivitySummary{})
	switch {
	case err != nil:
		return nil, err
	case len(units) != 1 || o.Seed == 0:
		return nil, errors.New("--trace shows one run: it needs --seed, and --graph or --case")
	}
	u := &units[0]
	c := u.connectivity(o.Seed)
	scenario := c.Scenario()
	begin(&scenario)
	c.Trace = trace
	r := guardedConnectivity(&c)
	out := &SingleOutcome{Outcome: OutcomeOf(&r.Result, ""), Result: &r.Result, Watched: true}
	out.Command = u.repeat(o.Seed)
	return out, nil
}

func (u *connectivityUnit) connectivity(seed uint64) sim.Connectivity {
	if u.named != nil {
		return u.named.RunOf(seed)
	}
	return sim.DrawConnectivity(u.graph, seed)
}

// run does all seeds of a unit, or those that come before the end of ctx.
func (u *connectivityUnit) run(ctx context.Context, o *ConnectivityOptions) *connectivityDone {
	d := &connectivityDone{first: 1}
	last := o.Seeds
	if o.Seed != 0 {
		d.first, last = o.Seed, o.Seed
	}
	for seed := d.first; ; seed++ {
		if ctx.Err() != nil {
			d.cut = true
			return d
		}
		c := u.connectivity(seed)
		u.keep(d, seed, guardedConnectivity(&c))
		if seed == last { // it may be the largest there is
			return d
		}
	}
}

// guardedConnectivity turns a panic into a verdict.
func guardedConnectivity(c *sim.Connectivity) (r *sim.ConnectivityResult) {
	defer func() {
		if p := recover(); p != nil {
			r = &sim.ConnectivityResult{Result: sim.Result{Seed: c.Seed, Verdict: sim.Panic, Failure: &sim.Failure{
				Property: "No Panic",
				Detail:   sim.PanicText(p, debug.Stack()),
				Replica:  -1,
			}}}
		}
	}()
	return c.Run()
}

func (u *connectivityUnit) keep(d *connectivityDone, seed uint64, r *sim.ConnectivityResult) {
	d.runs++
	d.hash = digest.Word(d.hash, r.TraceHash)
	d.ticks = append(d.ticks, r.FirstTicks)
	d.waits = append(d.waits, r.WaitTicks)
	d.elections += uint64(r.Elections)
	d.later += uint64(r.LaterElections)
	if r.Live {
		d.live++
	}
	if r.Failure != nil {
		d.failures++
		d.failed = append(d.failed, &ConnectivityFailure{
			Verdict: r.Verdict.String(),
			Detail:  r.Failure.Property + ": " + firstLines(r.Failure.Detail, 6),
			Command: u.repeat(seed),
			code:    r.Verdict.ExitCode(),
		})
	}
}

func (u *connectivityUnit) repeat(seed uint64) string {
	return fmt.Sprintf("go run ./cmd/simrun connectivity %s --seed %d", u.command, seed)
}

func (s *ConnectivitySummary) fold(u *connectivityUnit, d *connectivityDone) {
	row := u.row
	s.Runs += d.runs
	s.Failures += d.failures
	s.hash = digest.Word(s.hash, d.hash)
	s.Failed = append(s.Failed, d.failed[:min(len(d.failed), FailuresMax-min(FailuresMax, len(s.Failed)))]...)
	row.Runs += d.runs
	row.Live += d.live
	row.Failures += d.failures
	row.Elections += d.elections
	row.LaterElections += d.later
	for i, t := range d.ticks {
		row.WaitTicks = max(row.WaitTicks, d.waits[i])
		if t == 0 {
			continue
		}
		row.Committed++
		for uint64(len(row.ticks)) <= t {
			row.ticks = append(row.ticks, 0)
		}
		row.ticks[t]++
		if t > row.MaxTicks {
			row.MaxTicks, row.Slowest = t, u.repeat(d.first+uint64(i))
		}
	}
}

func (s *ConnectivitySummary) finish() {
	for _, row := range s.Rows {
		row.MedianTicks = row.quantile(1, 2)
		row.P99Ticks = row.quantile(99, 100)
	}
	s.TraceHash = hashText(digest.Finish(s.hash))
	switch {
	case len(s.Failed) > 0:
		s.ExitCode = s.Failed[0].code
	case s.Interrupted:
		s.ExitCode = ExitInterrupted
	}
}

// quantile is the least number of ticks within which num of den runs were.
func (row *ConnectivityRow) quantile(num, den uint64) uint64 {
	seen := uint64(0)
	for t, n := range row.ticks {
		if seen += n; n > 0 && seen*den >= row.Committed*num {
			return uint64(t)
		}
	}
	return 0
}

// WriteText writes the summary for people: a table, then what failed.
func (s *ConnectivitySummary) WriteText(w io.Writer, st Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "ticks that the first command waited; the upper election timeout has %d, %d are allowed\n\n", s.UpperTicks, s.AllowedTicks)
	fmt.Fprintf(&b, "%-28s %8s %6s %8s %8s %9s   %6s %6s %6s %6s %6s %9s\n",
		"", "replicas", "graphs", "runs", "live", "committed", "median", "p99", "max", "= k", "later", "elections")
	for _, r := range s.Rows {
		fmt.Fprintf(&b, "%-28s %8d %6s %8s %8s %9s   ", r.Name, r.Replicas, grouped(r.Graphs), grouped(r.Runs), grouped(r.Live), grouped(r.Committed))
		if r.Committed > 0 {
			fmt.Fprintf(&b, "%6d %6d %6d %6.2f %6d %9s", r.MedianTicks, r.P99Ticks, r.MaxTicks,
				float64(r.MaxTicks)/float64(s.UpperTicks), r.WaitTicks, grouped(r.LaterElections))
		} else {
			fmt.Fprintf(&b, "%6s %6s %6s %6s %6s %9s", "-", "-", "-", "-", "-", "-")
		}
		if r.Failures > 0 {
			b.WriteString("  " + st.bad(grouped(r.Failures)+" failed"))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%s, %.1f s, %.1f s of CPU, trace hash %s: ", counted(s.Runs, "run"), s.RealSeconds, s.CPUSeconds, s.TraceHash)
	switch {
	case s.Failures > 0:
		b.WriteString(st.bad(grouped(s.Failures) + " failed"))
	case s.Interrupted:
		b.WriteString(st.warn("interrupted"))
	default:
		b.WriteString(st.good("all passed"))
	}
	b.WriteByte('\n')
	for _, f := range s.Failed {
		fmt.Fprintf(&b, "\n%s\n  %s\n  %s\n", st.bad(f.Verdict), f.Detail, f.Command)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
