package bugbank

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const poem = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n"

func mustParse(t *testing.T, text string) *Patch {
	t.Helper()
	p, err := ParsePatch([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatchApplies(t *testing.T) {
	const head = "What the bug is, in words.\n\ndiff --git a/x/y.go b/x/y.go\nindex 1..2 100644\n--- a/x/y.go\n+++ b/x/y.go\n"
	tests := []struct{ name, hunks, text, want string }{
		{"in place", "@@ -2,3 +2,3 @@ func f()\n two\n-three\n+THREE\n four\n", poem,
			"one\ntwo\nTHREE\nfour\nfive\nsix\nseven\neight\n"},
		{"moved", "@@ -2,3 +2,3 @@\n two\n-three\n+THREE\n four\n", "zero\nzero\n" + poem,
			"zero\nzero\none\ntwo\nTHREE\nfour\nfive\nsix\nseven\neight\n"},
		{"two hunks", "@@ -1,2 +1,3 @@\n one\n+one and a half\n two\n@@ -7,2 +8 @@\n seven\n-eight\n", poem,
			"one\none and a half\ntwo\nthree\nfour\nfive\nsix\nseven\n"},
		{"the numbered one of two", "@@ -3,2 +3,2 @@\n a\n-b\n+B\n", "a\nb\na\nb\n", "a\nb\na\nB\n"},
		{"no newline at the end", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+B\n\\ No newline at end of file\n", "a\nb", "a\nB"},
		{"a blank line without its blank", "@@ -1,3 +1,3 @@\n a\n\n-b\n+B\n", "a\n\nb\n", "a\n\nB\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustParse(t, head+tt.hunks)
			if len(p.Files) != 1 || p.Files[0].Name != "x/y.go" {
				t.Fatalf("files: %+v", p.Files)
			}
			got, err := p.Files[0].Apply([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPatchIsRefused: a patch that goes in where it was not meant to would put
// another bug into the bank than its row says.
func TestPatchIsRefused(t *testing.T) {
	const head = "--- a/x.go\n+++ b/x.go\n"
	tests := []struct{ name, patch, want string }{
		{"changed context", head + "@@ -2,3 +2,3 @@\n two\n-three\n+THREE\n fuor\n", `line 4 should be "fuor" and is "four"`},
		{"changed blanks", head + "@@ -2,3 +2,3 @@\n two\n-\tthree\n+THREE\n four\n", `line 3 should be "\tthree" and is "three"`},
		{"nowhere", head + "@@ -2 +2 @@\n-nine\n+NINE\n", `no line is "nine"`},
		{"out of order", head + "@@ -5 +5 @@\n-five\n+FIVE\n@@ -1 +1 @@\n-two\n+TWO\n", "before the end of the hunk above"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustParse(t, tt.patch)
			if _, err := p.Files[0].Apply([]byte(poem)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("two places", func(t *testing.T) {
		p := mustParse(t, head+"@@ -9,2 +9,2 @@\n a\n-b\n+B\n")
		if _, err := p.Files[0].Apply([]byte("a\nb\na\nb\n")); err == nil || !strings.Contains(err.Error(), "lines 1 and 3") {
			t.Errorf("error %v, want one that names both places", err)
		}
	})
}

func TestNoPatch(t *testing.T) {
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"prose", "--- a heading\nand text\n"},
		{"no hunk", "--- a/x.go\n+++ b/x.go\n"},
		{"new file", "--- /dev/null\n+++ b/x.go\n@@ -0,0 +1 @@\n+x\n"},
		{"renamed", "--- a/x.go\n+++ b/y.go\n@@ -1 +1 @@\n-x\n+y\n"},
		{"outside", "--- a/../x.go\n+++ b/../x.go\n@@ -1 +1 @@\n-x\n+y\n"},
		{"no context", "--- a/x.go\n+++ b/x.go\n@@ -1,0 +2 @@\n+y\n"},
		{"changes nothing", "--- a/x.go\n+++ b/x.go\n@@ -1,2 +1,2 @@\n x\n y\n"},
		{"ends early", "--- a/x.go\n+++ b/x.go\n@@ -1,3 +1,3 @@\n x\n-y\n+z\n"},
		{"odd mark", "--- a/x.go\n+++ b/x.go\n@@ -1,3 +1,3 @@\n x\n*y\n"},
		{"odd head", "--- a/x.go\n+++ b/x.go\n@@ -x +1 @@\n-x\n+y\n"},
		{"twice", "--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-x\n+y\n--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-x\n+y\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := ParsePatch([]byte(tt.text)); !errors.Is(err, errPatch) {
				t.Errorf("taken as %+v (%v)", p, err)
			}
		})
	}
}

// TestPatchLikeDiff takes what diff writes about two texts and wants the
// second from the first.
func TestPatchLikeDiff(t *testing.T) {
	if _, err := exec.LookPath("diff"); err != nil {
		t.Skip("no diff here")
	}
	dir := t.TempDir()
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n", "-\n", "+ x\n", "@@ y\n"}), 1, 20)
	rapid.Check(t, func(t *rapid.T) {
		before := strings.Join(lines.Draw(t, "before"), "")
		after := strings.Join(lines.Draw(t, "after"), "") + rapid.SampledFrom([]string{"", "end"}).Draw(t, "end")
		if before == after {
			t.Skip()
		}
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		if os.WriteFile(a, []byte(before), 0o644) != nil || os.WriteFile(b, []byte(after), 0o644) != nil {
			t.Fatal("can not write")
		}
		diff, err := exec.Command("diff", "-u", "--label", "a/x", "--label", "b/x", a, b).Output()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Fatal(err)
		}
		p, err := ParsePatch(diff)
		if err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		got, err := p.Files[0].Apply([]byte(before))
		if err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		if string(got) != after {
			t.Fatalf("got %q, want %q\n%s", got, after, diff)
		}
	})
}

func FuzzParsePatch(f *testing.F) {
	f.Add([]byte("--- a/x.go\n+++ b/x.go\n@@ -2,3 +2,3 @@\n two\n-three\n+THREE\n four\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePatch(text)
		if err != nil {
			return
		}
		for _, file := range p.Files {
			_, _ = file.Apply([]byte(poem))
		}
	})
}
