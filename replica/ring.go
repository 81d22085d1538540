package replica

// ring is a queue that keeps its memory: push hands out a slot as it was left,
// so that slices in it can be filled again.
//
//	items   . . . [head] x x x x [head+n] . . .
//
// len(items) is zero or a power of two, and positions wrap around.
type ring[T any] struct {
	items []T
	head  int
	n     int
}

func (q *ring[T]) len() int { return q.n }

// at is the i-th slot from the front.
func (q *ring[T]) at(i int) *T { return &q.items[(q.head+i)&(len(q.items)-1)] }

func (q *ring[T]) front() *T { return q.at(0) }

// push adds a slot at the end and returns it, with whatever it held before.
func (q *ring[T]) push() *T {
	if q.n == len(q.items) {
		grown := make([]T, max(8, 2*len(q.items)))
		for i := range q.n {
			grown[i] = *q.at(i)
		}
		q.items, q.head = grown, 0
	}
	q.n++
	return q.at(q.n - 1)
}

// pop removes the front slot, whose content stays until the slot is pushed
// again.
func (q *ring[T]) pop() *T {
	p := q.at(0)
	q.head = (q.head + 1) & (len(q.items) - 1)
	q.n--
	return p
}
