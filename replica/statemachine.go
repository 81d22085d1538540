package replica

import "io"

// StateMachine is what a cluster replicates. The driver owns it: it is only
// ever touched from within Task.Run, one task at a time and in order, and
// never by the replica itself.
//
// The interface names no type of this module, so that a state machine can
// satisfy it without importing it.
//
// Whatever a state machine does must follow from its state and its arguments
// alone. It must not look at a clock, at a random number, at the order of a
// map, or at anything else that another replica could see differently.
type StateMachine interface {
	// Apply carries out the command of the entry at index. time is the log time
	// in ticks: it never goes back, and it is the only time there is. Indexes
	// grow but need not be dense, because some entries are not commands.
	//
	// It appends its reply to reply and returns the result, as append does, and
	// keeps neither reply nor command's array for writing; command's bytes never
	// change and may be kept.
	Apply(index, time uint64, command, reply []byte) []byte

	// Query answers a question without changing anything, in the manner of
	// Apply. It must not keep query.
	Query(query, reply []byte) []byte

	// Snapshot returns the state as it is now. It is expected to be cheap, a
	// copy-on-write clone, since commands wait for it: the work is in WriteTo,
	// which may be called later, from elsewhere, while commands go on being
	// applied, and which writes the same bytes whenever it is called.
	Snapshot() io.WriterTo

	// Restore replaces the state by one that a Snapshot wrote. r delivers
	// exactly the bytes of one snapshot. On an error the state is of no use any
	// more, and the replica halts.
	Restore(r io.Reader) error

	// Digest is a word that two replicas have in common when their states are
	// the same.
	Digest() uint64
}
