package sim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// What a violation is called: one sentence each, said above the check. The
// first five are those of the dissertation, figure 3.2.
const (
	PropertyElectionSafety     = "Election Safety"
	PropertyLeaderAppendOnly   = "Leader Append-Only"
	PropertyLogMatching        = "Log Matching"
	PropertyLeaderCompleteness = "Leader Completeness"
	PropertyStateMachineSafety = "State Machine Safety"

	PropertyNeverBack         = "Never Back"
	PropertyOneVote           = "One Vote"
	PropertyDurableSpoken     = "Durable Before Spoken"
	PropertyTrueMessages      = "True Messages"
	PropertyDurableCommit     = "Durable Before Committed"
	PropertyLeadersCommit     = "Leaders Commit"
	PropertySameState         = "Same State"
	PropertyAppliedOnce       = "Applied Once"
	PropertyAnswers           = "Answers"
	PropertyReadsCurrent      = "Reads Current"
	PropertyHonestHeard       = "Honest Heard"
	PropertyNoHalt            = "No Halt"
	PropertyInvariants        = "Invariants"
	PropertyAcknowledgedStays = "Acknowledged Stays"
	PropertyConverged         = "Converged"

	PropertyConfiguration   = "Configuration Of The Log"
	PropertyOneStep         = "One Step At A Time"
	PropertyIdsNeverReturn  = "Ids Never Return"
	PropertyElected         = "Elected By A Quorum"
	PropertyVotersLead      = "Only Voters Lead"
	PropertyMembersOnly     = "Only Members"
	PropertySnapshotMembers = "Same Snapshot Configuration"
	PropertyLeaseHonest     = "Lease Honest"
	PropertyHandover        = "Handover"
	PropertyTrueEvents      = "True Events"
	PropertyLoyalty         = "Loyal Voters"
	PropertyReadsConfirmed  = "Reads Confirmed"
	PropertyOldLeadersTold  = "Old Leaders Told"
	PropertyNewerTerms      = "Newer Terms Adopted"
)

// checkerView is what the checker needs of a world.
type checkerView interface {
	// failAt takes down a violation of replica i, or -1; the first one counts.
	failAt(v Verdict, i int, property, detail string)
	mark(m Mark)
	// founding is the configuration that the cluster was founded with, and size
	// is how many replicas there ever are. Replica i has the id i+1.
	founding() core.Configuration
	size() int
	// electionTicks is the least election timeout, and ticks how many replica i
	// has been given.
	electionTicks() uint32
	ticks(i int) uint64
	// inspect is the core of replica i, which runs. It stays the same until the
	// replica goes down.
	inspect(i int) inspector
	// durable is the disk of replica i, the same for the whole run.
	durable(i int) durableView
	// state is the digest of replica i's state machine.
	state(i int) uint64
	// revision counts the commands that have changed replica i's state machine;
	// ok is false for a state machine that does not say.
	revision(i int) (n uint64, ok bool)
	// repeated says whether the last command that replica i's state machine was
	// given had no effect, because it had it before or can not have it any more.
	repeated(i int) bool
	// there says whether replica i is installed, and was not taken away.
	there(i int) bool
}

// inspector is a replica's core, to look at.
type inspector interface {
	Status() core.Status
	Position(core.Index) (core.Term, uint64, bool)
	Entry(core.Index) (core.Entry, bool)
	Configuration() core.Configuration
	Peers(func(*progress.Progress))
	CheckInvariants() error
}

// durableView is what of a replica is durable, whether it runs or not.
type durableView interface {
	Durable() replica.Durable
	DurableEntry(core.Index) (core.EntryID, uint64, bool)
}

// checker looks at each replica after every event that touched it, at each
// message before it leaves, and at each entry when it is applied. It compares
// with its last look and with its books, so that a look costs as much as has
// changed. After a violation it looks no more: what follows may be nonsense.
//
// The calls, in their order for one replica:
//
//	onLost        its disk has forgotten what it promised
//	onRestart     it has started, for the first time or again
//	onReceive     a message, undamaged, is about to be handed to it
//	onPropose     so is a proposal
//	onRead        so is a read
//	onLease       a read that may rest on a lease has been
//	onCompleted   so is the news that writes are durable
//	onSend        it wants a message to leave
//	onSubmit      it wants something written
//	onTask        it has work for its state machine
//	onApply       its state machine has applied a command
//	onInstall     its state machine was restored from a snapshot
//	onAnswer      it answers a proposal or read
//	onAnswered    it answers what was asked about members or leadership
//	onResign      it is about to be asked not to lead any more
//	onResigned    it says that it does not, and will not
//	onTransferred it says that who was to take over leads
//	onMembers     it tells which configuration counts
//	onEvent       it tells an operator of something
//	onError       it has returned an error, or halted
//	afterEvent    the event is over
//	onCrash       its process has ended
//	onPowerLoss   so it has, and its disk has lost what it loses
type checker struct {
	view     checkerView
	replicas []looked
	broken   bool
	looks    uint64

	terms     termBook
	termMax   core.Term // the highest ever seen
	entries   entryBook
	committed []committedEntry // by index; the first is the position before all entries
	// revision is the view's as of the last entry applied for the first time.
	revision     uint64
	acknowledged core.Index // the highest index that a client was told
	led          core.Term  // the highest term that was ever led

	configurations configurationBook
	committedPages []int32 // of configurations, in the order of their entries
	// decided is the page of the configuration whose quorum has committed the
	// last of the committed entries.
	decided int32

	// Of checkPeers: whose peers, and one among them that ought to be none.
	peersOf  int
	stranger core.ReplicaID
	peerLook func(*progress.Progress)

	lookout lookout
}

