package campaign

import (
	"strings"
	"testing"
)

// Leases hold within their bound, break far beyond it, and read index does
// neither.
func TestLeasesBreakBeyondTheirBound(t *testing.T) {
	x := Leases{BoundPPM: 100_000, Drifts: []uint64{100_000, 2_000_000}, Seeds: 6}
	lines, err := x.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		if lines[i].Wrong() {
			t.Errorf("%+v", lines[i])
		}
	}
	if l := lines[0]; l.LeaseReads == 0 || !l.Within {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Broken == 0 || l.FirstSeed == 0 {
		t.Errorf("clocks three times as fast break no lease: %+v", l)
	}
	var b strings.Builder
	if err := WriteLeases(&b, x.BoundPPM, lines); err != nil || strings.Count(b.String(), "\n") != 4 ||
		!strings.Contains(b.String(), "| 200 % | does not hold |") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
