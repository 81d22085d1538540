// Package kv is the replicated state machine that comes with the project: an
// ordered map from keys to values, with versions, transactions and client
// sessions.
//
//	command.go      what a client may ask, within which bounds, and its bytes
//	reply.go        what a client is told, and its bytes
//	codec.go        the parts that both are made of
//	machine.go      Machine: Apply, one function per kind of command
//	transaction.go  conditions, reads and writes, together or not at all
//	query.go        reads, in the log and beside it
//	session.go      retries answered, not applied again; who is forgotten when
//	digest.go       one word for the whole state
//	snapshot.go     the state as a stream of bytes, and back
//
// The machine is a pure function of the log. It knows no time but the log
// time that comes with each entry, draws no random numbers, and gives the same
// replies, digest and snapshot bytes on every replica that applied the same
// entries, whether it started empty or from a snapshot.
//
// # Revision and version
//
// The store has a revision, which starts at 0 and grows by one with each
// command that changed at least one key. A key's version is the revision of
// its last change; all keys changed by one command get the same. Version 0
// means that the key does not exist. So no two states of a key ever share a
// version, also not when it was deleted in between.
//
// # Sessions
//
// A client that wants its retries to be harmless registers a session, and
// gives each command the session and a serial number that grows. Of each
// session the machine keeps the last serial and its reply (dissertation §6.3).
package kv
