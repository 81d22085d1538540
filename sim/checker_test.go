package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// The checks are tried on a cluster that does not exist: statuses, disks and
// messages are made up, first as they should be, and then not.

// fakeWorld is a checkerView.
type fakeWorld struct {
	t     testing.TB
	c     *checker
	conf  core.Configuration
	cores []*fakeCore
	disks []*fakeDisk

	states    []uint64
	revisions []uint64
	repeat    bool

	tick   uint64
	atOnce bool

	property, detail string
	replica          int
	marks            Marks
}

type fakeCore struct {
	st        core.Status
	base      fakePosition
	entries   []core.Entry
	invariant error
	peers     []progress.Progress
	conf      *core.Configuration // what it says that counts; nil: what its log says
	founding  core.Configuration  // or snapshot, where its log begins
	hole      core.Index          // an index that it denies to have; zero: none
}

type fakePosition struct {
	id     core.EntryID
	digest uint64
}

type fakeDisk struct {
	hard     core.HardState
	base     fakePosition
	entries  []core.Entry
	snapshot core.Snapshot
}

func (f *fakeCore) at(i core.Index) *core.Entry {
	if i <= f.base.id.Index || i > f.base.id.Index+core.Index(len(f.entries)) {
		return nil
	}
	return &f.entries[i-f.base.id.Index-1]
}

func (f *fakeCore) Status() core.Status {
	f.st.First = f.base.id.Index + 1
	f.st.Last, f.st.LastDigest = f.base.id, f.base.digest
	f.st.Configuration = f.Configuration().EntryID
	if n := len(f.entries); n > 0 {
		f.st.Last, f.st.LastDigest = f.entries[n-1].EntryID, f.entries[n-1].Digest
	}
	return f.st
}

func (f *fakeCore) Position(i core.Index) (core.Term, uint64, bool) {
	if i == f.hole && i != 0 {
		return 0, 0, false
	}
	if i == f.base.id.Index {
		return f.base.id.Term, f.base.digest, true
	}
	if e := f.at(i); e != nil {
		return e.Term, e.Digest, true
	}
	return 0, 0, false
}

func (f *fakeCore) Entry(i core.Index) (core.Entry, bool) {
	if e := f.at(i); e != nil {
		return *e, true
	}
	return core.Entry{}, false
}

func (f *fakeCore) Configuration() core.Configuration {
	if f.conf != nil {
		return *f.conf
	}
	return lastConfiguration(f.founding, f.entries)
}

// lastConfiguration is the last one in a log that began with founding.
func lastConfiguration(founding core.Configuration, entries []core.Entry) core.Configuration {
	for k := len(entries) - 1; k >= 0; k-- {
		if e := &entries[k]; e.Kind == core.EntryConfiguration {
			if c, err := confchange.Decode(e.Data); err == nil {
				return c
			}
		}
	}
	return founding
}

func (f *fakeCore) Peers(look func(*progress.Progress)) {
	for i := range f.peers {
		look(&f.peers[i])
	}
}

func (f *fakeCore) CheckInvariants() error { return f.invariant }

func (d *fakeDisk) Durable() replica.Durable {
	r := replica.Durable{HardState: d.hard, Last: d.base.id, Digest: d.base.digest, Snapshot: d.snapshot}
	if n := len(d.entries); n > 0 {
		r.Last, r.Digest = d.entries[n-1].EntryID, d.entries[n-1].Digest
	}
	if d.snapshot.Index > r.Last.Index {
		r.Last, r.Digest = d.snapshot.EntryID, d.snapshot.Digest
	}
	return r
}

func (d *fakeDisk) DurableEntry(i core.Index) (core.EntryID, uint64, bool) {
	switch {
	case i == d.snapshot.Index:
		return d.snapshot.EntryID, d.snapshot.Digest, true
	case i == d.base.id.Index:
		return d.base.id, d.base.digest, true
	case i < d.base.id.Index || i > d.base.id.Index+core.Index(len(d.entries)):
		return core.EntryID{}, 0, false
	}
	e := &d.entries[i-d.base.id.Index-1]
	return e.EntryID, e.Digest, true
}

// newFakeWorld has n founding voters, and spares that know nobody.
func newFakeWorld(t testing.TB, n, spares int) *fakeWorld {
	w := &fakeWorld{t: t, replica: -2}
	for i := range n {
		w.conf.Voters = append(w.conf.Voters, core.ReplicaID(i+1))
	}
	for i := range n + spares {
		conf := w.conf
		if i >= n {
			conf = core.Configuration{}
		}
		w.cores = append(w.cores, &fakeCore{st: core.Status{ID: core.ReplicaID(i + 1)}, founding: conf})
		w.disks = append(w.disks, &fakeDisk{snapshot: core.Snapshot{Configuration: conf}})
	}
	w.states = make([]uint64, n+spares)
	w.revisions = make([]uint64, n+spares)
	w.c = newChecker(w)
	for i := range n + spares {
		w.c.onRestart(i)
	}
	return w
}

func (w *fakeWorld) failAt(v Verdict, i int, property, detail string) {
	if v != Safety {
		w.t.Errorf("verdict %v, want safety", v)
	}
	if w.property == "" {
		w.replica, w.property, w.detail = i, property, detail
	}
}

func (w *fakeWorld) mark(m Mark)                  { w.marks[m]++ }
func (w *fakeWorld) founding() core.Configuration { return w.conf }
func (w *fakeWorld) size() int                    { return len(w.cores) }
func (w *fakeWorld) electionTicks() uint32        { return 10 }

// ticks goes on by a whole election timeout whenever it is asked for, unless
// the test wants all to happen at once.
func (w *fakeWorld) ticks(int) uint64 {
	if !w.atOnce {
		w.tick += 10
	}
	return w.tick
}

func (w *fakeWorld) inspect(i int) inspector       { return w.cores[i] }
func (w *fakeWorld) durable(i int) durableView     { return w.disks[i] }
func (w *fakeWorld) state(i int) uint64            { return w.states[i] }
func (w *fakeWorld) revision(i int) (uint64, bool) { return w.revisions[i], true }
func (w *fakeWorld) there(int) bool                { return true }

func (w *fakeWorld) repeated(i int) bool { return w.repeat }

// The cluster as it should be, in steps as small as tests need them.

// term moves replica i to a term, with a vote, in memory and on disk.
func (w *fakeWorld) term(i int, t core.Term, vote int) {
	c := w.cores[i]
	c.st.Term, c.st.Role, c.st.Leader = t, core.RoleFollower, 0
	c.st.Vote = core.ReplicaID(vote + 1)
	w.disks[i].hard = core.HardState{Term: t, Vote: c.st.Vote}
	w.look(i)
}

const nobody = -1

