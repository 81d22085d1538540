package simtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// kept is a run that once broke something: a file of testdata/seeds. It is a
// seed, or a tape with the scenario that it belongs to. The code around it
// changes and so does the run; a run that no longer reaches the marks which
// made it worth keeping says nothing any more, and must be replaced or go.
type kept struct {
	// Broke says in one line what it broke.
	Broke string `json:"broke"`
	// Marks are what it must still reach.
	Marks []string `json:"marks"`

	Seed     uint64          `json:"seed"`
	Focus    string          `json:"focus,omitempty"`
	Scenario json.RawMessage `json:"scenario,omitempty"`
	Tape     *choice.Tape    `json:"tape,omitempty"`
}

func readKept(name string) (*kept, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	k := &kept{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(k); err != nil {
		return nil, err
	}
	switch {
	case k.Broke == "" || strings.ContainsRune(k.Broke, '\n'):
		return nil, errors.New(`"broke" must say in one line what the run broke`)
	case len(k.Marks) == 0:
		return nil, errors.New(`"marks" must name what the run still has to reach`)
	case k.Tape != nil && k.Scenario == nil:
		return nil, errors.New("a tape needs the scenario that it was recorded with")
	}
	for _, name := range k.Marks {
		if _, ok := sim.MarkNamed(name); !ok {
			return nil, fmt.Errorf("there is no mark %q", name)
		}
	}
	return k, nil
}

// options are those of the run.
func (k *kept) options() (*sim.Options, error) {
	o := &sim.Options{Seed: k.Seed, Focus: k.Focus}
	if k.Scenario == nil {
		return o, o.Check()
	}
	o.Scenario = &sim.Scenario{}
	dec := json.NewDecoder(bytes.NewReader(k.Scenario))
	dec.DisallowUnknownFields()
	if err := dec.Decode(o.Scenario); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if k.Tape == nil {
		return o, o.Check()
	}
	r := campaign.Repro{Seed: k.Seed, Focus: k.Focus, Scenario: *o.Scenario, Tape: k.Tape}
	return r.Options()
}

// missing are the marks that a run should have reached and has not.
func (k *kept) missing(m *sim.Marks) []string {
	var names []string
	for _, name := range k.Marks {
		if i, ok := sim.MarkNamed(name); ok && m[i] == 0 {
			names = append(names, name)
		}
	}
	return names
}

// Kept does every run that is kept in dir, one JSON file each, as subtests. A
// run fails if it breaks something again, or no longer reaches its marks.
func Kept(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("there is no run in %s", dir)
	}
	pkg := callerPackage()
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			t.Parallel()
			k, err := readKept(name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			o, err := k.options()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r := sim.Run(o)
			out := campaign.OutcomeOf(r, k.Focus)
			out.Command = testCommand(pkg, t.Name())
			if out.Failed() {
				t.Errorf("it broke once (%s) and is broken again:\n%s", k.Broke, failureText(out))
			}
			if gone := k.missing(&r.Marks); len(gone) > 0 {
				t.Errorf("it no longer reaches %s, so it no longer tests %q: find another run that does, or delete it", strings.Join(gone, ", "), k.Broke)
			}
		})
	}
}
