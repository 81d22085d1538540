package campaign

import (
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// The verdict that one run can not give about itself: the same seed gave two
// different runs.
const nondeterminism = "nondeterminism"

// Exit codes of a command that ran seeds. A run's own verdicts have theirs in
// package sim.
const (
	ExitPassed         = 0
	ExitUsage          = 2
	ExitInternal       = 4
	ExitNondeterminism = 5
	ExitDrift          = 7 // a replay left its tape, and did not come to the recorded failure
	ExitInterrupted    = 130
)

// Outcome is what is kept of one run: a few hundred bytes.
type Outcome struct {
	Seed    uint64
	Focus   string // that the scenario was drawn with
	Verdict string
	// ExitCode is what a command says that ran this seed alone.
	ExitCode int
	// Failure is nil if the run passed.
	Failure *sim.Failure
	// Story are the last leaders, elections and faults before the failure, one
	// line each; empty if the run passed.
	Story []string
	// Folder is where a failing run was written to, or "". It can be replayed from
	// there even if some files are missing: NotWritten are those that could not be
	// written, each with the reason.
	Folder     string
	NotWritten []string
	// Command does the run again where simrun can not; "" is simrun's.
	Command string
	// Twice says that the run was done a second time, and came out alike unless
	// the verdict is nondeterminism.
	Twice bool

	TraceHash         uint64
	Steps, Deliveries uint64
	SimulatedNanos    uint64

	Marks  sim.Marks
	Faults [sim.FaultCount]uint64

	LeaderChanges      int
	SnapshotsInstalled int
	UnsyncedLost       int

	Operations, Acknowledged, UnknownOps int
	SearchCut                            bool

	// RecoveryTicks is how long the cluster took to recover once the faults
	// were healed, and RecoveryBoundTicks how long it had. Both are 0 if the
	// run did not get there.
	RecoveryTicks, RecoveryBoundTicks uint64
}

// Failed says whether anything was wrong.
func (o *Outcome) Failed() bool { return o.ExitCode != ExitPassed }

// misused says whether the run could not be one: there is nothing to repeat, and
// no other seed would do better.
func (o *Outcome) misused() bool { return o.Verdict == sim.Misuse.String() }

// OutcomeOf keeps the small part of a result.
func OutcomeOf(r *sim.Result, focus string) *Outcome {
	o := &Outcome{
		Seed:               r.Seed,
		Focus:              focus,
		Verdict:            r.Verdict.String(),
		ExitCode:           r.Verdict.ExitCode(),
		Failure:            r.Failure,
		TraceHash:          r.TraceHash,
		Steps:              r.Steps,
		Deliveries:         r.Deliveries,
		SimulatedNanos:     r.SimulatedNanos,
		Marks:              r.Marks,
		Faults:             r.Faults,
		LeaderChanges:      r.LeaderChanges,
		SnapshotsInstalled: r.SnapshotsInstalled,
		UnsyncedLost:       r.UnsyncedLost,
		Operations:         r.Operations,
		Acknowledged:       r.Acknowledged,
		UnknownOps:         r.UnknownOps,
		SearchCut:          r.SearchCut,
		RecoveryTicks:      r.RecoveryTicks,
		RecoveryBoundTicks: r.RecoveryBoundTicks,
	}
	if o.Failed() {
		o.Story = r.Story
	}
	return o
}

// differs says in what two runs of one seed differ, or "". The trace hash
// covers what happened; the rest covers what is said about it.
func (o *Outcome) differs(p *Outcome) string {
	switch {
	case o.TraceHash != p.TraceHash:
		return "trace hash " + hashText(o.TraceHash) + " and " + hashText(p.TraceHash)
	case o.Steps != p.Steps || o.Deliveries != p.Deliveries:
		return "the number of steps or deliveries"
	case o.Verdict != p.Verdict:
		return "verdicts " + o.Verdict + " and " + p.Verdict
	case o.Marks != p.Marks:
		return "marks"
	case o.Faults != p.Faults:
		return "faults"
	}
	return ""
}

// becomeNondeterministic replaces the verdict: nothing that a run says counts
// when the next one says otherwise.
func (o *Outcome) becomeNondeterministic(what string) {
	o.Verdict, o.ExitCode = nondeterminism, ExitNondeterminism
	o.Failure = &sim.Failure{
		Property: "Determinism",
		Detail:   "two runs of seed " + seedText(o.Seed) + " differ in " + what,
		Replica:  -1,
	}
}

// runsTwice says whether a seed is one of the one in twenty that run a second
// time. It depends on the seed alone, so that every campaign agrees.
func runsTwice(seed uint64) bool {
	return digest.Finish(digest.Word(0x7477696365, seed))%20 == 0
}