// elect makes replica i the leader of t, with the votes of the others named,
// all of it by messages, and gives it its no-op. The votes that a majority
// lacks were given elsewhere.
func (w *fakeWorld) elect(i int, t core.Term, voters ...int) {
	c := w.cores[i]
	c.st.Role, c.st.Term, c.st.Vote, c.st.Leader = core.RoleCandidate, t, c.st.ID, 0
	w.disks[i].hard = core.HardState{Term: t, Vote: c.st.ID}
	w.look(i)
	for _, v := range voters {
		if w.cores[v].st.Role == core.RoleLeader {
			w.stepDown(v)
		}
		w.requestVote(i, v)
		w.term(v, t, i)
		w.grantVote(v, i)
	}
	w.voteElsewhere(i, t)
	c.st.Role, c.st.Leader = core.RoleLeader, c.st.ID
	w.append(i, core.EntryNoop, "")
	w.look(i)
}

// voteElsewhere has those vote for replica i in t who have not voted, as far as
// it needs them, and as if the checker had seen it.
func (w *fakeWorld) voteElsewhere(i int, t core.Term) {
	conf := w.c.configuration(i)
	for k := len(w.cores) - 1; k >= 0; k-- {
		if quorum(conf, func(id core.ReplicaID) bool { return w.c.votedFor(id, t, i) }) {
			return
		}
		r := &w.c.replicas[k]
		for core.Term(len(r.votes)) <= t {
			r.votes = append(r.votes, 0)
		}
		if r.votes[t] == 0 {
			r.votes[t] = uint8(i + 1)
		}
	}
}

func (w *fakeWorld) requestVote(from, to int) {
	m := w.message(core.KindRequestVote, from, to)
	m.RequestVote = core.RequestVote{For: m.Term, Last: w.cores[from].Status().Last}
	w.send(m)
	w.c.onReceive(to, m)
}

func (w *fakeWorld) grantVote(from, to int) {
	m := w.message(core.KindRequestVoteResponse, from, to)
	m.RequestVoteResponse = core.RequestVoteResponse{For: m.Term, Granted: true}
	w.send(m)
}

func (w *fakeWorld) message(kind core.MessageKind, from, to int) *core.Message {
	m := &core.Message{Kind: kind, From: core.ReplicaID(from + 1), To: core.ReplicaID(to + 1), Term: w.cores[from].st.Term}
	switch kind {
	case core.KindAppendEntries:
		m.AppendEntries.Sent = 1
	case core.KindInstallSnapshot:
		m.InstallSnapshot.Sent = 1
	}
	return m
}

func (w *fakeWorld) send(m *core.Message) { w.c.onSend(int(m.From)-1, m) }

func (w *fakeWorld) look(i int) { w.c.afterEvent(i) }

// append puts an entry at the end of the leader's log.
func (w *fakeWorld) append(i int, kind core.EntryKind, data string) core.Index {
	c := w.cores[i]
	prev := c.Status()
	e := core.Entry{EntryID: core.EntryID{Term: prev.Term, Index: prev.Last.Index + 1}, Kind: kind, Data: []byte(data)}
	e.Digest = e.Chain(prev.LastDigest)
	c.entries = append(c.entries[:len(c.entries):len(c.entries)], e)
	return e.Index
}

func (w *fakeWorld) command(i int, data string) core.Index {
	j := w.append(i, core.EntryCommand, data)
	w.look(i)
	return j
}

// sync makes the log of replica i durable.
func (w *fakeWorld) sync(i int) {
	w.disks[i].base, w.disks[i].entries = w.cores[i].base, append([]core.Entry(nil), w.cores[i].entries...)
}

// replicate gives the log of leader l to replica i, whose disk has it too, and
// has i acknowledge it.
func (w *fakeWorld) replicate(l, i int) {
	m := w.appendEntries(l, i)
	w.send(m)
	w.c.onReceive(i, m)
	w.follow(l, i)
	w.acknowledge(i, l, w.cores[l].Status().Last.Index)
}

// appendEntries is the append that brings replica i all of the leader's log.
func (w *fakeWorld) appendEntries(l, i int) *core.Message {
	m := w.message(core.KindAppendEntries, l, i)
	from := w.cores[l]
	m.AppendEntries = core.AppendEntries{Prev: from.base.id, PrevDigest: from.base.digest, Entries: from.entries, Commit: from.st.Commit, Sent: 1}
	return m
}

// follow: replica i has taken over what leader l has.
func (w *fakeWorld) follow(l, i int) {
	from, to := w.cores[l], w.cores[i]
	if to.st.Term != from.st.Term {
		w.term(i, from.st.Term, nobody)
	}
	to.st.Leader, to.st.Role = from.st.ID, core.RoleFollower
	if to.base == from.base {
		to.entries = append([]core.Entry(nil), from.entries...)
	}
	w.sync(i)
	w.look(i)
}

func (w *fakeWorld) acknowledge(i, l int, match core.Index) {
	m := w.message(core.KindAppendEntriesResponse, i, l)
	m.AppendEntriesResponse.Match = match
	w.send(m)
}

// commit moves the commit index of replica i.
func (w *fakeWorld) commit(i int, j core.Index) {
	w.cores[i].st.Commit = j
	w.look(i)
}

// apply applies the entries of replica i up to j, and says so.
func (w *fakeWorld) apply(i int, j core.Index) {
	for k := w.cores[i].st.Applied + 1; k <= j; k++ {
		if e := w.cores[i].at(k); e.Kind == core.EntryCommand {
			w.applyOne(i, k)
		}
	}
	w.cores[i].st.Applied = j
	w.look(i)
}

func (w *fakeWorld) applyOne(i int, j core.Index) {
	e := *w.cores[i].at(j)
	w.states[i] = digest.Bytes(w.states[i], e.Data)
	w.revisions[i]++
	w.c.onApply(i, j, e.Time, &e, replyTo(&e), w.states[i])
}

func replyTo(e *core.Entry) []byte { return fmt.Appendf(nil, "done %s", e.Data) }

// snapshotAt is a snapshot of replica i as of j.
func (w *fakeWorld) snapshotAt(i int, j core.Index) core.Snapshot {
	term, chain, _ := w.cores[i].Position(j)
	return core.Snapshot{EntryID: core.EntryID{Term: term, Index: j}, Digest: chain, Size: 100, Sum: uint64(j) + 1, Configuration: w.configurationAt(i, j)}
}

// configurationAt is the last configuration in the log of replica i up to j.
func (w *fakeWorld) configurationAt(i int, j core.Index) core.Configuration {
	c := w.cores[i]
	n := min(max(j, c.base.id.Index)-c.base.id.Index, core.Index(len(c.entries)))
	return lastConfiguration(c.founding, c.entries[:n])
}

