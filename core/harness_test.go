package core

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
)

// testCluster drives replicas by hand: every message waits in flight until a
// test delivers it, every write is durable when the test says so. What the
// host owes is done in the order of Ready.
type testCluster struct {
	t        testing.TB
	replicas map[ReplicaID]*testReplica
	ids      []ReplicaID
	flight   []Message
	cut      func(m *Message) bool // true: the message is lost
	installs bool                  // a snapshot that is complete is durable at once
	rng      *splitmix             // draws jitter, unless nil
}

type testReplica struct {
	*Raft
	out      Ready
	auto     bool // writes are durable, and pages applied, at once
	noApply  bool // the state machine stands still
	writes   []testWrite
	held     [][]Message
	owed     []Input // what the state machine has not done yet
	disk     State   // what is durable
	applied  []Entry
	accepted []Accepted
	refused  []Refusal
	done     []Done
	events   []Event
	told     []Configuration
	reads    []ReadReady
	chunks   []SnapshotChunk
	restored []Snapshot
	jitter   bool
}

// testWrite is one write on its way to the disk.
type testWrite struct {
	Persisted
	hard     HardState
	reset    bool
	truncate Index
	entries  []Entry
	compact  Index
}

// durable makes w part of what a restart finds.
func (r *testReplica) durable(w *testWrite) {
	d := &r.disk
	if w.reset {
		d.Base, d.BaseDigest, d.BaseTime = d.Snapshot.EntryID, d.Snapshot.Digest, d.Snapshot.Time
		d.Entries = nil
	}
	if w.truncate != 0 {
		d.Entries = d.Entries[:w.truncate-d.Base.Index-1]
	}
	d.Entries = append(d.Entries, w.entries...)
	if w.compact > d.Base.Index {
		e := d.Entries[w.compact-d.Base.Index-1]
		d.Entries = append([]Entry(nil), d.Entries[w.compact-d.Base.Index:]...)
		d.Base, d.BaseDigest, d.BaseTime = e.EntryID, e.Digest, e.Time
	}
	d.HardState = w.hard
}

func testLimits() Limits {
	l := DefaultLimits()
	l.InflightMessages = 16
	l.TrailingBytes = 0
	return l
}

func newTestCluster(t testing.TB, n int) *testCluster {
	c := &testCluster{t: t, replicas: map[ReplicaID]*testReplica{}}
	for i := 1; i <= n; i++ {
		c.ids = append(c.ids, ReplicaID(i))
	}
	for _, id := range c.ids {
		c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: c.ids}}}, 1, testLimits())
	}
	return c
}

func (c *testCluster) start(id ReplicaID, st State, boot Boot, limits Limits) {
	c.t.Helper()
	r, err := New(Config{ID: id, Cluster: 7, Boot: boot, ElectionTicks: 10, HeartbeatTicks: 2,
		Jitter: uint32(id), Limits: limits}, st)
	if err != nil {
		c.t.Fatal(err)
	}
	st.Entries = append([]Entry(nil), st.Entries...)
	c.replicas[id] = &testReplica{Raft: r, auto: true, disk: st}
}

// restart loses power at id: what was not durable is gone.
func (c *testCluster) restart(id ReplicaID) {
	c.t.Helper()
	old := c.replicas[id]
	st := old.disk
	// A log that does not hold the snapshot's position is of the time before it.
	at := st.Base
	if i := st.Snapshot.Index; i > at.Index && i <= at.Index+Index(len(st.Entries)) {
		at = st.Entries[i-at.Index-1].EntryID
	}
	if at != st.Snapshot.EntryID {
		st.Base, st.BaseDigest, st.BaseTime, st.Entries = st.Snapshot.EntryID, st.Snapshot.Digest, st.Snapshot.Time, nil
	}
	c.start(id, st, old.cfg.Boot+1, old.cfg.Limits)
}

// resume has the disk and the state machine of id do what they have not done.
func (c *testCluster) resume(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	r.auto, r.noApply = true, false
	c.persist(id)
	for len(r.owed) > 0 {
		in := r.owed[0]
		r.owed = r.owed[1:]
		c.step(id, in)
	}
}

// snapshot has the state machine of id take one, if anything is new.
func (c *testCluster) snapshot(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	i := r.log.appliedIndex
	conf, ok := r.ConfigurationAt(i)
	if i <= r.snapshot.Index || !ok {
		return
	}
	term, chain, _ := r.log.position(i)
	s := Snapshot{EntryID: EntryID{Term: term, Index: i}, Digest: chain, Time: r.PositionTime(i),
		Size: 100, Sum: chain, Configuration: conf}
	r.disk.Snapshot = s
	c.step(id, Input{Kind: InputSnapshotTaken, Snapshot: s})
}

