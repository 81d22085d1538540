package core

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// The acceptance list: each row is a promise that a README may print. The
// numbers are the rows of the list, with gaps where a row needs what is not
// here yet.

// splitmix is enough randomness for a test, and the same everywhere.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *splitmix) below(n uint64) uint64 { return s.next() % n }

// Row 1, the list of what has crashed others: each is refused or harmless, and
// a refusal changes nothing.
func TestAcceptance01MalformedMessages(t *testing.T) {
	leader := newTestCluster(t, 3)
	l := leader.elect()
	leader.run(3) // so that time is not zero
	leader.propose(l, 1, 2, 3)
	leader.deliver()
	fresh := newTestCluster(t, 3)
	term := leader.replicas[l].term
	entry := func(i Index, data string) Entry {
		e := Entry{EntryID: EntryID{Term: term, Index: i}, Kind: EntryCommand, Data: []byte(data)}
		e.Digest = e.Chain(0)
		return e
	}
	conf := Entry{EntryID: EntryID{Term: 1, Index: 1}, Kind: EntryConfiguration, Data: []byte{255, 1, 2}}
	conf.Digest = conf.Chain(0)
	at := leader.replicas[l].log
	follower := leader.replicas[l%3+1]
	behind := func(time uint64) AppendEntries {
		e := Entry{EntryID: EntryID{Term: term, Index: at.lastIndex() + 1}, Kind: EntryCommand, Time: time}
		e.Digest = e.Chain(at.lastDigest())
		return AppendEntries{Prev: at.last(), PrevDigest: at.lastDigest(), Entries: []Entry{e}}
	}
	endless := AppendEntries{Prev: EntryID{Term: term, Index: ^Index(0) - 1}}
	endless.Entries = []Entry{{EntryID: EntryID{Term: term, Index: ^Index(0)}, Kind: EntryCommand}}
	endless.Entries[0].Digest = endless.Entries[0].Chain(0)
	alone := Configuration{Voters: []ReplicaID{1}}
	snapshot := func(i Index, time uint64, digest uint64) InstallSnapshot {
		return InstallSnapshot{Snapshot: Snapshot{EntryID: EntryID{Term: term, Index: i}, Time: time, Digest: digest, Configuration: alone}}
	}
	for _, c := range []struct {
		name string
		to   *testReplica
		m    Message
		bad  bool
	}{
		{"heartbeat whose commit is beyond the log", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: 1, AppendEntries: AppendEntries{Commit: 1 << 60}}, false},
		{"append without a leader's term at the leader", leader.replicas[l],
			Message{Kind: KindAppendEntries}, true},
		{"a second leader of the term", leader.replicas[l],
			Message{Kind: KindAppendEntries, Term: term}, true},
		{"a configuration that can not be read", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: 1, AppendEntries: AppendEntries{Entries: []Entry{conf}}}, true},
		{"vote request with term 0", fresh.replicas[1],
			Message{Kind: KindRequestVote}, true},
		{"read index request without a name", leader.replicas[l],
			Message{Kind: KindReadIndex, Term: term}, true},
		{"append with a gap between its entries", fresh.replicas[1],
			Message{Kind: KindAppendEntries, Term: term, AppendEntries: AppendEntries{Entries: []Entry{entry(1, "a"), entry(3, "b")}}}, true},
		{"answer to a read round that has not begun", leader.replicas[l],
			Message{Kind: KindAppendEntriesResponse, Term: term, AppendEntriesResponse: AppendEntriesResponse{Round: 1 << 40}}, true},
		{"answer that matches beyond the leader's log", leader.replicas[l],
			Message{Kind: KindAppendEntriesResponse, Term: term, AppendEntriesResponse: AppendEntriesResponse{Match: 1 << 40}}, true},
		{"snapshot without voters", fresh.replicas[1],
			Message{Kind: KindInstallSnapshot, Term: 1, InstallSnapshot: InstallSnapshot{Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 9}}}}, true},
		{"snapshot chunk past its end", fresh.replicas[1],
			Message{Kind: KindInstallSnapshot, Term: 1, InstallSnapshot: InstallSnapshot{Offset: ^uint64(0), Data: []byte{1},
				Snapshot: Snapshot{EntryID: EntryID{Term: 1, Index: 9}, Configuration: Configuration{Voters: []ReplicaID{1}}}}}, true},
		{"an entry as old as the one before it", follower, Message{Kind: KindAppendEntries, From: l, Term: term, AppendEntries: behind(at.lastTime())}, false},
		{"an entry older than the one before it", follower, Message{Kind: KindAppendEntries, From: l, Term: term, AppendEntries: behind(at.lastTime() - 1)}, true},
		{"an entry at the end of time", follower, Message{Kind: KindAppendEntries, From: l, Term: term, AppendEntries: behind(^uint64(0))}, true},
		{"an entry at the end of all indices", fresh.replicas[1], Message{Kind: KindAppendEntries, Term: term, AppendEntries: endless}, true},
		{"snapshot at the last index", fresh.replicas[1], Message{Kind: KindInstallSnapshot, Term: term, InstallSnapshot: snapshot(^Index(0), 0, 0)}, true},
		{"snapshot at the end of time", fresh.replicas[1], Message{Kind: KindInstallSnapshot, Term: term, InstallSnapshot: snapshot(9, ^uint64(0), 0)}, true},
		{"snapshot at another time than its entry", follower,
			Message{Kind: KindInstallSnapshot, From: l, Term: term, InstallSnapshot: snapshot(at.lastIndex(), at.lastTime()+1, at.lastDigest())}, true},
		{"a term beyond all terms", fresh.replicas[1], Message{Kind: KindAppendEntriesResponse, Term: termMax + 1}, true},
		{"no kind", fresh.replicas[1], Message{Term: 1}, true},
		{"another cluster", fresh.replicas[1], Message{Kind: KindAppendEntries, Term: 1, Cluster: 8}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.to.Clone()
			m := c.m
			if m.To = r.cfg.ID; m.From == 0 {
				m.From = r.cfg.ID%3 + 1
			}
			if m.Cluster == 0 {
				m.Cluster = 7
			}
			before := r.Hash()
			var out Ready
			err := r.Step(&Input{Kind: InputMessage, Message: &m}, &out)
			if c.bad != errors.Is(err, ErrBadMessage) {
				t.Fatalf("error %v, want bad message: %t", err, c.bad)
			}
			if c.bad && r.Hash() != before {
				t.Fatal("refused, but the state has changed")
			}
			if err := r.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Row 1, generated: no message and no input panics, a refused message changes
// nothing, and every tag is answered once. The test runs 10^5 inputs;
// SEAWORTHY_MESSAGES says otherwise.
func TestAcceptance01GeneratedMessages(t *testing.T) {
	count := 100_000
	if s := os.Getenv("SEAWORTHY_MESSAGES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	rng := splitmix(1)
	starts := generatedStarts(t)
	var out Ready
	var kinds [kindEnd]int
	var inputs [InputSnapshotFailed + 1]int
	refused, accepted := 0, 0
	var r *Raft
	var tags openTags
	for i := range count {
		if i%50 == 0 || r.halted != HaltNone {
			r = starts[rng.below(uint64(len(starts)))].Clone()
			tags.start(r)
		}
		in := generatedInput(&rng, r, uint64(i)+1<<32)
		tags.ask(&in)
		before := r.Hash()
		err := r.Step(&in, &out)
		switch {
		case errors.Is(err, ErrBadMessage):
			refused++
			if r.Hash() != before || duties(&out) != "" {
				t.Fatalf("message %d refused with %v, but the state has changed: %+v", i, err, in.Message)
			}
		case err != nil:
			t.Fatalf("input %d: %v: %+v, %+v", i, err, in, in.Message)
		default:
			accepted++
			inputs[in.Kind]++
			if in.Kind == InputMessage {
				kinds[in.Message.Kind]++
			}
			if err := r.CheckInvariants(); err != nil {
				t.Fatalf("input %d: %v: %+v, %+v", i, err, in, in.Message)
			}
		}
		// What the step asked to be written is durable, most of the time, and what
		// it asked to be applied is applied.
		for {
			if err := tags.answer(&out); err != nil {
				t.Fatalf("input %d, %+v, %+v: %v", i, in, in.Message, err)
			}
			next := Input{}
			switch {
			case out.WriteSet && rng.below(4) > 0:
				next = Input{Kind: InputPersisted, Persisted: Persisted{out.Mark, out.HardState.Term, out.HardState.Vote}}
			case out.RestoreSet:
				next = Input{Kind: InputApplied, Applied: out.Restore.Index}
			case len(out.Committed) > 0 && rng.below(4) > 0:
				next = Input{Kind: InputApplied, Applied: out.Committed[len(out.Committed)-1].Index}
			}
			if next.Kind == 0 || r.halted != HaltNone {
				break
			}
			if err := r.Step(&next, &out); err != nil {
				t.Fatalf("%+v: %v", next, err)
			}
		}
		if err := canStartAgain(r); err != nil && r.halted == HaltNone {
			t.Fatalf("input %d, %+v, %+v: it could not start again: %v", i, in, in.Message, err)
		}
		if err := tags.open(r); err != nil {
			t.Fatalf("input %d, %+v, %+v: %v", i, in, in.Message, err)
		}
	}
	if refused < count/20 || accepted < count/20 {
		t.Fatalf("of %d messages %d were refused and %d accepted: the generator misses one side", count, refused, accepted)
	}
	for kind := KindRequestVote; kind < kindEnd; kind++ {
		if kinds[kind] == 0 {
			t.Errorf("no message of kind %d was accepted", kind)
		}
	}
	for kind := InputTick; kind <= InputSnapshotFailed; kind++ {
		if inputs[kind] == 0 && kind != InputPersisted && kind != InputApplied {
			t.Errorf("no input of kind %d was accepted", kind)
		}
	}
}

// canStartAgain says whether r would start from a disk that has kept all that it
// was asked to write: its hard state, its log, and the latest snapshot, which may
// be one that is complete and that the host has not reported yet.
func canStartAgain(r *Raft) error {
	st := State{HardState: HardState{r.term, r.vote, r.writtenCommit}, Snapshot: r.snapshot,
		Base: r.log.base, BaseDigest: r.log.baseDigest, BaseTime: r.log.baseTime, Entries: r.log.entries}
	if in := &r.follower.incoming; in.installing && in.snapshot.Index > st.Snapshot.Index {
		st.Snapshot = in.snapshot
	}
	s := &st.Snapshot
	term, chain, ok := r.log.position(s.Index)
	switch {
	case s.Index < st.Base.Index:
		return errors.New("the log begins after the snapshot")
	case ok && s.Index == st.Base.Index && (term != s.Term || chain != s.Digest), ok && term == s.Term && chain != s.Digest:
		return errors.New("the log contradicts the snapshot")
	case !ok || term != s.Term:
		if ok && s.Index <= r.log.commitIndex {
			return errors.New("what is committed contradicts the snapshot")
		}
		// A log that ends before the snapshot, or is of another history, goes.
		st.Base, st.BaseDigest, st.BaseTime, st.Entries = s.EntryID, s.Digest, s.Time, nil
	}
	_, err := New(r.cfg, st)
	return err
}

// openTags are those that wait for an answer.
type openTags map[uint64]bool

func (o *openTags) start(r *Raft) {
	*o = openTags{}
	for _, tag := range waitingTags(r) {
		(*o)[tag] = true
	}
}

// waitingTags are those that r itself remembers.
func waitingTags(r *Raft) (tags []uint64) {
	tags = append(tags, r.lead.reads.out.tags...)
	tags = append(tags, r.lead.reads.next.tags...)
	tags = append(tags, r.follower.reads.sent...)
	tags = append(tags, r.follower.reads.next...)
	if r.handover.tagged {
		tags = append(tags, r.handover.tag)
	}
	return tags
}

func (o openTags) ask(in *Input) {
	switch in.Kind {
	case InputPropose:
		for i := range in.Proposals {
			o[in.Proposals[i].Tag] = true
		}
	case InputRead, InputChange, InputTransfer, InputCampaign, InputResign:
		o[in.Tag] = true
	}
}

func (o openTags) answer(out *Ready) error {
	var answered []uint64
	for _, a := range out.Accepted {
		answered = append(answered, a.Tag)
	}
	for _, a := range out.Done {
		answered = append(answered, a.Tag)
	}
	for _, a := range out.Reads {
		answered = append(answered, a.Tag)
	}
	for _, a := range out.Refusals {
		if a.Reason == RefusedNone || a.Reason.String() == "unknown" {
			return fmt.Errorf("tag %d refused without a reason", a.Tag)
		}
		answered = append(answered, a.Tag)
	}
	for _, tag := range answered {
		if !o[tag] {
			return fmt.Errorf("tag %d answered twice, or never asked", tag)
		}
		delete(o, tag)
	}
	return nil
}

// open compares them with what r remembers: no tag is forgotten.
func (o openTags) open(r *Raft) error {
	waiting := waitingTags(r)
	for _, tag := range waiting {
		if !o[tag] {
			return fmt.Errorf("tag %d is answered, and waits", tag)
		}
	}
	if len(waiting) != len(o) && r.halted == HaltNone {
		return fmt.Errorf("%d tags are open, of which %d are remembered", len(o), len(waiting))
	}
	return nil
}

// generatedStarts are replicas in all kinds of states.
func generatedStarts(t *testing.T) (starts []*Raft) {
	for n := 1; n <= 5; n++ {
		c := newTestCluster(t, n)
		starts = append(starts, c.replicas[1].Clone())
		l := c.elect()
		for _, id := range c.ids {
			starts = append(starts, c.replicas[id].Clone())
		}
		c.isolate(l)
		c.propose(l, 1, 2, 3)
		c.run(13)
		for _, id := range c.ids {
			starts = append(starts, c.replicas[id].Clone())
		}
	}
	joiner := newTestCluster(t, 1)
	joiner.join(2)
	starts = append(starts, joiner.replicas[2].Clone())
	var joint, planned, handing, learners int
	for seed := uint64(1); seed <= 48; seed++ {
		c := newChaos(t, 2000+seed)
		for i := range 1200 {
			c.quarter()
			r := c.replicas[c.any()]
			m := r.Configuration()
			odd := m.IsJoint() && r.role == RoleLeader || r.handover.active()
			if i%400 == 0 || odd && i%3 == 0 {
				starts = append(starts, r.Clone())
				joint += count(m.IsJoint() && r.role == RoleLeader)
				planned += count(len(m.Planned) > 0)
				handing += count(r.handover.active())
				learners += count(!m.Votes(r.cfg.ID))
			}
		}
	}
	if joint == 0 || planned == 0 || handing == 0 || learners == 0 {
		t.Fatalf("of %d replicas %d lead a joint configuration, %d have plans, %d hand over, %d have no vote", len(starts), joint, planned, handing, learners)
	}
	return starts
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// generatedInput is an input whose every field is drawn from values near those
// of the replica, so that many messages pass the gate, or now and then from
// all values.
func generatedInput(rng *splitmix, r *Raft, tag uint64) Input {
	wild := rng.below(40) == 0
	near := func(v uint64) uint64 {
		if wild && rng.below(3) == 0 {
			return rng.next()
		}
		switch rng.below(4) {
		case 0:
			return v + rng.below(3)
		case 1:
			return v - rng.below(min(v, 3)+1)
		default:
			return v
		}
	}
	someone := func() ReplicaID { return ReplicaID(near(uint64(r.cfg.ID%5 + 1))) }
	index := func() Index {
		if rng.below(3) == 0 {
			return Index(rng.below(uint64(r.log.lastIndex()) + 3))
		}
		return Index(near(uint64(r.log.lastIndex())))
	}
	id := func() EntryID {
		i := index()
		if term, _, ok := r.log.position(i); ok && rng.below(4) > 0 {
			return EntryID{Term: term, Index: i}
		}
		return EntryID{Term: Term(near(uint64(r.term))), Index: i}
	}
	conf := func(at EntryID) Configuration {
		c := r.configurations[rng.below(uint64(len(r.configurations)))]
		if rng.below(2) == 0 {
			c = Configuration{Highest: ReplicaID(rng.below(9))}
			for id := ReplicaID(1); id <= 7; id++ {
				switch rng.below(6) {
				case 0, 1:
					c.Voters = append(c.Voters, id)
				case 2:
					c.Learners = append(c.Learners, id)
				}
				if rng.below(9) == 0 {
					c.Outgoing = append(c.Outgoing, id)
				}
			}
			if len(c.Learners) > 0 && rng.below(2) == 0 {
				c.Planned = append(c.Planned, confchange.Planned{Kind: confchange.Promote, ID: c.Learners[0]})
			}
		}
		if c.EntryID = at; rng.below(20) == 0 {
			c.EntryID = id()
		}
		return c
	}
	snap := func() Snapshot {
		s := Snapshot{EntryID: id(), Size: rng.below(20), Sum: rng.below(2)}
		if rng.below(8) > 0 {
			at := s.Index - Index(rng.below(uint64(min(s.Index, 2))+1))
			term, _, _ := r.log.position(at)
			s.Configuration = conf(EntryID{Term: term, Index: at})
			if i := min(s.Index, r.log.commitIndex); rng.below(3) > 0 && i >= r.snapshot.Index {
				s.Configuration = *r.configurationAt(i)
			}
		}
		_, s.Digest, _ = r.log.position(s.Index)
		s.Time = r.PositionTime(min(s.Index, r.log.lastIndex())) + rng.below(2)*near(0)
		return s
	}
	switch rng.below(32) {
	case 0, 1, 2, 3:
		return Input{Kind: InputTick, Ticks: uint32(rng.below(12)), Jitter: uint32(rng.next()), JitterSet: true}
	case 4, 5:
		return Input{Kind: InputPropose, Proposals: []Proposal{{tag << 1, make([]byte, rng.below(200))}, {tag<<1 + 1, nil}}}
	case 6, 7:
		return Input{Kind: InputRead, Tag: tag, Lease: rng.below(2) == 0, LeaseDriftPPM: uint32(near(1 << 10))}
	case 8, 9:
		in := Input{Kind: InputChange, Tag: tag}
		for range rng.below(4) {
			in.Change.Operations = append(in.Change.Operations, Operation{Kind: confchange.OperationKind(rng.below(8)),
				ID: ReplicaID(near(uint64(r.members().HighestID()))), Priority: uint8(rng.below(3)), Address: string(make([]byte, near(250)%300))})
		}
		in.Change.IfSet, in.Change.If = rng.below(4) == 0, r.members().EntryID
		return in
	case 10:
		return Input{Kind: InputTransfer, Tag: tag, Target: ReplicaID(near(2))}
	case 11:
		return Input{Kind: InputCampaign, Tag: tag}
	case 12:
		if rng.below(4) == 0 {
			return Input{Kind: InputResign, Tag: tag}
		}
		if in := &r.follower.incoming; in.installing {
			return Input{Kind: InputSnapshotFailed, Snapshot: in.snapshot}
		}
		return Input{Kind: InputTick}
	case 13:
		if in := &r.follower.incoming; in.installing {
			return Input{Kind: InputSnapshotInstalled, Snapshot: in.snapshot}
		}
		i := r.log.base.Index + Index(rng.below(uint64(r.log.appliedIndex-min(r.log.base.Index, r.log.appliedIndex))+1))
		if c, ok := r.ConfigurationAt(i); ok && i > 0 && i <= r.log.appliedIndex {
			term, chain, _ := r.log.position(i)
			return Input{Kind: InputSnapshotTaken, Snapshot: Snapshot{EntryID: EntryID{Term: term, Index: i}, Digest: chain,
				Time: r.PositionTime(i), Size: 9, Sum: chain, Configuration: c}}
		}
		return Input{Kind: InputTick}
	}
	m := &Message{
		Kind: MessageKind(1 + rng.below(uint64(kindEnd))), Cluster: 7, To: r.cfg.ID,
		From: someone(), Boot: Boot(near(1)), Term: Term(near(uint64(r.term))),
	}
	switch m.Kind {
	case KindRequestVote:
		m.RequestVote = RequestVote{Pre: rng.below(2) == 0, Transfer: rng.below(3) == 0, For: Term(near(uint64(m.Term))), Last: id()}
		if m.RequestVote.Pre {
			m.RequestVote.Round = near(1)
		}
	case KindRequestVoteResponse:
		m.RequestVoteResponse = RequestVoteResponse{Pre: rng.below(2) == 0, For: Term(near(uint64(m.Term))), Round: near(r.candidate.round), Granted: rng.below(3) > 0}
	case KindAppendEntries:
		a := &m.AppendEntries
		a.Prev, a.Commit, a.Round, a.Sent = id(), index(), near(0), near(r.lead.ticks)
		_, a.PrevDigest, _ = r.log.position(a.Prev.Index)
		chain, prev := a.PrevDigest, a.Prev
		for range rng.below(4) {
			e := Entry{EntryID: EntryID{Term: Term(near(uint64(prev.Term))), Index: prev.Index + 1}, Kind: EntryCommand, Time: near(0)}
			if own := r.log.at(e.Index); own != nil && rng.below(3) > 0 {
				e = *own
			} else {
				if rng.below(3) == 0 {
					c := conf(e.EntryID)
					e.Kind, e.Data = EntryConfiguration, c.Append(nil)
					if wild && len(e.Data) > 0 {
						e.Data[rng.below(uint64(len(e.Data)))] ^= byte(rng.next())
					}
				}
				e.Digest = e.Chain(chain)
			}
			if wild && rng.below(4) == 0 {
				e.Digest++
			}
			a.Entries = append(a.Entries, e)
			chain, prev = e.Digest, e.EntryID
		}
	case KindAppendEntriesResponse:
		m.AppendEntriesResponse = AppendEntriesResponse{Reject: rng.below(2) == 0, Unfit: rng.below(8) == 0, Match: index(), Prev: index(), Hint: id(),
			Round: near(r.lead.reads.round), Sent: rng.below(r.lead.ticks + 1)}
	case KindInstallSnapshot:
		m.InstallSnapshot = InstallSnapshot{Snapshot: snap(), Offset: near(0), Data: make([]byte, rng.below(21)), Sent: near(r.lead.ticks)}
		if in := &r.follower.incoming; !in.snapshot.IsZero() && rng.below(2) == 0 {
			m.InstallSnapshot.Snapshot, m.InstallSnapshot.Offset = in.snapshot, in.received
			m.InstallSnapshot.Data = make([]byte, in.snapshot.Size-in.received)
		}
	case KindInstallSnapshotResponse:
		s := snap()
		m.InstallSnapshotResponse = InstallSnapshotResponse{Snapshot: s.EntryID, Sum: s.Sum, Received: rng.below(20), Match: index(),
			Round: near(0), Sent: rng.below(r.lead.ticks + 1)}
	case KindReadIndex:
		m.ReadIndex.ID = ReadID{Replica: m.From, Boot: m.Boot, Counter: near(1)}
	case KindReadIndexResponse:
		m.ReadIndexResponse = ReadIndexResponse{ID: ReadID{Replica: r.cfg.ID, Boot: r.cfg.Boot, Counter: near(r.readCounter)}, Index: index(), Refused: RefusalReason(rng.below(3))}
	case KindTimeoutNow:
		m.TimeoutNow.Last = id()
		if rng.below(2) == 0 {
			m.TimeoutNow.Last = r.log.last()
		}
		if rng.below(2) == 0 && r.leader != 0 {
			m.From = r.leader
		}
	}
	return Input{Kind: InputMessage, Message: m}
}

// Row 2: the schedule of 2015 by which two leaders changed from the same
// configuration, each to one of its own, and decided apart. S1 leads four
// voters and has its change (S5 votes) appended by S5 alone; S2 is elected by
// the others and changes members as well (S1 is removed); S1 comes back and asks
// the voters of its own change.
func TestAcceptance02TwoLeadersDoNotChangeTheSameConfiguration(t *testing.T) {
	c := newTestCluster(t, 4)
	c.replicas[1].electionTimeout = 10
	for _, id := range c.ids[1:] {
		c.replicas[id].electionTimeout = 19
	}
	if l := c.elect(); l != 1 {
		t.Fatalf("leader %d", l)
	}
	c.join(5)
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 5})

	// D reaches S5 only.
	appended := func() bool { return slices.Contains(c.members(1).Voters, 5) }
	apart := func(m *Message) bool { return m.From == 1 && m.To <= 4 || m.To == 1 && m.From <= 4 }
	c.cut = func(m *Message) bool { return appended() && apart(m) }
	if why := c.change(1, 1, Operation{Kind: confchange.Promote, ID: 5}); why != RefusedNone {
		t.Fatal(why)
	}
	for !appended() {
		c.run(1)
	}
	c.deliver()
	d := c.members(1).Index
	if !slices.Contains(c.members(5).Voters, 5) || c.replicas[1].log.commitIndex >= d {
		t.Fatal("D is meant to be at S1 and S5, and not committed")
	}

	// S2 is elected by S2, S3, S4. Until its own entry is committed, it must not
	// change anything: E.
	noop := Index(0)
	c.cut = func(m *Message) bool {
		return apart(m) || m.From == 5 || m.To == 5 || noop == 0 && m.Kind == KindAppendEntriesResponse
	}
	for _, id := range []ReplicaID{2, 3, 4} {
		c.replicas[id].electionTimeout = 15 + 3*uint32(id)
		c.replicas[id].resigned = id != 2
	}
	for c.leader() == 1 || c.leader() == 0 {
		c.run(1)
		if c.replicas[2].role == RoleLeader {
			break
		}
	}
	if c.replicas[2].role != RoleLeader || c.members(2).Index >= d {
		t.Fatalf("%+v", c.replicas[2].Status())
	}
	e := Operation{Kind: confchange.Remove, ID: 1}
	if why := c.change(2, 2, e); why != RefusedTermNotOpen {
		t.Fatalf("S2 has committed nothing of its term, and its change is: %v", why)
	}
	noop = c.replicas[2].lead.termStart
	c.run(5)
	if why := c.change(2, 3, e); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(2)
	if c.replicas[2].log.commitIndex < c.members(2).Index || c.members(2).Has(1) {
		t.Fatal("E is meant to be committed")
	}

	// S1 returns, and asks S4 and S5: a majority of D, if both gave their votes.
	c.cut = func(m *Message) bool { return m.From == 2 || m.To == 2 || m.From == 3 || m.To == 3 }
	for _, id := range []ReplicaID{1, 4, 5} {
		c.replicas[id].resigned = id != 1
	}
	for range 300 {
		c.run(1)
		if r := c.replicas[1]; r.role == RoleLeader && r.term > c.replicas[2].term || r.log.commitIndex >= d {
			t.Fatalf("S1 decides with D: %+v", r.Status())
		}
	}
	c.cut = nil
	for _, id := range c.ids {
		c.replicas[id].resigned = false
	}
	c.run(60)
	l := c.elect()
	// S5 has been promoted again, by S2's own change from what E left.
	c.sameLogs(2, 3, 4, 5)
	if got := c.members(l); !slices.Equal(got.Voters, []ReplicaID{2, 3, 4, 5}) || got.Index <= d {
		t.Fatalf("%+v", got)
	}
}

// Row 3: the schedule behind the stale reads of others. Two reads with the
// same tag, answers of the first round delivered again and late: the second
// read is not answered by them. Nor is a read of a later term.
func TestAcceptance03RepeatedReadTagIsNeverAnsweredEarly(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	c.run(3)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	var answers []Message
	c.cut = func(m *Message) bool {
		if m.Kind == KindAppendEntriesResponse {
			answers = append(answers, *m)
		}
		return false
	}
	c.deliver()
	if len(r.reads) != 1 || len(answers) == 0 {
		t.Fatalf("first read: answered %d times, %d answers to its round", len(r.reads), len(answers))
	}
	c.isolate(l)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	replay := func() {
		for i := range answers {
			if c.replicas[l].role == RoleLeader || answers[i].Term <= c.replicas[l].term {
				c.step(l, Input{Kind: InputMessage, Message: &answers[i]})
			}
		}
	}
	replay()
	replay()
	if len(r.reads) != 1 {
		t.Fatal("the second read was answered by the first one's round")
	}
	c.cut = nil
	c.deliver()
	c.run(3)
	if len(r.reads) != 2 {
		t.Fatal("the second read was not answered after its own round")
	}

	// The same leader in a later term.
	c.isolate(l)
	c.run(60)
	c.cut = nil
	for c.elect() != l {
		c.isolate(c.leader())
		c.run(40)
		c.cut = nil
	}
	c.isolate(l)
	n := len(r.reads)
	c.step(l, Input{Kind: InputRead, Tag: 7})
	replay()
	if len(r.reads) != n {
		t.Fatal("a read was answered by a round of an earlier term")
	}
}

// Row 4: a transfer to a target that is dead, or can not catch up, or never
// hears of it, is given up within one election timeout. There is an event, an
// answer for who asked, and writes go on; so they do when the leader is elected
// again.
func TestAcceptance04TransferThatFailsIsGivenUp(t *testing.T) {
	for name, cut := range map[string]func(to ReplicaID, m *Message) bool{
		"dead":    func(to ReplicaID, m *Message) bool { return m.From == to || m.To == to },
		"lagging": func(to ReplicaID, m *Message) bool { return m.To == to && len(m.AppendEntries.Entries) > 0 },
		"deaf":    func(to ReplicaID, m *Message) bool { return m.Kind == KindTimeoutNow },
		"mute":    func(to ReplicaID, m *Message) bool { return m.Kind == KindRequestVote },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t, 3)
			l := c.elect()
			to := l%3 + 1
			c.run(3)
			c.cut = func(m *Message) bool { return cut(to, m) }
			c.propose(l, 1)
			c.transfer(l, 2, to)
			for ticks := 1; ; ticks++ {
				c.run(1)
				if _, refused := c.answer(l, 2); refused != nil {
					break
				}
				if ticks > 10 {
					t.Fatal("not given up after an election timeout")
				}
			}
			c.wantRefused(l, 2, RefusedTransferAborted)
			if c.happened(l, Event{EventHandoverAborted, to}) != 1 {
				t.Errorf("%+v", c.replicas[l].events)
			}
			// A target that stood in vain has moved the term on, and then the leader is
			// elected again, or another.
			before := c.replicas[l].term
			if name != "mute" && (c.leader() != l || c.replicas[l].term != before) {
				t.Fatalf("leader %d", c.leader())
			}
			if name == "mute" {
				c.cut = nil
			}
			writer := c.elect()
			c.propose(writer, 3)
			c.run(3)
			if a := c.replicas[writer].accepted; len(a) == 0 || a[len(a)-1].Tag != 3 || c.replicas[writer].log.commitIndex < a[len(a)-1].ID.Index {
				t.Fatalf("writes do not go on: %+v", c.replicas[writer].refused)
			}
			// Nothing of it is left when the same replica leads again.
			c.cut = nil
			c.isolate(writer)
			c.run(60)
			c.cut = nil
			c.run(30)
			for range 20 {
				if got := c.leader(); got == l {
					break
				} else if got != 0 {
					c.transfer(got, 90, l)
				}
				c.run(5)
			}
			if c.leader() != l {
				t.Fatalf("leader %d, not %d again", c.leader(), l)
			}
			c.run(3)
			c.propose(l, 4)
			c.change(l, 5, Operation{Kind: confchange.AddLearner, ID: 9})
			for _, tag := range []uint64{4, 5} {
				if _, refused := c.answer(l, tag); refused != nil {
					t.Errorf("tag %d is refused after the election: %v", tag, refused.Reason)
				}
			}
		})
	}
}

