package replica

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
)

// Memory is a Storage for simulations: a disk in memory that knows what was
// synced and can lose power.
//
//	 durable image      writes appended and not synced
//	┌─────────────┐    ┌────┬────┬────┬────┬────┬────┐
//	│ hard state  │    │ L  │ LH │ H  │ L  │ H  │ L  │   L changes the log,
//	│ base, log   │ <- └────┴────┴────┴────┴────┴────┘   H brings a hard state
//	│ snapshots   │      PowerLoss(2, 3): the L of the first and of the second
//	└─────────────┘      survive, and of the H's the third one does
//
// Its fault model: a write is there whole or not at all; what was synced stays
// as it is, unless RollBack or Damage is called; Sync makes durable what it says
// and perhaps nothing else. A crash of the process alone loses nothing that was
// appended, except for snapshots on their way in or saved and not published.
type Memory struct {
	boot    core.Boot
	durable image
	// unsynced are the writes after the image, in order.
	unsynced ring[memoryWrite]
	logs     int // of them, how many change the log
	hards    int // how many bring a hard state

	// Where the log will begin and end, and the latest snapshot there will be,
	// once everything appended is durable; and the last write appended.
	base   core.Index
	tail   core.Index
	latest core.Index
	seq    uint64

	incoming *memorySnapshot // pieces so far
	saved    *memorySnapshot // waits for Publish
	opened   bool
}

// image is what a disk holds.
type image struct {
	hard core.HardState
	// The log and the position before it.
	base       core.EntryID
	baseDigest uint64
	baseTime   uint64
	log        []core.Entry
	// snapshots that were not released; the last one is the latest. The first
	// of a new disk is the position of zero, with the founding configuration.
	snapshots []*memorySnapshot
}

type memorySnapshot struct {
	core.Snapshot
	data []byte
}

// newMemorySnapshot copies all of s: its slices are its owner's.
func newMemorySnapshot(s *core.Snapshot) *memorySnapshot {
	k := &memorySnapshot{Snapshot: *s}
	k.Configuration = cloneConfiguration(s.Configuration)
	return k
}

func cloneConfiguration(c core.Configuration) core.Configuration {
	c.Voters, c.Outgoing, c.Learners = slices.Clone(c.Voters), slices.Clone(c.Outgoing), slices.Clone(c.Learners)
	c.Members, c.Planned = slices.Clone(c.Members), slices.Clone(c.Planned)
	return c
}

// memoryWrite is what is kept of a Write.
type memoryWrite struct {
	seq      uint64
	hardSet  bool
	hard     core.HardState
	log      bool
	reset    bool
	resetTo  core.Snapshot
	truncate core.Index
	entries  []core.Entry
	compact  core.Index
	snapshot *memorySnapshot // completed or published
	released []core.Snapshot
}

// NewMemory is an empty disk of a replica of a cluster that is founded with
// the given members.
func NewMemory(founding core.Configuration) *Memory {
	m := &Memory{}
	founding = cloneConfiguration(founding)
	m.durable.snapshots = []*memorySnapshot{{Snapshot: core.Snapshot{Configuration: founding}}}
	return m
}

// Open starts anew on what is there: everything appended, unless PowerLoss has
// taken some of it.
func (m *Memory) Open() (Opened, error) {
	for m.unsynced.len() > 0 {
		m.syncFront()
	}
	m.incoming, m.saved = nil, nil
	d := &m.durable
	latest := d.latest()
	o, err := Recover(m.boot+1, core.State{
		HardState: d.hard, Snapshot: latest.Snapshot,
		Base: d.base, BaseDigest: d.baseDigest, BaseTime: d.baseTime, Entries: d.log,
	})
	if err != nil {
		return Opened{}, err
	}
	if latest.Index > 0 {
		var sum Sum
		if sum.Write(latest.data); sum.Sum64() != latest.Sum {
			return Opened{}, ErrCorrupt
		}
	}
	m.boot++
	d.snapshots = append(d.snapshots[:0], latest)
	if len(o.State.Entries) == 0 {
		d.dropLog(&latest.Snapshot)
	}
	o.State.Entries = slices.Clone(o.State.Entries)
	m.base, m.tail = d.base.Index, d.base.Index+core.Index(len(d.log))
	m.latest = latest.Index
	m.seq = 0
	m.opened = true
	return o, nil
}

