package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// replicate sends to every peer what it lacks and what its window allows.
func (r *Raft) replicate(out *Ready) {
	for i := range r.lead.peers {
		if p := &r.lead.peers[i]; p.ID != r.cfg.ID {
			r.sendEntries(p, out)
		}
	}
}

// sendEntries sends one probe, or streams until the window is full.
func (r *Raft) sendEntries(p *progress.Progress, out *Ready) {
	if p.Lost {
		return
	}
	for {
		switch p.State {
		case progress.Probe:
			if p.ProbeSent {
				return
			}
		case progress.Replicate:
			if p.Next > r.log.lastIndex() || p.Window.Full() {
				return
			}
		case progress.Snapshot:
			return
		}
		if p.Next <= r.log.base.Index {
			if !r.quiet(p) {
				r.startStream(p, out)
			}
			return
		}
		bytesMax := r.cfg.Limits.MessageBytes
		if p.State == progress.Replicate {
			bytesMax = min(bytesMax, p.Window.Room())
		}
		entries, bytes := r.log.page(p.Next, r.log.lastIndex(), bytesMax)
		r.sendAppend(p, entries, out)
		if p.State == progress.Probe {
			p.ProbeSent, p.ProbeLast = true, p.Next-1+Index(len(entries))
			return
		}
		p.Next += Index(len(entries))
		p.Window.Add(p.Next-1, bytes)
	}
}

// sendAppend sends entries behind p.Next-1, which the log must hold.
func (r *Raft) sendAppend(p *progress.Progress, entries []Entry, out *Ready) {
	prev := p.Next - 1
	term, chain, _ := r.log.position(prev)
	a := &r.message(out, KindAppendEntries, p.ID, false).AppendEntries
	a.Prev, a.PrevDigest = EntryID{Term: term, Index: prev}, chain
	a.Commit, a.Round, a.Sent = r.log.commitIndex, r.lead.reads.round, r.lead.ticks
	a.Entries = entries
	p.ToldCommit = a.Commit
}

// sendHeartbeats tells every peer that this leader leads, how far the commit
// index is, and the round of contact. A heartbeat stands behind everything
// sent before it, so one that is refused shows that something was lost.
func (r *Raft) sendHeartbeats(out *Ready) {
	r.lead.heartbeatElapsed = 0
	for i := range r.lead.peers {
		p := &r.lead.peers[i]
		switch {
		case p.ID == r.cfg.ID:
		case p.Lost:
			r.tellLoss(p, out)
		case p.State == progress.Snapshot, p.Next <= r.log.base.Index && r.quiet(p):
			// Nothing is known to match but the beginning. Who is silent gets no
			// bytes of a snapshot before it has answered this.
			a := &r.message(out, KindAppendEntries, p.ID, false).AppendEntries
			a.Round, a.Sent = r.lead.reads.round, r.lead.ticks
		case p.Next <= r.log.base.Index:
			r.startStream(p, out)
		case p.Busy:
			p.ProbeSent = false
			r.sendEntries(p, out)
		default:
			r.sendAppend(p, nil, out)
			if p.State == progress.Probe {
				p.ProbeSent, p.ProbeLast = true, p.Next-1
			}
		}
	}
}

// quiet says whether p was not heard for so long that it may be gone.
func (r *Raft) quiet(p *progress.Progress) bool { return p.QuietTicks >= r.cfg.ElectionTicks }

// handleAppendEntriesResponse learns how far a follower's log matches.
func (r *Raft) handleAppendEntriesResponse(m *Message, out *Ready) {
	if r.countsForNothing(m, out) {
		return
	}
	p := r.heard(m)
	if p == nil {
		return
	}
	a := &m.AppendEntriesResponse
	r.answered(p, a.Round, a.Sent, out)
	if p.Unfit = a.Unfit; p.Unfit && p.ID == r.handover.target {
		if r.targetUnfit(out); r.role != RoleLeader {
			return
		}
	}
	if a.Reject {
		// Even one that moves nothing may be the first word of a new incarnation,
		// to which nothing is on its way.
		p.Refused(a.Prev, r.nextAfter(a.Hint))
		r.sendEntries(p, out)
		return
	}
	news := p.Accepted(a.Match, r.lead.ticks)
	switch p.State {
	case progress.Probe:
		switch {
		case p.Probed(a.Match, news):
			p.BecomeReplicate()
		case p.Agreed(a.Prev):
			p.StreamOn()
		}
	case progress.Replicate:
	case progress.Snapshot:
		if p.Match >= r.log.base.Index && p.Match > 0 {
			p.BecomeReplicate() // caught up by other means
		} else {
			r.repeatChunk(p, out)
		}
	}
	if news {
		r.leaderCommit(out)
	}
	r.releaseSending(out)
	r.sendEntries(p, out)
	r.followedUp(p, out)
}

// followedUp goes on with what waited for p to have more of the log. p may be
// no peer after that.
func (r *Raft) followedUp(p *progress.Progress, out *Ready) {
	if p.ID == r.handover.target && !r.handover.asked {
		r.askToStand(out)
	}
	r.catchUp(p)
	if p.Leaving {
		r.dropLeaving()
	}
}

// nextAfter is where to probe a follower whose log may match up to hint: past
// the last entry of this log that may match it. When that lies below what this
// log still holds, it is where only a snapshot helps.
func (r *Raft) nextAfter(hint EntryID) Index {
	may := r.log.conflict(hint)
	if may.Term > hint.Term {
		return may.Index
	}
	return may.Index + 1
}