// Row 6: the disk of the leader stands still. The others commit without it, and
// within one upper election timeout of its noticing one of them leads; the old
// leader does not come back before its disk does.
func TestAcceptance06LeaderWithAStalledDiskHandsOver(t *testing.T) {
	for _, voters := range []int{3, 5} {
		c := newTestCluster(t, voters)
		l := c.elect()
		r := c.replicas[l]
		c.run(3)
		c.change(l, 1, Operation{Kind: confchange.Update, ID: l, Priority: 9}) // it is even the preferred one
		c.run(3)
		r.auto = false
		c.propose(l, 2)
		noticed := 0
		for noticed == 0 {
			c.run(1)
			for _, e := range r.events {
				if e.Kind == EventDiskStalled {
					noticed++
				}
			}
		}
		if got := r.stalledTicks; got != 100 {
			t.Errorf("noticed after %d ticks", got)
		}
		for ticks := 0; c.leader() == l || c.leader() == 0; ticks++ {
			if ticks > 20 {
				t.Fatalf("%d voters: nobody has taken over in an upper election timeout", voters)
			}
			c.run(1)
		}
		next := c.leader()
		c.propose(next, 3)
		c.run(5)
		if n := c.replicas[next]; n.log.commitIndex != n.log.lastIndex() {
			t.Errorf("%d voters: commit %d of %d", voters, n.log.commitIndex, n.log.lastIndex())
		}
		for range 400 {
			c.run(1)
			if c.leader() != next {
				t.Fatalf("%d voters: leader %d became %d", voters, next, c.leader())
			}
		}
		// The disk is well again, and the replica takes part.
		c.resume(l)
		c.run(10)
		c.sameLogs(c.ids...)
		c.run(150)
		if c.leader() != l {
			t.Errorf("%d voters: the preferred leader is not back, it is %d", voters, c.leader())
		}
	}
}

