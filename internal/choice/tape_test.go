package choice

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// walk is a run in small: it takes decisions of every kind on a few streams,
// and where it goes depends on what was decided. It returns what was decided.
func walk(s *Source, steps int) []uint64 {
	var got []uint64
	next := s.Stream("next", 0, 0)
	w := NewWeights(20, 1, 0, 2)
	for range steps {
		a := uint64(s.Choose(next, 4))
		st := s.Stream("at", a, 1)
		switch a {
		case 0:
			got = append(got, uint64(s.Pick(st, w)))
		case 1:
			if s.Chance(st, 1, 3) {
				got = append(got, s.ChooseLog(s.Stream("late", 0, 0), 10, 1e9))
			}
		case 2:
			got = append(got, s.ChooseRange(st, 0, 300))
			s.Chance(st, 0, 9)
		case 3:
			got = append(got, uint64(s.Choose(st, 1+int(got0(got)%256))))
		}
	}
	return got
}

func got0(got []uint64) uint64 {
	if len(got) == 0 {
		return 0
	}
	return got[len(got)-1]
}

func TestRecordingGivesTheValuesOfHunting(t *testing.T) {
	hunt, rec := New(5), NewRecording(5)
	if h, r := walk(hunt, 500), walk(rec, 500); !reflect.DeepEqual(h, r) {
		t.Fatal("recording went another way")
	}
	if hunt.Decisions() != rec.Decisions() || rec.Tape().Len() != int(rec.Decisions()) {
		t.Fatalf("hunting took %d decisions, recording %d, its tape has %d",
			hunt.Decisions(), rec.Decisions(), rec.Tape().Len())
	}
	if hunt.Tape() != nil {
		t.Fatal("hunting has a tape")
	}
}

func TestReplayRepeatsTheRun(t *testing.T) {
	rec := NewRecording(5)
	want := walk(rec, 500)
	rep := Replay(rec.Tape())
	rep.Stream("made first, and never used", 0, 0) // handles need not agree
	if got := walk(rep, 500); !reflect.DeepEqual(got, want) {
		t.Fatal("the replay went another way")
	}
	if d, ok := rep.Drift(); ok || rep.Unused() != 0 {
		t.Fatalf("drift %v (%t), %d unused", d, ok, rep.Unused())
	}
	if !reflect.DeepEqual(rep.Tape(), rec.Tape()) {
		t.Fatal("the replay's own tape differs")
	}
}

func TestReplayEndsBenign(t *testing.T) {
	rec := NewRecording(5)
	walk(rec, 100)
	rep := Replay(rec.Tape())
	walk(rep, 100)
	n := int(rep.Decisions())
	st := rep.Stream("next", 0, 0)
	for range 50 {
		if rep.Choose(st, 4) != 0 {
			t.Fatal("a decision after the tape's end is not benign")
		}
	}
	d, ok := rep.Drift()
	want := Drift{Decision: uint64(n), Stream: Name{"next", 0, 0}, Occurrence: 100, Alternatives: 4, End: true}
	if !ok || d != want {
		t.Fatalf("drift %+v (%t), want %+v", d, ok, want)
	}
	if !strings.Contains(d.String(), "tape has ended") {
		t.Fatalf("drift reads %q", d)
	}
}

func TestReplayThatStopsEarlyHasUnused(t *testing.T) {
	rec := NewRecording(5)
	walk(rec, 100)
	rep := Replay(rec.Tape())
	walk(rep, 60)
	if want := rec.Tape().Len() - int(rep.Decisions()); rep.Unused() != want || want == 0 {
		t.Fatalf("%d unused, want %d", rep.Unused(), want)
	}
	if d, ok := rep.Drift(); ok {
		t.Fatalf("drift %v", d)
	}
}

