package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/sim"
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
		Args: noArguments("simrun"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if x.Seeds < 1 {
				return fmt.Errorf("--seeds %d: at least one run for each drift", x.Seeds)
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
	lines, err := x.Run(ctx)
	line.clear()
	switch {
	case ctx.Err() != nil:
		p.code = campaign.ExitInterrupted
	case err != nil:
		return internal(err)
	}
	for i := range lines {
		if lines[i].Wrong() {
			p.code = sim.Safety.ExitCode()
		}
	}
	if !p.json {
		return internal(campaign.WriteLeases(p.stdout, x.BoundPPM, lines))
	}
	for i := range lines {
		if err := campaign.WriteLine(p.stdout, &lines[i]); err != nil {
			return internal(err)
		}
	}
	return nil
}