// A leader whose disk stands still and that has nobody to hand over to leads
// on: nobody could do better.
func TestStalledLeaderWithNobodyToHandOverToLeadsOn(t *testing.T) {
	c := newTestCluster(t, 1)
	l := c.elect()
	r := c.replicas[l]
	r.auto = false
	c.propose(l, 1)
	c.run(200)
	if r.role != RoleLeader || c.happened(l, Event{EventDiskStalled, l}) != 1 {
		t.Fatalf("%+v %+v", r.Status(), r.events)
	}
	c.resume(l)
	if r.log.commitIndex != r.log.lastIndex() {
		t.Error("not committed after all")
	}
}

// Row 8: acknowledgements of writes come late, twice, and in the wrong order;
// one of an overwritten tail counts for nothing.
func TestAcceptance08AcknowledgementsInAnyOrder(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	r.auto = false
	c.propose(l, 1)
	c.propose(l, 2)
	c.propose(l, 3)
	acks := append([]testWrite(nil), r.writes...)
	if len(acks) != 3 {
		t.Fatalf("%d writes, want 3", len(acks))
	}
	for _, i := range []int{1, 0, 1, 2, 0, 2} {
		before := r.log.persistedIndex
		c.step(l, Input{Kind: InputPersisted, Persisted: acks[i].Persisted})
		if r.log.persistedIndex < before || r.log.persistedIndex < acks[i].Log.Index {
			t.Fatalf("ack %d: persisted %d, was %d", i, r.log.persistedIndex, before)
		}
	}

	// The tail is overwritten by another leader while its writes are out.
	r.auto = true
	c.deliver()
	c.run(3)
	c.isolate(l)
	r.auto = false
	r.writes, r.held = nil, nil
	c.propose(l, 4)
	c.propose(l, 5)
	stale := append([]testWrite(nil), r.writes...)
	r.writes, r.held, r.auto = nil, nil, true
	for r.role == RoleLeader || c.leader() == 0 {
		c.run(1)
	}
	c.cut = nil
	c.propose(c.leader(), 6)
	c.run(3)
	if e := r.log.at(stale[0].Log.Index); e == nil || e.Term == stale[0].Log.Term {
		t.Fatal("the tail was not overwritten")
	}
	before := r.log.persistedIndex
	for _, w := range stale {
		c.step(l, Input{Kind: InputPersisted, Persisted: w.Persisted})
	}
	if r.log.persistedIndex != before {
		t.Fatalf("acks of an overwritten tail moved what counts as durable from %d to %d", before, r.log.persistedIndex)
	}

	// An ack for what was never written is the host's fault, and halts.
	h := c.replicas[l].Clone()
	var out Ready
	err := h.Step(&Input{Kind: InputPersisted, Persisted: Persisted{Log: LogMark{h.log.acceptTerm, h.log.lastIndex() + 1}}}, &out)
	if !errors.Is(err, ErrHalted) || h.Halted() != HaltPersisted {
		t.Fatalf("error %v, halted %v", err, h.Halted())
	}
}

