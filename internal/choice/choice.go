// Package choice makes every decision of a simulated run: which packet is
// lost, how long a timeout is, who crashes and when. A run that takes all of
// its decisions here is repeated by its seed, written down as a tape, replayed
// from it, and made smaller by editing it.
//
// Rules for whoever takes a decision:
//
//   - Alternative 0 is the benign one: no fault, the shortest delay, the first
//     of the list. A tape full of zeros is then the calmest run, and whatever
//     a replay does not find on its tape can safely be 0.
//   - Each place that decides has its own stream, named by what it decides and
//     for whom ("net/fate", from, to). A value is a function of seed, stream
//     and occurrence and of nothing else: not of the order in which streams
//     were made, nor of what other streams were asked. A new stream moves no
//     other; a decision put into an existing one moves what follows in it.
//   - A rare event is a Chance, stored as 0 or 1.
//     What follows from it (how long, how many) is drawn only when it came
//     true, so that a quiet run has a short tape.
//   - A decision has at most 256 alternatives. A wide range is two decisions,
//     coarse and fine: ChooseRange where all values matter alike, ChooseLog
//     where each order of magnitude does, as with durations.
//   - Integers only. Floating point may be rounded differently elsewhere.
//
// A Source is not safe for concurrent use; one run owns one.
package choice

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core/digest"
)

// AlternativesMax is the largest number of alternatives of one decision.
const AlternativesMax = 256

// Stream is a handle for one line of decisions. It belongs to the Source that
// made it. The zero Stream belongs to none, and using it panics.
type Stream uint32

// Name identifies a stream across runs: what is decided, and for whom.
type Name struct {
	Name string
	A, B uint64
}

func (n Name) String() string {
	return fmt.Sprintf("%s(%d,%d)", n.Name, n.A, n.B)
}

// mode says where values come from. All modes but hunting also record.
type mode uint8

const (
	hunting   mode = iota // drawn from the seed
	recording             // drawn from the seed
	replaying             // read from a tape
	fuzzing               // read from bytes
)

// stream is the part of a stream that every decision touches.
type stream struct {
	key  uint64 // seed and name, mixed
	next uint64 // occurrence of the next decision, from 0
}

// Source answers the decisions of one run.
type Source struct {
	mode    mode
	streams []stream // by Stream - 1
	names   []Name   // likewise
	handles map[Name]Stream
	seed    uint64

	log    []record // every decision so far, unless hunting
	replay replay   // mode replaying
	// Mode fuzzing: what is left, and who goes on when nothing is; nil: nobody.
	bytes []byte
	more  func() byte
}

// record is one decision as it was taken.
type record struct {
	stream       Stream
	alternatives uint16
	value        uint8
	fuzz         uint8 // the byte that makes FromBytes take the same decision
}

// New returns a source for hunting: values come from the seed, and nothing is
// recorded.
func New(seed uint64) *Source {
	return &Source{seed: seed, handles: make(map[Name]Stream)}
}

// NewRecording returns a source that gives the same values as New does and
// keeps them for Tape.
func NewRecording(seed uint64) *Source {
	s := New(seed)
	s.mode = recording
	return s
}

// Seed is what New or NewRecording was given, otherwise 0.
func (s *Source) Seed() uint64 { return s.seed }

// Stream returns the handle for a name: the same one each time. Looking it up
// costs more than a decision, so keep it.
func (s *Source) Stream(name string, a, b uint64) Stream {
	id := Name{name, a, b}
	if st, ok := s.handles[id]; ok {
		return st
	}
	key := digest.Word(digest.Word(digest.String(digest.Word(0, s.seed), name), a), b)
	s.streams = append(s.streams, stream{key: digest.Finish(key)})
	s.names = append(s.names, id)
	st := Stream(len(s.streams))
	s.handles[id] = st
	if s.mode == replaying {
		s.replay.open(id)
	}
	return st
}

// NameOf is what a handle stands for.
func (s *Source) NameOf(st Stream) Name { return s.names[st-1] }

