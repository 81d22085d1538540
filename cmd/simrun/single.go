package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
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
	dir := outDir
	cmd := &cobra.Command{
		Use:   "run --seed S",
		Short: "Run one seed",
		Long: `run does the run of one seed and says what came of it. If it fails, it leaves a
folder in --out.`,
		Example: `  simrun run --seed 42
  simrun run --seed 42 --trace --until 2000 | less -S`,
		Args: noArguments("--seed"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				return errors.New("simrun run needs --seed")
			}
			return p.single(w, &campaign.Single{Seed: seed, Dir: dir})
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "the `seed`")
	w.flags(cmd)
	cmd.Flags().StringVar(&dir, "out", outDir, "`folder` for what a failing seed leaves")
	return cmd
}

func (p *program) replay() *cobra.Command {
	var w watch
	cmd := &cobra.Command{
		Use:   "replay FILE|SEED",
		Short: "Repeat a run from its tape, or from its seed",
		Long: `replay repeats a run exactly. FILE is a folder that a failing seed left, or the
repro.json in it; SEED is a number.`,
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
	if w.focus != "" {
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