// logOf builds a log whose terms are given as runs.
func logOf(runs ...struct {
	term Term
	n    int
}) []Entry {
	var log []Entry
	var chain uint64
	for _, run := range runs {
		for range run.n {
			e := Entry{EntryID: EntryID{Term: run.term, Index: Index(len(log) + 1)}, Kind: EntryCommand}
			e.Digest = e.Chain(chain)
			chain = e.Digest
			log = append(log, e)
		}
	}
	return log
}

// Row 9: a follower 100,000 entries behind, with k divergent terms: the leader
// finds where the logs part with at most k+1 probes.
func TestAcceptance09ProbesAreBoundedByDivergentTerms(t *testing.T) {
	type run = struct {
		term Term
		n    int
	}
	for k := 0; k <= 8; k++ {
		common := run{1, 1000}
		mine := []run{common}
		theirs := []run{common}
		for i := 0; i < k; i++ {
			theirs = append(theirs, run{Term(2 + 2*i), 500})
			mine = append(mine, run{Term(3 + 2*i), 300})
		}
		mine = append(mine, run{Term(50), 100_000})
		c := newTestCluster(t, 2)
		conf := Snapshot{Configuration: Configuration{Voters: c.ids}}
		c.start(1, State{HardState: HardState{Term: 60}, Snapshot: conf, Entries: logOf(mine...)}, 1, testLimits())
		c.start(2, State{HardState: HardState{Term: 60}, Snapshot: conf, Entries: logOf(theirs...)}, 1, testLimits())
		probes, found := 0, false
		c.cut = func(m *Message) bool {
			if m.Kind == KindAppendEntriesResponse && !found {
				probes++
				found = !m.AppendEntriesResponse.Reject
			}
			return false
		}
		c.replicas[1].electionTimeout = 10
		c.replicas[2].electionTimeout = 19
		for !found {
			c.run(1)
		}
		// The answer that accepts is one probe more.
		if probes-1 > k+1 {
			t.Errorf("%d divergent terms: %d refused probes, want at most %d", k, probes-1, k+1)
		}
		c.run(20)
		c.sameLogs(1, 2)
	}
}

