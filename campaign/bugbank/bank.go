// Package bugbank puts known bugs back in, one at a time, to see whether the
// simulator finds them: a bug that is not found is a defect of the simulator.
//
// A row of the bank is a small patch and what is to be expected of it. The
// source tree is never changed: the patch is applied in memory and the result
// handed to the go command as an overlay. Patches must fit exactly, so that a
// row still is the bug that its name says after the code around it changed.
//
//	patch.go  Patch: unified diffs, applied without fuzz
//	bank.go   Bank, Row: the manifest; overlays and builds
//	hunt.go   Hunt: seeds until the bug shows, then the replay of the find
//	all.go    CheckAll, HuntAll: many rows on all cores
//	table.go  Table: rows against bases, summed up
//
// With controls, changes that are odd but right, the same tool sees that the
// simulator stays silent where nothing is wrong.
package bugbank

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

// Dir is where the bank stands, relative to the root of the module, and
// manifestName is the list of its rows.
const (
	Dir          = "testdata/bugs"
	manifestName = "manifest.json"
)

// Bank is a manifest with its patches.
type Bank struct {
	// Root is the root of the module that the patches are for.
	Root string
	Rows []*Row
}

// Row is one bug, or one control.
type Row struct {
	Row   string `json:"row"` // "B015"
	Layer string `json:"layer"`
	// Mutation says in one sentence what is right and what the bug does.
	Mutation string `json:"mutation"`
	// Difficulty is what the catalogue expects of random testing: easy, medium,
	// hard; or control.
	Difficulty string `json:"difficulty"`
	// Needs are the feature letters without which the bug can not show, as the
	// catalogue has them: with blanks between.
	Needs string `json:"needs"`
	// Expect are the checks that may be the first to see it; at least one, for
	// a control none.
	Expect []Check `json:"expect"`
	// Seeds is how many seeds a hunt may take.
	Seeds uint64 `json:"seeds"`
	// Patch is the patch's file, beside the manifest.
	Patch string `json:"patch"`
	// File is what it changes, relative to the root of the module.
	File string `json:"file"`

	root  string
	patch *Patch
}

// Check is a verdict, and a property unless that is all one.
type Check struct {
	Verdict  string `json:"verdict"`
	Property string `json:"property,omitempty"`
}

// Control says whether the row is right, so that nothing may be found.
func (r *Row) Control() bool { return r.Difficulty == difficultyControl }

// Expected says whether the bug was seen by a check that may see it.
func (r *Row) Expected(c Check) bool {
	return slices.ContainsFunc(r.Expect, func(want Check) bool {
		return want.Verdict == c.Verdict && (want.Property == "" || want.Property == c.Property)
	})
}

// focus is Needs as simrun has it.
func (r *Row) focus() string { return strings.ReplaceAll(r.Needs, " ", "") }

const difficultyControl = "control"

var (
	difficulties = []string{"easy", "medium", "hard", "hard*", difficultyControl}
	rowName      = regexp.MustCompile(`^[A-Z][A-Za-z0-9-]*$`)
)

