package campaign

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryPropertyHasAMeaning goes through the source of the simulator: each
// property that a run can violate is explained to whoever finds it violated.
func TestEveryPropertyHasAMeaning(t *testing.T) {
	files, err := filepath.Glob("../sim/*.go")
	if err != nil {
		t.Fatal(err)
	}
	patterns := []*regexp.Regexp{
		regexp.MustCompile(`Property\w+\s*=\s*"([^"]+)"`),
		regexp.MustCompile(`\bw\.fail\(\w+, "([^"]+)"`),
		regexp.MustCompile(`\bfailAt\([\w.]+, [\w.]+, "([^"]+)"`),
	}
	found := make([]int, len(patterns))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range patterns {
			for _, m := range p.FindAllSubmatch(text, -1) {
				found[i]++
				if meaning(string(m[1])) == "" {
					t.Errorf("%s: property %q has no meaning; write one into meaning.go", name, m[1])
				}
			}
		}
	}
	for i, n := range found {
		if n == 0 {
			t.Errorf("no property looks like %v any more", patterns[i])
		}
	}
}