// compact makes such a snapshot durable, and drops the log up to j.
func (w *fakeWorld) compact(i int, j core.Index) {
	c := w.cores[i]
	s := w.snapshotAt(i, j)
	w.disks[i].snapshot = s
	c.st.Snapshot = s.EntryID
	c.founding = s.Configuration
	c.entries = append([]core.Entry(nil), c.entries[j-c.base.id.Index:]...)
	c.base = fakePosition{s.EntryID, s.Digest}
	w.sync(i)
	w.look(i)
}

// crash ends the process of replica i, and with power lost puts the disk back
// to keep entries.
func (w *fakeWorld) crash(i int) {
	w.c.onCrash(i)
	w.sync(i)
	c := w.cores[i]
	w.disks[i].hard.Commit = c.st.Commit
	w.down(i)
}

func (w *fakeWorld) powerLoss(i int) {
	w.disks[i].hard.Commit = min(w.cores[i].st.Commit, w.disks[i].Durable().Last.Index)
	w.c.onPowerLoss(i)
	w.down(i)
}

// down leaves the core as a start would find it.
func (w *fakeWorld) down(i int) {
	d := w.disks[i]
	w.cores[i] = &fakeCore{
		st: core.Status{Office: core.Office{Term: d.hard.Term, Commit: max(d.hard.Commit, d.snapshot.Index)},
			ID: w.cores[i].st.ID, Vote: d.hard.Vote, Applied: d.snapshot.Index, Snapshot: d.snapshot.EntryID},
		base: d.base, entries: append([]core.Entry(nil), d.entries...), founding: d.snapshot.Configuration,
	}
	w.states[i], w.revisions[i] = 0, 0
}

func (w *fakeWorld) restart(i int) { w.c.onRestart(i) }

// settled is a cluster in which replica 0 leads term 1, and everyone has
// committed and applied a no-op and two commands.
func settled(t testing.TB, n int) *fakeWorld { return settledWith(t, n, 0) }

// settledWith is the same with spares that are no members yet.
func settledWith(t testing.TB, n, spares int) *fakeWorld {
	w := newFakeWorld(t, n, spares)
	voters := make([]int, 0, n)
	for i := 1; i < n; i++ {
		voters = append(voters, i)
	}
	w.elect(0, 1, voters...)
	w.command(0, "a")
	w.command(0, "b")
	w.settle()
	return w
}

// settle replicates, commits and applies everything that replica 0 has.
func (w *fakeWorld) settle() {
	last := w.cores[0].Status().Last.Index
	w.sync(0)
	for i := 1; i < len(w.conf.Voters); i++ {
		w.replicate(0, i)
	}
	for i := range w.conf.Voters {
		w.commit(i, last)
		w.apply(i, last)
	}
}

// silent fails the test if a check has fired.
func (w *fakeWorld) silent() {
	w.t.Helper()
	if w.property != "" {
		w.t.Fatalf("%s fired in a cluster as it should be: %s", w.property, w.detail)
	}
}

// fired fails the test unless this check has, of this replica, and names these
// values.
func (w *fakeWorld) fired(property string, i int, values ...string) {
	w.t.Helper()
	if w.property != property || w.replica != i {
		w.t.Fatalf("want %q of %d; fired: %q of %d: %s", property, i, w.property, w.replica, w.detail)
	}
	for _, v := range values {
		if !strings.Contains(w.detail, v) {
			w.t.Errorf("the detail does not say %q: %s", v, w.detail)
		}
	}
	w.t.Log(w.detail)
}

// A cluster that does everything right: elections, a deposed leader whose tail
// is replaced, compaction, a snapshot installed, crashes and power losses.
func TestCheckerSilent(t *testing.T) {
	w := settled(t, 3)
	// Replica 0 keeps two entries to itself, and is deposed.
	w.command(0, "lost 1")
	w.command(0, "lost 2")
	w.sync(0)
	w.elect(1, 2, 2)
	w.command(1, "c")
	w.sync(1)
	w.replicate(1, 2)
	last := w.cores[1].Status().Last.Index
	w.commit(1, last)
	w.commit(2, last)
	w.apply(1, last)
	w.apply(2, last)
	w.follow(1, 0)
	w.acknowledge(0, 1, last)
	w.commit(0, last)
	w.apply(0, last)
	w.silent()
	// Compaction, a restart on a log that begins behind a snapshot, and one
	// whose state machine is restored.
	w.compact(1, 4)
	w.command(1, "d")
	w.sync(1)
	w.crash(2)
	w.restart(2)
	w.commit(2, last)
	w.apply(2, last)
	w.follow2(1, 2)
	w.commit(1, 6)
	w.apply(1, 6)
	w.compact(1, 6)
	w.powerLoss(0)
	w.restart(0)
	w.install(1, 0)
	w.silent()
	// An old acknowledgement, of what its snapshot stands for by now; and a
	// follower that may read.
	w.acknowledge(0, 1, 5)
	read := w.message(core.KindReadIndexResponse, 1, 0)
	read.ReadIndexResponse.Index = 6
	w.send(read)
	w.c.atEnd(1<<0 | 1<<1)
	w.silent()
	for _, m := range []Mark{MarkLeaderElected, MarkLeaderAgain, MarkTailTruncated, MarkTruncatedApplied, MarkReapplied} {
		if w.marks[m] == 0 {
			t.Errorf("mark %v was not found", m)
		}
	}
}

// follow2 is follow for a leader whose log begins later.
func (w *fakeWorld) follow2(l, i int) {
	from, to := w.cores[l], w.cores[i]
	to.entries = append(to.entries[:from.base.id.Index-to.base.id.Index:from.base.id.Index-to.base.id.Index], from.entries...)
	if to.st.Term != from.st.Term {
		w.term(i, from.st.Term, nobody)
	}
	to.st.Leader = from.st.ID
	w.sync(i)
	w.look(i)
	w.acknowledge(i, l, from.Status().Last.Index)
}

// install gives replica i the snapshot of leader l.
func (w *fakeWorld) install(l, i int) {
	from, to := w.cores[l], w.cores[i]
	s := w.disks[l].snapshot
	m := w.message(core.KindInstallSnapshot, l, i)
	m.InstallSnapshot = core.InstallSnapshot{Snapshot: s, Length: 100, Data: make([]byte, 100), Sent: 1}
	w.send(m)
	w.c.onReceive(i, m)
	if to.st.Term != from.st.Term {
		w.term(i, from.st.Term, nobody)
	}
	to.st.Leader = from.st.ID
	w.disks[i].snapshot = s
	to.base, to.entries, to.founding = fakePosition{s.EntryID, s.Digest}, nil, s.Configuration
	to.st.Snapshot, to.st.Commit = s.EntryID, s.Index
	w.sync(i)
	w.look(i)
	w.states[i], w.revisions[i] = w.states[l], w.revisions[l]
	w.c.onInstall(i, s)
	to.st.Applied = s.Index
	w.look(i)
	r := w.message(core.KindInstallSnapshotResponse, i, l)
	r.InstallSnapshotResponse = core.InstallSnapshotResponse{Snapshot: s.EntryID, Sum: s.Sum, Match: s.Index}
	w.send(r)
}

