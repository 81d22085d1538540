package sim_test

import (
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// keeper answers from a slice of its own, which the next answer writes over.
type keeper struct {
	counter
	buffer []byte
}

func (k *keeper) Apply(index, time uint64, command, _ []byte) []byte {
	k.buffer = k.counter.Apply(index, time, command, k.buffer[:0])
	return k.buffer
}

// copier appends to a copy of its own, which the next one writes over.
type copier struct{ keeper }

func (c *copier) Apply(index, time uint64, command, reply []byte) []byte {
	c.buffer = c.counter.Apply(index, time, command, append(c.buffer[:0], reply...))
	return c.buffer
}

// overwriter begins its reply where others have theirs.
type overwriter struct{ counter }

func (o *overwriter) Apply(index, time uint64, command, reply []byte) []byte {
	return o.counter.Apply(index, time, command, reply[:0])
}

// asker is an overwriter when it is asked, and right when it applies.
type asker struct{ counter }

func (a *asker) Query(query, reply []byte) []byte { return a.counter.Query(query, reply[:0]) }

// silent returns nothing where it was to return what it was given.
type silent struct{ counter }

func (s *silent) Apply(index, time uint64, command, reply []byte) []byte {
	s.counter.Apply(index, time, command, reply)
	return nil
}

// A state machine that garbles replies is named, by its type and method, and
// before a client could see it. One that appends is left alone.
func TestRepliesAreAppended(t *testing.T) {
	tests := []struct {
		machine func() replica.StateMachine
		want    string // in the failure
	}{
		{func() replica.StateMachine { return &keeper{} }, "Apply of the workload's state machine (*sim_test.keeper) was given"},
		{func() replica.StateMachine { return &copier{} }, "Apply of the workload's state machine (*sim_test.copier) returned a slice of its own"},
		{func() replica.StateMachine { return &overwriter{} }, "Apply of the workload's state machine (*sim_test.overwriter) was given"},
		{func() replica.StateMachine { return &asker{} }, "Query of the workload's state machine (*sim_test.asker) was given"},
		{func() replica.StateMachine { return &silent{} }, "Apply of the workload's state machine (*sim_test.silent) was given"},
		{func() replica.StateMachine { return &counter{} }, ""},
	}
	for _, tt := range tests {
		found := false
		for seed := uint64(1); seed <= 30 && !found; seed++ {
			r := sim.Run(&sim.Options{Seed: seed, MaxNanos: 20e9, Workload: func() sim.Workload { return counterWorkload{tt.machine} }})
			switch {
			case r.Failure == nil:
			case r.Failure.Property == "Replies" && tt.want != "" && strings.Contains(r.Failure.Detail, tt.want):
				found = true
			default:
				t.Errorf("%T, seed %d: %s: %s", tt.machine(), seed, r.Failure.Property, r.Failure.Detail)
				found = true
			}
		}
		if !found && tt.want != "" {
			t.Errorf("%T passed 30 seeds", tt.machine())
		}
	}
}