func TestDriftNamesTheFirstMisfit(t *testing.T) {
	record := func() *Tape {
		s := NewRecording(1)
		a, b := s.Stream("a", 1, 0), s.Stream("b", 2, 0)
		s.Choose(a, 10)
		s.Choose(b, 20)
		s.Choose(b, 30)
		s.Choose(a, 40)
		return s.Tape()
	}
	a, b, c := Name{"a", 1, 0}, Name{"b", 2, 0}, Name{"c", 3, 0}
	type ask struct {
		name Name
		n    int
	}
	cases := map[string]struct {
		asks []ask
		want Drift
	}{
		"other stream": {
			[]ask{{a, 10}, {a, 40}, {b, 20}},
			Drift{Decision: 1, Stream: a, Occurrence: 1, Alternatives: 40,
				Expected: b, ExpectedAlternatives: 20},
		},
		"unknown stream": {
			[]ask{{a, 10}, {b, 20}, {c, 2}},
			Drift{Decision: 2, Stream: c, Alternatives: 2,
				Expected: b, ExpectedOccurrence: 1, ExpectedAlternatives: 30},
		},
		"other alternatives": {
			[]ask{{a, 10}, {b, 20}, {b, 31}, {a, 41}},
			Drift{Decision: 2, Stream: b, Occurrence: 1, Alternatives: 31,
				Expected: b, ExpectedOccurrence: 1, ExpectedAlternatives: 30},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rep := Replay(record())
			for _, x := range c.asks {
				v := rep.Choose(rep.Stream(x.name.Name, x.name.A, x.name.B), x.n)
				if v != 0 && (x.n == 31 || x.n == 41 || x.name.Name == "c") {
					t.Errorf("%v of %d found a value", x.name, x.n)
				}
			}
			if d, ok := rep.Drift(); !ok || d != c.want {
				t.Errorf("drift %+v (%t)\nwant %+v", d, ok, c.want)
			}
		})
	}
}

// The heart of shrinking: whatever is edited, every other decision keeps its
// value, because it is found by stream and occurrence.
func TestEditingMovesNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := NewRecording(rapid.Uint64().Draw(t, "seed"))
		const perStream = 20
		ask := func(s *Source) (got [3][perStream]int) {
			for i := range perStream {
				for j := range got {
					got[j][i] = s.Choose(s.Stream("x", uint64(j), 0), 9)
				}
			}
			return got
		}
		want := ask(rec)
		tape := rec.Tape()
		for range rapid.IntRange(1, 10).Draw(t, "edits") {
			i := rapid.IntRange(0, tape.Len()-1).Draw(t, "i")
			j := min(i+rapid.IntRange(0, 4).Draw(t, "more"), tape.Len()-1)
			benign := func(k int) {
				d := tape.At(k)
				want[d.Stream.A][d.Occurrence] = 0
			}
			switch rapid.IntRange(0, 3).Draw(t, "edit") {
			case 0:
				benign(i)
				tape.SetBenign(i)
			case 1:
				d := tape.At(i)
				v := rapid.IntRange(0, 8).Draw(t, "value")
				want[d.Stream.A][d.Occurrence] = v
				tape.Set(i, v)
			case 2:
				for k := i; k < j; k++ {
					benign(k)
				}
				tape.Delete(i, j)
			case 3:
				tape.DeleteBenign()
			}
			if tape.Len() == 0 {
				break
			}
		}
		rep := Replay(tape)
		if got := ask(rep); got != want {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
		if d, ok := rep.Drift(); ok || rep.Unused() != 0 {
			t.Fatalf("drift %v, %d unused", d, rep.Unused())
		}
	})
}

func TestIncompleteTapeNoticesOtherAlternatives(t *testing.T) {
	rec := NewRecording(1)
	a, b := rec.Stream("a", 0, 0), rec.Stream("b", 0, 0)
	rec.Choose(a, 5)
	rec.Choose(b, 6)
	rec.Choose(b, 7)
	tape := rec.Tape()
	tape.Delete(0, 2)
	if tape.Complete() {
		t.Fatal("complete after a deletion")
	}
	rep := Replay(tape)
	b = rep.Stream("b", 0, 0)
	rep.Choose(rep.Stream("new", 0, 0), 3) // cannot be known to be wrong
	rep.Choose(b, 60)
	if d, ok := rep.Drift(); ok {
		t.Fatalf("drift %v", d)
	}
	rep.Choose(b, 8)
	want := Drift{Decision: 2, Stream: Name{"b", 0, 0}, Occurrence: 1, Alternatives: 8,
		Expected: Name{"b", 0, 0}, ExpectedOccurrence: 1, ExpectedAlternatives: 7}
	if d, ok := rep.Drift(); !ok || d != want {
		t.Fatalf("drift %+v (%t), want %+v", d, ok, want)
	}
}

