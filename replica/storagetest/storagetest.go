// Package storagetest is what every replica.Storage has to pass.
//
// It writes what a core could write, lets the power fail at any moment, and
// then names each state that the disk may be in:
//
//	log writes up to the k-th, hard state of the j-th
//
// for every k from the last write that was synced on, and for every j that is
// the last synced hard state or any one after it. A storage that opens in any
// other state fails.
package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Disk is what a storage stands on: it outlives the process, and it decides
// what a power loss leaves.
type Disk interface {
	// Start is the storage as a process finds it that has just begun, not opened
	// yet. The one before it is not used again: its process has crashed.
	Start() replica.Storage
	// PowerLoss takes away some of what was not synced. Where there is a choice,
	// choose(n) makes it, from 0 to n-1. Next comes Start.
	PowerLoss(choose func(n int) int)
}

// Founding is the configuration that new disks are made with.
var Founding = core.Configuration{Voters: []core.ReplicaID{1, 2, 3}}

// Run tests the storages on the disks that newDisk makes.
func Run(t *testing.T, newDisk func(t testing.TB) Disk) {
	t.Run("new disk", func(t *testing.T) { testNew(t, newDisk(t)) })
	t.Run("boot numbers never repeat", func(t *testing.T) { testBoot(t, newDisk(t)) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, newDisk) })
	t.Run("own snapshot", func(t *testing.T) { testOwnSnapshot(t, newDisk(t)) })
	t.Run("failed save", func(t *testing.T) { testFailedSave(t, newDisk(t)) })
	t.Run("received snapshot", func(t *testing.T) { testReceivedSnapshot(t, newDisk(t)) })
	t.Run("recovery", func(t *testing.T) { testRecovery(t, newDisk) })
	t.Run("every power loss", func(t *testing.T) { States(t, newDisk) })
	t.Run("walks", func(t *testing.T) {
		for seed := range uint64(200) {
			walk(t, newDisk(t), seed)
		}
	})
}

func testNew(t *testing.T, d Disk) {
	for boot := core.Boot(1); boot <= 3; boot++ {
		o, err := d.Start().Open()
		if err != nil {
			t.Fatal(err)
		}
		s := o.State
		if o.Boot != boot || s.HardState != (core.HardState{}) || len(s.Entries) > 0 ||
			s.Base != (core.EntryID{}) || !s.Snapshot.IsZero() || !sameMembers(s.Snapshot.Configuration, Founding) {
			t.Fatalf("start %d of a new disk: %+v", boot, o)
		}
	}
}

func testBoot(t *testing.T, d Disk) {
	last := core.Boot(0)
	for i := range 20 {
		o, err := d.Start().Open()
		if err != nil {
			t.Fatal(err)
		}
		if o.Boot <= last {
			t.Fatalf("start %d has boot number %d after %d", i, o.Boot, last)
		}
		last = o.Boot
		if i%2 == 0 {
			d.PowerLoss(func(int) int { return 0 })
		}
	}
}

