package linearizability

import (
	"encoding/binary"
	"sync"
	"testing"
)

// adder is a counter: an input is added, an output is the sum.
type adder struct{}

func (adder) Init() any           { return uint64(0) }
func (adder) Equal(a, b any) bool { return a == b }
func (adder) Step(state any, input, output []byte) (any, bool, error) {
	next := state.(uint64) + uint64(input[0])
	return next, output == nil || binary.BigEndian.Uint64(output) == next, nil
}

// TestHistoryOfGoroutines: clients that are goroutines record as they go, each
// with the clock that it read before.
func TestHistoryOfGoroutines(t *testing.T) {
	const clients, each = 4, 50
	var h History
	var mu sync.Mutex
	var sum, clock uint64
	var all sync.WaitGroup
	for client := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			for range each {
				mu.Lock()
				clock++
				now := clock
				mu.Unlock()
				id := h.Call(client, now, []byte{byte(client)})
				mu.Lock()
				sum += uint64(client)
				h.Wrote(id, clock*10+uint64(client))
				answer := binary.BigEndian.AppendUint64(nil, sum)
				clock++
				mu.Unlock()
				h.Return(id, now, answer)
			}
		}()
	}
	all.Wait()
	if h.Len() != clients*each {
		t.Fatalf("%d operations, want %d", h.Len(), clients*each)
	}
	seen := make([]bool, 2*clients*each+1)
	for _, op := range h.Operations() {
		for _, m := range [...]Moment{op.Call, op.Return} {
			if m.Event == 0 || m.Event >= uint64(len(seen)) || seen[m.Event] {
				t.Fatalf("event %d is none or twice", m.Event)
			}
			seen[m.Event] = true
		}
		if len(op.Input) != 1 || int(op.Input[0]) != op.Client || len(op.Output) != 8 {
			t.Fatalf("client %d has input %v and output %v", op.Client, op.Input, op.Output)
		}
	}
	if r, err := NewChecker(adder{}).Points(&h); err != nil || r.Verdict != Ok {
		t.Errorf("%v, %v: %s", r.Verdict, err, r.Violation.Text)
	}
}

// TestTimesAreForPeople: the order of calls decides, whatever the clocks say.
func TestTimesAreForPeople(t *testing.T) {
	var h History
	a := h.Call(0, 10, []byte{1})
	h.Return(a, 9, binary.BigEndian.AppendUint64(nil, 1))
	b := h.Call(0, 8, []byte{1})
	h.Return(b, 11, binary.BigEndian.AppendUint64(nil, 2))
	if op := h.Op(a); op.Call != (Moment{10, 1}) || op.Return != (Moment{10, 2}) {
		t.Errorf("first: %+v", op)
	}
	if op := h.Op(b); op.Call != (Moment{10, 3}) || op.Return != (Moment{11, 4}) {
		t.Errorf("second: %+v", op)
	}
	if r, err := NewChecker(adder{}).Whole(&h, WholeStepsMax); err != nil || r.Verdict != Ok {
		t.Errorf("%v, %v", r.Verdict, err)
	}
}

// TestCallsThatNeverReturn are operations of unknown outcome, with and without
// an end: they may or may not have taken effect, and make no history wrong.
func TestCallsThatNeverReturn(t *testing.T) {
	for _, effect := range [...]uint64{0, 4} {
		var h History
		h.Call(1, 1, []byte{4}) // nobody ever says another word about it
		a := h.Call(0, 2, []byte{1})
		h.Return(a, 3, binary.BigEndian.AppendUint64(nil, 1+effect))
		if r, err := NewChecker(adder{}).Whole(&h, WholeStepsMax); err != nil || r.Verdict != Ok {
			t.Errorf("effect %d: %v, %v", effect, r.Verdict, err)
		}
	}
}

// TestManyOfOneClient: operations are told apart by their place, so one client
// may have several under way, and all with the same input.
func TestManyOfOneClient(t *testing.T) {
	var h History
	a, b := h.Call(7, 1, []byte{1}), h.Call(7, 1, []byte{1})
	h.Return(b, 2, binary.BigEndian.AppendUint64(nil, 1))
	h.Return(a, 2, binary.BigEndian.AppendUint64(nil, 2))
	if r, err := NewChecker(adder{}).Whole(&h, WholeStepsMax); err != nil || r.Verdict != Ok {
		t.Errorf("%v, %v", r.Verdict, err)
	}
}
