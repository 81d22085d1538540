package linearizability

// Model is the state machine as clients may rely on it, written to be obviously
// right rather than fast. The smallest one:
//
//	type counter struct{}
//
//	func (counter) Init() any { return uint64(0) }
//
//	func (counter) Step(state any, input, output []byte) (any, bool, error) {
//		next := state.(uint64) + uint64(len(input)) // a command adds its length
//		ok := output == nil || string(output) == fmt.Sprint(next)
//		return next, ok, nil
//	}
//
//	func (counter) Equal(a, b any) bool { return a == b }
//
// A model may also implement Hasher, Describer and Grouper. Its methods need
// not be safe for concurrent use; different checkers may share it if it has no
// fields that they change.
type Model interface {
	// Init is the state before the first command.
	Init() any

	// Step says whether the machine, in this state, could have taken input and
	// answered output, and in which state it is then. A nil output is an unknown
	// one: whatever the machine would have answered counts as right, and ok says
	// whether the command can take effect at all. (An answer of no bytes is
	// empty, not nil.) The result may depend on nothing but the arguments, and
	// states handed in or out before must stay good, since the checker goes
	// back to them. input and output may be kept until the check is over.
	//
	// An error is for what the model can not judge, such as an input of a kind
	// it does not know; it ends the check without a verdict. An output that the
	// machine would never give is no error but ok == false.
	Step(state any, input, output []byte) (next any, ok bool, err error)

	// Equal says whether two states behave alike for ever. It may say no where
	// the answer is yes, which costs time; the other mistake costs a wrong
	// Illegal, but never a wrong Ok.
	Equal(a, b any) bool
}

// Hasher is a Model with a hash of its states, so that Whole compares fewer of
// them. Equal states have equal hashes.
type Hasher interface {
	Hash(state any) uint64
}

// Describer is a Model that can say in a few words, for violations, pictures
// and history files, what happened.
type Describer interface {
	// Describe is one operation: input, and output unless it is nil.
	Describe(input, output []byte) string
	DescribeState(state any) string
}

// Grouper is a Model whose operations concern keys, so that a picture can show
// those alone that have to do with each other.
type Grouper interface {
	// Spans appends to dst the keys that an operation reads or writes.
	Spans(dst []Span, input []byte) ([]Span, error)
	// Group is the model for the operations of one group, where those of other
	// groups are out of sight. It may be more lenient than the model itself.
	Group() Model
}

// Span is the keys from From, included, to To, excluded; an empty To is no
// bound. The span of the one key k is {k, k + "\x00"}.
type Span struct{ From, To string }

// Verdict is what a check found. The zero verdict is Unknown, which is not a
// pass.
type Verdict uint8

const (
	// Unknown: the budget of steps ran out.
	Unknown Verdict = iota
	// Ok: the history is linearizable.
	Ok
	// Illegal: it is not, or (Points) not in the order that the log says.
	Illegal
)

func (v Verdict) String() string {
	switch v {
	case Ok:
		return "ok"
	case Illegal:
		return "illegal"
	}
	return "unknown"
}
