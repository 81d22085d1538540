package core

// InputKind says what an Input brings, and which of its fields count.
type InputKind uint8

const (
	// InputTick: Ticks have passed. A driver delivers the ticks that its
	// monotonic clock owes, as one input, before any other input.
	InputTick InputKind = iota + 1
	// InputMessage: a peer's Message arrived.
	InputMessage
	// InputPropose: a client wants the Proposals in the log, in this order.
	InputPropose
	// InputRead: a client wants a linearizable read, named by Tag.
	InputRead
	// InputPersisted: the writes up to Persisted are durable.
	InputPersisted
	// InputApplied: the state machine has applied everything up to Applied.
	InputApplied
	// InputSnapshotTaken: Snapshot, made by this replica's own state machine,
	// is durable; the log up to it may go.
	InputSnapshotTaken
	// InputSnapshotInstalled: Snapshot, received from the leader, is durable
	// and its bytes are what its Sum says.
	InputSnapshotInstalled
	// InputSnapshotFailed: Snapshot could not be installed: the bytes received
	// are not what its Sum says. They are forgotten.
	InputSnapshotFailed
)

// Input is one thing that happens to a replica. Slices are borrowed for the
// call, except for proposal data, which the core keeps and never changes.
type Input struct {
	Kind InputKind

	Ticks uint32
	// Jitter, when JitterSet, is a fresh random number for the next election
	// timeout. A driver brings one with the next tick after Ready.WantJitter.
	Jitter    uint32
	JitterSet bool

	Message   *Message
	Proposals []Proposal
	Tag       uint64
	Persisted Persisted
	Applied   Index
	Snapshot  Snapshot
}

// Proposal is a command on its way into the log. Tag is the caller's name for
// it; it comes back exactly once, in Ready.Accepted or in Ready.Refusals.
type Proposal struct {
	Tag  uint64
	Data []byte
}

// LogMark names a state of the log: the term in which its last change was
// accepted, and its last index. Within one such term a log only grows, so a
// mark tells a late acknowledgement of an overwritten tail from one that
// still counts.
type LogMark struct {
	Term  Term
	Index Index
}

// Persisted says what is durable: the log as of Log, and the hard state's
// Term and Vote. Acknowledgements may be late, repeated, or out of order.
type Persisted struct {
	Log  LogMark
	Term Term
	Vote ReplicaID
}
