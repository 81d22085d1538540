package replica

import (
	"errors"
	"io"

	"github.com/seaworthy-raft/seaworthy/core"
)

// Storage keeps what a replica must find again: its hard state, its log, its
// latest snapshot, and how often it was started.
//
// It is a plain object with one owner, who calls Open, Append and Sync one at
// a time. Writing and making durable are apart: whatever has been appended is
// there after a crash of the process, but only what has been synced is there
// after a power loss. Of the rest a power loss leaves
//
//   - of the log writes appended since the last sync any prefix, in the order
//     of Append, each write whole or not at all; a snapshot is there when the
//     write that completes or publishes it is;
//   - independently of that, of the hard states appended since the last sync
//     any one, or none, in which case it is the last synced one.
//
// A write may bring both, and then the two halves have different fates.
// Package storagetest says this in tests that every Storage has to pass.
//
// The snapshot verbs, SaveSnapshot, ReadSnapshot and OpenSnapshot, may be
// called while the owner is inside Append or Sync: a durable snapshot never
// changes, and a saved one is not visible to anyone before it is published.
type Storage interface {
	// Open finds what survived. What it returns is durable, with the boot number
	// incremented: it is the first call, made once per start.
	Open() (Opened, error)

	// Append takes a write. It is not durable yet. Storage copies what it keeps,
	// except for the data of entries, which never changes. When the write
	// completes a received snapshot, Append verifies it, and sets
	// w.SnapshotFailed and forgets the bytes if they are not what they should
	// be. After an error nothing more may be written.
	Append(w *Write) error

	// Sync makes every write with a Seq up to upto durable. After an error it is
	// unknown what is, and nothing more may be written: a second attempt could
	// succeed without the first one's data.
	Sync(upto uint64) error

	// SaveSnapshot streams src, made by this replica's own state machine at the
	// position in s, in pieces of bounded size, sets s.Size and s.Sum, and makes
	// the bytes durable. A write with Publish then makes it the latest snapshot;
	// until then it is nothing, and gone after a crash or with the next
	// SaveSnapshot. An error, be it src's or the disk's, says that there is none
	// such, and of everything else nothing: it is as it was, and the next
	// SaveSnapshot may succeed.
	SaveSnapshot(s *core.Snapshot, src io.WriterTo) error

	// ReadSnapshot fills p with the bytes of a durable snapshot from offset on
	// and says how many it has read: fewer than len(p) only at the end of the
	// stream, with a nil error.
	ReadSnapshot(s *core.Snapshot, offset uint64, p []byte) (int, error)

	// OpenSnapshot reads a durable snapshot from its beginning. An error while
	// reading says that the disk broke a promise.
	OpenSnapshot(s *core.Snapshot) (io.ReadCloser, error)
}

// Opened is what Storage finds at a start.
type Opened struct {
	Boot core.Boot
	// State is what core.New wants: the latest snapshot, and entries without a
	// gap to it.
	State core.State
	// Dropped says why recovery left part of the log behind, and
	// DroppedEntries how many entries. It is nothing to worry about: the
	// snapshot replaces them, and the write that would have said so was lost.
	Dropped        DropReason
	DroppedEntries int
}

// DropReason says why recovery did not take a log as it was.
type DropReason uint8

const (
	DropNone DropReason = iota
	// DropBehind: the log ends before the snapshot. The snapshot was received
	// from a leader, or taken of entries that were committed by others before
	// they were durable here.
	DropBehind
	// DropConflict: the log's entry at the snapshot's index is another one, so
	// all behind it belongs to a history that was never committed.
	DropConflict
)

var dropNames = [...]string{"none", "ends before the snapshot", "conflicts with the snapshot"}

func (d DropReason) String() string {
	if int(d) < len(dropNames) {
		return dropNames[d]
	}
	return "invalid"
}

// What storage may have to report. Errors of a real disk are wrapped as they
// are.
var (
	// ErrGap: entries are missing between the snapshot and the log. The disk
	// has lost something that was durable.
	ErrGap = errors.New("replica: gap between snapshot and log")
	// ErrCorrupt: bytes on disk are not those that were written.
	ErrCorrupt = errors.New("replica: corrupt storage")
	// ErrNoSnapshot: no such snapshot, or one that has been released.
	ErrNoSnapshot = errors.New("replica: no such snapshot")
	// ErrWriteOrder: a write does not continue what was written before it.
	ErrWriteOrder = errors.New("replica: write out of order")
)

