package simtest

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/sim"
)

const (
	seedsDefault = 50
	seedsShort   = 5 // with -short
)

// seedsMax bounds how many subtests one test has.
const seedsMax = 1_000_000

// Config says which runs a test makes. The zero Config is our own store, with
// the default seeds.
type Config struct {
	// Seeds is how many; 0 is the default, which -short makes smaller. The
	// environment goes before it.
	Seeds uint64
	// Base is the first seed; 0 is 1. The environment goes before it.
	Base uint64
	// FailuresMax is after how many failing seeds the others are skipped; 0 is
	// campaign.FailuresMax.
	FailuresMax int
	// Focus are the feature letters that every scenario must have on.
	Focus string
	// Scenario, if not nil, is what every seed runs, instead of one that it
	// draws. Focus is empty then. ScenarioFile reads one.
	Scenario *sim.Scenario
	// Workload drives another state machine than kv.
	Workload func() sim.Workload
	// Disk makes the disk of each replica in place of the simulator's: see
	// sim.Options.
	Disk func(founding core.Configuration) sim.Disk
}

// options are those of one run.
func (c *Config) options() *sim.Options {
	return &sim.Options{Focus: c.Focus, Scenario: c.Scenario, Workload: c.Workload, Disk: c.Disk}
}

// check says what is wrong with the Config, whichever seeds it runs.
func (c *Config) check() error {
	if c.FailuresMax < 0 {
		return fmt.Errorf("simtest: stop after %d failures: there is at least one; 0 is %d", c.FailuresMax, campaign.FailuresMax)
	}
	if err := c.options().Check(); err != nil {
		return fmt.Errorf("simtest: %w", err)
	}
	return nil
}

// ScenarioFile reads a scenario that somebody has written by hand: see
// sim.ParseScenario, and docs/testing-your-own.md for an example.
func ScenarioFile(t testing.TB, name string) *sim.Scenario {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sim.ParseScenario(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// Seeds runs seeds as parallel subtests, each called "seed=" and its number.
// The first failure of each property is told in full, those after it in a line;
// the test ends with all of them by property.
func Seeds(t *testing.T, c Config) {
	t.Helper()
	pkg := callerPackage()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	seeds, err := c.seeds(os.Getenv, testing.Short())
	if err != nil {
		t.Fatal(err)
	}
	if seed, ok := seedNamed(runPattern(), t.Name()); ok {
		seeds = seedRange{seed, 1}
	}
	tally := newTally(c.FailuresMax)
	t.Cleanup(func() {
		if text := tally.text(); text != "" {
			t.Log(text)
		}
	})
	for n := range seeds.n {
		seed := seeds.first + n
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			if failed, ok := tally.full(); ok {
				t.Skipf("enough seeds have failed: %d", failed)
			}
			o := campaign.Options{
				Focus: c.Focus, Scenario: c.Scenario, Workload: c.Workload, Disk: c.Disk, Dir: artifacts(t),
				Command: func(uint64) string { return testCommand(pkg, t.Name()) },
			}
			if out := o.RunSeed(seed); out.Failed() {
				t.Error(tally.add(out))
			}
		})
	}
}

// seedRange are n seeds from first on; n is not 0, and none is beyond the
// largest.
type seedRange struct{ first, n uint64 }

// seeds are those to run when none is asked for by name.
func (c *Config) seeds(getenv func(string) string, short bool) (seedRange, error) {
	r := seedRange{first: cmp.Or(c.Base, 1), n: cmp.Or(c.Seeds, seedsDefault)}
	if short {
		r.n = min(r.n, seedsShort)
	}
	what := "Config.Seeds is"
	for _, v := range [...]struct {
		name  string
		value *uint64
	}{{"SEAWORTHY_SEEDS", &r.n}, {"SEAWORTHY_BASE", &r.first}} {
		text := getenv(v.name)
		if text == "" {
			continue
		}
		var err error
		if *v.value, err = strconv.ParseUint(text, 0, 64); err != nil {
			return r, fmt.Errorf("%s=%s is not a number of 64 bits", v.name, text)
		}
		if v.value == &r.n {
			what = "SEAWORTHY_SEEDS is"
		}
	}
	switch {
	case r.n == 0:
		return r, fmt.Errorf("%s 0: no seed would be run, and the test would pass", what)
	case r.n > seedsMax:
		return r, fmt.Errorf("%s %d: a test runs at most %d seeds; simrun hunt runs any number of kv's, and campaign.Run of yours", what, r.n, seedsMax)
	case r.first > math.MaxUint64-(r.n-1):
		return r, fmt.Errorf("%d seeds from %d on go beyond the largest seed", r.n, r.first)
	}
	return r, nil
}

// artifacts is where a test is to leave files, or "" where nobody wants them:
// without -artifacts, what a test leaves is gone when it ends.
func artifacts(t *testing.T) string {
	if dir := os.Getenv("SEAWORTHY_ARTIFACTS"); dir != "" {
		return filepath.Join(dir, strings.Map(plainRune, t.Name()))
	}
	if f := flag.Lookup("test.artifacts"); f == nil || f.Value.String() != "true" {
		return ""
	}
	return t.ArtifactDir()
}

// plainRune keeps of a test's name what is good in a file's.
func plainRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-=", r) {
		return r
	}
	return '_'
}

// runPattern is what -run was given.
func runPattern() string {
	if f := flag.Lookup("test.run"); f != nil {
		return f.Value.String()
	}
	return ""
}

var seedElement = regexp.MustCompile(`^\^?\(?seed=(0[xX][0-9a-fA-F]+|[0-9]+)\)?\$?$`)

// seedNamed is the seed that the pattern of -run names below the test of the
// given name, as in TestSeeds/seed=42. (As a regular expression that matches
// seed=420 too, but who writes it means the one.)
func seedNamed(pattern, test string) (uint64, bool) {
	elements := strings.Split(pattern, "/")
	depth := strings.Count(test, "/") + 1
	if len(elements) <= depth {
		return 0, false
	}
	m := seedElement.FindStringSubmatch(elements[depth])
	if m == nil {
		return 0, false
	}
	seed, err := strconv.ParseUint(m[1], 0, 64)
	if err != nil {
		return 0, false
	}
	return seed, true
}

// callerPackage is the package of whoever called the exported function that
// calls this one.
func callerPackage() string {
	pc, _, _, ok := runtime.Caller(2)
	if !ok {
		return "."
	}
	return packageOf(runtime.FuncForPC(pc).Name())
}

// packageOf takes the package from the full name of a function, such as
// example.com/m/pkg_test.TestX.func1.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	last, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + strings.TrimSuffix(last, "_test")
}

// testCommand runs one test, and no other.
func testCommand(pkg, test string) string {
	elements := strings.Split(test, "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	return fmt.Sprintf("go test -count=1 -run '%s' %s", strings.Join(elements, "/"), pkg)
}

// failureText is all that a test says about a failing run.
func failureText(out *campaign.Outcome) string {
	var b strings.Builder
	_ = out.WriteText(&b, campaign.Style{}) // a Builder takes everything
	if out.Folder == "" && out.Verdict != sim.Misuse.String() {
		b.WriteString("  with -artifacts it leaves a folder that explains it\n")
	}
	if len(out.Story) > 0 {
		fmt.Fprintf(&b, "before it:\n  %s\n", strings.Join(out.Story, "\n  "))
	}
	return b.String()
}
