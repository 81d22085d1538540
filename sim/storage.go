package sim

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Disk is a disk that is not the simulator's, and what may be tested of it is
// what replica/storagetest tests: it has the interface of the disks there.
// Time, slowness, stalls and syncs that fail stay the simulator's: a sync that
// fails is one that the storage is never asked for, with a power loss after it.
// Faults that change what is durable are not drawn for it.
//
// Beside each runs a replica.Memory that is given the same writes. After each
// start it says whether what was found is one of the states that
// replica.Storage allows; property Storage is what a disk has to keep.
type Disk interface {
	// Start is the storage as a process finds it that has just begun, not opened
	// yet. The one before it is not used again: its process has crashed.
	Start() replica.Storage
	// PowerLoss takes away some of what was not synced; one that takes nothing
	// is right too. Where there is a choice, choose(n) makes it, from 0 to n-1.
	// Next comes Start.
	PowerLoss(choose func(n int) int)
}

// twin is the storage on a Disk, and the memory beside it.
type twin struct {
	h      *host
	disk   Disk
	own    replica.Storage // of this process
	memory *replica.Memory
	stream choice.Stream
	cut    bool // power was lost, and what of it survived is not known yet
}

// newTwin makes the disk of a host that has a memory already.
func newTwin(h *host, founding core.Configuration) *twin {
	w := h.w
	t := &twin{h: h, memory: h.disk.memory, stream: w.stream("disk/own", h.index, 0)}
	if t.disk = w.options.Disk(founding); t.disk == nil {
		w.misuse("Disk", "Options.Disk returns nil")
	}
	return t
}

func (t *twin) fail(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	t.h.w.failAt(Safety, t.h.index, "Storage", err.Error())
	return err
}

// Open implements replica.Storage.
func (t *twin) Open() (replica.Opened, error) {
	if t.own = t.disk.Start(); t.own == nil {
		t.h.w.misuse("Disk", fmt.Sprintf("%T.Start returns nil", t.disk))
		return replica.Opened{}, fmt.Errorf("sim: no storage")
	}
	found, err := t.own.Open()
	if err != nil {
		return found, t.fail("it does not open: %v", err)
	}
	if t.cut {
		t.cut = false
		if err := t.survived(&found.State); err != nil {
			return found, err
		}
	}
	want, err := t.memory.Open()
	switch {
	case err != nil:
		return found, t.fail("what was written to it can not be opened: %v", err)
	case found.Boot != want.Boot:
		return found, t.fail("it opens as boot %d, want %d", found.Boot, want.Boot)
	case !sameState(&found.State, &want.State):
		return found, t.fail("it opens with %s; what was written and not lost is %s", stateText(&found.State), stateText(&want.State))
	}
	return found, nil
}

// survived has the memory lose what the disk has lost, or says that the disk is
// in no state in which a power loss may leave it.
func (t *twin) survived(found *core.State) error {
	logs, hards := t.memory.Unsynced()
	for keepLogs := logs; keepLogs >= 0; keepLogs-- {
		for keepHard := hards; keepHard >= 0; keepHard-- {
			c := t.memory.Clone()
			c.PowerLoss(keepLogs, keepHard)
			if o, err := c.Open(); err == nil && sameState(found, &o.State) {
				t.memory.PowerLoss(keepLogs, keepHard)
				if keepLogs < logs || keepHard < hards {
					t.h.w.result.UnsyncedLost++
				}
				return nil
			}
		}
	}
	all := t.memory.Clone()
	all.PowerLoss(logs, hards)
	none := t.memory.Clone()
	none.PowerLoss(0, 0)
	o, _ := all.Open()
	p, _ := none.Open()
	return t.fail("after a power loss it opens with %s: want %s, or with any of the last %d log writes and %d hard states up to %s",
		stateText(found), stateText(&p.State), logs, hards, stateText(&o.State))
}

