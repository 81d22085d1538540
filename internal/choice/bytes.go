package choice

// FromBytes returns a source whose decisions are the bytes of b, one each in
// the order in which they are asked for, whatever the stream: a fuzzer's input
// as a run. Decisions with a single alternative take no byte. After the end,
// or after limit bytes, all is benign. b is not copied and must not change.
//
// Low bytes are calm: 0 is alternative 0, and of a Chance only the highest
// bytes make it true, about as many as its likelihood, but at least one.
func FromBytes(b []byte, limit int) *Source {
	s := New(0)
	s.mode = fuzzing
	s.bytes = b[:min(len(b), max(limit, 0))]
	return s
}

// FromGenerator returns a source whose decisions are the bytes that next gives,
// as FromBytes takes them from its input, for as long as there are decisions: a
// generator of bytes as one of runs. Where the bytes are equally likely, so are
// decisions as if a seed had made them, but for a rare Chance, which comes true
// once in 256 at least.
func FromGenerator(next func() byte) *Source {
	s := New(0)
	s.mode = fuzzing
	s.more = next
	return s
}

// Bytes is the input with which FromBytes takes the decisions taken so far,
// cut after limit bytes and after the last that is not benign: the way from a
// known failure into a fuzzer's corpus. Hunting, there is none.
func (s *Source) Bytes(limit int) []byte {
	var b []byte
	end := 0
	for i := range s.log {
		if len(b) >= limit {
			break
		}
		if s.log[i].alternatives > 1 {
			b = append(b, s.log[i].fuzz)
			if s.log[i].value != 0 {
				end = len(b)
			}
		}
	}
	return b[:end]
}

// nextByte takes the byte for a decision between n alternatives.
func (s *Source) nextByte(st Stream, n int) byte {
	s.streams[st-1].next++
	switch {
	case n == 1:
		return 0
	case len(s.bytes) == 0 && s.more != nil:
		return s.more()
	case len(s.bytes) == 0:
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return b
}
