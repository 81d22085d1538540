package campaign

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-raft/seaworthy/sim"
)

// What is said does not depend on the number of workers.
func TestConnectivityWorkers(t *testing.T) {
	var hashes []string
	for _, jobs := range []int{1, 3} {
		s, err := RunConnectivity(context.Background(), ConnectivityOptions{Size: 3, Seeds: 3, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if s.Runs != 48 || s.Failures != 0 || s.ExitCode != 0 {
			t.Errorf("%d runs, %d failures, exit code %d", s.Runs, s.Failures, s.ExitCode)
		}
		hashes = append(hashes, s.TraceHash)
	}
	if hashes[0] != hashes[1] {
		t.Errorf("trace hashes %v", hashes)
	}
}

// A failure gives the exit code, and the one command that repeats it.
func TestConnectivityFailure(t *testing.T) {
	s := &ConnectivitySummary{UpperTicks: 60}
	o := ConnectivityOptions{Case: "switch", Seeds: 2}
	units, err := o.units(s)
	if err != nil || len(units) != 1 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	d := units[0].run(t.Context(), &o)
	units[0].keep(d, 2, &sim.ConnectivityResult{Result: sim.Result{
		Verdict: sim.Liveness, Failure: &sim.Failure{Property: "Partial Connectivity", Detail: "nothing was committed"},
	}})
	s.fold(&units[0], d)
	s.finish()
	var b strings.Builder
	if err := s.WriteText(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	if want := "\n  go run ./cmd/simrun connectivity --case switch --seed 2\n"; s.ExitCode != 3 || !strings.Contains(b.String(), want) {
		t.Errorf("exit code %d, text\n%s", s.ExitCode, b.String())
	}
	if s.Rows[0].Slowest == "" || s.Rows[0].MedianTicks == 0 || s.Rows[0].P99Ticks < s.Rows[0].MedianTicks {
		t.Errorf("row %+v", s.Rows[0])
	}
}

// Whatever is under way ends soon, also if it is one graph with very many
// seeds, and the summary says so and has what was done.
func TestConnectivityInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	s, err := RunConnectivity(ctx, ConnectivityOptions{Case: "switch", Seeds: 2_000_000, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Interrupted || s.ExitCode != ExitInterrupted || s.Runs == 0 || s.Runs != s.Rows[0].Runs {
		t.Errorf("interrupted %v after %d runs, exit code %d, row %+v", s.Interrupted, s.Runs, s.ExitCode, s.Rows[0])
	}
}

// Behind the largest seed comes none.
func TestConnectivityLargestSeed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := RunConnectivity(ctx, ConnectivityOptions{Case: "switch", Seed: math.MaxUint64, Jobs: 1})
	if err != nil || s.Runs != 1 || s.Interrupted {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestConnectivityCheck(t *testing.T) {
	for want, o := range map[string]ConnectivityOptions{
		"-3 workers":        {Size: 3, Jobs: -3},
		"each -5th graph":   {Size: 3, Every: -5},
		"one seed of which": {Size: 3, Seed: 7},
	} {
		if s, err := RunConnectivity(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %+v, %v", o, s, err)
		}
	}
}

// A run that is watched says what was wrong with it, as text and as a line, also
// if it panics.
func TestConnectivityWatched(t *testing.T) {
	o := ConnectivityOptions{Case: "switch", Seed: 2}
	begun, events := 0, 0
	out, err := o.Watch(func(*sim.Scenario) { begun++ }, func(*sim.TraceEvent) {
		if events++; events == 100 {
			panic("out of the simulator")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if begun != 1 || out.ExitCode != sim.Panic.ExitCode() {
		t.Errorf("%d scenarios, exit code %d", begun, out.ExitCode)
	}
	var b strings.Builder
	if err := out.WriteText(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(out.Line())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"No Panic", "out of the simulator", "go run ./cmd/simrun connectivity --case switch --seed 2"} {
		if !strings.Contains(b.String(), want) || !strings.Contains(string(line), want) {
			t.Errorf("%q is missing:\n%s%s", want, b.String(), line)
		}
	}
	o.Seed = 0
	if _, err := o.Watch(nil, nil); err == nil {
		t.Error("twenty seeds at once are watched")
	}
}
