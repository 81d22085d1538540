package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// A disk that is emptied, or put back to an older state, under the same id breaks
// the one promise that everything else stands on: what was acknowledged stays. No
// protocol makes that safe by itself, as votes and entries that nobody else has may
// be gone. What can be done is to notice it soon, and to count the replica for
// nothing from then on.
//
// A leader has proof in two cases, whichever part of the disk was lost:
//
//   - The replica refuses an append behind an index that it has acknowledged in
//     this term, or says that its log ends before, or (as the hint of a refusal
//     further on) that it may match no further than before, and the append left after the leader knew of that, or the
//     refusal is of a later boot than all acknowledgements. While a term lasts
//     only its leader cuts a log, and never below what is acknowledged; so a disk
//     that keeps everything can not come to such a refusal, in whatever order
//     messages arrive.
//   - It answers, in an earlier boot than the leader has heard of, what left
//     after that. A boot number grows with each start, and who was started later
//     does not bear a smaller one.
//
// From then on its word is no part of any quorum: not of matches, contact, rounds
// of reads or leases. It is fed nothing, is not asked to take over, and is told;
// who was told votes for nobody, stands for nothing and takes no entries until it
// is started again, and tells every leader that does not know. So it is as good as
// crashed, which Raft survives as long as a majority of the others does. An
// operator removes it, and adds a new replica under a new id.
//
// What is left is the time between its start and the proof. It votes for nobody
// within the first election timeout (hearsLeader), in which a leader that is in
// office and in touch has had its proof. With no leader in office, or after a
// leader that has not heard of this replica in its own term, nobody notices: a
// disk that was lost must never be started under its old id while no leader leads
// (documentation of State).

// countsForNothing looks at an answer to an append for proof that its sender has
// lost what it had, and says whether it has, now or before.
func (r *Raft) countsForNothing(m *Message, out *Ready) bool {
	p := r.peer(m.From)
	if r.role != RoleLeader || m.Term != r.term || p == nil {
		return false
	}
	a := &m.AppendEntriesResponse
	lacks := a.Reject && a.Prev <= p.Match || a.Hint.Index < p.Match
	forgot := lacks && p.Match > 0 && a.Sent > 0 &&
		(a.Sent > p.MatchSince || m.Boot > p.Boot)
	reborn := m.Boot < p.Boot && a.Sent > p.BootSince
	if (forgot || reborn || a.Lost) && !p.Lost {
		p.BecomeLost()
		out.Events = append(out.Events, Event{EventDiskLost, p.ID})
		r.releaseSending(out)
		if p.ID == r.handover.target {
			r.targetUnfit(out)
		}
		return true
	}
	return p.Lost
}

// tellLoss is the heartbeat of a replica that counts for nothing.
func (r *Raft) tellLoss(p *progress.Progress, out *Ready) {
	a := &r.message(out, KindAppendEntries, p.ID, false).AppendEntries
	a.Round, a.Sent, a.Lost = r.lead.reads.round, r.lead.ticks, true
}

// learnLoss is what the leader's word does to this replica.
func (r *Raft) learnLoss(out *Ready) {
	if !r.lost {
		r.lost = true
		out.Events = append(out.Events, Event{EventDiskLost, r.cfg.ID})
	}
}
