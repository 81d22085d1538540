package choice

import "fmt"

// Replay returns a source that answers from a tape. A decision finds its value
// by stream and occurrence, and only if it has as many alternatives as on the
// tape; otherwise it is benign. The tape is copied.
//
// On a complete tape the decisions also have an order, and the first that is
// not the next one on the tape is the drift: from there on the run is another
// than the recorded one. On a tape from which decisions were deleted only a
// change of alternatives can be noticed.
func Replay(t *Tape) *Source {
	s := New(0)
	s.mode = replaying
	s.replay.load(t)
	return s
}

// Drift is the first decision of a replay that does not fit its tape.
type Drift struct {
	Decision     uint64 // its number in the run, from 0
	Stream       Name
	Occurrence   uint64 // in its stream, from 0
	Alternatives int

	// What the tape has in this place. End says that it has nothing, and
	// the other fields are zero.
	End                  bool
	Expected             Name
	ExpectedOccurrence   uint64
	ExpectedAlternatives int
}

func (d Drift) String() string {
	at := fmt.Sprintf("decision %d is %v, occurrence %d, of %d",
		d.Decision, d.Stream, d.Occurrence, d.Alternatives)
	if d.End {
		return at + "; the tape has ended"
	}
	return fmt.Sprintf("%s; the tape has %v, occurrence %d, of %d",
		at, d.Expected, d.ExpectedOccurrence, d.ExpectedAlternatives)
}

// Drift says where a replay first left its tape, if it did.
func (s *Source) Drift() (Drift, bool) { return s.replay.drift, s.replay.drifted }

// Unused is how many decisions of the tape a replay has not taken so far. At
// the end of a run that did not drift it is 0, or the run ended early.
func (s *Source) Unused() int { return s.replay.unused }

// replay is a tape, ordered for reading.
type replay struct {
	tape    *Tape
	byName  map[Name]int32 // the tape's number for a stream
	lines   [][]answer     // by the tape's number, by rising occurrence
	reading []line         // by Stream - 1

	at      int // the next decision on a complete tape
	unused  int
	drift   Drift
	drifted bool
}

type answer struct {
	occurrence   uint32
	alternatives uint16
	value        uint8
}

// line is the reading end of one stream.
type line struct {
	number int32 // on the tape, or -1
	rest   []answer
}

func (r *replay) load(t *Tape) {
	r.tape = t.Clone()
	r.unused = len(t.entries)
	r.byName = make(map[Name]int32, len(t.streams))
	counts := make([]int, len(t.streams))
	for i := range t.entries {
		counts[t.entries[i].stream]++
	}
	all := make([]answer, len(t.entries))
	r.lines = make([][]answer, len(t.streams))
	for i, n := range counts {
		r.byName[t.streams[i]] = int32(i)
		r.lines[i], all = all[:0:n], all[n:]
	}
	for i := range t.entries {
		e := &t.entries[i]
		r.lines[e.stream] = append(r.lines[e.stream], answer{e.occurrence, e.alternatives, e.value})
	}
}

func (r *replay) open(id Name) {
	number, ok := r.byName[id]
	if !ok {
		r.reading = append(r.reading, line{number: -1})
		return
	}
	r.reading = append(r.reading, line{number: number, rest: r.lines[number]})
}

// recall answers a decision from the tape.
func (s *Source) recall(st Stream, n int) int {
	x := &s.streams[st-1]
	occurrence := x.next
	x.next++

	r := &s.replay
	l := &r.reading[st-1]
	for len(l.rest) > 0 && uint64(l.rest[0].occurrence) < occurrence {
		l.rest = l.rest[1:]
	}
	if !r.drifted && r.tape.complete {
		s.checkOrder(st, l.number, occurrence, n)
	}
	if len(l.rest) == 0 || uint64(l.rest[0].occurrence) != occurrence {
		return 0
	}
	found := l.rest[0]
	l.rest = l.rest[1:]
	if int(found.alternatives) != n {
		if !r.drifted {
			s.setDrift(st, occurrence, n, entry{
				stream: uint32(l.number), occurrence: found.occurrence, alternatives: found.alternatives,
			})
		}
		return 0
	}
	r.unused--
	return int(found.value)
}

// checkOrder wants the decision to be the next one on a complete tape. As long
// as it is, stream by stream, so are the occurrences, and recall sees whether
// the alternatives are.
func (s *Source) checkOrder(st Stream, number int32, occurrence uint64, n int) {
	r := &s.replay
	if r.at == len(r.tape.entries) {
		r.drifted = true
		r.drift = s.driftAt(st, occurrence, n)
		r.drift.End = true
		return
	}
	e := r.tape.entries[r.at]
	if int64(e.stream) != int64(number) {
		s.setDrift(st, occurrence, n, e)
		return
	}
	r.at++
}

func (s *Source) setDrift(st Stream, occurrence uint64, n int, expected entry) {
	d := s.driftAt(st, occurrence, n)
	d.Expected = s.replay.tape.streams[expected.stream]
	d.ExpectedOccurrence = uint64(expected.occurrence)
	d.ExpectedAlternatives = int(expected.alternatives)
	s.replay.drift, s.replay.drifted = d, true
}

func (s *Source) driftAt(st Stream, occurrence uint64, n int) Drift {
	return Drift{
		Decision:     uint64(len(s.log)),
		Stream:       s.names[st-1],
		Occurrence:   occurrence,
		Alternatives: n,
	}
}