// breakage breaks one thing in a cluster that is as it should be.
type breakage struct {
	name     string
	property string
	replica  int
	replicas int // 0: 3
	spares   int
	values   []string
	breaks   func(w *fakeWorld)
}

var broken = []breakage{
	{
		name: "two leaders of one term", property: PropertyElectionSafety, replica: 1,
		values: []string{"term 1", "replica 1 led"},
		breaks: func(w *fakeWorld) {
			c := w.cores[1]
			c.st.Role, c.st.Vote, c.st.Leader = core.RoleLeader, 2, 2
			w.c.replicas[1].st.Vote = 2 // its vote is not what this is about
			w.look(1)
		},
	},
	{
		name: "two leaders of one term, one after the other", property: PropertyElectionSafety, replica: 2,
		values: []string{"term 2", "replica 2 led"},
		breaks: func(w *fakeWorld) {
			w.elect(1, 2)
			w.term(1, 3, nobody)
			w.elect(2, 2)
		},
	},
	{
		name: "an append of one who did not lead", property: PropertyElectionSafety, replica: 2,
		values: []string{"AppendEntries", "term 1", "replica 1"},
		breaks: func(w *fakeWorld) { w.send(w.appendEntries(2, 1)) },
	},
	{
		name: "a snapshot of one who did not lead", property: PropertyElectionSafety, replica: 2,
		values: []string{"InstallSnapshot", "term 1"},
		breaks: func(w *fakeWorld) { w.send(w.message(core.KindInstallSnapshot, 2, 1)) },
	},
	{
		name: "a follower of one who did not lead", property: PropertyElectionSafety, replica: 1,
		values: []string{"follows replica 3", "term 1", "replica 1"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Leader = 3
			w.look(1)
		},
	},
	{
		name: "a leader that is a candidate in its own term", property: PropertyElectionSafety, replica: 0,
		values: []string{"led term 1"},
		breaks: func(w *fakeWorld) {
			w.cores[0].st.Role = core.RoleCandidate
			w.look(0)
		},
	},
	{
		name: "a leader from the start", property: PropertyElectionSafety, replica: 0,
		values: []string{"starts as leader"},
		breaks: func(w *fakeWorld) {
			w.crash(0)
			w.cores[0].st.Role = core.RoleLeader
			w.restart(0)
		},
	},
	{
		name: "a leader cuts its log", property: PropertyLeaderAppendOnly, replica: 0,
		values: []string{"term 1", "3@1", "2@1"},
		breaks: func(w *fakeWorld) {
			w.cores[0].entries = w.cores[0].entries[:2]
			w.cores[0].st.Commit = 2
			w.look(0)
		},
	},
	{
		name: "a leader overwrites an entry", property: PropertyLeaderAppendOnly, replica: 0,
		values: []string{"term 1", "up to index 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.cores[0].entries = w.cores[0].entries[:3]
			w.append(0, core.EntryCommand, "y")
			w.look(0)
		},
	},
	{
		name: "one entry, two contents", property: PropertyLogMatching, replica: 1,
		values: []string{"4@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.append(1, core.EntryCommand, "y")
			w.look(1)
		},
	},
	{
		name: "one entry behind two histories", property: PropertyLogMatching, replica: 1,
		values: []string{"5@2"},
		breaks: func(w *fakeWorld) {
			w.elect(2, 2)
			w.command(2, "x")
			w.term(1, 2, nobody)
			w.cores[1].st.Term = 1
			w.append(1, core.EntryCommand, "stale")
			w.cores[1].st.Term = 2
			w.append(1, core.EntryCommand, "x")
			w.look(1)
		},
	},
	{
		name: "a digest that is not of its content", property: PropertyLogMatching, replica: 0,
		values: []string{"4@1"},
		breaks: func(w *fakeWorld) {
			w.append(0, core.EntryCommand, "x")
			w.cores[0].entries[3].Data = []byte("y")
			w.look(0)
		},
	},
	{
		name: "a leader without a committed entry", property: PropertyLeaderCompleteness, replica: 2,
		values: []string{"term 2", "ends in 4@2", "5@1", "term 1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.command(0, "d")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 5)
			w.elect(2, 2)
		},
	},
	{
		name: "a leader with another entry where one was committed", property: PropertyLeaderCompleteness, replica: 2,
		values: []string{"term 2", "4@2", "4@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 4)
			w.elect(2, 2)
		},
	},
	{
		name: "committed in a term before that of a leader that lacks it", property: PropertyLeaderCompleteness, replica: 2,
		values: []string{"term 2", "4@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.elect(2, 2)
			w.commit(0, 4)
		},
	},
	{
		name: "committed in a term before that of a leader with a shorter log", property: PropertyLeaderCompleteness, replica: 2,
		values: []string{"term 2", "ended at 4", "committed 5 in term 1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.command(0, "d")
			w.sync(0)
			w.replicate(0, 1)
			w.elect(2, 2)
			w.commit(0, 5)
		},
	},
	{
		name: "a follower takes its own tail for committed", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"4@1", "4@2"},
		breaks: func(w *fakeWorld) {
			w.command(0, "stale")
			w.elect(1, 2, 2)
			w.sync(1)
			w.replicate(1, 2)
			w.commit(1, 4)
			w.term(0, 2, nobody)
			w.commit(0, 4)
		},
	},
	{
		name: "a committed entry is replaced", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"3@2", "3@1"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			w.cores[1].entries = w.cores[1].entries[:2]
			w.append(1, core.EntryCommand, "z")
			w.look(1)
		},
	},
	{
		name: "another command is applied", property: PropertyStateMachineSafety, replica: 2,
		values: []string{`"z"`, "at 4"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			e := *w.cores[2].at(4)
			e.Data = []byte("z")
			w.c.onApply(2, 4, e.Time, &e, nil, 1)
		},
	},
	{
		name: "a command is applied at another log time", property: PropertyStateMachineSafety, replica: 2,
		values: []string{"log time 7"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.c.onApply(2, 4, 7, w.cores[2].at(4), nil, 1)
		},
	},
	{
		name: "applied and not committed", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"applies entry 4", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.applyOne(0, 4)
		},
	},
	{
		name: "applied twice", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"applies entry 3 after entry 3"},
		breaks: func(w *fakeWorld) { w.applyOne(0, 3) },
	},
	{
		name: "left out", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"applies entry 5", "not applied 4"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.command(0, "d")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 5)
			w.commit(1, 5)
			w.applyOne(1, 5)
		},
	},
	{
		name: "said to be applied, and not", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"applied up to 4", "has not applied 4"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.cores[1].st.Applied = 4
			w.look(1)
		},
	},
	{
		name: "a snapshot of what was not committed", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"sends a snapshot of 4@1", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			m := w.message(core.KindInstallSnapshot, 0, 1)
			m.InstallSnapshot.Snapshot = w.snapshotAt(0, 4)
			w.send(m)
		},
	},
	{
		name: "a snapshot of another history", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"sends a snapshot of 3@1", "0x7b"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindInstallSnapshot, 0, 1)
			m.InstallSnapshot.Snapshot = w.snapshotAt(0, 3)
			m.InstallSnapshot.Snapshot.Digest = 0x7b
			w.send(m)
		},
	},
	{
		name: "a snapshot's term is not that of the entry", property: PropertyStateMachineSafety, replica: 0,
		values: []string{"3@0", "term 1"},
		breaks: func(w *fakeWorld) {
			w.cores[0].st.Snapshot = core.EntryID{Term: 0, Index: 3}
			w.look(0)
		},
	},
	{
		name: "a restart on a log without its beginning", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"behind 2"},
		breaks: func(w *fakeWorld) {
			w.crash(1)
			w.cores[1].entries = w.cores[1].entries[2:]
			w.cores[1].base = fakePosition{core.EntryID{Term: 1, Index: 2}, 99}
			w.restart(1)
		},
	},
	{
		name: "term goes back", property: PropertyNeverBack, replica: 1,
		values: []string{"from 2 to 1"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			w.term(1, 1, nobody)
		},
	},
	{
		name: "term leaps", property: PropertyNeverBack, replica: 1,
		values: []string{"from 1 to 7"},
		breaks: func(w *fakeWorld) { w.term(1, 7, nobody) },
	},
	{
		name: "commit goes back", property: PropertyNeverBack, replica: 1,
		values: []string{"commit index", "from 3 to 2"},
		breaks: func(w *fakeWorld) { w.commit(1, 2) },
	},
	{
		name: "applied goes back", property: PropertyNeverBack, replica: 1,
		values: []string{"applied index", "from 3 to 1"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Applied = 1
			w.look(1)
		},
	},
	{
		name: "snapshot goes back", property: PropertyNeverBack, replica: 0,
		values: []string{"from 3@1 to 2@1"},
		breaks: func(w *fakeWorld) {
			w.compact(0, 3)
			w.cores[0].st.Snapshot.Index = 2
			w.look(0)
		},
	},
	{
		name: "the log begins earlier than it did", property: PropertyNeverBack, replica: 0,
		values: []string{"begins at 1", "began at 3"},
		breaks: func(w *fakeWorld) {
			all := w.cores[0].entries
			w.compact(0, 2)
			w.cores[0].base, w.cores[0].entries = fakePosition{}, all
			w.look(0)
		},
	},
	{
		name: "an older snapshot is restored", property: PropertyNeverBack, replica: 1,
		values: []string{"snapshot of 2@1", "applied up to 3"},
		breaks: func(w *fakeWorld) { w.c.onInstall(1, w.snapshotAt(1, 2)) },
	},
	{
		name: "a vote is taken back", property: PropertyOneVote, replica: 1,
		values: []string{"term 1", "from 1 to 0"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Vote = 0
			w.look(1)
		},
	},
	{
		name: "a vote is given to another", property: PropertyOneVote, replica: 1,
		values: []string{"term 1", "from 1 to 3"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Vote = 3
			w.look(1)
		},
	},
	{
		name: "two votes by message, a restart between", property: PropertyOneVote, replica: 1,
		values: []string{"replica 3 in term 1", "replica 1"},
		breaks: func(w *fakeWorld) {
			w.disks[1].hard.Vote = 3
			w.grantVote(1, 2)
		},
	},
	{
		name: "a vote is forgotten by a restart", property: PropertyOneVote, replica: 1,
		values: []string{"term 1", "vote for 0", "replica 1"},
		breaks: func(w *fakeWorld) {
			w.crash(1)
			w.cores[1].st.Vote = 0
			w.restart(1)
		},
	},
	{
		name: "a term is forgotten by a restart", property: PropertyDurableSpoken, replica: 1,
		values: []string{"starts in term 1", "spoken in term 2"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			w.send(w.message(core.KindReadIndex, 1, 0))
			w.crash(1)
			w.cores[1].st.Term, w.cores[1].st.Vote = 1, 1
			w.restart(1)
		},
	},
	{
		name: "a term is spoken of before it is durable", property: PropertyDurableSpoken, replica: 1,
		values: []string{"AppendEntriesResponse in term 2", "disk has term 1"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Term, w.cores[1].st.Vote, w.cores[1].st.Leader = 2, 0, 0
			w.look(1)
			w.acknowledge(1, 0, 3)
		},
	},
	{
		name: "a start in a term that nobody has seen", property: PropertyNeverBack, replica: 1,
		values: []string{"starts in term 3", "more than 1"},
		breaks: func(w *fakeWorld) { w.disks[1].hard.Term = 3; w.powerLoss(1); w.restart(1) },
	},
	{
		name: "a vote is given before it is durable", property: PropertyDurableSpoken, replica: 1,
		values: []string{"votes for replica 3 in term 2", "disk has term 2, vote 0"},
		breaks: func(w *fakeWorld) {
			w.candidate(2, 2)
			w.requestVote(2, 1)
			w.term(1, 2, nobody)
			w.cores[1].st.Vote = 3
			w.look(1)
			w.grantVote(1, 2)
		},
	},
	{
		name: "a candidate asks before its own vote is durable", property: PropertyDurableSpoken, replica: 2,
		values: []string{"votes for replica 3 in term 2", "vote 0"},
		breaks: func(w *fakeWorld) {
			w.term(2, 2, nobody)
			c := w.cores[2]
			c.st.Role, c.st.Vote = core.RoleCandidate, 3
			w.look(2)
			w.requestVote(2, 1)
		},
	},
	{
		name: "acknowledged before it is durable", property: PropertyDurableSpoken, replica: 1,
		values: []string{"up to 4", "3@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.cores[1].entries = w.cores[0].entries
			w.look(1)
			w.acknowledge(1, 0, 4)
		},
	},
	{
		name: "a snapshot is acknowledged before it is durable", property: PropertyDurableSpoken, replica: 1,
		values: []string{"up to 4"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.disks[1].entries = w.disks[1].entries[:3]
			m := w.message(core.KindInstallSnapshotResponse, 1, 0)
			m.InstallSnapshotResponse.Match = 4
			w.send(m)
		},
	},
	{
		name: "a stale suffix is acknowledged", property: PropertyTrueMessages, replica: 2,
		values: []string{"up to 5", "5@1", "replica 2"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.command(0, "y")
			w.follow(0, 2)
			w.elect(1, 2)
			w.command(1, "z")
			w.term(2, 2, nobody)
			w.cores[2].st.Leader = 2
			w.look(2)
			w.acknowledge(2, 1, 5)
		},
	},
	{
		name: "more is acknowledged than the leader has", property: PropertyTrueMessages, replica: 2,
		values: []string{"up to 5", "ends in 4@2"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.command(0, "y")
			w.follow(0, 2)
			w.elect(1, 2)
			w.term(2, 2, nobody)
			w.acknowledge(2, 1, 5)
		},
	},
	{
		name: "acknowledged to who did not lead", property: PropertyTrueMessages, replica: 2,
		values: []string{"replica 2", "term 1"},
		breaks: func(w *fakeWorld) { w.acknowledge(2, 1, 3) },
	},
	{
		name: "entries are sent that are not in the log", property: PropertyTrueMessages, replica: 0,
		values: []string{"4@1 to 4@1"},
		breaks: func(w *fakeWorld) {
			m := w.appendEntries(0, 1)
			e := core.Entry{EntryID: core.EntryID{Term: 1, Index: 4}, Kind: core.EntryCommand}
			m.AppendEntries.Prev, m.AppendEntries.PrevDigest = core.EntryID{Term: 1, Index: 3}, w.cores[0].st.LastDigest
			m.AppendEntries.Entries = []core.Entry{e}
			w.send(m)
		},
	},
	{
		name: "an append with a gap", property: PropertyTrueMessages, replica: 0,
		values: []string{"3@1 to 3@1", "behind 1@1"},
		breaks: func(w *fakeWorld) {
			m := w.appendEntries(0, 1)
			first := m.AppendEntries.Entries[0]
			m.AppendEntries.Prev, m.AppendEntries.PrevDigest = first.EntryID, first.Digest
			m.AppendEntries.Entries = m.AppendEntries.Entries[2:]
			w.send(m)
		},
	},
	{
		name: "an append behind what is not there", property: PropertyTrueMessages, replica: 0,
		values: []string{"behind 9@1"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindAppendEntries, 0, 1)
			m.AppendEntries.Prev = core.EntryID{Term: 1, Index: 9}
			w.send(m)
		},
	},
	{
		name: "an append behind another entry", property: PropertyTrueMessages, replica: 0,
		values: []string{"behind 3@1", "0x5"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindAppendEntries, 0, 1)
			m.AppendEntries.Prev, m.AppendEntries.PrevDigest = core.EntryID{Term: 1, Index: 3}, 5
			w.send(m)
		},
	},
	{
		name: "a commit index that is not the leader's", property: PropertyTrueMessages, replica: 0,
		values: []string{"commit index 4", "its own is 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			m := w.appendEntries(0, 1)
			m.AppendEntries.Commit = 4
			w.send(m)
		},
	},
	{
		name: "a candidate's log ends in nothing", property: PropertyTrueMessages, replica: 1,
		values: []string{"3@0"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindRequestVote, 1, 2)
			m.RequestVote = core.RequestVote{Pre: true, For: 2, Round: 1, Last: core.EntryID{Term: 0, Index: 3}}
			w.send(m)
		},
	},
	{
		name: "a hint at nothing", property: PropertyTrueMessages, replica: 1,
		values: []string{"8@1"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindAppendEntriesResponse, 1, 0)
			m.AppendEntriesResponse = core.AppendEntriesResponse{Reject: true, Prev: 9, Hint: core.EntryID{Term: 1, Index: 8}}
			w.send(m)
		},
	},
	{
		name: "a message in another's name", property: PropertyTrueMessages, replica: 1,
		values: []string{"replica 3"},
		breaks: func(w *fakeWorld) { w.c.onSend(1, w.message(core.KindReadIndex, 2, 0)) },
	},
	{
		name: "a replica starts as another", property: PropertyTrueMessages, replica: 1,
		values: []string{"replica 3"},
		breaks: func(w *fakeWorld) {
			w.crash(1)
			w.cores[1].st.ID = 3
			w.restart(1)
		},
	},
	{
		name: "committed on a minority of disks", property: PropertyDurableCommit, replica: 0,
		values: []string{"4@1", "[1 2 3]", "[1]"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.commit(0, 4)
		},
	},
	{
		name: "committed on half of the disks", property: PropertyDurableCommit, replica: 0, replicas: 4,
		values: []string{"4@1", "[1 2]"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 4)
		},
	},
	{
		name: "committed with the leader's disk behind", property: PropertyDurableCommit, replica: 0,
		values: []string{"4@1", "[2]"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.replicate(0, 1)
			w.commit(0, 4)
		},
	},
	{
		name: "committed with another entry on the disks", property: PropertyDurableCommit, replica: 0,
		values: []string{"4@1", "[1]"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			other := *w.cores[0].at(4)
			other.Digest++
			w.disks[1].entries = append(w.disks[1].entries, other)
			w.commit(0, 4)
		},
	},
	{
		name: "a power loss takes what was committed", property: PropertyDurableCommit, replica: 1,
		values: []string{"4@1", "[1]"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 4)
			w.disks[1].entries = w.disks[1].entries[:3]
			w.powerLoss(1)
		},
	},
	{
		name: "a follower commits on its own", property: PropertyLeadersCommit, replica: 1,
		values: []string{"up to 4", "beyond 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(1, 4)
		},
	},
	{
		name: "a leader commits by an entry of another term", property: PropertyLeadersCommit, replica: 1,
		values: []string{"leads term 2", "up to 4, which is of term 1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.elect(1, 2, 2)
			w.sync(1)
			w.commit(1, 4)
		},
	},
	{
		name: "a restart takes its log for committed", property: PropertyLeadersCommit, replica: 0,
		values: []string{"commit index 4", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.crash(0)
			w.cores[0].st.Commit = 4
			w.restart(0)
		},
	},
	{
		name: "another state", property: PropertySameState, replica: 2,
		values: []string{"entry 4", "0x9"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.applyOne(0, 4)
			e := w.cores[2].at(4)
			w.c.onApply(2, 4, 0, e, replyTo(e), 9)
		},
	},
	{
		name: "another reply", property: PropertySameState, replica: 2,
		values: []string{"entry 4", `"undone"`},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.applyOne(0, 4)
			e := w.cores[2].at(4)
			w.c.onApply(2, 4, 0, e, []byte("undone"), w.states[0])
		},
	},
	{
		name: "another state from a snapshot", property: PropertySameState, replica: 2,
		values: []string{"4@1", "0x9"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.applyOne(0, 4)
			w.states[2] = 9
			w.c.onInstall(2, w.snapshotAt(0, 4))
		},
	},
	{
		name: "a state nobody had", property: PropertySameState, replica: 2,
		values: []string{"4@1", "nobody has applied 4"},
		breaks: func(w *fakeWorld) {
			w.committedAt4()
			w.c.onInstall(2, w.snapshotAt(0, 4))
		},
	},
	{
		name: "a repeat that is carried out", property: PropertyAppliedOnce, replica: 0,
		values: []string{"entry 4", "of 2", "from 2 to 3"},
		breaks: func(w *fakeWorld) {
			w.command(0, "a")
			w.sync(0)
			w.replicate(0, 1)
			w.commit(0, 4)
			w.repeat = true
			w.applyOne(0, 4)
		},
	},
	{
		name: "the reply of another entry", property: PropertyAnswers, replica: 0,
		values: []string{`"b"`, "at 2"},
		breaks: func(w *fakeWorld) {
			a := replica.Answer{Kind: replica.AnswerApplied, Index: 2, Reply: []byte("done a")}
			w.c.onAnswer(0, &a, []byte("b"), question{})
		},
	},
	{
		name: "another reply than the entry had", property: PropertyAnswers, replica: 0,
		values: []string{`"done b"`, "at 2"},
		breaks: func(w *fakeWorld) {
			a := replica.Answer{Kind: replica.AnswerApplied, Index: 2, Reply: []byte("done b")}
			w.c.onAnswer(0, &a, []byte("a"), question{})
		},
	},
	{
		name: "an answer of what was not applied", property: PropertyAnswers, replica: 0,
		values: []string{"at 9"},
		breaks: func(w *fakeWorld) {
			w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerApplied, Index: 9}, []byte("a"), question{})
		},
	},
	{
		name: "a read of the past", property: PropertyReadsCurrent, replica: 1,
		values: []string{"as of 2", "3 was committed"},
		breaks: func(w *fakeWorld) {
			asked := w.c.onRead(1, false)
			w.c.onAnswer(1, &replica.Answer{Kind: replica.AnswerApplied, Read: true, Index: 2}, nil, asked)
		},
	},
	{
		name: "a leader that does not know yet lets a follower read", property: PropertyReadsCurrent, replica: 1,
		values: []string{"leads term 2", "at 3"},
		breaks: func(w *fakeWorld) {
			w.elect(1, 2, 2)
			m := w.message(core.KindReadIndexResponse, 1, 2)
			m.ReadIndexResponse.Index = 3
			w.send(m)
		},
	},
	{
		name: "an honest message is refused", property: PropertyHonestHeard, replica: 1,
		values: []string{"why"},
		breaks: func(w *fakeWorld) { w.c.onError(1, fmt.Errorf("%w: why", core.ErrBadMessage)) },
	},
	{
		name: "a replica halts", property: PropertyNoHalt, replica: 1,
		values: []string{"why"},
		breaks: func(w *fakeWorld) { w.c.onError(1, errors.New("why")) },
	},
	{
		name: "a core halts", property: PropertyNoHalt, replica: 1,
		values: []string{core.HaltApplied.String()},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Halted = core.HaltApplied
			w.look(1)
		},
	},
	{
		name: "a core contradicts itself", property: PropertyInvariants, replica: 1,
		values: []string{"nonsense"},
		breaks: func(w *fakeWorld) {
			w.cores[1].invariant = errors.New("nonsense")
			for range invariantEvery {
				w.look(1)
			}
		},
	},
	{
		name: "an entry that is not there", property: PropertyInvariants, replica: 1,
		values: []string{"no entry at 4"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.cores[1].entries = w.cores[0].entries
			w.cores[1].hole = 4
			w.look(1)
		},
	},
	{
		name: "a log that begins behind nothing", property: PropertyInvariants, replica: 0,
		values: []string{"position 3"},
		breaks: func(w *fakeWorld) {
			w.cores[0].hole = 3
			w.compact(0, 3)
		},
	},
	{
		name: "committed, and not there", property: PropertyInvariants, replica: 0,
		values: []string{"committed entry 4"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.sync(0)
			w.replicate(0, 1)
			w.cores[0].hole = 4
			w.commit(0, 4)
		},
	},
	{
		name: "said to be applied, and not committed", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"applied up to 4", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Applied = 4
			w.look(1)
		},
	},
	{
		name: "a snapshot beyond what was committed", property: PropertyStateMachineSafety, replica: 1,
		values: []string{"4@1", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.cores[1].st.Snapshot = end(1, 4)
			w.look(1)
		},
	},
	{
		name: "a commit index beyond the log", property: PropertyInvariants, replica: 1,
		values: []string{"4", "3"},
		breaks: func(w *fakeWorld) { w.commit(1, 4) },
	},
	{
		name: "an acknowledged write is not committed", property: PropertyAcknowledgedStays, replica: -1,
		values: []string{"index 4", "committed is 3"},
		breaks: func(w *fakeWorld) {
			w.c.acknowledged = 4
			w.c.atEnd(0)
		},
	},
	{
		name: "an acknowledged write is missing at the end", property: PropertyAcknowledgedStays, replica: 2,
		values: []string{"index 4", "applied 3"},
		breaks: func(w *fakeWorld) {
			w.acknowledged4()
			w.c.atEnd(1<<0 | 1<<1 | 1<<2)
		},
	},
	{
		name: "replicas differ at the end", property: PropertyConverged, replica: 2,
		values: []string{"3@1", "4@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.c.atEnd(1<<0 | 1<<2)
		},
	},
	{
		name: "disks lack what was committed at the end", property: PropertyDurableCommit, replica: -1,
		values: []string{"3@1", "[3]"},
		breaks: func(w *fakeWorld) {
			w.disks[0].entries = nil
			w.disks[1].entries = nil
			w.c.atEnd(0)
		},
	},
}

