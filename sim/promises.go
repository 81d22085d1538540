package sim

import (
	"github.com/seaworthy-raft/seaworthy/core"
)

// What a message promises must be true, and durable, when it leaves: the core
// may be gone a moment later, and its peers have taken it at its word.

// onSend looks at a message before it leaves replica i.
func (c *checker) onSend(i int, m *core.Message) {
	if c.broken {
		return
	}
	r := &c.replicas[i]
	if m.From != r.id {
		c.fail(i, PropertyTrueMessages, "it sends a message from replica %d", m.From)
		return
	}
	// No message speaks of a term that is not durable.
	if m.Term > r.durableTerm {
		if d := r.disk.Durable().HardState; d.Term < m.Term {
			c.fail(i, PropertyDurableSpoken, "it sends %v in term %d; its disk has term %d", m.Kind, m.Term, d.Term)
			return
		}
		r.durableTerm = m.Term
	}
	r.spoken = max(r.spoken, m.Term)
	if m.To == r.owes.to && m.Term > r.owes.term {
		r.owes = owed{}
	}
	switch m.Kind {
	case core.KindRequestVote:
		c.checkRequestVote(i, m)
	case core.KindRequestVoteResponse:
		v := &m.RequestVoteResponse
		if v.Granted && !v.Pre {
			c.checkVote(i, v.For, m.To)
		}
		if v.Granted && !c.broken {
			c.checkLoyal(i, m)
		}
		if !v.Granted {
			c.checkRefusal(i, m)
		}
	case core.KindAppendEntries:
		c.speaks(i, m.Term, m.AppendEntries.Round)
		c.checkAppendEntries(i, m)
	case core.KindAppendEntriesResponse:
		a := &m.AppendEntriesResponse
		c.checkEcho(i, m, a.Sent, a.Round)
		if c.broken {
			return
		}
		if !a.Reject {
			c.checkMatch(i, m, a.Match)
		} else if !c.entries.exists(a.Hint) && a.Hint.Index > c.top() {
			c.fail(i, PropertyTrueMessages, "it refuses an append with a hint at %v, which never was an entry", a.Hint)
		}
	case core.KindInstallSnapshot:
		c.speaks(i, m.Term, m.InstallSnapshot.Round)
		c.checkInstallSnapshot(i, m)
	case core.KindInstallSnapshotResponse:
		a := &m.InstallSnapshotResponse
		if c.checkEcho(i, m, a.Sent, a.Round); !c.broken && a.Match != 0 {
			c.checkMatch(i, m, a.Match)
		}
	case core.KindReadIndex:
		r.forwarding.ask(m)
	case core.KindReadIndexResponse:
		c.checkReadIndexResponse(i, m)
	case core.KindTimeoutNow:
		c.checkTimeoutNow(i, m)
	}
	if !c.broken {
		c.lookout.send(c, i, m)
	}
}

// checkRequestVote: a candidate has voted for itself, durably, its log ends in
// an entry that exists, and if it says that the leader wants it to take over,
// the leader of the term before has asked it to.
func (c *checker) checkRequestVote(i int, m *core.Message) {
	v := &m.RequestVote
	if !c.entries.exists(v.Last) {
		if c.look(i); c.broken {
			return
		}
		if !c.entries.exists(v.Last) {
			c.fail(i, PropertyTrueMessages, "it asks for votes with a log that ends in %v, which never was an entry", v.Last)
			return
		}
	}
	if v.Transfer && c.terms.at(v.For-1).asked>>i&1 == 0 {
		c.fail(i, PropertyTrueMessages, "it asks for votes in term %d as one that was asked to take over; the leader of term %d was %s, and has not asked it",
			v.For, v.For-1, c.leaderName(c.terms.at(v.For-1)))
		return
	}
	if !v.Pre {
		c.checkVote(i, v.For, m.From)
	}
}

