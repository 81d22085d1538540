package core

import (
	"errors"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// A host's report of its own snapshot is compared with what the core knows, field
// by field, and the halt names the field.
func TestSnapshotReportedIsCompared(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 9})
	c.propose(l, 1, 2, 3)
	c.run(3)
	r := c.replicas[l]
	i := r.log.appliedIndex
	term, chain, _ := r.log.position(i)
	conf, _ := r.ConfigurationAt(i)
	good := Snapshot{EntryID: EntryID{Term: term, Index: i}, Digest: chain, Time: r.PositionTime(i), Size: 1, Sum: 1, Configuration: conf}
	for want, spoil := range map[HaltReason]func(s *Snapshot){
		HaltNone:                  func(*Snapshot) {},
		HaltSnapshotIndex:         func(s *Snapshot) { s.Index++ },
		HaltSnapshotTerm:          func(s *Snapshot) { s.Term++ },
		HaltSnapshotDigest:        func(s *Snapshot) { s.Digest++ },
		HaltSnapshotTime:          func(s *Snapshot) { s.Time++ },
		HaltSnapshotConfiguration: func(s *Snapshot) { s.Configuration.Learners = nil },
	} {
		h, s := r.Raft.Clone(), good.clone()
		spoil(&s)
		var out Ready
		err := h.Step(&Input{Kind: InputSnapshotTaken, Snapshot: s}, &out)
		if h.Halted() != want || errors.Is(err, ErrHalted) != (want != HaltNone) {
			t.Errorf("halted %q with %v, want %q", h.Halted(), err, want)
		}
		if want != HaltNone {
			continue
		}
		// The report was borrowed.
		s.Configuration.Voters[0], s.Configuration.Learners[0] = 77, 77
		if got := h.Snapshot().Configuration; !got.Equal(&conf) {
			t.Errorf("it keeps the host's slices: %+v", got)
		}
	}
}

// installing is a follower that has been sent all of a snapshot far ahead of its
// log, and whose storage makes it durable.
func installing(t *testing.T) (c *testCluster, x ReplicaID, s Snapshot) {
	c = newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x = l%3 + 1
	s = Snapshot{EntryID: EntryID{Term: 1, Index: 50}, Digest: 5, Time: c.replicas[x].log.lastTime(), Size: 4, Sum: 6,
		Configuration: Configuration{EntryID: EntryID{Term: 1, Index: 9}, Voters: append([]ReplicaID(nil), c.ids...)}}
	m := Message{Kind: KindInstallSnapshot, Cluster: 7, From: l, To: x, Boot: 1, Term: c.replicas[l].term,
		InstallSnapshot: InstallSnapshot{Snapshot: s.clone(), Length: 4, Data: make([]byte, 4)}}
	c.step(x, Input{Kind: InputMessage, Message: &m})
	m.InstallSnapshot.Snapshot.Configuration.Voters[0] = 77 // it was borrowed
	if !c.replicas[x].follower.incoming.installing {
		t.Fatal("not complete")
	}
	return c, x, s
}

func TestSnapshotInstalledIsTheOneHandedOut(t *testing.T) {
	for _, kind := range []InputKind{InputSnapshotInstalled, InputSnapshotFailed} {
		for name, spoil := range map[string]func(s *Snapshot){
			"index":         func(s *Snapshot) { s.Index++ },
			"term":          func(s *Snapshot) { s.Term++ },
			"digest":        func(s *Snapshot) { s.Digest++ },
			"time":          func(s *Snapshot) { s.Time++ },
			"size":          func(s *Snapshot) { s.Size++ },
			"sum":           func(s *Snapshot) { s.Sum++ },
			"configuration": func(s *Snapshot) { s.Configuration.Voters = s.Configuration.Voters[:2] },
		} {
			c, x, s := installing(t)
			spoil(&s)
			var out Ready
			if err := c.replicas[x].Step(&Input{Kind: kind, Snapshot: s}, &out); !errors.Is(err, ErrHalted) || c.replicas[x].Halted() != HaltSnapshotUnknown {
				t.Errorf("another %s in input %d: %v", name, kind, err)
			}
		}
		c, x, s := installing(t)
		c.step(x, Input{Kind: kind, Snapshot: s})
		if kind == InputSnapshotInstalled {
			c.step(x, Input{Kind: kind, Snapshot: s}) // said twice
			if got := c.replicas[x].Configuration(); !got.Equal(&s.Configuration) {
				t.Errorf("it keeps slices of a message: %+v", got)
			}
		}
	}
}

