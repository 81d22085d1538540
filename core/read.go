package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// Reads by read index (dissertation §6.4). The leader notes its commit index,
// makes sure that it still led after the read came in, by a round of contact
// with a quorum, and only then says up to where the state machine must have
// applied. Reads that come in while a round is out share the next one.
//
// A round is named by the leader's term and a counter that starts at zero with
// the term: a term has one leader, and a replica leads a term once, so no
// answer can be taken for one to another round.
//
// A lease spares the round (§6.4.1): followers that hear a leader vote for
// nobody else for an election timeout, so as long as a quorum has heard it
// within less than that, no other leader can have committed anything. What
// breaks that promise makes the lease void: a transfer asks for votes in spite
// of it, so a leader that has begun one holds no lease in its term any more. A
// replica that has started again keeps its promise as if it had just heard a
// leader.

// confirmedReads is the leader's part. A round begins with all reads that wait
// for the next one, whole, so that none is looked at until it is confirmed.
type confirmedReads struct {
	round uint64 // the latest round begun
	index Index  // the commit index at its beginning
	out   sharedReads
	next  sharedReads
}

// sharedReads are the reads that share a round.
type sharedReads struct {
	tags []uint64 // clients', here
	// requests are followers': at most one of each, as it waits for the answer to
	// its latest only.
	requests []ReadID
}

func (s *sharedReads) len() int { return len(s.tags) + len(s.requests) }

func (s *sharedReads) clone() sharedReads {
	return sharedReads{append([]uint64(nil), s.tags...), append([]ReadID(nil), s.requests...)}
}

func (s *sharedReads) reset() { s.tags, s.requests = s.tags[:0], s.requests[:0] }

// of is the request of that replica, or nil.
func (s *sharedReads) of(id ReplicaID) *ReadID {
	for i := range s.requests {
		if s.requests[i].Replica == id {
			return &s.requests[i]
		}
	}
	return nil
}

func (c *confirmedReads) len() int { return c.out.len() + c.next.len() }

// forwardedReads is the follower's part: one request to the leader is out at a
// time, for all reads that waited when it was sent.
type forwardedReads struct {
	sent         []uint64 // tags of the reads that the request is for
	next         []uint64 // tags of those that came after it
	counter      uint64   // of the request that is out; zero: none
	elapsedTicks uint32   // since it was sent last
	ageTicks     uint32   // since it was sent first
}

func (f *forwardedReads) len() int { return len(f.sent) + len(f.next) }

func (r *Raft) handleRead(in *Input, out *Ready) {
	tag := in.Tag
	switch {
	case r.role == RoleLeader && in.Lease && r.leaseHolds(in.LeaseDriftPPM):
		out.Reads = append(out.Reads, ReadReady{tag, r.log.commitIndex, true})
	case r.role == RoleLeader:
		reads := &r.lead.reads
		if uint32(reads.len()) >= r.cfg.Limits.Reads {
			r.refuse(out, tag, RefusedReadsFull)
			return
		}
		reads.next.tags = append(reads.next.tags, tag)
		r.startRound(out)
	case r.leader == 0:
		r.refuse(out, tag, RefusedNoLeader)
	case uint32(r.follower.reads.len()) >= r.cfg.Limits.Reads:
		r.refuse(out, tag, RefusedReadsFull)
	default:
		r.follower.reads.next = append(r.follower.reads.next, tag)
		r.forwardReads(out)
	}
}

// leaseHolds says whether no other replica can have been elected: a quorum
// promised to vote for nobody for ElectionTicks of its own clocks, when it
// heard what this leader sent at a time that is not long gone by its own.
// Clocks are read in whole ticks, so each side may be wrong by one.
func (r *Raft) leaseHolds(driftPPM uint32) bool {
	if r.lead.leaseVoid || r.log.commitIndex < r.lead.termStart {
		return false
	}
	from := r.voters().Reached(r.leaseOf)
	if from == 0 {
		return false
	}
	const million = 1_000_000
	elapsed, timeout := r.lead.ticks-from, uint64(r.cfg.ElectionTicks)
	return elapsed < timeout && (elapsed+1)*(million+uint64(driftPPM)) <= (timeout-1)*million
}

func (r *Raft) leaseOf(id ReplicaID) uint64 {
	if id == r.cfg.ID {
		return r.lead.ticks
	}
	if p := r.peer(id); p != nil {
		return p.LeaseFrom
	}
	return 0
}

// startRound begins a round for the reads that have none, unless one is out
// or the leader does not know yet what is committed.
func (r *Raft) startRound(out *Ready) {
	reads := &r.lead.reads
	if reads.next.len() == 0 || reads.out.len() > 0 || r.log.commitIndex < r.lead.termStart {
		return
	}
	reads.round++
	reads.index = r.log.commitIndex
	reads.out, reads.next = reads.next, reads.out
	if self := r.peer(r.cfg.ID); self != nil {
		self.Round = reads.round
	}
	r.sendHeartbeats(out)
	r.confirmReads(out)
}

