package bugbank

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table gathers finds, row by row.
type Table struct {
	// How says in a sentence how they were come by.
	How  string
	rows []tableRow
}

type tableRow struct {
	row   *Row
	finds []*Find
}

// Add takes the finds of one row, one per base.
func (t *Table) Add(r *Row, finds []*Find) { t.rows = append(t.rows, tableRow{r, finds}) }

// ReadTable makes a table of finds written as JSON lines. Of several from one
// base for one row the last one counts.
func ReadTable(b *Bank, lines io.Reader) (*Table, error) {
	finds := map[string][]*Find{}
	var bases []uint64
	for dec := json.NewDecoder(lines); ; {
		f := &Find{}
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if _, err := b.Row(f.Row); err != nil {
			return nil, err
		}
		finds[f.Row] = append(slices.DeleteFunc(finds[f.Row], func(g *Find) bool { return g.Base == f.Base }), f)
		if !slices.Contains(bases, f.Base) {
			bases = append(bases, f.Base)
		}
	}
	slices.Sort(bases)
	t := &Table{How: "The rows were hunted from the seeds " + list(bases) + "."}
	for _, r := range b.Rows {
		if f := finds[r.Row]; len(f) > 0 {
			slices.SortFunc(f, func(x, y *Find) int { return cmp.Compare(x.Base, y.Base) })
			t.Add(r, f)
		}
	}
	return t, nil
}

// found says in how many of the hunts the bug was found.
func (r *tableRow) found() string {
	n := 0
	for _, f := range r.finds {
		if f.Found {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(r.finds))
}

// medians are those of the seeds, the CPU seconds and the deliveries that a
// find took. A hunt without a find counts as longer than any other, so a median
// may be "more than" what was spent.
func (r *tableRow) medians() (seeds, cpu, deliveries string) {
	m := medianFind(r.finds)
	if m == nil {
		return "-", "-", "-"
	}
	more := ""
	if !m.Found {
		more = ">"
	}
	return fmt.Sprintf("%s%d", more, m.Seeds), fmt.Sprintf("%s%.1f", more, m.CPUSeconds), fmt.Sprintf("%s%d", more, m.Deliveries)
}

// Write prints the table: for each row what a find took, and which checks fired
// how often.
func (t *Table) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "row\tlayer\tdifficulty\tfound\tseeds (median)\tCPU s (median)\tdeliveries (median)\tcheck")
	for i := range t.rows {
		r := &t.rows[i]
		seeds, cpu, deliveries := r.medians()
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.row.Row, r.row.Layer, r.row.Difficulty, r.found(), seeds, cpu, deliveries, r.checks())
	}
	return tw.Flush()
}

