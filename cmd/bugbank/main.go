// Command bugbank puts the known bugs under testdata/bugs into simrun, one at a
// time, and sees whether they are found. It is for those who work on the
// simulator; run it at the root of the module.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/campaign/bugbank"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := &cobra.Command{
		Use:           "bugbank",
		Short:         "Put known bugs back in and see whether the simulator finds them",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(check(), build(), hunt(), replay())
	err := root.ExecuteContext(ctx)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		// A program that was run, such as the go command.
		fmt.Fprintf(os.Stderr, "bugbank: %v\n", err)
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintf(os.Stderr, "bugbank: %v\n", err)
		os.Exit(1)
	}
}

func open(names []string) ([]*bugbank.Row, error) {
	b, err := bugbank.Open(".", filepath.FromSlash(bugbank.Dir))
	if err != nil || len(names) == 0 {
		if err != nil {
			err = fmt.Errorf("%w (bugbank is run at the root of the module)", err)
			return nil, err
		}
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
	return dir, func() { _ = os.RemoveAll(dir) }, err
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
			var all error
			for _, r := range rows {
				all = errors.Join(all, r.Compile(cmd.Context(), dir))
			}
			return all
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
				return err
			}
			name := filepath.Join(dir, filepath.Base(program))
			text, err := os.ReadFile(program)
			if err != nil {
				return err
			}
			if err := os.WriteFile(name, text, 0o755); err != nil {
				return err
			}
			fmt.Println(name)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "out", dir, "`folder` for the program")
	return cmd
}

func hunt() *cobra.Command {
	o := bugbank.HuntOptions{}
	var bases []int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "hunt [ROW...]",
		Short: "Hunt rows from several bases, repeat what is found, and print a table",
		Example: `  bugbank hunt
  bugbank hunt B040 B041 --bases 1,100001 --seeds 500
  bugbank hunt --json > finds.jsonl`,
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
			var table bugbank.Table
			var all error
			for _, r := range rows {
				program, err := r.Build(cmd.Context(), dir)
				if err != nil {
					return err
				}
				var finds []*bugbank.Find
				for _, base := range bases {
					o.Base = uint64(base)
					f, err := r.Hunt(cmd.Context(), program, o)
					if err == nil && f.Found {
						err = r.Replay(cmd.Context(), program, f)
					}
					if err != nil {
						fmt.Fprintf(os.Stderr, "bugbank: %v\n", err)
						all = errors.Join(all, err)
					}
					if cmd.Context().Err() != nil {
						break
					}
					if f == nil {
						continue
					}
					finds = append(finds, f)
					if asJSON {
						if err := campaign.WriteLine(os.Stdout, f); err != nil {
							return err
						}
					} else {
						fmt.Fprintf(os.Stderr, "%s from %d: found %v after %d seeds, %.1f s of CPU: %s %s\n",
							r.Row, base, f.Found, f.Seeds, f.CPUSeconds, f.Check.Verdict, f.Check.Property)
					}
				}
				table.Add(r, finds)
				_ = os.Remove(program)
				if cmd.Context().Err() != nil {
					break
				}
			}
			if !asJSON {
				if err := table.Write(os.Stdout); err != nil {
					return err
				}
			}
			if all != nil {
				return errors.New("not every hunt came to a good end")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Int64SliceVar(&bases, "bases", []int64{1, 100_001, 200_001, 300_001, 400_001}, "first `seeds`, one hunt each")
	f.Uint64Var(&o.Seeds, "seeds", 0, "budget of `seeds` per hunt (default that of the row)")
	f.IntVar(&o.Jobs, "jobs", 0, "`workers` (default one per core)")
	f.BoolVar(&o.Focus, "focus", false, "make every scenario have what the row needs")
	f.StringVar(&o.Dir, "out", "simrun-out", "`folder` for what failing seeds leave")
	f.DurationVar(&o.Limit, "limit", 30*time.Minute, "the longest one hunt may take; 0 is no bound")
	f.BoolVar(&asJSON, "json", false, "write each find as one JSON object a line, and no table")
	return cmd
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
				return err
			}
			run := exec.CommandContext(cmd.Context(), program, append([]string{"replay"}, args...)...)
			run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
			return run.Run()
		},
	}
}
