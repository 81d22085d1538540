package campaign

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/seaworthy-raft/seaworthy/sim"
)

// Leases is an experiment: where do reads by lease break? In each run one
// replica, which the others prefer as their leader, has a clock that goes true,
// and the clocks of the others go faster by so much. Leaders are cut off all
// the time, with clients on both sides. Reads are answered by lease under a
// stated bound, and, for comparison, by read index.
type Leases struct {
	// BoundPPM is the bound that reads by lease state, in millionths.
	BoundPPM uint32
	// Drifts are by how much the others' clocks go faster, in millionths.
	Drifts []uint64
	// Seeds is how many runs there are for each of them, and each kind of read.
	Seeds int
	// Jobs is the number of workers; 0 is one per core that Go may use.
	Jobs int
	// Progress is called after each line of the table if it is not nil.
	Progress func(done, of int)

	// simulate stands in for sim.Run in the tests of this package.
	simulate func(*sim.Options) *sim.Result
}

// DefaultLeases is the experiment in docs/leases.md.
func DefaultLeases() Leases {
	return Leases{
		BoundPPM: 100_000,
		Drifts: []uint64{0, 50_000, 90_000, 100_000, 110_000, 120_000, 130_000, 150_000, 175_000, 200_000, 250_000,
			300_000, 400_000, 500_000, 750_000, 1_000_000, 2_000_000},
		Seeds: 200,
	}
}

// leaseSeedsMax bounds what is kept of the runs of one drift.
const leaseSeedsMax = 100_000

// Check says what is wrong with the options, in words for those who gave them.
func (x *Leases) Check() error {
	switch {
	case x.Seeds < 1:
		return fmt.Errorf("%d seeds: there is at least one run for each drift", x.Seeds)
	case x.Seeds > leaseSeedsMax:
		return fmt.Errorf("%d seeds: there are at most %d runs for each drift", x.Seeds, leaseSeedsMax)
	}
	return badJobs(x.Jobs)
}

// LeaseSummary is what came of the experiment, and the last line of --json.
type LeaseSummary struct {
	Type     string `json:"type"` // "summary"
	BoundPPM uint32 `json:"bound_ppm"`
	// Lines are those of the drifts that are finished.
	Lines []LeaseLine `json:"-"`
	// Drifts is how many there are of them, Wanted how many there were to be.
	Drifts int `json:"drifts"`
	Wanted int `json:"wanted"`
	// Wrong is how many lines are such as must not be.
	Wrong       int  `json:"wrong"`
	Interrupted bool `json:"interrupted"`
	// Verdict and Detail are of a run that says nothing about leases, such as
	// one that did not recover; nothing was run after its drift.
	Verdict  string `json:"verdict,omitempty"`
	Detail   string `json:"detail,omitempty"`
	ExitCode int    `json:"exit_code"`
}

// LeaseLine is what came of one drift.
type LeaseLine struct {
	Type     string `json:"type"` // "drift"
	DriftPPM uint64 `json:"drift_ppm"`
	// Within says that the stated bound holds.
	Within bool `json:"within"`
	Runs   int  `json:"runs"` // of each kind
	// LeaseReads is how many reads were answered by lease.
	LeaseReads uint64 `json:"lease_reads"`
	// Broken is in how many runs a read was answered by a lease that was none:
	// another replica had led since. Stale is in how many a client could tell,
	// because what it read was not linearizable.
	Broken int `json:"broken"`
	Stale  int `json:"stale"`
	// ReadIndex is in how many runs anything was wrong without leases.
	ReadIndex int `json:"read_index"`
	// FirstSeed is the first seed of Broken; zero: none.
	FirstSeed uint64 `json:"first_seed,omitempty"`
}

// Wrong says whether the line is one that must not be: a lease that broke
// within its bound, or a read index that broke at all.
func (l *LeaseLine) Wrong() bool { return l.ReadIndex > 0 || l.Within && l.Broken+l.Stale > 0 }

// LeaseScenario is one run of the experiment.
func LeaseScenario(boundPPM uint32, driftPPM uint64, lease bool) *sim.Scenario {
	s := sim.Bench()
	s.Name = "leases"
	s.ElectionTicks, s.HeartbeatTicks = 30, 5
	s.Limits.TrailingBytes = 0
	l := &s.Links
	l.BaseNanosMin, l.BaseNanosMax, l.JitterNanos = 200e3, 400e3, 0
	l.Loss, l.Duplicate, l.Reorder, l.Straggle, l.Corrupt, l.ClientCut, l.ClientDelay = 0, 0, 0, 0, 0, 0, 0
	s.Disk = sim.DiskScenario{}
	s.SaveNanos, s.DriftPPM = 0, 0
	s.Rates = []uint64{1e6, 1e6 + driftPPM, 1e6 + driftPPM}
	s.Priorities = []uint8{1, 0, 0}
	t := &s.Traffic
	t.Clients, t.RatePerSecond, t.TimeoutNanos, t.RetriesMax = 12, 400, 200e6, 2
	t.FollowerReads, t.Keys, t.ValueBytes, t.Sessions, t.ReadsInLog = 0, 1, 16, 0, 0
	t.Operations = make([]uint32, len(s.Traffic.Operations))
	t.Operations[0], t.Operations[1] = 1, 2 // writes and reads of one key
	if lease {
		t.LeaseReads = 100
		s.LeaseDriftPPM = boundPPM
	}
	s.Faults = sim.FaultSet(0).With(sim.FaultIsolate)
	s.FaultNanos = 20e9
	s.Nemesis = sim.NemesisScenario{EveryNanos: 4e9, DurationNanos: 2e9}
	return &s
}