// looked is what the checker knows of one replica: how it was at the last
// look, what it has ever promised, and what is under way there.
type looked struct {
	id   core.ReplicaID
	core inspector // nil: it is down
	lost bool      // its disk has forgotten what it promised
	// nobody: it starts without knowing the founding members.
	nobody bool
	disk   durableView

	st core.Status
	// digests are those of its log, by index, valid from First-1 to Last.
	digests []uint64
	// pages are those of the configurations in its log, in their order; the first
	// counts where the log begins, and the last one counts. Was is what the last
	// one was at the last look, and turned says that they have changed since.
	pages  []int32
	was    int32
	turned bool
	// following are those that it may replicate to, as bits by position: the
	// members since it leads. Suspect: someone else has sent it a message.
	following uint64
	suspect   bool
	// As leader: its clock when it was elected, and the latest time in office
	// that it has sent.
	office uint64
	sent   uint64
	heard  heard
	loyal  loyal
	// Its clock when the handover under way began. Aborted: it has said since
	// that one came to nothing.
	handoverFrom uint64
	aborted      bool
	// Resigning: this incarnation was asked not to lead any more; resigned: it has
	// said that it will not.
	resigning, resigned bool
	asking              asking
	contact             contact
	forwarding          forwarding
	// In the event under way: the newer term that it has just heard of, and has to
	// be in; the leader of an older term that it has just heard and owes an
	// answer; and the vote that it has no reason to refuse.
	newer core.Term
	owes  owed
	due   owed

	// Promises, over all its incarnations.
	spoken core.Term // the highest term in a message of its
	votes  []uint8   // by term: 1 + position of the replica it told it would vote for

	durableTerm core.Term  // at least this is durable
	applied     core.Index // by its state machine
	state       uint64     // digest of its state machine behind the last command
}

// heard is the latest that a replica has heard of the leader of a term, and may
// echo in its answers.
type heard struct {
	term        core.Term
	sent, round uint64
}

// loyal is what a replica owes to the leader that it hears.
type loyal struct {
	since uint64 // its ticks when a leader was heard last, or when it started
	free  bool   // it has led since
	// What each replica, by position, has asked of it: for its vote, and if it
	// would vote. An answer may wait for the disk while a leader is heard.
	votes, preVotes []petition
}

// petition is the latest term for which a vote was asked for at all, and was
// when the voter was free to give it, and when the log of who asked was as good
// as the voter's.
type petition struct {
	asked, free, worthy core.Term
}

func (l *loyal) petition(k int, pre bool) *petition {
	if pre {
		return &l.preVotes[k]
	}
	return &l.votes[k]
}

// owed is an answer to a message of that term, or for a vote in it.
type owed struct {
	to   core.ReplicaID // zero: nothing is owed
	term core.Term
	pre  bool
}

// asking is a read that is being handed to a replica: how many waited before
// it, whether it was refused at once, and if it was handed to a leader, how
// things stood there.
type asking struct {
	waiting int
	refused bool
	led     ledBy
}

// invariantEvery is how many looks there are between two that ask the core for
// its own invariants; it is also asked whenever role or term change. To ask
// costs about as much as all the other checks of an event together.
const invariantEvery = 16

// newChecker checks the world behind v. No replica has started yet.
func newChecker(v checkerView) *checker {
	founding := v.founding()
	c := &checker{
		view:           v,
		replicas:       make([]looked, v.size()),
		committed:      make([]committedEntry, 1, 1024),
		configurations: configurationBook{{conf: founding}, {}},
		committedPages: []int32{pageFounding},
	}
	for i := range c.replicas {
		r := &c.replicas[i]
		r.id, r.disk = core.ReplicaID(i+1), v.durable(i)
		r.loyal.votes, r.loyal.preVotes = make([]petition, v.size()), make([]petition, v.size())
		r.contact.init(v.size())
	}
	first := &c.configurations[pageFounding]
	first.members = c.positions(&first.conf)
	first.ever = first.members
	for i := range c.replicas {
		r := &c.replicas[i]
		r.pages = append(r.pages, c.firstPage(i, 0))
		r.was = r.pages[0]
	}
	c.peerLook = c.lookAtPeer
	c.lookout.init(v, len(c.replicas))
	return c
}

// position is where the replica of that id stands, or -1.
func (c *checker) position(id core.ReplicaID) int {
	if i := int(id) - 1; i >= 0 && i < len(c.replicas) {
		return i
	}
	return -1
}

func (c *checker) fail(i int, property, format string, args ...any) {
	c.broken = true
	detail := fmt.Sprintf(format, args...)
	if i >= 0 {
		detail = fmt.Sprintf("replica %d: %s", c.replicas[i].id, detail)
	}
	c.view.failAt(Safety, i, property, detail)
}

