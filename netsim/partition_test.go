package netsim

import (
	"math/bits"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"pgregory.net/rapid"
)

func TestShapesByExample(t *testing.T) {
	for _, c := range []struct {
		name string
		m    Matrix
		want string
	}{
		{"all", All(3), "111/111/111"},
		{"none", None(3), "100/010/001"},
		{"two sides", TwoSides(5, 0b00011), "11000/11000/00111/00111/00111"},
		{"isolate", Isolate(3, 1), "101/010/101"},
		{"one way", OneWay(3, 0b001), "111/011/011"},
		{"bridge", Bridge(5, 0b00011, 2), "11100/11100/11111/00111/00111"},
		{"bridge in a side", Bridge(5, 0b00011, 0), "11111/11000/10111/10111/10111"},
		{"ring", Ring(5, []End{0, 2, 4, 1, 3}), "10110/01011/10101/11010/01101"},
		{"chain", Chain(4, []End{2, 0, 3}), "1011/0100/1010/1001"},
		{"star", Star(4, 1), "1100/1111/0110/0101"},
		{"ring of nobody", Ring(2, nil), "10/01"},
		{"any", FromRows([]uint64{0b010, 0b1000, 0b011}), "110/010/111"},
		{"alone", TwoSides(1, 0), "1"},
	} {
		if got := c.m.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// degree is how many others an end reaches, and how many reach it.
func degree(m Matrix, e End) (out, in int) {
	for i := range m {
		if End(i) != e {
			out += int(m[e] >> i & 1)
			in += int(m[i] >> e & 1)
		}
	}
	return out, in
}

// reach is everyone an end can get a word to, by way of others.
func reach(m Matrix, from End) uint64 {
	seen, next := uint64(0), uint64(1)<<from
	for next != seen {
		seen = next
		for i := range m {
			if seen>>i&1 != 0 {
				next |= m[i]
			}
		}
	}
	return seen
}

func TestShapesAreWhatTheyAreCalled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, EndsMax).Draw(t, "n")
		shape := Shape(rapid.IntRange(0, int(Shapes)-1).Draw(t, "shape"))
		src := choice.New(rapid.Uint64().Draw(t, "seed"))
		m := shape.Draw(src, src.Stream("partition", 0, 0), n)
		all := ^uint64(0) >> (EndsMax - n)
		if len(m) != n {
			t.Fatalf("%d rows", len(m))
		}
		symmetric := true
		var degrees []int
		classes := map[uint64]bool{} // distinct rows
		for i := range m {
			if m[i]>>i&1 == 0 || m[i]&^all != 0 {
				t.Fatalf("row %d is %b", i, m[i])
			}
			for j := range m {
				symmetric = symmetric && m.Open(End(i), End(j)) == m.Open(End(j), End(i))
				if m.Both(End(i), End(j)) != (m.Open(End(i), End(j)) && m.Open(End(j), End(i))) {
					t.Fatal("Both is not both ways")
				}
			}
			out, _ := degree(m, End(i))
			degrees = append(degrees, out)
			classes[m[i]] = true
		}
		slices.Sort(degrees)
		if m.Open(End(n), 0) || n < EndsMax && m.Open(0, End(n)) {
			t.Fatal("reaches beyond its ends")
		}
		if shape != ShapeOneWay && shape != ShapeAny && !symmetric {
			t.Fatalf("%v is not symmetric: %v", shape, m)
		}
		whole := func() {
			if len(classes) != 1 || m[0] != all {
				t.Fatalf("%v of %d is not whole: %v", shape, n, m)
			}
		}
		if n == 1 {
			whole()
			return
		}
		switch shape {
		case ShapeWhole:
			whole()
		case ShapeTwoSides:
			if len(classes) != 2 || reach(m, 0) != m[0] {
				t.Fatalf("not two sides: %v", m)
			}
		case ShapeIsolate:
			if degrees[0] != 0 || degrees[n-1] != n-2 || n > 2 && degrees[1] != n-2 {
				t.Fatalf("not one alone: %v", m)
			}
		case ShapeOneWay:
			var side uint64
			for i := range m {
				if m[i] == all {
					side |= 1 << i
				}
			}
			if side == 0 || side == all {
				t.Fatalf("not two sides: %v", m)
			}
			for i := range m {
				if side>>i&1 == 0 && m[i] != all&^side {
					t.Fatalf("the side that is not heard is heard: %v", m)
				}
			}
		case ShapeBridge:
			if n == 2 {
				whole()
				return
			}
			bridges := 0
			for i := range m {
				if m[i] != all {
					continue
				}
				// Without the bridge it falls apart.
				rest := slices.Clone(m)
				for j := range rest {
					rest[j] &^= 1 << i
				}
				rest[i] = 0
				if bits.OnesCount64(reach(rest, End((i+1)%n))) < n-1 {
					bridges++
				}
			}
			if bridges != 1 {
				t.Fatalf("%d bridges: %v", bridges, m)
			}
		case ShapeRing:
			if degrees[0] != min(2, n-1) || degrees[n-1] != min(2, n-1) || reach(m, 0) != all {
				t.Fatalf("not a ring: %v", m)
			}
		case ShapeChain:
			if degrees[1] != 1 || degrees[n-1] > 2 || n > 2 && degrees[2] != 2 || reach(m, 0) != all {
				t.Fatalf("not a chain: %v", m)
			}
		case ShapeStar:
			if degrees[n-1] != n-1 || degrees[0] != 1 || n > 2 && degrees[n-2] != 1 {
				t.Fatalf("not a star: %v", m)
			}
		}
	})
}

func TestBenignDrawOfAnyClosesNothing(t *testing.T) {
	src := choice.FromBytes(nil, 0)
	m := ShapeAny.Draw(src, src.Stream("partition", 0, 0), 11)
	if got, want := m.String(), All(11).String(); got != want {
		t.Fatalf("drew %s", got)
	}
}

// Every directed partition of three ends comes up, and every side of five.
func TestDrawsReachEverything(t *testing.T) {
	src := choice.New(1)
	st := src.Stream("partition", 0, 0)
	count := func(s Shape, n, draws int) int {
		seen := map[string]bool{}
		for range draws {
			seen[s.Draw(src, st, n).String()] = true
		}
		return len(seen)
	}
	for _, c := range []struct {
		shape Shape
		n     int
		want  int
	}{
		{ShapeAny, 3, 64}, {ShapeTwoSides, 5, 15}, {ShapeOneWay, 5, 30}, {ShapeIsolate, 7, 7},
		{ShapeRing, 5, 12}, {ShapeChain, 4, 12}, {ShapeStar, 5, 5}, {ShapeBridge, 3, 3},
	} {
		if got := count(c.shape, c.n, 3000); got != c.want {
			t.Errorf("%v of %d: %d partitions, want %d", c.shape, c.n, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for s := range Shapes {
		if s.String() == "" {
			t.Errorf("shape %d has no name", s)
		}
	}
	for f := range faults {
		if f.String() == "" {
			t.Errorf("fault %d has no name", f)
		}
	}
}
