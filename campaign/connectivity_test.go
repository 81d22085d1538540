package campaign

import (
	"context"
	"strings"
	"testing"

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
	d := units[0].run(&o)
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
