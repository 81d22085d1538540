package core

// InputKind says what an Input brings, and which of its fields count.
type InputKind uint8

const (
	// InputTick: Ticks have passed. A host delivers the ticks that its
	// monotonic clock owes, as one input, before any other input.
	InputTick InputKind = iota + 1
	// InputMessage: a peer's Message arrived.
	InputMessage
	// InputPropose: a client wants the Proposals in the log, in this order.
	InputPropose
	// InputRead: a client wants a linearizable read, named by Tag.
	InputRead
	// InputChange: someone wants other members; see Change.
	InputChange
	// InputTransfer: someone wants Target to lead, or with Target zero the best
	// of the other voters (dissertation §3.10).
	InputTransfer
	// InputCampaign: someone wants this replica to stand for election now. It is
	// refused while a leader is heard, and asks for pre-votes first, so a leader
	// that works is not disturbed.
	InputCampaign
	// InputResign: this replica is about to be shut down. If it leads, it hands
	// over to the best of the others, and from now on it stands for no election.
	InputResign
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
	// timeout, from all there are. A host brings one with the next tick after
	// Ready.WantJitter; one that does not is told by EventJitterMissing.
	Jitter    uint32
	JitterSet bool

	Message   *Message
	Proposals []Proposal
	// Tag names what is wanted. It comes back exactly once: for InputRead in
	// Ready.Reads or Refusals, for InputChange in Accepted or Refusals, for the
	// others in Done or Refusals.
	Tag uint64
	// Lease, with InputRead, lets a leader answer without a word to anyone while
	// its lease lasts (dissertation §6.4.1). LeaseDriftPPM is then how much
	// faster the clock of one replica may go than that of another, in parts per
	// million: if one ever goes faster than that, the read may be stale.
	Lease         bool
	LeaseDriftPPM uint32
	Change        Change
	Target        ReplicaID
	Persisted     Persisted
	Applied       Index
	Snapshot      Snapshot
}

// Proposal is a command on its way into the log. Tag is the caller's name for
// it; it comes back exactly once, in Ready.Accepted or in Ready.Refusals.
type Proposal struct {
	Tag  uint64
	Data []byte
}

// Change is what someone wants of the members. It goes through as many
// configurations as it takes, whoever leads meanwhile: learners that are to
// become voters catch up first, and a joint configuration is left by itself
// (dissertation §4.2.1, §4.3).
type Change struct {
	Operations []Operation
	// If, when IfSet, names the configuration that the change was made for; if it
	// is not in force any more, the change is refused.
	If    EntryID
	IfSet bool
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
