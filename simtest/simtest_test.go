package simtest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/kv"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// TestSeeds is the campaign of go test.
func TestSeeds(t *testing.T) { Seeds(t, Config{}) }

// TestKept does the runs that once broke something.
func TestKept(t *testing.T) { Kept(t, "../testdata/seeds") }

func TestSeedsOfConfig(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			if i := slices.Index(pairs, name); i >= 0 {
				return pairs[i+1]
			}
			return ""
		}
	}
	tests := []struct {
		name   string
		config Config
		env    func(string) string
		short  bool
		first  uint64
		n      uint64
	}{
		{"default", Config{}, env(), false, 1, seedsDefault},
		{"short", Config{}, env(), true, 1, seedsShort},
		{"given", Config{Seeds: 3, Base: 100}, env(), true, 100, 3},
		{"environment goes before", Config{Seeds: 3, Base: 100}, env("SEAWORTHY_SEEDS", "7", "SEAWORTHY_BASE", "0x10"), true, 16, 7},
	}
	for _, tt := range tests {
		got, err := tt.config.seeds(tt.env, tt.short)
		if want := (seedRange{tt.first, tt.n}); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, want)
		}
	}
	for _, tt := range []struct {
		config Config
		env    func(string) string
		says   string
	}{
		{Config{}, env("SEAWORTHY_SEEDS", "0"), "SEAWORTHY_SEEDS is 0: no seed would be run"},
		{Config{}, env("SEAWORTHY_SEEDS", "many"), "SEAWORTHY_SEEDS=many is not a number"},
		{Config{}, env("SEAWORTHY_SEEDS", " 5"), "SEAWORTHY_SEEDS= 5 is not a number"},
		{Config{}, env("SEAWORTHY_SEEDS", "-1"), "SEAWORTHY_SEEDS=-1 is not a number"},
		{Config{}, env("SEAWORTHY_SEEDS", "100000000000"), "at most 1000000 seeds"},
		{Config{}, env("SEAWORTHY_BASE", "first"), "SEAWORTHY_BASE=first is not a number"},
		{Config{}, env("SEAWORTHY_BASE", "18446744073709551616"), "is not a number of 64 bits"},
		{Config{}, env("SEAWORTHY_BASE", "18446744073709551615"), "beyond the largest seed"},
		{Config{Seeds: 1 << 60}, env(), "Config.Seeds is 1152921504606846976"},
		{Config{Base: 1<<64 - 5}, env(), "beyond the largest seed"},
	} {
		if got, err := tt.config.seeds(tt.env, false); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v, %v; want %q", got, err, tt.says)
		}
	}
}