// Whatever is sent while storage makes a snapshot durable, the disk holds one
// history: what would make another one of it is refused, and nobody stands for
// election before that is over.
func TestNothingContradictsASnapshotThatIsComplete(t *testing.T) {
	c, x, s := installing(t)
	f := c.replicas[x]
	if f.mayStand() {
		t.Error("it may stand for election")
	}
	var log []Entry
	prev := Entry{EntryID: f.log.last(), Digest: f.log.lastDigest(), Time: f.log.lastTime()}
	first := prev
	for prev.Index < 60 {
		prev = appended(prev, f.term, nil)
		log = append(log, prev)
	}
	m := Message{Kind: KindAppendEntries, Cluster: 7, From: f.leader, To: x, Boot: 1, Term: f.term,
		AppendEntries: AppendEntries{Prev: first.EntryID, PrevDigest: first.Digest, Entries: log, Commit: 60}}
	if err := f.Step(&Input{Kind: InputMessage, Message: &m}, &f.out); !errors.Is(err, ErrBadMessage) {
		t.Errorf("another history is appended: %v", err)
	}
	if err := canStartAgain(f.Raft); err != nil {
		t.Error(err)
	}
	c.step(x, Input{Kind: InputSnapshotInstalled, Snapshot: s})
}

// A stream that is not complete gives way: the log has passed it.
func TestPartialSnapshotThatTheLogHasPassedIsGivenUp(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x := l%3 + 1
	f := c.replicas[x]
	at := f.log.lastIndex() + 1
	m := Message{Kind: KindInstallSnapshot, Cluster: 7, From: l, To: x, Boot: 1, Term: f.term,
		InstallSnapshot: InstallSnapshot{Snapshot: Snapshot{EntryID: EntryID{Term: f.term, Index: at}, Time: f.log.lastTime(), Size: 8, Configuration: *c.members(l)}, Length: 4, Data: make([]byte, 4)}}
	c.step(x, Input{Kind: InputMessage, Message: &m})
	if f.follower.incoming.snapshot.IsZero() {
		t.Fatal("no stream")
	}
	c.propose(l, 1, 2, 3)
	c.run(3)
	if in := f.follower.incoming; !in.snapshot.IsZero() {
		t.Errorf("commit %d, and still waiting for %+v", f.log.commitIndex, in)
	}
}

// A log that holds the position of an installed snapshot needs no restore.
func TestSnapshotThatTheLogHoldsIsNotLoaded(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x := l%3 + 1
	f := c.replicas[x]
	var log []Entry
	first := Entry{EntryID: f.log.last(), Digest: f.log.lastDigest(), Time: f.log.lastTime()}
	prev := first
	for range 5 {
		prev = appended(prev, f.term, nil)
		log = append(log, prev)
	}
	s := Snapshot{EntryID: prev.EntryID, Digest: prev.Digest, Time: prev.Time, Configuration: *c.members(l)}
	send := func(m Message) {
		m.Cluster, m.From, m.To, m.Boot, m.Term = 7, l, x, 1, f.term
		c.step(x, Input{Kind: InputMessage, Message: &m})
	}
	send(Message{Kind: KindInstallSnapshot, InstallSnapshot: InstallSnapshot{Snapshot: s}})
	send(Message{Kind: KindAppendEntries, AppendEntries: AppendEntries{Prev: first.EntryID, PrevDigest: first.Digest, Entries: log}})
	c.step(x, Input{Kind: InputSnapshotInstalled, Snapshot: s})
	if len(f.restored) > 0 || f.log.appliedIndex != s.Index || f.snapshot.Index != s.Index {
		t.Errorf("%d snapshots restored, applied up to %d, snapshot at %d", len(f.restored), f.log.appliedIndex, f.snapshot.Index)
	}
}

// The same name is the same entry, committed or not.
func TestOverlapIsComparedByDigest(t *testing.T) {
	c := newTestCluster(t, 3)
	f := c.replicas[1]
	one := appended(Entry{}, 1, nil)
	two := appended(one, 1, nil)
	send := func(es ...Entry) error {
		m := Message{Kind: KindAppendEntries, Cluster: 7, From: 2, To: 1, Boot: 1, Term: 1, AppendEntries: AppendEntries{Entries: es}}
		return f.Step(&Input{Kind: InputMessage, Message: &m}, &f.out)
	}
	if err := send(one, two); err != nil {
		t.Fatal(err)
	}
	other := Entry{EntryID: one.EntryID, Kind: EntryCommand, Data: []byte("other")}
	other.Digest = other.Chain(0)
	for _, es := range [][]Entry{{other}, {other, appended(other, 1, nil)}, {other, appended(other, 1, nil), appended(appended(other, 1, nil), 1, nil)}} {
		if err := send(es...); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%d other entries of the same names are taken: %v", len(es), err)
		}
	}
}