// committedAt4 has one more command committed everywhere, and applied nowhere.
func (w *fakeWorld) committedAt4() {
	w.command(0, "c")
	w.sync(0)
	for i := 1; i < len(w.cores); i++ {
		w.replicate(0, i)
	}
	for i := range w.cores {
		w.commit(i, 4)
	}
}

// acknowledged4 has a client told of it.
func (w *fakeWorld) acknowledged4() {
	w.committedAt4()
	w.apply(0, 4)
	w.apply(1, 4)
	a := replica.Answer{Kind: replica.AnswerApplied, Index: 4, Reply: []byte("done c")}
	w.c.onAnswer(0, &a, []byte("c"), question{})
}

func TestCheckerFires(t *testing.T) {
	fired := map[string]bool{}
	for _, b := range slices.Concat(broken, brokenMembers, brokenReads) {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			n := b.replicas
			if n == 0 {
				n = 3
			}
			w := settledWith(t, n, b.spares)
			w.silent()
			b.breaks(w)
			w.fired(b.property, b.replica, b.values...)
			// Whatever comes next is not looked at.
			first := w.detail
			w.cores[0].st.Term = 0
			w.look(0)
			w.send(w.message(core.KindAppendEntries, 1, 2))
			if w.detail != first {
				t.Error("the checker looks on after a violation")
			}
		})
		fired[b.property] = true
	}
	for _, p := range properties {
		if !fired[p] {
			t.Errorf("no test breaks %q", p)
		}
	}
}