func testRefusals(t *testing.T, newDisk func(t testing.TB) Disk) {
	entry := func(i core.Index) core.Entry {
		return core.Entry{EntryID: core.EntryID{Term: 1, Index: i}, Kind: core.EntryCommand}
	}
	for _, c := range []struct {
		name  string
		write replica.Write
		want  error
	}{
		{"gap in front", replica.Write{Seq: 2, Entries: []core.Entry{entry(5)}}, replica.ErrWriteOrder},
		{"overwriting without truncating", replica.Write{Seq: 2, Entries: []core.Entry{entry(3)}}, replica.ErrWriteOrder},
		{"gap within", replica.Write{Seq: 2, Entries: []core.Entry{entry(4), entry(6)}}, replica.ErrWriteOrder},
		{"truncation beyond the end", replica.Write{Seq: 2, Truncate: 5}, replica.ErrWriteOrder},
		{"the same write twice", replica.Write{Seq: 1, Entries: []core.Entry{entry(4)}}, replica.ErrWriteOrder},
		{"compaction without a snapshot", replica.Write{Seq: 2, Compact: 2}, replica.ErrWriteOrder},
		{"reset without a snapshot", replica.Write{Seq: 2, Reset: true,
			ResetTo: core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 9}}}, replica.ErrWriteOrder},
		{"publication of nothing", replica.Write{Seq: 2, PublishSet: true,
			Publish: core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 2}}}, replica.ErrNoSnapshot},
		{"piece out of order", replica.Write{Seq: 2, ChunkSet: true, Chunk: core.SnapshotChunk{
			Snapshot: core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 9}, Size: 10}, Offset: 5, Data: make([]byte, 5), Last: true,
		}}, replica.ErrWriteOrder},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := newDisk(t).Start()
			if _, err := st.Open(); err != nil {
				t.Fatal(err)
			}
			first := replica.Write{Seq: 1, Entries: []core.Entry{entry(1), entry(2), entry(3)}}
			if err := st.Append(&first); err != nil {
				t.Fatal(err)
			}
			if err := st.Append(&c.write); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func testOwnSnapshot(t *testing.T, d Disk) {
	s := newScript(t, d, 1)
	s.open()
	s.appendEntries(5)
	a := s.save(3, 200_000)
	missing(t, s.storage, &a, "saved and not published")
	s.publish(a)
	s.sync(s.seq)
	s.checkSnapshots()
	b := s.save(5, 10)
	s.publish(b)
	s.sync(s.seq)
	s.checkSnapshots() // both: the first has not been released
	s.write(replica.Write{Compact: 4, Released: []core.Snapshot{a}})
	s.sync(s.seq)
	missing(t, s.storage, &a, "released")
	s.checkSnapshots()
	older := s.save(4, 10)
	s.publish(older) // too late: dropped
	s.sync(s.seq)
	missing(t, s.storage, &older, "behind the latest")
	s.restart(func(int) int { return 0 })
	s.checkSnapshots()
	s.appendEntries(1)
	c := s.save(6, 11)
	s.restart(nil)
	missing(t, s.storage, &c, "saved, and then the process crashed")
	if err := s.storage.Append(&replica.Write{Seq: 1, PublishSet: true, Publish: c}); !errors.Is(err, replica.ErrNoSnapshot) {
		t.Fatalf("publication of a snapshot that an earlier process saved: %v", err)
	}
	s.restart(nil)
	s.checkSnapshots()
}

// testFailedSave: a save that fails leaves everything as it was, and the next
// one succeeds.
func testFailedSave(t *testing.T, d Disk) {
	s := newScript(t, d, 5)
	s.open()
	s.appendEntries(5)
	a := s.save(3, 1000)
	s.publish(a)
	s.sync(s.seq)
	b := s.appended.position(5)
	b.Configuration = Founding
	if err := s.storage.SaveSnapshot(&b, broken{}); !errors.Is(err, errBroken) {
		t.Fatalf("save of a stream that breaks off: %v", err)
	}
	missing(t, s.storage, &b, "not saved")
	s.checkSnapshots()
	s.appendEntries(2)
	s.sync(s.seq)
	c := s.save(6, 1000)
	s.publish(c)
	s.sync(s.seq)
	s.checkSnapshots()
	s.restart(func(int) int { return 0 })
	s.checkSnapshots()
}

var errBroken = errors.New("the stream breaks off")

// broken is a stream that breaks off.
type broken struct{}

func (broken) WriteTo(w io.Writer) (int64, error) {
	n, _ := w.Write(make([]byte, 100))
	return int64(n), errBroken
}

func testReceivedSnapshot(t *testing.T, d Disk) {
	s := newScript(t, d, 2)
	s.open()
	s.appendEntries(5)
	a, data := s.foreign(20, 1000)
	s.piece(a, data, 0, 400)
	s.piece(a, data, 400, 900)
	s.restart(func(n int) int { return n - 1 })
	missing(t, s.storage, &a, "incomplete")
	s.piece(a, data, 0, 900)
	s.restart(nil)
	rest := replica.Write{Seq: 1, ChunkSet: true, Chunk: core.SnapshotChunk{Snapshot: a, Offset: 900, Data: data[900:], Last: true}}
	if err := s.storage.Append(&rest); !errors.Is(err, replica.ErrWriteOrder) {
		t.Fatalf("a piece that continues those of an earlier process: %v", err)
	}
	s.restart(nil)

	s.piece(a, data, 0, 400)
	s.piece(a, data, 0, 10) // from the start again
	s.piece(a, data, 10, 900)
	bad := slices.Clone(data)
	bad[950] ^= 1
	if w := s.piece(a, bad, 900, 1000); !w.SnapshotFailed {
		t.Fatal("a snapshot with a wrong byte was taken")
	}
	s.sync(s.seq)
	missing(t, s.storage, &a, "of other bytes")

	s.piece(a, data, 0, 1000)
	s.sync(s.seq)
	s.checkSnapshots()
	s.write(replica.Write{Reset: true, ResetTo: a})
	s.appendEntries(2)
	s.sync(s.seq)

	// One of no bytes at all.
	e, none := s.foreign(30, 0)
	s.piece(e, none, 0, 0)
	s.sync(s.seq)
	s.checkSnapshots()
	s.write(replica.Write{Reset: true, ResetTo: e, Released: []core.Snapshot{a}})
	s.sync(s.seq)
	s.checkSnapshots()
	s.restart(nil)
	s.checkSnapshots()
}