// Row 10: a follower that does not answer costs the leader a window and no
// more, and the others nothing.
func TestAcceptance10SlowFollowerIsBoundedByTheWindow(t *testing.T) {
	limits := testLimits()
	limits.InflightBytes, limits.InflightMessages, limits.MessageBytes = 4000, 1000, 1000
	c := newTestCluster(t, 3)
	for _, id := range c.ids {
		c.start(id, State{Snapshot: Snapshot{Configuration: Configuration{Voters: c.ids}}}, 1, limits)
	}
	l := c.elect()
	slow := l%3 + 1
	c.run(3)
	sent := uint64(0)
	c.cut = func(m *Message) bool {
		if m.To == slow && m.Kind == KindAppendEntries {
			for i := range m.AppendEntries.Entries {
				sent += m.AppendEntries.Entries[i].Bytes()
			}
		}
		return m.To == slow && m.Kind == KindAppendEntries && len(m.AppendEntries.Entries) > 0
	}
	largest := 0
	for tag := uint64(1); tag <= 2000; tag++ {
		c.propose(l, tag)
		largest = max(largest, cap(c.replicas[l].out.Messages))
		c.deliver()
		p := c.replicas[l].peer(slow)
		if p.Window.Bytes() > limits.InflightBytes+limits.MessageBytes {
			t.Fatalf("%d bytes in flight to the slow follower", p.Window.Bytes())
		}
	}
	if sent > limits.InflightBytes+limits.MessageBytes {
		t.Errorf("%d bytes sent to a follower that answers nothing, window %d", sent, limits.InflightBytes)
	}
	if got := c.replicas[l].log.commitIndex; got < 2000 {
		t.Errorf("commit index %d after 2000 proposals: the slow follower held it back", got)
	}
	if largest > 16 {
		t.Errorf("one step made room for %d messages", largest)
	}
}

