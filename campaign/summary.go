package campaign

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// Summary is what is kept of a campaign. Its size does not depend on the
// number of seeds.
type Summary struct {
	Base  uint64
	Seeds uint64 // finished, without a gap from Base
	// Wanted is how many seeds were asked for, and For for how long; 0 is no
	// bound.
	Wanted uint64
	For    time.Duration
	Jobs   int
	Focus  string

	Interrupted bool
	// Verdicts is how many seeds got each.
	Verdicts map[string]uint64
	// Failures is how many seeds failed; Failed are their outcomes, the first
	// of which gives the exit code.
	Failures int
	Failed   []*Outcome
	// Twice is how many seeds ran a second time.
	Twice uint64

	Steps, Deliveries uint64
	SimulatedNanos    uint64
	Real, CPU         time.Duration

	Operations, Acknowledged, UnknownOps uint64
	SearchCut                            uint64 // seeds

	// MarkHits is how often each mark was reached, MarkSeeds in how many seeds.
	MarkHits, MarkSeeds [sim.MarkCount]uint64
	// FaultHits is how often each kind of fault hit something, FaultSeeds in
	// how many seeds.
	FaultHits, FaultSeeds [sim.FaultCount]uint64

	// How many seeds saw a second or later leader elected, an installed
	// snapshot, and the loss of unsynced writes.
	LeaderChangedAgain, SnapshotInstalled, UnsyncedLost uint64

	// RecoveryNearest is the run that came nearest to its bound on recovery:
	// that many ticks, of so many allowed.
	RecoveryNearest, RecoveryNearestBound uint64

	recovery histogram
	hash     uint64
	began    time.Time
	cpuBegan time.Duration
}

func newSummary(o *Options) *Summary {
	return &Summary{
		Base: o.Base, Wanted: o.Seeds, For: o.For, Jobs: o.Jobs, Focus: o.Focus,
		Verdicts: map[string]uint64{},
		began:    time.Now(), cpuBegan: cpuTime(),
	}
}

// TraceHash folds the trace hash of every seed, in order.
func (s *Summary) TraceHash() uint64 { return digest.Finish(s.hash) }

func (s *Summary) add(o *Outcome) {
	s.Seeds++
	s.hash = digest.Word(digest.Word(s.hash, o.Seed), o.TraceHash)
	s.Verdicts[o.Verdict]++
	if o.Failed() {
		s.Failures++
		s.Failed = append(s.Failed, o)
	}
	if o.Twice {
		s.Twice++
	}
	s.Steps += o.Steps
	s.Deliveries += o.Deliveries
	s.SimulatedNanos += o.SimulatedNanos
	s.Operations += uint64(o.Operations)
	s.Acknowledged += uint64(o.Acknowledged)
	s.UnknownOps += uint64(o.UnknownOps)
	if o.SearchCut {
		s.SearchCut++
	}
	for i, n := range o.Marks {
		if n > 0 {
			s.MarkHits[i] += uint64(n)
			s.MarkSeeds[i]++
		}
	}
	for i, n := range o.Faults {
		if n > 0 {
			s.FaultHits[i] += n
			s.FaultSeeds[i]++
		}
	}
	if o.LeaderChanges > 2 { // beside the first election, two or more
		s.LeaderChangedAgain++
	}
	if o.SnapshotsInstalled > 0 {
		s.SnapshotInstalled++
	}
	if o.UnsyncedLost > 0 {
		s.UnsyncedLost++
	}
	if o.RecoveryBoundTicks > 0 {
		s.recovery.add(o.RecoveryTicks)
		// a/b > c/d without fractions.
		if s.RecoveryNearestBound == 0 || o.RecoveryTicks*s.RecoveryNearestBound > s.RecoveryNearest*o.RecoveryBoundTicks {
			s.RecoveryNearest, s.RecoveryNearestBound = o.RecoveryTicks, o.RecoveryBoundTicks
		}
	}
}

