package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// Snapshots (dissertation §5). A replica's own are taken by its host and
// reported; a follower too far behind gets the leader's latest, chunk by
// chunk: one chunk is out until it is answered, each answer says how much
// the follower holds without a gap, and a chunk that was lost is sent again.
// Bytes never pass through here.

// incomingSnapshot is the stream that a follower receives.
type incomingSnapshot struct {
	snapshot Snapshot // zero: none
	term     Term     // of the leader that began it
	received uint64   // bytes without a gap
	// installing: all bytes are there, and storage makes them durable.
	installing bool
}

// handleSnapshotTaken lets go of the log that this replica's own snapshot
// covers, but for a tail kept for slow followers.
func (r *Raft) handleSnapshotTaken(s *Snapshot, out *Ready) {
	if s.Index < r.log.base.Index {
		// One from the leader was faster, and what this one says can not be
		// compared any more. It is of no use in any case.
		r.obsolete(s, out)
		return
	}
	if r.halt(r.checkTaken(s)); r.halted != HaltNone || r.obsolete(s, out) {
		return
	}
	own := *s
	own.Configuration = *r.configurationAt(s.Index) // equal, and not borrowed
	r.adoptSnapshot(&own, out)
	r.compact(out)
}

// checkTaken compares what a host reports with what this replica knows.
func (r *Raft) checkTaken(s *Snapshot) HaltReason {
	term, chain, ok := r.log.position(s.Index)
	switch {
	case s.Index > r.log.appliedIndex || !ok:
		return HaltSnapshotIndex
	case s.Term != term:
		return HaltSnapshotTerm
	case s.Digest != chain:
		return HaltSnapshotDigest
	case s.Time != r.PositionTime(s.Index):
		return HaltSnapshotTime
	case s.Index >= r.snapshot.Index && !s.Configuration.Equal(r.configurationAt(s.Index)):
		return HaltSnapshotConfiguration
	}
	return HaltNone
}

// obsolete releases a snapshot that comes after a later one.
func (r *Raft) obsolete(s *Snapshot, out *Ready) bool {
	if s.Index > r.snapshot.Index {
		return false
	}
	if !s.Same(&r.snapshot) {
		out.Released = append(out.Released, *s)
	}
	return true
}

// adoptSnapshot makes s the latest. The one before it stays as long as it is
// on its way to a peer and no older one is: at most two are kept.
func (r *Raft) adoptSnapshot(s *Snapshot, out *Ready) {
	old := r.snapshot
	r.snapshot = *s
	if old.IsZero() {
		return
	}
	if r.role == RoleLeader && r.lead.sending.IsZero() && r.streams(&old) {
		r.lead.sending = old
		return
	}
	out.Released = append(out.Released, old)
	for i := range r.lead.peers {
		if p := &r.lead.peers[i]; p.State == progress.Snapshot && p.Stream.ID == old.EntryID {
			r.startStream(p, out)
		}
	}
}

// streams says whether s is on its way to a peer.
func (r *Raft) streams(s *Snapshot) bool {
	for i := range r.lead.peers {
		p := &r.lead.peers[i]
		if p.State == progress.Snapshot && p.Stream.ID == s.EntryID && p.Stream.Sum == s.Sum {
			return true
		}
	}
	return false
}

// releaseSending lets an older snapshot go once no peer receives it.
func (r *Raft) releaseSending(out *Ready) {
	if !r.lead.sending.IsZero() && !r.streams(&r.lead.sending) {
		out.Released = append(out.Released, r.lead.sending)
		r.lead.sending = Snapshot{}
	}
}

// compact drops what the latest snapshot covers, but for TrailingBytes, and
// for what follows a snapshot that is on its way to a peer: without it the peer
// would need the next one as soon as it has this one. There is a bound to that
// too.
func (r *Raft) compact(out *Ready) {
	to := min(r.snapshot.Index, r.log.appliedIndex)
	wanted := to
	for i := range r.lead.peers {
		if p := &r.lead.peers[i]; p.State == progress.Snapshot {
			wanted = min(wanted, p.Stream.ID.Index)
		}
	}
	r.log.cover(to)
	end, kept, limits := to, r.log.coveredBytes, &r.cfg.Limits
	for to = r.log.base.Index; to < end; to++ {
		if kept <= limits.TrailingBytes || to >= wanted && kept <= limits.UnappliedBytes {
			break
		}
		kept -= r.log.at(to + 1).Bytes()
	}
	if to > r.log.base.Index {
		r.log.compact(to)
		r.compactConfigurations(to)
		out.Compact = to
	}
}