// WriteMarkdown writes the table as a page, layer by layer, in the order of the
// manifest; the controls, which must not be found, come last.
func (t *Table) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# How long the bugs of the bank stay hidden\n\n%s\n", t.How)
	b.WriteString("Seeds and CPU seconds are medians; a hunt without a find counts as longer than any other.\n")
	var layers []string
	bugs, found := 0, 0
	for i := range t.rows {
		r := &t.rows[i]
		if layer := r.section(); !slices.Contains(layers, layer) {
			layers = append(layers, layer)
		}
		if r.row.Control() {
			continue
		}
		bugs++
		if m := medianFind(r.finds); m != nil && m.Found {
			found++
		}
	}
	fmt.Fprintf(&b, "Found from most of the bases: %d of %d.\n", found, bugs)
	b.WriteString(layersHeading)
	b.WriteString(layerTable(t.took()))
	slices.SortStableFunc(layers, func(x, y string) int { return cmp.Compare(order(x), order(y)) })
	for _, layer := range layers {
		fmt.Fprintf(&b, "\n## %s\n\n", layer)
		b.WriteString("| row | difficulty | needs | found | seeds | CPU s | check |\n|---|---|---|---|---|---|---|\n")
		for i := range t.rows {
			if r := &t.rows[i]; r.section() == layer {
				seeds, cpu, _ := r.medians()
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n",
					r.row.Row, r.row.Difficulty, r.row.Needs, r.found(), seeds, cpu, r.checks())
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const layersHeading = "\n## By layer\n\nMedians of the rows below, and the row that took most seeds.\n\n"

// took is what one row took: the median of its hunts.
type took struct {
	layer, row string
	always     bool // found from every base
	found      bool // from most of them
	seeds      uint64
	cpuSeconds float64
}

// took are the bugs of the table.
func (t *Table) took() []took {
	var all []took
	for i := range t.rows {
		r := &t.rows[i]
		m := medianFind(r.finds)
		if r.row.Control() || m == nil {
			continue
		}
		missed := slices.ContainsFunc(r.finds, func(f *Find) bool { return !f.Found })
		tenths := math.Round(m.CPUSeconds*10) / 10 // as the page shows it, so that it agrees with itself
		all = append(all, took{r.row.Layer, r.row.Row, !missed, m.Found, m.Seeds, tenths})
	}
	return all
}

// compare orders rows by how hard they are to find.
func (a *took) compare(b *took) int {
	if a.found != b.found {
		if a.found {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.seeds, b.seeds), cmp.Compare(a.cpuSeconds, b.cpuSeconds))
}

// text is the seeds and the CPU seconds, with a mark where that was not enough.
func (a *took) text() (seeds, cpu string) {
	more := ""
	if !a.found {
		more = ">"
	}
	return fmt.Sprintf("%s%d", more, a.seeds), fmt.Sprintf("%s%.1f", more, a.cpuSeconds)
}

// layerTable is one line for each layer. The median of an even number of rows is
// the later one of the two in the middle, as of hunts.
func layerTable(rows []took) string {
	var layers []string
	byLayer := map[string][]took{}
	for _, r := range rows {
		if byLayer[r.layer] == nil {
			layers = append(layers, r.layer)
		}
		byLayer[r.layer] = append(byLayer[r.layer], r)
	}
	var b strings.Builder
	b.WriteString("| layer | bugs | found from all bases | median seeds | median CPU s | hardest: seeds, CPU s |\n|---|---|---|---|---|---|\n")
	for _, layer := range layers {
		of := byLayer[layer]
		always := 0
		for i := range of {
			if of[i].always {
				always++
			}
		}
		slices.SortStableFunc(of, func(x, y took) int { return cmp.Compare(x.cpuSeconds, y.cpuSeconds) })
		_, cpu := of[len(of)/2].text()
		slices.SortStableFunc(of, func(x, y took) int { return x.compare(&y) })
		seeds, _ := of[len(of)/2].text()
		hardest := &of[len(of)-1]
		most, longest := hardest.text()
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s: %s, %s |\n", layer, len(of), always, seeds, cpu, hardest.row, most, longest)
	}
	return b.String()
}

const controls = "controls"

// section is under which heading the row stands.
func (r *tableRow) section() string {
	if r.row.Control() {
		return controls
	}
	return r.row.Layer
}

func order(section string) int {
	if section == controls {
		return 1
	}
	return 0
}

// list is "1, 2 and 3".
func list(numbers []uint64) string {
	var b strings.Builder
	for i, n := range numbers {
		switch {
		case i == 0:
		case i == len(numbers)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}

// medianFind is the one in the middle by seeds, the later one of two.
func medianFind(finds []*Find) *Find {
	if len(finds) == 0 {
		return nil
	}
	sorted := slices.Clone(finds)
	slices.SortStableFunc(sorted, func(a, b *Find) int {
		if a.Found != b.Found {
			if a.Found {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Seeds, b.Seeds)
	})
	return sorted[len(sorted)/2]
}

// checks lists which checks fired, the most frequent first, with a mark at
// those that the manifest does not expect.
func (r *tableRow) checks() string {
	count := map[Check]int{}
	var order []Check
	for _, f := range r.finds {
		if f.Found {
			if count[f.Check] == 0 {
				order = append(order, f.Check)
			}
			count[f.Check]++
		}
	}
	slices.SortStableFunc(order, func(a, b Check) int { return cmp.Compare(count[b], count[a]) })
	var parts []string
	for _, c := range order {
		text := c.Verdict
		if c.Property != "" {
			text = c.Property
		}
		if count[c] > 1 {
			text += fmt.Sprintf(" x%d", count[c])
		}
		if !r.row.Expected(c) {
			text += " (not expected)"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