// Open reads the bank in the folder dir, which is for the module at root.
func Open(root, dir string) (*Bank, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Rows []*Row `json:"rows"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	b := &Bank{Root: root, Rows: manifest.Rows}
	patches := map[string]bool{}
	for _, r := range b.Rows {
		r.root = root
		if err := r.open(dir); err != nil {
			return nil, fmt.Errorf("%s: row %s: %w", manifestName, r.Row, err)
		}
		if patches[r.Patch] {
			return nil, fmt.Errorf("%s: row %s: %s is another row's", manifestName, r.Row, r.Patch)
		}
		patches[r.Patch] = true
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !patches[filepath.Base(f)] {
			return nil, fmt.Errorf("%s has no row for %s", manifestName, filepath.Base(f))
		}
	}
	return b, nil
}

func (r *Row) open(dir string) error {
	switch {
	case !rowName.MatchString(r.Row):
		return fmt.Errorf("%q is no name of a row", r.Row)
	case r.Patch != r.Row+".patch":
		return fmt.Errorf("the patch is called %s, want %s.patch", r.Patch, r.Row)
	case !slices.Contains(difficulties, r.Difficulty):
		return fmt.Errorf("difficulty %q, want one of %s", r.Difficulty, strings.Join(difficulties, ", "))
	case r.Layer == "" || r.Mutation == "":
		return errors.New("it does not say layer and mutation")
	case campaign.CheckFocus(r.focus()) != nil:
		return campaign.CheckFocus(r.focus())
	case r.Seeds == 0:
		return errors.New("it has no budget of seeds")
	case r.Control() != (len(r.Expect) == 0):
		return errors.New("a bug has checks that see it, a control has none")
	}
	text, err := os.ReadFile(filepath.Join(dir, r.Patch))
	if err != nil {
		return err
	}
	if r.patch, err = ParsePatch(text); err != nil {
		return fmt.Errorf("%s: %w", r.Patch, err)
	}
	if len(r.patch.Files) != 1 || r.patch.Files[0].Name != r.File {
		return fmt.Errorf("%s changes %s, want only %s", r.Patch, r.patch.Files[0].Name, r.File)
	}
	return nil
}

// Row returns the row of that name.
func (b *Bank) Row(name string) (*Row, error) {
	for _, r := range b.Rows {
		if r.Row == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the bank has no row %q", name)
}

// Overlay applies the patch and writes into dir what the go command's -overlay
// wants: the patched copy, and a JSON file, whose name it returns.
func (r *Row) Overlay(dir string) (string, error) {
	root, err := filepath.Abs(r.root)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for i := range r.patch.Files {
		f := &r.patch.Files[i]
		name := filepath.Join(root, filepath.FromSlash(f.Name))
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		patched, err := f.Apply(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.Patch, err)
		}
		copied := filepath.Join(dir, r.Row, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(copied, patched, 0o644); err != nil {
			return "", err
		}
		replace[name] = copied
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, r.Row+".overlay.json")
	return name, os.WriteFile(name, text, 0o644)
}

// Compile applies the patch and compiles the package that it is for, with
// dir for the files that this takes.
func (r *Row) Compile(ctx context.Context, dir string) error {
	overlay, err := r.Overlay(dir)
	if err != nil {
		return err
	}
	var packages []string
	for _, f := range r.patch.Files {
		packages = append(packages, "./"+filepath.ToSlash(filepath.Dir(f.Name)))
	}
	// A package that is no command is compiled and thrown away.
	return r.goCommand(ctx, dir, append([]string{"build", "-overlay", overlay}, packages...))
}

// Build builds simrun with the bug in it, into dir, and returns its name. The
// program knows the row that it carries and says so in what it leaves behind.
func (r *Row) Build(ctx context.Context, dir string) (string, error) {
	overlay, err := r.Overlay(dir)
	if err != nil {
		return "", err
	}
	name, err := filepath.Abs(filepath.Join(dir, "simrun-"+r.Row))
	if err != nil {
		return "", err
	}
	return name, r.goCommand(ctx, dir, []string{
		"build", "-overlay", overlay, "-ldflags", "-X " + overlayVariable + "=" + r.Row, "-o", name, "./cmd/simrun",
	})
}

// overlayVariable is the variable of package campaign that says which row is
// built in.
const overlayVariable = "github.com/seaworthy-raft/seaworthy/campaign.overlay"

// goCommand runs the go command on the tree with the copies in dir. What it
// says about a copy it says in the name of the file that the copy stands for.
func (r *Row) goCommand(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(string(out))
	copies, absErr := filepath.Abs(filepath.Join(dir, r.Row))
	root, rootErr := filepath.Abs(r.root)
	if absErr == nil && rootErr == nil {
		if rel, err := filepath.Rel(root, copies); err == nil {
			text = strings.ReplaceAll(text, rel+string(filepath.Separator), "")
		}
		text = strings.ReplaceAll(text, copies+string(filepath.Separator), "")
	}
	return fmt.Errorf("%s: go %s: %w\n\t%s", r.Row, args[0], err, strings.ReplaceAll(text, "\n", "\n\t"))
}