// startStream sends the latest snapshot to a peer from its first byte.
func (r *Raft) startStream(p *progress.Progress, out *Ready) {
	p.BecomeSnapshot(progress.Stream{ID: r.snapshot.EntryID, Size: r.snapshot.Size, Sum: r.snapshot.Sum})
	r.sendChunk(p, out)
}

// sendChunk sends the chunk at the stream's offset; past the last byte it is
// empty and only asks how the follower does.
func (r *Raft) sendChunk(p *progress.Progress, out *Ready) {
	p.Stream.AgeTicks, p.Stream.Repeated = 0, false
	c := &r.message(out, KindInstallSnapshot, p.ID, false).InstallSnapshot
	c.Snapshot = r.snapshot
	if p.Stream.ID != r.snapshot.EntryID {
		c.Snapshot = r.lead.sending
	}
	c.Offset = p.Stream.Offset
	c.Length = uint32(min(uint64(r.cfg.Limits.ChunkBytes), p.Stream.Size-p.Stream.Offset))
	c.Round, c.Sent = r.lead.reads.round, r.lead.ticks
}

// repeatChunk sends the chunk again when its answer is overdue.
func (r *Raft) repeatChunk(p *progress.Progress, out *Ready) {
	if p.Stream.AgeTicks >= r.chunkTicks() {
		r.sendChunk(p, out)
		p.Stream.Repeated = true
	}
}

// chunkTicks is how long the answer to a chunk may take.
func (r *Raft) chunkTicks() uint32 { return 2 * r.cfg.HeartbeatTicks }

// handleInstallSnapshotResponse sends the next chunk, or ends the stream.
func (r *Raft) handleInstallSnapshotResponse(m *Message, out *Ready) {
	p := r.heard(m)
	if p == nil || p.Lost {
		return
	}
	a := &m.InstallSnapshotResponse
	r.answered(p, a.Round, a.Sent, out)
	if a.Match > 0 && p.Accepted(a.Match, r.lead.ticks) {
		r.leaderCommit(out)
	}
	if p.State != progress.Snapshot {
		r.sendEntries(p, out)
		return
	}
	switch {
	case p.Match >= p.Stream.ID.Index:
		p.BecomeProbe(p.Match + 1)
		r.sendEntries(p, out)
		r.releaseSending(out)
	case a.Snapshot != p.Stream.ID || a.Sum != p.Stream.Sum:
		r.repeatChunk(p, out)
	case a.Received > p.Stream.Offset, a.Received < p.Stream.Offset && (a.Received == 0 || p.Stream.Repeated):
		// Further, or back: the follower lost what it held, and perhaps a late
		// first chunk has begun the stream again since. An answer that is
		// merely late must not lead back, so it has to be overdue.
		p.Stream.Offset = min(a.Received, p.Stream.Size)
		if p.Stream.Offset < p.Stream.Size {
			r.sendChunk(p, out)
		}
	default:
		r.repeatChunk(p, out)
	}
}

// handleInstallSnapshot takes a chunk in if it is the next one, and says how
// much of the stream is there.
func (r *Raft) handleInstallSnapshot(m *Message, out *Ready) {
	c := &m.InstallSnapshot
	if m.Term < r.term {
		r.answerInstall(m.From, &InstallSnapshot{}, 0, 0, out) // only the term counts
		return
	}
	r.hearFrom(m.From, out)
	if c.Snapshot.Index <= r.log.commitIndex {
		// Everything committed here matches the leader's log.
		r.answerInstall(m.From, c, 0, r.log.commitIndex, out)
		return
	}
	in := &r.follower.incoming
	if c.Offset == 0 && r.supersedes(in, m) {
		*in = incomingSnapshot{snapshot: c.Snapshot.clone(), term: m.Term}
	}
	if !in.snapshot.Same(&c.Snapshot) {
		r.answerInstall(m.From, c, 0, 0, out)
		return
	}
	if c.Offset == in.received && !in.installing && (len(c.Data) > 0 || in.snapshot.Size == 0) {
		in.received += uint64(len(c.Data))
		in.installing = in.received == in.snapshot.Size
		out.ChunkSet = true
		out.Chunk = SnapshotChunk{Snapshot: in.snapshot, Offset: c.Offset, Data: c.Data, Last: in.installing}
	}
	r.answerInstall(m.From, c, in.received, 0, out)
}

