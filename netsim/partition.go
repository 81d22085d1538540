package netsim

import (
	"fmt"
	"strings"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// Matrix is a set of directed links between the ends below len(m): bit j of
// m[i] says that it has the link from i to j. As a partition it holds the links
// that are open. Every constructor leaves each end its link to itself.
type Matrix []uint64

// All has every link between n ends.
func All(n int) Matrix {
	all := allEnds(n)
	m := make(Matrix, n)
	for i := range m {
		m[i] = all
	}
	return m
}

// None has no link but those of the ends to themselves.
func None(n int) Matrix {
	checkEnds(n)
	m := make(Matrix, n)
	for i := range m {
		m[i] = 1 << i
	}
	return m
}

// TwoSides parts the ends: those in side (bit e for end e) reach each other,
// and so do all the rest.
func TwoSides(n int, side uint64) Matrix {
	all := allEnds(n)
	m := make(Matrix, n)
	for i := range m {
		if side>>i&1 != 0 {
			m[i] = side & all
		} else {
			m[i] = all &^ side
		}
	}
	return m
}

// Isolate leaves one end alone.
func Isolate(n int, e End) Matrix { return TwoSides(n, 1<<e) }

// OneWay lets side be heard by the rest, but hear nothing from it.
func OneWay(n int, side uint64) Matrix {
	m := TwoSides(n, side)
	for i := range m {
		if side>>i&1 != 0 {
			m[i] = allEnds(n)
		}
	}
	return m
}

// Bridge is TwoSides, with one end that reaches both and is reached by both.
func Bridge(n int, side uint64, over End) Matrix {
	m := TwoSides(n, side)
	for i := range m {
		m[i] |= 1 << over
	}
	m[over] = allEnds(n)
	return m
}

// Ring connects each end with the one before and the one after it, and the
// last with the first. Ends that are not in order are alone.
func Ring(n int, order []End) Matrix {
	m := Chain(n, order)
	if len(order) > 0 {
		m.connect(order[len(order)-1], order[0])
	}
	return m
}

// Chain is Ring without the link from the last to the first.
func Chain(n int, order []End) Matrix {
	m := None(n)
	for i := 1; i < len(order); i++ {
		m.connect(order[i-1], order[i])
	}
	return m
}

// Star connects one end with all others, and these only with it.
func Star(n int, centre End) Matrix {
	m := None(n)
	for i := range m {
		m.connect(centre, End(i))
	}
	return m
}

// FromRows is any directed matrix: bit j of rows[i] for the link from i to j.
// Bits beyond the ends are dropped.
func FromRows(rows []uint64) Matrix {
	m := None(len(rows))
	for i := range m {
		m[i] |= rows[i] & allEnds(len(rows))
	}
	return m
}

// Open says whether m has a link. Beyond its ends it has none.
func (m Matrix) Open(from, to End) bool {
	return int(from) < len(m) && m[from]>>to&1 != 0
}

// Both says whether m has both directions.
func (m Matrix) Both(a, b End) bool { return m.Open(a, b) && m.Open(b, a) }

// String is one group of digits per sender, the lowest receiver first.
func (m Matrix) String() string {
	var b strings.Builder
	for i := range m {
		if i > 0 {
			b.WriteByte('/')
		}
		for j := range m {
			b.WriteByte('0' + byte(m[i]>>j&1))
		}
	}
	return b.String()
}

func (m Matrix) connect(a, b End) {
	m[a] |= 1 << b
	m[b] |= 1 << a
}

func allEnds(n int) uint64 {
	checkEnds(n)
	return ^uint64(0) >> (EndsMax - n)
}

func checkEnds(n int) {
	if n < 1 || n > EndsMax {
		panic(fmt.Sprintf("netsim: matrix of %d ends, want 1 to %d", n, EndsMax))
	}
}

// Shape is a kind of partition.
type Shape uint8

const (
	ShapeWhole Shape = iota
	ShapeTwoSides
	ShapeIsolate
	ShapeOneWay
	ShapeBridge
	ShapeRing
	ShapeChain
	ShapeStar
	ShapeAny
	Shapes // their number
)

var shapeNames = [Shapes]string{
	"whole", "two sides", "isolate one", "one way", "bridge", "ring", "chain", "star", "any",
}

func (s Shape) String() string { return shapeNames[s] }

// Draw makes a partition of this shape between n ends: who is on which side, in
// which order, over whom. With few ends some shapes leave everyone connected,
// as a ring of three does.
func (s Shape) Draw(src *choice.Source, st choice.Stream, n int) Matrix {
	switch s {
	case ShapeTwoSides:
		return TwoSides(n, drawSide(src, st, drawOrder(src, st, n)))
	case ShapeIsolate:
		return Isolate(n, End(src.Choose(st, n)))
	case ShapeOneWay:
		return OneWay(n, drawSide(src, st, drawOrder(src, st, n)))
	case ShapeBridge:
		order := drawOrder(src, st, n)
		return Bridge(n, drawSide(src, st, order[1:]), order[0])
	case ShapeRing:
		return Ring(n, drawOrder(src, st, n))
	case ShapeChain:
		return Chain(n, drawOrder(src, st, n))
	case ShapeStar:
		return Star(n, End(src.Choose(st, n)))
	case ShapeAny:
		return drawAny(src, st, n)
	}
	return All(n)
}

// drawSide draws some of the ends in an order that was drawn, but not all
// unless there is only one.
func drawSide(src *choice.Source, st choice.Stream, order []End) (side uint64) {
	size := 0
	if len(order) > 0 {
		size = 1 + src.Choose(st, max(len(order)-1, 1))
	}
	for _, e := range order[:size] {
		side |= 1 << e
	}
	return side
}

func drawOrder(src *choice.Source, st choice.Stream, n int) []End {
	checkEnds(n)
	order := make([]End, n)
	for i := range order {
		order[i] = End(i)
	}
	choice.Shuffle(src, st, order)
	return order
}

// drawAny closes each link with even odds: eight per decision, 0 closing none.
func drawAny(src *choice.Source, st choice.Stream, n int) Matrix {
	rows := make([]uint64, n)
	for i := range rows {
		for j := 0; j < n; j += 8 {
			open := ^uint64(src.Choose(st, 256)) & 255
			rows[i] |= open << j
		}
	}
	return FromRows(rows)
}
