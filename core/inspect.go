package core

import (
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/core/progress"
)

// Office is a replica's part in the cluster: the few things of its Status that
// a host may want to compare after every step.
type Office struct {
	Role   Role
	Term   Term
	Leader ReplicaID // zero: unknown
	Commit Index
	// Configuration names the one that counts; zero: the founding one.
	Configuration EntryID
	// Successor is to whom this replica is handing over; zero: it is not.
	Successor ReplicaID
}

// Office makes no copies and allocates nothing.
func (r *Raft) Office() Office {
	return Office{
		Role: r.role, Term: r.term, Leader: r.leader, Commit: r.log.commitIndex,
		Configuration: r.members().EntryID, Successor: r.handover.target,
	}
}

// Status is what a replica looks like from outside, at one moment.
type Status struct {
	Office
	ID     ReplicaID
	Vote   ReplicaID
	Halted HaltReason

	// Positions: snapshot and first-1 <= applied <= commit <= last,
	// persisted <= last. Commit is in Office.
	First      Index // the first entry still in the log; last+1 when there is none
	Last       EntryID
	LastDigest uint64 // the digest of the whole log
	Snapshot   EntryID
	Applied    Index
	Handed     Index // handed out to be applied
	Persisted  Index

	DurableTerm Term // what the disk has acknowledged
	DurableVote ReplicaID
	Clock       uint64 // log time, ticks

	ReadsWaiting   int
	UnappliedBytes uint64 // of entries that are not applied

	// Lost: a leader has proof that this disk has lost what it had acknowledged; see
	// EventDiskLost.
	Lost bool
}

// Status makes no copies and allocates nothing.
func (r *Raft) Status() Status {
	return Status{
		Office: r.Office(), ID: r.cfg.ID, Vote: r.vote, Halted: r.halted,
		First: r.log.base.Index + 1, Last: r.log.last(), LastDigest: r.log.lastDigest(),
		Snapshot: r.snapshot.EntryID, Applied: r.log.appliedIndex, Handed: r.log.handedIndex,
		Persisted:   r.log.persistedIndex,
		DurableTerm: r.durableTerm, DurableVote: r.durableVote, Clock: r.clock,
		ReadsWaiting:   r.lead.reads.len() + r.follower.reads.len(),
		UnappliedBytes: r.log.unappliedBytes,
		Lost:           r.lost,
	}
}

// Entry is the entry at i, if the log still holds it.
func (r *Raft) Entry(i Index) (Entry, bool) {
	if e := r.log.at(i); e != nil {
		return *e, true
	}
	return Entry{}, false
}

// Position is the term and the chain digest at i, known from the last
// compacted entry to the end.
func (r *Raft) Position(i Index) (term Term, chain uint64, ok bool) { return r.log.position(i) }

// PositionTime is the log time at i, known where Position is.
func (r *Raft) PositionTime(i Index) uint64 {
	if e := r.log.at(i); e != nil {
		return e.Time
	}
	return r.log.baseTime
}

// Configuration is the latest one in the log. Its slices are shared and must
// not be changed.
func (r *Raft) Configuration() Configuration { return *r.members() }

// ConfigurationAt is the configuration that counted when the log ended at i,
// for a snapshot there; i is not before the latest snapshot. It reports false
// if this replica does not know any: it is new, and must not take a snapshot
// before it has been told.
func (r *Raft) ConfigurationAt(i Index) (Configuration, bool) {
	c := r.configurationAt(i)
	return *c, len(c.Voters) > 0
}

// Snapshot is the latest durable one.
func (r *Raft) Snapshot() Snapshot { return r.snapshot }

// Peers calls f for every member that a leader follows, itself included, in
// order of id. The progress must not be changed or kept.
func (r *Raft) Peers(f func(*progress.Progress)) {
	for i := range r.lead.peers {
		f(&r.lead.peers[i])
	}
}

// Clone copies the replica. The two share nothing that either will change;
// entry data is shared, as nobody changes it.
func (r *Raft) Clone() *Raft {
	c := *r
	c.log.entries, c.log.vacant = append([]Entry(nil), r.log.entries...), 0
	c.candidate.ballots = append([]ballot(nil), r.candidate.ballots...)
	c.follower.reads.sent = append([]uint64(nil), r.follower.reads.sent...)
	c.follower.reads.next = append([]uint64(nil), r.follower.reads.next...)
	c.lead.reads.out = r.lead.reads.out.clone()
	c.lead.reads.next = r.lead.reads.next.clone()
	c.configurations = append([]Configuration(nil), r.configurations...)
	c.lead.peers = append([]progress.Progress(nil), r.lead.peers...)
	for i := range c.lead.peers {
		c.lead.peers[i].Window = r.lead.peers[i].Window.Clone()
	}
	return &c
}

