package replica

import (
	"errors"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// written is a disk with a snapshot at 5 and entries up to 8.
func written(t *testing.T) *Memory {
	t.Helper()
	m := NewMemory(founding(3))
	if _, err := m.Open(); err != nil {
		t.Fatal(err)
	}
	entries, chain := []core.Entry{}, uint64(0)
	for i := range core.Index(8) {
		e := core.Entry{EntryID: core.EntryID{Term: 2, Index: i + 1}, Kind: core.EntryCommand, Data: []byte("command")}
		e.Digest = e.Chain(chain)
		chain = e.Digest
		entries = append(entries, e)
	}
	s := core.Snapshot{EntryID: entries[4].EntryID, Digest: entries[4].Digest, Configuration: founding(3)}
	if err := m.SaveSnapshot(&s, (&ledger{}).Snapshot()); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*Write{
		{Seq: 1, HardStateSet: true, HardState: core.HardState{Term: 2, Vote: 1}, Entries: entries},
		{Seq: 2, PublishSet: true, Publish: s},
	} {
		if err := m.Append(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Sync(2); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDamageIsRefused: whichever byte changes, in the log or in a snapshot, the
// disk can not be opened; and what others hold of the same bytes is untouched.
func TestDamageIsRefused(t *testing.T) {
	for where := range uint64(200) {
		m := written(t)
		if where%2 == 1 { // with an empty log the snapshot is what is left
			m.durable.dropLog(&m.durable.latest().Snapshot)
		}
		before := m.Backup()
		if !m.Damage(where) {
			t.Fatal("nothing to damage")
		}
		if _, err := m.Open(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("damage at %d: %v", where, err)
		}
		m.RollBack(before, true)
		if _, err := m.Open(); err != nil {
			t.Fatalf("the backup is damaged too, at %d: %v", where, err)
		}
	}
	if NewMemory(founding(3)).Damage(0) {
		t.Error("an empty disk was damaged")
	}
}

// TestRollBack: a disk is what it was, or nothing, and so is its boot number
// unless that is kept.
func TestRollBack(t *testing.T) {
	m := written(t)
	b := m.Backup()
	was := m.Durable()
	if _, err := m.Open(); err != nil {
		t.Fatal(err)
	}
	e := core.Entry{EntryID: core.EntryID{Term: 3, Index: 9}, Kind: core.EntryCommand}
	e.Digest = e.Chain(was.Digest)
	if err := errors.Join(m.Append(&Write{Seq: 1, HardStateSet: true, HardState: core.HardState{Term: 3}, Entries: []core.Entry{e}}), m.Sync(1)); err != nil {
		t.Fatal(err)
	}
	m.RollBack(b, false)
	if d := m.Durable(); d.Last != was.Last || d.HardState != was.HardState {
		t.Errorf("after going back: %+v, want %+v", d, was)
	}
	if o, err := m.Open(); err != nil || o.Boot != 2 {
		t.Errorf("boot number %d, %v, want 2", o.Boot, err)
	}
	m.RollBack(nil, true)
	if d := m.Durable(); d.Last.Index != 0 || d.HardState != (core.HardState{}) || len(d.Snapshot.Configuration.Voters) != 0 {
		t.Errorf("after a wipe: %+v", d)
	}
	if o, err := m.Open(); err != nil || o.Boot != 3 {
		t.Errorf("boot number %d, %v, want 3", o.Boot, err)
	}
}
