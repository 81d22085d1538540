package core

// leaderCommit moves the commit index to the last entry that a quorum holds
// durably, if it is of this leader's own term: an older entry may still be
// overwritten even though a majority holds it, and is committed only along
// with one of this term (dissertation §3.6.2, figure 3.7).
func (r *Raft) leaderCommit(out *Ready) {
	i := Index(r.voters().Reached(r.matchOf))
	term, _, ok := r.log.position(i)
	if i <= r.log.commitIndex || !ok || term != r.term {
		return
	}
	r.commitTo(i, out)
	r.startRound(out)
}

func (r *Raft) matchOf(id ReplicaID) uint64 {
	if p := r.peer(id); p != nil {
		return uint64(p.Match)
	}
	return 0
}

// commitTo moves the commit index forward, never back.
func (r *Raft) commitTo(i Index, out *Ready) {
	before := r.log.commitIndex
	r.log.commitIndex = max(before, min(i, r.log.lastIndex()))
	if r.members().Index > before {
		r.noteCommitted(before, out)
	}
}
