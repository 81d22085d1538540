package replica

import (
	"io"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/seaworthy-raft/seaworthy/core"
)

// Reads are answered in the order of their confirmation: only the first is
// looked at. One that waits for an index too high holds up those after it until
// it is overdue, and no longer.
func TestConfirmedReadsAreAnsweredInTheirOrder(t *testing.T) {
	var rs reads
	confirm := func(tag uint64, index core.Index) { rs.confirm(rs.add(tag, nil, true), index) }
	tags := func(waiters []waiter) (tags []uint64) {
		for _, w := range waiters {
			tags = append(tags, w.tag)
		}
		return tags
	}
	confirm(1, 5)
	confirm(2, 5)
	confirm(3, 7)
	rs.ticks = 3
	confirm(4, 100) // from a leader that follows no protocol
	confirm(5, 8)
	if rs.ripe(4) || len(rs.takeRipe(4, nil)) != 0 {
		t.Fatal("a read is answered before its index is applied")
	}
	if got := tags(rs.takeRipe(6, nil)); !slices.Equal(got, []uint64{1, 2}) {
		t.Fatalf("at 6: reads %v", got)
	}
	if got := tags(rs.takeRipe(9, nil)); !slices.Equal(got, []uint64{3}) {
		t.Fatalf("at 9: reads %v", got)
	}
	rs.ticks = 5
	confirm(6, 9)
	if d, waits := rs.deadline(20); d != 18 || !waits {
		t.Fatalf("the first is overdue in %d ticks", d)
	}
	if _, ok := rs.overdue(20); ok {
		t.Fatal("overdue after two ticks")
	}
	rs.ticks = 23
	if tag, ok := rs.overdue(20); !ok || tag != 4 {
		t.Fatalf("tag %d is overdue", tag)
	}
	if got := tags(rs.takeRipe(9, nil)); !slices.Equal(got, []uint64{5, 6}) || rs.len() != 0 {
		t.Fatalf("after that: reads %v, %d wait", got, rs.len())
	}
}

// Taking overdue reads away leaves the others where they are.
func TestOverdueReadsLeaveTheOthersAlone(t *testing.T) {
	var rs reads
	for tag := range uint64(100) {
		rs.ticks = tag
		rs.confirm(rs.add(tag, nil, true), 5)
	}
	memory, before := &rs.confirmed.items[0], slices.Clone(rs.confirmed.items)
	rs.ticks = 120
	for tag := uint64(0); ; tag++ {
		got, ok := rs.overdue(50)
		if !ok {
			if tag != 71 {
				t.Fatalf("%d are overdue", tag)
			}
			break
		}
		if got != tag {
			t.Fatalf("tag %d is overdue, want %d", got, tag)
		}
	}
	if &rs.confirmed.items[0] != memory || !slices.Equal(rs.confirmed.items, before) {
		t.Error("the reads that wait on were moved")
	}
	if n := testing.AllocsPerRun(100, func() {
		rs.confirm(rs.add(1, nil, true), 5)
		rs.takeRipe(4, nil)
	}); n > 1 {
		t.Errorf("%v allocations for a read", n)
	}
}

// When a read that held up others is overdue, those that can be answered are,
// in the same tick.
func TestReadsAfterAnOverdueOneAreAnswered(t *testing.T) {
	h := newHost(t, 1, 1, Options{})
	for h.replica.Core().Status().Role != core.RoleLeader || h.replica.Core().Status().Applied == 0 {
		h.tick()
		h.settle()
	}
	rs := &h.replica.reads
	rs.confirm(rs.add(1, nil, true), 1<<40)
	h.replica.Tick(1, 1, true)
	h.replica.Barrier(2)
	h.settle()
	if _, ok := h.read(2); ok {
		t.Fatal("answered before the read that was confirmed first")
	}
	h.replica.Tick(19, 1, true)
	if len(h.tasks) != 1 {
		t.Fatalf("%d tasks", len(h.tasks))
	}
	h.settle()
	if o, _ := h.read(1); o.Reason != core.RefusedTimeout {
		t.Errorf("%+v", o)
	}
	if o, ok := h.read(2); !ok || o.Kind != AnswerApplied {
		t.Errorf("%+v", o)
	}
}

// The core answers every request at once, but for one.
func TestFewRequestsWait(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	c.cut = func(*core.Message) bool { return true }
	for tag := uint64(1); tag <= 40; tag++ {
		switch tag % 4 {
		case 0:
			l.replica.Transfer(tag, 0)
		case 1:
			l.replica.Change(tag, core.Change{Operations: []core.Operation{{}}})
		case 2:
			l.replica.Campaign(tag)
		case 3:
			l.replica.Propose(tag, []byte("command"))
		}
		if n := len(l.replica.requests); n > 1 {
			t.Fatalf("%d requests wait", n)
		}
	}
	l.replica.Resign(41)
	if n := len(l.replica.requests); n > 1 {
		t.Fatalf("%d requests wait", n)
	}
}