// step gives one input and does what is owed.
func (c *testCluster) step(id ReplicaID, in Input) {
	c.t.Helper()
	r := c.replicas[id]
	if in.Kind == InputSnapshotInstalled && in.Snapshot.Index > r.disk.Snapshot.Index {
		r.disk.Snapshot = in.Snapshot
	}
	if in.Kind == InputTick && r.jitter {
		in.Jitter, in.JitterSet = uint32(id)*3, true
		if c.rng != nil {
			in.Jitter = uint32(c.rng.next())
		}
	}
	if err := r.Step(&in, &r.out); err != nil {
		c.t.Fatalf("replica %d: %v", id, err)
	}
	if err := r.CheckInvariants(); err != nil {
		c.t.Fatalf("replica %d after %+v: %v", id, in, err)
	}
	out := &r.out
	r.jitter = out.WantJitter
	r.accepted = append(r.accepted, out.Accepted...)
	r.refused = append(r.refused, out.Refusals...)
	r.done = append(r.done, out.Done...)
	r.events = append(r.events, out.Events...)
	r.reads = append(r.reads, out.Reads...)
	var next []Input
	if out.ConfigurationSet {
		r.told = append(r.told, out.Configuration)
	}
	if out.ChunkSet {
		r.chunks = append(r.chunks, out.Chunk)
		if c.installs && out.Chunk.Last {
			next = append(next, Input{Kind: InputSnapshotInstalled, Snapshot: out.Chunk.Snapshot})
		}
	}
	for _, m := range out.Messages {
		m.AppendEntries.Entries = slices.Clone(m.AppendEntries.Entries)
		c.flight = append(c.flight, m)
	}
	held := append([]Message(nil), out.Held...)
	if out.WriteSet {
		r.writes = append(r.writes, testWrite{Persisted{out.Mark, out.HardState.Term, out.HardState.Vote},
			out.HardState, out.Reset, out.Truncate, append([]Entry(nil), out.Entries...), out.Compact})
		r.held = append(r.held, held)
	} else if len(r.writes) == 0 {
		c.flight = append(c.flight, held...)
	} else if len(held) > 0 {
		last := len(r.held) - 1
		r.held[last] = append(r.held[last], held...)
	}
	if out.RestoreSet {
		r.restored = append(r.restored, out.Restore)
		next = append(next, Input{Kind: InputApplied, Applied: out.Restore.Index})
	}
	if n := len(out.Committed); n > 0 {
		r.applied = append(r.applied, out.Committed...)
		next = append(next, Input{Kind: InputApplied, Applied: out.Committed[n-1].Index})
	}
	r.owed = append(r.owed, next...)
	if r.auto {
		c.persist(id)
		for !r.noApply && len(r.owed) > 0 {
			in := r.owed[0]
			r.owed = r.owed[1:]
			c.step(id, in)
		}
	}
}

// persist makes everything written durable, in order.
func (c *testCluster) persist(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	for len(r.writes) > 0 {
		w, held := r.writes[0], r.held[0]
		r.writes, r.held = r.writes[1:], r.held[1:]
		c.flight = append(c.flight, held...)
		r.durable(&w)
		c.step(id, Input{Kind: InputPersisted, Persisted: w.Persisted})
	}
}

// deliver hands over everything in flight until nothing is.
func (c *testCluster) deliver() {
	c.t.Helper()
	for n := 0; len(c.flight) > 0; n++ {
		if n > 100000 {
			c.t.Fatal("messages without end")
		}
		m := c.flight[0]
		c.flight = c.flight[1:]
		if c.cut != nil && c.cut(&m) || c.replicas[m.To] == nil {
			continue
		}
		if m.Kind == KindInstallSnapshot {
			m.InstallSnapshot.Data = make([]byte, m.InstallSnapshot.Length)
		}
		c.step(m.To, Input{Kind: InputMessage, Message: &m})
	}
}

func (c *testCluster) tick(id ReplicaID, n uint32) {
	c.t.Helper()
	c.step(id, Input{Kind: InputTick, Ticks: n})
}

// run lets n ticks pass everywhere, one by one.
func (c *testCluster) run(n int) {
	c.t.Helper()
	for range n {
		for _, id := range c.ids {
			if c.replicas[id] != nil {
				c.tick(id, 1)
			}
		}
		c.deliver()
	}
}

func (c *testCluster) leader() ReplicaID {
	for _, id := range c.ids {
		if r := c.replicas[id]; r != nil && r.role == RoleLeader {
			return id
		}
	}
	return 0
}

// elect runs until there is a leader that has committed its no-op.
func (c *testCluster) elect() ReplicaID {
	c.t.Helper()
	for range 200 {
		c.run(1)
		if l := c.leader(); l != 0 && c.replicas[l].log.commitIndex >= c.replicas[l].lead.termStart {
			return l
		}
	}
	c.t.Fatal("no leader in 200 ticks")
	return 0
}

func (c *testCluster) propose(id ReplicaID, tags ...uint64) {
	c.t.Helper()
	in := Input{Kind: InputPropose}
	for _, tag := range tags {
		in.Proposals = append(in.Proposals, Proposal{tag, fmt.Appendf(nil, "command %d", tag)})
	}
	c.step(id, in)
}

// isolate cuts id off from everyone.
func (c *testCluster) isolate(id ReplicaID) {
	c.cut = func(m *Message) bool { return m.From == id || m.To == id }
}

func (c *testCluster) sameLogs(ids ...ReplicaID) {
	c.t.Helper()
	a := c.replicas[ids[0]].Status()
	for _, id := range ids[1:] {
		b := c.replicas[id].Status()
		if a.Last != b.Last || a.LastDigest != b.LastDigest || a.Commit != b.Commit || a.Applied != b.Applied {
			c.t.Fatalf("replicas differ:\n%+v\n%+v", a, b)
		}
	}
}

// chaosSeeds is how many runs of chaos there are, unless SEAWORTHY_CHAOS says
// otherwise.
func chaosSeeds(t testing.TB, count uint64) uint64 {
	if s := os.Getenv("SEAWORTHY_CHAOS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return count
}
