package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"runtime/debug"
	"slices"

	"github.com/anishathalye/porcupine"
)

// ViolationKind is in which way a history is wrong.
type ViolationKind uint8

const (
	// ViolationNone: it is not.
	ViolationNone ViolationKind = iota
	// ViolationLost: First was answered, but is not in the log.
	ViolationLost
	// ViolationRefusedApplied: First was refused for good, but took effect.
	ViolationRefusedApplied
	// ViolationAppliedTwice: First took effect at two indexes.
	ViolationAppliedTwice
	// ViolationSharedIndex: First and Second are both the entry at one index.
	ViolationSharedIndex
	// ViolationOrder: First returned before Second was called, but the log has
	// Second before First. A stale read is one, and one from the future.
	ViolationOrder
	// ViolationAnswer: First got an answer that the state machine does not give
	// after what the log has before it.
	ViolationAnswer
	// ViolationHistory: there is no order of all operations that explains all
	// answers (Whole).
	ViolationHistory
)

var violationNames = [...]string{
	"none", "acknowledged but lost", "refused but applied", "applied twice",
	"two operations at one index", "log order against real time", "wrong answer",
	"not linearizable",
}

func (k ViolationKind) String() string {
	if int(k) < len(violationNames) {
		return violationNames[k]
	}
	return fmt.Sprintf("ViolationKind(%d)", uint8(k))
}

// Violation is what is wrong with a history, and which operations show it.
type Violation struct {
	Kind   ViolationKind
	First  OpID   // -1 if none
	Second OpID   // -1 if none
	Text   string // one or more lines for people
}

// Result is what a check found. The violation's kind is ViolationNone if and
// only if the verdict is not Illegal.
type Result struct {
	Verdict   Verdict
	Violation Violation
	Steps     uint64 // of the model
}

// Checker judges histories by one model. It keeps its memory from one check to
// the next, and is for one goroutine at a time. The same history always gets
// the same result.
type Checker struct {
	model  Model
	points []pointed
	batch  []porcupine.Operation
}

// NewChecker makes a checker for histories of m.
func NewChecker(m Model) *Checker { return &Checker{model: m} }

// pointed is an operation and its place in the order of the log.
type pointed struct {
	key uint64 // 2 × index, plus 1 for reads
	id  OpID
}

// chunkOps is how many operations porcupine is given at a time by Points. Its
// cost per operation has a part that grows with the length, a bit set copied
// at each step, and one per run; in between it is flat.
const chunkOps = 128

// Points judges a history by the points of its operations: Ok says that it is
// linearizable, Illegal that it is not in the order of its log, which for a
// replicated log is a bug even if another order would do. The verdict is never
// Unknown. The cost is linear, and one step of the model per operation.
//
// Take the operations that took effect: those with a known outcome, each of
// which must have a point or was acknowledged and lost, and those of unknown
// outcome that have one. (An unknown operation without a point never took
// effect, and may be left out of a linearization; a refused one must be.) Order
// them by index, a write before the reads of the state that it left, and reads
// at one index by call. Call this order L. It is total, since no two writes
// have the same index. Two things are checked:
//
//  1. L agrees with real time: if A returned before B was called, A is before B
//     in L. It is enough to go through L once with the latest call so far: an
//     operation that returned before that call should have come before the
//     operation that made it. Unknown operations return never.
//  2. L agrees with the model: taken one after another in this order, the
//     machine gives each known operation the answer it got.
//
// If both hold, L is by definition a linearization, so the history is
// linearizable: nothing else is needed for the proof, and in particular it does
// not matter how the simulator came by the points. A wrong point can make a
// right history look Illegal, but never a wrong one Ok.
//
// In other words: each operation's interval has been shrunk to an instant
// within it. For by (1) one can give each the later of its own call and all
// calls before it in L, which is not after its return; ties are in the order of
// L. These instants, numbered, are the calls and returns that porcupine gets.
// No two of the shrunk intervals overlap, so the only order it can find is L,
// and what it judges is (2).
//
// It judges L in chunks, each from the state in which the one before ended.
// That loses nothing because no operation of one chunk overlaps one of another,
// and the state after a chunk is the only one possible: its operations have one
// order, and Step is a function. So the whole has an explanation if and only if
// each chunk has one from there. (With intervals that overlap, neither would
// hold.)
func (c *Checker) Points(h *History) (Result, error) {
	if v := c.order(h); v.Kind != ViolationNone {
		return c.illegal(h, v, 0), nil
	}
	if v := c.realTime(h); v.Kind != ViolationNone {
		return c.illegal(h, v, 0), nil
	}
	run := &stepper{model: c.model, budget: math.MaxUint64, comparisonsMax: math.MaxUint64}
	now, accepted := c.model.Init(), 0
	model := porcupine.Model{
		Init: func() any { return now },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(*Operation)
			next, ok := run.step(state, op)
			if ok {
				accepted++
				now = next
			}
			return ok, next
		},
		Equal: run.equal,
	}
	for start := 0; start < len(c.points); start += chunkOps {
		c.batch = c.batch[:0]
		for i, p := range c.points[start:min(start+chunkOps, len(c.points))] {
			c.batch = append(c.batch, porcupine.Operation{
				Input: &h.ops[p.id], Call: int64(2 * i), Return: int64(2*i + 1),
			})
		}
		accepted = 0
		ok := porcupine.CheckOperations(model, c.batch)
		if run.err != nil {
			return Result{Steps: run.steps}, run.err
		}
		if ok != (accepted == len(c.batch)) {
			panic(fmt.Sprintf("linearizability: porcupine took %d of %d operations in a row and says %v", accepted, len(c.batch), ok))
		}
		if !ok {
			v := Violation{Kind: ViolationAnswer, First: c.points[start+accepted].id, Second: -1}
			if m, ok := c.model.(interface{ expected(any, []byte) string }); ok {
				v.Text = "expected: " + m.expected(now, h.ops[v.First].Input)
			}
			if m, ok := c.model.(Describer); ok {
				v.Text += "\nstate: " + m.DescribeState(now)
			}
			return c.illegal(h, v, run.steps), nil
		}
	}
	return Result{Verdict: Ok, Steps: run.steps}, nil
}

