package campaign

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// show renders events of a cluster of three, without scenario and legend.
func show(t *testing.T, o ViewOptions, events ...sim.TraceEvent) string {
	t.Helper()
	var b strings.Builder
	o.Events = true
	v := NewViewer(&b, o)
	v.Begin(&sim.Scenario{Replicas: 3})
	for i := range events {
		v.Event(&events[i])
	}
	if err := v.End(); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if i := strings.Index(text, "    step"); i >= 0 {
		text = text[i:]
	}
	return text
}

func TestView(t *testing.T) {
	got := show(t, ViewOptions{},
		sim.TraceEvent{Step: 1, At: 1e6, Replica: 0, Kind: sim.TraceStart, Words: [4]uint64{1}},
		sim.TraceEvent{Step: 2, At: 2e6, Replica: 1, Kind: sim.TraceStart, Words: [4]uint64{4, 7, 3, 5}},
		sim.TraceEvent{Step: 3, At: 3e6, Replica: 0, Kind: sim.TraceTick, Words: [4]uint64{1}},
		sim.TraceEvent{Step: 4, At: 12_345_678_000, Replica: 1, Kind: sim.TraceRole, Words: [4]uint64{3, 4, 2, 7}},
		sim.TraceEvent{Step: 5, At: 12_345_679_000, Replica: 1, Kind: sim.TraceSubmit, Words: [4]uint64{9, 2, 9, 4}},
		sim.TraceEvent{Step: 6, At: 12_345_680_000, Replica: -1, Kind: sim.TraceFault, Words: [4]uint64{uint64(sim.FaultSplit)}},
		sim.TraceEvent{Step: 7, At: 12_345_681_000, Replica: 1, Kind: sim.TraceTask, Words: [4]uint64{uint64(replica.TaskApply), 8}},
		sim.TraceEvent{Step: 8, At: 12_345_682_000, Replica: 0, Kind: sim.TracePause, Words: [4]uint64{1}},
		sim.TraceEvent{Step: 9, At: 12_345_683_000, Replica: 1, Kind: sim.TraceDown, Words: [4]uint64{1}},
	)
	want := `    step      seconds  r1  r2  r3   term    last applied  event
       1     0.001000  ^f   x   x      0       0       0  start
       2     0.002000   f  ^f   x      3       7       5  start
       4    12.345678   f  !L   x      4       7       5  role
       5    12.345679   f  wL   x      4       9       5  submit
       6    12.345680   f   L   x                         fault
       7    12.345681   f  aL   x      4       9       8  task
       8    12.345682  zz   L   x      0       0       0  pause
       9    12.345683   z  vx   x      4       9       8  down
`
	// What follows the name of the event is the simulator's.
	lines := strings.Split(got, "\n")
	for i := range lines[1:] {
		line := &lines[i+1]
		if len(*line) > 58 {
			name, _, _ := strings.Cut((*line)[58:], " ")
			*line = (*line)[:58] + name
		}
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestViewAsJSON(t *testing.T) {
	got := show(t, ViewOptions{JSON: true}, sim.TraceEvent{Step: 3, Replica: 0, Kind: sim.TraceTick})
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want scenario and event:\n%s", len(lines), got)
	}
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Errorf("no JSON: %s", l)
		}
	}
}

func TestViewInColor(t *testing.T) {
	got := show(t, ViewOptions{Style: Style{Color: true}}, sim.TraceEvent{Replica: 0, Kind: sim.TraceDown})
	if !strings.Contains(got, "\x1b[1;31m") {
		t.Errorf("a crash is not in color:\n%q", got)
	}
}
