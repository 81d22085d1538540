package linearizability

import "testing"

// joiner is a string that grows; "?" reads it. It has no hash, and counts what
// it is asked.
type joiner struct{ steps, comparisons *uint64 }

func (joiner) Init() any { return "" }

func (m joiner) Step(state any, input, output []byte) (any, bool, error) {
	*m.steps++
	if string(input) == "?" {
		return state, output == nil || string(output) == state.(string), nil
	}
	return state.(string) + string(input), true, nil
}

func (m joiner) Equal(a, b any) bool {
	*m.comparisons++
	return a == b
}

// impossible is a history of n writers at once, after whom a reader sees what
// cannot be.
func impossible(n int) *History {
	h := &History{}
	var ids []OpID
	for i := range n {
		ids = append(ids, h.Call(i, 1, []byte{byte('a' + i)}))
	}
	for _, id := range ids {
		h.Return(id, 2, nil)
	}
	r := h.Call(0, 3, []byte("?"))
	h.Return(r, 4, []byte("impossible"))
	return h
}

// TestBudgetBoundsComparisons: a model without a hash makes many comparisons for
// each step. They have a budget too.
func TestBudgetBoundsComparisons(t *testing.T) {
	const stepsMax = 20_000
	var steps, comparisons uint64
	m := joiner{&steps, &comparisons}
	r, err := NewChecker(m).Whole(impossible(7), stepsMax)
	if err != nil || r.Verdict != Unknown {
		t.Errorf("%v, %v; want unknown", r.Verdict, err)
	}
	if comparisons > comparisonsPerStep*stepsMax || steps > stepsMax {
		t.Errorf("%d steps and %d comparisons of a budget of %d steps", steps, comparisons, stepsMax)
	}
	steps, comparisons = 0, 0
	if r, err = NewChecker(m).Whole(impossible(4), stepsMax); err != nil || r.Verdict != Illegal {
		t.Errorf("%v, %v with %d comparisons; want illegal", r.Verdict, err, comparisons)
	}
}

// TestBudgetBoundsLongHistories: what a step keeps grows with the history, and
// so does what it takes from the budget.
func TestBudgetBoundsLongHistories(t *testing.T) {
	h := &History{}
	for range 4 * opsPerStep {
		id := h.Call(0, 1, []byte("?"))
		h.Return(id, 1, nil)
	}
	var steps, comparisons uint64
	if r, err := NewChecker(joiner{&steps, &comparisons}).Whole(h, 5*4*opsPerStep); err != nil || r.Verdict != Ok || steps != 4*opsPerStep {
		t.Errorf("%v, %v after %d steps; want ok after one for each operation", r.Verdict, err, steps)
	}
	steps = 0
	if r, err := NewChecker(joiner{&steps, &comparisons}).Whole(h, 5*1000); err != nil || r.Verdict != Unknown || steps > 1000 {
		t.Errorf("%v, %v after %d steps; want unknown after 1000", r.Verdict, err, steps)
	}
}
