// Package replica is one running copy of a replicated state machine: the core,
// its storage and its state machine, put together. It persists, then sends,
// then applies, and nothing else in this module does.
//
// A replica has no goroutine, clock, file or connection of its own. A Host
// drives it, by one call after another:
//
//	Tick        time has passed
//	Receive     a peer's message arrived
//	Propose     a client wants a command in the log
//	Read        a client wants to know something
//	Completed   writes are durable
//	Applied     a task has run on the state machine
//
// and from inside those calls the replica tells its Host what to do: Send,
// Submit, Apply, Answer. The simulator is one host, and a server will be another;
// nothing in here knows which one it has.
//
// Where to look:
//
//	replica.go       the Replica and its verbs
//	perform.go       what it does with what the core wants, in which order
//	pending.go       who waits for which entry
//	reads.go         who waits for which read
//	snapshot.go      taking, keeping and restoring snapshots, and trying again
//	host.go task.go  what a Host is asked to do
//	storage.go       what a disk has to promise, and what a start makes of it
//	statemachine.go  what is replicated
//	memory.go        a Storage for simulations, which can lose power
//
// # What is bounded
//
// Proposals that wait are entries of the core's log that are not committed, so
// core.Limits.UnappliedBytes bounds them in bytes and, since every entry
// counts for some, in number. Reads that wait are at most core.Limits.Reads,
// and their queries at most core.Limits.UnappliedBytes together. At most one
// page of entries, one page of queries and one snapshot of this replica's own
// are with the host at a time. Writes with the host are not bounded here: a
// disk that stands still stops a follower from acknowledging, and the leader's
// window does the rest.
//
// The log is bounded by snapshots: in memory and on disk it holds the entries
// since the latest one, and core.Limits.TrailingBytes before it. While no
// snapshot can be saved, or one that is being saved takes its time, it grows by
// what is committed, and nothing else does: Host.SaveFailed tells. The clone of
// a state that could not be saved is let go at once.
package replica
