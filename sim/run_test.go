package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestHunt(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	base, _ := strconv.Atoi(os.Getenv("BASE"))
	seen := map[string]int{}
	var nanos, deliveries, steps uint64
	var again, installed, lost int
	var worst float64
	var marks [MarkCount]int
	var faults [FaultCount]uint64
	for seed := base; seed < base+n; seed++ {
		r := Run(&Options{Seed: uint64(seed), Focus: os.Getenv("FOCUS")})
		nanos += r.SimulatedNanos
		deliveries += r.Deliveries
		steps += r.Steps
		for m, n := range r.Marks {
			if n > 0 {
				marks[m]++
			}
		}
		for k, n := range r.Faults {
			faults[k] += n
		}
		if r.LeaderChanges > 1 {
			again++
		}
		if r.SnapshotsInstalled > 0 {
			installed++
		}
		if r.UnsyncedLost > 0 {
			lost++
		}
		if f := float64(r.RecoveryTicks) / float64(r.RecoveryBoundTicks+1); f > worst || f > 0.2 {
			worst = max(worst, f)
			t.Logf("seed %d recovery %d of %d", seed, r.RecoveryTicks, r.RecoveryBoundTicks)
		}
		if r.Failure != nil {
			d := r.Failure.Detail
			if len(d) > 300 && r.Verdict != Panic {
				d = d[:300]
			}
			if len(d) > 2500 {
				d = d[:2500]
			}
			key := r.Verdict.String() + "/" + r.Failure.Property
			if i := strings.Index(d, "\n"); i > 0 && r.Verdict == Panic {
				key += d[:i]
			}
			seen[key]++
			if seen[key] <= 2 {
				t.Logf("seed %d step %d at %d.%03d replica %d %s: %s", seed, r.Failure.Step, r.Failure.At/1e9, r.Failure.At/1e6%1e3, r.Failure.Replica+1, key, d)
			}
		}
	}
	if os.Getenv("MARKS") != "" {
		for m, n := range marks {
			t.Logf("%6d %s", n, Mark(m))
		}
		for k, n := range faults {
			t.Logf("%8d %s", n, FaultKind(k))
		}
	}
	for k, v := range seen {
		t.Logf("%4d %s", v, k)
	}
	if n > 0 {
		t.Logf("per seed: %.1f sim-s, %d deliveries, %d steps; leaders>1 %d%%, installed %d%%, lost %d%%, worst recovery %.2f", float64(nanos)/1e9/float64(n), deliveries/uint64(n), steps/uint64(n), again*100/n, installed*100/n, lost*100/n, worst)
	}
}
