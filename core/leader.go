package core

import (
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// leading is what only a leader has. It is emptied when the role changes.
type leading struct {
	// peers are all members, this replica included, sorted by id.
	peers []progress.Progress
	// termStart is the index of the no-op that opened the term. Until it is
	// committed, the leader does not know what is (dissertation §6.4).
	termStart Index
	// ticks is the time in office, from 1 on, so that zero names none.
	ticks            uint64
	heartbeatElapsed uint32
	// preferredTicks have passed since it took office or tried to hand over to a
	// voter of higher priority.
	preferredTicks uint32
	// leaseVoid: it has asked another replica to stand for election in this term.
	leaseVoid bool
	reads     confirmedReads
	// sending is a snapshot older than the latest one that is still on its way
	// to a peer; zero: none.
	sending Snapshot
}

// becomeLeader opens the term with a no-op: by committing it the leader
// commits everything before it (dissertation §3.6.2, §6.4).
func (r *Raft) becomeLeader(out *Ready) {
	r.becomeFollower(out)
	r.role, r.leader = RoleLeader, r.cfg.ID
	if r.handover.active() {
		r.endHandover(r.cfg.ID, out)
	}
	r.lead = leading{termStart: r.log.lastIndex() + 1, ticks: 1}
	r.followMembers()
	r.leaderAppend(EntryNoop, nil)
	if self := r.peer(r.cfg.ID); self != nil {
		self.Match = r.log.persistedIndex
	}
	r.replicate(out)
}

// addPeer keeps the peers sorted by id.
func (r *Raft) addPeer(id ReplicaID) {
	i := 0
	for i < len(r.lead.peers) && r.lead.peers[i].ID < id {
		i++
	}
	if i < len(r.lead.peers) && r.lead.peers[i].ID == id {
		return
	}
	r.lead.peers = append(r.lead.peers, progress.Progress{})
	copy(r.lead.peers[i+1:], r.lead.peers[i:])
	r.lead.peers[i] = r.newProgress(id)
}

// peer is what this leader knows of id, or nil when id is not a member.
func (r *Raft) peer(id ReplicaID) *progress.Progress {
	for i := range r.lead.peers {
		if r.lead.peers[i].ID == id {
			return &r.lead.peers[i]
		}
	}
	return nil
}

// leaderResigns answers who waits for this leader, and empties the role.
func (r *Raft) leaderResigns(out *Ready) {
	r.refuseReads(out)
	if !r.lead.sending.IsZero() {
		out.Released = append(out.Released, r.lead.sending)
	}
	r.lead = leading{}
}

// tickLeader sends heartbeats, and steps down when no quorum was heard within
// the least election timeout: others may have elected another leader by then,
// and clients should look for it (dissertation §6.2).
func (r *Raft) tickLeader(n uint32, out *Ready) {
	r.lead.ticks += uint64(n)
	for i := range r.lead.peers {
		p := &r.lead.peers[i]
		p.QuietTicks = saturate(p.QuietTicks, n)
		p.Stream.AgeTicks = saturate(p.Stream.AgeTicks, n)
		r.tickCatchUp(p, n)
		if p.State == progress.Snapshot && p.QuietTicks >= 2*r.cfg.ElectionTicks {
			p.BecomeProbe(p.Match + 1)
		}
	}
	r.dropLeaving()
	r.releaseSending(out)
	if r.voters().Tally(r.heardFrom) != quorum.Won {
		r.becomeFollower(out)
		return
	}
	r.lead.heartbeatElapsed = saturate(r.lead.heartbeatElapsed, n)
	if r.lead.heartbeatElapsed >= r.cfg.HeartbeatTicks {
		r.sendHeartbeats(out)
	}
	r.tickPreferred(out)
}

func (r *Raft) heardFrom(id ReplicaID) quorum.Ballot {
	if p := r.peer(id); id == r.cfg.ID || p != nil && !p.Lost && p.QuietTicks < r.cfg.ElectionTicks {
		return quorum.BallotYes
	}
	return quorum.BallotNo
}

// handlePropose appends the proposals that fit, in order, and sends them on;
// this leader's own disk works at the same time (dissertation §10.2.1).
func (r *Raft) handlePropose(proposals []Proposal, out *Ready) {
	if r.role != RoleLeader {
		for i := range proposals {
			r.refuse(out, proposals[i].Tag, RefusedNotLeader)
		}
		return
	}
	if r.handover.active() {
		for i := range proposals {
			r.refuse(out, proposals[i].Tag, RefusedTransferring)
		}
		return
	}
	for i := range proposals {
		p := &proposals[i]
		bytes := uint64(len(p.Data)) + entryOverheadBytes
		switch {
		case uint64(len(p.Data)) > r.cfg.Limits.EntryBytes:
			r.refuse(out, p.Tag, RefusedTooLarge)
		case r.log.unappliedBytes > 0 && r.log.unappliedBytes+bytes > r.cfg.Limits.UnappliedBytes:
			r.refuse(out, p.Tag, RefusedUnappliedFull)
		default:
			id := r.leaderAppend(EntryCommand, p.Data)
			out.Accepted = append(out.Accepted, Accepted{p.Tag, id})
		}
	}
	r.replicate(out)
}

// leaderAppend gives the entry its name, its time and its place in the chain.
func (r *Raft) leaderAppend(kind EntryKind, data []byte) EntryID {
	e := Entry{
		EntryID: EntryID{Term: r.term, Index: r.log.lastIndex() + 1},
		Kind:    kind,
		Time:    min(r.clock, timeMax),
		Data:    data,
	}
	e.Digest = e.Chain(r.log.lastDigest())
	r.appendEntry(e)
	return e.EntryID
}

// leaderPersisted: this replica's own disk counts towards the quorum like any
// other, and no sooner.
func (r *Raft) leaderPersisted(out *Ready) {
	if self := r.peer(r.cfg.ID); self != nil && self.Accepted(r.log.persistedIndex, r.lead.ticks) {
		r.leaderCommit(out)
	}
}

// heard notes that a peer lives and is in this term. A new incarnation has
// forgotten what was on its way to the old one.
func (r *Raft) heard(m *Message) *progress.Progress {
	if r.role != RoleLeader || m.Term != r.term {
		return nil
	}
	p := r.peer(m.From)
	if p == nil {
		return nil
	}
	p.QuietTicks = 0
	if m.Boot > p.Boot {
		if p.Boot != 0 {
			p.BecomeProbe(p.Match + 1)
		}
		p.Boot, p.BootSince = m.Boot, r.lead.ticks
	}
	return p
}
