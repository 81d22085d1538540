package campaign

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// toy stands in for the simulator: what a seed comes to is up to the test. It
// takes a few decisions, so that there is a tape.
func toy(verdict func(seed uint64) sim.Verdict) func(*sim.Options) *sim.Result {
	return func(o *sim.Options) *sim.Result {
		src := o.Source
		if src == nil {
			src = choice.New(o.Seed)
		}
		st := src.Stream("toy", 0, 0)
		r := &sim.Result{Seed: o.Seed, Verdict: verdict(o.Seed), Steps: 10, SimulatedNanos: 1e9}
		for range 10 {
			r.TraceHash = digest.Word(r.TraceHash, uint64(src.Choose(st, 256)))
		}
		r.Marks[0] = 1
		if r.Verdict != sim.Passed {
			r.Failure = &sim.Failure{Property: "Election Safety", Detail: "two leaders", Step: 9, Replica: 1}
			r.Story = []string{"replica 2 becomes leader"}
		}
		r.Tape = src.Tape()
		return r
	}
}

func allPass(uint64) sim.Verdict { return sim.Passed }

func failing(seeds ...uint64) func(uint64) sim.Verdict {
	return func(seed uint64) sim.Verdict {
		for _, s := range seeds {
			if s == seed {
				return sim.Safety
			}
		}
		return sim.Passed
	}
}

func mustRun(t *testing.T, o Options) *Summary {
	t.Helper()
	s, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOrderDoesNotDependOnWorkers: one worker and many say the same, even when
// late seeds are quick and early ones slow.
func TestOrderDoesNotDependOnWorkers(t *testing.T) {
	campaign := func(jobs int) (lines string, s *Summary) {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			simulate := toy(failing(7, 300))
			s = mustRun(t, Options{
				Base: 5, Seeds: 400, Jobs: jobs,
				Each: func(o *Outcome) { fmt.Fprintln(&b, o.Seed, o.Verdict, o.TraceHash) },
				simulate: func(o *sim.Options) *sim.Result {
					time.Sleep(time.Duration(o.Seed*7919%97) * time.Millisecond)
					return simulate(o)
				},
			})
			lines = b.String()
		})
		return lines, s
	}
	oneLines, one := campaign(1)
	manyLines, many := campaign(8)
	if oneLines != manyLines {
		t.Errorf("the order of outcomes depends on the number of workers")
	}
	if one.TraceHash() != many.TraceHash() || one.Seeds != 400 || many.Seeds != 400 {
		t.Errorf("one worker: %d seeds, %x; many: %d seeds, %x", one.Seeds, one.TraceHash(), many.Seeds, many.TraceHash())
	}
	if one.Failures != 2 || one.Failed[0].Seed != 7 || one.ExitCode() != 1 {
		t.Errorf("failures %d, exit code %d", one.Failures, one.ExitCode())
	}
}

// TestHashSeesOrderAndSeeds: the hash of a campaign is none that another one
// could have by chance.
func TestHashSeesOrderAndSeeds(t *testing.T) {
	hash := func(base, seeds uint64) uint64 {
		return mustRun(t, Options{Base: base, Seeds: seeds, simulate: toy(allPass)}).TraceHash()
	}
	one := hash(1, 10)
	if one == hash(2, 10) || one == hash(1, 11) {
		t.Error("different campaigns have the same hash")
	}
	if one != hash(1, 10) {
		t.Error("the same campaign has two hashes")
	}
	swapped := toy(allPass)
	s := mustRun(t, Options{Base: 1, Seeds: 10, simulate: func(o *sim.Options) *sim.Result {
		other := *o
		if o.Seed == 4 || o.Seed == 5 {
			other.Seed = 9 - o.Seed
		}
		return swapped(&other)
	}})
	if s.TraceHash() == one {
		t.Error("two seeds may change places unseen")
	}
}

func TestStopsAfterTenFailures(t *testing.T) {
	for _, jobs := range []int{1, 7} {
		s := mustRun(t, Options{Base: 1, Jobs: jobs, simulate: toy(func(seed uint64) sim.Verdict {
			if seed%3 == 0 {
				return sim.Liveness
			}
			return sim.Passed
		})})
		if s.Failures != 10 || s.Seeds != 30 || len(s.Failed) != 10 || s.ExitCode() != 3 {
			t.Errorf("%d workers: %d failures in %d seeds, exit code %d; want 10 in 30, 3", jobs, s.Failures, s.Seeds, s.ExitCode())
		}
	}
}

