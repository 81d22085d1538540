package simtest

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// Bounds of one fuzzed run. They keep a run so short that a worker makes a few
// hundred a second, and an input so short that the fuzzer can get somewhere by
// changing it. With the recovery after it a run stays within five seconds.
const (
	fuzzNanosMax     = 3e9 // of faults, in virtual time
	fuzzDecisionsMax = 500
	fuzzSeeds        = 8 // in the corpus from the start
)

// FuzzSchedule fuzzes the decisions of a run: each byte of the input is one, in
// the order in which they are taken, and after the last all is benign. The
// fuzzer sees the coverage and so finds its way into corners that a seed meets
// by chance only. What it finds is kept in testdata/fuzz, as always, and also
// written as a folder that simrun replays. Seeds and Base of c are not used.
//
//	func FuzzSchedule(f *testing.F) { simtest.FuzzSchedule(f, simtest.Config{}) }
func FuzzSchedule(f *testing.F, c Config) {
	f.Helper()
	pkg := callerPackage()
	if err := c.check(); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	for seed := range uint64(fuzzSeeds) {
		o := c.fuzzOptions(choice.NewRecording(seed))
		sim.Run(o)
		f.Add(o.Source.Bytes(fuzzDecisionsMax))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := c.fuzzOptions(choice.FromBytes(b, fuzzDecisionsMax))
		out := campaign.OutcomeOf(sim.Run(o), c.Focus)
		out.Command = testCommand(pkg, t.Name())
		if !out.Failed() {
			return
		}
		if dir := artifacts(t); dir != "" {
			o = c.fuzzOptions(choice.FromBytes(b, fuzzDecisionsMax))
			campaign.Leave(out, o, dir)
		}
		t.Error(failureText(out))
	})
}

func (c *Config) fuzzOptions(source *choice.Source) *sim.Options {
	o := c.options()
	o.Source, o.MaxNanos, o.MaxDecisions = source, fuzzNanosMax, fuzzDecisionsMax
	return o
}
