// Package core is Raft as a pure state machine: inputs go in, duties come out.
// It has no clock, no I/O, no goroutine, no random numbers and no global
// state, and imports nothing but the standard library.
//
// # Inputs
//
// A host owns a Raft and calls Step with one Input at a time: ticks, a
// peer's message, proposals, a read, or a report that something it was asked
// to do is done (persisted, applied, snapshot taken or installed). Before any
// other input it delivers the ticks that its monotonic clock owes.
//
// # Order of duties
//
// Step writes what follows into a Ready, and a host does it from top to
// bottom: write to the disk, send the messages that may leave now, send the
// messages that wait for the disk once it has synced, hand committed entries
// to the state machine, release reads, answer refusals. There is no second
// phase: what is done is reported as an input, whenever it is done, and
// several writes may be on their way.
//
// # Map of the files
//
//	types.go message.go input.go ready.go   what goes in and out
//	raft.go deadline.go                     Raft, Config, New, Step; what is durable, and what ends a step
//	gate.go                                 what no honest peer could send is refused, before anything changes
//	follower.go candidate.go leader.go      one role each: enter, tick, handlers
//	election.go                             where a vote is granted
//	replication.go                          what a leader sends, and what it learns from answers
//	commit.go                               where the commit index advances
//	read.go                                 linearizable reads by read index or lease
//	membership.go                           configurations in the log, and changes from one to another
//	transfer.go                             leadership given to another, asked for or not
//	snapshot.go                             chunks of snapshots, in and out; compaction
//	log.go                                  entries and positions, persisted or not yet
//	invariants.go                           what must hold now
//	inspect.go                              Status, Clone, Hash
//	show.go                                 messages as lines of text
//	ids quorum progress confchange digest   small packages of arithmetic below this one
//
// # Safety beyond the paper
//
// PreVote, CheckQuorum and leader stickiness are always on. A leader opens its
// term with a no-op. Term and vote are durable before any message speaks of
// them; entries are durable before they are counted or promised. Messages are
// checked once, at the gate: ErrBadMessage leaves the state as it was. What
// only a broken host can do halts the replica for good, with a reason.
package core