// top is the highest index that was seen committed.
func (c *checker) top() core.Index { return core.Index(len(c.committed)) - 1 }

// afterEvent looks at a replica that an event has touched.
func (c *checker) afterEvent(i int) {
	if c.broken || c.replicas[i].core == nil {
		return
	}
	if c.look(i); !c.broken {
		c.checkHandoverEnds(i)
	}
	c.replicas[i].due = owed{}
	if !c.broken {
		c.checkNewerTerm(i)
	}
	if !c.broken {
		c.checkTold(i)
	}
}

// look compares a replica with how it was at the last look.
func (c *checker) look(i int) {
	r := &c.replicas[i]
	st := r.core.Status()
	if st.Halted != core.HaltNone {
		c.fail(i, PropertyNoHalt, "halted: %v", st.Halted)
		return
	}
	if r.resigned && st.Role != core.RoleFollower {
		c.fail(i, PropertyHandover, "it has resigned, and is a %v in term %d", st.Role, st.Term)
		return
	}
	c.looks++
	turned := st.Term != r.st.Term || st.Role != r.st.Role
	thorough := turned || r.suspect || st.Configuration != r.st.Configuration || c.looks%invariantEvery == 0
	if thorough {
		if err := r.core.CheckInvariants(); err != nil {
			c.fail(i, PropertyInvariants, "%v", err)
			return
		}
		c.lookout.peers(c, i, &st)
	}
	stands := turned && st.Role != core.RoleFollower
	mayStand := stands && c.mayStand(i, r.st.Commit)
	if turned || st.Vote != r.st.Vote || st.Leader != r.st.Leader {
		if c.lookAtTerm(i, &st); c.broken {
			return
		}
	}
	kept := r.st.Last.Index
	if st.Last != r.st.Last || st.LastDigest != r.st.LastDigest || st.First != r.st.First {
		if kept = c.lookAtLog(i, &st); c.broken {
			return
		}
	}
	if thorough || r.turned || st.Configuration != r.st.Configuration {
		r.turned = false
		if c.checkConfiguration(i); c.broken {
			return
		}
	}
	if st.Commit != r.st.Commit || kept < st.Commit {
		c.lookAtCommit(i, &st, kept)
	}
	if st.Applied != r.st.Applied {
		c.lookAtApplied(i, &st)
	}
	if st.Snapshot != r.st.Snapshot {
		c.lookAtSnapshot(i, &st)
	}
	if stands && !mayStand && !c.mayStand(i, st.Commit) && !c.broken {
		c.checkStands(i, &st)
	}
	if turned && st.Role == core.RoleLeader && !c.broken {
		if c.checkLeaderCompleteness(i, &st); !c.broken {
			c.checkElected(i, &st)
		}
	}
	if thorough && st.Role == core.RoleLeader && !c.broken {
		c.checkPeers(i)
	}
	if (st.Successor != 0 || r.aborted) && !c.broken {
		c.lookAtHandover(i, &st)
	}
	c.lookout.looked(c, i, &st)
	r.was = r.pages[len(r.pages)-1]
	r.st = st
}

// tookOffice: replica i has begun to lead.
func (c *checker) tookOffice(i int, st *core.Status) {
	r := &c.replicas[i]
	r.office, r.sent = st.Clock, 0
	r.following = c.page(i).members
	c.led = max(c.led, st.Term)
}

// lookAtTerm: a replica's term never goes back, grows by no more than one
// beyond what anyone has seen, and has at most one vote and one leader.
func (c *checker) lookAtTerm(i int, st *core.Status) {
	r := &c.replicas[i]
	old := &r.st
	switch {
	case st.Term < old.Term:
		c.fail(i, PropertyNeverBack, "its term went back from %d to %d", old.Term, st.Term)
		return
	case st.Term > c.termMax+1:
		c.fail(i, PropertyNeverBack, "its term leapt from %d to %d, while nobody has seen more than %d",
			old.Term, st.Term, c.termMax)
		return
	case st.Term == old.Term && old.Vote != 0 && st.Vote != old.Vote:
		c.fail(i, PropertyOneVote, "its vote in term %d changed from %d to %d", st.Term, old.Vote, st.Vote)
		return
	case st.Term == old.Term && old.Role == core.RoleLeader && st.Role == core.RoleCandidate:
		c.fail(i, PropertyElectionSafety, "it led term %d, and is a candidate in it", st.Term)
		return
	}
	c.termMax = max(c.termMax, st.Term)
	if st.Vote != 0 && st.Vote != st.ID && (st.Vote != old.Vote || st.Term != old.Term) {
		if c.checkAsked(i, st); c.broken {
			return
		}
	}
	r.loyal.free = r.loyal.free || old.Role == core.RoleLeader && st.Leader == 0
	c.lookout.term(c, i, st)
	if st.Role == core.RoleLeader {
		c.checkElectionSafety(i, st.Term, st.Last.Index)
		c.tookOffice(i, st)
	} else if st.Leader != 0 {
		c.checkFollowed(i, st.Term, st.Leader)
	}
}

