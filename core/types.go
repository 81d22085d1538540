package core

import (
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/core/ids"
)

// The names of package ids, under the names that a user of the core meets.
type (
	Term      = ids.Term
	Index     = ids.Index
	ReplicaID = ids.ReplicaID
	ClusterID = ids.ClusterID
	Boot      = ids.Boot
	EntryID   = ids.EntryID
	ReadID    = ids.ReadID
)

// The names of package confchange, likewise.
type (
	Configuration = confchange.Configuration
	Member        = confchange.Member
	Operation     = confchange.Operation
)

// EntryKind says who reads an entry's data.
type EntryKind uint8

const (
	// EntryCommand belongs to the state machine; its data is opaque here.
	EntryCommand EntryKind = iota + 1
	// EntryNoop opens a leader's term (dissertation §6.4). It has no data.
	EntryNoop
	// EntryConfiguration changes the members (dissertation §4): its data is the
	// encoding of a Configuration whose Index is the entry's.
	EntryConfiguration
)

// Entry is one position of the log. Its data is never copied or changed by
// the core, and must not be changed by anyone once proposed.
type Entry struct {
	EntryID
	Kind EntryKind
	// Time is the log time in ticks: the proposing leader's clock, which never
	// runs behind the entries before it. It is the only time a state machine
	// may see (dissertation §6.3).
	Time uint64
	Data []byte
	// Digest covers this entry and every entry before it, so that two logs
	// that agree in one digest agree in all they hold up to there. It is made
	// once, by the leader that appends the entry.
	Digest uint64
}

// entryOverheadBytes is what an entry costs beside its data, in every bound
// that counts bytes.
const entryOverheadBytes = 80

// Bytes is what the entry counts for in every bound on bytes.
func (e *Entry) Bytes() uint64 { return uint64(len(e.Data)) + entryOverheadBytes }

// Chain is the digest of e when it follows an entry whose digest is prev.
func (e *Entry) Chain(prev uint64) uint64 {
	h := digest.Word(prev, uint64(e.Term))
	h = digest.Word(h, uint64(e.Index))
	h = digest.Word(h, uint64(e.Kind)|e.Time<<8)
	return digest.Bytes(h, e.Data)
}

// HardState is what a replica must find again after a crash, beside its log
// and its snapshot (dissertation figure 3.1). Term and vote are durable before
// they are spoken of. Commit is written along with them and with entries,
// never synced for itself, and never lies beyond what was durable when it was
// written: to find it beyond the log is to know that the disk lost something.
type HardState struct {
	Term   Term
	Vote   ReplicaID // zero: no vote in this term
	Commit Index
}

// Snapshot names a state of the state machine and its position in the log.
// The core never sees the bytes: they stay with storage.
type Snapshot struct {
	EntryID              // the last entry it includes
	Digest        uint64 // chain digest of that entry
	Time          uint64 // log time of that entry, ticks
	Size          uint64 // bytes of the stream
	Sum           uint64 // digest of the stream, so that chunks of two snapshots never mix
	Configuration Configuration
}

// IsZero says whether there is no snapshot.
func (s *Snapshot) IsZero() bool { return s.Index == 0 }

// equal says whether two snapshots are the same in all that they say.
func (s *Snapshot) equal(o *Snapshot) bool {
	return s.Same(o) && s.Digest == o.Digest && s.Time == o.Time && s.Configuration.Equal(&o.Configuration)
}

// clone shares no slices with s.
func (s *Snapshot) clone() Snapshot {
	c := *s
	c.Configuration = s.Configuration.Clone()
	return c
}

// Same says whether two snapshots are the same stream of bytes.
func (s *Snapshot) Same(o *Snapshot) bool {
	return s.EntryID == o.EntryID && s.Size == o.Size && s.Sum == o.Sum
}
