package bugbank

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table gathers finds, row by row.
type Table struct {
	rows []tableRow
}

type tableRow struct {
	row   *Row
	finds []*Find
}

// Add takes the finds of one row, one per base.
func (t *Table) Add(r *Row, finds []*Find) { t.rows = append(t.rows, tableRow{r, finds}) }

// Write prints the table: for each row the median of the seeds and of the CPU
// seconds that a find took, and which checks fired how often. A hunt without a
// find counts as longer than any other, so a median may be "more than" its
// budget.
func (t *Table) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "row\tlayer\tdifficulty\tfound\tseeds (median)\tCPU s (median)\tdeliveries (median)\tcheck")
	for _, r := range t.rows {
		n := len(r.finds)
		found := 0
		for _, f := range r.finds {
			if f.Found {
				found++
			}
		}
		m := medianFind(r.finds)
		more := ""
		if m != nil && !m.Found {
			more = ">"
		}
		seeds, cpu, deliveries := "-", "-", "-"
		if m != nil {
			seeds = fmt.Sprintf("%s%d", more, m.Seeds)
			cpu = fmt.Sprintf("%s%.1f", more, m.CPUSeconds)
			deliveries = fmt.Sprintf("%s%d", more, m.Deliveries)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\n",
			r.row.Row, r.row.Layer, r.row.Difficulty, found, n, seeds, cpu, deliveries, r.checks())
	}
	return tw.Flush()
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
