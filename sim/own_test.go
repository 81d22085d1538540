package sim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// Code that is not the simulator's: what it may get wrong, and what it may
// bring along.

// own is a workload of somebody else, of which anything can be replaced.
type own struct {
	counterWorkload
	model      linearizability.Model
	caller     func(c *sim.Choices) sim.Caller
	invariants []sim.Invariant
}

func newOwn() *own {
	return &own{
		counterWorkload: counterWorkload{func() replica.StateMachine { return &counter{} }},
		model:           counterModel{},
		caller:          func(c *sim.Choices) sim.Caller { return counterCaller{c} },
	}
}

func (w *own) Model() linearizability.Model            { return w.model }
func (w *own) Caller(_ int, c *sim.Choices) sim.Caller { return w.caller(c) }
func (w *own) Invariants() []sim.Invariant             { return w.invariants }
func (w *own) run(o sim.Options) *sim.Result           { o.Workload = w.workload; return sim.Run(&o) }
func (w *own) workload() sim.Workload                  { return w }
func (w *own) asks(next func(probe bool) sim.Operation) {
	w.caller = func(*sim.Choices) sim.Caller { return asking(next) }
}

// asking is a client that asks for what the function says.
type asking func(probe bool) sim.Operation

func (a asking) Next(dst []byte, probe bool) sim.Operation { return a(probe) }
func (a asking) Done(reply []byte) bool                    { return reply != nil }

// What can not be run is no violation of anything: it is said by name.
func TestMisuse(t *testing.T) {
	bad := sim.Bench()
	bad.HeartbeatTicks = bad.ElectionTicks
	good := sim.Bench()
	for _, c := range []struct {
		name string
		of   func(w *own, o *sim.Options)
		says string
	}{
		{"scenario", func(_ *own, o *sim.Options) { o.Scenario = &bad }, "heartbeat_ticks"},
		{"scenario without a cluster", func(_ *own, o *sim.Options) { o.Scenario = &sim.Scenario{} }, "replicas is 0"},
		{"focus", func(_ *own, o *sim.Options) { o.Focus = "PW" }, `no feature 'W'`},
		{"focus of a scenario that is given", func(_ *own, o *sim.Options) { o.Scenario, o.Focus = &good, "P" }, `focus "P"`},
		{"no workload", func(_ *own, o *sim.Options) { o.Workload = func() sim.Workload { return nil } }, "Workload returns nil"},
		{"no model", func(w *own, _ *sim.Options) { w.model = nil }, "*sim_test.own.Model returns nil"},
		{"no machine", func(w *own, _ *sim.Options) { w.machine = func() replica.StateMachine { return nil } }, "Machine returns nil"},
		{"no caller", func(w *own, _ *sim.Options) { w.caller = func(*sim.Choices) sim.Caller { return nil } }, "Caller returns nil for client 0"},
		{"once without sessions", func(w *own, _ *sim.Options) {
			w.asks(func(bool) sim.Operation { return sim.Operation{Bytes: []byte("a"), Once: true} })
		}, "says Once, but *sim_test.own is no sim.Sessions"},
		{"once of a read", func(w *own, _ *sim.Options) {
			w.asks(func(bool) sim.Operation { return sim.Operation{Read: true, Once: true} })
		}, "says Once of a read"},
		{"a probe that is a read", func(w *own, _ *sim.Options) {
			w.asks(func(probe bool) sim.Operation { return sim.Operation{Bytes: []byte("a")[:1], Read: probe} })
		}, "asked for as a probe"},
		{"a command that is too long", func(w *own, _ *sim.Options) {
			w.asks(func(bool) sim.Operation { return sim.Operation{Bytes: make([]byte, 2<<20)} })
		}, "at most 1048576"},
		{"an invariant without a name", func(w *own, _ *sim.Options) {
			w.invariants = []sim.Invariant{{Check: func(*sim.View) error { return nil }}}
		}, "invariant 0 of *sim_test.own has no name"},
		{"an invariant that checks nothing", func(w *own, _ *sim.Options) { w.invariants = []sim.Invariant{{Name: "Sum"}} }, `"Sum"`},
		{"two invariants of one name", func(w *own, _ *sim.Options) {
			sum := sim.Invariant{Name: "Sum", Check: func(*sim.View) error { return nil }}
			w.invariants = []sim.Invariant{sum, sum}
		}, `two invariants of *sim_test.own are called "Sum"`},
		{"no disk", func(_ *own, o *sim.Options) { o.Disk = func(core.Configuration) sim.Disk { return nil } }, "Options.Disk returns nil"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newOwn()
			o := sim.Options{Seed: 1, Workload: w.workload}
			c.of(w, &o)
			r := sim.Run(&o)
			if r.Verdict != sim.Misuse || !strings.Contains(r.Failure.Detail, c.says) {
				t.Errorf("%v: %+v", r.Verdict, r.Failure)
			}
			if r.Verdict.ExitCode() != 2 {
				t.Errorf("exit code %d", r.Verdict.ExitCode())
			}
		})
	}
}