// supersedes says whether the stream that m begins replaces the one under
// way: a late chunk of an older stream does not, and neither does anything
// while storage makes a complete one durable.
func (r *Raft) supersedes(in *incomingSnapshot, m *Message) bool {
	s := &m.InstallSnapshot.Snapshot
	switch {
	case in.installing:
		return false
	case in.snapshot.IsZero(), m.Term > in.term:
		return !in.snapshot.Same(s)
	default:
		return s.Index > in.snapshot.Index
	}
}

// answerInstall says how the stream that c is a chunk of stands. An answer to
// no chunk in particular names no round and no time.
func (r *Raft) answerInstall(to ReplicaID, c *InstallSnapshot, received uint64, match Index, out *Ready) {
	a := &r.message(out, KindInstallSnapshotResponse, to, match > 0 || received > 0).InstallSnapshotResponse
	a.Snapshot, a.Sum = c.Snapshot.EntryID, c.Snapshot.Sum
	a.Received, a.Match = received, match
	a.Round, a.Sent = c.Round, c.Sent
}

// giveUpPassed forgets a snapshot on its way in that is of no use any more: the
// log is committed up to there, or holds another entry at its position, from a
// leader who knows better. What storage has of it goes with the next stream.
func (r *Raft) giveUpPassed() {
	in := &r.follower.incoming
	if in.snapshot.IsZero() || in.installing {
		return
	}
	term, chain, ok := r.log.position(in.snapshot.Index)
	contradicts := ok && (term > in.snapshot.Term || term == in.snapshot.Term && chain != in.snapshot.Digest)
	if in.snapshot.Index <= r.log.commitIndex || contradicts {
		*in = incomingSnapshot{}
	}
}

// handleSnapshotInstalled makes a durable snapshot from the leader count. What
// the log holds beyond it stays only if the log holds the snapshot's own
// position; otherwise it is of a history that never was (dissertation §5.3). A
// log that holds it is committed up to there, and the state machine goes on with
// the log: it has no need of the snapshot.
func (r *Raft) handleSnapshotInstalled(s *Snapshot, out *Ready) {
	in := &r.follower.incoming
	if s.equal(&r.snapshot) {
		return // said twice
	}
	if !in.installing || !s.equal(&in.snapshot) {
		r.halt(HaltSnapshotUnknown)
		return
	}
	own := in.snapshot // the report is the host's, and borrowed
	s, *in = &own, incomingSnapshot{}
	if r.obsolete(s, out) {
		return
	}
	if r.log.matches(s.EntryID) {
		r.commitTo(s.Index, out)
		r.adoptSnapshot(s, out)
	} else {
		// What counted before, be it of a later index, is of a log that is gone.
		r.log.reset(s, r.term)
		if r.members().Has(r.cfg.ID) && !s.Configuration.Has(r.cfg.ID) {
			out.Events = append(out.Events, Event{EventRemoved, r.cfg.ID})
		}
		r.configurations = []Configuration{s.Configuration}
		out.Reset = true
		r.adoptSnapshot(s, out)
		r.clock = max(r.clock, s.Time)
		r.log.commitIndex = s.Index
		r.log.handedIndex = s.Index
		out.RestoreSet, out.Restore = true, *s
	}
	if r.role == RoleFollower && r.leader != 0 {
		r.answerInstall(r.leader, &InstallSnapshot{Snapshot: *s}, s.Size, s.Index, out)
	}
}

// handleSnapshotFailed forgets the bytes, and has the leader begin again.
func (r *Raft) handleSnapshotFailed(s *Snapshot, out *Ready) {
	in := &r.follower.incoming
	if !in.installing || !s.equal(&in.snapshot) {
		r.halt(HaltSnapshotUnknown)
		return
	}
	own := in.snapshot
	s, *in = &own, incomingSnapshot{}
	if r.role == RoleFollower && r.leader != 0 {
		r.answerInstall(r.leader, &InstallSnapshot{Snapshot: *s}, 0, 0, out)
	}
}