// testRecovery: a start between the snapshot's last piece and the write that
// makes the log follow it, for each relation that the two can have.
func testRecovery(t *testing.T, newDisk func(t testing.TB) Disk) {
	for _, c := range []struct {
		name    string
		make    func(s *script) core.Snapshot
		dropped replica.DropReason
		entries int // dropped
		left    int
	}{
		{"beyond the log", func(s *script) core.Snapshot {
			a, data := s.foreign(20, 100)
			s.piece(a, data, 0, 100)
			return a
		}, replica.DropBehind, 8, 0},
		{"within the log, of another history", func(s *script) core.Snapshot {
			a, data := s.foreign(6, 100)
			s.piece(a, data, 0, 100)
			return a
		}, replica.DropConflict, 8, 0},
		{"within the log", func(s *script) core.Snapshot {
			a := s.appended.position(6)
			data := s.bytes(100)
			a.Size, a.Sum = sum(data)
			s.contents[a.Sum] = data
			s.piece(a, data, 0, 100)
			return a
		}, replica.DropNone, 0, 8},
		{"at the end of the log", func(s *script) core.Snapshot {
			a := s.save(8, 100)
			s.publish(a)
			return a
		}, replica.DropNone, 0, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, newDisk(t), 3)
			s.open()
			s.appendEntries(8)
			a := c.make(s)
			s.sync(s.seq)
			o := s.restart(func(int) int { return 0 })
			if o.Dropped != c.dropped || o.DroppedEntries != c.entries {
				t.Errorf("dropped %d entries, reason %v; want %d, %v", o.DroppedEntries, o.Dropped, c.entries, c.dropped)
			}
			if len(o.State.Entries) != c.left || !o.State.Snapshot.Same(&a) {
				t.Errorf("left are %d entries and snapshot %v; want %d, %v", len(o.State.Entries), o.State.Snapshot.EntryID, c.left, a.EntryID)
			}
			// What was dropped stays so, and the log goes on.
			s.appendEntries(2)
			s.sync(s.seq)
			if o := s.restart(func(int) int { return 0 }); o.Dropped != replica.DropNone {
				t.Errorf("dropped a second time: %v", o.Dropped)
			}
		})
	}
}

// States writes a fixed script, lets the power fail in every way that the disk
// can, checks each of the outcomes, and returns the names of the states that
// were reached and of all that would have been right.
func States(t testing.TB, newDisk func(t testing.TB) Disk) (reached, allowed []string) {
	const runsMax = 5000
	seen := map[string]bool{}
	o := odometer{}
	for run := 0; ; run++ {
		if run == runsMax {
			t.Logf("stopped after %d power losses", run)
			break
		}
		s := newScript(t, newDisk(t), 4)
		s.open()
		s.appendEntries(3)
		s.hard(core.HardState{Term: 3, Vote: 2})
		s.sync(s.seq)
		s.appendEntries(2)
		s.hard(core.HardState{Term: 4})
		s.truncate(4, 2)
		s.hard(core.HardState{Term: 5, Vote: 1})
		s.publish(s.save(3, 50))
		s.write(replica.Write{Compact: 2})
		s.hard(core.HardState{Term: 6, Vote: 3})
		allowed = s.names()
		o.begin()
		s.restart(o.choose)
		for _, name := range s.found {
			seen[name] = true
		}
		if !o.next() {
			break
		}
	}
	for _, name := range allowed {
		if seen[name] {
			reached = append(reached, name)
		}
	}
	t.Logf("%d of %d states reached", len(reached), len(allowed))
	return reached, allowed
}

// odometer goes through all sequences of choices.
type odometer struct {
	at int
	is []int
	of []int
}

func (o *odometer) begin() { o.at = 0 }

func (o *odometer) choose(n int) int {
	if o.at == len(o.is) {
		o.is, o.of = append(o.is, 0), append(o.of, n)
	}
	o.of[o.at] = n
	o.at++
	return o.is[o.at-1]
}