// forgetful is a state machine that keeps nothing.
type forgetful struct{}

func (f *forgetful) Apply(_, _ uint64, _, reply []byte) []byte { return reply }
func (f *forgetful) Query(_, reply []byte) []byte              { return reply }
func (f *forgetful) Snapshot() io.WriterTo                     { return forgetfulSnapshot{} }
func (f *forgetful) Restore(io.Reader) error                   { return nil }
func (f *forgetful) Digest() uint64                            { return 0 }

type forgetfulSnapshot struct{}

func (forgetfulSnapshot) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write([]byte("state"))
	return int64(n), err
}

// Commands that a snapshot has replaced are nowhere any more: not in the core,
// in a message, a write or a task, or on the disk in memory.
func TestCompactedCommandsAreLetGo(t *testing.T) {
	c := newCluster(t, 3, Options{})
	l := c.elect(1)
	run := func(n *host) {
		for len(n.writes)+len(n.tasks)+len(n.saves) > 0 {
			n.sync(len(n.writes))
			for _, tasks := range []*[]*Task{&n.tasks, &n.saves} {
				for len(*tasks) > 0 {
					task := (*tasks)[0]
					*tasks = slices.Delete(*tasks, 0, 1)
					task.Run(&forgetful{})
					n.replica.Applied(task)
				}
			}
		}
	}
	deliver := func() {
		for busy := true; busy; {
			busy = false
			for _, n := range c.hosts {
				run(n)
				for _, m := range n.take() {
					busy = true
					if err := c.hosts[m.To-1].replica.Receive(&m); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	var commands []weak.Pointer[byte]
	batch := make([]core.Proposal, 50)
	for i := range batch {
		data := make([]byte, 5000)
		commands = append(commands, weak.Make(&data[0]))
		batch[i] = core.Proposal{Tag: uint64(i + 1), Data: data}
	}
	l.replica.ProposeBatch(batch)
	clear(batch)
	deliver()
	// Less than TrailingBytes after them, so that they are compacted.
	for i := range uint64(3) {
		l.replica.Propose(100+i, []byte("x"))
		deliver()
	}
	for _, n := range c.hosts {
		if n.replica.Tick(2, 1, true); n == l {
			deliver()
		}
	}
	deliver()
	for _, n := range c.hosts {
		if !n.replica.TakeSnapshot() {
			t.Fatal("no snapshot")
		}
	}
	deliver()
	for range 3 {
		for _, n := range c.hosts {
			n.replica.Tick(1, 1, true)
		}
		deliver()
	}
	for _, n := range c.hosts {
		if st := n.replica.Core().Status(); st.Applied != st.Last.Index || st.First < 51 {
			t.Fatalf("%+v", st)
		}
	}
	runtime.GC()
	runtime.GC()
	kept := 0
	for _, c := range commands {
		if c.Value() != nil {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d compacted commands are kept alive", kept, len(commands))
	}
	runtime.KeepAlive(c)
}

// What is borrowed for a call is not kept beyond it.
func TestWhatIsBorrowedIsLetGo(t *testing.T) {
	c := newCluster(t, 3, Options{})
	r := c.elect(1).replica
	m := &core.Message{Kind: core.KindAppendEntriesResponse, Cluster: 7, From: 2, To: 1, Boot: 1, Term: 1}
	batch := make([]core.Proposal, 1)
	message, proposals := weak.Make(m), weak.Make(&batch[0])
	r.ProposeBatch(batch)
	runtime.KeepAlive(batch)
	if runtime.GC(); proposals.Value() != nil {
		t.Error("proposals are kept")
	}
	if err := r.Receive(m); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(m)
	if runtime.GC(); message.Value() != nil {
		t.Error("a message is kept")
	}
	runtime.KeepAlive(r)
}

// A disk in memory that compacts a little leaves the rest where it is, and keeps
// nothing of what it drops.
func TestMemoryMovesNoMoreThanItDrops(t *testing.T) {
	d := &image{}
	var data []weak.Pointer[byte]
	for i := range core.Index(10) {
		b := make([]byte, 100)
		data = append(data, weak.Make(&b[0]))
		d.apply(&memoryWrite{entries: []core.Entry{{EntryID: core.EntryID{Term: 1, Index: i + 1}, Data: b}}})
	}
	kept := &d.log[3]
	d.apply(&memoryWrite{compact: 3})
	if &d.log[0] != kept || kept.Index != 4 {
		t.Fatal("three of ten are dropped, and the others moved")
	}
	runtime.GC()
	for i := range data {
		if (data[i].Value() != nil) != (i >= 3) {
			t.Errorf("entry %d: in memory %t", i+1, i < 3)
		}
	}
	d.apply(&memoryWrite{compact: 8})
	if d.log[0].Index != 9 || len(d.log) != 2 {
		t.Fatalf("%d entries from %d on", len(d.log), d.log[0].Index)
	}
	runtime.KeepAlive(d)
}
