package choice

import "fmt"

// Weights are the likelihoods of the alternatives of a Pick. They are made
// once and shared freely; nothing changes them.
type Weights struct {
	total uint64
	upTo  []uint64 // upTo[i]: the sum of the weights 0 to i

	// A byte as a decision, for FromBytes: 0 gives alternative 0, and each
	// alternative with a weight has at least one byte, however rare it is.
	byByte    [256]uint8
	firstByte [AlternativesMax]uint8 // the way back
}

// NewWeights makes weights for len(w) alternatives, at most AlternativesMax,
// with a sum between 1 and 2^32-1. Anything else panics.
func NewWeights(w ...uint32) *Weights {
	if len(w) == 0 || len(w) > AlternativesMax {
		badAlternatives(len(w))
	}
	p := &Weights{upTo: make([]uint64, len(w))}
	for i, x := range w {
		p.total += uint64(x)
		p.upTo[i] = p.total
	}
	if p.total == 0 || p.total >= 1<<32 {
		panic(fmt.Sprintf("choice: weights sum to %d", p.total))
	}
	p.assignBytes(w)
	return p
}

// Len is the number of alternatives.
func (w *Weights) Len() int { return len(w.upTo) }

// find is the alternative that r < total falls on. The list is short and its
// head is the usual answer, so it is searched from there.
func (w *Weights) find(r uint64) int {
	i := 0
	for r >= w.upTo[i] {
		i++
	}
	return i
}

// assignBytes deals out the 256 bytes: alternative 0 takes the low ones, then
// the others in order.
func (w *Weights) assignBytes(weights []uint32) {
	var share [AlternativesMax]int
	rest := 256
	for i := 1; i < len(weights); i++ {
		if weights[i] > 0 {
			share[i] = max(int(uint64(weights[i])*256/w.total), 1)
			rest -= share[i]
		}
	}
	for rest < 1 { // many small ones rounded up: the largest gives way
		largest := 1
		for i := 2; i < len(weights); i++ {
			if share[i] > share[largest] {
				largest = i
			}
		}
		share[largest]--
		rest++
	}
	share[0] = rest
	b := 0
	for i := range weights {
		w.firstByte[i] = uint8(b)
		for range share[i] {
			w.byByte[b] = uint8(i)
			b++
		}
		if share[i] == 0 {
			w.firstByte[i] = 0 // no byte leads here, and no draw either
		}
	}
}