func TestReplayDoesNotFollowLaterEdits(t *testing.T) {
	rec := NewRecording(5)
	want := walk(rec, 50)
	tape := rec.Tape()
	rep := Replay(tape)
	for i := range tape.Len() {
		tape.SetBenign(i)
	}
	if got := walk(rep, 50); !reflect.DeepEqual(got, want) {
		t.Fatal("the replay saw edits made after it began")
	}
}

func TestDeleteBenignKeepsTheRun(t *testing.T) {
	rec := NewRecording(5)
	want := walk(rec, 500)
	tape := rec.Tape()
	faults := tape.Faults()
	tape.DeleteBenign()
	if tape.Len() != faults || tape.Complete() {
		t.Fatalf("%d decisions left, want the %d that are not benign", tape.Len(), faults)
	}
	if got := walk(Replay(tape), 500); !reflect.DeepEqual(got, want) {
		t.Fatal("the run changed")
	}
}

func TestTapeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := NewRecording(rapid.Uint64().Draw(t, "seed"))
		walk(rec, rapid.IntRange(0, 300).Draw(t, "steps"))
		tape := rec.Tape()
		if tape.Len() > 0 && rapid.Bool().Draw(t, "cut") {
			i := rapid.IntRange(0, tape.Len()).Draw(t, "i")
			tape.Delete(i, rapid.IntRange(i, tape.Len()).Draw(t, "j"))
		}
		text, err := json.Marshal(tape)
		if err != nil {
			t.Fatal(err)
		}
		var back Tape
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.Len() != tape.Len() || back.Complete() != tape.Complete() {
			t.Fatalf("%d decisions (complete: %t), want %d (%t)", back.Len(), back.Complete(), tape.Len(), tape.Complete())
		}
		for i := range tape.Len() {
			if back.At(i) != tape.At(i) {
				t.Fatalf("decision %d is %v, want %v", i, back.At(i), tape.At(i))
			}
		}
	})
}

// A quiet tape costs little more than what went wrong in it.
func TestTapeIsCompact(t *testing.T) {
	s := NewRecording(1)
	w := NewWeights(9900, 50, 50)
	for i := range 100_000 {
		from, to := uint64(i%5), uint64(i/5%5)
		s.Pick(s.Stream("fate", from, to), w)
		s.Chance(s.Stream("crash", from, 0), 1, 10_000)
	}
	b, err := s.Tape().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if limit := 2000 + 4*s.Tape().Faults(); len(b) > limit {
		t.Fatalf("%d bytes for %d decisions with %d faults, want at most %d", len(b), s.Tape().Len(), s.Tape().Faults(), limit)
	}
}

