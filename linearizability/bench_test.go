package linearizability

import (
	"fmt"
	"testing"
)

// Judging 5,000 operations by their points, as at the end of each simulated
// run.
func BenchmarkPoints(b *testing.B) {
	for _, keys := range []int{10, 100, 500} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			o := options{ops: 5000, clients: 10, keys: keys, lossy: 2, refused: 2, sessions: true}
			h := generate(o, seeded(7))
			c := NewChecker(KV{})
			b.ReportAllocs()
			for b.Loop() {
				if r, err := c.Points(h); err != nil || r.Verdict != Ok {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*h.Len()), "ns/operation")
		})
	}
}

// Judging the largest small run without points.
func BenchmarkWhole(b *testing.B) {
	h := generate(options{ops: 300, clients: 4, keys: 6, lossy: 15, refused: 2, sessions: true}, seeded(7))
	c := NewChecker(KV{})
	b.ReportAllocs()
	for b.Loop() {
		if r, err := c.Whole(h, WholeStepsMax); err != nil || r.Verdict != Ok {
			b.Fatal(r, err)
		}
	}
}

// Recording one operation.
func BenchmarkRecord(b *testing.B) {
	var h History
	input, output := make([]byte, 24), make([]byte, 12)
	b.ReportAllocs()
	for b.Loop() {
		if h.Len() == 5000 {
			h.Reset()
		}
		id := h.Call(3, 0, input)
		h.Wrote(id, 1)
		h.Return(id, 0, output)
	}
}
