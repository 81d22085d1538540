package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// NextDeadline is after how many ticks this replica may next do something of
// its own accord, at least 1: a host that has nothing else for it may let that
// many pass and deliver them as one input. They must not be left out before
// any other input (see InputTick).
func (r *Raft) NextDeadline() uint32 {
	if l := &r.log; r.term != r.writtenTerm || l.handedIndex == l.appliedIndex && l.commitIndex > l.handedIndex {
		return 1 // after a start: what was found is owed with the first step
	}
	d := deadline{next: ^uint32(0)}
	timeout := r.cfg.ElectionTicks
	if r.diskBehind() && !r.diskStalled() {
		d.at(r.stalledTicks, r.stallTicks())
	}
	if r.jitterUsed {
		d.at(r.jitterTicks, timeout)
	}
	if h := &r.handover; h.active() {
		d.at(h.elapsedTicks, timeout)
		if h.asked {
			d.at(h.askedTicks, r.cfg.HeartbeatTicks)
		}
	}
	switch r.role {
	case RoleFollower:
		if (r.electionDue() || r.needsNobody()) && r.mayStand() {
			d.next = 1
		}
		if r.voters().Alone(r.cfg.ID) {
			d.at(r.contactTicks, timeout)
		}
		d.at(r.electionElapsed, r.electionTimeout)
		if f := &r.follower.reads; f.counter != 0 {
			d.at(f.elapsedTicks, r.cfg.HeartbeatTicks)
			d.at(f.ageTicks, 2*timeout)
		}
	case RolePreCandidate, RoleCandidate:
		d.at(r.electionElapsed, r.electionTimeout)
		if r.role == RoleCandidate {
			d.at(r.electionElapsed, r.stallTicks())
		}
		d.at(r.candidate.elapsedTicks, r.cfg.HeartbeatTicks)
		if r.candidate.delayTicks > 0 {
			d.at(0, r.candidate.delayTicks)
		}
	case RoleLeader:
		d.at(r.lead.heartbeatElapsed, r.cfg.HeartbeatTicks)
		d.at(r.lead.preferredTicks, r.preferredAfter())
		for i := range r.lead.peers {
			p := &r.lead.peers[i]
			d.at(p.QuietTicks, timeout)
			if p.State == progress.Snapshot {
				d.at(p.QuietTicks, 2*timeout)
			}
		}
		if !r.handover.active() && (r.diskStalled() || r.preferred() != 0) {
			d.next = 1 // someone to hand over to has come in touch, or may
		}
	}
	return d.next
}

// deadline is the least of several.
type deadline struct{ next uint32 }

// at counts a timer that has run for elapsed ticks and acts at due. One that
// is past that acts when something else happens.
func (d *deadline) at(elapsed, due uint32) {
	if elapsed < due {
		d.next = min(d.next, due-elapsed)
	}
}