// powerLoss lets the disk lose power. What has survived shows at the next start.
func (t *twin) powerLoss(w *world) {
	t.cut = true
	t.disk.PowerLoss(func(n int) int {
		if n <= 1 {
			return 0
		}
		return int(w.source.ChooseRange(t.stream, 0, uint64(n)-1))
	})
}

// Append takes a write that the memory has taken.
func (t *twin) Append(wr *replica.Write) error {
	failed := wr.SnapshotFailed
	wr.SnapshotFailed = false
	err := t.own.Append(wr)
	if err == nil && wr.SnapshotFailed != failed {
		err = t.fail("write %d: it says that the snapshot received is damaged: %v; that is %v", wr.Seq, wr.SnapshotFailed, failed)
	}
	if err != nil {
		return t.fail("it does not take write %d: %v", wr.Seq, err)
	}
	return nil
}

// Sync implements replica.Storage.
func (t *twin) Sync(upto uint64) error {
	if err := t.own.Sync(upto); err != nil {
		return t.fail("it does not sync up to write %d: %v", upto, err)
	}
	return nil
}

// SaveSnapshot implements replica.Storage.
func (t *twin) SaveSnapshot(s *core.Snapshot, src io.WriterTo) error {
	same := *s
	if err := t.own.SaveSnapshot(s, src); err != nil {
		return t.fail("it does not save a snapshot of %v: %v", s.EntryID, err)
	}
	if err := t.memory.SaveSnapshot(&same, src); err != nil {
		return err
	}
	if s.Size != same.Size || s.Sum != same.Sum {
		return t.fail("it saves a snapshot of %v as %d bytes of sum %#x; there are %d, of sum %#x (replica.Sum)",
			s.EntryID, s.Size, s.Sum, same.Size, same.Sum)
	}
	return nil
}

// ReadSnapshot implements replica.Storage.
func (t *twin) ReadSnapshot(s *core.Snapshot, offset uint64, p []byte) (int, error) {
	return t.own.ReadSnapshot(s, offset, p)
}

// OpenSnapshot implements replica.Storage.
func (t *twin) OpenSnapshot(s *core.Snapshot) (io.ReadCloser, error) { return t.own.OpenSnapshot(s) }

// sameState says whether a start that finds one state has found the other. The
// log of found may go further back.
func sameState(found, want *core.State) bool {
	s, o := &found.Snapshot, &want.Snapshot
	if found.HardState != want.HardState || !s.Same(o) || s.Digest != o.Digest || s.Time != o.Time ||
		!slices.Equal(s.Configuration.Voters, o.Configuration.Voters) ||
		!slices.Equal(s.Configuration.Outgoing, o.Configuration.Outgoing) ||
		!slices.Equal(s.Configuration.Learners, o.Configuration.Learners) {
		return false
	}
	early := len(found.Entries) - len(want.Entries)
	if early < 0 || found.Base.Index+core.Index(early) != want.Base.Index {
		return false
	}
	base, digest := found.Base, found.BaseDigest
	if early > 0 {
		e := &found.Entries[early-1]
		base, digest = e.EntryID, e.Digest
	}
	if base != want.Base || digest != want.BaseDigest {
		return false
	}
	for i := range want.Entries {
		a, b := &found.Entries[early+i], &want.Entries[i]
		if a.EntryID != b.EntryID || a.Kind != b.Kind || a.Time != b.Time || a.Digest != b.Digest || !bytes.Equal(a.Data, b.Data) {
			return false
		}
	}
	return true
}

func stateText(s *core.State) string {
	last := s.Base
	if n := len(s.Entries); n > 0 {
		last = s.Entries[n-1].EntryID
	}
	return fmt.Sprintf("term %d, vote %d, commit %d, log from %v to %v, snapshot %v",
		s.HardState.Term, s.HardState.Vote, s.HardState.Commit, s.Base, last, s.Snapshot.EntryID)
}
