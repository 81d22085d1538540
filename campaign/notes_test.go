package campaign

import (
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/sim"
)

func TestNotes(t *testing.T) {
	var n notes
	const leader, candidate, follower = 3, 2, 0
	for _, e := range []sim.TraceEvent{
		{At: 10, Replica: 1, Kind: sim.TraceRole, Words: [4]uint64{candidate, 4}},
		{At: 20, Replica: 1, Kind: sim.TraceRole, Words: [4]uint64{leader, 4}},
		{At: 25, Replica: 0, Kind: sim.TraceRole, Words: [4]uint64{follower, 4}},
		{At: 30, Replica: -1, Kind: sim.TraceFault, Words: [4]uint64{uint64(sim.FaultSplit), 1, 0, 50}, Lasts: true, Detail: "r1 | r2+r3"},
		{At: 35, Replica: -1, Kind: sim.TraceFault, Words: [4]uint64{uint64(sim.FaultSwizzle), 2, 0, 0}, Lasts: true},
		{At: 40, Replica: 1, Kind: sim.TraceDown, Words: [4]uint64{1}},
		{At: 45, Replica: -1, Kind: sim.TraceFaultEnd, Words: [4]uint64{uint64(sim.FaultSplit), 1}},
		{At: 50, Replica: 1, Kind: sim.TraceStart},
		{At: 60, Replica: 2, Kind: sim.TracePause, Words: [4]uint64{1}},
		{At: 65, Replica: 0, Kind: sim.TraceFault, Words: [4]uint64{uint64(sim.FaultClockJump), 0, 9, 0}, Detail: "r1, ahead by 9.000 s"},
	} {
		n.add(&e)
	}
	got := n.until(100)
	want := []linearizability.Annotation{
		{Tag: "r2", Start: 10, End: 20, Text: "candidate in term 4", Color: colorCandidate},
		{Tag: "r2", Start: 20, End: 40, Text: "leader of term 4", Color: colorLeader},
		{Tag: "faults", Start: 30, End: 45, Text: "split: r1 | r2+r3", Color: colorFault},
		{Tag: "r2", Start: 40, End: 50, Text: "down", Color: colorDown},
		{Tag: "faults", Start: 65, Text: "clock-jump: r1, ahead by 9.000 s", Color: colorFault},
		{Tag: "faults", Start: 35, End: 100, Text: "swizzle", Color: colorFault},
		{Tag: "r3", Start: 60, End: 100, Text: "paused", Color: colorPaused},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
