package campaign

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/kv"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// theirs is a workload that simrun does not have: kv, and an invariant that it
// breaks.
type theirs struct{ limit uint64 }

type theirMachine struct{ *kv.Machine }

func (theirs) Machine() replica.StateMachine       { return theirMachine{kv.New(kv.DefaultLimits())} }
func (theirs) Model() linearizability.Model        { return linearizability.KV{} }
func (theirs) Caller(int, *sim.Choices) sim.Caller { return theirCaller{} }
func (w theirs) Invariants() []sim.Invariant {
	return []sim.Invariant{{Name: "Few Commands", Check: func(v *sim.View) error {
		for _, r := range v.Replicas {
			if uint64(r.Applied) > w.limit {
				return errors.New("too many")
			}
		}
		return nil
	}}}
}

type theirCaller struct{}

func (theirCaller) Next(dst []byte, _ bool) sim.Operation {
	return sim.Operation{Bytes: kv.AppendCommand(dst, &kv.Command{Op: kv.OpPut, Key: []byte("k"), Value: []byte("v")})}
}

func (theirCaller) Done(reply []byte) bool { return reply != nil }

// TestReplayOfAForeignRun: simrun can not repeat a run of somebody's own state
// machine, and says who can; whoever has it can.
func TestReplayOfAForeignRun(t *testing.T) {
	const command = "go test -count=1 -run '^TestSeeds$/^seed=1$' example.com/theirs"
	workload := func() sim.Workload { return theirs{20} }
	o := Options{Workload: workload, Dir: t.TempDir(), Command: func(uint64) string { return command }}
	out := o.RunSeed(1)
	if out.Property() != "Few Commands" || out.Folder == "" {
		t.Fatalf("%+v", out)
	}
	s, err := Find(out.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "seaworthy/campaign.theirs") || !strings.Contains(err.Error(), command) {
		t.Errorf("%v", err)
	}
	s.Workload = workload
	again, err := s.Run()
	if err != nil || !again.Repeated() || again.ExitCode != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}

// recorded is a run of a scenario that fails, as a folder has it.
func recorded(t *testing.T, limit uint64) (*Repro, func() sim.Workload) {
	t.Helper()
	scenario, workload := sim.Plain(), func() sim.Workload { return theirs{limit} }
	so := &sim.Options{Seed: 7, Scenario: &scenario, Workload: workload, Source: choice.NewRecording(7)}
	r := sim.Run(so)
	if r.Verdict != sim.Safety {
		t.Fatalf("%v: %+v", r.Verdict, r.Failure)
	}
	name := filepath.Join(t.TempDir(), reproName)
	f := folder{dir: filepath.Dir(name), create: createFile}
	if !f.write(reproName, reproOf(OutcomeOf(r, ""), so, r, r.Tape).write) {
		t.Fatal(f.failed)
	}
	p, err := ReadRepro(name)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit = unknownCommit // so that other code may come to something else
	return p, workload
}

// TestReplayExitCodes: a replay says what became of the recorded failure, or
// with a code of its own that it can not say.
func TestReplayExitCodes(t *testing.T) {
	repro, workload := recorded(t, 20)
	fixed := func() sim.Workload { return theirs{1 << 40} }
	other := *repro
	other.Scenario.Replicas = 5
	for _, c := range []struct {
		name     string
		repro    *Repro
		workload func() sim.Workload
		code     int
	}{
		{"the same run", repro, workload, 1},
		{"followed to its end, and no failure there any more", repro, fixed, 0},
		{"another run, with the recorded failure", &other, workload, 1},
		{"another run, without a failure", &other, fixed, ExitDrift},
	} {
		s := &Single{Seed: c.repro.Seed, Repro: c.repro, Workload: c.workload}
		out, err := s.Run()
		if err != nil {
			t.Fatal(err)
		}
		if out.ExitCode != c.code || out.Line().ExitCode != c.code {
			t.Errorf("%s: exit code %d, want %d (%s, drift %v)", c.name, out.ExitCode, c.code, out.Verdict, out.Result.Drift)
		}
	}
	other.Property = "Some Other Property"
	out, err := (&Single{Repro: &other, Workload: workload}).Run()
	if err != nil || out.ExitCode != ExitDrift {
		t.Errorf("another run with another failure: exit code %d, %v; drift %v, repeated %v", out.ExitCode, err, out.Result.Drift, out.Repeated())
	}
}

// TestReadReproIsStrict: a file with a field or a focus that there is not is not
// half understood.
func TestReadReproIsStrict(t *testing.T) {
	repro, _ := recorded(t, 20)
	name := filepath.Join(t.TempDir(), reproName)
	repro.Focus = "W"
	var text bytes.Buffer
	if err := repro.write(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRepro(name); err == nil || !strings.Contains(err.Error(), "no feature 'W'") {
		t.Errorf("%v", err)
	}
}