// order fills points with the operations that took effect, in the order of the
// log.
func (c *Checker) order(h *History) Violation {
	c.points = c.points[:0]
	for i := range h.ops {
		op := &h.ops[i]
		switch {
		case op.Outcome == OutcomeRefused:
			if op.Point.Kind != PointNone {
				return Violation{Kind: ViolationRefusedApplied, First: OpID(i), Second: -1}
			}
			continue
		case op.Point.Kind == PointNone:
			if op.Outcome == OutcomeKnown {
				return Violation{Kind: ViolationLost, First: OpID(i), Second: -1}
			}
			continue
		case op.Again != 0:
			return Violation{Kind: ViolationAppliedTwice, First: OpID(i), Second: -1}
		}
		key := 2 * op.Point.Index
		if op.Point.Kind == PointRead {
			key++
		}
		c.points = append(c.points, pointed{key, OpID(i)})
	}
	// By id is by call.
	slices.SortFunc(c.points, func(a, b pointed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.id, b.id)
	})
	for i := 1; i < len(c.points); i++ {
		if a, b := c.points[i-1], c.points[i]; a.key == b.key && a.key%2 == 0 {
			return Violation{Kind: ViolationSharedIndex, First: a.id, Second: b.id}
		}
	}
	return Violation{}
}

// realTime looks for two operations of which the first returned before the
// second was called, but which the log has the other way round.
func (c *Checker) realTime(h *History) Violation {
	var latest uint64 // call so far
	var caller OpID
	for _, p := range c.points {
		op := &h.ops[p.id]
		if op.Outcome == OutcomeKnown && op.Return.Event < latest {
			return Violation{Kind: ViolationOrder, First: p.id, Second: caller}
		}
		if op.Call.Event > latest {
			latest, caller = op.Call.Event, p.id
		}
	}
	return Violation{}
}

// illegal is the result with a violation whose text begins with the operations.
func (c *Checker) illegal(h *History, v Violation, steps uint64) Result {
	text := v.Kind.String()
	for _, id := range [...]OpID{v.First, v.Second} {
		if id >= 0 {
			text += "\n" + c.describe(h, id)
		}
	}
	if v.Text != "" {
		text += "\n" + v.Text
	}
	v.Text = text
	return Result{Verdict: Illegal, Violation: v, Steps: steps}
}

