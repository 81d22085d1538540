package choice

import "slices"

// Tape is a run written down as its decisions, in the order in which they were
// taken. It can be stored, replayed, and edited to see what of the run
// matters: a decision keeps its value wherever others go.
type Tape struct {
	streams []Name
	entries []entry // occurrences of one stream rise

	// complete: every decision of the run is here. What was deleted makes the
	// tape incomplete for good; what was set to benign does not.
	complete bool
}

type entry struct {
	stream       uint32 // index into streams
	occurrence   uint32
	alternatives uint16 // 1 to AlternativesMax
	value        uint8  // less than alternatives
}

// Decision is one line of a tape.
type Decision struct {
	Stream       Name
	Occurrence   uint64 // in its stream, from 0
	Alternatives int
	Value        int // 0 is benign
}

// Tape returns the decisions taken so far, however they were answered: the
// tape of a replay is that of the run which it became. Hunting records
// nothing and returns nil.
func (s *Source) Tape() *Tape {
	if s.mode == hunting {
		return nil
	}
	t := &Tape{entries: make([]entry, len(s.log)), complete: true}
	numbers := make([]int32, len(s.streams)) // on the tape, + 1
	next := make([]uint32, len(s.streams))
	for i, r := range s.log {
		st := r.stream - 1
		if numbers[st] == 0 {
			t.streams = append(t.streams, s.names[st])
			numbers[st] = int32(len(t.streams))
		}
		t.entries[i] = entry{uint32(numbers[st] - 1), next[st], r.alternatives, r.value}
		next[st]++
	}
	return t
}

// Len is the number of decisions on the tape.
func (t *Tape) Len() int { return len(t.entries) }

// Complete says whether every decision of the run is on the tape, so that a
// replay can tell where it leaves it.
func (t *Tape) Complete() bool { return t.complete }

// At returns decision i.
func (t *Tape) At(i int) Decision {
	e := t.entries[i]
	return Decision{t.streams[e.stream], uint64(e.occurrence), int(e.alternatives), int(e.value)}
}

// Faults is how many decisions are not benign.
func (t *Tape) Faults() int {
	n := 0
	for i := range t.entries {
		if t.entries[i].value != 0 {
			n++
		}
	}
	return n
}

// Set changes the value of decision i, which must be one of its alternatives.
func (t *Tape) Set(i, value int) {
	e := &t.entries[i]
	if value < 0 || value >= int(e.alternatives) {
		panic("choice: value is none of the alternatives")
	}
	e.value = uint8(value)
}

// SetBenign sets decision i to 0.
func (t *Tape) SetBenign(i int) { t.entries[i].value = 0 }

// Delete removes the decisions from i up to and without j. In a replay they
// are benign.
func (t *Tape) Delete(i, j int) {
	if i < j {
		t.entries = slices.Delete(t.entries, i, j)
		t.complete = false
	}
}

// DeleteBenign removes every decision that is benign anyway. The tape then
// lists what went wrong and nothing else, and replays as before.
func (t *Tape) DeleteBenign() {
	n := len(t.entries)
	t.entries = slices.DeleteFunc(t.entries, func(e entry) bool { return e.value == 0 })
	if len(t.entries) < n {
		t.complete = false
	}
}

// Clone returns a copy that shares nothing which either could change.
func (t *Tape) Clone() *Tape {
	return &Tape{
		streams:  t.streams[:len(t.streams):len(t.streams)],
		entries:  slices.Clone(t.entries),
		complete: t.complete,
	}
}
