package linearizability

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Annotation is a span of time with a text, drawn in a row of its own below the
// clients: a fault, a term, a leader.
type Annotation struct {
	Tag        string // the row
	Start, End uint64 // virtual time in nanoseconds; an End before Start is a moment
	Text       string
	Details    string // more of it, shown on demand; "" is Text and the times
	Color      string // of the background, as in CSS; "" for grey
	// Always shows it also when it lies outside of what is drawn: at the edge.
	Always bool
}

// ColorViolation is the background of what is wrong.
const ColorViolation = "#ffb3b3"

// Bounds of a picture. They keep a page below 3 MB, and a browser quick.
const (
	pictureOpsMax         = 160  // operations in all
	pictureOpsBefore      = 100  // of them, before the violation
	picturePathStepsMax   = 4000 // steps in all the orders that are drawn
	pictureTextMax        = 160  // bytes that describe an operation
	pictureStateMax       = 400  // bytes that describe a state
	pictureAnnotationsMax = 400
)

// PictureStepsMax is a budget for Picture that takes about a second to use up.
const PictureStepsMax = 1 << 17

// Picture draws what is wrong with a history that a check found Illegal, as one
// page of HTML that needs nothing from elsewhere: each client's operations over
// time, the longest orders that the model can explain, and where they break
// off. violation is what the check found.
//
// It shows the operations around the violation that have to do with it, which
// if the model is a Grouper are those on the same keys, or on keys that scans
// and transactions tie to them. They are judged again, by their calls and
// returns and not by their points, for at most stepsMax steps of the model. A
// longer history is cut: what the log has before the cut is taken as done, what
// comes later is left out. So the verdict, which is returned, is one on the
// picture only. It can be Ok, when it takes more to see the violation than the
// picture has, and it is drawn all the same.
//
// The page depends on nothing but the arguments.
func (c *Checker) Picture(w io.Writer, h *History, violation Violation, notes []Annotation, stepsMax uint64) (Verdict, error) {
	groups, err := c.groups(h)
	if err != nil {
		return Unknown, err
	}
	order := c.loosely(h)
	first := func(g []bool) bool { // before others: what the violation is about
		return (violation.First >= 0 && g[violation.First]) || (violation.Second >= 0 && g[violation.Second])
	}
	slices.SortStableFunc(groups, func(a, b []bool) int {
		if first(a) == first(b) {
			return 0
		}
		if first(a) {
			return -1
		}
		return 1
	})
	if len(groups) < 2 {
		groups = nil
	}
	for _, g := range groups {
		p := &picture{checker: c, model: c.model.(Grouper).Group(), history: h, violation: violation}
		if err := p.judge(p.window(order, g), stepsMax); err != nil {
			return Unknown, err
		}
		if p.verdict != Ok {
			return p.verdict, p.draw(w, notes)
		}
		stepsMax -= min(stepsMax, p.run.steps)
	}
	// There are no groups, or each by itself can be explained.
	all := make([]bool, h.Len())
	for i := range all {
		all[i] = true
	}
	p := &picture{checker: c, model: c.model, history: h, violation: violation}
	if err := p.judge(p.window(order, all), stepsMax); err != nil {
		return Unknown, err
	}
	return p.verdict, p.draw(w, notes)
}

