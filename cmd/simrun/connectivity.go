package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

func (p *program) connectivity() *cobra.Command {
	var o campaign.ConnectivityOptions
	var graph int
	var trace bool
	cmd := &cobra.Command{
		Use:   "connectivity",
		Short: "Take links away for good, in every possible way",
		Long: `connectivity takes some links between replicas away for good, and measures how
long it is until a leader commits: for named cases, and for every set of directed
links between three and between five replicas, of which there are 16 and 9,608
that differ in more than names. Each gets --seeds seeds: in one of four the links
are missing from the start, in the others each replica leads before in its turn.

A run fails if a majority of replicas all hear each other, or one hears a
majority and is heard by it and could be elected, and a command waits for longer
than is right. Safety is checked in every run.`,
		Example: `  simrun connectivity
  simrun connectivity --size 3 --seeds 1000
  simrun connectivity --case switch
  simrun connectivity --size 5 --graph 4060 --seed 10 --trace | less -S`,
		Args: noArguments("--graph"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("graph") {
				o.Graph = &graph
			}
			// What is 0 in the options is what nobody has said.
			switch {
			case o.Seeds == 0:
				return errors.New("--seeds 0: at least one for each graph and case")
			case o.Seed == 0 && cmd.Flags().Changed("seed"):
				return errors.New("--seed 0: seeds are numbered from 1 on")
			case o.Every == 0:
				return errors.New("--every 0: 1 is every graph")
			}
			if trace {
				return p.traceConnectivity(&o)
			}
			return p.connect(o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Uint64Var(&o.Seeds, "seeds", campaign.ConnectivitySeeds, "`number` of seeds for each")
	f.IntVar(&o.Size, "size", 0, "only graphs of so many `replicas`, 3 or 5")
	f.IntVar(&graph, "graph", 0, "only the graph of this `number`, of that size")
	f.StringVar(&o.Case, "case", "", "only the case of this `name`")
	f.Uint64Var(&o.Seed, "seed", 0, "only this `seed`, from 1 on")
	f.IntVar(&o.Every, "every", 1, "only each so `many`th graph")
	f.IntVar(&o.Jobs, "jobs", 0, "`number` of workers (default one per core)")
	f.BoolVar(&trace, "trace", false, "show every event of the one run, one column per replica")
	return cmd
}

// connect does the runs and prints what comes of them.
func (p *program) connect(o campaign.ConnectivityOptions) error {
	ctx, stop := interruptible()
	defer stop()

	line := newStatusLine(p.stderr, p.json)
	if line.on {
		o.Progress = func(done, of uint64) { line.show(fmt.Sprintf("%d of %d graphs", done, of)) }
	}
	s, err := campaign.RunConnectivity(ctx, o)
	line.clear()
	if err != nil {
		return err
	}
	p.code = s.ExitCode
	if p.json {
		return internal(campaign.WriteLine(p.stdout, s))
	}
	return internal(s.WriteText(p.stdout, styleFor(p.stdout)))
}

// traceConnectivity shows the one run that the options name, and what came of
// it.
func (p *program) traceConnectivity(o *campaign.ConnectivityOptions) error {
	style := styleFor(p.stdout)
	viewer := campaign.NewViewer(p.stdout, campaign.ViewOptions{JSON: p.json, Events: true, Style: style})
	out, err := o.Watch(viewer.Begin, viewer.Event)
	if err != nil {
		return err
	}
	p.code = out.ExitCode
	if err := viewer.End(); err != nil {
		return internal(err)
	}
	if p.json {
		return internal(campaign.WriteLine(p.stdout, out.Line()))
	}
	return internal(out.WriteText(p.stdout, style))
}
