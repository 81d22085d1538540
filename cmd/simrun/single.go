package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// watch are the flags of the commands that do one run.
type watch struct {
	trace bool
	until uint64
	focus string
}

func (w *watch) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&w.trace, "trace", false, "show every event, one a line, one column per replica")
	f.Uint64Var(&w.until, "until", 0, "stop before this `step`")
	f.StringVar(&w.focus, "focus", "", "feature `letters`, as in the hunt that found the seed")
}

func (p *program) one() *cobra.Command {
	var w watch
	var seed uint64
	var scenario string
	dir := outDir
	cmd := &cobra.Command{
		Use:   "run --seed S",
		Short: "Run one seed, or a scenario of your own",
		Long: `run does the run of one seed and says what came of it. If it fails, it leaves a
folder in --out.

--scenario takes the scenario from a file instead of from the seed: who there is,
what goes wrong by chance, and what goes wrong by hand and when. The seed (1, if
there is none) decides all the rest. docs/testing-your-own.md has an example,
docs/json.md every field.`,
		Example: `  simrun run --seed 42
  simrun run --scenario cut-the-leader.json --trace | less -S
  simrun run --seed 42 --trace --until 2000 | less -S`,
		Args: noArguments("--seed"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given, err := readScenario(scenario)
			switch {
			case err != nil:
				return err
			case given == nil && !cmd.Flags().Changed("seed"):
				return errors.New("simrun run needs --seed or --scenario")
			case !cmd.Flags().Changed("seed"):
				seed = 1
			}
			s := &campaign.Single{Seed: seed, Scenario: given, Dir: dir}
			if given != nil && dir == "" {
				s.Command = runCommand(scenario, seed)
			}
			return p.single(w, s)
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "the `seed`")
	cmd.Flags().StringVar(&scenario, "scenario", "", "run the scenario of this `file`")
	w.flags(cmd)
	cmd.Flags().StringVar(&dir, "out", outDir, "`folder` for what a failing seed leaves")
	return cmd
}

// readScenario reads the scenario of a file; nil if there is none.
func readScenario(name string) (*sim.Scenario, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := sim.ParseScenario(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// runCommand does one seed of a scenario again.
func runCommand(scenario string, seed uint64) string {
	return fmt.Sprintf("go run ./cmd/simrun run --seed %d --scenario %s", seed, campaign.ShellQuote(scenario))
}

func (p *program) replay() *cobra.Command {
	var w watch
	cmd := &cobra.Command{
		Use:   "replay FILE|SEED",
		Short: "Repeat a run from its tape, or from its seed",
		Long: `replay repeats a run exactly. FILE is a folder that a failing seed left, or the
repro.json in it; SEED is a number.

On other code than the one that made it, a tape is followed as far as it fits.
The exit code is that of the run if it follows the tape to its end, or comes to
the recorded failure; otherwise it is 7, and the run says nothing about the
recorded one. With git bisect run, let 7 be 125:

  simrun replay FILE; code=$?; [ $code = 7 ] && exit 125; exit $code

A run of your own state machine or disks is repeated by the test that made it;
replay says by which command.`,
		Example: `  simrun replay ` + outDir + `/seed-42
  simrun replay ` + outDir + `/seed-42 --trace --until 18231 | tail -n 50
  simrun replay 42 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("simrun replay needs one folder, repro.json or seed")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := campaign.Find(args[0])
			if err != nil {
				return err
			}
			return p.single(w, s)
		},
	}
	w.flags(cmd)
	return cmd
}

// single does one run and prints it.
func (p *program) single(w watch, s *campaign.Single) error {
	if err := campaign.CheckFocus(w.focus); err != nil {
		return err
	}
	switch {
	case w.focus == "":
	case s.Repro != nil:
		return fmt.Errorf("--focus %s: a recorded run has the focus that it was recorded with", w.focus)
	case s.Scenario != nil:
		return fmt.Errorf("--focus %s: it says how a scenario is drawn, and --scenario gives one", w.focus)
	default:
		s.Focus = w.focus
	}
	s.Until = w.until
	style := styleFor(p.stdout)
	viewer := campaign.NewViewer(p.stdout, campaign.ViewOptions{JSON: p.json, Events: w.trace, Style: style})
	s.Begin = viewer.Begin
	if w.trace {
		s.Trace = viewer.Event
	}
	out, err := s.Run()
	if viewErr := viewer.End(); err == nil {
		err = viewErr
	}
	if out == nil {
		return err // nothing was run
	}
	p.code = out.ExitCode
	var writeErr error
	if p.json {
		writeErr = campaign.WriteLine(p.stdout, out.Line())
	} else {
		writeErr = out.WriteText(p.stdout, style)
	}
	if err == nil {
		err = writeErr
	}
	return internal(err)
}
