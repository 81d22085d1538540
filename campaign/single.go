package campaign

import (
	"fmt"
	"os"
	"strconv"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// Single is one run to be watched: of a seed, or of what another run left.
type Single struct {
	Seed  uint64
	Focus string
	// Repro is what to replay; nil runs the seed.
	Repro *Repro
	// Until is the step to stop before; 0 is the whole run.
	Until uint64
	// Scenario, if not nil, is run instead of one that the seed draws.
	Scenario *sim.Scenario
	// Workload drives a state machine other than kv; nil is kv.
	Workload func() sim.Workload
	// Disk makes the replicas' disks; nil is the simulator's.
	Disk func(core.Configuration) sim.Disk
	// Command is what repeats the run where simrun can not; "" is simrun's.
	Command string
	// Dir is where the seed leaves its folder if it fails; "" is nowhere. A
	// replay leaves none: it has one.
	Dir string

	// Begin sees the scenario before the run, and Trace every event, if they are
	// not nil.
	Begin func(*sim.Scenario)
	Trace func(*sim.TraceEvent)
}

// Find makes what to replay of a word: the name of a repro.json or of its
// folder, or a seed.
func Find(word string) (*Single, error) {
	if _, err := os.Stat(word); err == nil {
		r, err := ReadRepro(word)
		if err != nil {
			return nil, err
		}
		return &Single{Seed: r.Seed, Focus: r.Focus, Repro: r}, nil
	}
	seed, err := strconv.ParseUint(word, 0, 64)
	if err != nil {
		return nil, fmt.Errorf("%s: there is no such file or folder, and it is not a seed", word)
	}
	return &Single{Seed: seed}, nil
}

// SingleOutcome is what came of it.
type SingleOutcome struct {
	*Outcome
	Result *sim.Result
	// Repro is what was replayed, or nil.
	Repro *Repro
	// Loose says that decisions were taken off the tape before it was replayed,
	// because scenarios are drawn in another way today.
	Loose bool
	// Watched says that every event was shown.
	Watched bool
	// Stopped says that the run was cut short on demand, so that its verdict is
	// about its beginning only.
	Stopped bool
}

// Run does it. An error is about what surrounds the run, which was not done.
func (s *Single) Run() (*SingleOutcome, error) {
	o := Options{Focus: s.Focus, Scenario: s.Scenario, Workload: s.Workload, Disk: s.Disk, Dir: s.Dir}
	o.setDefaults()
	if err := CheckDir(o.Dir); err != nil {
		return nil, err
	}
	so := o.simOptions(s.Seed)
	if s.Repro != nil {
		if s.Workload == nil && s.Repro.Workload != "" || s.Disk == nil && s.Repro.Disk != "" {
			return nil, s.Repro.errForeign()
		}
		var err error
		if so, err = s.Repro.Options(); err != nil {
			return nil, err
		}
		so.Workload, so.Disk = s.Workload, s.Disk
		if s.Begin != nil {
			s.Begin(&s.Repro.Scenario)
		}
	} else {
		if err := so.Check(); err != nil {
			return nil, err
		}
		so.Source = choice.NewRecording(s.Seed)
		if s.Begin != nil {
			scenario := begunWith(so, choice.New(s.Seed))
			s.Begin(&scenario)
		}
	}
	so.Until = s.Until
	so.Trace = s.Trace
	r := o.guarded(so)
	out := &SingleOutcome{Outcome: OutcomeOf(r, so.Focus), Result: r, Repro: s.Repro, Watched: s.Trace != nil}
	out.Loose = s.Repro != nil && !s.Repro.ScenarioGiven && so.Scenario != nil
	out.Command = s.Command
	out.Stopped = s.Until != 0 && r.Steps+1 >= s.Until
	switch {
	case s.Repro != nil:
		if !out.Stopped && !out.Repeated() && ThisCode().exact(s.Repro.Code) {
			// The same code made another run of the same tape.
			out.becomeNondeterministic("trace hash: written down " + s.Repro.TraceHash + ", replayed " + hashText(out.TraceHash))
		} else if out.drifted() {
			out.ExitCode = ExitDrift
		}
	case out.Failed() && s.Dir != "" && !out.Stopped:
		o.leaveFolder(out.Outcome)
	}
	return out, nil
}

// Repeated says whether a replay made the run that was written down.
func (o *SingleOutcome) Repeated() bool {
	return o.Repro != nil && o.Repro.TraceHash == hashText(o.TraceHash)
}

// drifted says whether a replay has become a run that says nothing about the
// one that was written down: it left the tape before its end, and did not come
// to the same failure. To go on beyond the end of the tape is no drift: the
// recorded run ended there because it had failed.
func (o *SingleOutcome) drifted() bool {
	r := o.Repro
	if o.Stopped || o.Repeated() || o.Failed() && o.Verdict == r.Verdict && o.Failure.Property == r.Property {
		return false
	}
	d := o.Result.Drift
	// Of a tape that is not whole nobody can tell whether it was followed.
	return d != nil && !d.End || o.Loose
}

// Line is the outcome as a line of --json.
func (o *SingleOutcome) Line() SeedLine {
	l := o.Outcome.Line()
	if o.Repro != nil {
		l.ExpectedTraceHash = o.Repro.TraceHash
	}
	if d := o.Result.Drift; d != nil {
		l.Drift = fmt.Sprint(d)
	}
	return l
}