// checkTimeoutNow: a leader asks a voter to take over when that one has all of
// the leader's log on disk, and takes no proposals any more (dissertation
// §3.10).
func (c *checker) checkTimeoutNow(i int, m *core.Message) {
	if c.look(i); c.broken || !c.checkSpeaksAsLeader(i, m) {
		return
	}
	r, to := &c.replicas[i], c.position(m.To)
	if to >= 0 {
		c.terms.page(m.Term).asked |= 1 << to
	}
	if r.st.Role != core.RoleLeader || r.st.Term != m.Term {
		return // it led when it made the message, which waited since
	}
	switch last := m.TimeoutNow.Last; {
	case to < 0 || !holds(c.configuration(i).Voters, m.To):
		c.fail(i, PropertyTrueMessages, "it asks replica %d to take over, which is no voter: %s", m.To, members(c.configuration(i)))
	case r.st.Successor != m.To:
		c.fail(i, PropertyTrueMessages, "it asks replica %d to take over, and hands over to replica %d (zero: nobody)", m.To, r.st.Successor)
	case last != r.st.Last:
		c.fail(i, PropertyTrueMessages, "it asks replica %d to take over with a log that ends in %v; its own ends in %v", m.To, last, r.st.Last)
	case c.replicas[to].st.Term > m.Term:
		// Another leader may have cut its log since; the request comes too late.
	case !c.replicas[to].lost && !c.holdsDurably(to, last.Index, r.st.LastDigest):
		c.fail(i, PropertyTrueMessages, "it asks replica %d to take over with a log that ends in %v; on that one's disk it ends in %v",
			m.To, last, c.replicas[to].disk.Durable().Last)
	}
}

// checkSent: what a leader sends bears its time in office, in ticks from 1 on:
// a lease rests on that.
func (c *checker) checkSent(i int, m *core.Message, sent uint64) {
	r := &c.replicas[i]
	if sent > r.st.Clock-r.office+1 {
		st := r.core.Status()
		if now := st.Clock - r.office + 1; sent > now && st.Role == core.RoleLeader && st.Term == m.Term {
			c.fail(i, PropertyTrueMessages, "it sends %v as of tick %d in office; it has led term %d for %d", m.Kind, sent, m.Term, now)
			return
		}
	}
	if sent == 0 || sent < r.sent {
		c.fail(i, PropertyTrueMessages, "it sends %v as of tick %d in office of term %d, and has sent one of tick %d", m.Kind, sent, m.Term, r.sent)
		return
	}
	r.sent = sent
}

// checkEcho: an answer names no later time, and no later round, than its sender
// has heard of the leader of that term.
func (c *checker) checkEcho(i int, m *core.Message, sent, round uint64) {
	h := &c.replicas[i].heard
	if m.Term < h.term {
		return // it waited while a later leader was heard
	}
	if m.Term > h.term && sent|round != 0 || m.Term == h.term && (sent > h.sent || round > h.round) {
		c.fail(i, PropertyTrueMessages, "it answers in term %d what was sent at tick %d in round %d; of the leader of term %d it has heard tick %d and round %d",
			m.Term, sent, round, h.term, h.sent, h.round)
	}
}

// checkVote: a vote is durable before it is given, and a replica gives at most
// one in each term, whatever happens to it in between (dissertation §3.4,
// §3.8).
func (c *checker) checkVote(i int, term core.Term, to core.ReplicaID) {
	r := &c.replicas[i]
	if d := r.disk.Durable().HardState; d.Term < term || d.Term == term && d.Vote != to {
		c.fail(i, PropertyDurableSpoken, "it votes for replica %d in term %d; its disk has term %d, vote %d",
			to, term, d.Term, d.Vote)
		return
	}
	for core.Term(len(r.votes)) <= term {
		r.votes = append(r.votes, 0)
	}
	p := uint8(c.position(to) + 1)
	if given := r.votes[term]; given != 0 && given != p {
		c.fail(i, PropertyOneVote, "it votes for replica %d in term %d, and has voted for replica %d in it",
			to, term, c.replicas[given-1].id)
		return
	}
	r.votes[term] = p
}

// checkLoyal: who has heard a leader within an election timeout, or has just
// started and may have heard one before, votes for no other, unless that leader
// wants it (dissertation §4.2.3): leases rest on that (§6.4.1). Who leads votes
// for no other either; and nobody does for one whose log is worse than its own
// (§3.6.1), or says that it would (§9.6).
func (c *checker) checkLoyal(i int, m *core.Message) {
	v, k := &m.RequestVoteResponse, c.position(m.To)
	p := petition{}
	if k >= 0 {
		p = *c.replicas[i].loyal.petition(k, v.Pre)
	}
	switch {
	case p.asked < v.For:
		c.fail(i, PropertyLoyalty, "it gives replica %d its vote for term %d (pre %t), and was not asked for that", m.To, v.For, v.Pre)
	case p.free < v.For:
		c.fail(i, PropertyLoyalty, "it gives replica %d its vote for term %d (pre %t); it led, or had heard a leader, or started, less than %d ticks before it was asked",
			m.To, v.For, v.Pre, c.view.electionTicks())
	case p.worthy < v.For:
		c.fail(i, PropertyLoyalty, "it gives replica %d its vote for term %d (pre %t); its own log, which ends in %v, was better when it was asked",
			m.To, v.For, v.Pre, c.replicas[i].st.Last)
	}
}