// answered notes that a peer was in this term when it got what was sent then,
// in that round. An answer that waited for its disk may name neither.
func (r *Raft) answered(p *progress.Progress, round, sent uint64, out *Ready) {
	p.LeaseFrom = max(p.LeaseFrom, sent)
	if round > p.Round {
		p.Round = round
		r.confirmReads(out)
	}
}

// confirmReads releases the reads whose round a quorum has answered.
func (r *Raft) confirmReads(out *Ready) {
	reads := &r.lead.reads
	if reads.out.len() == 0 || reads.round > r.voters().Reached(r.roundOf) {
		return
	}
	for _, tag := range reads.out.tags {
		out.Reads = append(out.Reads, ReadReady{tag, reads.index, false})
	}
	for _, id := range reads.out.requests {
		resp := &r.message(out, KindReadIndexResponse, id.Replica, false).ReadIndexResponse
		resp.ID, resp.Index = id, reads.index
	}
	reads.out.reset()
	r.startRound(out)
}

func (r *Raft) roundOf(id ReplicaID) uint64 {
	if p := r.peer(id); p != nil {
		return p.Round
	}
	return 0
}

// refuseReads answers the reads of a leader that leads no longer: whether it
// still led when they came in can not be known any more.
func (r *Raft) refuseReads(out *Ready) {
	for _, s := range [...]*sharedReads{&r.lead.reads.out, &r.lead.reads.next} {
		for _, tag := range s.tags {
			r.refuse(out, tag, RefusedLeadershipLost)
		}
		for _, id := range s.requests {
			resp := &r.message(out, KindReadIndexResponse, id.Replica, false).ReadIndexResponse
			resp.ID, resp.Refused = id, RefusedLeadershipLost
		}
	}
}

// handleReadIndex takes a follower's request in. The same request may come
// again: its answer may have been lost. One that is not later than what waits
// already asks for nothing more.
func (r *Raft) handleReadIndex(m *Message, out *Ready) {
	id, reads := m.ReadIndex.ID, &r.lead.reads
	refused := RefusedNone
	switch {
	case r.role != RoleLeader:
		refused = RefusedNotLeader
	case uint32(reads.len()) >= r.cfg.Limits.Reads:
		refused = RefusedReadsFull
	}
	if refused != RefusedNone {
		resp := &r.message(out, KindReadIndexResponse, m.From, false).ReadIndexResponse
		resp.ID, resp.Refused = id, refused
		return
	}
	r.heard(m)
	if o := reads.out.of(id.Replica); o != nil && !id.After(*o) {
		return
	}
	if o := reads.next.of(id.Replica); o == nil {
		reads.next.requests = append(reads.next.requests, id)
	} else if id.After(*o) {
		*o = id
	}
	r.startRound(out)
}

// forwardReads sends one request for all reads that have none, unless one is
// out.
func (r *Raft) forwardReads(out *Ready) {
	f := &r.follower.reads
	if f.counter != 0 || len(f.next) == 0 {
		return
	}
	r.readCounter++
	f.counter = r.readCounter
	f.ageTicks = 0
	f.sent, f.next = f.next, f.sent[:0]
	r.sendForwarded(out)
}

func (r *Raft) sendForwarded(out *Ready) {
	r.follower.reads.elapsedTicks = 0
	r.message(out, KindReadIndex, r.leader, false).ReadIndex.ID =
		ReadID{Replica: r.cfg.ID, Boot: r.cfg.Boot, Counter: r.follower.reads.counter}
}

// tickForwarded repeats the request, and gives up after an upper election
// timeout: the leader may be one that hears nobody.
func (r *Raft) tickForwarded(n uint32, out *Ready) {
	f := &r.follower.reads
	if f.counter == 0 {
		return
	}
	f.elapsedTicks = saturate(f.elapsedTicks, n)
	f.ageTicks = saturate(f.ageTicks, n)
	switch {
	case f.ageTicks >= 2*r.cfg.ElectionTicks:
		r.refuseForwarded(out, RefusedTimeout)
	case f.elapsedTicks >= r.cfg.HeartbeatTicks:
		r.sendForwarded(out)
	}
}

// handleReadIndexResponse releases or refuses the reads of the request that is
// out; an answer to any other comes too late.
func (r *Raft) handleReadIndexResponse(m *Message, out *Ready) {
	a, f := &m.ReadIndexResponse, &r.follower.reads
	if f.counter == 0 || a.ID.Counter != f.counter || a.ID.Boot != r.cfg.Boot || a.ID.Replica != r.cfg.ID || m.Term < r.term {
		return
	}
	for _, tag := range f.sent {
		if a.Refused == RefusedNone {
			out.Reads = append(out.Reads, ReadReady{tag, a.Index, false})
		} else {
			r.refuse(out, tag, a.Refused)
		}
	}
	f.sent, f.counter = f.sent[:0], 0
	r.forwardReads(out)
}

func (r *Raft) refuseForwarded(out *Ready, reason RefusalReason) {
	f := &r.follower.reads
	for _, tags := range [...][]uint64{f.sent, f.next} {
		for _, tag := range tags {
			r.refuse(out, tag, reason)
		}
	}
	*f = forwardedReads{sent: f.sent[:0], next: f.next[:0]}
}