// Append implements Storage.
func (m *Memory) Append(w *Write) error {
	if !m.opened {
		return fmt.Errorf("%w: the storage has not been opened", ErrWriteOrder)
	}
	snapshot, err := m.appendSnapshot(w)
	if err != nil {
		return err
	}
	if err := m.advance(w); err != nil {
		return err
	}
	u := m.unsynced.push()
	*u = memoryWrite{
		seq:      w.Seq,
		hardSet:  w.HardStateSet,
		hard:     w.HardState,
		log:      w.ChangesLog(),
		reset:    w.Reset,
		resetTo:  w.ResetTo,
		truncate: w.Truncate,
		entries:  append(u.entries[:0], w.Entries...),
		compact:  w.Compact,
		snapshot: snapshot,
		released: append(u.released[:0], w.Released...),
	}
	if u.log {
		m.logs++
	}
	if u.hardSet {
		m.hards++
	}
	return nil
}

// advance moves base and tail as the write will move the log, and refuses one
// that does not continue it.
func (m *Memory) advance(w *Write) error {
	if w.Seq <= m.seq {
		return fmt.Errorf("%w: write %d after %d", ErrWriteOrder, w.Seq, m.seq)
	}
	base, tail := m.base, m.tail
	if w.Reset {
		if w.ResetTo.Index > m.latest {
			return fmt.Errorf("%w: reset to %v with the snapshot at %d", ErrWriteOrder, w.ResetTo.EntryID, m.latest)
		}
		base, tail = w.ResetTo.Index, w.ResetTo.Index
	}
	if w.Truncate != 0 {
		if w.Truncate <= base || w.Truncate > tail+1 {
			return fmt.Errorf("%w: truncation from %d of a log from %d to %d", ErrWriteOrder, w.Truncate, base+1, tail)
		}
		tail = w.Truncate - 1
	}
	for i := range w.Entries {
		if w.Entries[i].Index != tail+1 {
			return fmt.Errorf("%w: entry %v behind a log that ends at %d", ErrWriteOrder, w.Entries[i].EntryID, tail)
		}
		tail++
	}
	if w.Compact > base {
		if w.Compact > m.latest || w.Compact > tail {
			return fmt.Errorf("%w: compaction up to %d with the snapshot at %d and the log's end at %d",
				ErrWriteOrder, w.Compact, m.latest, tail)
		}
		base = w.Compact
	}
	m.base, m.tail, m.seq = base, tail, w.Seq
	return nil
}

// appendSnapshot takes what the write has to do with snapshots, and returns
// the one that it makes the latest.
func (m *Memory) appendSnapshot(w *Write) (*memorySnapshot, error) {
	if w.PublishSet {
		s := m.saved
		m.saved = nil
		if s == nil || !s.Same(&w.Publish) {
			return nil, fmt.Errorf("%w: publication of %v, which was not saved", ErrNoSnapshot, w.Publish.EntryID)
		}
		if s.Index <= m.latest {
			return nil, nil
		}
		m.latest = s.Index
		return s, nil
	}
	if !w.ChunkSet {
		return nil, nil
	}
	c := &w.Chunk
	if c.Offset == 0 {
		m.incoming = newMemorySnapshot(&c.Snapshot)
	}
	s := m.incoming
	if s == nil || !s.Same(&c.Snapshot) || c.Offset != uint64(len(s.data)) {
		return nil, fmt.Errorf("%w: piece of snapshot %v at %d does not continue what is there",
			ErrWriteOrder, c.Snapshot.EntryID, c.Offset)
	}
	s.data = append(s.data, c.Data...)
	if !c.Last {
		return nil, nil
	}
	m.incoming = nil
	var sum Sum
	sum.Write(s.data)
	if sum.Size() != s.Size || sum.Sum64() != s.Sum {
		w.SnapshotFailed = true
		return nil, nil
	}
	if s.Index <= m.latest {
		return nil, nil
	}
	m.latest = s.Index
	return s, nil
}

// Sync implements Storage.
func (m *Memory) Sync(upto uint64) error {
	for m.unsynced.len() > 0 && m.unsynced.front().seq <= upto {
		m.syncFront()
	}
	return nil
}

func (m *Memory) syncFront() {
	u := m.unsynced.pop()
	if u.hardSet {
		m.durable.hard = u.hard
		m.hards--
	}
	if u.log {
		m.durable.apply(u)
		m.logs--
	}
	clear(u.entries)
	clear(u.released)
	u.snapshot = nil
}