// checkElectionSafety: at most one leader can be elected in a given term, ever
// (dissertation §3.4).
func (c *checker) checkElectionSafety(i int, term core.Term, last core.Index) {
	p := c.terms.page(term)
	switch p.leader {
	case 0:
		p.leader, p.elected = uint8(i+1), last
	case uint8(i + 1):
	default:
		c.fail(i, PropertyElectionSafety, "it leads term %d, which replica %d led before",
			term, c.replicas[p.leader-1].id)
	}
}

// checkFollowed: whom a replica takes for the leader of a term led it.
func (c *checker) checkFollowed(i int, term core.Term, leader core.ReplicaID) {
	if p := c.terms.at(term); p.leader == 0 || c.replicas[p.leader-1].id != leader {
		c.fail(i, PropertyElectionSafety, "it follows replica %d as the leader of term %d; the leader was %s",
			leader, term, c.leaderName(p))
	}
}

func (c *checker) leaderName(p termPage) string {
	if p.leader == 0 {
		return "nobody"
	}
	return fmt.Sprintf("replica %d", c.replicas[p.leader-1].id)
}

// lookAtLog finds out what of the log is as it was, checks the rest entry by
// entry, and says up to which index nothing changed.
func (c *checker) lookAtLog(i int, st *core.Status) (kept core.Index) {
	r := &c.replicas[i]
	old := &r.st
	base, last := st.First-1, st.Last.Index
	if last+1 < st.First {
		c.fail(i, PropertyInvariants, "its log ends at %d and begins at %d", last, st.First)
		return 0
	}
	if st.First < old.First {
		c.fail(i, PropertyNeverBack, "its log begins at %d, and began at %d", st.First, old.First)
		return 0
	}
	for core.Index(len(r.digests)) <= last {
		r.digests = append(r.digests, 0)
	}
	// Digests are chained: where two logs have one in common, they have
	// everything before it in common.
	kept = min(old.Last.Index, last)
	for kept > base {
		if _, chain, ok := r.core.Position(kept); ok && chain == r.digests[kept] {
			break
		}
		kept--
	}
	from := kept
	if kept <= base {
		_, chain, ok := r.core.Position(base)
		if !ok {
			c.fail(i, PropertyInvariants, "its log does not know the position %d that it begins behind", base)
			return 0
		}
		if kept < base || r.digests[base] != chain {
			kept = 0 // nothing in the log is known to be as it was
		}
		r.digests[base], from = chain, base
	}
	if kept < old.Last.Index {
		c.checkLeaderAppendOnly(i, st, kept)
		c.lookout.truncated(c, i, st, kept)
	}
	if n := len(r.pages); kept < base || n > 1 && c.configurations[r.pages[n-1]].id.Index > kept {
		c.keepPages(i, base, kept)
	}
	for j := from + 1; j <= last && !c.broken; j++ {
		c.checkLogMatching(i, st, j)
	}
	return kept
}

// checkLeaderAppendOnly: a leader never overwrites or deletes entries in its
// log; it only appends new entries (dissertation §3.5). kept is how far the
// log is as it was.
func (c *checker) checkLeaderAppendOnly(i int, st *core.Status, kept core.Index) {
	r := &c.replicas[i]
	if st.Role == core.RoleLeader && r.st.Role == core.RoleLeader && st.Term == r.st.Term &&
		kept < r.st.Last.Index {
		c.fail(i, PropertyLeaderAppendOnly, "it leads term %d; its log ended in %v, and now in %v, the same up to index %d",
			st.Term, r.st.Last, st.Last, kept)
	}
}

// checkLogMatching: if two logs contain an entry with the same index and term,
// then the logs are identical in all entries up through the given index
// (dissertation §3.5). The entry at j is new in the log of replica i.
func (c *checker) checkLogMatching(i int, st *core.Status, j core.Index) {
	r := &c.replicas[i]
	term, chain, ok := r.core.Position(j)
	if !ok {
		c.fail(i, PropertyInvariants, "its log has no entry at %d", j)
		return
	}
	id := core.EntryID{Term: term, Index: j}
	kind := core.EntryKind(0)
	if known := c.entries.find(id); known == nil {
		e, _ := r.core.Entry(j)
		if want := e.Chain(r.digests[j-1]); e.EntryID != id || chain != want {
			c.fail(i, PropertyLogMatching, "entry %v has the digest %#x; with what it holds, behind %#x, it should be %#x",
				id, chain, r.digests[j-1], want)
			return
		}
		c.entries.add(id, chain, e.Kind)
		kind = e.Kind
	} else if known.digest != chain {
		c.fail(i, PropertyLogMatching, "entry %v has the digest %#x; in another log it had %#x, so they differ there or before",
			id, chain, known.digest)
		return
	} else {
		kind = known.kind
	}
	r.digests[j] = chain
	if kind == core.EntryConfiguration {
		c.readConfiguration(i, st, id)
	}
}