// A snapshot from a leader agrees with what is committed, in all that it says.
func TestSnapshotGoesOnFromWhatIsCommitted(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(30)
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 9})
	c.isolate(l)
	c.run(60)
	c.cut = nil
	c.run(30)
	l = c.leader()
	x := l%3 + 1
	f := c.replicas[x]
	at := f.log.commitIndex
	term, _, _ := f.log.position(at)
	good := Snapshot{EntryID: EntryID{Term: term, Index: at + 5}, Digest: 1, Time: f.PositionTime(at), Configuration: *f.configurationAt(at)}
	for name, spoil := range map[string]func(s *Snapshot){
		"":                          func(*Snapshot) {},
		"of an older term":          func(s *Snapshot) { s.Term-- },
		"of an earlier time":        func(s *Snapshot) { s.Time-- },
		"with a past configuration": func(s *Snapshot) { s.Configuration = Configuration{Voters: c.ids} },
		"with another configuration": func(s *Snapshot) {
			s.Configuration = s.Configuration.Clone()
			s.Configuration.Term--
		},
		"after which no entry has a place": func(s *Snapshot) { s.Index = indexMax },
	} {
		s := good.clone()
		spoil(&s)
		m := Message{Kind: KindInstallSnapshot, Cluster: 7, From: l, To: x, Boot: 1, Term: f.term, InstallSnapshot: InstallSnapshot{Snapshot: s}}
		if err := f.checkMessage(&m); errors.Is(err, ErrBadMessage) != (name != "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reads that a follower has passed on are answered by the leader that it asked.
func TestReadIndexIsAnsweredByTheLeaderAsked(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x, y := l%3+1, (l+1)%3+1
	f := c.replicas[x]
	c.step(x, Input{Kind: InputRead, Tag: 5})
	m := Message{Kind: KindReadIndexResponse, Cluster: 7, From: y, To: x, Boot: 1, Term: f.term,
		ReadIndexResponse: ReadIndexResponse{ID: ReadID{Replica: x, Boot: 1, Counter: f.readCounter}, Index: 1}}
	if err := f.Step(&Input{Kind: InputMessage, Message: &m}, &f.out); !errors.Is(err, ErrBadMessage) {
		t.Errorf("replica %d answers what replica %d was asked: %v", y, l, err)
	}
	m.From, m.Term = l, f.term-1
	if err := f.Step(&Input{Kind: InputMessage, Message: &m}, &f.out); err != nil || len(f.out.Reads) > 0 {
		t.Errorf("an answer of an older term counts: %v, %+v", err, f.out.Reads)
	}
	m.Term, m.ReadIndexResponse.Index = f.term, ^Index(0)
	if err := f.Step(&Input{Kind: InputMessage, Message: &m}, &f.out); !errors.Is(err, ErrBadMessage) {
		t.Errorf("no log reaches that far: %v", err)
	}
}

func TestReadsThatWaitComeBackWhenTheReplicaHalts(t *testing.T) {
	for _, leads := range []bool{true, false} {
		c := newTestCluster(t, 3)
		l := c.elect()
		c.run(3)
		id := l
		if !leads {
			id = l%3 + 1
		}
		c.cut = func(*Message) bool { return true }
		for tag := uint64(1); tag <= 3; tag++ {
			c.step(id, Input{Kind: InputRead, Tag: tag})
		}
		var out Ready
		if err := c.replicas[id].Step(&Input{Kind: InputApplied, Applied: 1 << 40}, &out); !errors.Is(err, ErrHalted) || len(out.Refusals) != 3 {
			t.Errorf("leads %t: %v, %+v", leads, err, out.Refusals)
		}
	}
}

// A host that never brings a random number is told, and gets a leader.
func TestHostWithoutJitter(t *testing.T) {
	c := newTestCluster(t, 4)
	for _, id := range c.ids {
		r, err := New(Config{ID: id, Cluster: 7, Boot: 1, ElectionTicks: 10, HeartbeatTicks: 2, Jitter: 4, Limits: testLimits()}, c.replicas[id].disk)
		if err != nil {
			t.Fatal(err)
		}
		c.replicas[id].Raft = r
	}
	for range 500 {
		for _, id := range c.ids {
			c.replicas[id].jitter = false
		}
		c.run(1)
	}
	if c.leader() == 0 {
		t.Error("no leader in 50 election timeouts")
	}
	for _, id := range c.ids {
		if n := c.happened(id, Event{EventJitterMissing, id}); n != 1 {
			t.Errorf("replica %d has said %d times that it misses a number", id, n)
		}
	}
}
