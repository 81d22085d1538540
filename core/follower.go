package core

// follower is what only a follower has: reads on their way to the leader, and
// a snapshot on its way in. It is emptied when the role changes, but for the
// snapshot, which does not depend on who sends it.
type follower struct {
	reads    forwardedReads
	incoming incomingSnapshot
}

// becomeFollower gives up whatever this replica was doing, in the same term:
// the vote stays, because it was given in this term and for good
// (dissertation §3.4). No leader is known until one is heard.
func (r *Raft) becomeFollower(out *Ready) {
	r.leader = 0
	switch r.role {
	case RoleFollower:
		r.refuseForwarded(out, RefusedLeadershipLost)
	case RolePreCandidate, RoleCandidate:
		r.candidate = candidate{}
	case RoleLeader:
		r.leaderResigns(out)
		// No one else was heard while this replica led.
		r.contactTicks = r.cfg.ElectionTicks
	}
	r.role = RoleFollower
	r.restartElectionTimer()
}

// hearFrom notes that the leader of this term was heard.
func (r *Raft) hearFrom(leader ReplicaID, out *Ready) {
	if r.role != RoleFollower {
		r.becomeFollower(out)
	}
	r.leader = leader
	r.electionElapsed = 0
	r.contactTicks = 0
	if r.handover.active() {
		r.endHandover(leader, out)
	}
}

// hearsLeader says whether a leader was heard within the least election
// timeout. While it was, votes are refused and newer terms ignored, so that a
// replica that was cut off can not depose a leader that works (dissertation
// §4.2.3). After a start it counts as heard: the incarnation before may have
// promised so.
func (r *Raft) hearsLeader() bool {
	return r.role == RoleLeader || r.contactTicks < r.cfg.ElectionTicks
}

func (r *Raft) tickFollower(n uint32, out *Ready) {
	r.tickElection(n)
	if r.durableTerm < r.term || r.durableVote != r.vote {
		// The candidate that it voted for can not have the vote yet. To stand
		// against it now would keep a cluster with slow disks without a leader.
		r.electionElapsed = 0
	}
	r.tickForwarded(n, out)
	r.tickPreference(n)
	switch {
	case (r.electionDue() || r.needsNobody()) && r.mayStand():
		r.becomePreCandidate(out)
	case r.electionDue() && r.leader != 0:
		// Whoever may not stand does not go on naming a leader that is gone, or
		// that speaks to it no longer.
		r.becomeFollower(out)
	}
}

// needsNobody says whether this replica is the only voter, and has no leader to
// wait for. The one that made it the only voter may still be at work, or have
// been when this replica was stopped: its lease rests on this replica's promise
// to stay quiet as long as it hears it. A cluster that was founded with one
// voter, and still has no other, never had such a leader.
func (r *Raft) needsNobody() bool {
	return r.voters().Alone(r.cfg.ID) && (!r.hearsLeader() || r.leader == 0 && r.members().Index == 0)
}

// handleAppendEntries is the receiver of dissertation figure 3.1. The answer
// promises what the log now holds up to the message's last entry, no more:
// what may follow is not known to match (§3.5).
func (r *Raft) handleAppendEntries(m *Message, out *Ready) {
	a := &m.AppendEntries
	if m.Term < r.term {
		// Only the term counts. Had the answer a round in it, a sender that leads
		// again in this term would take it for an answer to a round of this term.
		r.message(out, KindAppendEntriesResponse, m.From, false).AppendEntriesResponse.Reject = true
		return
	}
	r.hearFrom(m.From, out)
	if a.Lost {
		r.learnLoss(out)
	}
	if r.lost {
		resp := &r.message(out, KindAppendEntriesResponse, m.From, false).AppendEntriesResponse
		resp.Reject, resp.Lost, resp.Unfit = true, true, true
		return
	}

	// What is committed matches, and so does what is compacted.
	entries, verified := a.Entries, a.Prev.Index+Index(len(a.Entries))
	if known := r.log.commitIndex; a.Prev.Index < known {
		entries = entries[min(known-a.Prev.Index, Index(len(entries))):]
	} else if !r.log.matches(a.Prev) {
		resp := &r.message(out, KindAppendEntriesResponse, m.From, false).AppendEntriesResponse
		resp.Reject, resp.Prev, resp.Round, resp.Sent = true, a.Prev.Index, a.Round, a.Sent
		resp.Hint = r.log.conflict(a.Prev)
		resp.Unfit = !r.mayStand()
		return
	}

	// Only an entry of another term proves that what follows must go: an old,
	// short message proves nothing about a longer log.
	for i := range entries {
		e := &entries[i]
		if r.log.matches(e.EntryID) {
			continue
		}
		if e.Index <= r.log.lastIndex() {
			r.log.truncate(e.Index, r.term)
			out.Truncate = e.Index
			r.truncateConfigurations(e.Index)
		}
		for ; i < len(entries); i++ {
			if r.overloaded(&entries[i]) {
				// As if the rest had been lost on the way: it comes again.
				verified = entries[i].Index - 1
				break
			}
			r.appendEntry(entries[i])
		}
		break
	}
	r.clock = max(r.clock, r.log.lastTime())
	r.commitTo(min(a.Commit, verified), out)
	r.giveUpPassed()

	// That it was heard, and when, promises nothing of the disk, so a heartbeat
	// is answered at once with what is durable by now, and a disk that is slow
	// does not make its replica silent (dissertation §10.2.1). Only more than
	// that waits for the write: see Ready.Held.
	waits := verified > r.log.persistedIndex && (len(a.Entries) > 0 || r.durableTerm < r.term)
	resp := &r.message(out, KindAppendEntriesResponse, m.From, waits).AppendEntriesResponse
	resp.Match, resp.Round, resp.Sent, resp.Unfit = verified, a.Round, a.Sent, !r.mayStand()
	resp.Prev, resp.Hint = a.Prev.Index, r.log.last()
	if !waits {
		resp.Match = min(verified, r.log.persistedIndex)
	}
}

// overloaded says whether e has to wait until the state machine has applied
// more of what is committed. As long as it lacks nothing, every entry is taken:
// what is not committed yet may need this replica to become so.
func (r *Raft) overloaded(e *Entry) bool {
	return r.log.commitIndex > r.log.appliedIndex &&
		r.log.unappliedBytes+e.Bytes() > r.cfg.Limits.UnappliedBytes
}