// lookAtCommit: the commit index never goes back, only a leader moves it
// beyond what was committed before, and what it covers is the same everywhere.
// kept is how far the log is as it was.
func (c *checker) lookAtCommit(i int, st *core.Status, kept core.Index) {
	r := &c.replicas[i]
	if st.Commit < r.st.Commit {
		c.fail(i, PropertyNeverBack, "its commit index went back from %d to %d", r.st.Commit, st.Commit)
		return
	}
	if st.Commit > st.Last.Index {
		c.fail(i, PropertyInvariants, "its commit index is %d, and its log ends at %d", st.Commit, st.Last.Index)
		return
	}
	if st.Commit > c.top() {
		var term core.Term
		switch {
		case st.Role == core.RoleLeader:
			term = st.Term
		case r.st.Role == core.RoleLeader:
			term = r.st.Term // it stepped down since
		default:
			c.fail(i, PropertyLeadersCommit, "it takes entries up to %d for committed; no leader has committed beyond %d",
				st.Commit, c.top())
			return
		}
		c.commit(i, st, term)
	}
	if !c.broken {
		c.checkStateMachineSafety(i, st)
	}
}

// checkStateMachineSafety: what a replica takes for committed, and so will
// apply, is what every other has taken for committed at these indexes, ever
// (dissertation §3.6.3). One comparison covers all of it. That it applies just
// that is checked in onApply.
func (c *checker) checkStateMachineSafety(i int, st *core.Status) {
	if st.Commit < st.First-1 {
		return // the log begins behind it; the snapshot is checked by itself
	}
	if want := &c.committed[st.Commit]; c.replicas[i].digests[st.Commit] != want.digest {
		id := core.EntryID{Index: st.Commit}
		id.Term, _, _ = c.replicas[i].core.Position(st.Commit)
		c.fail(i, PropertyStateMachineSafety, "it takes %v for committed, digest %#x; what was committed there is %v, digest %#x",
			id, c.replicas[i].digests[st.Commit], core.EntryID{Term: want.term, Index: st.Commit}, want.digest)
	}
}

// commit writes down what the leader of term has committed.
func (c *checker) commit(i int, st *core.Status, term core.Term) {
	r := &c.replicas[i]
	first := c.top() + 1
	c.lookout.commit(c, i, st, first, term)
	for j := first; j <= st.Commit; j++ {
		var e *writtenEntry
		t, _, ok := r.core.Position(j)
		if ok {
			e = c.entries.find(core.EntryID{Term: t, Index: j})
		}
		if e == nil {
			c.fail(i, PropertyInvariants, "it has committed entry %d, which is not in its log", j)
			return
		}
		c.committed = append(c.committed, committedEntry{term: t, digest: e.digest, seen: term, kind: e.kind})
		if e.kind == core.EntryConfiguration {
			c.committedPages = append(c.committedPages, c.configurations.find(core.EntryID{Term: t, Index: j}))
		}
	}
	// A leader commits by an entry of its own term (dissertation §3.6.2).
	if t := c.committed[st.Commit].term; t != term {
		c.fail(i, PropertyLeadersCommit, "it leads term %d, and has committed up to %d, which is of term %d",
			term, st.Commit, t)
		return
	}
	if c.decide(i, st.Commit); c.broken {
		return
	}
	// The leaders of later terms must have it (see checkLeaderCompleteness), also
	// those that were elected before this was seen.
	for t := term + 1; t < core.Term(len(c.terms)) && !c.broken; t++ {
		if p := &c.terms[t]; p.leader != 0 && p.elected < st.Commit {
			c.fail(int(p.leader)-1, PropertyLeaderCompleteness,
				"it was elected in term %d with a log that ended at %d; replica %d has committed %d in term %d",
				t, p.elected, r.id, st.Commit, term)
		}
	}
	for k := range c.replicas {
		l := &c.replicas[k]
		if l.core != nil && l.st.Role == core.RoleLeader && l.st.Term > term && !c.broken {
			c.checkLeaderHas(k, &l.st, st.Commit)
		}
	}
}

// checkLeaderCompleteness: if an entry is committed in a given term, it is
// present in the logs of the leaders of all higher-numbered terms (dissertation
// §3.6.1). Replica i has just begun to lead.
func (c *checker) checkLeaderCompleteness(i int, st *core.Status) {
	j := c.top()
	for j > 0 && c.committed[j].seen >= st.Term {
		j--
	}
	c.checkLeaderHas(i, st, j)
}

// checkLeaderHas: the log of this leader holds what was committed up to j.
func (c *checker) checkLeaderHas(i int, st *core.Status, j core.Index) {
	want := &c.committed[j]
	switch {
	case j < st.First-1:
		// Compacted: what its snapshot stands for was committed.
	case j > st.Last.Index:
		c.fail(i, PropertyLeaderCompleteness, "it leads term %d with a log that ends in %v; %v was committed in term %d",
			st.Term, st.Last, core.EntryID{Term: want.term, Index: j}, want.seen)
	case c.replicas[i].digests[j] != want.digest:
		term, _, _ := c.replicas[i].core.Position(j)
		c.fail(i, PropertyLeaderCompleteness, "it leads term %d with %v in its log, digest %#x; %v was committed in term %d, digest %#x",
			st.Term, core.EntryID{Term: term, Index: j}, c.replicas[i].digests[j],
			core.EntryID{Term: want.term, Index: j}, want.seen, want.digest)
	}
}

// decide finds the configuration by which leader i has committed up to j: the
// one that counted there at the last look, or one that it has appended since.
func (c *checker) decide(i int, j core.Index) {
	r := &c.replicas[i]
	n := len(r.pages) - 1
	for n > 0 && r.pages[n] != r.was {
		n--
	}
	for k := n; k < len(r.pages); k++ {
		if c.decided = r.pages[k]; c.durableOnQuorum(j) {
			c.lookout.markIf(k > n, MarkQuorumShrunkCommits)
			return
		}
	}
	c.checkDurableCommit(i, j)
}