// measure brings Real and CPU up to now.
func (s *Summary) measure() {
	s.Real = time.Since(s.began)
	s.CPU = cpuTime() - s.cpuBegan
}

func (s *Summary) finish() { s.measure() }

// ExitCode is that of the first seed that failed; an interrupted campaign has
// its own.
func (s *Summary) ExitCode() int {
	switch {
	case s.Interrupted:
		return ExitInterrupted
	case len(s.Failed) > 0:
		return s.Failed[0].ExitCode
	}
	return ExitPassed
}

// misused says whether the last seed could not be run, and so none can.
func (s *Summary) misused() bool { return len(s.Failed) > 0 && s.Failed[len(s.Failed)-1].misused() }

// MarksAtZero are the marks that no seed has reached.
func (s *Summary) MarksAtZero() []string {
	names := []string{}
	for i, n := range s.MarkHits {
		if n == 0 {
			names = append(names, sim.MarkNames[i])
		}
	}
	return names
}

// The lines of --json. Each is one JSON object; its "type" says which.

// SeedLine is the line about one run.
type SeedLine struct {
	Type      string `json:"type"` // "run"
	Seed      uint64 `json:"seed"`
	Verdict   string `json:"verdict"`
	TraceHash string `json:"trace_hash"`
	Steps     uint64 `json:"steps"`

	Property  string `json:"property,omitempty"`
	Detail    string `json:"detail,omitempty"`
	AtStep    uint64 `json:"at_step,omitempty"`
	AtTick    uint64 `json:"at_tick,omitempty"`
	AtReplica int    `json:"at_replica,omitempty"` // 1 is the first
	Folder    string `json:"folder,omitempty"`
	// NotWritten are the files that the folder should have too, each with the
	// reason why it has not.
	NotWritten []string `json:"not_written,omitempty"`
	Repeat     string   `json:"repeat,omitempty"`

	Events           uint64  `json:"events"`
	Deliveries       uint64  `json:"deliveries"`
	SimulatedSeconds float64 `json:"simulated_seconds"`
	ExitCode         int     `json:"exit_code"`

	// Of a replay only: the trace hash that was written down, and where the run
	// first asked for something else than its tape holds.
	ExpectedTraceHash string `json:"expected_trace_hash,omitempty"`
	Drift             string `json:"drift,omitempty"`
}

// SummaryLine is the last line of a campaign.
type SummaryLine struct {
	Type     string `json:"type"` // "summary"
	Base     uint64 `json:"base"`
	Seeds    uint64 `json:"seeds"`
	Failures int    `json:"failures"`
	// Failed are the failures by verdict and property.
	Failed           []FailureGroup `json:"failed"`
	Events           uint64         `json:"events"`
	Steps            uint64         `json:"steps"` // one per event
	Deliveries       uint64         `json:"deliveries"`
	SimulatedSeconds float64        `json:"simulated_seconds"`
	RealSeconds      float64        `json:"real_seconds"`
	CPUSeconds       float64        `json:"cpu_seconds"`
	TraceHash        string         `json:"trace_hash"`

	Verdicts    map[string]uint64 `json:"verdicts"`
	Interrupted bool              `json:"interrupted"`
	ExitCode    int               `json:"exit_code"`
	Jobs        int               `json:"jobs"`
	Focus       string            `json:"focus,omitempty"`
	Twice       uint64            `json:"seeds_run_twice"`

	Marks       map[string]uint64 `json:"marks"`
	MarkSeeds   map[string]uint64 `json:"mark_seeds"`
	MarksAtZero []string          `json:"marks_at_zero"`
	Faults      map[string]uint64 `json:"faults"`

	Operations   uint64 `json:"operations"`
	Acknowledged uint64 `json:"acknowledged"`
	UnknownOps   uint64 `json:"unknown_operations"`
	// SearchCut is how many small histories the second judge gave up.
	SearchCut uint64 `json:"seeds_search_cut"`

	// Numbers of seeds.
	LeaderChangedAgain uint64 `json:"seeds_leader_changed_again"`
	SnapshotInstalled  uint64 `json:"seeds_snapshot_installed"`
	UnsyncedLost       uint64 `json:"seeds_unsynced_lost"`

	Recovery RecoveryLine `json:"recovery_ticks"`
}