// Hash names the exact state: two replicas with the same hash answer every
// input alike.
func (r *Raft) Hash() uint64 {
	h := hasher{exact: true, rename: func(id ReplicaID) ReplicaID { return id }}
	return h.raft(r)
}

// CanonicalHash names the state up to what a search need not tell apart:
// timers, log times and counters that only ever grow are left out, and
// replicas go by the names that rename gives them.
func (r *Raft) CanonicalHash(rename func(ReplicaID) ReplicaID) uint64 {
	h := hasher{rename: rename}
	return h.raft(r)
}

// hasher folds a state, word by word, in one fixed order. Sets are folded by
// adding the words of their members, so that a renaming need not sort them.
type hasher struct {
	sum    uint64
	exact  bool
	rename func(ReplicaID) ReplicaID
}

func (h *hasher) word(w uint64) { h.sum = digest.Word(h.sum, w) }

// free folds what only the exact hash sees.
func (h *hasher) free(w uint64) {
	if h.exact {
		h.word(w)
	}
}

func (h *hasher) flag(b bool) {
	if b {
		h.word(1)
	} else {
		h.word(0)
	}
}

func (h *hasher) id(id ReplicaID) {
	if id != 0 {
		id = h.rename(id)
	}
	h.word(uint64(id))
}

func (h *hasher) entryID(id EntryID) {
	h.word(uint64(id.Term))
	h.word(uint64(id.Index))
}

// set folds n members in any order: each is folded alone, and the results are
// added.
func (h *hasher) set(n int, member func(h *hasher, i int)) {
	total := uint64(0)
	for i := 0; i < n; i++ {
		one := hasher{exact: h.exact, rename: h.rename}
		member(&one, i)
		total += digest.Finish(one.sum)
	}
	h.word(uint64(n))
	h.word(total)
}

func (h *hasher) ids(set []ReplicaID) {
	h.set(len(set), func(h *hasher, i int) { h.id(set[i]) })
}

func (h *hasher) configuration(c *Configuration) {
	h.entryID(c.EntryID)
	h.ids(c.Voters)
	h.ids(c.Outgoing)
	h.ids(c.Learners)
	h.set(len(c.Planned), func(h *hasher, i int) {
		h.word(uint64(c.Planned[i].Kind))
		h.id(c.Planned[i].ID)
	})
	h.set(len(c.Members), func(h *hasher, i int) {
		m := &c.Members[i]
		h.id(m.ID)
		h.word(uint64(m.Priority))
		h.sum = digest.String(h.sum, m.Address)
	})
	h.free(uint64(c.Highest))
}

func (h *hasher) snapshot(s *Snapshot) {
	h.entryID(s.EntryID)
	h.free(s.Digest)
	h.free(s.Time)
	h.free(s.Size)
	h.free(s.Sum)
	h.configuration(&s.Configuration)
}

func (h *hasher) raft(r *Raft) uint64 {
	h.id(r.cfg.ID)
	h.word(uint64(r.cfg.Cluster))
	h.free(uint64(r.cfg.Boot))
	h.free(uint64(r.cfg.ElectionTicks))
	h.free(uint64(r.cfg.HeartbeatTicks))
	l := &r.cfg.Limits
	for _, w := range [...]uint64{l.EntryBytes, l.MessageBytes, uint64(l.InflightMessages), l.InflightBytes,
		l.UnappliedBytes, l.ApplyBytes, l.TrailingBytes, uint64(l.ChunkBytes), uint64(l.Reads)} {
		h.free(w)
	}
	h.word(uint64(r.halted))
	h.word(uint64(r.term))
	h.id(r.vote)
	h.word(uint64(r.durableTerm))
	h.id(r.durableVote)
	h.word(uint64(r.writtenTerm))
	h.id(r.writtenVote)
	h.free(uint64(r.writtenCommit))
	h.log(&r.log)
	h.word(uint64(len(r.configurations)))
	for i := range r.configurations {
		h.configuration(&r.configurations[i])
	}
	h.snapshot(&r.snapshot)
	h.word(uint64(r.role))
	h.id(r.leader)
	h.free(r.clock)
	h.free(uint64(r.electionElapsed))
	h.free(uint64(r.electionTimeout))
	h.free(uint64(r.jitter))
	h.flag(r.jitterUsed)
	h.free(uint64(r.jitterTicks))
	h.free(uint64(r.contactTicks))
	h.flag(r.contactTicks < r.cfg.ElectionTicks)
	h.free(uint64(r.stalledTicks))
	h.free(uint64(r.diskTicks))
	h.flag(r.diskStalled())
	h.flag(r.resigned)
	h.flag(r.lost)
	h.handover(&r.handover)
	h.free(r.readCounter)
	h.free(r.voteRounds)
	h.free(r.candidate.round)
	h.id(r.preference.target)
	h.word(uint64(r.preference.vain))
	h.free(uint64(r.preference.ledTicks))
	h.followerPart(&r.follower)
	h.set(len(r.candidate.ballots), func(h *hasher, i int) {
		h.id(r.candidate.ballots[i].id)
		h.word(uint64(r.candidate.ballots[i].say))
	})
	h.free(uint64(r.candidate.elapsedTicks))
	h.flag(r.candidate.transfer)
	h.flag(r.candidate.refused)
	h.free(uint64(r.candidate.delayTicks))
	h.leaderPart(&r.lead)
	return digest.Finish(h.sum)
}

