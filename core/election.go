package core

import (
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// restartElectionTimer draws the next timeout, from ElectionTicks up to twice
// that, with the one random number at hand. Until the host brings another, it is
// mixed with this replica's name: were the same number to serve twice, replicas
// with equal numbers would split the votes for ever.
//
// A candidate is silent until its own vote is durable. With slow disks the
// timeouts are drawn from a wider range, so that not everybody stands meanwhile.
func (r *Raft) restartElectionTimer() {
	if r.jitterUsed {
		mixed := digest.Word(digest.Word(uint64(r.jitter), uint64(r.cfg.ID)), uint64(r.cfg.Boot))
		r.jitter = uint32(digest.Finish(mixed) >> 32)
	}
	spread := r.cfg.ElectionTicks
	if r.diskTicks > spread/2 {
		spread += 4 * r.diskTicks
	}
	r.electionElapsed = 0
	r.electionTimeout = r.cfg.ElectionTicks + r.jitter%spread
	r.jitterUsed = true
}

func (r *Raft) tickElection(n uint32) {
	r.electionElapsed = saturate(r.electionElapsed, n)
	r.contactTicks = min(saturate(r.contactTicks, n), r.cfg.ElectionTicks)
}

func (r *Raft) electionDue() bool { return r.electionElapsed >= r.electionTimeout }

// handleRequestVote gives a vote at most once in a term, to a candidate whose
// log is up to date (dissertation §3.4, §3.6.1). What this replica's own,
// perhaps stale, configuration says about either of them does not matter
// (§4.2.2). A pre-vote changes nothing here, whatever the answer (§9.6).
func (r *Raft) handleRequestVote(m *Message, out *Ready) {
	v := &m.RequestVote
	grant := !r.lost && (v.Transfer || !r.hearsLeader()) && v.Last.UpToDate(r.log.last())
	if v.Pre {
		grant = grant && v.For > r.term
	} else {
		grant = grant && v.For == r.term && r.mayVoteFor(m.From)
		// The same vote again, for a candidate that missed the answer.
		grant = grant || !r.lost && v.For == r.term && r.vote == m.From
		if grant {
			r.vote = m.From
			r.electionElapsed = 0
		}
	}
	resp := &r.message(out, KindRequestVoteResponse, m.From, grant && !v.Pre).RequestVoteResponse
	resp.Pre, resp.For, resp.Round, resp.Granted = v.Pre, v.For, v.Round, grant
}

// mayVoteFor says whether the vote of this term is free, or given to id.
func (r *Raft) mayVoteFor(id ReplicaID) bool { return r.vote == 0 || r.vote == id }

// handleRequestVoteResponse counts an answer to the round under way.
func (r *Raft) handleRequestVoteResponse(m *Message, out *Ready) {
	v := &m.RequestVoteResponse
	voters := r.voters()
	switch {
	case !voters.Has(m.From):
		return
	case r.role == RolePreCandidate && v.Pre && v.For == r.term+1 && v.Round == r.candidate.round:
	case r.role == RoleCandidate && !v.Pre && v.For == r.term && m.Term == r.term:
	default:
		return // of an earlier round, or decided already
	}
	ballot := quorum.BallotNo
	if v.Granted {
		ballot = quorum.BallotYes
	}
	r.countBallot(m.From, ballot, out)
}

func saturate(a, n uint32) uint32 {
	if a+n < a {
		return ^uint32(0)
	}
	return a + n
}
