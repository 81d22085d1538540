// Command bugbank puts the known bugs under testdata/bugs into simrun, one at a
// time, and sees whether they are found. It is for those who work on the
// simulator; run it at the root of the module.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/campaign/bugbank"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// exitFailed says that something is wrong with the bank, or could not be done.
const exitFailed = 1

// run is the command: it returns the exit code.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	if err := campaign.CheckEnvironment(); err != nil {
		fmt.Fprintf(stderr, "bugbank: %v\n", err)
		return campaign.ExitUsage
	}
	root := root()
	root.SetArgs(args)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var exit *exec.ExitError
	var internal internalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		// A program that was run, such as the go command.
		fmt.Fprintf(stderr, "bugbank: %v\n", err)
		return exit.ExitCode()
	case errors.As(err, &internal):
		fmt.Fprintf(stderr, "bugbank: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stderr, "bugbank: %v\n%s --help shows what there is\n", err, cmd.CommandPath())
	return campaign.ExitUsage
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

func root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bugbank",
		Short: "Put known bugs back in and see whether the simulator finds them",
		Long: `bugbank puts known bugs back in and sees whether the simulator finds them.

Exit codes: 0 all is well, 1 something is wrong, 2 usage; of a program that was
run, such as the go command, its own.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(check(), build(), hunt(), table(), replay())
	return root
}

// openBank opens the bank. That there is none here is the user's mistake, a bank
// that can not be read is not.
func openBank() (*bugbank.Bank, error) {
	dir := filepath.FromSlash(bugbank.Dir)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%w (bugbank is run at the root of the module)", err)
	}
	b, err := bugbank.Open(".", dir)
	return b, internal(err)
}

func open(names []string) ([]*bugbank.Row, error) {
	b, err := openBank()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return b.Rows, nil
	}
	var rows []*bugbank.Row
	for _, n := range names {
		r, err := b.Row(n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// scratch is a folder for builds, which done takes away.
func scratch() (dir string, done func(), err error) {
	dir, err = os.MkdirTemp("", "bugbank-")
	return dir, func() { _ = os.RemoveAll(dir) }, internal(err)
}

func check() *cobra.Command {
	return &cobra.Command{
		Use:   "check [ROW...]",
		Short: "Apply every patch without fuzz and compile it",
		RunE: func(cmd *cobra.Command, names []string) error {
			rows, err := open(names)
			if err != nil {
				return err
			}
			dir, done, err := scratch()
			if err != nil {
				return err
			}
			defer done()
			return internal(bugbank.CheckAll(cmd.Context(), rows, dir))
		},
	}
}

func build() *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use:     "build ROW",
		Short:   "Build simrun with the bug in it",
		Example: "  bugbank build B040 --out /tmp && /tmp/simrun-B040 hunt --seeds 2000",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			rows, err := open(names)
			if err != nil {
				return err
			}
			tmp, done, err := scratch()
			if err != nil {
				return err
			}
			defer done()
			program, err := rows[0].Build(cmd.Context(), tmp)
			if err != nil {
				return internal(err)
			}
			name := filepath.Join(dir, filepath.Base(program))
			text, err := os.ReadFile(program)
			if err != nil {
				return internal(err)
			}
			if err := os.WriteFile(name, text, 0o755); err != nil {
				return internal(err)
			}
			fmt.Println(name)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "out", dir, "`folder` for the program")
	return cmd
}

func hunt() *cobra.Command {
	o := bugbank.CampaignOptions{}
	var asJSON bool
	var tableFile string
	cmd := &cobra.Command{
		Use:   "hunt [ROW...]",
		Short: "Hunt rows from several bases, repeat what is found, and print a table",
		Long: `hunt builds each row and runs seeds from each base on until one fails; what it
finds it repeats. Rows are hunted beside each other, one per core, each with one
worker, so that CPU seconds say what one hunt took.`,
		Example: `  bugbank hunt
  bugbank hunt --cpu 2m --table testdata/bugs/table.md
  bugbank hunt B040 B041 --bases 1,100001 --seeds 500
  bugbank hunt --json > finds.jsonl`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			for _, name := range []string{"seeds", "cpu"} {
				if f := cmd.Flags().Lookup(name); f.Changed && (f.Value.String() == "0" || f.Value.String() == "0s") {
					return fmt.Errorf("--%s %s: nothing would be hunted", name, f.Value)
				}
			}
			rows, err := open(names)
			if err != nil {
				return err
			}
			dir, done, err := scratch()
			if err != nil {
				return err
			}
			defer done()
			o.Each = func(r *bugbank.Row, f *bugbank.Find) error {
				if asJSON {
					return campaign.WriteLine(os.Stdout, f)
				}
				what := "not found"
				if f.Found {
					what = "found by " + f.Check.Verdict + " " + f.Check.Property
				}
				fmt.Fprintf(os.Stderr, "%s from %d: %s after %d seeds, %.1f s of CPU\n", r.Row, f.Base, what, f.Seeds, f.CPUSeconds)
				return nil
			}
			table, err := bugbank.HuntAll(cmd.Context(), rows, dir, o)
			if table == nil { // a base beyond the seeds of a row
				return err
			}
			if tableFile != "" {
				err = errors.Join(err, writeTable(tableFile, table))
			}
			if !asJSON {
				err = errors.Join(err, table.Write(os.Stdout))
			}
			return internal(err)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.Bases = []uint64{1, 100_001, 200_001, 300_001, 400_001}
	f.Var((*seeds)(&o.Bases), "bases", "first `seeds`, one hunt each")
	f.Uint64Var(&o.Seeds, "seeds", 0, "budget of `seeds` per hunt (default that of the row)")
	f.DurationVar(&o.CPU, "cpu", 0, "budget of CPU `time` per hunt, like 90s; it ends between two seeds (default no bound)")
	f.IntVar(&o.Parallel, "parallel", 0, "`rows` hunted at the same time (default one per core)")
	f.IntVar(&o.Jobs, "jobs", 0, "`workers` of each hunt (default one, or one per core if rows are hunted one by one)")
	f.BoolVar(&o.Focus, "focus", false, "make every scenario have what the row needs")
	f.StringVar(&o.Dir, "out", "simrun-out", "`folder` for what failing seeds leave")
	f.DurationVar(&o.Limit, "limit", 30*time.Minute, "the longest one hunt may take; 0 is no bound")
	f.StringVar(&tableFile, "table", "", "write the table to this `file` as well, in Markdown")
	f.BoolVar(&asJSON, "json", false, "write each find as one JSON object a line, and no table")
	return cmd
}

// seeds is a flag.
type seeds []uint64

func (s *seeds) Type() string { return "seeds" }

func (s *seeds) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]uint64(*s)), " ", ","), "[]")
}

func (s *seeds) Set(text string) error {
	*s = nil
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return err
		}
		*s = append(*s, n)
	}
	return nil
}

func writeTable(name string, t *bugbank.Table) error {
	var b bytes.Buffer
	if err := t.WriteMarkdown(&b); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func table() *cobra.Command {
	return &cobra.Command{
		Use:     "table FINDS...",
		Short:   "Make the Markdown table from what hunt --json wrote",
		Example: `  bugbank table finds.jsonl > testdata/bugs/table.md`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			b, err := openBank()
			if err != nil {
				return err
			}
			var lines bytes.Buffer
			for _, n := range names {
				text, err := os.ReadFile(n)
				if err != nil {
					return err
				}
				lines.Write(text)
			}
			t, err := bugbank.ReadTable(b, &lines)
			if err != nil {
				return err
			}
			return internal(t.WriteMarkdown(os.Stdout))
		},
	}
}

func replay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay FOLDER [-- FLAG...]",
		Short: "Repeat a find: build the bug that it names, and replay it with simrun's flags",
		Example: `  bugbank replay simrun-out/B040-seed-17
  bugbank replay simrun-out/B040-seed-17 -- --trace`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			repro, err := campaign.ReadRepro(args[0])
			if err != nil {
				return err
			}
			if repro.Overlay == "" {
				return fmt.Errorf("%s was made without an overlay; use simrun replay %s", args[0], args[0])
			}
			rows, err := open([]string{repro.Overlay})
			if err != nil {
				return err
			}
			dir, done, err := scratch()
			if err != nil {
				return err
			}
			defer done()
			program, err := rows[0].Build(cmd.Context(), dir)
			if err != nil {
				return internal(err)
			}
			run := exec.CommandContext(cmd.Context(), program, append([]string{"replay"}, args...)...)
			run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
			return internal(run.Run())
		},
	}
}