func (h *hasher) log(l *raftLog) {
	h.entryID(l.base)
	h.free(l.baseDigest)
	h.free(l.baseTime)
	h.word(uint64(len(l.entries)))
	if h.exact {
		// The chain covers every entry.
		h.word(l.lastDigest())
	} else {
		for i := range l.entries {
			e := &l.entries[i]
			h.word(uint64(e.Term))
			h.word(uint64(e.Kind))
			h.sum = digest.Bytes(h.sum, e.Data)
		}
	}
	h.word(uint64(l.acceptTerm))
	h.word(uint64(l.persistedIndex))
	h.word(uint64(l.commitIndex))
	h.word(uint64(l.handedIndex))
	h.word(uint64(l.appliedIndex))
	h.word(l.unappliedBytes)
}

func (h *hasher) followerPart(f *follower) {
	h.tags(f.reads.sent)
	h.tags(f.reads.next)
	h.flag(f.reads.counter != 0)
	h.free(f.reads.counter)
	h.free(uint64(f.reads.elapsedTicks))
	h.free(uint64(f.reads.ageTicks))
	h.snapshot(&f.incoming.snapshot)
	h.word(uint64(f.incoming.term))
	h.word(f.incoming.received)
	h.flag(f.incoming.installing)
}

// tags folds how many there are; which they are, only the exact hash sees.
func (h *hasher) tags(tags []uint64) {
	h.word(uint64(len(tags)))
	for _, tag := range tags {
		h.free(tag)
	}
}

func (h *hasher) sharedReads(s *sharedReads) {
	h.tags(s.tags)
	h.word(uint64(len(s.requests)))
	for _, id := range s.requests {
		h.id(id.Replica)
		h.free(uint64(id.Boot))
		h.free(id.Counter)
	}
}

func (h *hasher) handover(o *handover) {
	h.word(uint64(o.cause))
	h.flag(o.tagged)
	h.free(o.tag)
	h.id(o.target)
	h.free(uint64(o.elapsedTicks))
	h.free(uint64(o.askedTicks))
	h.flag(o.asked)
}

func (h *hasher) leaderPart(l *leading) {
	h.set(len(l.peers), func(h *hasher, i int) {
		p := &l.peers[i]
		h.id(p.ID)
		h.word(uint64(p.State))
		h.word(uint64(p.Match))
		h.word(uint64(p.Next))
		h.free(uint64(p.Boot))
		h.free(uint64(p.QuietTicks))
		h.flag(p.Round == l.reads.round) // one round is out at a time
		h.free(p.Round)
		h.flag(p.ProbeSent)
		h.word(uint64(p.ProbeLast))
		h.flag(p.Busy)
		p.Window.Each(func(last Index, bytes uint64) {
			h.word(uint64(last))
			h.word(bytes)
		})
		h.entryID(p.Stream.ID)
		h.word(p.Stream.Offset)
		h.free(p.Stream.Sum)
		h.free(uint64(p.Stream.AgeTicks))
		h.flag(p.Stream.Repeated)
		h.free(p.LeaseFrom)
		h.word(uint64(p.CatchUp.Target))
		h.free(uint64(p.CatchUp.Ticks))
		h.flag(p.CatchUp.Done)
		h.flag(p.Leaving)
		h.flag(p.Unfit)
		h.flag(p.Lost)
		h.free(p.BootSince)
		h.free(p.MatchSince)
		h.word(uint64(p.ToldCommit))
	})
	h.word(uint64(l.termStart))
	h.free(l.ticks)
	h.free(uint64(l.preferredTicks))
	h.flag(l.leaseVoid)
	h.free(uint64(l.heartbeatElapsed))
	h.free(l.reads.round)
	h.sharedReads(&l.reads.out)
	if l.reads.out.len() > 0 {
		h.word(uint64(l.reads.index))
	}
	h.sharedReads(&l.reads.next)
	h.snapshot(&l.sending)
}
