package linearizability

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Outcome is what the client of an operation knows about it.
type Outcome uint8

const (
	// OutcomeUnknown: no answer came. The operation may take effect at any time
	// after its call, also long after the client has given up, or never.
	OutcomeUnknown Outcome = iota
	// OutcomeKnown: Output is the answer. The operation took effect between call
	// and return.
	OutcomeKnown
	// OutcomeRefused: the client was told that the operation did not take effect
	// and never will.
	OutcomeRefused

	outcomeEnd
)

var outcomeNames = [...]string{"unknown", "known", "refused"}

func (o Outcome) String() string {
	if o < outcomeEnd {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Moment is when something happened. Nanos is for people; several moments may
// share it. Event is the position in the one order of all calls and returns of
// a history, from 1 and never shared, and decides what came before what. The
// zero Moment is never.
type Moment struct {
	Nanos uint64 // virtual time
	Event uint64
}

// PointKind says in which way an operation is tied to the log.
type PointKind uint8

const (
	// PointNone: it is not, as far as anybody knows: it never took effect.
	PointNone PointKind = iota
	// PointWrite: it is the entry at Index.
	PointWrite
	// PointRead: it has no entry, and was answered from the state after the
	// entry at Index and before the next.
	PointRead
)

// Point is where in the log an operation took effect. The client can not know
// it, the simulator does.
type Point struct {
	Kind  PointKind
	Index uint64
}

// Operation is one request of a client and what came of it. Retries within a
// session are one operation, called at the first try; a retry without a session
// is another operation, since it may take effect a second time.
type Operation struct {
	Client  int
	Outcome Outcome
	Point   Point
	// Again is the index at which the operation took effect a second time, which
	// it never should; 0 if it did not.
	Again uint64
	Call  Moment
	// Return is when the client got its answer or gave up waiting, which says
	// nothing about when an operation of unknown outcome takes effect.
	Return Moment
	Input  []byte
	Output []byte // not nil if and only if the outcome is known
}

// OpID names an operation of one history: its position, in the order of the
// calls.
type OpID int

// History is a record of operations, in the order of their calls. It grows only,
// keeps its own copy of inputs and outputs, and allocates nothing once it has
// been as large before (see Reset). The zero History is empty and ready.
//
// Its methods may be called from many goroutines at once. The order in which
// they are called is the order of events: a client calls Call before it sends
// anything, and Return after the answer has come, and then no operation looks
// shorter than it was. Times are for people. A time before the latest one, as
// two goroutines that read one clock may bring them, counts as the latest.
//
// What Op and Operations return, the checks and pictures look at in place: they
// are for when nobody records any more. Write and Len are not.
type History struct {
	mu     sync.Mutex
	ops    []Operation
	events uint64
	nanos  uint64
	bytes  []byte // inputs and outputs; older slices may point into earlier arrays
	points bool
}

// Reset empties the history and keeps its memory. Operations obtained before
// are void.
func (h *History) Reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = h.ops[:0]
	h.bytes = h.bytes[:0]
	h.events, h.nanos, h.points = 0, 0, false
}

// Call records that client, any small number, sends input at the time nanos.
// Until something else is recorded about it, the outcome is unknown.
func (h *History) Call(client int, nanos uint64, input []byte) OpID {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, Operation{Client: client, Call: h.moment(nanos), Input: h.keep(input)})
	return OpID(len(h.ops) - 1)
}

// Return records the answer. An answer that leaves open whether the operation
// took effect is none: then call GiveUp.
func (h *History) Return(id OpID, nanos uint64, output []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := h.close(id, nanos)
	op.Outcome = OutcomeKnown
	op.Output = h.keep(output)
}

// Refuse records that the client was told that the operation will never take
// effect.
func (h *History) Refuse(id OpID, nanos uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close(id, nanos).Outcome = OutcomeRefused
}

