package choice

import (
	"slices"
	"testing"
)

// A value depends on seed, name and occurrence only: not on which other
// streams exist, when they were made, or how often they were asked.
func TestValuesIndependentOfOtherStreams(t *testing.T) {
	const n = 200
	alone := New(7)
	st := alone.Stream("net/fate", 1, 2)
	var want []int
	for range n {
		want = append(want, alone.Choose(st, 100))
	}

	crowded := New(7)
	for i := range uint64(50) {
		crowded.Stream("other", i, 0)
	}
	noise := crowded.Stream("noise", 0, 0)
	st = crowded.Stream("net/fate", 1, 2)
	var got []int
	for i := range n {
		for range i % 3 {
			crowded.Chance(noise, 1, 3)
		}
		got = append(got, crowded.Choose(st, 100))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

// The values themselves are part of the promise: a seed in testdata must mean
// the same run next year and on every machine.
func TestValuesArePinned(t *testing.T) {
	s := New(42)
	a, b := s.Stream("a", 0, 0), s.Stream("b", 3, 1<<40)
	w := NewWeights(6, 1, 1)
	var got []int
	for range 6 {
		got = append(got, s.Choose(a, 256), s.Choose(b, 7), s.Pick(b, w))
	}
	want := []int{5, 4, 0, 125, 4, 0, 235, 6, 0, 72, 2, 0, 12, 0, 0, 61, 5, 0}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

func TestStreamIsInterned(t *testing.T) {
	s := New(1)
	a := s.Stream("x", 1, 2)
	if b := s.Stream("x", 1, 2); a != b {
		t.Fatalf("same name, handles %d and %d", a, b)
	}
	for _, other := range []Name{{"x", 2, 1}, {"x", 1, 3}, {"y", 1, 2}} {
		if s.Stream(other.Name, other.A, other.B) == a {
			t.Fatalf("%v has the handle of x(1,2)", other)
		}
	}
	if got, want := s.NameOf(a), (Name{"x", 1, 2}); got != want {
		t.Fatalf("NameOf = %v, want %v", got, want)
	}
}

func TestZeroStreamPanics(t *testing.T) {
	for name, s := range map[string]*Source{
		"hunting": New(1), "replaying": Replay(&Tape{}), "fuzzing": FromBytes([]byte{1}, 1),
	} {
		t.Run(name, func(t *testing.T) {
			s.Stream("x", 0, 0)
			mustPanic(t, func() { s.Choose(0, 2) })
		})
	}
}

func TestBadArgumentsPanic(t *testing.T) {
	s := New(1)
	st := s.Stream("x", 0, 0)
	for name, f := range map[string]func(){
		"no alternative":        func() { s.Choose(st, 0) },
		"negative":              func() { s.Choose(st, -1) },
		"too many":              func() { s.Choose(st, AlternativesMax+1) },
		"chance out of zero":    func() { s.Chance(st, 1, 0) },
		"no weights":            func() { NewWeights() },
		"weightless":            func() { NewWeights(0, 0) },
		"weights overflow":      func() { NewWeights(1<<31, 1<<31) },
		"range upside down":     func() { s.ChooseRange(st, 2, 1) },
		"log from zero":         func() { s.ChooseLog(st, 0, 1) },
		"log upside down":       func() { s.ChooseLog(st, 3, 2) },
		"too many weights":      func() { NewWeights(make([]uint32, AlternativesMax+1)...) },
		"value not alternative": func() { oneDecision(t).Set(0, 2) },
	} {
		t.Run(name, func(t *testing.T) { mustPanic(t, f) })
	}
}

func oneDecision(t *testing.T) *Tape {
	t.Helper()
	s := NewRecording(1)
	s.Choose(s.Stream("x", 0, 0), 2)
	return s.Tape()
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("did not panic")
		}
	}()
	f()
}

// Neighbouring seeds, links and occurrences must not resemble each other,
// because these are what simulations are made of. Each case varies one of
// them and counts over 256 alternatives; the sum of squared deviations of a
// fair draw is around 255 times the expected count.
func TestDrawsAreEven(t *testing.T) {
	const n = 1 << 16
	const expected = n / 256
	cases := map[string]func(i uint64) int{
		"seeds": func(i uint64) int {
			s := New(i)
			return s.Choose(s.Stream("x", 0, 0), 256)
		},
		"occurrences": func() func(uint64) int {
			s := New(3)
			st := s.Stream("x", 0, 0)
			return func(uint64) int { return s.Choose(st, 256) }
		}(),
		"links": func() func(uint64) int {
			s := New(3)
			return func(i uint64) int { return s.Choose(s.Stream("x", i>>8, i&255), 256) }
		}(),
		"seed against occurrence": func(i uint64) int {
			s := New(i >> 4)
			st := s.Stream("x", 0, 0)
			for range i & 15 {
				s.Choose(st, 2)
			}
			return s.Choose(st, 256)
		},
		// What differs between two neighbours, not only each by itself.
		"neighbouring links": func() func(uint64) int {
			s := New(4)
			return func(i uint64) int {
				return (s.Choose(s.Stream("x", i, 0), 256) - s.Choose(s.Stream("x", i+1, 0), 256)) & 255
			}
		}(),
		"neighbouring seeds": func(i uint64) int {
			a, b := New(i), New(i+1)
			return (a.Choose(a.Stream("x", 0, 0), 256) - b.Choose(b.Stream("x", 0, 0), 256)) & 255
		},
		"neighbouring occurrences": func() func(uint64) int {
			s := New(5)
			st := s.Stream("x", 0, 0)
			last := 0
			return func(uint64) int {
				before := last
				last = s.Choose(st, 256)
				return (last - before) & 255
			}
		}(),
	}
	for name, draw := range cases {
		t.Run(name, func(t *testing.T) {
			var counts [256]int
			for i := range uint64(n) {
				counts[draw(i)]++
			}
			sum := 0
			for _, c := range counts {
				sum += (c - expected) * (c - expected)
			}
			if lo, hi := 170*expected, 350*expected; sum < lo || sum > hi {
				t.Errorf("squared deviations %d, want %d to %d", sum, lo, hi)
			}
		})
	}
}

func TestChanceFollowsItsOdds(t *testing.T) {
	const n = 1 << 18
	s := New(11)
	for i, odds := range [][2]uint32{{0, 5}, {1, 2}, {1, 10}, {1, 1000}, {999, 1000}, {5, 5}, {1 << 31, 1<<32 - 1}} {
		st := s.Stream("x", uint64(i), 0)
		hits := 0
		for range n {
			if s.Chance(st, odds[0], odds[1]) {
				hits++
			}
		}
		want := int(n * uint64(odds[0]) / uint64(odds[1]))
		slack := want/4 + 10
		if odds[0] == 0 || odds[0] == odds[1] {
			slack = 0
		} else if want > n/4 {
			slack = n / 100
		}
		if hits < want-slack || hits > want+slack {
			t.Errorf("%d in %d: %d hits of %d, want about %d", odds[0], odds[1], hits, n, want)
		}
	}
}

func TestPickFollowsItsWeights(t *testing.T) {
	const n = 1 << 18
	for _, weights := range [][]uint32{{1}, {90, 5, 0, 4, 1}, {0, 1, 1}, {1 << 31, 1 << 30, 1}} {
		s := New(12)
		st := s.Stream("x", 0, 0)
		w := NewWeights(weights...)
		var total uint64
		for _, x := range weights {
			total += uint64(x)
		}
		counts := make([]int, len(weights))
		for range n {
			counts[s.Pick(st, w)]++
		}
		for i, c := range counts {
			want := int(n * uint64(weights[i]) / total)
			if slack := want/8 + 2; c < want-slack || c > want+slack || weights[i] == 0 && c > 0 {
				t.Errorf("weights %v: alternative %d came %d times of %d, want about %d", weights, i, c, n, want)
			}
		}
	}
}

func TestChooseRangeReachesItsEnds(t *testing.T) {
	s := New(13)
	st := s.Stream("x", 0, 0)
	for _, c := range [][2]uint64{{5, 5}, {0, 1}, {10, 265}, {10, 266}, {0, 1<<16 - 1}, {1 << 20, 1 << 40}, {0, 1<<64 - 1}} {
		lo, hi := c[0], c[1]
		least, most := hi, lo
		for range 1 << 17 {
			v := s.ChooseRange(st, lo, hi)
			if v < lo || v > hi {
				t.Fatalf("%d to %d gave %d", lo, hi, v)
			}
			least, most = min(least, v), max(most, v)
		}
		if edge := (hi - lo) / 4096; least > lo+edge || most < hi-edge {
			t.Errorf("%d to %d gave only %d to %d", lo, hi, least, most)
		}
	}
}

func TestChooseRangeIsEvenUpTo65536(t *testing.T) {
	s := New(14)
	st := s.Stream("x", 0, 0)
	var counts [1000]int
	for range 1000 * 200 {
		counts[s.ChooseRange(st, 0, 999)]++
	}
	for v, c := range counts {
		if c < 100 || c > 300 {
			t.Errorf("%d came %d times, want about 200", v, c)
		}
	}
}

func TestChooseLogGivesEachDoublingItsShare(t *testing.T) {
	s := New(15)
	for _, c := range [][2]uint64{{1, 1}, {1, 2}, {3, 100}, {1000, 30_000_000_000}, {1, 1<<64 - 1}, {1 << 63, 1<<64 - 1}} {
		lo, hi := c[0], c[1]
		st := s.Stream("x", lo, hi)
		doublings := 1
		for x := lo; x <= hi/2; x *= 2 {
			doublings++
		}
		const n = 1 << 14
		counts := make([]int, doublings)
		for range n {
			v := s.ChooseLog(st, lo, hi)
			if v < lo || v > hi {
				t.Fatalf("%d to %d gave %d", lo, hi, v)
			}
			i := 0
			for v/2 >= lo {
				v /= 2
				i++
			}
			counts[i]++
		}
		for i, got := range counts {
			if want := n / doublings; got < want/2 || got > want*2 {
				t.Errorf("%d to %d: doubling %d came %d times, want about %d", lo, hi, i, got, want)
			}
		}
	}
}

func TestShuffleReachesEveryOrder(t *testing.T) {
	s := New(16)
	st := s.Stream("x", 0, 0)
	seen := make(map[[4]int]int)
	for range 24 * 100 {
		p := [4]int{0, 1, 2, 3}
		Shuffle(s, st, p[:])
		seen[p]++
	}
	if len(seen) != 24 {
		t.Errorf("%d orders of 4, want 24", len(seen))
	}
	for p, n := range seen {
		if n < 50 || n > 170 {
			t.Errorf("%v came %d times, want about 100", p, n)
		}
	}
}

func TestAllBenign(t *testing.T) {
	s := FromBytes(nil, 0)
	st := s.Stream("x", 0, 0)
	p := []int{0, 1, 2, 3}
	Shuffle(s, st, p)
	switch {
	case s.Chance(st, 9, 10), s.Chance(st, 1, 1):
		t.Error("a chance came true")
	case s.Choose(st, 256) != 0:
		t.Error("Choose is not 0")
	case s.Pick(st, NewWeights(0, 1)) != 0:
		t.Error("Pick is not 0")
	case s.ChooseRange(st, 9, 1<<40) != 9, s.ChooseLog(st, 9, 1<<40) != 9:
		t.Error("a wide draw is not its least value")
	case !slices.Equal(p, []int{0, 1, 2, 3}):
		t.Errorf("shuffled to %v", p)
	}
}

func TestDecisionsDoNotAllocateWhileHunting(t *testing.T) {
	s := New(1)
	st := s.Stream("x", 0, 0)
	w := NewWeights(9, 1)
	if n := testing.AllocsPerRun(100, func() {
		s.Chance(st, 1, 10)
		s.Choose(st, 7)
		s.Pick(st, w)
		s.ChooseRange(st, 0, 1<<20)
		s.ChooseLog(st, 1, 1<<20)
		s.Stream("x", 0, 0)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

var sink int

func BenchmarkChance(b *testing.B) {
	s := New(1)
	st := s.Stream("x", 0, 0)
	for b.Loop() {
		if s.Chance(st, 1, 1000) {
			sink++
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	s := New(1)
	st := s.Stream("x", 0, 0)
	for b.Loop() {
		sink += s.Choose(st, 100)
	}
}

func BenchmarkPick(b *testing.B) {
	s := New(1)
	st := s.Stream("x", 0, 0)
	w := NewWeights(960, 10, 10, 10, 5, 5)
	for b.Loop() {
		sink += s.Pick(st, w)
	}
}

func BenchmarkChooseRecording(b *testing.B) {
	s := NewRecording(1)
	st := s.Stream("x", 0, 0)
	for b.Loop() {
		if len(s.log) == 1<<20 {
			s.log = s.log[:0]
		}
		sink += s.Choose(st, 100)
	}
}

func BenchmarkStream(b *testing.B) {
	s := New(1)
	for b.Loop() {
		sink += int(s.Stream("net/fate", 3, 4))
	}
}