// An invariant sees every replica, and what it says becomes the violation, the
// same each time.
func TestInvariantOfAWorkload(t *testing.T) {
	bench := sim.Bench()
	calls, ends, most := 0, 0, core.Index(0)
	w := newOwn()
	w.invariants = []sim.Invariant{{Name: "Sums Agree", Check: func(v *sim.View) error {
		calls++
		at := map[core.Index]uint64{}
		for _, r := range v.Replicas {
			if !r.Up {
				continue
			}
			sum := r.Machine.(*counter).sum
			if s, ok := at[r.Applied]; ok && s != sum {
				return fmt.Errorf("%d and %d at index %d", s, sum, r.Applied)
			}
			at[r.Applied] = sum
			most = max(most, r.Applied)
		}
		if v.End {
			ends++
		}
		return nil
	}}}
	if r := w.run(sim.Options{Seed: 3, Scenario: &bench, MaxNanos: 5e9}); r.Verdict != sim.Passed {
		t.Fatalf("%v: %+v", r.Verdict, r.Failure)
	}
	if calls < int(most) || ends != 1 || most == 0 {
		t.Errorf("called %d times, %d at the end, with applied up to %d", calls, ends, most)
	}

	w = newOwn()
	w.invariants = []sim.Invariant{{Name: "Stays Small", Check: func(v *sim.View) error {
		for _, r := range v.Replicas {
			if r.Up && r.Machine.(*counter).sum > 50 {
				return errors.New("it grows")
			}
		}
		return nil
	}}}
	first := w.run(sim.Options{Seed: 3, Scenario: &bench, MaxNanos: 5e9})
	if first.Verdict != sim.Safety || first.Failure.Property != "Stays Small" || first.Failure.Detail != "it grows" {
		t.Fatalf("%v: %+v", first.Verdict, first.Failure)
	}
	if again := w.run(sim.Options{Seed: 3, Scenario: &bench, MaxNanos: 5e9}); again.TraceHash != first.TraceHash || *again.Failure != *first.Failure {
		t.Errorf("once %+v, then %+v", first.Failure, again.Failure)
	}
}

// faulty panics at its hundredth command.
type faulty struct{ counter }

func (f *faulty) Apply(index, time uint64, command, reply []byte) []byte {
	if f.sum > 100 {
		return reply[:cap(reply)+1]
	}
	return f.counter.Apply(index, time, command, reply)
}

// Who panics is at the top of what is shown, and at which replica is said.
func TestPanicShowsWhosePanicItIs(t *testing.T) {
	bench := sim.Bench()
	w := newOwn()
	w.machine = func() replica.StateMachine { return &faulty{} }
	r := w.run(sim.Options{Seed: 3, Scenario: &bench})
	if r.Verdict != sim.Panic {
		t.Fatalf("%v: %+v", r.Verdict, r.Failure)
	}
	lines := strings.Split(r.Failure.Detail, "\n")
	if len(lines) < 2 || !strings.Contains(lines[0], "slice bounds out of range") ||
		!strings.Contains(lines[1], "(*faulty).Apply at ") || !strings.Contains(lines[1], "own_test.go:") {
		t.Errorf("it says\n%s", r.Failure.Detail)
	}
	if r.Failure.Replica < 0 {
		t.Error("it does not say at which replica")
	}
}

// ownDisk is somebody else's disk: here a Memory, and what is wrong with it.
type ownDisk struct {
	memory *replica.Memory
	wrong  string
}

func (d *ownDisk) Start() replica.Storage { return &ownStorage{d.memory, d} }

func (d *ownDisk) PowerLoss(choose func(n int) int) {
	logs, hards := d.memory.Unsynced()
	if d.wrong == "keeps nothing" {
		d.memory.PowerLoss(0, 0)
		return
	}
	d.memory.PowerLoss(choose(logs+1), choose(hards+1))
}

type ownStorage struct {
	*replica.Memory
	disk *ownDisk
}

func (s *ownStorage) Sync(upto uint64) error {
	if s.disk.wrong == "forgets to sync" && upto%16 == 0 {
		return nil
	}
	return s.Memory.Sync(upto)
}

func (s *ownStorage) Open() (replica.Opened, error) {
	o, err := s.Memory.Open()
	if s.disk.wrong == "loses the vote" {
		o.State.HardState.Vote = 0
	}
	return o, err
}

func runOnDisks(seed uint64, wrong string) *sim.Result {
	return sim.Run(&sim.Options{Seed: seed, Focus: "UCSM", MaxNanos: 5e9, Disk: func(founding core.Configuration) sim.Disk {
		return &ownDisk{memory: replica.NewMemory(founding), wrong: wrong}
	}})
}

// A disk of somebody else's takes the place of the simulator's, loses power as
// it likes, and what is wrong with it is found.
func TestOwnDisk(t *testing.T) {
	for _, wrong := range []string{"", "keeps nothing"} { // which is right
		lost := 0
		for seed := range uint64(10) {
			r := runOnDisks(seed, wrong)
			if r.Verdict != sim.Passed {
				t.Fatalf("%q, seed %d: %v: %+v", wrong, seed, r.Verdict, r.Failure)
			}
			lost += r.UnsyncedLost
		}
		if lost == 0 {
			t.Errorf("%q: no power loss has taken anything", wrong)
		}
	}
	for _, wrong := range []string{"forgets to sync", "loses the vote"} {
		found := false
		for seed := uint64(0); seed < 30 && !found; seed++ {
			r := runOnDisks(seed, wrong)
			found = r.Verdict == sim.Safety && r.Failure.Property == "Storage"
			if !found && r.Verdict != sim.Passed {
				t.Fatalf("%q, seed %d: %v: %+v", wrong, seed, r.Verdict, r.Failure)
			}
		}
		if !found {
			t.Errorf("a disk that %s passed 30 seeds", wrong)
		}
	}
}