// Row 11, the core's part: every tag comes back exactly once, and by the answer
// that fits, whatever happens to messages and leaders meanwhile.
func TestAcceptance11EveryTagIsAnsweredExactlyOnce(t *testing.T) {
	kinds := [...]InputKind{InputPropose, InputPropose, InputRead, InputRead, InputChange, InputTransfer, InputCampaign, InputResign}
	var refused [RefusedQuorumSilent + 1]int
	for seed := splitmix(1); seed < 20; seed++ {
		rng := seed
		c := newTestCluster(t, 3)
		lost := uint64(0)
		c.cut = func(m *Message) bool { return rng.below(100) < lost }
		asked := map[uint64]InputKind{}
		for tag := uint64(1); tag <= 400; tag++ {
			if rng.below(20) == 0 {
				lost = rng.below(4) * 25
			}
			id := ReplicaID(rng.below(3) + 1)
			if l := c.leader(); l != 0 && rng.below(2) == 0 {
				id = l
			}
			kind := kinds[rng.below(uint64(len(kinds)))]
			if kind == InputResign && rng.below(30) > 0 {
				kind = InputTransfer
			}
			asked[tag] = kind
			switch kind {
			case InputPropose:
				c.propose(id, tag)
			case InputChange:
				c.step(id, Input{Kind: kind, Tag: tag, Change: Change{Operations: []Operation{
					{Kind: confchange.OperationKind(rng.below(7)), ID: ReplicaID(rng.below(3) + 1), Address: "a"}}}})
				// Nobody leaves: what is asked for is only who votes.
			default:
				c.step(id, Input{Kind: kind, Tag: tag, Lease: rng.below(2) == 0, Target: ReplicaID(rng.below(4))})
			}
			c.run(int(rng.below(3)))
		}
		lost = 0
		c.run(100)
		answers := map[uint64]int{}
		fits := func(tag uint64, kinds ...InputKind) {
			t.Helper()
			if answers[tag]++; !slices.Contains(kinds, asked[tag]) {
				t.Fatalf("seed %d: tag %d, of an input of kind %d, has an answer that does not fit", seed, tag, asked[tag])
			}
		}
		for _, id := range c.ids {
			r := c.replicas[id]
			for _, a := range r.accepted {
				fits(a.Tag, InputPropose, InputChange)
			}
			for _, a := range r.reads {
				fits(a.Tag, InputRead)
			}
			for _, a := range r.done {
				fits(a.Tag, InputTransfer, InputCampaign, InputResign)
			}
			for _, a := range r.refused {
				fits(a.Tag, asked[a.Tag])
				refused[a.Reason]++
			}
		}
		for tag := uint64(1); tag <= 400; tag++ {
			if answers[tag] != 1 {
				t.Fatalf("seed %d: tag %d, of an input of kind %d, is answered %d times", seed, tag, asked[tag], answers[tag])
			}
		}
	}
	for _, reason := range []RefusalReason{RefusedNotLeader, RefusedNoLeader, RefusedLeadershipLost, RefusedTransferring, RefusedTransferAborted,
		RefusedNoTarget, RefusedNotVoter, RefusedLeaderHeard, RefusedTermNotOpen, RefusedChangePending, RefusedNoChange} {
		if refused[reason] == 0 {
			t.Errorf("nothing was refused with %q", reason)
		}
	}
	if refused[RefusedNone] > 0 {
		t.Error("refused without a reason")
	}
}

// Whoever waits when a replica halts is told, or was told before.
func TestHaltAnswersWhatTheCoreHasPromised(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.cut = func(m *Message) bool { return true }
	c.transfer(l, 1, l%3+1)
	r := c.replicas[l].Raft
	var out Ready
	if err := r.Step(&Input{Kind: InputApplied, Applied: 1 << 40}, &out); !errors.Is(err, ErrHalted) {
		t.Fatal(err)
	}
	if len(out.Refusals) != 1 || out.Refusals[0].Tag != 1 || out.Refusals[0].Reason != RefusedHalted || r.Halted() != HaltApplied {
		t.Fatalf("%+v", out.Refusals)
	}
	for tag, in := range []Input{
		{Kind: InputRead}, {Kind: InputChange}, {Kind: InputTransfer}, {Kind: InputCampaign}, {Kind: InputResign},
		{Kind: InputPropose, Proposals: []Proposal{{Tag: 5}}},
	} {
		in.Tag = uint64(tag)
		if err := r.Step(&in, &out); !errors.Is(err, ErrHalted) || len(out.Refusals) != 1 || out.Refusals[0].Tag != uint64(tag) {
			t.Errorf("input of kind %d: %v, %+v", in.Kind, err, out.Refusals)
		}
	}
	if err := r.Step(&Input{Kind: InputTick, Ticks: 1}, &out); !errors.Is(err, ErrHalted) || len(out.Refusals) > 0 {
		t.Errorf("%v, %+v", err, out.Refusals)
	}
	for reason := HaltUnknownInput; reason <= HaltSnapshotUnknown; reason++ {
		if reason.String() == "" || reason.String() == "unknown" {
			t.Errorf("reason %d has no name", reason)
		}
	}
	for _, in := range []Input{{}, {Kind: 99}, {Kind: InputMessage}} {
		r := newTestCluster(t, 1).replicas[1].Raft
		if err := r.Step(&in, &out); !errors.Is(err, ErrHalted) || r.Halted() != HaltUnknownInput {
			t.Errorf("%+v: %v", in, err)
		}
	}
}

