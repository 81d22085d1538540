package bugbank

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// readTook takes what the rows took from the page that WriteMarkdown wrote.
func readTook(t *testing.T, page string) []took {
	t.Helper()
	var all []took
	layer := ""
	for _, line := range strings.Split(page, "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			layer = title
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 7 || cells[0] == "row" || layer == controls {
			continue
		}
		r := took{layer: layer, row: cells[0]}
		found, bases, _ := strings.Cut(cells[3], "/")
		r.always = found == bases
		seeds, more := strings.CutPrefix(cells[4], ">")
		r.found = !more
		var err1, err2 error
		r.seeds, err1 = strconv.ParseUint(seeds, 10, 64)
		r.cpuSeconds, err2 = strconv.ParseFloat(strings.TrimPrefix(cells[5], ">"), 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q: %v, %v", line, err1, err2)
		}
		all = append(all, r)
	}
	return all
}

// TestLayersAgreeWithRows: table.md and the README say of each layer what the
// rows say.
func TestLayersAgreeWithRows(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(Dir), "table.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := readTook(t, string(page))
	if len(rows) < 50 {
		t.Fatalf("%d rows", len(rows))
	}
	want := layerTable(rows)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"table.md": string(page), "README.md": string(readme)} {
		if !strings.Contains(text, want) {
			t.Errorf("the layers of %s are not those of the rows; this is what belongs there:\n%s", name, want)
		}
	}
}
