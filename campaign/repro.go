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
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/sim"
)

const (
	reproName    = "repro.json"
	reproVersion = 2
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
	MaxNanos     uint64 `json:"nanos_max,omitempty"`
	MaxDecisions uint64 `json:"decisions_max,omitempty"`

	Scenario sim.Scenario `json:"scenario"`
	// ScenarioGiven says that the scenario is not what the first decisions of the
	// tape draw.
	ScenarioGiven bool         `json:"scenario_given,omitempty"`
	Tape          *choice.Tape `json:"tape"`

	// Workload and Disk name what the run had in place of kv and of the
	// simulator's disks, and Repeat the command of the program that has them;
	// empty: simrun has all that it takes.
	Workload string `json:"workload,omitempty"`
	Disk     string `json:"disk,omitempty"`
	Repeat   string `json:"repeat,omitempty"`
}

// reproOf is what it takes to do again the run that so describes, which came to
// out and r and took the decisions of tape. A panic out of the simulator leaves
// a result without a scenario; then it is the one that the run began with.
func reproOf(out *Outcome, so *sim.Options, r *sim.Result, tape *choice.Tape) *Repro {
	p := &Repro{
		Version: reproVersion, Seed: out.Seed, Focus: so.Focus,
		Verdict: out.Verdict, TraceHash: hashText(out.TraceHash), Steps: out.Steps,
		Code: ThisCode(), MaxNanos: so.MaxNanos, MaxDecisions: so.MaxDecisions,
		Scenario: r.Scenario, ScenarioGiven: so.Scenario != nil, Tape: tape,
	}
	if out.Failure != nil {
		p.Property = out.Failure.Property
	}
	if p.Scenario.Replicas == 0 && tape != nil {
		p.Scenario = begunWith(so, choice.Replay(tape))
	}
	if so.Workload != nil {
		p.Workload = typeName(func() any { return so.Workload() })
	}
	if so.Disk != nil {
		p.Disk = typeName(func() any { return so.Disk(core.Configuration{}) })
	}
	if p.foreign() {
		p.Repeat = out.Command
	}
	return p
}

// begunWith is the scenario that a run begins with whose decisions are those of
// the source.
func begunWith(so *sim.Options, source *choice.Source) (s sim.Scenario) {
	defer func() { _ = recover() }() // it may be the drawing that panicked
	if so.Scenario != nil {
		return *so.Scenario
	}
	focus, _ := sim.ParseFocus(so.Focus)
	return sim.Draw(source, focus)
}

// typeName is the type of what is made, with the path of its package.
func typeName(made func() any) (name string) {
	name = "unknown"
	defer func() { _ = recover() }() // it may be what panicked in the run
	t := reflect.TypeOf(made())
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() + "." + t.Name()
}

// foreign says whether the run had something in it that simrun has not.
func (r *Repro) foreign() bool { return r.Workload != "" || r.Disk != "" }

// ErrForeign is an error of a replay: the run had a workload or disks that the
// program does not have.
var ErrForeign = errors.New("not a run of this program's own")

// errForeign says where a foreign run can be replayed.
func (r *Repro) errForeign() error {
	what := "the workload " + r.Workload
	switch {
	case r.Workload == "":
		what = "the disks " + r.Disk
	case r.Disk != "":
		what += " and the disks " + r.Disk
	}
	if r.Repeat == "" {
		return fmt.Errorf("%w, but of %s; the program that made it can replay it", ErrForeign, what)
	}
	return fmt.Errorf("%w, but of %s; replay it with\n  %s", ErrForeign, what, r.Repeat)
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

// overlayName is what may be part of a folder's name.
var overlayName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// CheckEnvironment says which environment variable has a value that makes no
// sense.
func CheckEnvironment() error {
	if name := Overlay(); name != "" && !overlayName.MatchString(name) {
		return fmt.Errorf("SEAWORTHY_OVERLAY=%q: the name of an overlay has letters, digits and ._- only", name)
	}
	return nil
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
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if head.Version != reproVersion {
		return nil, fmt.Errorf("%s: version %d, but this program reads version %d; use the commit that it names", name, head.Version, reproVersion)
	}
	r := &Repro{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Tape == nil {
		return nil, fmt.Errorf("%s: %w", name, errNoTape)
	}
	if err := CheckFocus(r.Focus); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
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
	if r.ScenarioGiven {
		o.Scenario = &r.Scenario
		o.Source = choice.Replay(r.Tape)
		return o, nil
	}
	probe := choice.Replay(r.Tape)
	focus, err := sim.ParseFocus(r.Focus)
	if err != nil {
		return nil, err
	}
	drawn := sim.Draw(probe, focus)
	same, err := sameJSON(drawn, r.Scenario)
	if err != nil {
		return nil, err
	}
	tape := r.Tape
	if !same {
		o.Scenario, o.Focus = &r.Scenario, "" // it has been drawn
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
