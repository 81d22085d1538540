package core

import "github.com/seaworthy-raft/seaworthy/core/quorum"

// candidate is what only a pre-candidate or candidate has: the ballots of the
// round under way, one for each replica that answered.
type candidate struct {
	ballots      []ballot
	round        uint64 // of a pre-candidate
	elapsedTicks uint32 // since the round's requests were sent last
	transfer     bool   // the leader wanted it to stand
	refused      bool   // somebody has refused it a vote in this round
	// delayTicks are left until a pre-candidate that has won stands; zero: it has
	// not won, or does not wait.
	delayTicks uint32
}

type ballot struct {
	id  ReplicaID
	say quorum.Ballot
}

// becomePreCandidate asks whether an election could be won, before it
// disturbs anyone with a new term (dissertation §9.6).
func (r *Raft) becomePreCandidate(out *Ready) {
	r.becomeFollower(out)
	r.role = RolePreCandidate
	r.voteRounds++
	r.candidate = candidate{round: uint64(r.cfg.Boot)<<32 + r.voteRounds}
	r.requestVotes(out)
	r.countBallot(r.cfg.ID, quorum.BallotYes, out)
}

// becomeCandidate stands for election in a new term, of its own accord or,
// with transfer, of the leader's. Its own vote counts, and the requests leave,
// when term and vote are durable.
func (r *Raft) becomeCandidate(transfer bool, out *Ready) {
	r.becomeFollower(out)
	r.role = RoleCandidate
	r.term++
	r.vote = r.cfg.ID
	r.candidate = candidate{transfer: transfer}
	r.requestVotes(out)
}

// requestVotes asks every voter that has not answered in this round.
func (r *Raft) requestVotes(out *Ready) {
	r.candidate.elapsedTicks = 0
	c := r.members()
	c.Each(func(id ReplicaID) {
		if id == r.cfg.ID || !c.Votes(id) || r.ballotOf(id) != quorum.BallotMissing {
			return
		}
		v := &r.message(out, KindRequestVote, id, false).RequestVote
		v.Last = r.log.last()
		v.Pre = r.role == RolePreCandidate
		v.Transfer, v.Round = r.candidate.transfer, r.candidate.round
		v.For = r.term
		if v.Pre {
			v.For++
		}
	})
}

// tickCandidate starts over when the round takes too long, and repeats its
// requests meanwhile, as messages get lost.
func (r *Raft) tickCandidate(n uint32, out *Ready) {
	r.tickElection(n)
	if r.durableTerm < r.term {
		// Its requests have not left yet: the round begins when the disk is done.
		r.electionElapsed, r.candidate.elapsedTicks = 0, 0
		return
	}
	if c := &r.candidate; c.delayTicks > 0 && r.mayStand() {
		if c.delayTicks -= min(n, c.delayTicks); c.delayTicks == 0 {
			r.becomeCandidate(false, out)
		}
		return
	}
	if r.electionDue() && !r.awaitsVotes() {
		if r.mayStand() {
			r.becomePreCandidate(out)
		} else {
			r.becomeFollower(out)
		}
		return
	}
	r.candidate.elapsedTicks = saturate(r.candidate.elapsedTicks, n)
	if r.candidate.elapsedTicks >= r.cfg.HeartbeatTicks {
		r.requestVotes(out)
	}
}

// awaitsVotes says whether it is better to go on asking than to start over: who
// would have voted answered the pre-vote a moment ago, nobody has refused, and a
// vote comes when the voter's disk is done. A candidate that starts over sooner
// than that, with another term to be written, is never elected.
func (r *Raft) awaitsVotes() bool {
	return r.role == RoleCandidate && !r.candidate.refused && r.electionElapsed < r.stallTicks()
}

// wonPreVote stands for election, at once if the answers came at once. If they were
// late, a slow voter may just have answered everybody who asked, and all of them
// would stand in the same moment, time and again: then it waits for a random time,
// in which another one may ask for its vote.
func (r *Raft) wonPreVote(out *Ready) {
	switch c := &r.candidate; {
	case r.electionElapsed < r.cfg.ElectionTicks/2:
		r.becomeCandidate(false, out)
	case c.delayTicks == 0:
		c.delayTicks = 1 + r.electionTimeout%r.cfg.ElectionTicks
	}
}

// countBallot notes what id says; its first word in a round stands.
func (r *Raft) countBallot(id ReplicaID, say quorum.Ballot, out *Ready) {
	if r.ballotOf(id) == quorum.BallotMissing {
		r.candidate.ballots = append(r.candidate.ballots, ballot{id, say})
	}
	r.candidate.refused = r.candidate.refused || say == quorum.BallotNo
	switch r.voters().Tally(r.ballotOf) {
	case quorum.Won:
		// Votes may be here before the news that the own one is durable. With that
		// they are counted again.
		if r.role == RolePreCandidate {
			r.wonPreVote(out)
		} else if r.durableTerm == r.term {
			r.becomeLeader(out)
		}
	case quorum.Lost:
		r.becomeFollower(out)
	}
}

func (r *Raft) ballotOf(id ReplicaID) quorum.Ballot {
	for _, b := range r.candidate.ballots {
		if b.id == id {
			return b.say
		}
	}
	return quorum.BallotMissing
}