// apply does to an image what a log write says.
func (d *image) apply(u *memoryWrite) {
	if u.snapshot != nil {
		if d.snapshots[0].Index == 0 {
			d.snapshots = d.snapshots[:0]
		}
		d.snapshots = append(d.snapshots, u.snapshot)
	}
	if u.reset {
		d.dropLog(&u.resetTo)
	}
	if u.truncate != 0 {
		n := int(u.truncate - d.base.Index - 1)
		clear(d.log[n:])
		d.log = d.log[:n]
	}
	d.log = append(d.log, u.entries...)
	if u.compact > d.base.Index {
		n := int(u.compact - d.base.Index)
		e := &d.log[n-1]
		d.base, d.baseDigest, d.baseTime = e.EntryID, e.Digest, e.Time
		// The rest moves to the front only if that is no more than what goes.
		if rest := len(d.log) - n; rest <= n {
			copy(d.log, d.log[n:])
			clear(d.log[rest:])
			d.log = d.log[:rest]
		} else {
			clear(d.log[:n])
			d.log = d.log[n:]
		}
	}
	for i := range u.released {
		d.release(&u.released[i])
	}
}

func (d *image) latest() *memorySnapshot { return d.snapshots[len(d.snapshots)-1] }

// dropLog leaves nothing of the log but the position of a snapshot.
func (d *image) dropLog(s *core.Snapshot) {
	clear(d.log)
	d.log = d.log[:0]
	d.base, d.baseDigest, d.baseTime = s.EntryID, s.Digest, s.Time
}

func (d *image) release(s *core.Snapshot) {
	for i, k := range d.snapshots[:len(d.snapshots)-1] {
		if k.Same(s) {
			d.snapshots = append(d.snapshots[:i], d.snapshots[i+1:]...)
			return
		}
	}
}

// pieceBytes bounds the pieces in which a snapshot of this replica's own is
// taken over.
const pieceBytes = 64 << 10

// pieces collects a stream, with its sum.
type pieces struct {
	sum  Sum
	data []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), pieceBytes)
		p.sum.Write(b[:k])
		p.data = append(p.data, b[:k]...)
		b = b[k:]
	}
	return n, nil
}

// SaveSnapshot implements Storage.
func (m *Memory) SaveSnapshot(s *core.Snapshot, src io.WriterTo) error {
	m.saved = nil
	var p pieces
	if _, err := src.WriteTo(&p); err != nil {
		return err
	}
	s.Size, s.Sum = p.sum.Size(), p.sum.Sum64()
	m.saved = newMemorySnapshot(s)
	m.saved.data = p.data
	return nil
}

// ReadSnapshot implements Storage.
func (m *Memory) ReadSnapshot(s *core.Snapshot, offset uint64, p []byte) (int, error) {
	k := m.durable.find(s)
	if k == nil {
		return 0, ErrNoSnapshot
	}
	return copy(p, k.data[min(offset, uint64(len(k.data))):]), nil
}

// OpenSnapshot implements Storage.
func (m *Memory) OpenSnapshot(s *core.Snapshot) (io.ReadCloser, error) {
	k := m.durable.find(s)
	if k == nil {
		return nil, ErrNoSnapshot
	}
	return io.NopCloser(bytes.NewReader(k.data)), nil
}

func (d *image) find(s *core.Snapshot) *memorySnapshot {
	for _, k := range d.snapshots {
		if k.Index != 0 && k.Same(s) {
			return k
		}
	}
	return nil
}

// Unsynced says what a power loss would put at risk: how many writes that
// change the log, and how many hard states, were appended since the last sync.
func (m *Memory) Unsynced() (logs, hards int) { return m.logs, m.hards }

