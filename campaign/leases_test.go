package campaign

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-raft/seaworthy/sim"
)

// Leases hold within their bound, break far beyond it, and read index does
// neither.
func TestLeasesBreakBeyondTheirBound(t *testing.T) {
	x := Leases{BoundPPM: 100_000, Drifts: []uint64{100_000, 2_000_000}, Seeds: 6}
	s, err := x.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := s.Lines
	if len(lines) != 2 || s.ExitCode != ExitPassed {
		t.Fatalf("%+v", s)
	}
	for i := range lines {
		if lines[i].Wrong() {
			t.Errorf("%+v", lines[i])
		}
	}
	if l := lines[0]; l.LeaseReads == 0 || !l.Within {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Broken == 0 || l.FirstSeed == 0 {
		t.Errorf("clocks three times as fast break no lease: %+v", l)
	}
	var b strings.Builder
	if err := WriteLeases(&b, x.BoundPPM, lines); err != nil || strings.Count(b.String(), "\n") != 4 ||
		!strings.Contains(b.String(), "| 200 % | does not hold |") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// Options of which nothing can come are refused, not waited for.
func TestLeasesCheck(t *testing.T) {
	for want, x := range map[string]Leases{
		"-1 workers": {Seeds: 1, Jobs: -1},
		"0 seeds":    {},
		"-5 seeds":   {Seeds: -5},
	} {
		if s, err := x.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %+v, %v", x, s, err)
		}
	}
}

// Whoever hands out the runs hears that the context has ended, also while all
// workers are busy, and even if there are none.
func TestLeasesInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		none := Leases{Seeds: 3, Jobs: -1}
		if _, ok := none.runs(ctx, sim.Options{}); ok {
			t.Error("three runs without a worker")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		x := Leases{Drifts: []uint64{0, 1, 2}, Seeds: 2, Jobs: 1, simulate: func(*sim.Options) *sim.Result {
			time.Sleep(time.Second)
			return &sim.Result{}
		}}
		s, err := x.Run(ctx) // six runs for each line
		if err != nil || !s.Interrupted || s.ExitCode != ExitInterrupted || len(s.Lines) != 1 || s.Drifts != 1 || s.Wanted != 3 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A run that says nothing about leases ends the experiment with its own exit
// code, and with the lines that there are; of two failures the first counts.
func TestLeasesUnexpectedVerdict(t *testing.T) {
	for _, c := range []struct {
		verdict sim.Verdict
		first   sim.Verdict // of the drift before
		code    int
	}{
		{sim.Liveness, sim.Passed, 3}, {sim.Unknown, sim.Passed, 6}, {sim.Panic, sim.Passed, 4}, {sim.Liveness, sim.Safety, 1},
	} {
		x := Leases{BoundPPM: 10, Drifts: []uint64{0, 5, 20}, Seeds: 3, Jobs: 1, simulate: func(o *sim.Options) *sim.Result {
			r := &sim.Result{Seed: o.Seed, Verdict: c.first}
			if o.Scenario.Rates[1] != 1e6 && o.Seed == 2 {
				r.Verdict = c.verdict
			}
			r.Failure = &sim.Failure{Property: "Recovery", Detail: "no leader"}
			return r
		}}
		s, err := x.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Lines) != 1 || s.Lines[0].DriftPPM != 0 || s.ExitCode != c.code || s.Verdict != c.verdict.String() || s.Interrupted {
			t.Errorf("%v after %v: %+v", c.verdict, c.first, s)
		}
		var b strings.Builder
		if err := s.WriteText(&b, Style{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"| 0 % | holds |", c.verdict.String() + "  drift of 5 ppm, seed 2: Recovery: no leader\n"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the text does not say %q:\n%s", want, b.String())
			}
		}
	}
}
