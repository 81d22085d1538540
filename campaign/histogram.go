package campaign

import "math/bits"

// histogram counts durations in bounded memory: values below 2^exactBits are
// exact, larger ones are off by at most one part in 2^(exactBits-1).
type histogram struct {
	counts [(65 - exactBits) << (exactBits - 1) * 2]uint32
	total  uint64
	max    uint64
}

const exactBits = 8

func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-exactBits, 0)
	return shift<<(exactBits-1) + int(v>>shift)
}

// bucketTop is the largest value in a bucket.
func bucketTop(b int) uint64 {
	if b < 1<<exactBits {
		return uint64(b)
	}
	shift := b>>(exactBits-1) - 1
	v := uint64(b - shift<<(exactBits-1))
	return (v+1)<<shift - 1
}

func (h *histogram) add(v uint64) {
	h.counts[bucketOf(v)]++
	h.total++
	h.max = max(h.max, v)
}

// percentile is the smallest value that at least p in 100 of all values do
// not exceed, or 0 if there are none.
func (h *histogram) percentile(p uint64) uint64 {
	want := (h.total*p + 99) / 100
	var seen uint64
	for b, n := range h.counts {
		seen += uint64(n)
		if n > 0 && seen >= want {
			return min(bucketTop(b), h.max)
		}
	}
	return 0
}