// RecoveryLine is in ticks. Nearest and its bound are of the run that came
// nearest to its bound.
type RecoveryLine struct {
	Median       uint64 `json:"median"`
	P99          uint64 `json:"p99"`
	Max          uint64 `json:"max"`
	Nearest      uint64 `json:"nearest"`
	NearestBound uint64 `json:"nearest_bound"`
}

// Line is the outcome as a line of --json.
func (o *Outcome) Line() SeedLine {
	l := SeedLine{
		Type: "run", Seed: o.Seed, Verdict: o.Verdict, TraceHash: hashText(o.TraceHash), Steps: o.Steps,
		Folder: o.Folder, NotWritten: o.NotWritten, Events: o.Steps, Deliveries: o.Deliveries,
		SimulatedSeconds: seconds(o.SimulatedNanos), ExitCode: o.ExitCode,
	}
	if f := o.Failure; f != nil {
		l.Property, l.Detail = f.Property, f.Detail
		l.AtStep, l.AtTick, l.AtReplica = f.Step, f.Tick, f.Replica+1
		l.Repeat = o.Repeat()
	}
	return l
}

// Line is the summary as a line of --json.
func (s *Summary) Line() SummaryLine {
	l := SummaryLine{
		Type: "summary", Base: s.Base, Seeds: s.Seeds, Failures: s.Failures, Failed: Groups(s.Failed),
		Events: s.Steps, Steps: s.Steps, Deliveries: s.Deliveries,
		SimulatedSeconds: seconds(s.SimulatedNanos), RealSeconds: s.Real.Seconds(), CPUSeconds: s.CPU.Seconds(),
		TraceHash: hashText(s.TraceHash()),
		Verdicts:  s.Verdicts, Interrupted: s.Interrupted, ExitCode: s.ExitCode(), Jobs: s.Jobs, Focus: s.Focus, Twice: s.Twice,
		Marks: map[string]uint64{}, MarkSeeds: map[string]uint64{}, MarksAtZero: s.MarksAtZero(), Faults: map[string]uint64{},
		Operations: s.Operations, Acknowledged: s.Acknowledged, UnknownOps: s.UnknownOps, SearchCut: s.SearchCut,
		LeaderChangedAgain: s.LeaderChangedAgain, SnapshotInstalled: s.SnapshotInstalled, UnsyncedLost: s.UnsyncedLost,
		Recovery: RecoveryLine{
			Median: s.recovery.percentile(50), P99: s.recovery.percentile(99), Max: s.recovery.max,
			Nearest: s.RecoveryNearest, NearestBound: s.RecoveryNearestBound,
		},
	}
	for i := range s.MarkHits {
		l.Marks[sim.MarkNames[i]] = s.MarkHits[i]
		l.MarkSeeds[sim.MarkNames[i]] = s.MarkSeeds[i]
	}
	for i := range s.FaultHits {
		l.Faults[sim.FaultNames[i]] = s.FaultHits[i]
	}
	return l
}

// WriteLine writes one line of --json.
func WriteLine(w io.Writer, line any) error {
	return json.NewEncoder(w).Encode(line)
}

func seconds(nanos uint64) float64 { return time.Duration(nanos).Seconds() }

func hashText(h uint64) string { return fmt.Sprintf("%016x", h) }

func seedText(seed uint64) string { return fmt.Sprint(seed) }

// verdictsInOrder has passed first, then the others by name.
func (s *Summary) verdictsInOrder() []string {
	passed := sim.Passed.String()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Verdicts)), func(v string) bool { return v == passed })
	return append([]string{passed}, names...)
}