// GiveUp records that the client no longer waits. The outcome stays unknown.
func (h *History) GiveUp(id OpID, nanos uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close(id, nanos)
}

// Wrote records that the operation is the entry at index and was applied there.
// An entry that a session table kept from being applied is none.
// Recording the same index again, as each replica applies it, is harmless;
// another index is a violation that Points will report.
func (h *History) Wrote(id OpID, index uint64) { h.point(id, Point{PointWrite, index}) }

// Read records that the operation was answered from the state after the entry
// at index, without an entry of its own.
func (h *History) Read(id OpID, index uint64) { h.point(id, Point{PointRead, index}) }

// Len is the number of operations.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Op is the operation id, to be looked at until the history next changes.
func (h *History) Op(id OpID) *Operation { return &h.ops[id] }

// Operations are all of them, by OpID, to be looked at until the history next
// changes.
func (h *History) Operations() []Operation { return h.ops }

func (h *History) moment(nanos uint64) Moment {
	h.nanos = max(h.nanos, nanos)
	h.events++
	return Moment{Nanos: h.nanos, Event: h.events}
}

func (h *History) close(id OpID, nanos uint64) *Operation {
	op := &h.ops[id]
	if op.Return.Event != 0 {
		panic(fmt.Sprintf("linearizability: operation %d of client %d ends twice", id, op.Client))
	}
	op.Return = h.moment(nanos)
	return op
}

func (h *History) point(id OpID, p Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.points = true
	op := &h.ops[id]
	switch {
	case op.Point.Kind == PointNone:
		op.Point = p
	case op.Point != p && op.Again == 0:
		op.Again = p.Index
	}
}

// keep copies b. The result is never nil.
func (h *History) keep(b []byte) []byte {
	if h.bytes == nil {
		h.bytes = make([]byte, 0, 1<<12)
	}
	n := len(h.bytes)
	h.bytes = append(h.bytes, b...)
	return h.bytes[n:len(h.bytes):len(h.bytes)]
}

// The file format: one operation per line, so that it can be searched with
// line tools. "text" is for people and ignored when read.
//
//	{"version":1,"operations":[
//	{"client":0,"call":[1000,1],"return":[2000,2],"outcome":"known","write":7,"input":"…","output":"…","text":"…"},
//	…
//	]}
const historyVersion = 1

type jsonHistory struct {
	Version    int             `json:"version"`
	Operations []jsonOperation `json:"operations"`
}

type jsonOperation struct {
	Client  int        `json:"client"`
	Call    [2]uint64  `json:"call"` // nanoseconds, event
	Return  *[2]uint64 `json:"return,omitempty"`
	Outcome string     `json:"outcome"`
	Write   *uint64    `json:"write,omitempty"`
	Read    *uint64    `json:"read,omitempty"`
	Again   uint64     `json:"again,omitempty"`
	Input   []byte     `json:"input"`
	Output  []byte     `json:"output,omitempty"`
	Text    string     `json:"text,omitempty"`
}

// Write writes the history as JSON. What ReadHistory makes of it gets the same
// verdict from every check. If m is a Describer, each operation also says in
// words what it is; m may be nil.
func (h *History) Write(w io.Writer, m Model) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	describer, _ := m.(Describer)
	buf := bufio.NewWriter(w)
	fmt.Fprintf(buf, "{\"version\":%d,\"operations\":[", historyVersion)
	for i := range h.ops {
		line, err := json.Marshal(h.jsonOperation(&h.ops[i], describer))
		if err != nil {
			return err
		}
		if i > 0 {
			buf.WriteByte(',')
		}
		buf.WriteByte('\n')
		buf.Write(line)
	}
	buf.WriteString("\n]}\n")
	return buf.Flush() // reports the first error of all the writes before
}