// Write is what one step of the core wants on disk, or the publication of a
// snapshot of this replica's own. Everything but SnapshotFailed is the
// replica's to set, and the host's and the storage's to read.
type Write struct {
	// Seq numbers the writes of one incarnation densely from 1, in the order in
	// which they are submitted.
	Seq uint64

	HardStateSet bool
	HardState    core.HardState

	// The log: Reset first, then Truncate, then Entries, then Compact, with the
	// meanings they have in core.Ready. ResetTo is the snapshot at whose
	// position the log then begins.
	Reset    bool
	ResetTo  core.Snapshot
	Truncate core.Index
	Entries  []core.Entry
	Compact  core.Index
	// Mark names the log after this write.
	Mark core.LogMark

	// Chunk, when ChunkSet, is a piece of a snapshot on its way in. Pieces come
	// in order and without a gap; one with offset zero begins a stream anew and
	// drops what was there of another. When the last one is there, the snapshot
	// becomes the latest, or is dropped if it does not lie beyond that.
	ChunkSet bool
	Chunk    core.SnapshotChunk
	// Publish, when PublishSet, becomes the latest snapshot, or is dropped if it
	// does not lie beyond that. Its bytes have been saved with SaveSnapshot.
	PublishSet bool
	Publish    core.Snapshot
	// Released are snapshots whose bytes may go. The latest one is never among
	// them, but perhaps some that are gone already.
	Released []core.Snapshot

	// SnapshotFailed is set by Append when Chunk was the last one and the bytes
	// received are not those of the snapshot.
	SnapshotFailed bool

	// core says that the write came from a step of the core, which wants to
	// hear that it is durable.
	core bool
	// chunkData is the memory of Chunk.Data, kept from use to use.
	chunkData []byte
}

// ChangesLog says whether the write is a log write: one of those that survive
// a power loss in order. The others bring a hard state only.
func (w *Write) ChangesLog() bool {
	return w.Reset || w.Truncate != 0 || len(w.Entries) > 0 || w.Compact != 0 ||
		w.ChunkSet || w.PublishSet || len(w.Released) > 0
}

// Bytes is about how much the write puts on disk.
func (w *Write) Bytes() uint64 {
	n := uint64(len(w.Chunk.Data))
	for i := range w.Entries {
		n += w.Entries[i].Bytes()
	}
	return n
}

// Recover makes what core.New wants out of found, which is what a disk holds:
// the hard state, the latest durable snapshot, and the log as it stands with
// the position before it, which may end before the snapshot or contradict it.
// A log that begins behind a gap is ErrGap; entries that do not follow one
// another, by index, term and chain digest, are ErrCorrupt. A log that is kept
// is kept whole, with what it holds before the snapshot.
func Recover(boot core.Boot, found core.State) (Opened, error) {
	at, digest := found.Base, found.BaseDigest
	snap := &found.Snapshot
	if at.Index > snap.Index {
		return Opened{}, ErrGap
	}
	matches := at == snap.EntryID
	if at.Index == snap.Index && (!matches || digest != snap.Digest) {
		// Up to its base a log was committed, and so is a snapshot.
		return Opened{}, ErrCorrupt
	}
	for i := range found.Entries {
		e := &found.Entries[i]
		if e.Index != at.Index+1 || e.Term < at.Term || e.Digest != e.Chain(digest) {
			return Opened{}, ErrCorrupt
		}
		at, digest = e.EntryID, e.Digest
		if at == snap.EntryID {
			if digest != snap.Digest {
				return Opened{}, ErrCorrupt
			}
			matches = true
		}
	}
	o := Opened{Boot: boot, State: found}
	if matches {
		return o, nil
	}
	if n := len(found.Entries); n > 0 {
		o.DroppedEntries = n
		o.Dropped = DropConflict
		if at.Index < snap.Index {
			o.Dropped = DropBehind
		}
	}
	o.State.Base, o.State.BaseDigest, o.State.BaseTime = snap.EntryID, snap.Digest, snap.Time
	o.State.Entries = nil
	return o, nil
}