// checkRefusal: who refuses its vote has a reason to; and to the one that it
// has given it to in this term, it has none: that one may have missed the
// answer.
func (c *checker) checkRefusal(i int, m *core.Message) {
	r, v := &c.replicas[i], &m.RequestVoteResponse
	switch {
	case r.core.Status().Lost:
		// It was told that its disk is lost, and votes for nobody.
	case !v.Pre && m.Term == v.For && v.For < core.Term(len(r.votes)) && r.votes[v.For] != 0 && int(r.votes[v.For])-1 == c.position(m.To):
		c.fail(i, PropertyTrueMessages, "it refuses replica %d its vote for term %d, which it has given it", m.To, v.For)
	case r.due == owed{to: m.To, term: v.For, pre: v.Pre}:
		c.fail(i, PropertyTrueMessages, "it refuses replica %d its vote for term %d (pre %t); it does not lead, has heard no leader for two election timeouts, has that vote to give, and its log, which ends in %v, is no better",
			m.To, v.For, v.Pre, r.st.Last)
	}
}

// checkAppendEntries: only the leader of its term sends one, it holds nothing
// but entries of that leader's log, and no commit index that the leader does
// not have.
func (c *checker) checkAppendEntries(i int, m *core.Message) {
	r := &c.replicas[i]
	a := &m.AppendEntries
	n := len(a.Entries)
	if m.Term != r.st.Term || r.st.Role != core.RoleLeader ||
		a.Prev.Index+core.Index(n) > r.st.Last.Index || a.Commit > r.st.Commit {
		if c.look(i); c.broken { // it changed in this very event
			return
		}
	}
	if !c.checkSpeaksAsLeader(i, m) {
		return
	}
	if r.st.Role != core.RoleLeader || r.st.Term != m.Term {
		return // it led when it made the message, which waited since
	}
	if c.checkSent(i, m, a.Sent); c.broken || !c.checkMember(i, m) {
		return
	}
	prev, chain := a.Prev.Index, a.PrevDigest
	if prev >= r.st.First-1 && prev <= r.st.Last.Index {
		if chain != r.digests[prev] {
			c.fail(i, PropertyTrueMessages, "it sends an append behind %v, digest %#x; in its log that is %#x",
				a.Prev, chain, r.digests[prev])
			return
		}
	} else if prev > r.st.Last.Index || a.Prev != (core.EntryID{}) && !c.entries.exists(a.Prev) {
		c.fail(i, PropertyTrueMessages, "it sends an append behind %v; its log ends in %v", a.Prev, r.st.Last)
		return
	}
	// Entries are chained: the last one's digest stands for all of them.
	if n > 0 {
		last := &a.Entries[n-1]
		if a.Entries[0].Index != prev+1 || last.Index != prev+core.Index(n) || last.Index > r.st.Last.Index ||
			last.Index >= r.st.First && last.Digest != r.digests[last.Index] {
			c.fail(i, PropertyTrueMessages, "it sends entries %v to %v behind %v that are not in its log, which ends in %v",
				a.Entries[0].EntryID, last.EntryID, a.Prev, r.st.Last)
			return
		}
	}
	if a.Commit > r.st.Commit {
		c.fail(i, PropertyTrueMessages, "it sends the commit index %d; its own is %d", a.Commit, r.st.Commit)
	}
}

// checkSpeaksAsLeader: it led the message's term.
func (c *checker) checkSpeaksAsLeader(i int, m *core.Message) bool {
	if p := c.terms.at(m.Term); p.leader != uint8(i+1) {
		c.fail(i, PropertyElectionSafety, "it sends %v in term %d; the leader was %s",
			m.Kind, m.Term, c.leaderName(p))
		return false
	}
	return true
}

