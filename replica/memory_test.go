package replica_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/replica/storagetest"
)

// memoryDisk is a Memory as the conformance suite wants it.
type memoryDisk struct{ *replica.Memory }

func (d memoryDisk) Start() replica.Storage { return d.Memory }

func (d memoryDisk) PowerLoss(choose func(n int) int) {
	logs, hards := d.Unsynced()
	d.Memory.PowerLoss(choose(logs+1), choose(hards+1))
}

func newMemoryDisk(testing.TB) storagetest.Disk {
	return memoryDisk{replica.NewMemory(storagetest.Founding)}
}

func TestMemory(t *testing.T) { storagetest.Run(t, newMemoryDisk) }

// TestMemoryReachesEveryState: a simulation sees everything that a disk could
// do, not only some of it.
func TestMemoryReachesEveryState(t *testing.T) {
	reached, allowed := storagetest.States(t, newMemoryDisk)
	if !slices.Equal(reached, allowed) || len(allowed) < 20 {
		t.Errorf("reached %q of %q", reached, allowed)
	}
}

// liarDisk breaks a promise.
type liarDisk struct {
	*replica.Memory
	lie string
}

func (d liarDisk) Start() replica.Storage { return d }

func (d liarDisk) PowerLoss(choose func(n int) int) {
	logs, hards := d.Unsynced()
	d.Memory.PowerLoss(choose(logs+1), choose(hards+1))
}

func (d liarDisk) Sync(upto uint64) error {
	switch d.lie {
	case "sync does nothing":
		return nil
	case "sync forgets the last write":
		return d.Memory.Sync(upto - 1)
	}
	return d.Memory.Sync(upto)
}

func (d liarDisk) Append(w *replica.Write) error {
	c := *w
	switch {
	case d.lie == "a truncation is lost" && c.Truncate != 0:
		return nil
	case d.lie == "a publication is lost" && c.PublishSet:
		c.PublishSet = false
	case d.lie == "a hard state is lost" && c.HardState.Term == 3:
		c.HardStateSet = false
	case d.lie == "all entries but the first are lost" && len(c.Entries) > 1:
		c.Entries = c.Entries[:1]
	}
	return d.Memory.Append(&c)
}

// failure is what a test ends with whose failure is expected.
type failure struct{ testing.TB }

func (f failure) Fatalf(format string, args ...any) { panic(f) }
func (f failure) Errorf(format string, args ...any) { panic(f) }
func (f failure) Fatal(args ...any)                 { panic(f) }

// TestSuiteFindsLiars: the suite is worth something only if it fails on disks
// that break their promises.
func TestSuiteFindsLiars(t *testing.T) {
	for _, lie := range []string{
		"sync does nothing", "sync forgets the last write", "a truncation is lost", "a publication is lost",
		"a hard state is lost", "all entries but the first are lost",
	} {
		t.Run(lie, func(t *testing.T) {
			defer func() {
				switch r := recover().(type) {
				case nil:
					t.Error("the suite passes")
				case failure:
				default:
					panic(r)
				}
			}()
			storagetest.States(failure{t}, func(testing.TB) storagetest.Disk {
				return liarDisk{replica.NewMemory(storagetest.Founding), lie}
			})
		})
	}
}

