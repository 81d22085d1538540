package simtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/sim"
)

const (
	seedsDefault = 50
	seedsShort   = 5 // with -short
)

// Config says which runs a test makes. The zero Config is our own store, with
// the default seeds.
type Config struct {
	// Seeds is how many; 0 is the default, which -short makes smaller. The
	// environment goes before it.
	Seeds uint64
	// Base is the first seed; 0 is 1. The environment goes before it.
	Base uint64
	// Focus are the feature letters that every scenario must have on.
	Focus string
	// Workload drives another state machine than kv.
	Workload func() sim.Workload
}

// Seeds runs seeds as parallel subtests, each called "seed=" and its number.
func Seeds(t *testing.T, c Config) {
	t.Helper()
	pkg := callerPackage()
	seeds, err := c.seeds(os.Getenv, testing.Short())
	if err != nil {
		t.Fatal(err)
	}
	if seed, ok := seedNamed(runPattern(), t.Name()); ok {
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			o := campaign.Options{
				Focus: c.Focus, Workload: c.Workload, Dir: artifacts(t),
				Command: func(uint64) string { return testCommand(pkg, t.Name()) },
			}
			if out := o.RunSeed(seed); out.Failed() {
				t.Error(failureText(out))
			}
		})
	}
}

// seeds are those to run when none is asked for by name.
func (c *Config) seeds(getenv func(string) string, short bool) ([]uint64, error) {
	n, base := c.Seeds, c.Base
	if n == 0 {
		n = seedsDefault
	}
	if short {
		n = min(n, seedsShort)
	}
	if base == 0 {
		base = 1
	}
	for name, value := range map[string]*uint64{"SEAWORTHY_SEEDS": &n, "SEAWORTHY_BASE": &base} {
		text := getenv(name)
		if text == "" {
			continue
		}
		var err error
		if *value, err = strconv.ParseUint(text, 0, 64); err != nil {
			return nil, fmt.Errorf("%s=%s is not a number", name, text)
		}
	}
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = base + uint64(i)
	}
	return seeds, nil
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
	if out.Folder == "" {
		b.WriteString("  with -artifacts it leaves a folder that explains it\n")
	}
	if len(out.Story) > 0 {
		fmt.Fprintf(&b, "before it:\n  %s\n", strings.Join(out.Story, "\n  "))
	}
	return b.String()
}