var properties = []string{
	PropertyElectionSafety, PropertyLeaderAppendOnly, PropertyLogMatching,
	PropertyLeaderCompleteness, PropertyStateMachineSafety,
	PropertyNeverBack, PropertyOneVote, PropertyDurableSpoken, PropertyTrueMessages,
	PropertyDurableCommit, PropertyLeadersCommit, PropertySameState, PropertyAppliedOnce,
	PropertyAnswers, PropertyReadsCurrent, PropertyHonestHeard, PropertyNoHalt,
	PropertyInvariants, PropertyAcknowledgedStays, PropertyConverged,
	PropertyConfiguration, PropertyOneStep, PropertyIdsNeverReturn, PropertyElected, PropertyVotersLead,
	PropertyMembersOnly, PropertySnapshotMembers, PropertyLeaseHonest, PropertyHandover, PropertyTrueEvents,
	PropertyLoyalty, PropertyReadsConfirmed, PropertyOldLeadersTold, PropertyNewerTerms,
}

// A promise that waited while its sender went on to a later term, whose leader
// replaced what it promised, is no violation: nobody can count it towards
// anything.
func TestCheckerLatePromise(t *testing.T) {
	w := settled(t, 5)
	w.command(0, "x")
	w.command(0, "y")
	w.follow(0, 1) // replica 1 has both, and its answer waits
	late := w.message(core.KindAppendEntriesResponse, 1, 0)
	late.AppendEntriesResponse.Match = 5
	w.elect(2, 2, 3, 4)
	w.follow(2, 1)
	w.send(late)
	w.silent()
}

