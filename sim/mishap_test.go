package sim_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// brittle is a counter whose snapshots fail to be written, or to be read.
type brittle struct {
	counter
	saves      *int
	failsFirst bool // the first save
	unreadable bool
}

var errFormat = errors.New("can not read format 3")

func (b *brittle) Snapshot() io.WriterTo { s := *b; return &s }

func (b *brittle) WriteTo(w io.Writer) (int64, error) {
	if *b.saves++; b.failsFirst && *b.saves == 1 {
		return 0, errors.New("no space left on device")
	}
	return b.counter.WriteTo(w)
}

func (b *brittle) Restore(r io.Reader) error {
	if b.unreadable {
		return errFormat
	}
	return b.counter.Restore(r)
}

func brittleRun(seed uint64, machine brittle) *sim.Result {
	return sim.Run(&sim.Options{Seed: seed, Focus: "S", Workload: func() sim.Workload {
		saves := 0
		return counterWorkload{func() replica.StateMachine {
			m := machine
			m.saves = &saves
			return &m
		}}
	}})
}

// One snapshot that can not be written costs nothing.
func TestOneSaveThatFailsIsNoFailure(t *testing.T) {
	failed := uint32(0)
	for seed := uint64(1); seed <= 20; seed++ {
		r := brittleRun(seed, brittle{failsFirst: true})
		if r.Verdict != sim.Passed {
			t.Errorf("seed %d: %v: %+v", seed, r.Verdict, *r.Failure)
		}
		failed += r.Marks[sim.MarkSaveFailed]
	}
	if failed < 20 {
		t.Errorf("%d saves failed in 20 runs", failed)
	}
}

// A state machine that can not be restored is found, and the failure says what
// Restore returned.
func TestFailedRestoreIsToldInItsOwnWords(t *testing.T) {
	found := 0
	for seed := uint64(1); seed <= 20; seed++ {
		r := brittleRun(seed, brittle{unreadable: true})
		if r.Failure == nil {
			continue
		}
		found++
		if r.Failure.Property != sim.PropertyNoHalt || !strings.Contains(r.Failure.Detail, errFormat.Error()) {
			t.Errorf("seed %d: %s: %s", seed, r.Failure.Property, r.Failure.Detail)
		}
	}
	if found < 10 {
		t.Errorf("found in %d of 20 runs", found)
	}
}