func (o *odometer) next() bool {
	o.is, o.of = o.is[:o.at], o.of[:o.at]
	for len(o.is) > 0 {
		k := len(o.is) - 1
		if o.is[k]++; o.is[k] < o.of[k] {
			return true
		}
		o.is, o.of = o.is[:k], o.of[:k]
	}
	return false
}

// walk writes by chance, with restarts and power losses in between.
func walk(t testing.TB, d Disk, seed uint64) {
	s := newScript(t, d, 100+seed)
	s.open()
	for range 60 {
		switch s.n(12) {
		case 0, 1, 2:
			s.appendEntries(1 + s.n(3))
		case 3:
			if s.appended.last() > s.appended.base.Index && s.appended.last() > s.committed {
				low := max(s.appended.base.Index, s.committed)
				s.truncate(low+1+core.Index(s.n(int(s.appended.last()-low))), s.n(3))
			}
		case 4, 5:
			h := s.appended.hard
			h.Term += core.Term(s.n(2))
			h.Vote = core.ReplicaID(s.n(4))
			s.hard(h)
		case 6:
			if at := s.appended.latest().Index + 1 + core.Index(s.n(3)); at <= s.appended.last() && at > s.appended.base.Index {
				s.committed = max(s.committed, at)
				s.publish(s.save(at, s.n(300)))
			}
		case 7:
			if to := min(s.appended.latest().Index, s.appended.last()); to > s.appended.base.Index {
				s.write(replica.Write{Compact: s.appended.base.Index + 1 + core.Index(s.n(int(to-s.appended.base.Index)))})
			}
		case 8:
			s.receive()
		case 9:
			if n := len(s.appended.snapshots); n > 1 {
				s.write(replica.Write{Released: []core.Snapshot{s.appended.snapshots[s.n(n-1)]}})
			}
		case 10:
			s.sync(s.synced + uint64(s.n(int(s.seq-s.synced)+1)))
		case 11:
			if s.n(2) == 0 {
				s.restart(nil)
			} else {
				s.restart(s.n)
			}
			s.checkSnapshots()
		}
	}
}

// script writes to a storage and to a model of it, side by side.
type script struct {
	t       testing.TB
	disk    Disk
	storage replica.Storage
	draw    uint64

	seq    uint64
	synced uint64
	writes []replica.Write // of this incarnation
	opened model           // what it began with
	// appended is the model after all writes.
	appended  model
	committed core.Index // nothing up to here is truncated
	term      core.Term
	contents  map[uint64][]byte // of snapshots, by sum
	found     []string          // names of the state found last
	boot      core.Boot
}

func newScript(t testing.TB, d Disk, seed uint64) *script {
	m := model{snapshots: []core.Snapshot{{Configuration: Founding}}}
	return &script{t: t, disk: d, draw: seed, term: 1, appended: m, opened: m, contents: map[uint64][]byte{}}
}

// n draws from 0 to n-1.
func (s *script) n(n int) int {
	s.draw = digest.Word(s.draw, 1)
	return int(digest.Finish(s.draw) % uint64(n))
}

func (s *script) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.n(256))
	}
	return b
}

func sum(data []byte) (size, word uint64) {
	var d replica.Sum
	d.Write(data)
	return d.Size(), d.Sum64()
}

func (s *script) open() replica.Opened {
	s.t.Helper()
	s.storage = s.disk.Start()
	o, err := s.storage.Open()
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	if o.Boot <= s.boot {
		s.t.Fatalf("boot number %d after %d", o.Boot, s.boot)
	}
	s.boot = o.Boot
	return o
}

// write gives the storage a write, and spoils it afterwards: what the storage
// wants to keep, it has to copy.
func (s *script) write(w replica.Write) replica.Write {
	s.t.Helper()
	s.seq++
	w.Seq = s.seq
	kept, lent := w, w
	lent.Entries = slices.Clone(w.Entries)
	lent.Released = slices.Clone(w.Released)
	lent.Chunk.Data = slices.Clone(w.Chunk.Data)
	if err := s.storage.Append(&lent); err != nil {
		s.t.Fatalf("write %d: %v", w.Seq, err)
	}
	for i := range lent.Entries {
		lent.Entries[i] = core.Entry{}
	}
	for i := range lent.Chunk.Data {
		lent.Chunk.Data[i] = 0xee
	}
	clear(lent.Released)
	kept.SnapshotFailed = lent.SnapshotFailed
	s.appended.apply(&kept)
	s.writes = append(s.writes, kept)
	return kept
}

