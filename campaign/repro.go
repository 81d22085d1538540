package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

const (
	reproName    = "repro.json"
	reproVersion = 1
)

// Repro is all that it takes to do a run again: repro.json.
type Repro struct {
	Version int    `json:"version"`
	Seed    uint64 `json:"seed"`
	Focus   string `json:"focus,omitempty"`

	// What came of it. TraceHash is 16 hexadecimal digits.
	Verdict   string `json:"verdict"`
	Property  string `json:"property,omitempty"`
	TraceHash string `json:"trace_hash"`
	Steps     uint64 `json:"steps"`

	Code

	// Bounds of the run beside those of its scenario, as a fuzzer sets them; 0
	// is none.
	MaxNanos     uint64 `json:"max_nanos,omitempty"`
	MaxDecisions uint64 `json:"max_decisions,omitempty"`

	Scenario sim.Scenario `json:"scenario"`
	Tape     *choice.Tape `json:"tape"`
}

// Code says which program made a run.
type Code struct {
	// Commit is the version of the code, with "+dirty" where files differed
	// from it, or "unknown".
	Commit string `json:"commit"`
	// Overlay is the row of the bug bank that was built in, or "".
	Overlay string `json:"overlay,omitempty"`
	Go      string `json:"go"`
	Arch    string `json:"arch"`
}

// exact says whether two programs are surely the same, so that they must make
// the same run of the same tape.
func (c Code) exact(d Code) bool {
	return c.Commit == d.Commit && c.Overlay == d.Overlay && c.Commit != unknownCommit && !strings.HasSuffix(c.Commit, dirty)
}

const (
	unknownCommit = "unknown"
	dirty         = "+dirty"
	modulePath    = "github.com/seaworthy-raft/seaworthy"
)

// overlay is set by the linker (-X) where a row of the bug bank is built in.
var overlay string

// Overlay is the name of the overlay that this program was built with, or "".
// A build of one's own may be named by the environment variable
// SEAWORTHY_OVERLAY.
func Overlay() string {
	if overlay != "" {
		return overlay
	}
	return os.Getenv("SEAWORTHY_OVERLAY")
}

// ThisCode describes the running program. Where the go command has not put the
// commit in (go run and go test do not), the repository in the current
// directory is asked, if it is ours.
func ThisCode() Code {
	c := Code{Commit: unknownCommit, Overlay: Overlay(), Go: runtime.Version(), Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		var revision, modified string
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.modified":
				modified = s.Value
			}
		}
		if revision != "" {
			c.Commit = revision
			if modified == "true" {
				c.Commit += dirty
			}
			return c
		}
	}
	if commit := commitHere(); commit != "" {
		c.Commit = commit
	}
	return c
}

// commitHere is the commit of the current directory, or "" if that is no
// repository of this module.
func commitHere() string {
	git := func(args ...string) (string, bool) {
		out, err := exec.Command("git", args...).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	top, ok := git("rev-parse", "--show-toplevel")
	if !ok {
		return ""
	}
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil || !bytes.HasPrefix(mod, []byte("module "+modulePath+"\n")) {
		return ""
	}
	commit, ok := git("rev-parse", "--verify", "--quiet", "HEAD")
	if !ok {
		return ""
	}
	if changes, ok := git("status", "--porcelain"); !ok || changes != "" {
		commit += dirty
	}
	return commit
}

// ReadRepro reads a repro.json, or the one in a folder that a failing seed
// left. Anyone may have edited it, so it says what can not be run.
func ReadRepro(name string) (*Repro, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, reproName)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &Repro{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case r.Version != reproVersion:
		return nil, fmt.Errorf("%s: version %d, but this program reads version %d; use the commit that it names", name, r.Version, reproVersion)
	case r.Tape == nil:
		return nil, fmt.Errorf("%s: %w", name, errNoTape)
	}
	if err := r.Scenario.Check(); err != nil {
		return nil, fmt.Errorf("%s: scenario: %w", name, err)
	}
	return r, nil
}

var errNoTape = errors.New("there is no tape in it")

func (r *Repro) write(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Options are those that replay r.
//
// The scenario was drawn from the first decisions of the tape. As long as they
// draw it still, the whole tape is replayed and a drift is seen wherever it
// begins. When the way of drawing has changed, the scenario is given as it was
// and those decisions are taken off the tape.
func (r *Repro) Options() (*sim.Options, error) {
	o := &sim.Options{Seed: r.Seed, Focus: r.Focus, MaxNanos: r.MaxNanos, MaxDecisions: r.MaxDecisions}
	probe := choice.Replay(r.Tape)
	drawn := sim.Draw(probe, sim.ParseFocus(r.Focus))
	same, err := sameJSON(drawn, r.Scenario)
	if err != nil {
		return nil, err
	}
	tape := r.Tape
	if !same {
		o.Scenario = &r.Scenario
		tape = tape.Clone()
		tape.Delete(0, min(int(probe.Decisions()), tape.Len()))
	}
	o.Source = choice.Replay(tape)
	return o, nil
}

func sameJSON(a, b any) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}