func (h *History) jsonOperation(op *Operation, describer Describer) *jsonOperation {
	j := &jsonOperation{
		Client:  op.Client,
		Call:    [2]uint64{op.Call.Nanos, op.Call.Event},
		Outcome: op.Outcome.String(),
		Again:   op.Again,
		Input:   op.Input,
		Output:  op.Output,
	}
	if op.Return.Event != 0 {
		j.Return = &[2]uint64{op.Return.Nanos, op.Return.Event}
	}
	switch op.Point.Kind {
	case PointWrite:
		j.Write = &op.Point.Index
	case PointRead:
		j.Read = &op.Point.Index
	}
	if describer != nil {
		j.Text = describer.Describe(op.Input, op.Output)
	}
	return j
}

// ReadHistory reads what Write wrote. It takes nothing on trust: a file in
// which the order of events is not one is an error.
func ReadHistory(r io.Reader) (*History, error) {
	var file jsonHistory
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, fmt.Errorf("linearizability: reading history: %w", err)
	}
	if file.Version != historyVersion {
		return nil, fmt.Errorf("linearizability: history of version %d, want %d", file.Version, historyVersion)
	}
	h := &History{ops: make([]Operation, 0, len(file.Operations))}
	events := uint64(2 * len(file.Operations))
	nanos := make([]uint64, events+1) // by event; MaxUint64 where there is none
	for i := range nanos {
		nanos[i] = ^uint64(0)
	}
	moment := func(m [2]uint64) error {
		if m[1] == 0 || m[1] > events || nanos[m[1]] != ^uint64(0) || m[0] == ^uint64(0) {
			return fmt.Errorf("event %d out of bounds or twice", m[1])
		}
		nanos[m[1]] = m[0]
		h.events = max(h.events, m[1])
		h.nanos = max(h.nanos, m[0])
		return nil
	}
	for i := range file.Operations {
		op, err := file.Operations[i].operation(moment)
		if err == nil && i > 0 && op.Call.Event <= h.ops[i-1].Call.Event {
			err = fmt.Errorf("called before its predecessor")
		}
		if err != nil {
			return nil, fmt.Errorf("linearizability: operation %d: %w", i, err)
		}
		h.points = h.points || op.Point.Kind != PointNone
		h.ops = append(h.ops, op)
	}
	last := uint64(0)
	for event, at := range nanos {
		if at == ^uint64(0) {
			continue
		}
		if at < last {
			return nil, fmt.Errorf("linearizability: time goes back at event %d", event)
		}
		last = at
	}
	return h, nil
}

func (j *jsonOperation) operation(moment func([2]uint64) error) (Operation, error) {
	op := Operation{Client: j.Client, Again: j.Again, Input: j.Input}
	for op.Outcome = 0; op.Outcome.String() != j.Outcome; op.Outcome++ {
		if op.Outcome >= outcomeEnd {
			return op, fmt.Errorf("outcome %q", j.Outcome)
		}
	}
	if err := moment(j.Call); err != nil {
		return op, err
	}
	op.Call = Moment{j.Call[0], j.Call[1]}
	if j.Return != nil {
		if err := moment(*j.Return); err != nil {
			return op, err
		}
		op.Return = Moment{j.Return[0], j.Return[1]}
		if op.Return.Event < op.Call.Event {
			return op, fmt.Errorf("returns before it is called")
		}
	} else if op.Outcome != OutcomeUnknown {
		return op, fmt.Errorf("outcome %s but no return", op.Outcome)
	}
	switch {
	case j.Write != nil && j.Read != nil:
		return op, fmt.Errorf("both a write and a read")
	case j.Write != nil:
		op.Point = Point{PointWrite, *j.Write}
	case j.Read != nil:
		op.Point = Point{PointRead, *j.Read}
	}
	if op.Input == nil {
		op.Input = []byte{}
	}
	if op.Outcome == OutcomeKnown {
		op.Output = append([]byte{}, j.Output...)
	} else if j.Output != nil {
		return op, fmt.Errorf("outcome %s but an output", op.Outcome)
	}
	return op, nil
}
