package bugbank

import (
	"fmt"
	goparser "go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

const root = "../.."

func openBank(t *testing.T) *Bank {
	t.Helper()
	b, err := Open(root, filepath.Join(root, Dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBankHasTheCanary: these rows are what the simulator is held to. A row may
// stand for another of its kind where both are named.
func TestBankHasTheCanary(t *testing.T) {
	b := openBank(t)
	for _, names := range []string{
		"B015", "B020", "B034", "B040", "B041", "B069", "B107", "B119", "B136 B142", "B137", "B213", "B218",
	} {
		has := false
		for _, name := range strings.Fields(names) {
			if r, err := b.Row(name); err == nil && !r.Control() {
				has = true
			}
		}
		if !has {
			t.Errorf("the bank has no row %s", strings.ReplaceAll(names, " ", " or "))
		}
	}
}

// TestNotApplicable: a row is in the bank, or the list of those that can not be
// says why it is not.
func TestNotApplicable(t *testing.T) {
	b := openBank(t)
	text, err := os.ReadFile(filepath.Join(root, Dir, "not-applicable.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| B") {
			continue
		}
		rows++
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || cells[1] == "" || len(cells[2]) < 40 {
			t.Errorf("want row, layer and reason: %s", line)
			continue
		}
		if name := strings.TrimPrefix(cells[0], "| "); slices.ContainsFunc(b.Rows, func(r *Row) bool { return r.Row == name }) {
			t.Errorf("%s is in the bank", name)
		}
	}
	if rows == 0 {
		t.Error("no rows; has the table another form?")
	}
}

// TestPatchesFit: each patch still says what it said when it was written, and
// what it makes is Go. That it compiles, bugbank check sees, which takes longer;
// here one row in ten stands for the others.
func TestPatchesFit(t *testing.T) {
	dir := t.TempDir()
	for i, r := range openBank(t).Rows {
		if _, err := r.Overlay(dir); err != nil {
			t.Error(err)
			continue
		}
		patched := filepath.Join(dir, r.Row, filepath.FromSlash(r.File))
		if _, err := goparser.ParseFile(token.NewFileSet(), patched, nil, goparser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", r.Row, err)
		}
		if i%10 != 0 {
			continue
		}
		if err := r.Compile(t.Context(), dir); err != nil {
			t.Error(err)
		}
	}
}

// sampleRows stand for the bank in a test: bugs that the core itself, the
// checker, a panic and the wait for a recovery show, and a control. All of it
// takes hours, and is what bugbank hunt is for.
var sampleRows = []string{"B015", "B218", "B114", "B228", "C5"}

// TestBugsAreFound hunts some bugs within their budgets of seeds, and wants the
// finds to be repeatable.
func TestBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and hunts rows of the bank")
	}
	b := openBank(t)
	for _, name := range sampleRows {
		t.Run(name, func(t *testing.T) {
			r, err := b.Row(name)
			if err != nil {
				t.Fatal(err)
			}
			program, err := r.Build(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			o := HuntOptions{Base: 1, Dir: t.TempDir(), Limit: 5 * time.Minute}
			if r.Control() {
				o.Seeds = min(r.Seeds, 30)
			}
			f, err := r.Hunt(t.Context(), program, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Control() {
				if f.Found {
					t.Errorf("is right, but seed %d says %s: %s %s", f.Seed, f.Check.Verdict, f.Check.Property, f.Detail)
				}
				return
			}
			if !f.Found {
				t.Fatalf("not found in %d seeds", f.Seeds)
			}
			if !r.Expected(f.Check) {
				t.Errorf("seed %d: seen by %s %s, expected %v: %s", f.Seed, f.Check.Verdict, f.Check.Property, r.Expect, f.Detail)
			}
			if err := r.Replay(t.Context(), program, f); err != nil {
				t.Error(err)
			}
			repro, err := campaign.ReadRepro(f.Folder)
			if err != nil {
				t.Fatal(err)
			}
			if repro.Overlay != r.Row {
				t.Errorf("the folder says overlay %q, want %s", repro.Overlay, r.Row)
			}
			t.Logf("seed %d, the %d. from the base, %.1f s of CPU: %s %s", f.Seed, f.Seeds, f.CPUSeconds, f.Check.Verdict, f.Check.Property)
		})
	}
}

// fixture is a small module with a bank of one row.
func fixture(t *testing.T, patch string) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, "testdata", "bugs")
	files := map[string]string{
		"go.mod":                      "module example.com/fixture\n\ngo 1.26\n",
		"sum/sum.go":                  "package sum\n\n// Of adds.\nfunc Of(a, b int) int {\n\treturn a + b\n}\n",
		"cmd/simrun/main.go":          fixtureSimrun,
		"testdata/bugs/B001.patch":    patch,
		"testdata/bugs/manifest.json": fixtureManifest,
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, dir
}

const fixtureManifest = `{"rows": [{
	"row": "B001", "layer": "sums", "mutation": "When adding: correct = a + b; bug = a - b", "difficulty": "easy",
	"needs": "X", "expect": [{"verdict": "safety", "property": "Sums"}], "seeds": 100,
	"patch": "B001.patch", "file": "sum/sum.go"
}]}`

// fixtureSimrun knows of one bug, which it finds with the third seed.
const fixtureSimrun = `package main

import (
	"fmt"
	"os"

	"example.com/fixture/sum"
)

const failure = "{\"type\":\"run\",\"verdict\":\"safety\",\"property\":\"Sums\",\"trace_hash\":\"aa\",\"exit_code\":1,\"folder\":\"f\"}"

func main() {
	switch {
	case sum.Of(1, 1) == 2:
		fmt.Println("{\"type\":\"summary\",\"seeds\":10,\"cpu_seconds\":2}")
	case os.Args[1] == "replay":
		fmt.Println(failure)
		os.Exit(1)
	default:
		fmt.Println(failure)
		fmt.Println("{\"type\":\"summary\",\"seeds\":3,\"cpu_seconds\":1,\"failures\":1}")
		os.Exit(1)
	}
}
`

const fixturePatch = "--- a/sum/sum.go\n+++ b/sum/sum.go\n@@ -4,3 +4,3 @@\n func Of(a, b int) int {\n-\treturn a + b\n+\treturn a - b\n }\n"

func TestRowCompiles(t *testing.T) {
	root, dir := fixture(t, fixturePatch)
	b, err := Open(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Row("B001")
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	if err := r.Compile(t.Context(), scratch); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(root, "sum", "sum.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(before), "a + b") {
		t.Error("the tree has been changed")
	}
	after, err := os.ReadFile(filepath.Join(scratch, "B001", "sum", "sum.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(after), "a - b") {
		t.Errorf("the bug is not in:\n%s", after)
	}
}

func TestRowThatDoesNotCompile(t *testing.T) {
	root, dir := fixture(t, strings.Replace(fixturePatch, "a - b", "a - c", 1))
	b, err := Open(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	err = CheckAll(t.Context(), b.Rows, t.TempDir())
	if want := "B001: go build: exit status 1\n\t# example.com/fixture/sum\n\tsum/sum.go:5:13: undefined: c"; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// TestHuntAll builds and hunts a row and a control.
func TestHuntAll(t *testing.T) {
	root, dir := fixture(t, fixturePatch)
	b, err := Open(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	control := *b.Rows[0]
	control.Row, control.Difficulty, control.Expect = "C1", "control", nil
	control.patch = mustParse(t, strings.Replace(fixturePatch, "a - b", "b + a", 1))
	rows := append(b.Rows, &control)
	seen := map[string]int{}
	table, err := HuntAll(t.Context(), rows, t.TempDir(), CampaignOptions{
		HuntOptions: HuntOptions{Seeds: 10, Limit: time.Minute},
		Bases:       []uint64{1, 7},
		Each:        func(_ *Row, f *Find) error { seen[fmt.Sprint(f.Row, " ", f.Base, " ", f.Found)]++; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"B001 1 true": 1, "B001 7 true": 1, "C1 1 false": 1, "C1 7 false": 1}; !maps.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
	var page strings.Builder
	if err := table.WriteMarkdown(&page); err != nil {
		t.Fatal(err)
	}
	want := `# How long the bugs of the bank stay hidden

Each row was hunted from the seeds 1 and 7, for 10 seeds at most.
Seeds and CPU seconds are medians; a hunt without a find counts as longer than any other.
Found from most of the bases: 1 of 1.

## By layer

Medians of the rows below, and the row that took most seeds.

| layer | bugs | found from all bases | median seeds | median CPU s | hardest: seeds, CPU s |
|---|---|---|---|---|---|
| sums | 1 | 1 | 3 | 1.0 | B001: 3, 1.0 |

## sums

| row | difficulty | needs | found | seeds | CPU s | check |
|---|---|---|---|---|---|---|
| B001 | easy | X | 2/2 | 3 | 1.0 | Sums x2 |

## controls

| row | difficulty | needs | found | seeds | CPU s | check |
|---|---|---|---|---|---|---|
| C1 | control | X | 0/2 | >10 | >2.0 | - |
`
	if page.String() != want {
		t.Errorf("got\n%s\nwant\n%s", page.String(), want)
	}
}

// TestReadTable: of two finds from one base the later one counts.
func TestReadTable(t *testing.T) {
	b := &Bank{Rows: []*Row{{Row: "B001"}, {Row: "B002", Layer: "sums", Difficulty: "easy"}}}
	table, err := ReadTable(b, strings.NewReader(`{"row":"B002","base":7,"found":false,"seeds":10}
{"row":"B002","base":1,"found":true,"seeds":3}
{"row":"B002","base":7,"found":true,"seeds":5}
`))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := table.WriteMarkdown(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"from the seeds 1 and 7.", "| B002 | easy |  | 2/2 | 5 |"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in\n%s", want, page.String())
		}
	}
	if strings.Contains(page.String(), "B001") {
		t.Errorf("a row that was not hunted is in\n%s", page.String())
	}
	if _, err := ReadTable(b, strings.NewReader(`{"row":"B003"}`)); err == nil {
		t.Error("a find of no row is taken")
	}
}

func TestOpenRefuses(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(fixtureManifest, old) {
			panic(old)
		}
		return strings.Replace(fixtureManifest, old, new, 1)
	}
	for name, manifest := range map[string]string{
		"unknown field":      change(`"needs"`, `"wants"`),
		"no budget":          change(`100`, `0`),
		"no check":           change(`[{"verdict": "safety", "property": "Sums"}]`, `[]`),
		"control with check": change(`easy`, `control`),
		"other file":         change(`sum/sum.go`, `sum/other.go`),
		"other patch":        change(`B001.patch`, `B002.patch`),
		"no mutation":        change(`When adding: correct = a + b; bug = a - b`, ``),
		"odd name":           change(`"B001"`, `"../B001"`),
		"twice":              change(`{"rows": [{`, `{"rows": [`+strings.TrimSuffix(strings.TrimPrefix(fixtureManifest, `{"rows": [`), `]}`)+`,{`),
		"no row":             `{"rows": []}`,
	} {
		t.Run(name, func(t *testing.T) {
			root, dir := fixture(t, fixturePatch)
			if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(manifest), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(root, dir); err == nil {
				t.Errorf("taken: %s", manifest)
			}
		})
	}
}

// TestMain lets the test program stand in for a simrun: SIMRUN says what it
// prints, SIMRUN_EXIT with which code it ends.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv("SIMRUN"); ok {
		if os.Args[1] == "replay" {
			text = os.Getenv("SIMRUN_REPLAY")
		}
		fmt.Println(strings.ReplaceAll(text, "@", strings.Join(os.Args[1:], " ")))
		if text == "forever" {
			time.Sleep(time.Hour)
		}
		code := 0
		fmt.Sscan(os.Getenv("SIMRUN_EXIT"), &code)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	lineSeed1   = `{"type":"run","seed":1,"verdict":"passed","trace_hash":"aa","exit_code":0}` + "\n"
	lineSeed2   = `{"type":"run","seed":2,"verdict":"liveness","property":"Leader","trace_hash":"bb","exit_code":3,"folder":"out/seed-2"}` + "\n"
	lineSummary = `{"type":"summary","seeds":2,"failures":1,"cpu_seconds":1.5,"deliveries":7,"exit_code":3}`
)

func TestHunt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &Row{Row: "B001", Seeds: 100, Needs: "X"}
	hunt := func(out, code string) (*Find, error) {
		t.Setenv("SIMRUN", out)
		t.Setenv("SIMRUN_EXIT", code)
		return r.Hunt(t.Context(), self, HuntOptions{Base: 1, Dir: "out", Limit: time.Minute})
	}
	f, err := hunt(lineSeed1+lineSeed2+lineSummary, "3")
	if err != nil {
		t.Fatal(err)
	}
	want := Find{
		Row: "B001", Base: 1, Found: true, Seeds: 2, Seed: 2, Check: Check{"liveness", "Leader"},
		TraceHash: "bb", ExitCode: 3, Folder: "out/seed-2", CPUSeconds: 1.5, Deliveries: 7,
	}
	if *f != want {
		t.Errorf("found %+v, want %+v", *f, want)
	}

	t.Setenv("SIMRUN_REPLAY", lineSeed2)
	if err := r.Replay(t.Context(), self, f); err != nil {
		t.Error(err)
	}
	for name, line := range map[string]string{
		"another run":     strings.Replace(lineSeed2, "bb", "cc", 1),
		"another verdict": strings.Replace(lineSeed2, "liveness", "safety", 1),
		"another check":   strings.Replace(lineSeed2, "Leader", "Progress", 1),
		"nothing":         "",
	} {
		t.Setenv("SIMRUN_REPLAY", line)
		if err := r.Replay(t.Context(), self, f); err == nil {
			t.Errorf("replay with %s is taken", name)
		}
	}
	t.Setenv("SIMRUN_EXIT", "1")
	t.Setenv("SIMRUN_REPLAY", lineSeed2)
	if err := r.Replay(t.Context(), self, f); err == nil {
		t.Error("replay with another exit code is taken")
	}

	if f, err := hunt(lineSeed1+`{"type":"summary","seeds":1,"exit_code":0}`, "0"); err != nil || f.Found || f.Seeds != 1 {
		t.Errorf("found %+v, error %v; want nothing", f, err)
	}
	for name, tt := range map[string][2]string{
		"no summary":          {lineSeed1, "0"},
		"a crash":             {"fatal error: all goroutines are asleep", "2"},
		"another exit code":   {lineSeed1 + lineSeed2 + lineSummary, "1"},
		"a failure of no row": {lineSeed1, "1"},
	} {
		if f, err := hunt(tt[0], tt[1]); err == nil {
			t.Errorf("hunt that ends with %s is taken: %+v", name, f)
		}
	}
}

// TestHuntGoesOnWhereTheCheckerGaveUp: that is no find.
func TestHuntGoesOnWhereTheCheckerGaveUp(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIMRUN", `{"type":"run","seed":9,"verdict":"unknown","exit_code":6,"detail":"@"}`+"\n"+`{"type":"summary","seeds":40}`)
	t.Setenv("SIMRUN_EXIT", "6")
	r := &Row{Row: "B001", Seeds: 100}
	f, err := r.Hunt(t.Context(), self, HuntOptions{Base: 1})
	if err != nil || f.Found || f.Unknown != 3 || f.Seeds != 120 {
		t.Errorf("found %+v, error %v; want three pieces without a find", f, err)
	}
}

// TestHuntArguments: the hunt asks for what it was told to.
func TestHuntArguments(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIMRUN", `{"type":"run","exit_code":1,"detail":"@"}`+"\n"+`{"type":"summary","seeds":1}`)
	t.Setenv("SIMRUN_EXIT", "1")
	r := &Row{Row: "B001", Seeds: 100, Needs: "S X"}
	f, err := r.Hunt(t.Context(), self, HuntOptions{Base: 7, Jobs: 2, Focus: true, Dir: "out"})
	if err != nil {
		t.Fatal(err)
	}
	want := "hunt --json --failures 1 --out out --base 7 --seeds 100 --jobs 2 --focus SX"
	if f.Detail != want {
		t.Errorf("ran %q, want %q", f.Detail, want)
	}
}

// TestHuntWithinCPU: a hunt goes on in pieces until its time is up.
func TestHuntWithinCPU(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIMRUN", `{"type":"summary","seeds":16,"cpu_seconds":1}`)
	r := &Row{Row: "B001", Seeds: 100}
	f, err := r.Hunt(t.Context(), self, HuntOptions{CPU: 2500 * time.Millisecond})
	if err != nil || f.Found || f.Seeds != 48 || f.CPUSeconds != 3 {
		t.Errorf("found %+v, error %v; want nothing in 48 seeds and 3 s", f, err)
	}
	t.Setenv("SIMRUN", `{"type":"run","exit_code":1,"detail":"@"}`+"\n"+`{"type":"summary","seeds":4}`)
	t.Setenv("SIMRUN_EXIT", "1")
	f, err = r.Hunt(t.Context(), self, HuntOptions{CPU: time.Second})
	if err != nil || !f.Found || !strings.Contains(f.Detail, "--seeds 16 ") {
		t.Errorf("found %+v, error %v; want the first piece", f, err)
	}
}

func TestHuntWithoutEnd(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIMRUN", "forever")
	r := &Row{Row: "B001", Seeds: 100}
	if _, err := r.Hunt(t.Context(), self, HuntOptions{Limit: 50 * time.Millisecond}); err == nil {
		t.Error("no error")
	}
}

func TestTable(t *testing.T) {
	row := func(name, difficulty string) *Row {
		return &Row{Row: name, Layer: "election", Difficulty: difficulty, Expect: []Check{{Verdict: "safety"}}}
	}
	safety, liveness := Check{"safety", "Election Safety"}, Check{"liveness", "Leader"}
	var table Table
	table.Add(row("B001", "easy"), []*Find{
		{Found: true, Seeds: 30, CPUSeconds: 3, Check: safety},
		{Found: true, Seeds: 10, CPUSeconds: 1, Check: safety},
		{Found: true, Seeds: 20, CPUSeconds: 2, Check: liveness},
	})
	table.Add(row("B002", "hard"), []*Find{
		{Found: false, Seeds: 2000},
		{Found: true, Seeds: 1999, Check: safety},
		{Found: false, Seeds: 2000},
	})
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `
row   layer     difficulty  found  seeds (median)  CPU s (median)  deliveries (median)  check
B001  election  easy        3/3    20              2.0             0                    Election Safety x2, Leader (not expected)
B002  election  hard        1/3    >2000           >0.0            >0                   Election Safety
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got%swant%s", got, want)
	}
}