// checkDurableCommit: a committed entry is durable on a majority of the
// voters, of each half if the configuration is joint, and stays so whatever
// happens to their memory (dissertation §3.8, §4.3).
func (c *checker) checkDurableCommit(i int, j core.Index) {
	if j == 0 || c.durableOnQuorum(j) {
		return
	}
	var holders []core.ReplicaID
	for k := range c.replicas {
		if c.holdsDurably(k, j, c.committed[j].digest) {
			holders = append(holders, c.replicas[k].id)
		}
	}
	c.fail(i, PropertyDurableCommit, "entry %v is committed; of %s only %v have it on disk",
		core.EntryID{Term: c.committed[j].term, Index: j}, members(&c.configurations[c.decided].conf), holders)
}

func (c *checker) durableOnQuorum(j core.Index) bool {
	return quorum(&c.configurations[c.decided].conf, func(id core.ReplicaID) bool {
		return c.holdsDurably(c.position(id), j, c.committed[j].digest)
	})
}

// holdsDurably says whether replica k has on disk the entry at j that has this
// chain digest, or a snapshot that stands for it.
func (c *checker) holdsDurably(k int, j core.Index, chain uint64) bool {
	if k < 0 {
		return false
	}
	if _, d, ok := c.replicas[k].disk.DurableEntry(j); ok {
		return d == chain
	}
	s := c.replicas[k].disk.Durable().Snapshot
	return s.Index > j && s.Index <= c.top() && s.Digest == c.committed[s.Index].digest
}

// lookAtApplied: the applied index never goes back, and says no more than what
// the state machine has done: entries that are not commands need no doing.
func (c *checker) lookAtApplied(i int, st *core.Status) {
	r := &c.replicas[i]
	if st.Applied < r.st.Applied {
		c.fail(i, PropertyNeverBack, "its applied index went back from %d to %d", r.st.Applied, st.Applied)
		return
	}
	if st.Applied > c.top() {
		c.fail(i, PropertyStateMachineSafety, "it says that it has applied up to %d; committed is %d", st.Applied, c.top())
		return
	}
	for j := r.applied + 1; j <= st.Applied; j++ {
		if c.committed[j].kind == core.EntryCommand {
			c.fail(i, PropertyStateMachineSafety, "it says that it has applied up to %d; its state machine has not applied %d",
				st.Applied, j)
			return
		}
	}
}

// lookAtSnapshot: a replica's snapshot never goes back, and ends in an entry
// that was committed.
func (c *checker) lookAtSnapshot(i int, st *core.Status) {
	r := &c.replicas[i]
	s := st.Snapshot
	switch {
	case s.Index < r.st.Snapshot.Index:
		c.fail(i, PropertyNeverBack, "its snapshot went back from %v to %v", r.st.Snapshot, s)
	case s.Index > c.top():
		c.fail(i, PropertyStateMachineSafety, "its snapshot ends in %v; committed is %d", s, c.top())
	case s.Term != c.committed[s.Index].term:
		c.fail(i, PropertyStateMachineSafety, "its snapshot ends in %v; what was committed there is of term %d",
			s, c.committed[s.Index].term)
	default:
		if d := r.disk.Durable().Snapshot; d.EntryID == s && !c.checkSnapshotConfiguration(i, &d, "has") {
			return
		}
		c.lookout.snapshot(c, i, st)
	}
}

// onReceive looks at a message that arrives at replica i, undamaged, before
// the replica does.
func (c *checker) onReceive(i int, m *core.Message) {
	if c.broken || c.replicas[i].core == nil {
		return
	}
	if r := &c.replicas[i]; m.Term > r.st.Term && m.Kind != core.KindRequestVote && m.Kind != core.KindTimeoutNow &&
		m.Term > r.core.Status().Term {
		r.newer = m.Term
	}
	switch m.Kind {
	case core.KindAppendEntries:
		c.hear(i, m, m.AppendEntries.Sent, m.AppendEntries.Round)
	case core.KindInstallSnapshot:
		c.hear(i, m, m.InstallSnapshot.Sent, m.InstallSnapshot.Round)
	case core.KindTimeoutNow:
		c.hear(i, m, 0, 0)
	case core.KindRequestVote:
		if c.hearCandidate(i, m); c.broken {
			return
		}
	case core.KindReadIndex:
		c.hearRequest(i, m)
	case core.KindReadIndexResponse:
		c.replicas[i].forwarding.hear(m)
	}
	if r := &c.replicas[i]; r.st.Role == core.RoleLeader {
		k := c.position(m.From)
		r.suspect = r.suspect || k < 0 || c.page(i).members>>k&1 == 0
	}
	c.lookout.receive(c, i, m)
}

