package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// TestWalk drives clusters by chance and checks what every user relies on:
// no message promises what is not durable, all replicas apply the same, what
// was acknowledged stays, and reads see it.
func TestWalk(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWalk(t, seed, []int{3, 1, 5, 2, 3, 4}[seed%6])
			for range 8000 {
				w.step(true)
			}
			w.finish()
			for k, v := range w.counts {
				counts[k] += v
			}
		})
	}
	t.Log(counts)
}

// TestHeldUntilDurable: a vote and an acknowledgement leave when their own
// write and every one before it are durable, and in their order.
func TestHeldUntilDurable(t *testing.T) {
	n := newHost(t, 2, 3, Options{})
	n.replica.Tick(10, 0, false) // long enough to have no leader
	n.receive(core.Message{Kind: core.KindRequestVote, Term: 1, From: 1, RequestVote: core.RequestVote{For: 1}})
	n.receive(appendTo(1, 1, nil, "a"))
	n.receive(appendTo(1, 1, []string{"a"}, "b"))
	// A heartbeat writes nothing, but promises what the writes before it hold.
	n.receive(appendTo(1, 1, []string{"a", "b"}))
	if len(n.writes) != 3 || len(n.sent) != 0 {
		t.Fatalf("%d writes, %d messages before anything is durable", len(n.writes), len(n.sent))
	}
	n.sync(1)
	if s := n.take(); len(s) != 1 || !s[0].RequestVoteResponse.Granted {
		t.Fatalf("after the vote is durable: %+v", s)
	}
	n.sync(2)
	s := n.take()
	if len(s) != 3 || s[0].AppendEntriesResponse.Match != 1 || s[1].AppendEntriesResponse.Match != 2 || s[2].AppendEntriesResponse.Match != 2 {
		t.Fatalf("after both entries are durable: %+v", s)
	}
	// With nothing outstanding there is nothing to wait for.
	n.receive(appendTo(1, 1, []string{"a", "b"}))
	if s := n.take(); len(s) != 1 || s[0].AppendEntriesResponse.Match != 2 {
		t.Fatalf("with nothing outstanding: %+v", s)
	}
}

// TestCompletions: one completion covers all writes before it, and late or
// repeated ones change nothing, even when their memory is in use again.
func TestCompletions(t *testing.T) {
	n := newHost(t, 2, 3, Options{})
	n.receive(appendTo(1, 1, nil, "a"))
	n.receive(appendTo(1, 1, []string{"a"}, "b"))
	n.sync(2)
	if p := n.replica.Core().Status().Persisted; p != 2 {
		t.Fatalf("persisted %d after completion of the second write", p)
	}
	n.take()
	n.receive(appendTo(1, 1, []string{"a", "b"}, "c"))
	n.replica.Completed(1, nil)
	n.replica.Completed(2, nil)
	if p := n.replica.Core().Status().Persisted; p != 2 || len(n.sent) != 0 {
		t.Fatalf("late completions made entry %d persisted, sent %+v", p, n.sent)
	}
	n.sync(1)
	if p := n.replica.Core().Status().Persisted; p != 3 || len(n.sent) != 1 {
		t.Fatalf("persisted %d, sent %+v", p, n.sent)
	}
	n.replica.Completed(4, nil)
	if h := n.replica.Halted(); h == nil || h.Reason != HaltHost {
		t.Fatalf("completion of a write that was never submitted: %v", h)
	}
}

