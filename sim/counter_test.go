package sim_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// counter is a state machine of somebody else: a command of n bytes adds n,
// and everybody is told the sum.
type counter struct{ sum uint64 }

func (c *counter) tell(reply []byte) []byte { return binary.BigEndian.AppendUint64(reply, c.sum) }

func (c *counter) Apply(_, _ uint64, command, reply []byte) []byte {
	c.sum += uint64(len(command))
	return c.tell(reply)
}
func (c *counter) Query(_, reply []byte) []byte { return c.tell(reply) }
func (c *counter) Digest() uint64               { return c.sum }
func (c *counter) Snapshot() io.WriterTo        { return &counter{c.sum} }

func (c *counter) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.tell(nil))
	return int64(n), err
}

func (c *counter) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err == nil && len(b) != 8 {
		err = errors.New("not a counter")
	}
	if err == nil {
		c.sum = binary.BigEndian.Uint64(b)
	}
	return err
}

// counterModel is what its clients may rely on. An empty input is a read.
type counterModel struct{}

func (counterModel) Init() any           { return uint64(0) }
func (counterModel) Equal(a, b any) bool { return a == b }

func (counterModel) Step(state any, input, output []byte) (any, bool, error) {
	next := state.(uint64) + uint64(len(input))
	return next, output == nil || len(output) == 8 && binary.BigEndian.Uint64(output) == next, nil
}

// counterWorkload has clients add and read.
type counterWorkload struct{ machine func() replica.StateMachine }

func (w counterWorkload) Machine() replica.StateMachine         { return w.machine() }
func (counterWorkload) Model() linearizability.Model            { return counterModel{} }
func (counterWorkload) Caller(_ int, c *sim.Choices) sim.Caller { return counterCaller{c} }

type counterCaller struct{ choices *sim.Choices }

func (c counterCaller) Next(dst []byte, probe bool) sim.Operation {
	if !probe && c.choices.Chance(1, 3) {
		return sim.Operation{Bytes: dst, Read: true}
	}
	return sim.Operation{Bytes: append(dst, "step"[:1+c.choices.Choose(4)]...)}
}

func (c counterCaller) Done(reply []byte) bool { return reply != nil }

// The simulator drives any state machine.
func TestCounter(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		r := sim.Run(&sim.Options{Seed: seed, Workload: func() sim.Workload {
			return counterWorkload{func() replica.StateMachine { return &counter{} }}
		}})
		if r.Verdict != sim.Passed {
			t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, r.Failure)
		}
		if r.Acknowledged == 0 {
			t.Errorf("seed %d: no operation was acknowledged", seed)
		}
	}
}

// forgetful loses every seventh command, but tells the client otherwise.
type forgetful struct {
	counter
	commands int
}

func (f *forgetful) Apply(index, time uint64, command, reply []byte) []byte {
	f.commands++
	if before := f.sum; f.commands%7 == 0 {
		reply = f.counter.Apply(index, time, command, reply)
		f.sum = before
		return reply
	}
	return f.counter.Apply(index, time, command, reply)
}

// And it finds what is wrong with one.
func TestForgetfulCounterIsFound(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		r := sim.Run(&sim.Options{Seed: seed, Workload: func() sim.Workload {
			return counterWorkload{func() replica.StateMachine { return &forgetful{} }}
		}})
		if r.Verdict == sim.Linearizability {
			return
		}
		if r.Verdict == sim.Panic {
			t.Fatalf("seed %d: %+v", seed, r.Failure)
		}
	}
	t.Error("a state machine that forgets commands passed 30 seeds")
}
