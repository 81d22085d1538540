package campaign

import (
	"fmt"
	"slices"
	"strings"
)

// FailureGroup are the failures of a campaign that violate the same property in
// the same way: most likely one bug.
type FailureGroup struct {
	Verdict  string   `json:"verdict"`
	Property string   `json:"property"`
	Seeds    []uint64 `json:"seeds"` // in the order in which they came
	// Repeat does the first of them again.
	Repeat string `json:"repeat"`
}

// groupSeedsShown is how many seeds of a group are shown to people.
const groupSeedsShown = 10

// Groups are the failures by verdict and property, the largest group first, of
// equally large ones the one that came first.
func Groups(failed []*Outcome) []FailureGroup {
	groups := []FailureGroup{}
	for _, o := range failed {
		i := slices.IndexFunc(groups, func(g FailureGroup) bool { return g.Verdict == o.Verdict && g.Property == o.Property() })
		if i < 0 {
			i = len(groups)
			groups = append(groups, FailureGroup{Verdict: o.Verdict, Property: o.Property(), Repeat: o.Repeat()})
		}
		groups[i].Seeds = append(groups[i].Seeds, o.Seed)
	}
	slices.SortStableFunc(groups, func(a, b FailureGroup) int { return len(b.Seeds) - len(a.Seeds) })
	return groups
}

// Property is what was violated, or "".
func (o *Outcome) Property() string {
	if o.Failure == nil {
		return ""
	}
	return o.Failure.Property
}

// BriefText is one line about a failure like one that was shown in full.
func (o *Outcome) BriefText(st Style) string {
	text := fmt.Sprintf("seed %d  %s: %s, as before", o.Seed, st.bad(o.Verdict), o.Property())
	if o.Folder != "" {
		text += "; written to " + o.Folder
	}
	return text + "\n"
}

// GroupsText shows each group in two lines; nothing if there is none.
func GroupsText(groups []FailureGroup, st Style) string {
	var b strings.Builder
	for i := range groups {
		g := &groups[i]
		var seeds []string
		for _, seed := range g.Seeds[:min(len(g.Seeds), groupSeedsShown)] {
			seeds = append(seeds, seedText(seed))
		}
		more := ""
		if n := len(g.Seeds) - len(seeds); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(&b, "%s %s: %s failed: %s%s\n  %s\n",
			st.bad(g.Verdict), g.Property, counted(uint64(len(g.Seeds)), "seed"), strings.Join(seeds, ", "), more, g.Repeat)
	}
	return b.String()
}
