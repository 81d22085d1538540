package campaign

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Custom(func(t *rapid.T) uint64 {
			return rapid.Uint64().Draw(t, "value") >> rapid.IntRange(0, 63).Draw(t, "shift")
		})).Draw(t, "values")
		var h histogram
		for _, v := range values {
			h.add(v)
		}
		slices.Sort(values)
		for _, p := range []uint64{1, 50, 99, 100} {
			var exact uint64
			if n := uint64(len(values)); n > 0 {
				exact = values[(n*p+99)/100-1]
			}
			got := h.percentile(p)
			if got < exact || got-exact > exact>>(exactBits-1) || exact < 1<<exactBits && got != exact {
				t.Fatalf("percentile %d of %v is %d, want about %d", p, values, got, exact)
			}
		}
	})
}