func TestFirstSeedGivesTheExitCode(t *testing.T) {
	s := mustRun(t, Options{Base: 0, Seeds: 50, simulate: toy(func(seed uint64) sim.Verdict {
		switch seed {
		case 40:
			return sim.Safety
		case 20:
			return sim.Unknown
		}
		return sim.Passed
	})})
	if s.ExitCode() != 6 {
		t.Errorf("exit code %d, want that of seed 20", s.ExitCode())
	}
}

func TestPanicFailsItsSeedOnly(t *testing.T) {
	simulate := toy(allPass)
	s := mustRun(t, Options{Base: 1, Seeds: 20, simulate: func(o *sim.Options) *sim.Result {
		if o.Seed == 4 {
			panic("out of the simulator")
		}
		return simulate(o)
	}})
	if s.Seeds != 20 || s.Failures != 1 || s.Failed[0].Seed != 4 || s.ExitCode() != 4 {
		t.Errorf("%d seeds, failed %+v, exit code %d", s.Seeds, s.Failed, s.ExitCode())
	}
	if d := s.Failed[0].Failure.Detail; !strings.Contains(d, "out of the simulator") {
		t.Errorf("detail %q", d)
	}
}

// TestNondeterminismIsSeen: a seed that comes out otherwise the second time is
// a failure of its own kind, also if it failed.
func TestNondeterminismIsSeen(t *testing.T) {
	var runs atomic.Uint64
	simulate := toy(allPass)
	s := mustRun(t, Options{Base: 1, Seeds: 200, FailuresMax: 1000, simulate: func(o *sim.Options) *sim.Result {
		r := simulate(o)
		r.TraceHash += runs.Add(1)
		return r
	}})
	if s.Twice == 0 || uint64(s.Failures) != s.Twice || s.ExitCode() != 5 {
		t.Errorf("%d seeds ran twice, %d failed, exit code %d", s.Twice, s.Failures, s.ExitCode())
	}
	if s.Twice < 5 || s.Twice > 20 {
		t.Errorf("%d of 200 seeds ran twice, want about one in twenty", s.Twice)
	}
}

func TestRecordingThatDiffersIsNondeterminism(t *testing.T) {
	simulate := toy(failing(3))
	s := mustRun(t, Options{Base: 3, Seeds: 1, Dir: t.TempDir(), simulate: func(o *sim.Options) *sim.Result {
		r := simulate(o)
		if o.KeepHistory {
			r.TraceHash++
		}
		return r
	}})
	if s.ExitCode() != 5 {
		t.Errorf("exit code %d, want 5", s.ExitCode())
	}
}

