package choice

import (
	"fmt"
	"math/bits"
)

// ChooseRange returns a value from lo to hi, both included, every part of the
// range equally likely. Up to 256 values it is one decision; above, it is two
// of 256 alternatives each, so that a range of more than 65536 values is drawn
// in 65536 steps. All zeros give lo.
func (s *Source) ChooseRange(st Stream, lo, hi uint64) uint64 {
	if lo > hi {
		badRange(lo, hi)
	}
	span := hi - lo // one less than there are values
	if span < AlternativesMax {
		return lo + uint64(s.Choose(st, int(span)+1))
	}
	coarse := uint64(s.Choose(st, AlternativesMax))
	fine := uint64(s.Choose(st, AlternativesMax))
	// (span+1) * fraction of 2^16, without overflow at the full range.
	fraction := coarse<<8 | fine
	high, low := bits.Mul64(span, fraction)
	low, carry := bits.Add64(low, fraction, 0)
	high += carry
	return lo + (high<<48 | low>>16)
}

// ChooseLog returns a value from lo to hi, lo at least 1, with every doubling
// of lo equally likely: one decision for the doubling, one for the place in
// it. Use it where a microsecond and a minute are both worth trying. All
// zeros give lo.
func (s *Source) ChooseLog(st Stream, lo, hi uint64) uint64 {
	if lo == 0 || lo > hi {
		badRange(lo, hi)
	}
	low := lo << s.Choose(st, bits.Len64(hi/lo))
	width := min(low, hi-low+1)
	place := uint64(s.Choose(st, AlternativesMax))
	return low + width>>8*place + width&255*place>>8
}

// Shuffle puts p into a drawn order, with one decision per element but the
// last. All zeros leave it as it is. len(p) is at most AlternativesMax.
func Shuffle[T any](s *Source, st Stream, p []T) {
	for i := 0; i < len(p)-1; i++ {
		j := i + s.Choose(st, len(p)-i)
		p[i], p[j] = p[j], p[i]
	}
}

//go:noinline
func badRange(lo, hi uint64) {
	panic(fmt.Sprintf("choice: no range from %d to %d", lo, hi))
}
