package sim

import (
	"slices"
	"strings"
	"testing"
)

// runScenario runs what is written, and returns the trace with its result.
func runScenario(t *testing.T, text string) (*Result, []TraceEvent) {
	t.Helper()
	s, err := ParseScenario([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var trace []TraceEvent
	r := Run(&Options{Seed: 1, Scenario: s, Trace: func(e *TraceEvent) { trace = append(trace, *e) }})
	if r.Verdict != Passed {
		t.Fatalf("%v: %+v", r.Verdict, r.Failure)
	}
	return r, trace
}

// What is written by hand is done at its time, to whom it names, and ends.
func TestSchedule(t *testing.T) {
	r, trace := runScenario(t, `{
		"replicas": 5, "fault_nanos": 12000000000,
		"schedule": [
			{"at_nanos": 3000000000, "do": "cut", "replicas": ["leader", "r1"], "for_nanos": 2000000000},
			{"at_nanos": 6000000000, "do": "power-loss", "replicas": ["r2", "r3"], "for_nanos": 1000000000},
			{"at_nanos": 8000000000, "do": "pause", "replicas": ["followers"], "for_nanos": 1000000000},
			{"at_nanos": 10000000000, "do": "crash", "replicas": ["all"]},
			{"at_nanos": 10500000000, "do": "start", "replicas": ["r1", "r2", "r3"]}
		]}`)
	if r.LeaderChanges < 2 {
		t.Errorf("%d changes of leader", r.LeaderChanges)
	}
	var down, up, paused []uint64
	for i := range trace {
		switch e := &trace[i]; {
		case e.Kind == TraceDown && e.At < r.Scenario.FaultNanos:
			down = append(down, e.At/1e9)
		case e.Kind == TraceStart && e.At > 0 && e.At < r.Scenario.FaultNanos:
			up = append(up, e.At/1e8)
		case e.Kind == TracePause:
			paused = append(paused, e.At/1e9)
		}
	}
	if want := []uint64{6, 6, 10, 10, 10, 10, 10}; !slices.Equal(down, want) {
		t.Errorf("down at %v s, want %v", down, want)
	}
	if want := []uint64{70, 70, 105, 105, 105}; !slices.Equal(up, want) {
		t.Errorf("started at %v tenths, want %v", up, want)
	}
	if want := []uint64{8, 8, 8, 8, 9, 9, 9, 9}; !slices.Equal(paused, want) {
		t.Errorf("paused or resumed at %v s, want %v", paused, want)
	}
}

// A cut has a direction, and lasts until it is connected again.
func TestScheduleCutsLinks(t *testing.T) {
	for _, c := range []struct {
		do          string
		heard, told bool // r3 hears others, others hear r3
	}{{"cut", false, false}, {"cut-out", true, false}, {"cut-in", false, true}} {
		_, trace := runScenario(t, `{
			"fault_nanos": 9000000000,
			"schedule": [
				{"at_nanos": 3000000000, "do": "`+c.do+`", "replicas": ["r3"]},
				{"at_nanos": 6000000000, "do": "connect"}
			]}`)
		var heard, told [3]bool // before the cut, while it is in force, after it
		for i := range trace {
			e := &trace[i]
			if e.Kind != TraceDeliver || e.At%3e9 < 1e9 || e.At > 9e9 {
				continue
			}
			if e.Replica == 2 {
				heard[e.At/3e9] = true
			} else if e.Words[0] == 3 {
				told[e.At/3e9] = true
			}
		}
		if heard != [3]bool{true, c.heard, true} || told != [3]bool{true, c.told, true} {
			t.Errorf("%s: r3 hears %v, and is heard %v", c.do, heard, told)
		}
	}
}

// Members and leadership are asked for, devices and clocks misbehave.
func TestScheduleAsks(t *testing.T) {
	r, trace := runScenario(t, `{
		"spares": 2, "fault_nanos": 15000000000,
		"schedule": [
			{"at_nanos": 2000000000, "do": "add-voter", "replicas": ["r4", "r5"]},
			{"at_nanos": 4000000000, "do": "transfer", "replicas": ["leader"], "target": "r3"},
			{"at_nanos": 6000000000, "do": "remove", "replicas": ["r1"]},
			{"at_nanos": 7000000000, "do": "disk-stall", "replicas": ["r3"], "for_nanos": 500000000},
			{"at_nanos": 7000000000, "do": "apply-slow", "replicas": ["r4"], "factor": 8, "for_nanos": 500000000},
			{"at_nanos": 8000000000, "do": "disk-fail", "replicas": ["r4"]},
			{"at_nanos": 9000000000, "do": "clock-rate", "replicas": ["r3"], "rate_ppm": 500000, "for_nanos": 1000000000},
			{"at_nanos": 9000000000, "do": "clock-rate", "replicas": ["r4"]},
			{"at_nanos": 9000000000, "do": "clock-jump", "replicas": ["r5"], "jump_nanos": 3000000000},
			{"at_nanos": 11000000000, "do": "campaign", "replicas": ["r3"]},
			{"at_nanos": 12000000000, "do": "resign", "replicas": ["leader"]}
		]}`)
	if r.Faults[FaultDiskFail] != 1 {
		t.Errorf("%d syncs failed", r.Faults[FaultDiskFail])
	}
	led := false
	var last uint64 // voters
	for i := range trace {
		switch e := &trace[i]; e.Kind {
		case TraceRole:
			led = led || e.Replica == 2 && e.Words[0] == 3 && e.At > 4e9 && e.At < 6e9
		case TraceMembers:
			last = e.Words[1]
		}
	}
	if !led {
		t.Error("r3 does not lead after it was handed the lead")
	}
	if last != 1<<1|1<<2|1<<3|1<<4 {
		t.Errorf("the voters are %b", last)
	}
}

// A scenario of a file is the plain one but for what it says, and says nothing
// that does not exist.
func TestParseScenario(t *testing.T) {
	s, err := ParseScenario([]byte(`{"replicas": 5}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Plain()
	want.Replicas = 5
	if s.String() != want.String() {
		t.Errorf("it is\n%v\nwant\n%v", s, &want)
	}
	step := func(fields string) string {
		return `{"schedule": [{"at_nanos": 1, "do": "crash", "replicas": ["r1"]}, {"at_nanos": 1000, ` + fields + `}]}`
	}
	for text, says := range map[string]string{
		``:                                    "EOF",
		`{"replica": 5}`:                      `unknown field "replica"`,
		`{"limits": {"EntryBytes": 5}}`:       `unknown field "EntryBytes"`,
		`{} {}`:                               "more after",
		`{"replicas": -1}`:                    "replicas is -1",
		`{"faults": ["flood"]}`:               `"flood"`,
		step(`"do": "smash"`):                 `schedule[1]: do is "smash", want one of cut`,
		step(`"do": "crash"`):                 "crash without replicas",
		step(`"do":"crash","replicas":["4"]`): `no replica "4"; there are r1 to r3`,
		step(`"do":"cut","replicas":["r1"],"peers":["r4"]`):               `no replica "r4"`,
		step(`"do":"transfer","replicas":["leader"],"target":"r0"`):       `no replica "r0"`,
		step(`"do":"crash","replicas":["r1"],"peers":["r2"]`):             "crash has no peers",
		step(`"do":"disk-fail","replicas":["r1"],"for_nanos":5`):          "disk-fail has no for_nanos",
		step(`"do":"disk-stall","replicas":["r1"]`):                       "for_nanos is 0",
		step(`"do":"disk-slow","replicas":["r1"],"for_nanos":5`):          "factor is 0",
		step(`"do":"clock-jump","replicas":["r1"]`):                       "jump_nanos is 0",
		step(`"do":"clock-rate","replicas":["r1"],"rate_ppm":1`):          "rate_ppm is 1",
		`{"schedule": [{"at_nanos": 20000000000, "do": "connect"}]}`:      "the faults end at fault_nanos, 20000000000",
		`{"schedule": [{"at_nanos": -1, "do": "connect"}]}`:               "at_nanos",
		`{"schedule": [{"at_nanos": 1, "do": "connect", "until": "r2"}]}`: `unknown field "until"`,
	} {
		if _, err := ParseScenario([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
