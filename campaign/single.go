package campaign

import (
	"fmt"
	"os"
	"strconv"

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
	// Workload drives a state machine other than kv; nil is kv.
	Workload func() sim.Workload
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
	// Watched says that every event was shown.
	Watched bool
	// Stopped says that the run was cut short on demand, so that its verdict is
	// about its beginning only.
	Stopped bool
}

// Run does it. An error is about what surrounds the run, which was not done.
func (s *Single) Run() (*SingleOutcome, error) {
	o := Options{Focus: s.Focus, Workload: s.Workload, Dir: s.Dir}
	o.setDefaults()
	if err := CheckDir(o.Dir); err != nil {
		return nil, err
	}
	so := o.simOptions(s.Seed)
	if s.Repro != nil {
		var err error
		if so, err = s.Repro.Options(); err != nil {
			return nil, err
		}
		so.Workload = s.Workload
		if s.Begin != nil {
			s.Begin(&s.Repro.Scenario)
		}
	} else {
		so.Source = choice.NewRecording(s.Seed)
		if s.Begin != nil {
			scenario := sim.Draw(choice.New(s.Seed), sim.ParseFocus(s.Focus))
			s.Begin(&scenario)
		}
	}
	so.Until = s.Until
	so.Trace = s.Trace
	r := o.guarded(so)
	out := &SingleOutcome{Outcome: OutcomeOf(r, so.Focus), Result: r, Repro: s.Repro, Watched: s.Trace != nil}
	out.Stopped = s.Until != 0 && r.Steps+1 >= s.Until
	switch {
	case s.Repro != nil:
		if !out.Stopped && !out.Repeated() && ThisCode().exact(s.Repro.Code) {
			// The same code made another run of the same tape.
			out.becomeNondeterministic("trace hash: written down " + s.Repro.TraceHash + ", replayed " + hashText(out.TraceHash))
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