// groups are the sets of operations that have no key in common, each given by
// OpID, in the order of their first operations. An operation without keys is in
// none.
func (c *Checker) groups(h *History) ([][]bool, error) {
	m, ok := c.model.(Grouper)
	if !ok {
		return nil, nil
	}
	type owned struct {
		Span
		id OpID
	}
	var all []owned
	var spans []Span
	for i := range h.ops {
		var err error
		if spans, err = m.Spans(spans[:0], h.ops[i].Input); err != nil {
			return nil, fmt.Errorf("linearizability: operation %d: %w", i, err)
		}
		for _, s := range spans {
			all = append(all, owned{s, OpID(i)})
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int { return cmp.Compare(a.From, b.From) })
	// Spans that overlap belong together, and so do those of one operation.
	leader := make([]OpID, len(h.ops)) // of the set, found by following it
	for i := range leader {
		leader[i] = OpID(i)
	}
	find := func(id OpID) OpID {
		for leader[id] != id {
			leader[id] = leader[leader[id]]
			id = leader[id]
		}
		return id
	}
	for i := 1; i < len(all); i++ {
		a, b := &all[i-1], &all[i]
		if a.To == "" || b.From < a.To {
			x, y := find(a.id), find(b.id)
			leader[max(x, y)] = min(x, y)
			if a.To == "" || (b.To != "" && b.To < a.To) {
				b.To = a.To // the end of all so far
			}
		}
	}
	var groups [][]bool
	byLeader := make(map[OpID]int)
	hasKeys := make([]bool, len(h.ops))
	for _, s := range all {
		hasKeys[s.id] = true
	}
	for i := range h.ops {
		if !hasKeys[i] {
			continue
		}
		l := find(OpID(i))
		g, ok := byLeader[l]
		if !ok {
			g = len(groups)
			byLeader[l] = g
			groups = append(groups, make([]bool, len(h.ops)))
		}
		groups[g][i] = true
	}
	return groups, nil
}

// loosely is the operations that may have taken effect, in the order of the log
// as far as they have points, or else by call.
func (c *Checker) loosely(h *History) []OpID {
	type placed struct {
		key uint64
		id  OpID
	}
	var list []placed
	key := uint64(0)
	for i := range h.ops {
		op := &h.ops[i]
		switch {
		case op.Outcome == OutcomeRefused:
			continue
		case op.Point.Kind == PointWrite:
			key = 2 * op.Point.Index
		case op.Point.Kind == PointRead:
			key = 2*op.Point.Index + 1
		case op.Outcome == OutcomeUnknown && h.points:
			continue
		}
		list = append(list, placed{key, OpID(i)})
	}
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.key, b.key) })
	order := make([]OpID, len(list))
	for i := range list {
		order[i] = list[i].id
	}
	return order
}

// picture is one attempt at a picture.
type picture struct {
	checker   *Checker
	model     Model
	history   *History
	violation Violation

	start   any    // the state before
	ops     []OpID // in the order of their calls
	cut     bool
	run     stepper
	verdict Verdict
	info    porcupine.LinearizationInfo
	first   int64 // the bounds of the picture, in nanoseconds
	last    int64
}

// window chooses the operations of one group to show, and works out the state
// before them.
func (p *picture) window(order []OpID, group []bool) []OpID {
	var mine []OpID
	for _, id := range order {
		if group[id] {
			mine = append(mine, id)
		}
	}
	p.start = p.model.Init()
	if len(mine) <= pictureOpsMax {
		return mine
	}
	p.cut = true
	if !p.history.points {
		return mine[:pictureOpsMax] // nobody knows a state to start from
	}
	// Up to which operation does the order of the log explain everything?
	around := len(mine) - 1
	states := make([]any, 1, pictureOpsBefore+1) // the last so many, before each
	states[0] = p.start
	run := stepper{model: p.model, budget: math.MaxUint64}
	from := 0 // the operation before which states[0] is
	for i, id := range mine {
		if id == p.violation.First || id == p.violation.Second {
			around = i
			break
		}
		next, ok := run.step(states[len(states)-1], &p.history.ops[id])
		if !ok && p.history.ops[id].Outcome == OutcomeKnown {
			around = i
			break
		}
		if !ok {
			next = states[len(states)-1]
		}
		if len(states) > pictureOpsBefore {
			states = slices.Delete(states, 0, 1)
			from++
		}
		states = append(states, next)
	}
	p.start = states[0]
	end := max(from+pictureOpsMax, around+1)
	return mine[from:min(end, len(mine))]
}

// judge has porcupine look for an order of the operations.
func (p *picture) judge(ops []OpID, stepsMax uint64) error {
	p.ops = slices.Clone(ops)
	slices.Sort(p.ops)
	p.run = stepper{model: p.model, budget: stepsMax}
	list := p.operations()
	result, info := porcupine.CheckOperationsVerbose(p.porcupine(&p.run), list, 0)
	if p.run.err != nil {
		return p.run.err
	}
	p.info = info
	if p.history.points {
		// What this returns is not a copy.
		paths := info.PartialLinearizations()
		paths[0] = append(paths[0], p.logPath(ops, list))
	}
	switch {
	case result == porcupine.Ok:
		p.verdict = Ok
	case p.run.exhausted:
		p.verdict = Unknown
	default:
		p.verdict = Illegal
	}
	return nil
}