// Row 12: the leader is removed, or the members change by way of a joint
// configuration, and the leader is lost after any number of messages. Whoever
// leads next takes the change to its end, and a removed leader steps down.
func TestAcceptance12ChangesSurviveTheLossOfTheLeader(t *testing.T) {
	for name, ops := range map[string]func(l ReplicaID) []Operation{
		"the leader is removed": func(l ReplicaID) []Operation { return []Operation{{Kind: confchange.Remove, ID: l}} },
		"two are removed, one of them leads": func(l ReplicaID) []Operation {
			return []Operation{{Kind: confchange.Remove, ID: l}, {Kind: confchange.Remove, ID: l%5 + 1}}
		},
		"three are demoted": func(l ReplicaID) []Operation {
			return []Operation{{Kind: confchange.Demote, ID: l}, {Kind: confchange.Demote, ID: l%5 + 1}, {Kind: confchange.Demote, ID: (l+1)%5 + 1}}
		},
		"one is replaced": func(l ReplicaID) []Operation {
			return []Operation{{Kind: confchange.AddVoter, ID: 6}, {Kind: confchange.Remove, ID: l}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			joint, away := 0, 0
			for messages := 0; messages < 120; messages += 3 {
				c := newTestCluster(t, 5)
				l := c.elect()
				c.join(6)
				wanted, err := c.members(l).Begin(ops(l))
				if err != nil {
					t.Fatal(err)
				}
				if len(wanted.Planned) > 0 {
					wanted = wanted.Enter()
				}
				before := c.members(l).Index
				if why := c.change(l, 1, ops(l)...); why != RefusedNone {
					t.Fatal(why)
				}
				n := 0
				c.cut = func(m *Message) bool {
					n++
					return n > messages && (m.From == l || m.To == l)
				}
				c.run(60)
				known := false
				for _, id := range c.ids {
					known = known || id != l && c.members(id).Index > before
					if id != l && c.members(id).IsJoint() {
						t.Fatalf("after %d messages: replica %d is stuck in %+v", messages, id, c.members(id))
					}
				}
				next := c.leader()
				for _, id := range c.ids {
					if id != l && c.replicas[id].role == RoleLeader {
						next = id
					}
				}
				if next == l || next == 0 {
					t.Fatalf("after %d messages: leader %d", messages, next)
				}
				// With the old leader back all agree. If it alone knew of the change,
				// there is none.
				c.cut = nil
				c.run(60)
				got := c.members(c.leader())
				if got.Index > before {
					away++
					if !slices.Equal(got.Voters, wanted.Voters) || got.IsJoint() || len(got.Planned) > 0 {
						t.Fatalf("after %d messages: %+v, wanted %+v", messages, got, wanted)
					}
					if r := c.replicas[l]; r.role != RoleFollower && !got.Votes(l) {
						t.Fatalf("after %d messages the removed leader is %v", messages, r.role)
					}
				}
				for _, id := range got.Voters {
					for i := range c.replicas[id].told {
						if c.replicas[id].told[i].IsJoint() {
							joint++
						}
					}
				}
			}
			if away == 0 || joint == 0 && name != "the leader is removed" {
				t.Errorf("%d changes took place, %d joint configurations were seen", away, joint)
			}
		})
	}
}

// Row 13: a vote is given for the log and the term, whatever the voter knows
// of the members: one that does not know yet that it votes, or that the
// candidate does, must not leave the cluster without a leader.
func TestAcceptance13VotesDoNotDependOnTheVotersConfiguration(t *testing.T) {
	// S2 is the last voter that knows: S3 votes, by a configuration that S3 has
	// not heard of. Nobody else is there.
	c := newTestCluster(t, 2)
	c.replicas[1].electionTimeout = 10
	c.replicas[2].electionTimeout = 19
	if c.elect() != 1 {
		t.Fatal("S1 is meant to lead")
	}
	c.join(3)
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 3})
	c.cut = func(m *Message) bool { return m.To == 3 && slices.Contains(c.members(1).Voters, 3) }
	if why := c.change(1, 1, Operation{Kind: confchange.Promote, ID: 3}); why != RefusedNone {
		t.Fatal(why)
	}
	c.run(4)
	if !c.members(2).Votes(3) || c.members(3).Votes(3) {
		t.Fatalf("S2 knows %+v, S3 knows %+v", c.members(2), c.members(3))
	}
	c.crash(1)
	c.cut = nil
	c.run(60)
	if c.leader() != 2 {
		t.Fatal("S3 is the only other voter, and does not vote")
	}

	// A replica that knows nobody, a learner, and one that was removed.
	candidate := Message{Kind: KindRequestVote, Cluster: 7, From: 77, Boot: 1, Term: 9,
		RequestVote: RequestVote{For: 9, Last: EntryID{Term: 8, Index: 1000}}}
	for name, st := range map[string]State{
		"joiner":  {},
		"learner": {Snapshot: Snapshot{Configuration: Configuration{Voters: []ReplicaID{1}, Learners: []ReplicaID{5}}}},
		"removed": {Snapshot: Snapshot{Configuration: Configuration{Voters: []ReplicaID{1}, Highest: 5}}},
	} {
		for _, pre := range []bool{true, false} {
			c := newTestCluster(t, 1)
			c.start(5, st, 1, testLimits())
			m := candidate
			m.To, m.RequestVote.Pre = 5, pre
			if pre {
				m.Term--
				m.RequestVote.Round = 1
			}
			c.step(5, Input{Kind: InputTick, Ticks: 10})
			c.step(5, Input{Kind: InputMessage, Message: &m})
			if n := len(c.flight); n != 1 || !c.flight[0].RequestVoteResponse.Granted {
				t.Errorf("%s, pre %t: %+v", name, pre, c.flight)
			}
			if got := c.replicas[5].role; got != RoleFollower {
				t.Errorf("%s is %v", name, got)
			}
		}
	}
}

