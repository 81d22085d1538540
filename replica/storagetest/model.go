package storagetest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// model is what a disk holds, in the plainest form.
type model struct {
	hard core.HardState
	// base is the position before entries, as a snapshot without bytes.
	base      core.Snapshot
	entries   []core.Entry
	snapshots []core.Snapshot // the last one is the latest
}

func (m *model) clone() model {
	c := *m
	c.entries = slices.Clone(m.entries)
	c.snapshots = slices.Clone(m.snapshots)
	return c
}

func (m *model) latest() *core.Snapshot { return &m.snapshots[len(m.snapshots)-1] }

func (m *model) last() core.Index { return m.base.Index + core.Index(len(m.entries)) }

// position is the name, digest and time at an index of the log.
func (m *model) position(i core.Index) core.Snapshot {
	if i == m.base.Index {
		return core.Snapshot{EntryID: m.base.EntryID, Digest: m.base.Digest, Time: m.base.Time}
	}
	e := m.entries[i-m.base.Index-1]
	return core.Snapshot{EntryID: e.EntryID, Digest: e.Digest, Time: e.Time}
}

// apply does what a write says.
func (m *model) apply(w *replica.Write) {
	if w.HardStateSet {
		m.hard = w.HardState
	}
	if w.ChunkSet && w.Chunk.Last && !w.SnapshotFailed {
		m.take(w.Chunk.Snapshot)
	}
	if w.PublishSet {
		m.take(w.Publish)
	}
	if w.Reset {
		m.base, m.entries = w.ResetTo, nil
	}
	if w.Truncate != 0 {
		m.entries = m.entries[:w.Truncate-m.base.Index-1]
	}
	m.entries = append(m.entries, w.Entries...)
	if w.Compact > m.base.Index {
		base := m.position(w.Compact)
		m.entries = m.entries[w.Compact-m.base.Index:]
		m.base = base
	}
	for i := range w.Released {
		m.snapshots = slices.DeleteFunc(m.snapshots, func(s core.Snapshot) bool { return s.Same(&w.Released[i]) })
	}
}

func (m *model) take(s core.Snapshot) {
	if s.Index > m.latest().Index {
		m.snapshots = append(m.snapshots, s)
	}
}

// recover is what a start makes of it: one snapshot, and the log if it goes
// through the snapshot's position.
func (m *model) recover() {
	m.snapshots = []core.Snapshot{*m.latest()}
	s := m.latest()
	if s.Index < m.base.Index || s.Index > m.last() || m.position(s.Index).EntryID != s.EntryID {
		m.base, m.entries = *s, nil
	}
}

// matches says whether a start may find st on this disk. The log may go
// further back than it has to.
func (m *model) matches(st *core.State) bool {
	r := m.clone()
	r.recover()
	s := r.latest()
	if st.HardState != r.hard || st.Snapshot.EntryID != s.EntryID || st.Snapshot.Digest != s.Digest ||
		st.Snapshot.Time != s.Time || !st.Snapshot.Same(s) || !sameMembers(st.Snapshot.Configuration, s.Configuration) {
		return false
	}
	if len(r.entries) == 0 && len(st.Entries) == 0 {
		return st.Base == s.EntryID && st.BaseDigest == s.Digest && st.BaseTime == s.Time
	}
	if st.Base.Index > r.base.Index || st.Base.Index+core.Index(len(st.Entries)) != r.last() {
		return false
	}
	chain := st.BaseDigest
	for i := range st.Entries {
		e := &st.Entries[i]
		if e.Index != st.Base.Index+core.Index(i)+1 || e.Digest != e.Chain(chain) {
			return false
		}
		chain = e.Digest
	}
	early := int(r.base.Index - st.Base.Index)
	at := core.Snapshot{EntryID: st.Base, Digest: st.BaseDigest, Time: st.BaseTime}
	if early > 0 {
		e := &st.Entries[early-1]
		at = core.Snapshot{EntryID: e.EntryID, Digest: e.Digest, Time: e.Time}
	}
	if at.EntryID != r.base.EntryID || at.Digest != r.base.Digest || at.Time != r.base.Time {
		return false
	}
	for i := range r.entries {
		a, b := &r.entries[i], &st.Entries[early+i]
		if a.EntryID != b.EntryID || a.Kind != b.Kind || a.Time != b.Time || a.Digest != b.Digest || !bytes.Equal(a.Data, b.Data) {
			return false
		}
	}
	return true
}

func (m *model) String() string {
	return fmt.Sprintf("%+v, base %v, entries up to %v, snapshot %v", m.hard, m.base.EntryID,
		m.position(m.last()).EntryID, m.latest().EntryID)
}

func sameMembers(a, b core.Configuration) bool {
	return slices.Equal(a.Voters, b.Voters) && slices.Equal(a.Outgoing, b.Outgoing) && slices.Equal(a.Learners, b.Learners)
}
