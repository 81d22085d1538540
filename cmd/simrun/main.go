// Command simrun runs whole clusters in a simulator, each from a seed, through
// partitions, crashes, power losses, pauses and drifting clocks, and checks
// everything they do. See simrun --help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

// gcPercent trades memory for speed: a run makes much garbage and keeps little.
// A campaign stays at a few hundred megabytes. GOGC goes before it.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	if err := campaign.CheckEnvironment(); err != nil {
		fmt.Fprintf(stderr, "simrun: %v\n", err)
		return campaign.ExitUsage
	}
	p := &program{stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	var internal internalError
	switch {
	case err == nil:
		return p.code
	case errors.As(err, &internal):
		fmt.Fprintf(stderr, "simrun: %v\n", err)
		return campaign.ExitInternal
	}
	fmt.Fprintf(stderr, "simrun: %v\n%s --help shows what there is\n", err, cmd.CommandPath())
	return campaign.ExitUsage
}

// program is what the commands share.
type program struct {
	stdout, stderr io.Writer
	json           bool
	marks          bool // of a campaign, beside its summary
	code           int  // of a command that did what it was asked to do
}

// noArguments refuses what stands behind a command, and says what was perhaps
// meant.
func noArguments(meant string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("%s takes no arguments; did you mean %s %s?", cmd.CommandPath(), meant, args[0])
	}
}

// internalError is an error that is not the user's: all others are about usage.
type internalError struct{ error }

func (e internalError) Unwrap() error { return e.error }

func internal(err error) error {
	if err == nil {
		return nil
	}
	return internalError{err}
}

const outDir = "simrun-out"

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "simrun",
		Short: "Simulate clusters, and find, replay and explain a failing seed",
		Long: `simrun runs whole clusters of the replicated key-value store on one thread
each, every choice drawn from a seed: partitions, crashes, power losses, pauses,
slow disks, drifting clocks. All that happens is checked. A seed that fails
leaves a folder that explains it, and one command that repeats it exactly.

Without a command it runs seeds for half a minute on all cores and sums up.`,
		Example: `  simrun                                      half a minute of seeds from 1 on
  simrun hunt --seeds 20000                   as many seeds as you have time for
  simrun hunt --base 1000000 --for 10m        others, for ten minutes
  simrun run --seed 42                        one seed
  simrun run --scenario FILE                  what you have written down yourself
  simrun replay ` + outDir + `/seed-42            what a failing seed left behind
  simrun replay ` + outDir + `/seed-42 --trace | less -S`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return p.campaign(campaign.Default(outDir)) },
	}
	root.PersistentFlags().BoolVar(&p.json, "json", false, "write JSON, one object a line, the last one the result")
	p.marksFlag(root)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.hunt(), p.one(), p.replay(), p.leases(), p.connectivity())
	root.SetHelpTemplate(helpTemplate)
	return root
}

const helpTemplate = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}
Exit codes: 0 all passed, 1 safety or linearizability, 2 usage, 3 liveness,
4 panic or internal error, 5 the same seed made two different runs, 6 the
checker gave up, 7 a replay left its tape and says nothing, 130 interrupted. Of
several failures, that of the first seed.
NO_COLOR=1 takes the colors off.
`