func (s *script) sync(upto uint64) {
	s.t.Helper()
	if err := s.storage.Sync(upto); err != nil {
		s.t.Fatalf("sync: %v", err)
	}
	s.synced = max(s.synced, upto)
}

func (s *script) hard(h core.HardState) {
	s.t.Helper()
	s.write(replica.Write{HardStateSet: true, HardState: h})
}

func (s *script) entries(after core.EntryID, chain uint64, n int) []core.Entry {
	var list []core.Entry
	for range n {
		s.term = max(s.term, after.Term) + core.Term(s.n(8)/7)
		after = core.EntryID{Term: s.term, Index: after.Index + 1}
		e := core.Entry{EntryID: after, Kind: core.EntryCommand, Time: uint64(after.Index), Data: s.bytes(s.n(30))}
		e.Digest = e.Chain(chain)
		chain = e.Digest
		list = append(list, e)
	}
	return list
}

// appendEntries writes n entries, half of the time with a hard state.
func (s *script) appendEntries(n int) {
	s.t.Helper()
	last := s.appended.position(s.appended.last())
	w := replica.Write{Entries: s.entries(last.EntryID, last.Digest, n)}
	if s.n(2) == 0 {
		w.HardStateSet, w.HardState = true, core.HardState{Term: s.term, Vote: core.ReplicaID(s.n(4))}
	}
	s.write(w)
}

// truncate replaces the entries from from on by n others of a later term.
func (s *script) truncate(from core.Index, n int) {
	s.t.Helper()
	s.term++
	before := s.appended.position(from - 1)
	s.write(replica.Write{Truncate: from, Entries: s.entries(before.EntryID, before.Digest, n)})
}

// save streams a snapshot at an index of the log.
func (s *script) save(at core.Index, size int) core.Snapshot {
	s.t.Helper()
	snap := s.appended.position(at)
	snap.Configuration = core.Configuration{Voters: []core.ReplicaID{1, 2, core.ReplicaID(3 + s.n(5))}, Learners: []core.ReplicaID{9}}
	data := s.bytes(size)
	if err := s.storage.SaveSnapshot(&snap, bytes.NewReader(data)); err != nil {
		s.t.Fatalf("save: %v", err)
	}
	if size, word := sum(data); snap.Size != size || snap.Sum != word {
		s.t.Fatalf("saved snapshot has size %d and sum %x, want %d and %x", snap.Size, snap.Sum, size, word)
	}
	s.contents[snap.Sum] = data
	return snap
}

func (s *script) publish(snap core.Snapshot) {
	s.t.Helper()
	s.write(replica.Write{PublishSet: true, Publish: snap})
}

// foreign is a snapshot of a history that this log has never seen.
func (s *script) foreign(at core.Index, size int) (core.Snapshot, []byte) {
	s.term += 2
	data := s.bytes(size)
	snap := core.Snapshot{EntryID: core.EntryID{Term: s.term, Index: at}, Digest: uint64(s.n(1 << 30)), Time: uint64(at), Configuration: Founding}
	snap.Size, snap.Sum = sum(data)
	s.contents[snap.Sum] = data
	return snap, data
}

func (s *script) piece(snap core.Snapshot, data []byte, from, to int) replica.Write {
	s.t.Helper()
	return s.write(replica.Write{ChunkSet: true, Chunk: core.SnapshotChunk{
		Snapshot: snap, Offset: uint64(from), Data: data[from:to], Last: to == int(snap.Size)}})
}

// receive takes in a snapshot in pieces, or a part of it, and lets the log
// follow, or not yet.
func (s *script) receive() {
	s.t.Helper()
	at := s.committed + 1 + core.Index(s.n(12))
	if at <= s.appended.base.Index {
		return
	}
	snap, data := s.foreign(at, s.n(300))
	for off := 0; ; {
		to := min(len(data), off+1+s.n(200))
		s.piece(snap, data, off, to)
		if off = to; off == len(data) {
			break
		}
		if s.n(6) == 0 {
			return
		}
	}
	s.committed = max(s.committed, at)
	if s.n(4) == 0 {
		s.restart(s.n)
		return
	}
	s.write(replica.Write{Reset: true, ResetTo: snap})
}

// candidate is a state that the disk may be in.
type candidate struct {
	logs, hards uint64 // the last write whose log change, whose hard state counts; 0: none
	model       model
}

