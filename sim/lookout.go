package sim

import (
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// lookout finds the marks that can be seen in replicas and messages. It judges
// nothing: it is told what the checker sees, before the checker's own notes
// are brought up to date, so that both the state before and the one after are
// at hand.
type lookout struct {
	view     checkerView
	sights   []sights // by replica
	leaders  int      // elections so far
	up       uint64   // replicas that run, as bits
	allDown  bool     // none did, and not all have started since
	window   bool     // a window was full, in the look under way
	started  uint64   // who has ever run, as bits
	looking  int      // the leader looked at
	peerLook func(*progress.Progress)
}

// sights is what the lookout keeps of one replica.
type sights struct {
	led      bool // in this incarnation
	again    bool // it is not the first one
	fresh    bool // nobody has looked at it yet
	stalled  bool // it has said that its disk stands still
	noPower  bool // it went down for want of power
	preAsked uint64
	// The last vote or pre-vote that it was asked for: by whom, and whether only
	// a leader it hears, or its own vote, speaks against it.
	asker  core.ReplicaID
	worthy bool
	// Who asked for its vote last with the consent of the leader it follows.
	sticky core.ReplicaID
	// Where its log would end with the append that it has just got in wantTerm.
	want     core.Index
	wantTerm core.Term
	targets  []core.Index // as leader: of the rounds in which learners catch up
	matched  []core.Index // as leader: what each peer is known to match
	stream   stream
	cutFrom  core.Index // entries from cutFrom to cutTo were truncated, and
	cutTo    core.Index // none of them has been applied since
	saving   bool       // a snapshot of its own
	publish  uint64     // the write that publishes it
	restored core.Index // where its state machine was restored
	before   core.Index // applied by its incarnations before this one

	// Writes, by Seq: the last known to be durable, the last that brought
	// entries, up to lastIndex, and the last that truncated. Overtaken is one
	// whose entries a later write replaced before it was known to be durable.
	completed uint64
	lastWrite uint64
	lastIndex core.Index
	truncates uint64
	overtaken uint64
}

// stream is a snapshot on its way in.
type stream struct {
	id       core.EntryID
	sum      uint64
	size     uint64
	received uint64
}

func (s *stream) underWay() bool { return s.id.Index != 0 && s.received < s.size }

func (l *lookout) init(v checkerView, n int) {
	l.view = v
	l.sights = make([]sights, n)
	for i := range l.sights {
		l.sights[i].matched = make([]core.Index, n)
		l.sights[i].targets = make([]core.Index, n)
	}
	l.peerLook = l.peer
}

func (l *lookout) mark(m Mark) { l.view.mark(m) }

func (l *lookout) markIf(seen bool, m Mark) {
	if seen {
		l.view.mark(m)
	}
}

// peers looks at a leader's windows, once in a while.
func (l *lookout) peers(c *checker, i int, st *core.Status) {
	if st.Role != core.RoleLeader {
		return
	}
	l.window, l.looking = false, i
	c.replicas[i].core.Peers(l.peerLook)
	l.markIf(l.window, MarkWindowFull)
}

// term: role, term, vote or leader of replica i are not what they were.
func (l *lookout) term(c *checker, i int, st *core.Status) {
	r, s := &c.replicas[i], &l.sights[i]
	old := &r.st
	if st.Role == old.Role && st.Term == old.Term {
		return
	}
	if old.Role == core.RolePreCandidate && st.Role == core.RoleFollower && st.Term == old.Term {
		l.mark(MarkPreVoteFailed)
	}
	s.preAsked = 0
	if campaigns(st) {
		l.stands(c, i, st)
	}
	if old.Role == core.RoleLeader {
		l.deposed(c, i, st)
	}
	switch {
	case st.Role == core.RoleCandidate:
		l.candidate(c, i, st)
	case st.Role == core.RoleLeader:
		l.elected(c, i, st)
	}
}

func (l *lookout) candidate(c *checker, i int, st *core.Status) {
	old := &c.replicas[i].st
	l.markIf(old.Term < st.Term && old.Vote != 0 && old.Vote != st.ID, MarkVoterCampaigns)
	l.markIf(st.Snapshot.Index != 0 && st.Last == st.Snapshot, MarkElectionEmptyLog)
	p := c.terms.page(st.Term)
	if p.candidates == 0 {
		before := c.terms.at(st.Term - 1)
		if before.leader == 0 && bits.OnesCount64(before.candidates) >= 2 {
			l.mark(MarkSplitVote)
			l.markIf(len(c.configuration(i).Voters)%2 == 0, MarkEvenSplitVote)
		}
	}
	if p.candidates>>i&1 == 0 {
		p.candidates |= 1 << i
		l.markIf(bits.OnesCount64(p.candidates) == 3, MarkThreeCandidates)
	}
}

func (l *lookout) elected(c *checker, i int, st *core.Status) {
	s := &l.sights[i]
	l.mark(MarkLeaderElected)
	l.markIf(l.leaders > 0, MarkLeaderAgain)
	l.leaders++
	l.markIf(s.led, MarkLedTwice)
	s.led = true
	conf := c.configuration(i)
	l.markIf(len(conf.Voters) == 1 && !conf.IsJoint(), MarkSingleReplica)
	l.electedBy(c, i, st)
	clear(s.matched)
	if t, _, ok := c.replicas[i].core.Position(st.Commit + 1); ok && t < st.Term {
		l.mark(MarkElectedOldEntries)
	}
	for k := range c.replicas {
		o := &c.replicas[k]
		if k == i || o.core == nil {
			continue
		}
		l.markIf(o.st.Role == core.RoleLeader && o.st.Term < st.Term, MarkTwoLeaders)
		l.markIf(o.st.Last.Index < c.top() && conf.Votes(o.id), MarkElectedVoterBehind)
	}
}

// deposed: replica i led at the last look, and leads no longer.
func (l *lookout) deposed(c *checker, i int, st *core.Status) {
	r := &c.replicas[i]
	old := &r.st
	if st.Term == old.Term && old.Successor == 0 && !r.resigning && c.configuration(i).Votes(st.ID) {
		l.mark(MarkStepDownNoQuorum)
		for k := range c.replicas {
			o := &c.replicas[k]
			if k != i && o.core != nil && o.st.Leader == st.ID && o.st.Term == st.Term {
				l.mark(MarkUselessLeader)
				break
			}
		}
	}
	if old.Last.Index > old.Commit {
		l.mark(MarkLeaderDeposedUncommitted)
		l.held(c, i, old.Commit+1)
	}
}

// truncated: the log of replica i is as it was up to kept only.
func (l *lookout) truncated(c *checker, i int, st *core.Status, kept core.Index) {
	s, old := &l.sights[i], &c.replicas[i].st
	if st.Snapshot != old.Snapshot && st.Last == st.Snapshot {
		l.markIf(old.Last.Index > st.Last.Index, MarkSnapshotDropsTail)
		return
	}
	l.mark(MarkTailTruncated)
	l.markIf(old.Last.Index-kept > 3, MarkTailTruncatedLong)
	s.cutFrom, s.cutTo = kept+1, old.Last.Index
}

// commit: the leader i of term commits from first up to its commit index what
// nobody had committed.
func (l *lookout) commit(c *checker, i int, st *core.Status, first core.Index, term core.Term) {
	r := &c.replicas[i]
	if t, _, ok := r.core.Position(first); ok && t < term {
		l.mark(MarkOldTermCommitted)
	}
	if st.Commit <= st.Last.Index {
		l.markIf(!c.holdsDurably(i, st.Commit, r.digests[st.Commit]), MarkCommitOwnDiskBehind)
	}
}

// snapshot: replica i has a later snapshot than it had.
func (l *lookout) snapshot(c *checker, i int, st *core.Status) {
	old := &c.replicas[i].st
	if st.Snapshot.Index <= old.Commit {
		if st.Snapshot.Index <= old.Applied {
			l.mark(MarkSnapshotTaken)
			l.snapshotTaken(c, i, st)
		}
		return
	}
	l.mark(MarkSnapshotInstalled)
	l.markIf(st.Snapshot.Term < st.Term, MarkSnapshotOlderTerm)
	l.markIf(st.Vote != 0, MarkSnapshotAfterVote)
}

// send: m is about to leave replica i.
func (l *lookout) send(c *checker, i int, m *core.Message) {
	s := &l.sights[i]
	switch m.Kind {
	case core.KindRequestVote:
		if to := c.position(m.To); m.RequestVote.Pre && to >= 0 {
			l.markIf(s.preAsked>>to&1 != 0, MarkPreVoteAgain)
			s.preAsked |= 1 << to
		}
		l.markIf(c.removed(i), MarkRemovedDisturbs)
	case core.KindRequestVoteResponse:
		l.sendVote(c, i, m)
	case core.KindAppendEntries:
		first := c.replicas[i].st.First
		l.markIf(first > 1 && m.AppendEntries.Prev.Index == first-1, MarkBoundary)
		if to := c.position(m.To); to >= 0 && l.up>>to&1 == 0 {
			l.markIf(l.up>>to&^(1<<i) != 0, MarkSendToDown)
		}
	}
}

// receive: m is about to be handed to replica i.
func (l *lookout) receive(c *checker, i int, m *core.Message) {
	s, st := &l.sights[i], &c.replicas[i].st
	l.receiveFrom(c, i, m)
	switch m.Kind {
	case core.KindRequestVote:
		l.receiveRequestVote(s, st, m)
	case core.KindRequestVoteResponse:
		l.markIf(m.Term > st.Term && campaigns(st), MarkTermFromVote)
	case core.KindAppendEntries:
		l.receiveAppend(c, i, m)
	case core.KindAppendEntriesResponse:
		l.receiveAppendResponse(c, i, m)
	case core.KindInstallSnapshot:
		l.receiveSnapshot(c, i, m)
	case core.KindInstallSnapshotResponse:
		l.markIf(m.Term > st.Term && st.Role == core.RoleLeader, MarkTermFromAppend)
	case core.KindReadIndexResponse:
		l.markIf(m.ReadIndexResponse.Refused != core.RefusedNone, MarkFollowerReadRefused)
	}
}

// campaigns says whether a replica stands for election, or asks if it could.
func campaigns(st *core.Status) bool {
	return st.Role == core.RoleCandidate || st.Role == core.RolePreCandidate
}

func (l *lookout) receiveRequestVote(s *sights, st *core.Status, m *core.Message) {
	v := &m.RequestVote
	worthy := v.Last.UpToDate(st.Last)
	s.asker, s.worthy, s.sticky = m.From, worthy, 0
	if v.Transfer && v.For == st.Term+1 && st.Role == core.RoleFollower && st.Leader != 0 {
		s.sticky = m.From
	}
	l.markIf(v.Last.Index > st.Last.Index && v.Last.Term < st.Last.Term, MarkVoteRefusedShorter)
	if v.Pre {
		l.markIf(st.Role == core.RoleLeader, MarkPreVoteAtLeader)
		l.markIf(!worthy, MarkPreVoteRefusedLog)
		return
	}
	switch {
	case v.For > st.Term:
		l.mark(MarkVoterBehind)
		l.markIf(!worthy, MarkVoteRefusedLog)
	case v.For < st.Term:
	case st.Vote == m.From:
		l.mark(MarkVoteAskedAgain)
	case st.Vote != 0:
		l.mark(MarkVoteRefusedTaken)
		l.markIf(st.Role == core.RoleLeader, MarkVoteRefusedLeader)
	}
}

func (l *lookout) receiveAppend(c *checker, i int, m *core.Message) {
	r := &c.replicas[i]
	st, a := &r.st, &m.AppendEntries
	if m.Term < st.Term {
		l.mark(MarkOldTermAnswered)
		l.markIf(campaigns(st), MarkOldTermAppend)
		return
	}
	l.markIf(m.Term == st.Term && st.Role == core.RoleCandidate, MarkCandidateAppend)
	prev, n := a.Prev.Index, core.Index(len(a.Entries))
	verified := prev + n
	if prev < st.First-1 {
		l.markIf(n > 0, MarkAppendBelowSnapshot)
		return
	}
	if verified >= st.Last.Index {
		if prev <= st.Last.Index && r.digests[prev] == a.PrevDigest {
			s := &l.sights[i]
			s.want, s.wantTerm = verified, m.Term
		}
		return // nothing in the log lies beyond the message
	}
	if r.digests[prev] != a.PrevDigest {
		l.mark(MarkLongerLogRefuses)
		return
	}
	if n > 0 {
		if r.digests[verified] != a.Entries[n-1].Digest {
			return // it replaces what the log has
		}
		l.mark(MarkAppendOverlaps)
	} else {
		l.markIf(st.Last.Term == m.Term, MarkHeartbeatBehind)
		l.markIf(a.Commit > prev, MarkHeartbeatUnverified)
	}
	// Is what the log has beyond the message in the leader's too?
	k := c.position(m.From)
	if k < 0 {
		return
	}
	o := &c.replicas[k]
	if last := st.Last.Index; o.st.Role == core.RoleLeader && o.st.Term == m.Term && last >= o.st.First &&
		(last > o.st.Last.Index || o.digests[last] != r.digests[last]) {
		l.mark(MarkStaleSuffixPartial)
		l.markIf(a.Commit > verified, MarkCommitBeforeStaleSuffix)
	}
}

func (l *lookout) receiveAppendResponse(c *checker, i int, m *core.Message) {
	r, s := &c.replicas[i], &l.sights[i]
	st, a := &r.st, &m.AppendEntriesResponse
	if st.Role != core.RoleLeader {
		return
	}
	switch {
	case m.Term > st.Term:
		l.mark(MarkTermFromAppend)
		return
	case m.Term < st.Term:
		l.markIf(a.Round > 0 && c.terms.at(m.Term).leader == uint8(i+1), MarkRoundLate)
		return
	}
	from := c.position(m.From)
	if from < 0 {
		return
	}
	if !a.Reject {
		s.matched[from] = max(s.matched[from], a.Match)
		return
	}
	if a.Prev <= s.matched[from] {
		l.mark(MarkRefusalLate)
		return
	}
	if prev, _, ok := r.core.Position(a.Prev); ok {
		l.markIf(a.Hint.Term < prev, MarkRefusedAcrossTerms)
	}
	if hint, _, ok := r.core.Position(a.Hint.Index); ok && a.Hint.Index < a.Prev {
		l.markIf(hint == a.Hint.Term, MarkRefusedGap)
	}
}

func (l *lookout) receiveSnapshot(c *checker, i int, m *core.Message) {
	r, s := &c.replicas[i], &l.sights[i]
	st, t := &r.st, &m.InstallSnapshot
	if m.Term < st.Term {
		return
	}
	l.markIf(m.Term == st.Term && campaigns(st), MarkCandidateSnapshot)
	j := t.Snapshot.Index
	if j <= st.Commit {
		l.mark(MarkSnapshotLate)
		return
	}
	if j >= st.First-1 && j < st.Last.Index {
		l.markIf(r.digests[j] != t.Snapshot.Digest, MarkSnapshotOverConflict)
	}
	in := &s.stream
	same := in.id == t.Snapshot.EntryID && in.sum == t.Snapshot.Sum
	if !same && t.Offset == 0 && (j > in.id.Index || !in.underWay()) {
		l.markIf(in.underWay(), MarkSnapshotInterrupted)
		*in = stream{id: t.Snapshot.EntryID, sum: t.Snapshot.Sum, size: t.Snapshot.Size}
		same = true
	}
	switch {
	case !same || t.Offset > in.received:
		l.mark(MarkChunkStray)
	case t.Offset < in.received:
		l.mark(MarkChunkRepeated)
	default:
		in.received += uint64(len(t.Data))
	}
}

// ownTerm says whether a leader has committed in its term.
func (l *lookout) ownTerm(c *checker, i int) bool {
	st := &c.replicas[i].st
	return st.Commit <= c.top() && c.committed[st.Commit].term == st.Term
}

func (l *lookout) propose(c *checker, i int) {
	if st := &c.replicas[i].st; st.Role == core.RoleLeader {
		l.markIf(!l.ownTerm(c, i), MarkProposedBeforeOwnCommit)
	} else {
		l.markIf(l.sights[i].led, MarkProposedAfterDeposed)
	}
}

func (l *lookout) read(c *checker, i int) {
	st := &c.replicas[i].st
	l.markIf(st.Role == core.RoleLeader && !l.ownTerm(c, i), MarkReadBeforeOwnCommit)
	l.markIf(st.Applied < st.Commit, MarkReadWaitsForApply)
}

func (l *lookout) answer(c *checker, i int, a *replica.Answer) {
	switch {
	case a.Kind == replica.AnswerUnknown:
		l.mark(MarkOutcomeUnknown)
	case a.Kind == replica.AnswerApplied:
		l.markIf(a.Read && c.replicas[i].st.Role == core.RoleFollower, MarkFollowerRead)
	case a.Reason == core.RefusedLeadershipLost:
		l.mark(MarkReadLeadershipLost)
	case a.Reason == core.RefusedReadsFull:
		l.mark(MarkReadsFull)
	case a.Reason == core.RefusedUnappliedFull:
		l.mark(MarkUnappliedFull)
	case a.Reason == core.RefusedTransferring:
		l.markIf(!a.Read, MarkHandoverRefusedProposal)
	}
}

func (l *lookout) submit(i int, w *replica.Write) {
	s := &l.sights[i]
	if w.PublishSet {
		s.publish = w.Seq
	}
	if w.Truncate != 0 {
		if s.lastWrite > s.completed && w.Truncate <= s.lastIndex {
			s.overtaken = s.lastWrite
		}
		s.truncates = w.Seq
	}
	if n := len(w.Entries); n > 0 {
		s.lastWrite, s.lastIndex = w.Seq, w.Entries[n-1].Index
	}
}

func (l *lookout) completed(i int, seq uint64) {
	s := &l.sights[i]
	s.completed = max(s.completed, seq)
	s.stalled = false
	if s.overtaken != 0 && seq >= s.overtaken {
		l.markIf(seq < s.truncates, MarkAckOverwritten)
		s.overtaken = 0
	}
	if s.publish != 0 && seq >= s.publish {
		s.saving, s.publish = false, 0
	}
}

func (l *lookout) task(c *checker, i int, t *replica.Task) {
	switch t.Kind {
	case replica.TaskSnapshot:
		l.sights[i].saving = true
	case replica.TaskApply:
		l.markIf(t.Index < c.replicas[i].core.Status().Commit, MarkPageCut)
		commands := 0
		for k := range t.Entries {
			if t.Entries[k].Kind == core.EntryCommand {
				commands++
			}
		}
		l.markIf(commands > 0 && commands < len(t.Entries), MarkMixedPage)
	}
}

// applied: the state machine of replica i has applied the entry at j.
func (l *lookout) applied(i int, j core.Index, k *committedEntry) {
	s := &l.sights[i]
	if s.cutTo != 0 && j >= s.cutFrom {
		l.markIf(j <= s.cutTo, MarkTruncatedApplied)
		s.cutFrom, s.cutTo = 0, 0
	}
	l.markIf(s.saving, MarkAppliedWhileSaving)
	l.markIf(j <= s.before, MarkReapplied)
	switch {
	case k.gone:
		l.mark(MarkSessionUnknown)
		l.markIf(s.restored != 0, MarkSessionUnknownRestored)
	case k.origin != 0:
		l.mark(MarkRetryFromTable)
		l.markIf(k.origin <= s.restored, MarkRetryRestoredTable)
	}
}

func (l *lookout) restored(i int, t *core.Snapshot) { l.sights[i].restored = t.Index }

func (l *lookout) restarted(c *checker, i int, st *core.Status) {
	s := &l.sights[i]
	again := l.started>>i&1 != 0
	*s = sights{matched: s.matched, targets: s.targets, before: s.before, again: again, fresh: again}
	l.started |= 1 << i
	l.markIf(st.Last.Index > c.top() && c.looks > 0, MarkRestartUncommitted)
	l.up |= 1 << i
	if all := c.configurations[c.committedPage(c.top())].members; l.allDown && l.up&all == all {
		l.mark(MarkAllRestarted)
		l.allDown = false
	}
}

// down: replica i has gone. With power lost, its disk has lost already what it
// loses.
func (l *lookout) down(c *checker, i int, power bool) {
	r, s := &c.replicas[i], &l.sights[i]
	st := &r.st
	l.markIf(s.saving, MarkDownWhileSaving)
	l.markIf(st.Applied < st.Commit, MarkDownBeforeApplied)
	l.markIf(s.stream.underWay(), MarkSnapshotInterrupted)
	s.before = max(s.before, r.applied)
	l.up &^= 1 << i
	l.allDown = l.allDown || l.up == 0
	s.noPower = power
	if !power {
		return
	}
	l.markIf(st.Role == core.RoleLeader, MarkPowerLossLeader)
	l.markIf(s.truncates > s.completed, MarkTruncationLost)
	d := r.disk.Durable()
	l.markIf(d.Last.Index < st.Last.Index, MarkUnsyncedLost)
	l.markIf(st.Vote != 0 && (d.HardState.Term < st.Term || d.HardState.Term == st.Term && d.HardState.Vote != st.Vote), MarkUnsyncedVoteLost)
	dark := func(id core.ReplicaID) bool {
		k := c.position(id)
		return k >= 0 && l.sights[k].noPower && l.up>>k&1 == 0
	}
	conf := &c.configurations[c.committedPage(c.top())].conf
	l.markIf(majority(conf.Voters, dark) || majority(conf.Outgoing, dark), MarkPowerLossMajority)
}
