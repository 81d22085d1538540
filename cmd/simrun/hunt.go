package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

func (p *program) hunt() *cobra.Command {
	var o campaign.Options
	var scenario string
	cmd := &cobra.Command{
		Use:   "hunt",
		Short: "Run many seeds on many cores",
		Long: `hunt runs seeds one after another from --base on, on all cores, until it has run
--seeds of them, or for the time of --for, or until --failures of them have
failed; with neither of the first two, until it is interrupted. What it counts
and its trace hash do not depend on the number of workers; times do, and how far
--for gets. Each failing seed leaves a folder in --out.

--focus names features that every scenario must have: D duplication,
R reordering, L loss, P partitions, A one-way and other odd partitions (bridge,
ring, any links), C crashes, U power loss, K clocks, Z pauses, Y asynchronous
disk and applier, E syncs that fail, S small snapshots, V big values, X retries
and failover, Q an even number of replicas, M changes of members, G leadership
handed over on demand. Runs are then short and rough. B, H, N and T of the bug
catalogue are accepted and change nothing: H is always on, and what the others
need is not there yet.`,
		Example: `  simrun hunt --seeds 20000
  simrun hunt --base 1000000 --for 10m --jobs 1
  simrun hunt --seeds 500 --focus SPX --json | tail -n 1 | jq .marks`,
		Args: noArguments("--seeds"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// What is 0 in the options is what nobody has said.
			switch {
			case cmd.Flags().Changed("for") && o.For == 0:
				return errors.New("--for 0s: no seed would be run")
			case cmd.Flags().Changed("failures") && o.FailuresMax == 0:
				return errors.New("--failures 0: there is at least one to stop after")
			}
			var err error
			if o.Scenario, err = readScenario(scenario); err != nil {
				return err
			}
			if err := o.Check(); err != nil {
				return err
			}
			if scenario != "" && o.Dir == "" {
				o.Command = func(seed uint64) string { return runCommand(scenario, seed) }
			}
			return p.campaign(o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Uint64Var(&o.Seeds, "seeds", 0, "`number` of seeds to run; 0: no bound")
	f.Uint64Var(&o.Base, "base", 1, "the first `seed`")
	f.DurationVar(&o.For, "for", 0, "start seeds for this `time`, like 90s or 10m")
	f.IntVar(&o.Jobs, "jobs", 0, "`number` of workers (default one per core)")
	f.StringVar(&o.Focus, "focus", "", "feature `letters` that every scenario must have")
	f.StringVar(&scenario, "scenario", "", "run the scenario of this `file` with every seed")
	f.StringVar(&o.Dir, "out", outDir, "`folder` for what failing seeds leave")
	f.IntVar(&o.FailuresMax, "failures", campaign.FailuresMax, "stop after this `number` of failing seeds")
	p.marksFlag(cmd)
	return cmd
}

// marksFlag is the flag of the commands that run a campaign.
func (p *program) marksFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.marks, "marks", false, "show every fault and mark, with how often it was reached")
}

// campaign runs a campaign and prints what comes of it.
func (p *program) campaign(o campaign.Options) error {
	ctx, stop := interruptible()
	defer stop()

	line := newStatusLine(p.stderr, p.json)
	style := styleFor(p.stdout)
	var broken error // the first error of writing to stdout
	shown := map[string]bool{}
	o.Each = func(out *campaign.Outcome) {
		if broken != nil {
			return
		}
		line.clear()
		if p.json {
			broken = campaign.WriteLine(p.stdout, out.Line())
		} else if kind := out.Verdict + " " + out.Property(); out.Failed() && shown[kind] {
			_, broken = io.WriteString(p.stdout, out.BriefText(style))
		} else if out.Failed() {
			shown[kind] = true
			broken = out.WriteText(p.stdout, style)
		}
	}
	if line.on {
		o.Progress = func(s *campaign.Summary) { line.show(s.ProgressText(styleFor(p.stderr))) }
	} else if !p.json {
		fmt.Fprintf(p.stderr, "simrun: %s\n", o.String())
	}
	s, err := campaign.Run(ctx, o)
	line.clear()
	if err != nil {
		return err // nothing was run: what was asked for can't be done
	}
	p.code = s.ExitCode()
	switch {
	case broken != nil:
	case p.json:
		broken = campaign.WriteLine(p.stdout, s.Line())
	default:
		if p.marks {
			broken = s.WriteMarks(p.stdout, style)
		}
		broken = errors.Join(broken, s.WriteText(p.stdout, style))
	}
	return internal(broken)
}
