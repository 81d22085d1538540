package sim

import (
	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// What the lookout finds where members change, leadership changes hands, and
// reads rest on leases.

// configurationAppended: leader i has appended next behind before.
func (l *lookout) configurationAppended(c *checker, i int, st *core.Status, before, next *writtenConfiguration) {
	from, to := &before.conf, &next.conf
	l.mark(MarkConfigurationAppended)
	l.markIf(c.replicas[i].st.ReadsWaiting > 0, MarkReadsWaitingOnChange)
	come, gone := without(to.Voters, from.Voters), without(from.Voters, to.Voters)
	l.markIf(len(come) > 0, MarkLearnerPromoted)
	l.markIf(len(without(to.Learners, from.Learners)) > len(shared(gone, to.Learners)), MarkLearnerAdded)
	l.markIf(len(shared(gone, to.Learners)) > 0, MarkLearnerDemoted)
	stay := shared(from.Learners, to.Learners)
	l.markIf(len(stay) > 0 && len(come)+len(gone) > 0, MarkLearnerStays)
	for _, id := range stay {
		l.markIf(from.Member(id) != to.Member(id), MarkLearnerUpdated)
	}
	if from.Has(st.ID) {
		l.markIf(!to.Has(st.ID), MarkLeaderRemoved)
		l.markIf(holds(shared(gone, to.Learners), st.ID), MarkLeaderDemoted)
	}
	if to.IsJoint() {
		l.mark(MarkJointEntered)
		l.markIf(len(come) > 0 && len(gone) > 0, MarkMembersReplaced)
	}
	if from.IsJoint() {
		l.mark(MarkJointLeft)
		l.markIf(before.id.Term != next.id.Term, MarkJointLeftByAnother)
	}
}

// configurationHeld: the log of replica i has one more configuration.
func (l *lookout) configurationHeld(c *checker, i int, st *core.Status) {
	pages := c.replicas[i].pages
	n := len(pages)
	l.markIf(n > 2 && c.configurations[pages[n-2]].id.Index > st.Commit, MarkTwoConfigurationsUncommitted)
}

// configurationsReplaced: the log of replica i was replaced by a snapshot.
func (l *lookout) configurationsReplaced(c *checker, i int, base core.Index) {
	own, got := c.page(i), &c.configurations[c.committedPage(base)]
	l.markIf(got.id.Index > own.id.Index, MarkSnapshotBringsConfiguration)
	l.markIf(got.id.Index < own.id.Index, MarkSnapshotBeatsOwnConfiguration)
}

// snapshotTaken: replica i has taken one of its own.
func (l *lookout) snapshotTaken(c *checker, i int, st *core.Status) {
	page := c.committedPage(st.Snapshot.Index)
	l.markIf(c.configurations[page].conf.IsJoint(), MarkSnapshotInJoint)
	if old := c.replicas[i].st.Snapshot.Index; old > 0 && page != pageFounding {
		l.markIf(c.committedPage(old) == page, MarkSnapshotSameConfiguration)
	}
}

// stands: replica i has begun to stand for election, or to ask if it could.
func (l *lookout) stands(c *checker, i int, st *core.Status) {
	if conf := c.configuration(i); !conf.Votes(st.ID) {
		promised := conf.Promotes(st.ID)
		l.markIf(promised, MarkLearnerStands)
		l.markIf(!promised, MarkCandidateOfPreviousConfiguration)
	}
}

// electedBy: replica i was elected, in the configuration that counts there.
func (l *lookout) electedBy(c *checker, i int, st *core.Status) {
	page := c.page(i)
	l.markIf(page.id.Index > c.replicas[i].st.Commit, MarkConfigurationUncommittedAtElection)
	l.markIf(page.conf.IsJoint(), MarkElectedWhileJoint)
	l.markIf(page.conf.IsJoint() && !holds(page.conf.Voters, st.ID), MarkElectedOutgoing)
	l.markIf(c.terms.at(st.Term-1).asked>>i&1 != 0, MarkTransferDone)
	clear(l.sights[i].targets)
}

// held: leader i was deposed with an entry at j that was not committed.
func (l *lookout) held(c *checker, i int, j core.Index) {
	conf, chain := c.configuration(i), c.replicas[i].digests[j]
	has := func(id core.ReplicaID) bool { return c.holdsDurably(c.position(id), j, chain) }
	voters, all := 0, 0
	conf.Each(func(id core.ReplicaID) {
		if has(id) {
			all++
			if holds(conf.Voters, id) {
				voters++
			}
		}
	})
	n := len(conf.Voters)
	l.markIf(voters >= 2 && 2*voters < n, MarkMinorityHeld)
	l.markIf(2*voters == n, MarkHalfHeld)
	l.markIf(conf.IsJoint() && majority(conf.Voters, has) != majority(conf.Outgoing, has), MarkJointHalfHeld)
	if 2*voters <= n && !conf.IsJoint() {
		l.markIf(2*all > n, MarkLearnersHeld)
		own := c.replicas[i].id
		l.markIf(!conf.Votes(own) && has(own) && 2*(voters+1) > n, MarkRemovedLeaderShort)
	}
}

// peer looks at what leader l.looking knows of p.
func (l *lookout) peer(p *progress.Progress) {
	l.window = l.window || p.State == progress.Replicate && p.Window.Full()
	targets := l.sights[l.looking].targets
	if k := int(p.ID) - 1; uint(k) < uint(len(targets)) && p.CatchUp.Target != targets[k] {
		l.markIf(targets[k] != 0 && p.CatchUp.Target != 0 && !p.CatchUp.Done, MarkCatchUpRepeated)
		targets[k] = p.CatchUp.Target
	}
}

// handover: leader i begins to hand over.
func (l *lookout) handover(c *checker, i int, st *core.Status) {
	l.mark(MarkTransferBegun)
	if to := c.position(st.Successor); to >= 0 {
		l.markIf(!c.holdsDurably(to, st.Last.Index, st.LastDigest), MarkTransferToLagging)
	}
}

// event: replica i tells an operator of e.
func (l *lookout) event(c *checker, i int, e core.Event) {
	r, s := &c.replicas[i], &l.sights[i]
	switch e.Kind {
	case core.EventRemoved:
		l.markIf(e.Replica == r.id, MarkRemovedTold)
	case core.EventHandoverAborted:
		l.mark(MarkTransferAborted)
	case core.EventDiskStalled:
		s.stalled = true
	case core.EventHandover:
		conf := c.configuration(i)
		l.markIf(!s.stalled && conf.Votes(r.id) && conf.Member(e.Replica).Priority > conf.Member(r.id).Priority, MarkPriorityHandover)
	}
}

// lease: a read that may rest on a lease was handed to leader i.
func (l *lookout) lease(c *checker, i int, st *core.Status, released bool) {
	switch joint := c.configuration(i).Joint(); {
	case joint.Alone(st.ID): // it needs no lease
	case released:
		l.mark(MarkLeaseRead)
	case st.Commit <= c.top() && c.committed[st.Commit].term != st.Term:
		l.mark(MarkLeaseBeforeOwnCommit)
	case c.terms.at(st.Term).asked != 0:
		l.mark(MarkLeaseVoidAfterTransfer)
	default:
		l.mark(MarkLeaseExpired)
	}
}

// answered: what was asked about members or leadership is answered.
func (l *lookout) answered(a *replica.Answer) {
	switch a.Reason {
	case core.RefusedTermNotOpen:
		l.mark(MarkChangeRefusedTermNotOpen)
	case core.RefusedChangePending:
		l.mark(MarkChangeRefusedPending)
	case core.RefusedConfigurationMoved:
		l.mark(MarkChangeRefusedMoved)
	case core.RefusedNoVoters:
		l.mark(MarkChangeRefusedLastVoter)
	case core.RefusedQuorumSilent:
		l.mark(MarkChangeRefusedSilent)
	case core.RefusedNoTarget:
		l.mark(MarkTransferRefusedTarget)
	}
}

// sendVote: replica i answers a request for its vote.
func (l *lookout) sendVote(c *checker, i int, m *core.Message) {
	s, v := &l.sights[i], &m.RequestVoteResponse
	switch {
	case v.Granted && !v.Pre:
		l.markIf(m.To == c.replicas[0].id, MarkVoteForFirst)
		l.markIf(!c.configuration(i).Votes(c.replicas[i].id), MarkVoteOfNonVoter)
		l.markIf(s.sticky == m.To, MarkVoteOverStickiness)
	case !v.Granted && s.worthy && s.asker == m.To && v.For > m.Term:
		l.mark(MarkVoteRefusedSticky)
		l.markIf(s.again && c.replicas[i].heard.term == 0 && !s.led, MarkVoteRefusedFresh)
	}
}

// receiveFrom: whatever m brings to replica i, who sends it matters.
func (l *lookout) receiveFrom(c *checker, i int, m *core.Message) {
	r := &c.replicas[i]
	if r.st.Role == core.RoleLeader {
		k := c.position(m.From)
		l.markIf(k < 0 || c.page(i).members>>k&1 == 0, MarkStrangerHeard)
	}
	l.markIf(m.Kind == core.KindTimeoutNow && m.Term < r.st.Term, MarkTimeoutNowStale)
}

// looked: replica i was looked at. Its configurations are as they are now, and
// the rest of what the checker knows is as it was.
func (l *lookout) looked(c *checker, i int, st *core.Status) {
	s := &l.sights[i]
	if s.want != 0 {
		l.markIf(st.Term == s.wantTerm && st.Role == core.RoleFollower && st.Last.Index < s.want, MarkFollowerOverloaded)
		s.want = 0
	}
	if s.fresh {
		s.fresh = false
		page := c.page(i)
		l.markIf(page.id.Index != 0, MarkRestartBehindChange)
		l.markIf(page.id.Index > st.Commit, MarkRestartUncommittedConfiguration)
	}
}

// removed says whether replica i was a member once, and is none in what is
// committed.
func (c *checker) removed(i int) bool {
	page := &c.configurations[c.committedPage(c.top())]
	return page.members>>i&1 == 0 && page.ever>>i&1 != 0
}
