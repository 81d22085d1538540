// Package digest folds words and bytes into one 64-bit word. The result
// depends on nothing but the input: not on the machine, the process or the
// version of the program, so digests may be stored, sent and compared across
// replicas.
//
// It is made for telling accident from agreement, not for keeping out an
// attacker: whoever knows the function can make two inputs collide.
package digest

import (
	"encoding/binary"
	"math/bits"
)

const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xd6e8feb86659fd93
)

// Word folds w into h. It is not symmetric: the order of words matters.
func Word(h, w uint64) uint64 {
	hi, lo := bits.Mul64(h^mixA, w^mixB)
	return hi ^ lo ^ bits.RotateLeft64(h, 29) ^ w
}

// Bytes folds b and its length into h, so that two neighbouring fields can
// not trade bytes unseen.
func Bytes(h uint64, b []byte) uint64 {
	h = Word(h, uint64(len(b)))
	for len(b) >= 8 {
		h = Word(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var tail uint64
		for i, c := range b {
			tail |= uint64(c) << (8 * i)
		}
		h = Word(h, tail)
	}
	return h
}

// String is Bytes for a string.
func String(h uint64, s string) uint64 {
	h = Word(h, uint64(len(s)))
	for len(s) >= 8 {
		h = Word(h, uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
			uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56)
		s = s[8:]
	}
	if len(s) > 0 {
		var tail uint64
		for i := 0; i < len(s); i++ {
			tail |= uint64(s[i]) << (8 * i)
		}
		h = Word(h, tail)
	}
	return h
}

// Finish spreads the last words over all bits. Fold first, finish once.
func Finish(h uint64) uint64 {
	h ^= h >> 32
	h *= mixB
	h ^= h >> 29
	return h
}