// TestDiskError: after a failed write the replica says nothing to its peers,
// and everyone who waits is told what can be known.
func TestDiskError(t *testing.T) {
	c := newCluster(t, 1, Options{})
	n := c.elect(1)
	n.replica.Propose(1, []byte("committed, not applied"))
	n.sync(1)
	n.replica.Propose(2, []byte("not committed"))
	n.replica.Read(3, nil)
	if len(n.tasks) != 2 || len(n.writes) != 1 {
		t.Fatalf("%d tasks, %d writes", len(n.tasks), len(n.writes))
	}
	n.replica.Read(4, []byte("with the next task"))
	n.replica.Completed(n.writes[0].Seq, errTest)
	n.replica.Propose(5, []byte("too late"))
	n.replica.Read(6, nil)
	n.replica.Tick(100, 0, false)
	if h := n.replica.Halted(); h == nil || h.Reason != HaltStorage || !errors.Is(h, errTest) {
		t.Fatalf("halted: %v", h)
	}
	if err := n.replica.Receive(&core.Message{}); !errors.Is(err, errTest) {
		t.Fatalf("a message at a halted replica: %v", err)
	}
	n.replica.Completed(n.writes[0].Seq, nil)
	for len(n.tasks) > 0 {
		n.run()
	}
	if len(n.sent) > 0 {
		t.Fatalf("a halted replica sends %+v", n.sent)
	}
	if o := n.answers[1]; o.Kind != AnswerApplied || o.reply != "ok committed, not applied" {
		t.Errorf("committed proposal: %+v", o)
	}
	if o := n.answers[2]; o.Kind != AnswerUnknown {
		t.Errorf("uncommitted proposal: %+v", o)
	}
	if o := n.answers[5]; o.Kind != AnswerRefused || o.Reason != core.RefusedHalted {
		t.Errorf("proposal after the end: %+v", o)
	}
	for _, tag := range []uint64{3, 4, 6} {
		if o, ok := n.read(tag); !ok || o.Kind == AnswerUnknown || o.Kind == AnswerRefused && o.Reason != core.RefusedHalted {
			t.Errorf("read %d: %+v", tag, o)
		}
	}
}