// logPath is the order of the log, as far as the model can explain it. A search
// among many clients may run out of steps long before it gets there.
func (p *picture) logPath(ops []OpID, list []porcupine.Operation) []int {
	run := &stepper{model: p.model, budget: math.MaxUint64}
	model := p.porcupine(run)
	path := []int{0} // that of before
	state := p.start
	violating := 0
	for _, id := range ops {
		if id == p.violation.First || id == p.violation.Second {
			violating++
		}
		i, _ := slices.BinarySearch(p.ops, id)
		ok, next := model.Step(state, list[i+1].Input, nil)
		if !ok || violating == 2 {
			break
		}
		path = append(path, i+1)
		state = next
	}
	return path
}

// before is an operation of our own, ahead of all others, that shows the state
// in which a picture starts.
var before = &Operation{Client: -1}

// operations are those of the picture, with times that are unique, so that the
// order of events is kept, and else as close to virtual time as that allows.
func (p *picture) operations() []porcupine.Operation {
	h := p.history
	times := make(map[uint64]int64) // by event
	var events []Moment
	for _, id := range p.ops {
		op := &h.ops[id]
		events = append(events, op.Call)
		if op.Outcome == OutcomeKnown {
			events = append(events, op.Return)
		}
	}
	slices.SortFunc(events, func(a, b Moment) int { return cmp.Compare(a.Event, b.Event) })
	p.first, p.last = 0, 0
	if len(events) > 0 {
		p.first = int64(events[0].Nanos)
		p.last = p.first - 1
	}
	for _, e := range events {
		p.last = max(p.last+1, int64(e.Nanos))
		times[e.Event] = p.last
	}
	rows := p.rows()
	list := []porcupine.Operation{{ClientId: rows[-1], Input: before, Call: p.first - 2, Return: p.first - 1}}
	for i, id := range p.ops {
		op := &h.ops[id]
		end := p.last + 1 + int64(i) // never
		if op.Outcome == OutcomeKnown {
			end = times[op.Return.Event]
		}
		list = append(list, porcupine.Operation{
			ClientId: rows[id], Input: op, Call: times[op.Call.Event], Return: end, Metadata: p.tooltip(id, rows[id]),
		})
	}
	return list
}

// rows gives each client a row, or more if it had several operations under way,
// and one to each operation that never returns, since its client goes on. The
// rows of clients are called as the clients if their numbers allow it. Row -1 is
// that of before.
func (p *picture) rows() map[OpID]int {
	rows := make(map[OpID]int)
	free := make(map[int]uint64) // by row: the event from which on it is
	extra := make(map[int][]int) // by client
	var clients []int
	for _, id := range p.ops {
		clients = append(clients, p.history.ops[id].Client)
	}
	slices.Sort(clients)
	clients = slices.Compact(clients)
	next := len(clients)
	numbered := next > 0 && clients[0] >= 0 && clients[next-1] < 2*next
	if numbered {
		next = clients[next-1] + 1
	}
	for _, id := range p.ops {
		op := &p.history.ops[id]
		if op.Outcome != OutcomeKnown {
			rows[id] = next
			next++
			continue
		}
		row := op.Client
		if !numbered {
			row, _ = slices.BinarySearch(clients, op.Client)
		}
		for _, r := range extra[op.Client] {
			if free[row] > op.Call.Event {
				row = r
			}
		}
		if free[row] > op.Call.Event {
			row = next
			next++
			extra[op.Client] = append(extra[op.Client], row)
		}
		rows[id] = row
		free[row] = op.Return.Event
	}
	rows[-1] = next
	return rows
}

// tooltip is what else there is to say about an operation.
func (p *picture) tooltip(id OpID, row int) string {
	op := &p.history.ops[id]
	text := fmt.Sprintf("operation %d", id)
	if row != op.Client {
		text += fmt.Sprintf(" of client %d", op.Client)
	}
	switch op.Point.Kind {
	case PointWrite:
		text += fmt.Sprintf(", entry %d", op.Point.Index)
	case PointRead:
		text += fmt.Sprintf(", read after entry %d", op.Point.Index)
	}
	switch {
	case op.Outcome != OutcomeUnknown:
	case op.Return.Event == 0:
		text += ", never answered"
	default:
		text += fmt.Sprintf(", given up at %d ns", op.Return.Nanos)
	}
	if id == p.violation.First || id == p.violation.Second {
		text += ": " + p.violation.Kind.String()
	}
	return text
}