// hear notes what a leader has sent.
func (c *checker) hear(i int, m *core.Message, sent, round uint64) {
	h, term := &c.replicas[i].heard, m.Term
	if term > h.term {
		*h = heard{term: term}
	}
	if term == h.term {
		h.sent, h.round = max(h.sent, sent), max(h.round, round)
	}
	r := &c.replicas[i]
	own := r.st.Term
	if len(c.configuration(i).Voters) == 1 {
		own = r.core.Status().Term // it may have gone on to another in this very event
	}
	if term >= own {
		r.loyal.since, r.loyal.free = c.view.ticks(i), false
		c.reached(c.position(m.From), i, term, round)
	} else if m.Kind != core.KindTimeoutNow {
		// An answer that would speak of a term waits until that one is durable.
		if st := r.core.Status(); st.DurableTerm == st.Term {
			r.owes = owed{to: m.From, term: term}
		}
	}
}

// checkNewerTerm: who hears of a newer term follows in it, whatever it was doing
// (dissertation §3.3). Requests for votes are apart, as whoever hears a leader
// does not listen to them, and so is the wish of a leader to be succeeded.
func (c *checker) checkNewerTerm(i int) {
	r := &c.replicas[i]
	newer := r.newer
	r.newer = 0
	if r.st.Term < newer || newer != 0 && r.st.Role != core.RoleFollower {
		c.fail(i, PropertyNewerTerms, "it is a %v in term %d after a message of term %d", r.st.Role, r.st.Term, newer)
	}
}

// checkTold: who hears the leader of an older term tells it of the newer one at
// once, so that it does not go on (dissertation §3.3).
func (c *checker) checkTold(i int) {
	r := &c.replicas[i]
	if o := r.owes; o.to != 0 {
		r.owes = owed{}
		c.fail(i, PropertyOldLeadersTold, "it has heard replica %d, which leads term %d, and not told it of term %d", o.to, o.term, r.st.Term)
	}
}

// hearCandidate notes whether replica i may vote for who asks for it. It is
// free to when it does not lead and has not heard a leader, nor started, within
// an election timeout, or if the leader itself wants it; and may, if the log of
// who asks is as good as its own. What it has given it may give again.
func (c *checker) hearCandidate(i int, m *core.Message) {
	if c.look(i); c.broken { // it may have stepped down in this very event
		return
	}
	r, v, k := &c.replicas[i], &m.RequestVote, c.position(m.From)
	if k < 0 {
		return
	}
	l, st := &r.loyal, &r.st
	p := l.petition(k, v.Pre)
	p.asked = max(p.asked, v.For)
	quiet, timeout := c.view.ticks(i)-l.since, uint64(c.view.electionTicks())
	leads := st.Role == core.RoleLeader
	again := !v.Pre && st.Term == v.For && st.Vote == m.From
	worthy := v.Last.UpToDate(st.Last)
	if again || v.Transfer || !leads && (l.free || quiet >= timeout) {
		p.free = max(p.free, v.For)
	}
	if again || worthy {
		p.worthy = max(p.worthy, v.For)
	}
	// Nothing speaks against it, whatever is made of the ticks in which roles
	// change.
	open := v.For > st.Term || !v.Pre && v.For == st.Term && st.Vote == 0
	if again || open && worthy && !leads && (v.Transfer || quiet >= 2*timeout) {
		r.due = owed{to: m.From, term: v.For, pre: v.Pre}
	}
}

// checkAsked: a replica votes for one that has asked for it in that term. To be
// asked if it would vote changes nothing (dissertation §9.6).
func (c *checker) checkAsked(i int, st *core.Status) {
	if k := c.position(st.Vote); k < 0 || c.replicas[i].loyal.votes[k].asked < st.Term {
		c.fail(i, PropertyLoyalty, "it votes for replica %d in term %d, and was not asked for that", st.Vote, st.Term)
	}
}

// onRestart: replica i has started, for the first time or again, from what its
// disk held: no less than it has ever promised.
func (c *checker) onRestart(i int) {
	if c.broken {
		return
	}
	r := &c.replicas[i]
	r.core = c.view.inspect(i)
	st := r.core.Status()
	base := st.First - 1
	for core.Index(len(r.digests)) <= base {
		r.digests = append(r.digests, 0)
	}
	_, chain, known := r.core.Position(base)
	voted := core.ReplicaID(0)
	if st.Term < core.Term(len(r.votes)) && r.votes[st.Term] != 0 {
		voted = c.replicas[r.votes[st.Term]-1].id
	}
	switch {
	case st.ID != r.id:
		c.fail(i, PropertyTrueMessages, "it starts as replica %d", st.ID)
	case st.Term < r.spoken:
		c.fail(i, PropertyDurableSpoken, "it starts in term %d, and has spoken in term %d", st.Term, r.spoken)
	case st.Term > c.termMax+1:
		c.fail(i, PropertyNeverBack, "it starts in term %d, while nobody has seen more than %d", st.Term, c.termMax)
	case voted != 0 && st.Vote != voted:
		c.fail(i, PropertyOneVote, "it starts in term %d with a vote for %d, and has voted for replica %d in it",
			st.Term, st.Vote, voted)
	case st.Role != core.RoleFollower:
		c.fail(i, PropertyElectionSafety, "it starts as %v", st.Role)
	case st.Commit > c.top():
		c.fail(i, PropertyLeadersCommit, "it starts with commit index %d; committed is %d", st.Commit, c.top())
	case !known || base > st.Commit || chain != c.committed[base].digest:
		c.fail(i, PropertyStateMachineSafety, "it starts with a log behind %d, digest %#x (known %t), commit index %d",
			base, chain, known, st.Commit)
	}
	if c.broken {
		return
	}
	// It may have gone down in the very event in which it came to that term.
	c.termMax = max(c.termMax, st.Term)
	c.lookout.restarted(c, i, &st)
	// The first look of an incarnation finds a whole log that is new.
	r.digests[base] = chain
	r.applied, r.state, r.durableTerm = 0, 0, 0
	r.heard, r.aborted, r.suspect = heard{}, false, false
	r.resigning, r.resigned = false, false
	r.forwarding, r.owes, r.due = forwarding{}, owed{}, owed{}
	r.newer = 0
	r.loyal.since, r.loyal.free = c.view.ticks(i), false
	clear(r.loyal.votes)
	clear(r.loyal.preVotes)
	r.pages = append(r.pages[:0], c.firstPage(i, base))
	r.turned = true
	r.st = core.Status{Office: core.Office{Term: st.Term}, ID: st.ID, Vote: st.Vote, First: st.First, Applied: st.Applied, Snapshot: st.Snapshot}
	r.st.Last.Index = base
	c.look(i)
}