// TestTimeBudget: seeds that were begun are finished and counted, and they are
// the first ones.
func TestTimeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		simulate := toy(allPass)
		s := mustRun(t, Options{Base: 1, For: 10 * time.Second, Jobs: 2, simulate: func(o *sim.Options) *sim.Result {
			time.Sleep(time.Second)
			return simulate(o)
		}})
		// One in twenty runs twice, so not quite two seeds a second.
		if s.Seeds < 15 || s.Seeds > 22 || s.Interrupted || s.ExitCode() != 0 {
			t.Errorf("%d seeds, interrupted %v, exit code %d", s.Seeds, s.Interrupted, s.ExitCode())
		}
		same := mustRun(t, Options{Base: 1, Seeds: s.Seeds, simulate: simulate})
		if s.TraceHash() != same.TraceHash() {
			t.Error("the hash is not that of the seeds from the first on")
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
		defer cancel()
		simulate := toy(failing(2))
		stuck := make(chan struct{})
		s, err := Run(ctx, Options{Base: 1, Jobs: 2, simulate: func(o *sim.Options) *sim.Result {
			if o.Seed == 6 {
				<-stuck // a seed that takes its time does not hold back the end
			}
			time.Sleep(time.Second)
			return simulate(o)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !s.Interrupted || s.ExitCode() != 130 || s.Seeds != 5 || s.Failures != 1 {
			t.Errorf("%d seeds, %d failures, exit code %d; want the 5 before the stuck one, 1, 130", s.Seeds, s.Failures, s.ExitCode())
		}
		close(stuck)
		time.Sleep(time.Minute) // the bubble's: until the worker is home
	})
}

// TestWindowBoundsMemory: one slow seed does not let the others pile up.
func TestWindowBoundsMemory(t *testing.T) {
	var begun atomic.Uint64
	var release sync.Once
	gate := make(chan struct{})
	simulate := toy(allPass)
	s := mustRun(t, Options{Base: 0, Seeds: 3 * windowSeeds, Jobs: 4, simulate: func(o *sim.Options) *sim.Result {
		if o.Seed == 0 {
			<-gate
			if n := begun.Load(); n > 2*windowSeeds {
				t.Errorf("%d runs begun while the first was under way, want no more than the window of %d", n, windowSeeds)
			}
		} else if begun.Add(1) >= windowSeeds-1 {
			release.Do(func() { close(gate) })
		}
		return simulate(o)
	}})
	if s.Seeds != 3*windowSeeds {
		t.Errorf("%d seeds", s.Seeds)
	}
}

// TestFolder: what a failing seed leaves is enough to do it again, and says
// how.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	simulate := toy(failing(3))
	s := mustRun(t, Options{Base: 1, Seeds: 5, Focus: "PR", Dir: dir, simulate: simulate})
	if len(s.Failed) != 1 {
		t.Fatalf("%d failures", len(s.Failed))
	}
	folder := s.Failed[0].Folder
	if folder != filepath.Join(dir, "seed-3") {
		t.Errorf("folder %s", folder)
	}
	r, err := ReadRepro(folder)
	if err != nil {
		t.Fatal(err)
	}
	if r.Seed != 3 || r.Verdict != "safety" || r.Property != "Election Safety" || r.Focus != "PR" || r.Go == "" || r.Commit == "" {
		t.Errorf("repro %+v", r)
	}
	again := simulate(&sim.Options{Seed: 3, Source: choice.Replay(r.Tape)})
	if hashText(again.TraceHash) != r.TraceHash {
		t.Errorf("the tape replays to %016x, want %s", again.TraceHash, r.TraceHash)
	}
	text, err := os.ReadFile(filepath.Join(folder, "summary.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Election Safety", "two leaders", "replica 2 becomes leader", "go run ./cmd/simrun replay " + folder, r.TraceHash} {
		if !strings.Contains(string(text), want) {
			t.Errorf("summary.txt does not say %q:\n%s", want, text)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "seed-2")); err == nil {
		t.Error("a seed that passed left a folder")
	}
}

func TestFolderThatCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Run(t.Context(), Options{Base: 1, Seeds: 5, Dir: file, simulate: toy(failing(3))})
	if err == nil {
		t.Error("no error")
	}
	if s.Failures != 1 {
		t.Errorf("%d failures: the finding itself is lost", s.Failures)
	}
}

func TestReadReproRefuses(t *testing.T) {
	for _, text := range []string{"", "{}", `{"version":2}`, `{"version":1,"seed":1}`, `{"version":1,"tape":"AAAA"}`} {
		name := filepath.Join(t.TempDir(), "repro.json")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := ReadRepro(name); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

// TestReadReproChecksTheScenario: a file that was edited is refused by the name
// of the field; nothing is run, and nothing panics.
func TestReadReproChecksTheScenario(t *testing.T) {
	src := choice.NewRecording(1)
	r := &Repro{Version: reproVersion, Seed: 1, Scenario: *LeaseScenario(100_000, 100_000, true), Tape: src.Tape()}
	name := filepath.Join(t.TempDir(), reproName)
	read := func(field string, value any) error {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var whole map[string]any
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatal(err)
		}
		if field != "" {
			whole["scenario"].(map[string]any)[field] = value
		}
		if text, err = json.Marshal(whole); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = ReadRepro(name)
		return err
	}
	if err := read("", nil); err != nil {
		t.Errorf("the experiment with leases: %v", err)
	}
	for field, values := range map[string][]int{
		"replicas": {-1, 0, 70, 300}, "spares": {-9, 61}, "tick_nanos": {0}, "election_ticks": {0}, "leave_down": {7},
	} {
		for _, v := range values {
			if err := read(field, v); err == nil || !strings.Contains(err.Error(), "scenario: "+field) {
				t.Errorf("%s %d: %v", field, v, err)
			}
		}
	}
}

// TestSummaryLine: what other programs may rely on.
func TestSummaryLine(t *testing.T) {
	s := mustRun(t, Options{Base: 1, Seeds: 5, simulate: toy(failing(3))})
	text, err := json.Marshal(s.Line())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"seeds", "failures", "events", "deliveries", "simulated_seconds", "real_seconds", "cpu_seconds", "trace_hash", "marks"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %q in %s", key, text)
		}
	}
	if got["seeds"] != 5.0 || got["failures"] != 1.0 || got["simulated_seconds"] != 5.0 || got["type"] != "summary" {
		t.Errorf("summary %s", text)
	}
	marks := got["marks"].(map[string]any)
	if len(marks) != len(sim.MarkNames) {
		t.Errorf("%d marks, want all %d, also those at zero", len(marks), len(sim.MarkNames))
	}
	if n := marks[sim.MarkNames[0]]; n != 5.0 {
		t.Errorf("first mark %v, want 5", n)
	}
}