// checkMatch: who says that its durable log matches the leader's up to an
// index has every entry up to there on disk, and the leader has the same.
//
// The message may have waited while its sender moved on to a later term, whose
// leader replaced the entries. It does no harm then: with such entries no
// majority was reached, or they could not have been replaced.
func (c *checker) checkMatch(i int, m *core.Message, match core.Index) {
	r := &c.replicas[i]
	if match == 0 || r.st.Term > m.Term {
		return
	}
	id, chain, ok := r.disk.DurableEntry(match)
	if !ok {
		d := r.disk.Durable()
		if d.Snapshot.Index < match {
			if r.core.Status().Term == m.Term {
				c.fail(i, PropertyDurableSpoken, "it acknowledges entries up to %d; its disk has a log that ends in %v and a snapshot of %v",
					match, d.Last, d.Snapshot.EntryID)
			}
			return
		}
		// Its snapshot stands for it, and so for what was committed.
		id = core.EntryID{Term: c.committed[min(match, c.top())].term, Index: match}
		chain = c.committed[min(match, c.top())].digest
	}
	k := int(c.terms.at(m.Term).leader) - 1
	if k < 0 || c.replicas[k].id != m.To {
		c.fail(i, PropertyTrueMessages, "it acknowledges entries to replica %d, which did not lead term %d", m.To, m.Term)
		return
	}
	l := &c.replicas[k]
	if l.core == nil || l.st.Role != core.RoleLeader || l.st.Term != m.Term {
		return // deposed since: nobody counts this any more
	}
	if match > l.st.Last.Index {
		c.fail(i, PropertyTrueMessages, "it acknowledges entries up to %d; the log of replica %d, which leads term %d, ends in %v",
			match, l.id, m.Term, l.st.Last)
		return
	}
	want := l.digests[match]
	if match < l.st.First-1 {
		want = c.committed[match].digest
	}
	if chain != want && r.core.Status().Term == m.Term {
		c.fail(i, PropertyTrueMessages, "it acknowledges entries up to %d, where its disk has %v with digest %#x; the leader of term %d, replica %d, has %#x there",
			match, id, chain, m.Term, l.id, want)
	}
}

// checkInstallSnapshot: only the leader of its term sends one, and it stands
// for what was committed.
func (c *checker) checkInstallSnapshot(i int, m *core.Message) {
	s := &m.InstallSnapshot.Snapshot
	if c.terms.at(m.Term).leader != uint8(i+1) || s.Index > c.top() {
		if c.look(i); c.broken {
			return
		}
	}
	if !c.checkSpeaksAsLeader(i, m) {
		return
	}
	if r := &c.replicas[i]; r.st.Role == core.RoleLeader && r.st.Term == m.Term {
		if c.checkSent(i, m, m.InstallSnapshot.Sent); c.broken || !c.checkMember(i, m) {
			return
		}
	}
	c.checkSnapshot(i, s, "sends")
}

// checkSnapshot: a snapshot ends in what was committed at its index.
func (c *checker) checkSnapshot(i int, s *core.Snapshot, verb string) bool {
	if s.Index > c.top() {
		c.fail(i, PropertyStateMachineSafety, "it %s a snapshot of %v; committed is %d", verb, s.EntryID, c.top())
		return false
	}
	if k := &c.committed[s.Index]; s.Term != k.term || s.Digest != k.digest {
		c.fail(i, PropertyStateMachineSafety, "it %s a snapshot of %v, digest %#x; what was committed there is of term %d, digest %#x",
			verb, s.EntryID, s.Digest, k.term, k.digest)
		return false
	}
	return c.checkSnapshotConfiguration(i, s, verb)
}

// checkReadIndexResponse: a leader says what is committed only when it has
// committed an entry of its own term: only then does it know (dissertation
// §6.4).
func (c *checker) checkReadIndexResponse(i int, m *core.Message) {
	a := &m.ReadIndexResponse
	if a.Refused != core.RefusedNone {
		return
	}
	if c.terms.at(m.Term).leader != uint8(i+1) || a.Index > c.top() {
		if c.look(i); c.broken {
			return
		}
	}
	if !c.checkSpeaksAsLeader(i, m) {
		return
	}
	if a.Index > c.top() || c.committed[a.Index].term != m.Term {
		c.fail(i, PropertyReadsCurrent, "it leads term %d, and says that reads may be answered at %d, where it has committed nothing of its own",
			m.Term, a.Index)
		return
	}
	c.checkRequestConfirmed(i, m)
}
