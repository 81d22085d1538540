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

// confirmedReads is the leader's part.
type confirmedReads struct {
	round   uint64 // the latest round begun
	waiting []waitingRead
}

// waitingRead waits for its round, or for one to begin while round is zero.
type waitingRead struct {
	tag   uint64 // a client's, here
	id    ReadID // a follower's request, unless zero
	round uint64
	index Index
}

// forwardedReads is the follower's part: one request to the leader is out at a
// time, for all reads that waited when it was sent.
type forwardedReads struct {
	waiting      []forwardedRead
	counter      uint64 // of the request that is out; zero: none
	elapsedTicks uint32 // since it was sent last
	ageTicks     uint32 // since it was sent first
}

type forwardedRead struct {
	tag     uint64
	counter uint64 // of its request; zero: not sent yet
}

func (r *Raft) handleRead(in *Input, out *Ready) {
	tag := in.Tag
	switch {
	case r.role == RoleLeader && in.Lease && r.leaseHolds(in.LeaseDriftPPM):
		out.Reads = append(out.Reads, ReadReady{tag, r.log.commitIndex, true})
	case r.role == RoleLeader:
		if uint32(len(r.lead.reads.waiting)) >= r.cfg.Limits.Reads {
			r.refuse(out, tag, RefusedReadsFull)
			return
		}
		r.lead.reads.waiting = append(r.lead.reads.waiting, waitingRead{tag: tag})
		r.startRound(out)
	case r.leader == 0:
		r.refuse(out, tag, RefusedNoLeader)
	case uint32(len(r.follower.reads.waiting)) >= r.cfg.Limits.Reads:
		r.refuse(out, tag, RefusedReadsFull)
	default:
		r.follower.reads.waiting = append(r.follower.reads.waiting, forwardedRead{tag: tag})
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
	n := len(reads.waiting)
	if n == 0 || reads.waiting[0].round != 0 || r.log.commitIndex < r.lead.termStart {
		return
	}
	reads.round++
	for i := range reads.waiting {
		reads.waiting[i].round = reads.round
		reads.waiting[i].index = r.log.commitIndex
	}
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
	if len(reads.waiting) == 0 {
		return
	}
	confirmed := r.voters().Reached(r.roundOf)
	n := 0
	for n < len(reads.waiting) && reads.waiting[n].round != 0 && reads.waiting[n].round <= confirmed {
		w := &reads.waiting[n]
		if w.id == (ReadID{}) {
			out.Reads = append(out.Reads, ReadReady{w.tag, w.index, false})
		} else {
			resp := &r.message(out, KindReadIndexResponse, w.id.Replica, false).ReadIndexResponse
			resp.ID, resp.Index = w.id, w.index
		}
		n++
	}
	if n > 0 {
		reads.waiting = reads.waiting[:copy(reads.waiting, reads.waiting[n:])]
		r.startRound(out)
	}
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
	for i := range r.lead.reads.waiting {
		w := &r.lead.reads.waiting[i]
		if w.id == (ReadID{}) {
			r.refuse(out, w.tag, RefusedLeadershipLost)
			continue
		}
		resp := &r.message(out, KindReadIndexResponse, w.id.Replica, false).ReadIndexResponse
		resp.ID, resp.Refused = w.id, RefusedLeadershipLost
	}
}

// handleReadIndex takes a follower's request in. The same request may come
// again: its answer may have been lost.
func (r *Raft) handleReadIndex(m *Message, out *Ready) {
	id := m.ReadIndex.ID
	refused := RefusedNone
	switch {
	case r.role != RoleLeader:
		refused = RefusedNotLeader
	case uint32(len(r.lead.reads.waiting)) >= r.cfg.Limits.Reads:
		refused = RefusedReadsFull
	}
	if refused != RefusedNone {
		resp := &r.message(out, KindReadIndexResponse, m.From, false).ReadIndexResponse
		resp.ID, resp.Refused = id, refused
		return
	}
	r.heard(m)
	for i := range r.lead.reads.waiting {
		if r.lead.reads.waiting[i].id == id {
			return
		}
	}
	r.lead.reads.waiting = append(r.lead.reads.waiting, waitingRead{id: id})
	r.startRound(out)
}

// forwardReads sends one request for all reads that have none, unless one is
// out.
func (r *Raft) forwardReads(out *Ready) {
	f := &r.follower.reads
	if f.counter != 0 || len(f.waiting) == 0 {
		return
	}
	r.readCounter++
	f.counter = r.readCounter
	f.ageTicks = 0
	for i := range f.waiting {
		f.waiting[i].counter = f.counter
	}
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
	n := 0
	for n < len(f.waiting) && f.waiting[n].counter == f.counter {
		if a.Refused == RefusedNone {
			out.Reads = append(out.Reads, ReadReady{f.waiting[n].tag, a.Index, false})
		} else {
			r.refuse(out, f.waiting[n].tag, a.Refused)
		}
		n++
	}
	f.waiting = f.waiting[:copy(f.waiting, f.waiting[n:])]
	f.counter = 0
	r.forwardReads(out)
}

func (r *Raft) refuseForwarded(out *Ready, reason RefusalReason) {
	f := &r.follower.reads
	for i := range f.waiting {
		r.refuse(out, f.waiting[i].tag, reason)
	}
	*f = forwardedReads{waiting: f.waiting[:0]}
}