// PowerLoss takes away what was not synced, but for the first keepLogs of the
// log writes, and, unless keepHard is zero, for the keepHard-th of the hard
// states. Both count what Unsynced counts. Next comes Open.
func (m *Memory) PowerLoss(keepLogs, keepHard int) {
	if keepLogs < 0 || keepLogs > m.logs || keepHard < 0 || keepHard > m.hards {
		panic(fmt.Sprintf("replica: power loss keeps %d of %d log writes and hard state %d of %d",
			keepLogs, m.logs, keepHard, m.hards))
	}
	logs, hards := 0, 0
	for m.unsynced.len() > 0 {
		u := m.unsynced.pop()
		if u.log {
			if logs < keepLogs {
				m.durable.apply(u)
			}
			logs++
		}
		if u.hardSet {
			if hards++; hards == keepHard {
				m.durable.hard = u.hard
			}
		}
		clear(u.entries)
		u.snapshot = nil
	}
	m.logs, m.hards = 0, 0
	m.incoming, m.saved = nil, nil
	m.opened = false
}

// Backup is a copy of what is durable on a disk.
type Backup struct {
	boot    core.Boot
	durable image
}

// Backup copies what is durable now.
func (m *Memory) Backup() *Backup { return &Backup{m.boot, m.durable.clone()} }

// clone shares no more than what never changes.
func (d *image) clone() image {
	c := *d
	c.log, c.snapshots = slices.Clone(d.log), slices.Clone(d.snapshots)
	return c
}

// RollBack makes the disk what it was when b was made, or with b nil an empty
// one that knows of no cluster; its boot number too, unless keepBoot. To be
// called when no process uses it: it is what an operator does, and what no
// Storage promises to hide. Next comes Open.
func (m *Memory) RollBack(b *Backup, keepBoot bool) {
	boot := m.boot
	*m = *NewMemory(core.Configuration{})
	if b != nil {
		m.boot, m.durable = b.boot, b.durable.clone()
	}
	if keepBoot {
		m.boot = boot
	}
}

// Damage changes one byte of what is durable, in the log or, if that is empty, in
// the latest snapshot: where says which. It reports false if there is none. To be
// called when no process uses the disk. Next comes Open, which refuses it.
func (m *Memory) Damage(where uint64) bool {
	d := &m.durable
	var with []int
	for i := range d.log {
		if len(d.log[i].Data) > 0 {
			with = append(with, i)
		}
	}
	if n := uint64(len(with)); n > 0 {
		e := &d.log[with[where%n]]
		e.Data = slices.Clone(e.Data) // others hold the same bytes
		e.Data[where/n%uint64(len(e.Data))] ^= 1
		return true
	}
	s := *d.latest() // a backup may hold the same
	if len(s.data) == 0 {
		return false
	}
	s.data = slices.Clone(s.data)
	d.snapshots[len(d.snapshots)-1] = &s
	s.data[where%uint64(len(s.data))] ^= 1
	return true
}

// Durable is what a start would find if power were lost now and nothing but
// the synced survived.
type Durable struct {
	HardState core.HardState
	// Last is where the log ends, or the latest snapshot if that replaces it,
	// and Digest the chain digest up to there.
	Last     core.EntryID
	Digest   uint64
	Snapshot core.Snapshot
}

// Durable says what is durable.
func (m *Memory) Durable() Durable {
	d := &m.durable
	s := &d.latest().Snapshot
	r := Durable{HardState: d.hard, Last: s.EntryID, Digest: s.Digest, Snapshot: *s}
	if n := len(d.log); n > 0 && d.holds(s) {
		r.Last, r.Digest = d.log[n-1].EntryID, d.log[n-1].Digest
	}
	return r
}

// DurableEntry is the name and the chain digest of the durable entry at i, as
// far as the log goes back; a log that the snapshot replaces counts for
// nothing.
func (m *Memory) DurableEntry(i core.Index) (id core.EntryID, digest uint64, ok bool) {
	d := &m.durable
	s := &d.latest().Snapshot
	if i == s.Index {
		return s.EntryID, s.Digest, true
	}
	if !d.holds(s) {
		return core.EntryID{}, 0, false
	}
	return d.at(i)
}

// at is the position at i of the log as it stands.
func (d *image) at(i core.Index) (id core.EntryID, digest uint64, ok bool) {
	if i == d.base.Index {
		return d.base, d.baseDigest, true
	}
	if i < d.base.Index || i > d.base.Index+core.Index(len(d.log)) {
		return core.EntryID{}, 0, false
	}
	e := &d.log[i-d.base.Index-1]
	return e.EntryID, e.Digest, true
}

// holds says whether the log goes through the snapshot's position, so that
// recovery keeps it.
func (d *image) holds(s *core.Snapshot) bool {
	id, _, ok := d.at(s.Index)
	return ok && id == s.EntryID
}
