package sim

import (
	"regexp"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Runs get to where it becomes interesting: leaders change, snapshots are
// installed, unsynced writes are lost, and clients are busy all the while.
func TestRunsGetSomewhere(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 20
	}
	var leaders, installed, lost, nanos, deliveries uint64
	for seed := range seeds {
		r := Run(&Options{Seed: seed})
		if r.Verdict != Passed {
			t.Fatalf("seed %d: %v: %+v\n%v", seed, r.Verdict, *r.Failure, &r.Scenario)
		}
		if r.LeaderChanges >= 2 {
			leaders++
		}
		if r.SnapshotsInstalled > 0 {
			installed++
		}
		if r.UnsyncedLost > 0 {
			lost++
		}
		nanos += r.SimulatedNanos
		deliveries += r.Deliveries
		if r.RecoveryBoundTicks == 0 || 3*r.RecoveryTicks > r.RecoveryBoundTicks {
			t.Errorf("seed %d: recovered after %d ticks, with a bound of %d", seed, r.RecoveryTicks, r.RecoveryBoundTicks)
		}
	}
	for _, c := range []struct {
		what     string
		got, min uint64
	}{
		{"percent of runs with a second leader", 100 * leaders / seeds, 60},
		{"percent of runs that installed a snapshot", 100 * installed / seeds, 20},
		{"percent of runs that lost unsynced writes", 100 * lost / seeds, 15},
		{"simulated seconds per run", nanos / 1e9 / seeds, 35},
		{"deliveries per run", deliveries / seeds, 15_000},
	} {
		if c.got < c.min {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.min)
		}
	}
}

// A violation becomes a verdict, and so does a panic: with the step, the
// history, and the story.
func TestPanicIsAVerdict(t *testing.T) {
	r := Run(&Options{Seed: 1, Trace: func(e *TraceEvent) {
		if e.Step == 500 {
			panic("tracer fell over")
		}
	}})
	if r.Verdict != Panic || r.Failure == nil || r.Failure.Step != 500 || r.Verdict.ExitCode() != 4 {
		t.Fatalf("%v: %+v", r.Verdict, r.Failure)
	}
	if r.History == nil || len(r.Story) == 0 {
		t.Error("no history, or no story")
	}
}

// Bounds on time and decisions end the faults early, and the rest of the run
// follows as always.
func TestBoundsEndTheFaultsEarly(t *testing.T) {
	s := Bench()
	r := Run(&Options{Seed: 1, Scenario: &s, MaxNanos: 2e9})
	if r.Verdict != Passed || r.SimulatedNanos > 10e9 || r.RecoveryBoundTicks == 0 {
		t.Errorf("at most 2 s of faults: %v after %d ms, %+v", r.Verdict, r.SimulatedNanos/1e6, r.Failure)
	}
	source := choice.New(1)
	r = Run(&Options{Seed: 1, Scenario: &s, Source: source, MaxDecisions: 2000})
	if r.Verdict != Passed || r.SimulatedNanos > 10e9 || r.RecoveryBoundTicks == 0 {
		t.Errorf("about 2000 decisions: %v after %d ms, %+v", r.Verdict, r.SimulatedNanos/1e6, r.Failure)
	}
	if n := source.Decisions(); n < 2000 || n > 10_000 {
		t.Errorf("%d decisions, about 2000 wanted", n)
	}
}

func BenchmarkFuzzedRun(b *testing.B) {
	for range b.N {
		r := Run(&Options{Source: choice.FromBytes(nil, 500), MaxNanos: 3e9, MaxDecisions: 500})
		if r.Verdict != Passed {
			b.Fatal(r.Failure)
		}
	}
}

// A world that does ever more at one instant is stopped, and that is a verdict.
func TestLivelockIsFound(t *testing.T) {
	s := Bench()
	s.Nemesis.EveryNanos, s.Nemesis.Cascade = 0, 0 // move after move, and no time between them
	r := Run(&Options{Seed: 1, Scenario: &s})
	if r.Verdict != Liveness || r.Failure.Property != "Livelock" || r.Verdict.ExitCode() != 3 {
		t.Errorf("%v: %+v", r.Verdict, r.Failure)
	}
}

// credulous is a store that takes every retry for a new command when it is
// asked.
type credulous struct{ *kvWorkload }

func (credulous) Repeated(replica.StateMachine) bool { return false }

// Who applies a command twice is told which, whose, and how it got into the log
// so often.
func TestAppliedTwiceNamesTheCommand(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		focus, err := ParseFocus("X")
		if err != nil {
			t.Fatal(err)
		}
		s := Draw(choice.New(seed), focus)
		s.Traffic.Sessions = 100
		r := Run(&Options{Seed: seed, Scenario: &s, Workload: func() Workload { return credulous{newKV(&s.Traffic)} }})
		if r.Failure == nil || r.Failure.Property != "AppliedOnce" {
			continue
		}
		want := regexp.MustCompile(`^operation \d+ of client c\d+, .{3,}, took effect at (\d+) and again at (\d+); it became the entries .*\b\d+@\d+, .*\d+@\d+`)
		if !want.MatchString(r.Failure.Detail) {
			t.Error(r.Failure.Detail)
		}
		return
	}
	t.Error("no seed has a command that is tried again")
}