// describe is one operation as a line of text.
func (c *Checker) describe(h *History, id OpID) string {
	op := &h.ops[id]
	text := fmt.Sprintf("operation %d: client %d, called at %d ns", id, op.Client, op.Call.Nanos)
	switch {
	case op.Return.Event == 0:
		text += ", never returned"
	case op.Outcome == OutcomeKnown:
		text += fmt.Sprintf(", answered at %d ns", op.Return.Nanos)
	case op.Outcome == OutcomeRefused:
		text += fmt.Sprintf(", refused at %d ns", op.Return.Nanos)
	default:
		text += fmt.Sprintf(", given up at %d ns", op.Return.Nanos)
	}
	switch op.Point.Kind {
	case PointWrite:
		text += fmt.Sprintf(", entry %d", op.Point.Index)
	case PointRead:
		text += fmt.Sprintf(", read after entry %d", op.Point.Index)
	}
	if op.Again != 0 {
		text += fmt.Sprintf(" and again entry %d", op.Again)
	}
	if m, ok := c.model.(Describer); ok {
		text += ": " + m.Describe(op.Input, op.Output)
	}
	return text
}

// WholeStepsMax is a budget for Whole that small histories (4 clients, 300
// operations, one in five of them of unknown outcome) stay below, and that with
// a model as cheap as KV takes a second or two to use up.
const WholeStepsMax = 1_000_000

const (
	// comparisonsPerStep is how many comparisons of states the budget of one step
	// pays for. A model that is a Hasher needs about one; without a hash each new
	// state is compared with all that the same operations led to in other orders,
	// of which there may be as many as there are orders.
	comparisonsPerStep = 8
	// opsPerStep is how many operations a history may have for a step to cost no
	// more than one. Each step that succeeds keeps two sets of operations, a bit
	// for each.
	opsPerStep = 1024
)

// Whole judges a history without its points, by searching for an order that
// explains it. It costs at most stepsMax steps of the model and eight times as
// many comparisons of states (Model.Equal); if they do not suffice the verdict
// is Unknown. Each step that succeeds keeps a state of the model and two sets of
// operations, a bit for each: with small states it allocated 150 to 300 bytes a
// step in histories of up to 1,024 operations, and 260 MB were taken from the
// system in a million steps. In longer histories a step takes from the budget
// once for each 1,024 operations. How long a step takes and how large a state is,
// the model alone knows, and nothing bounds that. The cost is exponential in how
// many operations overlap, so this is for few clients.
//
// An operation of unknown outcome returns never, so that porcupine may place it
// anywhere after its call. It has to place it somewhere, though. What never
// took effect goes after the end: an operation of our own, called when all
// known ones have returned, after which anything goes. Before it, an unknown
// operation is placed only where it changes the state. Neither changes the
// verdict: take an order that explains the history; an unknown operation in it
// that changes nothing can be taken out and put after the end, and so can all
// behind the last known one. But without this, each operation that never took
// effect would double the search.
func (c *Checker) Whole(h *History, stepsMax uint64) (Result, error) {
	price := 1 + uint64(len(h.ops))/opsPerStep
	s := &search{stepper: stepper{model: c.model, budget: stepsMax / price, comparisonsMax: saturatedProduct(stepsMax, comparisonsPerStep)}}
	if m, ok := c.model.(interface{ foresee([]Operation) *foresight }); ok {
		s.foresight = m.foresee(h.ops)
	}
	s.ops = make([]searchOp, 0, len(h.ops)+1)
	c.batch = c.batch[:0]
	last := int64(h.events)
	for i := range h.ops {
		op := &h.ops[i]
		end := int64(op.Return.Event)
		switch op.Outcome {
		case OutcomeRefused:
			continue
		case OutcomeUnknown:
			if s.foresight != nil && s.foresight.never(op) {
				continue
			}
			end = last + 3 + int64(i)
		}
		s.ops = append(s.ops, searchOp{op, OpID(i)})
		c.batch = append(c.batch, porcupine.Operation{Input: &s.ops[len(s.ops)-1], Call: int64(op.Call.Event), Return: end})
	}
	c.batch = append(c.batch, porcupine.Operation{Input: theEnd, Call: last + 1, Return: last + 2})
	ok := porcupine.CheckOperations(s.porcupine(), c.batch)
	switch {
	case s.err != nil:
		return Result{Steps: s.steps}, s.err
	case ok:
		return Result{Verdict: Ok, Steps: s.steps}, nil
	case s.exhausted:
		return Result{Verdict: Unknown, Steps: s.steps}, nil
	}
	return c.illegal(h, Violation{Kind: ViolationHistory, First: -1, Second: -1}, s.steps), nil
}