// Chance is true num times out of den, which must not be 0. It is a decision
// between two alternatives, 0 for false, or only one where num is 0. Even
// where num equals den a tape or fuzz input may make it false.
func (s *Source) Chance(st Stream, num, den uint32) bool {
	if den == 0 {
		panic("choice: chance out of 0")
	}
	if s.mode > recording {
		return s.chanceElsewhere(st, num, den)
	}
	hit := below(s.draw(st), uint64(den)) < uint64(num)
	if s.mode == recording {
		s.recordChance(st, num, hit)
	}
	return hit
}

// Choose returns one of 0 to n-1, all equally likely. n is from 1 to
// AlternativesMax.
func (s *Source) Choose(st Stream, n int) int {
	if uint(n-1) >= AlternativesMax {
		badAlternatives(n)
	}
	if s.mode > recording {
		return s.chooseElsewhere(st, n)
	}
	v := int(below(s.draw(st), uint64(n)))
	if s.mode == recording {
		s.record(st, n, v, byte(v))
	}
	return v
}

// Pick returns one of the alternatives of w, each as likely as its weight.
func (s *Source) Pick(st Stream, w *Weights) int {
	if s.mode > recording {
		return s.pickElsewhere(st, w)
	}
	v := 0
	if r := below(s.draw(st), w.total); r >= w.upTo[0] {
		v = w.find(r)
	}
	if s.mode == recording {
		s.record(st, len(w.upTo), v, w.firstByte[v])
	}
	return v
}

// Decisions is how many were taken so far.
func (s *Source) Decisions() uint64 {
	var n uint64
	for i := range s.streams {
		n += s.streams[i].next
	}
	return n
}

// draw takes the next word of a stream.
func (s *Source) draw(st Stream) uint64 {
	x := &s.streams[st-1]
	occurrence := x.next
	x.next = occurrence + 1
	return digest.Finish(digest.Word(x.key, occurrence))
}

// below scales the upper half of a word to 0..n-1, for n up to 2^32. The
// likelihoods of two values differ by less than n in 2^32.
func below(word, n uint64) uint64 { return (word >> 32) * n >> 32 }

func (s *Source) record(st Stream, n, v int, fuzz byte) {
	s.log = append(s.log, record{st, uint16(n), uint8(v), fuzz})
}

func (s *Source) recordChance(st Stream, num uint32, hit bool) {
	switch {
	case hit:
		s.record(st, 2, 1, 0xff)
	case num == 0:
		s.record(st, 1, 0, 0)
	default:
		s.record(st, 2, 0, 0)
	}
}

// The three below answer from a tape or from bytes.

func (s *Source) chanceElsewhere(st Stream, num, den uint32) bool {
	n := 2
	if num == 0 {
		n = 1
	}
	var hit bool
	if s.mode == replaying {
		hit = s.recall(st, n) != 0
	} else if b := s.nextByte(st, n); b != 0 {
		// At least one byte out of 256 says true, at least one says false.
		yes := min(max(uint64(num)*256/uint64(den), 1), 255)
		hit = uint64(b) >= 256-yes
	}
	s.recordChance(st, num, hit)
	return hit
}

func (s *Source) chooseElsewhere(st Stream, n int) int {
	var v int
	if s.mode == replaying {
		v = s.recall(st, n)
	} else {
		v = int(s.nextByte(st, n)) % n
	}
	s.record(st, n, v, byte(v))
	return v
}

func (s *Source) pickElsewhere(st Stream, w *Weights) int {
	var v int
	if s.mode == replaying {
		v = s.recall(st, len(w.upTo))
	} else {
		v = int(w.byByte[s.nextByte(st, len(w.upTo))])
	}
	s.record(st, len(w.upTo), v, w.firstByte[v])
	return v
}

//go:noinline
func badAlternatives(n int) {
	panic(fmt.Sprintf("choice: %d alternatives, want 1 to %d", n, AlternativesMax))
}