// What a Config gets wrong is said before any seed is run.
func TestConfigIsChecked(t *testing.T) {
	plain := sim.Plain()
	for says, c := range map[string]Config{
		`no feature 'W'`:         {Focus: "W"},
		`focus "P": it says`:     {Focus: "P", Scenario: &plain},
		"replicas is 0":          {Scenario: &sim.Scenario{}},
		"stop after -1 failures": {FailuresMax: -1},
	} {
		if err := c.check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := (&Config{Scenario: &plain}).check(); err != nil {
		t.Error(err)
	}
}

// Failures are told in full once for each property, and no more seeds are begun
// when there are enough.
func TestTally(t *testing.T) {
	fails := func(seed uint64, property string) *campaign.Outcome {
		return campaign.OutcomeOf(&sim.Result{
			Seed: seed, Verdict: sim.Safety,
			Failure: &sim.Failure{Property: property, Detail: "the whole story", Replica: -1},
		}, "")
	}
	y := newTally(3)
	for _, c := range []struct {
		out  *campaign.Outcome
		full bool // text
	}{{fails(4, "Log Matching"), true}, {fails(5, "One Vote"), true}, {fails(9, "One Vote"), false}} {
		if _, enough := y.full(); enough {
			t.Error("it has enough too early")
		}
		if text := y.add(c.out); strings.Contains(text, "the whole story") != c.full || !strings.Contains(text, "--seed") {
			t.Errorf("seed %d says\n%s", c.out.Seed, text)
		}
	}
	if _, enough := y.full(); !enough {
		t.Error("it never has enough")
	}
	text := y.text()
	for _, want := range []string{"3 seeds failed, and no more were begun", "safety One Vote: 2 seeds failed: 5, 9\n", "safety Log Matching: 1 seed failed: 4\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Index(text, "One Vote") > strings.Index(text, "Log Matching") {
		t.Errorf("the larger group is not the first:\n%s", text)
	}
	one := newTally(0)
	one.add(fails(1, "One Vote"))
	if one.most != campaign.FailuresMax || one.text() != "" {
		t.Errorf("after one of %d failures it says %q", one.most, one.text())
	}
}

// A scenario of a file is run by every seed.
func TestSeedsOfAScenario(t *testing.T) {
	name := filepath.Join(t.TempDir(), "scenario.json")
	if err := os.WriteFile(name, []byte(`{"fault_nanos": 5000000000, "schedule": [
		{"at_nanos": 2000000000, "do": "cut", "replicas": ["leader"]}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	Seeds(t, Config{Seeds: 3, Scenario: ScenarioFile(t, name)})
}

// TestSeedNamed: any seed can be asked for, at any depth of subtests.
func TestSeedNamed(t *testing.T) {
	tests := []struct {
		pattern, test string
		want          uint64
		ok            bool
	}{
		{"TestSeeds/seed=42", "TestSeeds", 42, true},
		{"^TestSeeds$/^seed=42$", "TestSeeds", 42, true},
		{"TestSeeds/seed=0x2a", "TestSeeds", 42, true},
		{"/seed=42", "TestSeeds", 42, true},
		{"TestX/counter/seed=42", "TestX/counter", 42, true},
		{"TestX/counter/seed=42", "TestX", 0, false},
		{"TestSeeds", "TestSeeds", 0, false},
		{"", "TestSeeds", 0, false},
		{"TestSeeds/seed=4.", "TestSeeds", 0, false},
		{"TestSeeds/seed=99999999999999999999", "TestSeeds", 0, false},
	}
	for _, tt := range tests {
		got, ok := seedNamed(tt.pattern, tt.test)
		if got != tt.want || ok != tt.ok {
			t.Errorf("seedNamed(%q, %q) = %d, %v; want %d, %v", tt.pattern, tt.test, got, ok, tt.want, tt.ok)
		}
	}
}

func TestCommandOfATest(t *testing.T) {
	if got, want := packageOf("example.com/m/pkg_test.TestX.func1"), "example.com/m/pkg"; got != want {
		t.Errorf("package %s, want %s", got, want)
	}
	if got, want := packageOf("github.com/x/y.v2/sim.TestX"), "github.com/x/y.v2/sim"; got != want {
		t.Errorf("package %s, want %s", got, want)
	}
	want := "go test -count=1 -run '^TestSeeds$/^seed=42$' example.com/m"
	if got := testCommand("example.com/m", "TestSeeds/seed=42"); got != want {
		t.Errorf("command %s, want %s", got, want)
	}
}

func TestReadKept(t *testing.T) {
	mark := sim.MarkNames[0]
	good := `{"broke": "a vote was forgotten", "marks": ["` + mark + `"], "seed": 7}`
	read := func(text string) (*kept, error) {
		name := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readKept(name)
	}
	k, err := read(good)
	if err != nil {
		t.Fatal(err)
	}
	var marks sim.Marks
	if got := k.missing(&marks); len(got) != 1 || got[0] != mark {
		t.Errorf("missing %v, want %s", got, mark)
	}
	marks[0] = 1
	if got := k.missing(&marks); len(got) != 0 {
		t.Errorf("missing %v, want none", got)
	}
	for _, bad := range []string{
		strings.Replace(good, "a vote was forgotten", "", 1),
		strings.Replace(good, "a vote was forgotten", `two\nlines`, 1),
		strings.Replace(good, mark, "no such mark", 1),
		strings.Replace(good, `"`+mark+`"`, "", 1),
		strings.Replace(good, `"seed"`, `"sead"`, 1),
		strings.Replace(good, `7}`, `7, "tape": "AAAA"}`, 1),
	} {
		if _, err := read(bad); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}

// TestScenariosRun: any scenario that can be drawn can be run, and comes to a
// good end.
func TestScenariosRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scenario := Scenarios("").Draw(t, "scenario")
		r := sim.Run(&sim.Options{Seed: rapid.Uint64().Draw(t, "seed"), Scenario: &scenario, MaxNanos: 5e9})
		if r.Verdict != sim.Passed {
			t.Fatalf("%v: %+v", r.Verdict, r.Failure)
		}
	})
}

// TestProgramsAgainstModel runs client programs on the machine, through its
// codec, and wants every reply to be what the naive model allows. In the middle
// a machine restored from a snapshot takes over.
func TestProgramsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program := Programs().Draw(t, "program")
		restoreAt := rapid.IntRange(0, len(program)).Draw(t, "restore at")
		machine := kv.New(kv.DefaultLimits())
		model := linearizability.KV{}
		state := model.Init()
		replies := map[[2]uint64][]byte{} // of sessions, by session and serial
		time := uint64(0)
		for i := range program {
			if i == restoreAt {
				machine = restored(t, machine)
			}
			r := &program[i]
			time += r.Ticks
			input := kv.AppendCommand(nil, &r.Command)
			output := machine.Apply(uint64(i)+1, time, input, nil)
			key := [2]uint64{r.Command.Session, r.Command.Serial}
			if r.Retry {
				if !bytes.Equal(output, replies[key]) {
					t.Fatalf("retry of %s: %s", model.Describe(input, replies[key]), model.Describe(input, output))
				}
				continue
			}
			replies[key] = output
			if r.Command.Session == 0 && r.Command.ReadOnly() {
				if again := machine.Query(input, nil); !bytes.Equal(again, output) {
					t.Fatalf("query: %s, but in the log: %s", model.Describe(input, again), model.Describe(input, output))
				}
			}
			next, ok, err := model.Step(state, input, output)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				t.Fatalf("%s, after %s", model.Describe(input, output), model.DescribeState(state))
			}
			state = next
		}
	})
}

func restored(t *rapid.T, m *kv.Machine) *kv.Machine {
	var b bytes.Buffer
	if _, err := m.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	other := kv.New(kv.DefaultLimits())
	if err := other.Restore(&b); err != nil {
		t.Fatal(err)
	}
	if other.Digest() != m.Digest() {
		t.Fatal("a restored machine has another digest")
	}
	return other
}