func TestEveryBitFlipAndCutIsDetected(t *testing.T) {
	s := NewRecording(1)
	walk(s, 40)
	good, err := s.Tape().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		var tape Tape
		if err := tape.UnmarshalBinary(bad); !errors.Is(err, ErrTape) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
	for i := range good {
		var tape Tape
		if err := tape.UnmarshalBinary(good[:i]); !errors.Is(err, ErrTape) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestFailedUnmarshalLeavesTheTape(t *testing.T) {
	tape := oneDecision(t)
	want := tape.Clone()
	if err := tape.UnmarshalText([]byte("bm90IGEgdGFwZQ==")); !errors.Is(err, ErrTape) {
		t.Fatal(err)
	}
	if err := tape.UnmarshalText([]byte("***")); !errors.Is(err, ErrTape) {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tape, want) {
		t.Fatal("changed by a failed read")
	}
}

func TestTapeRefusesWhatItCouldNotRead(t *testing.T) {
	s := NewRecording(1)
	s.Choose(s.Stream(strings.Repeat("x", nameMax+1), 0, 0), 2)
	if _, err := s.Tape().MarshalBinary(); err == nil {
		t.Fatal("wrote a name that is too long to be read")
	}
}

// Bytes of a run, fed back, make the same run: how a known failure gets into
// a fuzzer's corpus, and a fuzzer's find onto a tape.
func TestBytesAndBack(t *testing.T) {
	rec := NewRecording(9)
	want := walk(rec, 300)
	input := rec.Bytes(1 << 20)
	fuzz := FromBytes(input, 1<<20)
	if got := walk(fuzz, 300); !reflect.DeepEqual(got, want) {
		t.Fatal("the run from bytes went another way")
	}
	if got := walk(Replay(fuzz.Tape()), 300); !reflect.DeepEqual(got, want) {
		t.Fatal("the replay of the run from bytes went another way")
	}
	if got := rec.Bytes(10); !bytes.HasPrefix(input, got) || len(got) > 10 {
		t.Fatalf("first ten bytes are %v of %v", got, input[:10])
	}
}

func TestBytesEndBenign(t *testing.T) {
	full := bytes.Repeat([]byte{0xff}, 100)
	for _, c := range []struct{ length, limit, want int }{{100, 30, 30}, {30, 100, 30}, {30, -1, 0}} {
		s := FromBytes(full[:c.length], c.limit)
		st := s.Stream("x", 0, 0)
		s.Choose(st, 1)    // takes no byte
		s.Chance(st, 0, 5) // nor does this
		hits := 0
		for range 200 {
			if s.Chance(st, 1, 1_000_000) {
				hits++
			}
		}
		if hits != c.want {
			t.Errorf("%d bytes, limit %d: %d decisions not benign, want %d", c.length, c.limit, hits, c.want)
		}
	}
}

func TestEveryAlternativeHasAByte(t *testing.T) {
	many := make([]uint32, AlternativesMax)
	for i := range many {
		many[i] = 1 + uint32(i%3)*1000
	}
	for _, weights := range [][]uint32{{1}, {0, 1}, {1_000_000, 1, 0, 1}, {1, 1_000_000, 1}, many} {
		w := NewWeights(weights...)
		seen := make([]int, len(weights))
		for b := range 256 {
			seen[w.byByte[b]]++
		}
		if w.byByte[0] != 0 {
			t.Errorf("byte 0 means %d", w.byByte[0])
		}
		for i, n := range seen {
			if n == 0 && weights[i] > 0 || n > 0 && weights[i] == 0 && i > 0 {
				t.Errorf("weight %d of %d: %d bytes", weights[i], len(weights), n)
			}
			if n > 0 && int(w.byByte[w.firstByte[i]]) != i {
				t.Errorf("byte %d should mean %d", w.firstByte[i], i)
			}
		}
	}
}

func FuzzTape(f *testing.F) {
	for _, steps := range []int{0, 1, 30} {
		s := NewRecording(uint64(steps))
		walk(s, steps)
		b, err := s.Tape().MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		body, err := s.Tape().appendBody(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, bare bool) {
		if bare { // a body without the checksum that would keep a fuzzer out
			b = wrapBody(t, b)
		}
		var tape Tape
		if err := tape.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, ErrTape) || !reflect.DeepEqual(tape, Tape{}) {
				t.Fatalf("error %v, tape %v", err, tape)
			}
			return
		}
		again, err := tape.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var back Tape
		if err := back.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if back.Len() != tape.Len() || back.Complete() != tape.Complete() {
			t.Fatal("changed by writing and reading")
		}
		for i := range tape.Len() {
			if back.At(i) != tape.At(i) {
				t.Fatalf("decision %d became %v, was %v", i, back.At(i), tape.At(i))
			}
		}
		walk(Replay(&tape), 50)
	})
}

// A run from any bytes, written down and replayed, is the same run.
func FuzzRun(f *testing.F) {
	f.Add([]byte{0, 0, 1, 255, 3, 7, 200}, 10)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		s := FromBytes(b, limit)
		want := walk(s, 50)
		rep := Replay(s.Tape())
		if got := walk(rep, 50); !reflect.DeepEqual(got, want) {
			t.Fatal("the replay went another way")
		}
		if d, ok := rep.Drift(); ok || rep.Unused() != 0 {
			t.Fatalf("drift %v, %d unused", d, rep.Unused())
		}
		if got := walk(FromBytes(s.Bytes(1000), 1000), 50); !reflect.DeepEqual(got, want) {
			t.Fatal("its bytes made another run")
		}
	})
}
