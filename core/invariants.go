package core

import (
	"errors"
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core/progress"
)

// CheckInvariants says whether this replica's state contradicts itself. It
// looks at one moment only: what may change between two, and what must hold
// between replicas, a simulator checks. It costs little, so that it can run
// after every step of a simulation.
func (r *Raft) CheckInvariants() error {
	for _, check := range invariants {
		if broken := check.broken(r); broken {
			return fmt.Errorf("%s: %+v: %w", check.sentence, r.Status(), errInvariant)
		}
	}
	return nil
}

var errInvariant = errors.New("core: invariant broken")

// invariants are one sentence and one check each.
var invariants = [...]struct {
	sentence string
	broken   func(r *Raft) bool
}{
	{"positions are ordered: base <= applied <= handed <= commit <= last, base <= persisted <= last", func(r *Raft) bool {
		l := &r.log
		restoring := r.snapshot.Index > l.appliedIndex // a snapshot waits to be loaded
		return l.base.Index > l.appliedIndex && !restoring ||
			l.appliedIndex > l.handedIndex || l.handedIndex > l.commitIndex ||
			l.commitIndex > l.lastIndex() || l.persistedIndex > l.lastIndex() ||
			l.base.Index > l.persistedIndex
	}},
	{"the log reaches back to the snapshot", func(r *Raft) bool {
		return r.log.base.Index > r.snapshot.Index
	}},
	{"no entry is of a later term than the replica's", func(r *Raft) bool {
		return r.log.last().Term > r.term || r.log.acceptTerm > r.term
	}},
	{"nothing is durable that was not written: the durable term and vote are not ahead", func(r *Raft) bool {
		return r.durableTerm > r.term || r.durableTerm == r.term && r.durableVote != 0 && r.durableVote != r.vote
	}},
	{"log time does not run ahead of the clock", func(r *Raft) bool {
		return r.log.lastTime() > r.clock
	}},
	{"a leader knows itself as leader, and leads a durable term with its own vote", func(r *Raft) bool {
		return r.role == RoleLeader && (r.leader != r.cfg.ID || r.vote != r.cfg.ID || r.durableTerm != r.term)
	}},
	{"a candidate voted for itself", func(r *Raft) bool {
		return r.role == RoleCandidate && r.vote != r.cfg.ID
	}},
	{"who does not follow knows no leader, and has no reads at one", func(r *Raft) bool {
		return (r.role == RolePreCandidate || r.role == RoleCandidate) && r.leader != 0 ||
			r.role != RoleFollower && r.follower.reads.len() > 0
	}},
	{"only a leader has peers, and only a candidate has ballots", func(r *Raft) bool {
		return (r.role == RoleLeader) != (len(r.lead.peers) > 0) ||
			r.role != RolePreCandidate && r.role != RoleCandidate && len(r.candidate.ballots) > 0
	}},
	{"every peer: match < next <= last+1, and the window holds what lies between", func(r *Raft) bool {
		for i := range r.lead.peers {
			if p := &r.lead.peers[i]; p.Match >= p.Next || p.Next > r.log.lastIndex()+1 && p.ID != r.cfg.ID ||
				p.State != progress.Replicate && p.Window.Len() > 0 ||
				p.State != progress.Snapshot && p.Stream.Size != 0 {
				return true
			}
		}
		return false
	}},
	{"a leader counts its own log as durable only as far as it is", func(r *Raft) bool {
		if r.role != RoleLeader {
			return false
		}
		self := r.peer(r.cfg.ID)
		return self != nil && self.Match > r.log.persistedIndex
	}},
	{"a leader does not commit what no quorum holds", func(r *Raft) bool {
		for i := range r.lead.peers {
			if r.lead.peers[i].Lost {
				return false // it held what it has lost
			}
		}
		return r.role == RoleLeader && r.log.commitIndex >= max(r.lead.termStart, r.members().Index) &&
			Index(r.voters().Reached(r.matchOf)) < r.log.commitIndex
	}},
	{"no read waits for a round to begin that could", func(r *Raft) bool {
		l := &r.lead
		return l.reads.next.len() > 0 && l.reads.out.len() == 0 && r.log.commitIndex >= l.termStart
	}},
	{"no read waits for a round that a quorum has answered", func(r *Raft) bool {
		return r.role == RoleLeader && r.lead.reads.out.len() > 0 &&
			r.lead.reads.round <= r.voters().Reached(r.roundOf)
	}},
	{"a follower's reads wait for a request that is out", func(r *Raft) bool {
		f := &r.follower.reads
		return f.len() > 0 && f.counter == 0 || f.counter != 0 && len(f.sent) == 0
	}},
	{"a leader follows exactly the members, itself, and those who are yet to learn that they are none", func(r *Raft) bool {
		if r.role != RoleLeader {
			return false
		}
		broken := false
		r.members().Each(func(id ReplicaID) { broken = broken || r.peer(id) == nil })
		for i := range r.lead.peers {
			p := &r.lead.peers[i]
			broken = broken || p.Leaving != (!r.members().Has(p.ID) && p.ID != r.cfg.ID)
		}
		return broken
	}},
	{"configurations stand in the order of their entries, in the log or before it", func(r *Raft) bool {
		for i := range r.configurations {
			c := &r.configurations[i]
			if c.Index > r.log.lastIndex() || i > 0 && c.Index <= r.configurations[i-1].Index {
				return true
			}
		}
		return false
	}},
	{"one configuration at most is uncommitted that this leader appended", func(r *Raft) bool {
		n := 0
		for i := range r.configurations {
			if r.role == RoleLeader && r.configurations[i].Index > max(r.log.commitIndex, r.lead.termStart) {
				n++
			}
		}
		return n > 1
	}},
	{"who hands over was the leader, and does not do so for ever", func(r *Raft) bool {
		return r.handover.active() && r.handover.elapsedTicks >= r.cfg.ElectionTicks
	}},
	{"queues stay within their bounds", func(r *Raft) bool {
		n := uint32(r.lead.reads.len())
		return n > r.cfg.Limits.Reads || uint32(r.follower.reads.len()) > r.cfg.Limits.Reads
	}},
}