// Run makes the table. Cancelling the context ends it early, after the last
// line that is whole, and marks the summary as interrupted. The error is about
// the options.
func (x *Leases) Run(ctx context.Context) (*LeaseSummary, error) {
	if err := x.Check(); err != nil {
		return nil, err
	}
	s := &LeaseSummary{Type: "summary", BoundPPM: x.BoundPPM, Wanted: len(x.Drifts)}
	for _, drift := range x.Drifts {
		line, ok := x.line(ctx, s, drift)
		if !ok {
			break
		}
		s.Lines = append(s.Lines, line)
		s.Drifts++
		if line.Wrong() {
			s.Wrong++
		}
		if x.Progress != nil {
			x.Progress(s.Drifts, s.Wanted)
		}
	}
	switch {
	case s.Wrong > 0: // before anything that ended it
		s.ExitCode = sim.Safety.ExitCode()
	case s.Interrupted:
		s.ExitCode = ExitInterrupted
	}
	return s, nil
}

// line is that of one drift; or not ok, and s says why.
func (x *Leases) line(ctx context.Context, s *LeaseSummary, drift uint64) (line LeaseLine, ok bool) {
	line = LeaseLine{Type: "drift", DriftPPM: drift, Within: drift <= uint64(x.BoundPPM), Runs: x.Seeds}
	for _, kind := range [...]struct {
		lease, clients bool
		count          *int
	}{{true, false, &line.Broken}, {true, true, &line.Stale}, {false, false, &line.ReadIndex}} {
		results, ok := x.runs(ctx, sim.Options{
			Scenario: LeaseScenario(x.BoundPPM, drift, kind.lease), ClientsOnly: kind.clients,
		})
		if !ok {
			s.Interrupted = true
			return line, false
		}
		for i, r := range results {
			line.LeaseReads += uint64(r.Marks[sim.MarkLeaseRead])
			switch r.Verdict {
			case sim.Passed:
			case sim.Safety, sim.Linearizability:
				if *kind.count++; kind.count == &line.Broken && line.FirstSeed == 0 {
					line.FirstSeed = uint64(i) + 1
				}
			default:
				s.Verdict, s.ExitCode = r.Verdict.String(), r.Verdict.ExitCode()
				s.Detail = fmt.Sprintf("drift of %d ppm, seed %d: %s: %s", drift, i+1, r.Failure.Property, r.Failure.Detail)
				return line, false
			}
		}
	}
	return line, true
}

// runs are those of the seeds from 1 on, in their order; not ok if ctx has kept
// some from being run.
func (x *Leases) runs(ctx context.Context, o sim.Options) (results []*sim.Result, ok bool) {
	jobs, simulate := x.Jobs, x.simulate
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	if simulate == nil {
		simulate = sim.Run
	}
	results = make([]*sim.Result, x.Seeds)
	next := make(chan int)
	var group sync.WaitGroup
	for range jobs {
		group.Go(func() {
			for i := range next {
				one := o
				one.Seed = uint64(i) + 1
				r := simulate(&one)
				r.History, r.Tape = nil, nil
				results[i] = r
			}
		})
	}
	begun := 0
	for begun < len(results) && ctx.Err() == nil {
		select {
		case next <- begun:
			begun++
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	return results, begun == len(results)
}

// WriteText writes the table, and what ended it before its time.
func (s *LeaseSummary) WriteText(w io.Writer, st Style) error {
	err := WriteLeases(w, s.BoundPPM, s.Lines)
	if err == nil && s.Verdict != "" {
		_, err = fmt.Fprintf(w, "\n%s  %s\n", st.bad(s.Verdict), strings.ReplaceAll(firstLines(s.Detail, 6), "\n", "\n  "))
	}
	return err
}

// WriteLeases writes the table as Markdown.
func WriteLeases(w io.Writer, boundPPM uint32, lines []LeaseLine) error {
	if _, err := fmt.Fprintf(w, "| clocks faster by | stated bound of %s | reads by lease | runs | with a lease that was none | with a stale read | by read index |\n|---|---|---|---|---|---|---|\n",
		percent(uint64(boundPPM))); err != nil {
		return err
	}
	for i := range lines {
		l := &lines[i]
		holds := "holds"
		if !l.Within {
			holds = "does not hold"
		}
		if _, err := fmt.Fprintf(w, "| %s | %s | %d | %d | %d | %d | %d |\n",
			percent(l.DriftPPM), holds, l.LeaseReads, l.Runs, l.Broken, l.Stale, l.ReadIndex); err != nil {
			return err
		}
	}
	return nil
}

// percent writes millionths for people.
func percent(ppm uint64) string {
	if ppm%10_000 == 0 {
		return fmt.Sprintf("%d %%", ppm/10_000)
	}
	return fmt.Sprintf("%d.%d %%", ppm/10_000, ppm%10_000/1_000)
}
