package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

func (p *program) leases() *cobra.Command {
	x := campaign.DefaultLeases()
	cmd := &cobra.Command{
		Use:   "leases",
		Short: "Find out by how much clocks must differ before reads by lease break",
		Long: `leases lets the clocks of two replicas go faster than that of a third, which
mostly leads, by more and more, cuts leaders off, and counts the runs in which a
read was wrong: answered by a lease that was none any more, stale as far as a
client could tell, and, in runs without leases, wrong in any way. The table is
written as Markdown. The exit code is 1 if a lease broke while the bound of
--bound held, or anything was wrong without leases.`,
		Example: `  simrun leases
  simrun leases --seeds 50 --bound 200000`,
		Args: noArguments("--seeds"),
		RunE: func(*cobra.Command, []string) error {
			if err := x.Check(); err != nil {
				return err
			}
			return p.breakLeases(x)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&x.Seeds, "seeds", x.Seeds, "`number` of runs for each drift and kind of read")
	f.Uint32Var(&x.BoundPPM, "bound", x.BoundPPM, "the bound that reads by lease state, in `millionths`")
	f.IntVar(&x.Jobs, "jobs", 0, "`number` of workers (default one per core)")
	return cmd
}

// breakLeases does the runs and prints the table.
func (p *program) breakLeases(x campaign.Leases) error {
	ctx, stop := interruptible()
	defer stop()
	line := newStatusLine(p.stderr, p.json)
	if line.on {
		x.Progress = func(done, of int) { line.show(fmt.Sprintf("%d of %d drifts", done, of)) }
	}
	s, err := x.Run(ctx)
	line.clear()
	if err != nil {
		return err
	}
	p.code = s.ExitCode
	if !p.json {
		return internal(s.WriteText(p.stdout, styleFor(p.stdout)))
	}
	for i := range s.Lines {
		if err := campaign.WriteLine(p.stdout, &s.Lines[i]); err != nil {
			return internal(err)
		}
	}
	return internal(campaign.WriteLine(p.stdout, s))
}
