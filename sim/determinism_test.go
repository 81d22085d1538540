package sim_test

import (
	"reflect"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// One seed is one run, and the tape of a run repeats it.
func TestSameSeedSameRunAndSoDoesItsTape(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := uint64(1); seed <= 8; seed++ {
		focus := ""
		if seed > 5 {
			focus = "MGPCUX"
		}
		first := sim.Run(&sim.Options{Seed: seed, Focus: focus})
		if other, ok := seen[first.TraceHash]; ok {
			t.Errorf("seeds %d and %d made the same run", seed, other)
		}
		seen[first.TraceHash] = seed

		recorded := sim.Run(&sim.Options{Seed: seed, Focus: focus, Source: choice.NewRecording(seed)})
		if recorded.TraceHash != first.TraceHash || recorded.Steps != first.Steps {
			t.Errorf("seed %d: recording changed the run: hash %x and %x", seed, first.TraceHash, recorded.TraceHash)
		}
		letters, err := sim.ParseFocus(focus)
		if err != nil {
			t.Fatal(err)
		}
		if drawn := sim.Draw(choice.New(seed), letters); !reflect.DeepEqual(drawn, recorded.Scenario) {
			t.Errorf("seed %d: the run changed its scenario, so that a replay would begin with another one:\n%v\n%v", seed, &drawn, &recorded.Scenario)
		}
		replayed := sim.Run(&sim.Options{Seed: seed, Focus: focus, Source: choice.Replay(recorded.Tape)})
		if replayed.TraceHash != first.TraceHash || replayed.Drift != nil {
			t.Errorf("seed %d: replay of its own tape: hash %x and %x, drift %v", seed, first.TraceHash, replayed.TraceHash, replayed.Drift)
		}
	}
}

// What a tape does not say is benign: cut anywhere, or with decisions taken
// out, it still makes a run, and one that holds.
func TestDamagedTapesMakeCalmerRuns(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		focus := ""
		if seed > 4 {
			focus = "MGPCUX"
		}
		whole := sim.Run(&sim.Options{Seed: seed, Focus: focus, Source: choice.NewRecording(seed)})
		scenario := whole.Scenario
		run := func(edit func(*choice.Tape)) *sim.Result {
			t.Helper()
			tape := whole.Tape.Clone()
			edit(tape)
			r := sim.Run(&sim.Options{Seed: seed, Scenario: &scenario, Source: choice.Replay(tape)})
			if r.Verdict != sim.Passed {
				t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, r.Failure)
			}
			return r
		}
		run(func(tape *choice.Tape) { tape.Delete(tape.Len()/2, tape.Len()) })
		run(func(tape *choice.Tape) { tape.Delete(0, tape.Len()/3) })
		calm := run(func(tape *choice.Tape) { tape.Delete(0, tape.Len()) })
		for kind, n := range calm.Faults {
			// A client closes a connection of its own accord when it gives up.
			if n != 0 && sim.FaultNames[kind] != "client-cut" {
				t.Errorf("seed %d: with no decision on the tape, fault %s hit %d times", seed, sim.FaultNames[kind], n)
			}
		}
		if calm.Operations == 0 || calm.Acknowledged == 0 {
			t.Errorf("seed %d: a benign run acknowledged %d of %d operations", seed, calm.Acknowledged, calm.Operations)
		}
	}
}

// A run stopped before a step is the beginning of the whole run.
func TestUntilIsAPrefix(t *testing.T) {
	var all, some []string
	sim.Run(&sim.Options{Seed: 3, Trace: func(e *sim.TraceEvent) { all = append(all, e.Render()) }})
	sim.Run(&sim.Options{Seed: 3, Until: 1000, Trace: func(e *sim.TraceEvent) { some = append(some, e.Render()) }})
	if len(some) == 0 || len(some) >= len(all) {
		t.Fatalf("%d events of %d", len(some), len(all))
	}
	for i := range some {
		if some[i] != all[i] {
			t.Fatalf("event %d: %s, in the whole run %s", i, some[i], all[i])
		}
	}
}
