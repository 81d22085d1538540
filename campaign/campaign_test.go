package campaign

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
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

// TestFolderThatCanNotBeWritten is noticed before anything is run, by whatever
// runs seeds.
func TestFolderThatCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below", "it")} {
		var runs atomic.Uint64
		s, err := Run(t.Context(), Options{Base: 1, Seeds: 5, Dir: dir, simulate: func(o *sim.Options) *sim.Result {
			runs.Add(1)
			return toy(failing(3))(o)
		}})
		if err == nil || !strings.Contains(err.Error(), dir) || runs.Load() != 0 || s.Seeds != 0 {
			t.Errorf("%s: %v after %d runs", dir, err, runs.Load())
		}
		if out, err := (&Single{Seed: 1, Dir: dir}).Run(); err == nil || out != nil {
			t.Errorf("%s: a single run: %v", dir, err)
		}
	}
}

// TestCheckDirLeavesNothing: that a folder can be written is tried without a
// trace, and without a seed that fails there is none.
func TestCheckDirLeavesNothing(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"", top, filepath.Join(top, "a"), filepath.Join(top, "b", "c", "d")} {
		if err := CheckDir(dir); err != nil {
			t.Error(err)
		}
	}
	mustRun(t, Options{Base: 1, Seeds: 5, Dir: filepath.Join(top, "out"), simulate: toy(allPass)})
	if left, err := os.ReadDir(top); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// smallDisk takes so many bytes in all, and gives those of a file back when it
// is closed without them all. It is for files made one after another.
type smallDisk struct {
	free  int
	names []string // in the order in which they were made
}

func (d *smallDisk) create(name string) (io.WriteCloser, error) {
	d.names = append(d.names, strings.TrimSuffix(filepath.Base(name), ".part"))
	f, err := os.Create(name)
	return &smallDiskFile{disk: d, file: f}, err
}

type smallDiskFile struct {
	disk    *smallDisk
	file    *os.File
	written int
	full    bool
}

func (f *smallDiskFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b[:min(len(b), f.disk.free)])
	f.disk.free -= n
	f.written += n
	if err == nil && n < len(b) {
		f.full, err = true, syscall.ENOSPC
	}
	return n, err
}

func (f *smallDiskFile) Close() error {
	if f.full {
		f.disk.free += f.written // it will be taken away
	}
	return f.file.Close()
}

// chatty is a toy with a trace and a history, as a real run has them.
func chatty(o *sim.Options) *sim.Result {
	r := toy(failing(3, 4))(o)
	r.Scenario = sim.Bench()
	if o.Trace != nil {
		for step := range uint64(2000) {
			o.Trace(&sim.TraceEvent{Step: step, Kind: sim.TraceTick})
		}
	}
	r.History, r.Model = &linearizability.History{}, linearizability.KV{}
	return r
}