// onLost: the disk of replica i, which is down, has forgotten what it promised,
// and perhaps who the members are: it is bound by nothing any more.
func (c *checker) onLost(i int, nobody bool) {
	r := &c.replicas[i]
	r.lost, r.nobody = true, nobody
	r.spoken = 0
	clear(r.votes)
}

// onCrash: the process of replica i has ended; what it had written is there.
func (c *checker) onCrash(i int) { c.down(i, false) }

// onPowerLoss: the process of replica i has ended, and its disk has lost what
// it loses. What was committed is still on enough disks.
func (c *checker) onPowerLoss(i int) {
	c.down(i, true)
	if !c.broken {
		c.checkDurableCommit(i, c.top())
	}
}

func (c *checker) down(i int, power bool) {
	if c.broken {
		return
	}
	c.lookout.down(c, i, power)
	r := &c.replicas[i]
	r.core = nil
	r.st.Role, r.st.Leader = core.RoleFollower, 0
}

// leaderNow is the position of the replica that leads in the highest term, or
// -1.
func (c *checker) leaderNow() int {
	leader := -1
	for i := range c.replicas {
		r := &c.replicas[i]
		if r.core != nil && r.st.Role == core.RoleLeader &&
			(leader < 0 || r.st.Term > c.replicas[leader].st.Term) {
			leader = i
		}
	}
	return leader
}

// converged says whether all members that have to (see withinReach) have the
// leader's log, know that it is committed, and have applied it.
func (c *checker) converged(leader int, l links) bool {
	want, members := &c.replicas[leader].st, c.page(leader).members
	for i := range c.replicas {
		r := &c.replicas[i]
		if r.core == nil || r.lost || members>>i&1 == 0 || !l.both(leader, i) {
			continue
		}
		if r.st.LastDigest != want.LastDigest || r.st.Last != want.Last ||
			r.st.Commit != want.Last.Index || r.st.Applied != want.Last.Index {
			return false
		}
	}
	return true
}

// standings is what decides whether the cluster may stand still.
func (c *checker) standings(to []standing) []standing {
	for i := range c.replicas {
		r := &c.replicas[i]
		to = append(to, standing{
			ID:            r.id,
			Up:            r.core != nil && !r.lost,
			Last:          r.disk.Durable().Last,
			Configuration: *c.configuration(i),
			MayStand:      c.mayStand(i, r.st.Commit),
		})
	}
	return to
}

// atEnd: at the end of a run everything that was acknowledged is in the
// history that all share, on a majority of the disks, and the replicas within
// reach that are members, as bits by position, have all of it and one state.
// With nobody in reach, only the disks are looked at.
func (c *checker) atEnd(reach uint64) {
	if c.broken {
		return
	}
	if c.acknowledged > c.top() {
		c.fail(-1, PropertyAcknowledgedStays, "index %d was acknowledged; committed is %d", c.acknowledged, c.top())
		return
	}
	if c.checkDurableCommit(-1, c.top()); c.broken {
		return
	}
	reach &= c.configurations[c.committedPage(c.top())].members
	first := -1
	for i := range c.replicas {
		r := &c.replicas[i]
		if reach>>i&1 == 0 || r.core == nil {
			continue
		}
		if r.st.Applied < c.acknowledged {
			c.fail(i, PropertyAcknowledgedStays, "index %d was acknowledged; it has applied %d", c.acknowledged, r.st.Applied)
			return
		}
		if first < 0 {
			first = i
			continue
		}
		f := &c.replicas[first]
		if r.st.Last != f.st.Last || r.st.LastDigest != f.st.LastDigest || r.st.Applied != f.st.Applied || r.state != f.state {
			c.fail(i, PropertyConverged, "its log ends in %v, digest %#x, applied %d, state %#x; that of replica %d in %v, digest %#x, applied %d, state %#x",
				r.st.Last, r.st.LastDigest, r.st.Applied, r.state,
				f.id, f.st.Last, f.st.LastDigest, f.st.Applied, f.state)
			return
		}
	}
}
