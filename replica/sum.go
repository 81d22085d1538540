package replica

import (
	"encoding/binary"

	"github.com/seaworthy-raft/seaworthy/core/digest"
)

// Sum digests a stream of bytes. The result depends on the bytes alone, not on
// the pieces in which they came. It is what core.Snapshot.Sum holds. The zero
// Sum is ready for use.
type Sum struct {
	h    uint64
	size uint64
	tail [8]byte // the last size%8 bytes, not folded yet
}

// Write folds p into the sum. It never fails.
func (s *Sum) Write(p []byte) (int, error) {
	n := len(p)
	if k := int(s.size % 8); k > 0 {
		c := copy(s.tail[k:], p)
		s.size += uint64(c)
		if k+c < 8 {
			return n, nil
		}
		s.h = digest.Word(s.h, binary.LittleEndian.Uint64(s.tail[:]))
		p = p[c:]
	}
	s.size += uint64(len(p))
	h := s.h
	for len(p) >= 8 {
		h = digest.Word(h, binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	s.h = h
	copy(s.tail[:], p)
	return n, nil
}

// Size is how many bytes have been written.
func (s *Sum) Size() uint64 { return s.size }

// Sum64 is the digest of what has been written so far.
func (s *Sum) Sum64() uint64 {
	return digest.Finish(digest.Word(digest.Bytes(s.h, s.tail[:s.size%8]), s.size))
}