// TestRecover: which part of a log a start takes, for every relation between
// log and snapshot, and what it refuses.
func TestRecover(t *testing.T) {
	// Two histories that part after entry 5.
	history := func(term core.Term) []core.Entry {
		var list []core.Entry
		chain := uint64(0)
		for i := core.Index(1); i <= 10; i++ {
			e := core.Entry{EntryID: core.EntryID{Term: 1, Index: i}, Kind: core.EntryCommand, Time: uint64(i), Data: []byte{byte(i)}}
			if i > 5 {
				e.Term = term
			}
			e.Digest = e.Chain(chain)
			chain = e.Digest
			list = append(list, e)
		}
		return list
	}
	a, b := history(2), history(3)
	state := func(log []core.Entry, from, to core.Index, snapshot []core.Entry, at core.Index) core.State {
		st := core.State{Entries: log[from:to]}
		if from > 0 {
			e := log[from-1]
			st.Base, st.BaseDigest, st.BaseTime = e.EntryID, e.Digest, e.Time
		}
		if at > 0 {
			e := snapshot[at-1]
			st.Snapshot = core.Snapshot{EntryID: e.EntryID, Digest: e.Digest, Time: e.Time}
		}
		return st
	}
	hole := state(a, 0, 10, a, 0)
	hole.Entries = slices.Concat(a[:4], a[5:])
	bent := state(a, 0, 10, a, 0)
	bent.Entries = slices.Clone(a)
	bent.Entries[3].Data = []byte("x")
	other := state(a, 0, 10, a, 7)
	other.Snapshot.Digest++
	for _, c := range []struct {
		name    string
		st      core.State
		dropped replica.DropReason
		first   core.Index // of what is left; 0: nothing
		err     error
	}{
		{"no snapshot", state(a, 0, 10, nil, 0), replica.DropNone, 1, nil},
		{"nothing at all", state(a, 0, 0, nil, 0), replica.DropNone, 0, nil},
		{"snapshot before the log's base", state(a, 8, 10, a, 7), replica.DropNone, 0, replica.ErrGap},
		{"snapshot before an empty log's base", state(a, 8, 8, a, 7), replica.DropNone, 0, replica.ErrGap},
		{"no snapshot before a log that begins later", state(a, 1, 10, nil, 0), replica.DropNone, 0, replica.ErrGap},
		{"snapshot at the base", state(a, 7, 10, a, 7), replica.DropNone, 8, nil},
		{"snapshot within the log", state(a, 4, 10, a, 7), replica.DropNone, 5, nil},
		{"snapshot at the end", state(a, 4, 10, a, 10), replica.DropNone, 5, nil},
		{"snapshot beyond the end", state(a, 4, 8, a, 9), replica.DropBehind, 0, nil},
		{"snapshot right behind the end", state(a, 4, 8, b, 9), replica.DropBehind, 0, nil},
		{"snapshot beyond an empty log", state(a, 4, 4, a, 9), replica.DropNone, 0, nil},
		{"snapshot of another history", state(a, 4, 10, b, 7), replica.DropConflict, 0, nil},
		{"snapshot where the histories agree", state(a, 2, 10, b, 5), replica.DropNone, 3, nil},
		{"snapshot of another history at the base", state(a, 7, 10, b, 7), replica.DropNone, 0, replica.ErrCorrupt},
		{"snapshot of the same name and another digest", other, replica.DropNone, 0, replica.ErrCorrupt},
		{"a hole", hole, replica.DropNone, 0, replica.ErrCorrupt},
		{"changed data", bent, replica.DropNone, 0, replica.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := replica.Recover(4, c.st)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			first := core.Index(0)
			if len(o.State.Entries) > 0 {
				first = o.State.Entries[0].Index
			}
			if first != c.first || o.Dropped != c.dropped || o.Boot != 4 {
				t.Errorf("left from %d, dropped %v; want %d, %v", first, o.Dropped, c.first, c.dropped)
			}
			if c.first == 0 && o.State.Base != o.State.Snapshot.EntryID {
				t.Errorf("an empty log begins at %v, the snapshot is at %v", o.State.Base, o.State.Snapshot.EntryID)
			}
			cfg := core.Config{ID: 1, ElectionTicks: 10, HeartbeatTicks: 2, Limits: core.DefaultLimits()}
			o.State.Snapshot.Configuration = storagetest.Founding
			if _, err := core.New(cfg, o.State); err != nil {
				t.Errorf("the core refuses it: %v", err)
			}
		})
	}
}

// TestSum: the digest of a stream does not depend on how it is cut.
func TestSum(t *testing.T) {
	data := make([]byte, 100)
	for i := range data {
		data[i] = byte(i * 7)
	}
	seen := map[uint64]int{}
	for n := range data {
		var whole replica.Sum
		whole.Write(data[:n])
		if was, ok := seen[whole.Sum64()]; ok {
			t.Fatalf("%d and %d bytes have the same sum", was, n)
		}
		seen[whole.Sum64()] = n
		for cut := 1; cut < 20; cut++ {
			var s replica.Sum
			for rest := data[:n]; len(rest) > 0; {
				k := min(cut, len(rest))
				s.Write(rest[:k])
				rest = rest[k:]
				_ = s.Sum64()
			}
			if s.Sum64() != whole.Sum64() || s.Size() != uint64(n) {
				t.Fatalf("%d bytes in pieces of %d: %x, want %x", n, cut, s.Sum64(), whole.Sum64())
			}
		}
	}
	zeros := map[uint64]bool{}
	for n := range 40 {
		var s replica.Sum
		s.Write(make([]byte, n))
		zeros[s.Sum64()] = true
	}
	if len(zeros) != 40 {
		t.Errorf("%d sums of 40 streams of zeros", len(zeros))
	}
}

func ExampleMemory() {
	disk := replica.NewMemory(core.Configuration{Voters: []core.ReplicaID{1, 2, 3}})
	_, _ = disk.Open()
	e := core.Entry{EntryID: core.EntryID{Term: 1, Index: 1}, Kind: core.EntryNoop}
	e.Digest = e.Chain(0)
	_ = disk.Append(&replica.Write{Seq: 1, HardStateSet: true, HardState: core.HardState{Term: 1}})
	_ = disk.Append(&replica.Write{Seq: 2, Entries: []core.Entry{e}})
	fmt.Println(disk.Unsynced())
	// The entry survives, and the hard state before it does not.
	disk.PowerLoss(1, 0)
	opened, _ := disk.Open()
	fmt.Println(len(opened.State.Entries), opened.State.HardState.Term)
	// Output:
	// 1 1
	// 1 0
}