// TestFullDisk: what is needed most is written first, so that the disk may be
// full at any byte of the rest. What could not be written is said, nothing of it
// stays, the hunt goes on, and its exit code is that of the violation.
func TestFullDisk(t *testing.T) {
	d := &smallDisk{free: 1 << 30}
	s := mustRun(t, Options{Base: 3, Seeds: 1, Dir: t.TempDir(), simulate: chatty, create: d.create})
	if want := []string{reproName, summaryName, historyName, traceName}; !slices.Equal(d.names, want) {
		t.Errorf("written in the order %v, want %v", d.names, want)
	}
	size := func(name string) int {
		info, err := os.Stat(filepath.Join(s.Failed[0].Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Size())
	}
	repro, rest := size(reproName), size(summaryName)+size(historyName)
	for _, tt := range []struct {
		name     string
		free     int // of the disk
		readable int // folders
	}{
		{"room for everything but traces", 2*(repro+rest) + size(traceName)/2, 2},
		{"room for one tape", repro + 10, 1},
		{"no room", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &smallDisk{free: tt.free}
			dir := t.TempDir()
			s := mustRun(t, Options{Base: 1, Seeds: 20, Dir: dir, simulate: chatty, create: d.create})
			if s.Seeds != 20 || s.Failures != 2 || s.ExitCode() != 1 {
				t.Fatalf("%d seeds, %d failures, exit code %d: the hunt was to go on, and to end with 1", s.Seeds, s.Failures, s.ExitCode())
			}
			for i, o := range s.Failed {
				readable := i < tt.readable
				if readable != (o.Folder != "") || len(o.NotWritten) == 0 {
					t.Errorf("seed %d: folder %q, not written %q", o.Seed, o.Folder, o.NotWritten)
				}
				if readable {
					if r, err := ReadRepro(o.Folder); err != nil || r.Seed != o.Seed {
						t.Errorf("seed %d: %v", o.Seed, err)
					}
				}
				var b strings.Builder
				if err := o.WriteText(&b, Style{}); err != nil {
					t.Error(err)
				}
				for _, want := range []string{"Election Safety", "not written: trace.jsonl: no space left", "go run ./cmd/simrun "} {
					if !strings.Contains(b.String(), want) {
						t.Errorf("it does not say %q:\n%s", want, &b)
					}
				}
			}
			for _, name := range []string{traceName, traceName + ".part", reproName + ".part"} {
				if _, err := os.Stat(filepath.Join(dir, "seed-3", name)); err == nil {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// TestModelThatPanicsInTheFolder: whatever happens while a folder is written, the
// violation is told, and what can be written is.
func TestModelThatPanicsInTheFolder(t *testing.T) {
	s := mustRun(t, Options{Base: 3, Seeds: 1, Dir: t.TempDir(), simulate: func(o *sim.Options) *sim.Result {
		r := chatty(o)
		r.Model = speechless{}
		r.History.Call(0, 1, []byte("anything"))
		return r
	}})
	o := s.Failed[0]
	if s.ExitCode() != 1 || o.Folder == "" || len(o.NotWritten) == 0 || !strings.Contains(o.NotWritten[0], "panic: speechless") {
		t.Errorf("exit code %d, folder %q, not written %q", s.ExitCode(), o.Folder, o.NotWritten)
	}
	if _, err := os.Stat(filepath.Join(o.Folder, traceName)); err != nil {
		t.Error(err)
	}
}

// speechless is a model that can not describe what it is given.
type speechless struct{ linearizability.KV }

func (speechless) Describe(_, _ []byte) string { panic("speechless") }

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

// TestSummaryText: what a campaign ends with fits a screen of 24 lines, however
// much has failed.
func TestSummaryText(t *testing.T) {
	for _, seeds := range [][]uint64{{3}, {1, 2, 3, 4, 5, 6, 7, 8}} {
		s := mustRun(t, Options{Base: 1, Seeds: 9, simulate: toy(failing(seeds...))})
		var b strings.Builder
		if err := s.WriteText(&b, Style{}); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		passed := fmt.Sprintf("passed %d, safety %d", 9-len(seeds), len(seeds))
		first := fmt.Sprintf("go run ./cmd/simrun run --seed %d\n", seeds[0])
		for _, want := range []string{
			"9 seeds from 1", fmt.Sprintf("%d failed", len(seeds)), passed, "safety Election Safety", "never " + sim.MarkNames[1], first,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("summary does not say %q:\n%s", want, text)
			}
		}
		if !strings.HasSuffix(text, first) {
			t.Errorf("the last line is not what to do next:\n%s", text)
		}
		if n := strings.Count(text, "\n"); n > 23 {
			t.Errorf("%d lines:\n%s", n, text)
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > 132 {
				t.Errorf("a line of %d characters: %s", len(line), line)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Error("colors without being asked")
		}
	}
}

func TestMarksText(t *testing.T) {
	s := mustRun(t, Options{Base: 1, Seeds: 5, simulate: toy(allPass)})
	var b strings.Builder
	if err := s.WriteMarks(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{sim.MarkNames[:], sim.FaultNames[:]} {
		for _, name := range names {
			if !strings.Contains(b.String(), name) {
				t.Errorf("%s is missing:\n%s", name, &b)
			}
		}
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