// A replica may go down in the event in which it came to a new term, and so be
// seen in it only when it starts again.
func TestCheckerDownInNewTerm(t *testing.T) {
	w := settled(t, 3)
	w.disks[1].hard.Term, w.disks[1].hard.Vote = 2, 2
	w.powerLoss(1)
	w.restart(1)
	w.candidate(1, 3)
	w.silent()
}

// A leader elected late, on votes of a term that others have left behind,
// lacks what they have committed since; it will learn so.
func TestCheckerLateLeader(t *testing.T) {
	w := settled(t, 5)
	late := w.cores[4]
	late.st.Role, late.st.Term, late.st.Vote, late.st.Leader = core.RoleCandidate, 2, 5, 0
	w.disks[4].hard = core.HardState{Term: 2, Vote: 5}
	w.look(4)
	w.elect(1, 3, 2, 3)
	w.sync(1)
	w.replicate(1, 2)
	w.replicate(1, 3)
	w.commit(1, 4)
	w.voteElsewhere(4, 2)
	late.st.Role, late.st.Leader = core.RoleLeader, 5
	w.append(4, core.EntryNoop, "")
	w.look(4)
	w.silent()
}

// The real disk and the real core are what the checker is for.
var (
	_ durableView = (*replica.Memory)(nil)
	_ inspector   = (*core.Raft)(nil)
)