func saturatedProduct(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high != 0 {
		return math.MaxUint64
	}
	return low
}

// stepper is a Model as porcupine sees it: it counts the steps and comparisons,
// and turns an error or a panic, which in porcupine's own goroutine would end the process,
// into the end of the search.
type stepper struct {
	model  Model
	budget uint64 // of steps
	// comparisonsMax is the budget of comparisons.
	comparisonsMax uint64

	steps       uint64
	comparisons uint64
	exhausted   bool
	err         error
}

// step is one step of the model. After an error or the last step of the budget
// it says no to everything. porcupine then has nothing left to try and returns
// soon: it takes back one operation after another, and for each looks only at
// those called before the next return.
func (r *stepper) step(state any, op *Operation) (next any, ok bool) {
	if r.err != nil || r.exhausted {
		return state, false
	}
	if r.steps == r.budget {
		r.exhausted = true
		return state, false
	}
	r.steps++
	defer r.catch(op)
	next, ok, err := r.model.Step(state, op.Input, op.Output)
	if err != nil {
		r.err = fmt.Errorf("linearizability: operation of client %d called at %d ns: %w", op.Client, op.Call.Nanos, err)
		return state, false
	}
	return next, ok
}

// equal compares two states. After an error or the last comparison of the budget
// it says yes to everything: porcupine then looks for no other among the states
// it has kept. What follows is no verdict.
func (r *stepper) equal(a, b any) bool {
	if r.err != nil || r.exhausted {
		return true
	}
	if r.comparisons == r.comparisonsMax {
		r.exhausted = true
		return true
	}
	r.comparisons++
	defer r.catch(nil)
	return r.model.Equal(a, b)
}

// catch turns a panic of the model, at op or between operations, into an
// error. The interrupted call returns zeros.
func (r *stepper) catch(op *Operation) {
	p := recover()
	switch {
	case p == nil:
	case op == nil:
		r.err = fmt.Errorf("linearizability: the model panics: %v\n%s", p, debug.Stack())
	default:
		r.err = fmt.Errorf("linearizability: the model panics at the operation of client %d called at %d ns: %v\n%s",
			op.Client, op.Call.Nanos, p, debug.Stack())
	}
}

// search is what Whole hands to porcupine.
type search struct {
	stepper
	ops       []searchOp
	foresight *foresight // nil if the model has none
}

type searchOp struct {
	*Operation
	id OpID
}

// searchState is a state of the model and, for the foresight, the operations
// that led to it. It is never changed.
type searchState struct {
	state any
	done  []uint64 // a bit for each OpID
	ended bool
}

// theEnd is the operation after which unknown ones have no effect.
var theEnd = &searchOp{id: -1}

func (s *search) porcupine() porcupine.Model {
	init := &searchState{state: s.model.Init()}
	if s.foresight != nil {
		init.done = make([]uint64, (len(s.foresight.ops)+63)/64)
	}
	m := porcupine.Model{
		Init: func() any { return init },
		Step: func(state, input, _ any) (bool, any) {
			next := s.search(state.(*searchState), input.(*searchOp))
			return next != nil, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(*searchState), b.(*searchState)
			return x.ended == y.ended && (x.ended || s.equal(x.state, y.state))
		},
	}
	if hasher, ok := s.model.(Hasher); ok {
		m.Hash = func(state any) uint64 {
			x := state.(*searchState)
			if x.ended {
				return 0
			}
			defer s.catch(nil)
			return hasher.Hash(x.state)
		}
	}
	return m
}

// search is one step of the search, nil if it is not possible.
func (s *search) search(state *searchState, op *searchOp) *searchState {
	switch {
	case op == theEnd:
		return &searchState{ended: true}
	case state.ended:
		return state
	}
	inner, ok := s.step(state.state, op.Operation)
	if !ok || (op.Outcome == OutcomeUnknown && s.equal(state.state, inner)) {
		return nil
	}
	next := &searchState{state: inner}
	if s.foresight != nil {
		done := func(id OpID) bool { return state.done[id/64]&(1<<(id%64)) != 0 }
		if !s.foresight.allows(op.id, done, inner.(*kvState)) {
			return nil
		}
		next.done = slices.Clone(state.done)
		next.done[op.id/64] |= 1 << (op.id % 64)
	}
	return next
}