// TestProposals: applied with its reply at the leader, refused with a hint
// elsewhere, unknown when the leadership is lost before the commit, and still
// answered when it is lost after.
func TestProposals(t *testing.T) {
	c := newCluster(t, 3, Options{})
	n := c.elect(1)
	n.replica.ProposeBatch([]core.Proposal{{Tag: 1, Data: []byte("a")}, {Tag: 2, Data: []byte("b")}})
	c.hosts[1].replica.Propose(3, []byte("c"))
	c.settle()
	a, b := n.answers[1], n.answers[2]
	if a.Kind != AnswerApplied || a.reply != "ok a" || b.reply != "ok b" || b.Index != a.Index+1 {
		t.Errorf("answers %+v, %+v", a, b)
	}
	if o := c.hosts[1].answers[3]; o.Kind != AnswerRefused || o.Reason != core.RefusedNotLeader || o.Leader != 1 {
		t.Errorf("proposal at a follower: %+v", o)
	}

	// The third proposal is committed and with the state machine, the fourth
	// is nowhere but here, when a leader of a later term speaks.
	n.replica.Propose(4, []byte("d"))
	for n.sync(len(n.writes)); len(n.tasks) == 0; n.sync(len(n.writes)) {
		for _, m := range n.take() {
			f := c.hosts[m.To-1]
			if err := f.replica.Receive(&m); err != nil {
				t.Fatal(err)
			}
			f.settle()
			for _, m := range f.take() {
				if err := n.replica.Receive(&m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	n.replica.Propose(5, []byte("e"))
	n.receive(core.Message{Kind: core.KindAppendEntriesResponse, Term: 9, From: 2})
	if o := n.answers[5]; o.Kind != AnswerUnknown {
		t.Errorf("proposal of a lost leadership: %+v", o)
	}
	n.settle()
	if o := n.answers[4]; o.Kind != AnswerApplied || o.reply != "ok d" {
		t.Errorf("proposal that was committed before: %+v", o)
	}
}

// TestReads: a read waits for what was committed before it, at the leader and
// at a follower, and is refused when there are too many.
func TestReads(t *testing.T) {
	c := newCluster(t, 3, Options{})
	n := c.elect(1)
	n.replica.Propose(1, []byte("a"))
	c.settle()
	for i, m := range c.hosts {
		m.replica.Read(7, []byte{'q', byte('0' + i)})
		m.replica.Read(8, nil)
	}
	c.settle()
	c.ticks(3)
	for i, m := range c.hosts {
		want := string(append(binary.LittleEndian.AppendUint64(nil, 1), 'q', byte('0'+i)))
		if o, ok := m.read(7); !ok || o.Kind != AnswerApplied || o.reply != want || o.Index != 2 {
			t.Errorf("replica %d: %+v, want %q", m.id, o, want)
		}
		if o, ok := m.read(8); !ok || o.Kind != AnswerApplied || len(o.reply) != 8 {
			t.Errorf("replica %d: %+v", m.id, o)
		}
	}
	limit := uint64(n.replica.limits.Reads)
	for i := range limit + 1 {
		n.replica.Read(100+i, nil)
	}
	if o, ok := n.read(100 + limit); !ok || o.Reason != core.RefusedReadsFull {
		t.Errorf("one read too many: %+v", o)
	}
	c.settle()
	c.ticks(3)
	for i := range limit {
		if o, _ := n.read(100 + i); o.Kind != AnswerApplied {
			t.Fatalf("read %d: %+v", i, o)
		}
	}
	if n.replica.reads.bytes != 0 || n.replica.reads.len() != 0 {
		t.Errorf("%d reads, %d bytes left", n.replica.reads.len(), n.replica.reads.bytes)
	}
}

// TestReadWaitsForApply: a read confirmed at an index that has not been handed
// to the state machine yet goes out behind the page that brings it there.
func TestReadWaitsForApply(t *testing.T) {
	c := newCluster(t, 1, Options{})
	n := c.elect(1)
	n.replica.Propose(1, []byte("a"))
	n.sync(1)
	n.replica.Propose(2, []byte("b"))
	n.sync(1)
	n.replica.Read(3, nil)
	if len(n.tasks) != 1 || n.tasks[0].Kind != TaskApply || n.tasks[0].Index != 2 {
		t.Fatalf("tasks %+v", n.tasks)
	}
	n.settle()
	if o, _ := n.read(3); o.Index != 3 || binary.LittleEndian.Uint64([]byte(o.reply)) != 2 {
		t.Fatalf("read answered with %+v", o)
	}
}

// TestOwnSnapshot: one is taken after enough bytes, becomes durable, lets the
// log go, and is what a restart begins with.
func TestOwnSnapshot(t *testing.T) {
	o := Options{SnapshotBytes: 500}
	c := newCluster(t, 1, o)
	n := c.elect(1)
	for i := range uint64(100) {
		n.replica.Propose(i, []byte("some command"))
		n.settle()
	}
	s := n.replica.Core().Status()
	if s.Snapshot.Index < 80 || s.First < 70 {
		t.Fatalf("after 100 commands: %+v", s)
	}
	if got := n.disk.Durable().Snapshot; got.EntryID != s.Snapshot || len(n.disk.durable.snapshots) != 1 {
		t.Fatalf("durable snapshot %+v, %d kept, the core knows %v", got, len(n.disk.durable.snapshots), s.Snapshot)
	}
	before := *n.sm
	n.disk.PowerLoss(0, 0)
	n.start(o)
	if len(n.tasks) != 1 || n.tasks[0].Kind != TaskRestore {
		t.Fatalf("first tasks %+v", n.tasks)
	}
	n = c.elect(1)
	if n.sm.digest != before.digest || len(n.sm.commands) != 100 {
		t.Fatalf("after the restart %d commands, digest %x, want %x", len(n.sm.commands), n.sm.digest, before.digest)
	}
}

// TestSnapshotFromLeader: a replica that has been away gets the leader's
// snapshot in pieces, restores it, and goes on from there, also when power
// fails at any point.
func TestSnapshotFromLeader(t *testing.T) {
	for at := range 12 {
		o := Options{SnapshotBytes: 500}
		c := newCluster(t, 3, o)
		n := c.elect(1)
		c.cut = func(m *core.Message) bool { return m.To == 3 || m.From == 3 }
		for i := range uint64(100) {
			n.replica.Propose(i, fmt.Appendf(nil, "command %d", i))
			c.settle()
		}
		pieces := 0
		c.cut = func(m *core.Message) bool {
			if m.Kind == core.KindInstallSnapshot {
				pieces++
			}
			return false
		}
		lagging := c.hosts[2]
		for i := range 60 {
			if i == at {
				logs, _ := lagging.disk.Unsynced()
				lagging.disk.PowerLoss(logs, 0)
				lagging.start(o)
			}
			n.tick()
			for _, m := range c.hosts {
				m.settle()
				for _, k := range m.take() {
					if !c.cut(&k) {
						if err := c.hosts[k.To-1].replica.Receive(&k); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
		c.ticks(5)
		if lagging.sm.digest != n.sm.digest {
			t.Fatalf("at %d: replica 3 has %d commands, the leader %d", at, len(lagging.sm.commands), len(n.sm.commands))
		}
		if pieces < 20 {
			t.Fatalf("the snapshot came in %d pieces", pieces)
		}
	}
}

// TestReleasedWhileRestoring: a snapshot that is still to be restored from
// stays, even if the core has no use for it any more.
func TestReleasedWhileRestoring(t *testing.T) {
	o := Options{SnapshotBytes: 500}
	c := newCluster(t, 1, o)
	n := c.elect(1)
	for i := range uint64(100) {
		n.replica.Propose(i, []byte("some command"))
		n.settle()
	}
	n.start(o)
	old := n.tasks[0].Snapshot
	n.replica.out = core.Ready{Released: []core.Snapshot{old}}
	n.replica.perform(&n.replica.out)
	if len(n.replica.snapshots.later) != 1 {
		t.Fatal("the release was not put off")
	}
	n.run()
	if len(n.writes) == 0 || len(n.writes[len(n.writes)-1].Released) != 1 || len(n.replica.snapshots.later) != 0 {
		t.Fatalf("the release did not follow: %+v", n.writes)
	}
	n.settle()
}

// TestSteadyStateAllocatesNothing: proposing, writing, acknowledging, applying
// and answering, over and over, at a leader with two followers; and the same
// seen from a follower.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	l := newLoop(t)
	for range 20_000 {
		l.leaderRound()
	}
	if got := testing.AllocsPerRun(2000, l.leaderRound); got != 0 {
		t.Errorf("a proposal at the leader allocates %v times", got)
	}
	f := newFollowerLoop(t)
	for range 20_000 {
		f.round()
	}
	if got := testing.AllocsPerRun(2000, f.round); got != 0 {
		t.Errorf("an entry at a follower allocates %v times", got)
	}
}

func BenchmarkLeaderProposal(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		l.leaderRound()
	}
}

func BenchmarkFollowerEntry(b *testing.B) {
	l := newFollowerLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		l.round()
	}
}

// idle is a state machine that does as little as possible.
type idle struct{ n uint64 }

func (s *idle) Apply(index, time uint64, command, reply []byte) []byte {
	s.n++
	return append(reply, command...)
}
func (s *idle) Query(query, reply []byte) []byte { return append(reply, query...) }
func (s *idle) Snapshot() io.WriterTo            { return bytes.NewReader([]byte("state")) }
func (s *idle) Restore(r io.Reader) error        { return nil }
func (s *idle) Digest() uint64                   { return s.n }

// loop is a host that does everything at once, with nothing around it.
type loop struct {
	t         testing.TB
	disk      *Memory
	replica   *Replica
	sm        StateMachine
	write     uint64
	task      *Task
	next      *Task
	answers   int
	acks      []core.Message
	message   core.Message
	command   []byte
	tag       uint64
	voteRound uint64 // of the request for votes that was sent last
}

func (l *loop) Submit(w *Write) {
	if err := l.disk.Append(w); err != nil {
		l.t.Fatal(err)
	}
	l.write = w.Seq
}

func (l *loop) Apply(t *Task) {
	if l.task != nil {
		l.next = t
		return
	}
	l.task = t
}
func (l *loop) Answer(a *Answer)              { l.answers++ }
func (l *loop) Members(c *core.Configuration) {}
func (l *loop) Event(e core.Event)            {}

func (l *loop) SaveFailed(err error, _ uint64) { panic(err) }

// Send answers entries at once, as a peer with a fast disk.
func (l *loop) Send(m *core.Message) {
	l.voteRound = m.RequestVote.Round
	if m.Kind != core.KindAppendEntries {
		return
	}
	a := &m.AppendEntries
	if len(l.acks) == cap(l.acks) {
		l.acks = append(l.acks, core.Message{})
	} else {
		l.acks = l.acks[:len(l.acks)+1]
	}
	l.acks[len(l.acks)-1] = core.Message{Kind: core.KindAppendEntriesResponse, Cluster: 7, From: m.To, To: m.From, Term: m.Term, Boot: 1,
		AppendEntriesResponse: core.AppendEntriesResponse{Match: a.Prev.Index + core.Index(len(a.Entries)), Round: a.Round}}
}

func (l *loop) settle() {
	for l.write != 0 || l.task != nil || len(l.acks) > 0 {
		if w := l.write; w != 0 {
			l.write = 0
			_ = l.disk.Sync(w)
			l.replica.Completed(w, nil)
		}
		for len(l.acks) > 0 {
			l.message = l.acks[len(l.acks)-1]
			l.acks = l.acks[:len(l.acks)-1]
			if err := l.replica.Receive(&l.message); err != nil {
				l.t.Fatal(err)
			}
		}
		if t := l.task; t != nil {
			l.task, l.next = l.next, nil
			t.Run(l.sm)
			l.replica.Applied(t)
		}
	}
}

func newLoop(t testing.TB) *loop {
	l := &loop{t: t, disk: NewMemory(founding(3)), sm: &idle{}, command: make([]byte, 16)}
	cfg := testConfig(1)
	var err error
	if l.replica, err = New(cfg, Options{SnapshotBytes: 64 << 10}, l.disk, l); err != nil {
		t.Fatal(err)
	}
	for l.replica.Core().Status().Role != core.RoleLeader {
		l.replica.Tick(1, 0, l.replica.WantJitter())
		l.settle()
		s := l.replica.Core().Status()
		vote := core.Message{Cluster: 7, From: 2, To: 1, Boot: 1, Term: s.Term, Kind: core.KindRequestVoteResponse}
		vote.RequestVoteResponse = core.RequestVoteResponse{For: s.Term, Granted: true}
		if s.Role == core.RolePreCandidate {
			vote.RequestVoteResponse = core.RequestVoteResponse{Pre: true, For: s.Term + 1, Round: l.voteRound, Granted: true}
		}
		if s.Role == core.RolePreCandidate || s.Role == core.RoleCandidate {
			if err := l.replica.Receive(&vote); err != nil {
				t.Fatal(err)
			}
			l.settle()
		}
	}
	return l
}

func (l *loop) leaderRound() {
	l.tag++
	before := l.answers
	l.replica.Propose(l.tag, l.command)
	l.settle()
	l.replica.Read(l.tag, l.command)
	l.settle()
	if l.answers != before+2 {
		l.t.Fatalf("%d answers to a proposal and a read", l.answers-before)
	}
}

func newFollowerLoop(t testing.TB) *loop {
	l := &loop{t: t, disk: NewMemory(founding(3)), sm: &idle{}, command: make([]byte, 16)}
	var err error
	if l.replica, err = New(testConfig(2), Options{SnapshotBytes: 64 << 10}, l.disk, l); err != nil {
		t.Fatal(err)
	}
	l.message = core.Message{Kind: core.KindAppendEntries, Cluster: 7, From: 1, To: 2, Boot: 1, Term: 1}
	l.message.AppendEntries.Entries = make([]core.Entry, 1)
	return l
}

func (l *loop) round() {
	a := &l.message.AppendEntries
	e := &a.Entries[0]
	a.Prev, a.PrevDigest = e.EntryID, e.Digest
	a.Commit = a.Prev.Index
	*e = core.Entry{EntryID: core.EntryID{Term: 1, Index: a.Prev.Index + 1}, Kind: core.EntryCommand, Data: l.command}
	e.Digest = e.Chain(a.PrevDigest)
	if err := l.replica.Receive(&l.message); err != nil {
		l.t.Fatal(err)
	}
	l.settle()
}

// receive gives the host a message that is addressed to it.
func (n *host) receive(m core.Message) {
	n.t.Helper()
	m.Cluster, m.To, m.Boot = 7, n.id, 1
	if err := n.replica.Receive(&m); err != nil {
		n.t.Fatal(err)
	}
}

// appendTo is a leader's message of a log that holds before, with more behind
// it, all of one term and nothing of it committed.
func appendTo(term core.Term, from core.ReplicaID, before []string, more ...string) core.Message {
	m := core.Message{Kind: core.KindAppendEntries, Term: term, From: from}
	a := &m.AppendEntries
	for i, data := range slices.Concat(before, more) {
		e := core.Entry{EntryID: core.EntryID{Term: term, Index: core.Index(i + 1)}, Kind: core.EntryCommand, Data: []byte(data)}
		if i < len(before) {
			e.Digest = e.Chain(a.PrevDigest)
			a.Prev, a.PrevDigest = e.EntryID, e.Digest
			continue
		}
		chain := a.PrevDigest
		if k := len(a.Entries); k > 0 {
			chain = a.Entries[k-1].Digest
		}
		e.Digest = e.Chain(chain)
		a.Entries = append(a.Entries, e)
	}
	return m
}