// An event costs little to check, and allocates nothing. The events are those
// of a cluster of three that replicates: per command, appends, answers,
// commits, and applied entries.
func BenchmarkCheckerEvent(b *testing.B) {
	w := settled(b, 3)
	for i := range w.cores {
		w.cores[i].conf = &w.conf // it need not look for one
	}
	const window = 64
	e := core.Entry{EntryID: core.EntryID{Term: 1}, Kind: core.EntryCommand, Data: make([]byte, 48)}
	reply := make([]byte, 24)
	state := uint64(0)
	for i := range w.cores {
		w.cores[i].entries = append(make([]core.Entry, 0, 8*window), w.cores[i].entries...)
		w.disks[i].entries = append(make([]core.Entry, 0, 8*window), w.disks[i].entries...)
	}
	send := w.message(core.KindAppendEntries, 0, 1)
	answer := w.message(core.KindAppendEntriesResponse, 1, 0)
	events := 0
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n++ {
		last := w.cores[0].Status()
		if len(w.cores[0].entries) >= 4*window {
			b.StopTimer()
			for i := range w.cores {
				w.slide(i, 2*window)
			}
			b.StartTimer()
		}
		e.Index = last.Last.Index + 1
		e.Digest = e.Chain(last.LastDigest)
		commit := last.Commit
		// The leader appends and sends.
		w.c.onPropose(0)
		w.cores[0].entries = append(w.cores[0].entries, e)
		for to := 1; to < 3; to++ {
			send.To = core.ReplicaID(to + 1)
			send.AppendEntries = core.AppendEntries{Prev: last.Last, PrevDigest: last.LastDigest, Commit: commit, Sent: 1,
				Entries: w.cores[0].entries[len(w.cores[0].entries)-1:]}
			w.c.onSend(0, send)
		}
		w.c.afterEvent(0)
		w.disks[0].entries = append(w.disks[0].entries, e)
		w.c.afterEvent(0)
		// The followers take it in, and later answer.
		for i := 1; i < 3; i++ {
			w.c.onReceive(i, send)
			w.cores[i].entries = append(w.cores[i].entries, e)
			w.cores[i].st.Commit = commit
			w.c.afterEvent(i)
			w.disks[i].entries = append(w.disks[i].entries, e)
			answer.From = core.ReplicaID(i + 1)
			answer.AppendEntriesResponse.Match = e.Index
			w.c.onSend(i, answer)
			w.c.afterEvent(i)
		}
		// The leader commits at the first answer.
		w.c.onReceive(0, answer)
		w.cores[0].st.Commit = e.Index
		w.c.afterEvent(0)
		w.c.onReceive(0, answer)
		w.c.afterEvent(0)
		// All apply, the followers one command later.
		state++
		for i := range w.cores {
			w.cores[i].st.Commit = e.Index
			w.c.afterEvent(i)
			w.c.onApply(i, e.Index, 0, &e, reply, state)
			w.cores[i].st.Applied = e.Index
			w.c.afterEvent(i)
		}
		a := replica.Answer{Kind: replica.AnswerApplied, Index: e.Index, Reply: reply}
		w.c.onAnswer(0, &a, e.Data, question{})
		w.states[0]++
		events += 14
		if w.property != "" {
			b.Fatal(w.property, w.detail)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}

// slide drops n entries from the front of replica i's log, as compaction does.
func (w *fakeWorld) slide(i, n int) {
	c, d := w.cores[i], w.disks[i]
	s := w.snapshotAt(i, c.entries[n-1].Index)
	c.base = fakePosition{s.EntryID, s.Digest}
	c.entries = c.entries[:copy(c.entries, c.entries[n:])]
	c.st.Snapshot = s.EntryID
	d.base, d.snapshot = c.base, s
	d.entries = d.entries[:copy(d.entries, d.entries[n:])]
}