func TestSummaryText(t *testing.T) {
	s := mustRun(t, Options{Base: 1, Seeds: 5, simulate: toy(failing(3))})
	var b strings.Builder
	if err := s.WriteText(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"5 seeds from 1", "1 failed", "passed 4, safety 1", sim.MarkNames[0], sim.MarkNames[1], "never", "go run ./cmd/simrun run --seed 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("summary does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("colors without being asked")
	}
}

func TestRecoveryInSummary(t *testing.T) {
	simulate := toy(allPass)
	s := mustRun(t, Options{Base: 1, Seeds: 100, simulate: func(o *sim.Options) *sim.Result {
		r := simulate(o)
		r.RecoveryTicks, r.RecoveryBoundTicks = o.Seed, 1000
		if o.Seed == 50 {
			r.RecoveryBoundTicks = 100
		}
		return r
	}})
	l := s.Line().Recovery
	if l != (RecoveryLine{Median: 50, P99: 99, Max: 100, Nearest: 50, NearestBound: 100}) {
		t.Errorf("recovery %+v", l)
	}
}

// TestGroups: failures of one property are one group, the largest first.
func TestGroups(t *testing.T) {
	property := map[uint64]string{3: "One Vote", 5: "Log Matching", 8: "Log Matching", 9: "One Vote", 11: "Log Matching"}
	simulate := toy(failing(3, 5, 8, 9, 11))
	s := mustRun(t, Options{Base: 1, Seeds: 20, simulate: func(o *sim.Options) *sim.Result {
		r := simulate(o)
		if r.Failure != nil {
			r.Failure.Property = property[r.Seed]
		}
		return r
	}})
	got := s.Line().Failed
	if len(got) != 2 || got[0].Property != "Log Matching" || got[1].Property != "One Vote" ||
		!slices.Equal(got[0].Seeds, []uint64{5, 8, 11}) || !slices.Equal(got[1].Seeds, []uint64{3, 9}) ||
		!strings.Contains(got[0].Repeat, "--seed 5") {
		t.Errorf("groups %+v", got)
	}
	var b strings.Builder
	if err := s.WriteText(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"safety Log Matching: 3 seeds failed: 5, 8, 11\n", "safety One Vote: 2 seeds failed: 3, 9\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestMisuseEndsACampaign: what one seed can not run no other can, and it leaves
// nothing behind that could be replayed.
func TestMisuseEndsACampaign(t *testing.T) {
	dir := t.TempDir()
	s, err := Run(t.Context(), Options{Base: 1, Seeds: 100, Jobs: 1, Dir: dir, Workload: func() sim.Workload { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if s.Seeds != 1 || s.ExitCode() != ExitUsage || s.Verdicts["misuse"] != 1 {
		t.Errorf("%d seeds, exit code %d, %v", s.Seeds, s.ExitCode(), s.Verdicts)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// TestOptionsAreChecked: what would hang, wrap or run nothing is refused.
func TestOptionsAreChecked(t *testing.T) {
	plain := sim.Plain()
	for says, o := range map[string]Options{
		"at most 1024":                       {Seeds: 1, Jobs: 100_000_000_000},
		"-1 workers":                         {Seeds: 1, Jobs: -1},
		"a time is not negative":             {For: -1},
		"beyond the largest seed":            {Base: 1<<64 - 1, Seeds: 2},
		"too few for a campaign without end": {Base: 1<<64 - 1, For: 1},
		"stop after -1 failures":             {Seeds: 1, FailuresMax: -1},
		"no feature 'W'":                     {Seeds: 1, Focus: "W"},
		"it says how a scenario is drawn":    {Seeds: 1, Focus: "P", Scenario: &plain},
		"scenario: replicas is 0, want 1 to": {Seeds: 1, Scenario: &sim.Scenario{}},
	} {
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := (&Options{Base: 1<<64 - 1, Seeds: 1}).Check(); err != nil {
		t.Errorf("the largest seed: %v", err)
	}
}