// porcupine is the model for a picture. There is no end beyond which unknown
// operations go; where one can not take effect, it has none.
func (p *picture) porcupine(run *stepper) porcupine.Model {
	describer, _ := p.model.(Describer)
	m := porcupine.Model{
		Init: func() any { return p.start },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(*Operation)
			if op == before {
				return true, state
			}
			next, ok := run.step(state, op)
			if !ok && op.Outcome == OutcomeUnknown && !run.exhausted && run.err == nil {
				return true, state
			}
			return ok, next
		},
		Equal: run.equal,
		DescribeOperation: func(input, _ any) string {
			op := input.(*Operation)
			switch {
			case op == before && p.cut:
				return "what was before"
			case op == before:
				return "start"
			case describer != nil:
				return clip(describer.Describe(op.Input, op.Output), pictureTextMax)
			}
			return clip(fmt.Sprintf("%q -> %q", op.Input, op.Output), pictureTextMax)
		},
		// The page takes these two for HTML.
		DescribeState: func(state any) string {
			if describer != nil {
				return html.EscapeString(clip(describer.DescribeState(state), pictureStateMax))
			}
			return html.EscapeString(clip(fmt.Sprintf("%v", state), pictureStateMax))
		},
		DescribeOperationMetadata: func(m any) string {
			text, _ := m.(string)
			return html.EscapeString(text)
		},
	}
	if hasher, ok := p.model.(Hasher); ok {
		m.Hash = func(state any) uint64 {
			defer run.catch(nil)
			return hasher.Hash(state)
		}
	}
	return m
}

// clip is s, or its beginning.
func clip(s string, bytesMax int) string {
	if len(s) <= bytesMax {
		return s
	}
	return strings.ToValidUTF8(s[:bytesMax], "") + "…"
}

// draw writes the page.
func (p *picture) draw(w io.Writer, notes []Annotation) error {
	// What this returns is not a copy, and comes in no order.
	for i, paths := range p.info.PartialLinearizations() {
		slices.SortFunc(paths, func(a, b []int) int {
			if len(a) != len(b) {
				return cmp.Compare(len(b), len(a))
			}
			return slices.Compare(a, b)
		})
		steps := 0
		for j, path := range paths {
			if steps += len(path); steps > picturePathStepsMax && j > 0 {
				p.info.PartialLinearizations()[i] = paths[:j]
				break
			}
		}
	}
	p.info.AddAnnotations(p.annotations(notes))
	run := &stepper{model: p.model, budget: math.MaxUint64}
	if err := porcupine.Visualize(p.porcupine(run), p.info, w); err != nil {
		return fmt.Errorf("linearizability: drawing: %w", err)
	}
	return run.err
}

// annotations are the notes that fall into the picture, cut to it, and one for
// the violation. Those of one tag that overlap get rows of their own.
func (p *picture) annotations(notes []Annotation) []porcupine.Annotation {
	var list []porcupine.Annotation
	free := make(map[string]int64) // by row: the time up to which it is taken
	add := func(n Annotation) {
		start, end := int64(n.Start), int64(max(n.Start, n.End))
		if !n.Always && (end < p.first || start > p.last || len(list) == pictureAnnotationsMax) {
			return
		}
		start, end = min(max(start, p.first), p.last), max(min(end, p.last), p.first)
		if n.Details == "" {
			n.Details = fmt.Sprintf("%s\n%d to %d ns", n.Text, n.Start, max(n.Start, n.End))
		}
		if n.Tag == "" {
			n.Tag = "note"
		}
		row := n.Tag
		for i := 2; ; i++ {
			if taken, ok := free[row]; !ok || taken < start {
				break
			}
			row = fmt.Sprintf("%s (%d)", n.Tag, i)
		}
		free[row] = end
		list = append(list, porcupine.Annotation{
			Tag: row, Start: start, End: end,
			Description: clip(n.Text, pictureTextMax), Details: clip(n.Details, pictureStateMax), BackgroundColor: n.Color,
		})
	}
	if v := p.violation; v.First >= 0 && v.Kind != ViolationNone {
		op := &p.history.ops[v.First]
		add(Annotation{
			Tag: "violation", Start: op.Call.Nanos, End: op.Return.Nanos, Text: v.Kind.String(), Details: v.Text, Color: ColorViolation,
		})
	}
	for _, n := range notes {
		add(n)
	}
	return list
}