func (c *candidate) name() string {
	return fmt.Sprintf("log writes up to %d, hard state of %d", c.logs, c.hards)
}

// candidates are the states that a power loss may leave now.
func (s *script) candidates() []candidate {
	logs := []candidate{{model: s.opened.clone()}}
	hards := []candidate{{model: s.opened}}
	for i := range s.writes {
		w := &s.writes[i]
		if w.ChangesLog() {
			m := logs[len(logs)-1].model.clone()
			m.apply(w)
			m.hard = core.HardState{}
			next := candidate{logs: w.Seq, model: m}
			if w.Seq <= s.synced {
				logs = logs[:0]
			}
			logs = append(logs, next)
		}
		if w.HardStateSet {
			if w.Seq <= s.synced {
				hards = hards[:0]
			}
			hards = append(hards, candidate{hards: w.Seq, model: model{hard: w.HardState}})
		}
	}
	var all []candidate
	for _, l := range logs {
		for _, h := range hards {
			c := candidate{logs: l.logs, hards: h.hards, model: l.model.clone()}
			c.model.hard = h.model.hard
			all = append(all, c)
		}
	}
	return all
}

func (s *script) names() []string {
	var names []string
	for _, c := range s.candidates() {
		names = append(names, c.name())
	}
	return names
}

// restart lets the process crash, and with choose also the power fail, and
// checks what the next start finds. The model is then what was found.
func (s *script) restart(choose func(n int) int) replica.Opened {
	s.t.Helper()
	all := s.candidates()
	if choose == nil {
		// Nothing that was appended is lost by a crash of the process.
		all = []candidate{{logs: s.seq, hards: s.seq, model: s.appended.clone()}}
	} else {
		s.disk.PowerLoss(choose)
	}
	o := s.open()
	s.found = nil
	var is *model
	for i := range all {
		if all[i].model.matches(&o.State) {
			s.found = append(s.found, all[i].name())
			is = &all[i].model
		}
	}
	if is == nil {
		var b strings.Builder
		for i := range all {
			fmt.Fprintf(&b, "\n  %s: %v", all[i].name(), &all[i].model)
		}
		st := &o.State
		s.t.Fatalf("the disk is in none of the states that it may be in: found %+v, base %v, %d entries up to %v, snapshot %v; allowed%s",
			st.HardState, st.Base, len(st.Entries), lastOf(st), st.Snapshot.EntryID, b.String())
	}
	is.recover()
	s.appended = is.clone()
	s.opened = is.clone()
	s.writes, s.seq, s.synced = nil, 0, 0
	s.term = max(s.term, s.appended.position(s.appended.last()).Term)
	return o
}

func lastOf(st *core.State) core.EntryID {
	if n := len(st.Entries); n > 0 {
		return st.Entries[n-1].EntryID
	}
	return st.Base
}

// checkSnapshots reads every durable snapshot in both ways. The writes that
// made them must have been synced.
func (s *script) checkSnapshots() {
	s.t.Helper()
	for i := range s.appended.snapshots {
		snap := &s.appended.snapshots[i]
		if snap.IsZero() {
			continue
		}
		want := s.contents[snap.Sum]
		r, err := s.storage.OpenSnapshot(snap)
		if err != nil {
			s.t.Fatalf("open snapshot %v: %v", snap.EntryID, err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
			s.t.Fatalf("snapshot %v reads as %d bytes, want %d: %v", snap.EntryID, len(got), len(want), err)
		}
		for off := 0; off <= len(want); off += 1 + s.n(1+len(want)) {
			p := make([]byte, s.n(300))
			n, err := s.storage.ReadSnapshot(snap, uint64(off), p)
			if err != nil || n != min(len(p), len(want)-off) || !bytes.Equal(p[:n], want[off:off+n]) {
				s.t.Fatalf("snapshot %v at %d: %d of %d bytes, %v", snap.EntryID, off, n, len(p), err)
			}
		}
	}
}

func missing(t testing.TB, st replica.Storage, snap *core.Snapshot, why string) {
	t.Helper()
	if _, err := st.ReadSnapshot(snap, 0, make([]byte, 1)); !errors.Is(err, replica.ErrNoSnapshot) {
		t.Fatalf("reading a snapshot that is %s: %v", why, err)
	}
	if r, err := st.OpenSnapshot(snap); !errors.Is(err, replica.ErrNoSnapshot) {
		t.Fatalf("opening a snapshot that is %s: %v, %v", why, r, err)
	}
}