// Row 15: no allocation in steady state.
func TestAcceptance15NoAllocationInSteadyState(t *testing.T) {
	check := func(name string, f func()) {
		t.Helper()
		for range 3000 {
			f() // let buffers reach their size
		}
		if n := testing.AllocsPerRun(2000, f); n != 0 {
			t.Errorf("%s: %v allocations per run", name, n)
		}
	}
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	leader, follower := c.replicas[l].Raft, c.replicas[l%3+1].Raft
	other := l%3 + 1
	third := other%3 + 1
	var lout, fout Ready
	data := []byte("sixteen bytes...")
	in := Input{Kind: InputPropose, Proposals: []Proposal{{1, data}}}
	append1 := func() Message {
		if err := leader.Step(&in, &lout); err != nil {
			t.Fatal(err)
		}
		for i := range lout.Messages {
			if lout.Messages[i].To == other {
				return lout.Messages[i]
			}
		}
		t.Fatal("nothing sent")
		return Message{}
	}
	step := func(r *Raft, in *Input, out *Ready) {
		if err := r.Step(in, out); err != nil {
			t.Fatal(err)
		}
	}
	var msg, ack Message
	var persisted, applied, message Input
	round := func() {
		msg = append1()
		persisted = Input{Kind: InputPersisted, Persisted: Persisted{lout.Mark, lout.HardState.Term, lout.HardState.Vote}}
		step(leader, &persisted, &lout)
		message = Input{Kind: InputMessage, Message: &msg}
		step(follower, &message, &fout)
		ack = fout.Held[0]
		persisted = Input{Kind: InputPersisted, Persisted: Persisted{fout.Mark, fout.HardState.Term, fout.HardState.Vote}}
		if n := len(fout.Committed); n > 0 {
			applied = Input{Kind: InputApplied, Applied: fout.Committed[n-1].Index}
			step(follower, &persisted, &fout)
			step(follower, &applied, &fout)
		} else {
			step(follower, &persisted, &fout)
		}
		for _, from := range [...]ReplicaID{other, third} {
			ack.From = from
			message = Input{Kind: InputMessage, Message: &ack}
			step(leader, &message, &lout)
			if n := len(lout.Committed); n > 0 {
				applied = Input{Kind: InputApplied, Applied: lout.Committed[n-1].Index}
				step(leader, &applied, &lout)
			}
		}
	}
	check("leader append, follower append, answers, commit", round)

	tick := Input{Kind: InputTick, Ticks: 1}
	check("leader tick and heartbeat, with answers", func() {
		step(leader, &tick, &lout)
		for i := range lout.Messages {
			if lout.Messages[i].To != other {
				continue
			}
			msg = lout.Messages[i]
			message = Input{Kind: InputMessage, Message: &msg}
			step(follower, &message, &fout)
			ack = fout.Messages[0]
			for _, from := range [...]ReplicaID{other, third} {
				ack.From = from
				message = Input{Kind: InputMessage, Message: &ack}
				step(leader, &message, &lout)
			}
			break
		}
	})
	check("follower tick", func() {
		follower.electionElapsed, follower.contactTicks = 0, 0
		step(follower, &tick, &fout)
	})

	read := Input{Kind: InputRead, Tag: 1, Lease: true}
	check("lease read", func() {
		leader.lead.peers[0].LeaseFrom, leader.lead.peers[1].LeaseFrom, leader.lead.peers[2].LeaseFrom = leader.lead.ticks, leader.lead.ticks, leader.lead.ticks
		step(leader, &read, &lout)
		if len(lout.Reads) != 1 || !lout.Reads[0].Lease {
			t.Fatal("not by the lease")
		}
	})
	check("what is refused", func() {
		for _, kind := range [...]InputKind{InputPropose, InputChange, InputTransfer, InputCampaign} {
			in.Kind = kind
			step(follower, &in, &fout)
			if len(fout.Refusals) != 1 {
				t.Fatalf("%+v", fout.Refusals)
			}
		}
		in.Kind = InputPropose
	})

	// A plan that waits for learners, members with addresses, and a joint
	// configuration at the follower cost no more.
	leader.configurations[0] = Configuration{Voters: c.ids, Learners: []ReplicaID{4, 5}, Planned: []confchange.Planned{{Kind: confchange.Promote, ID: 4}},
		Members: []Member{{ID: 1, Address: "one", Priority: 3}, {ID: 2, Address: "two"}}}
	leader.followMembers()
	follower.configurations[0].Outgoing = []ReplicaID{1, 2}
	check("the same with a plan at the leader and a joint configuration at the follower", round)
	message = Input{Kind: InputMessage, Message: &Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: 4, To: l, Boot: 1, Term: leader.term}}
	check("leader tick with a learner that catches up", func() {
		for i := range leader.lead.peers {
			leader.lead.peers[i].QuietTicks = 0
		}
		leader.lead.preferredTicks = leader.preferredAfter()
		step(leader, &tick, &lout)
		message.Message.AppendEntriesResponse.Match = leader.peer(4).Match
		step(leader, &message, &lout)
		if leader.role != RoleLeader || leader.handover.active() || leader.members().Votes(4) {
			t.Fatalf("%+v", leader.Status())
		}
	})
	leader.handover = handover{cause: handoverAsked, target: other}
	check("leader tick and refused proposals during a transfer", func() {
		for i := range leader.lead.peers {
			leader.lead.peers[i].QuietTicks = 0
		}
		leader.handover.elapsedTicks = 0
		step(leader, &tick, &lout)
		step(leader, &in, &lout)
		if len(lout.Refusals) != 1 || lout.Refusals[0].Reason != RefusedTransferring {
			t.Fatalf("%+v", lout.Refusals)
		}
	})
}

// Row 16, the core's part: the same inputs lead to the same state, step by
// step, and on every kind of machine: the last hash is pinned.
func TestAcceptance16SameInputsSameHash(t *testing.T) {
	run := func() []uint64 {
		var hashes []uint64
		c := newTestCluster(t, 3)
		rng := splitmix(16)
		lost := uint64(10)
		c.cut = func(m *Message) bool { return rng.below(100) < lost }
		for tag := uint64(1); tag <= 300; tag++ {
			c.propose(ReplicaID(rng.below(3)+1), tag)
			c.step(ReplicaID(rng.below(3)+1), Input{Kind: InputRead, Tag: tag})
			c.run(int(rng.below(3)))
			for _, id := range c.ids {
				hashes = append(hashes, c.replicas[id].Hash())
			}
		}
		return hashes
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("hash %d differs: %x and %x", i, a[i], b[i])
		}
	}
	const pinned = 0xfdcf08e7f1b7821d
	if last := a[len(a)-1]; last != pinned {
		t.Errorf("last hash %#x, pinned %#x: if the state or the protocol was meant to change, pin the new one", last, uint64(pinned))
	}
}

// A clone and its original part ways without touching each other, and renamed
// replicas have the same canonical hash.
func TestCloneAndCanonicalHash(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l].Raft
	clone := r.Clone()
	if clone.Hash() != r.Hash() {
		t.Fatal("a clone has another hash")
	}
	h := r.Hash()
	var out Ready
	for range 40 {
		in := Input{Kind: InputPropose, Proposals: []Proposal{{1, []byte("x")}}}
		if err := clone.Step(&in, &out); err != nil {
			t.Fatal(err)
		}
	}
	in := Input{Kind: InputTick, Ticks: 30}
	if err := clone.Step(&in, &out); err != nil {
		t.Fatal(err)
	}
	if r.Hash() != h {
		t.Fatal("stepping a clone changed the original")
	}

	swap := func(id ReplicaID) ReplicaID { return id%3 + 1 }
	same := func(id ReplicaID) ReplicaID { return id }
	fresh := newTestCluster(t, 3)
	if fresh.replicas[1].CanonicalHash(swap) != fresh.replicas[2].CanonicalHash(same) {
		t.Error("replica 1 renamed to 2 is not replica 2")
	}
	if fresh.replicas[1].CanonicalHash(same) == fresh.replicas[2].CanonicalHash(same) {
		t.Error("two replicas have the same canonical hash without renaming")
	}
	ticked := fresh.replicas[1].Clone()
	in = Input{Kind: InputTick, Ticks: 1}
	if err := ticked.Step(&in, &out); err != nil {
		t.Fatal(err)
	}
	if ticked.CanonicalHash(same) != fresh.replicas[1].CanonicalHash(same) || ticked.Hash() == fresh.replicas[1].Hash() {
		t.Error("a tick must change the exact hash and not the canonical one")
	}
}
