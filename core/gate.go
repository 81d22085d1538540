package core

import "fmt"

// Bounds that no cluster lives to see, so that there is always a term, an index
// and a time after what a message brings. Log time stops at timeMax.
//
// One message of the last term there is would end all elections for ever. So a
// replica whose term lies further back than termLeapMax comes nearer with each
// message that it hears, by that much, instead of all the way at once. It would
// be wrong to refuse such messages: two replicas that follow the protocol could
// become deaf to each other.
const (
	termMax     = 1 << 62
	termLeapMax = 1 << 32
	indexMax    = 1 << 62
	// snapshotIndexMax leaves room for the entries that follow a snapshot.
	snapshotIndexMax = 1 << 61
	timeMax          = 1<<56 - 1 // all that goes into a digest
)

// checkMessage is the gate: whatever a message holds is checked here, once,
// before anything changes. It refuses what no replica that follows the
// protocol could have sent; what is merely late, repeated or from a stranger
// passes, and its handler ignores or answers it.
func (r *Raft) checkMessage(m *Message) error {
	switch {
	case m.Kind == 0 || m.Kind >= kindEnd:
		return fmt.Errorf("%w: kind %d", ErrBadMessage, m.Kind)
	case m.Cluster != r.cfg.Cluster:
		return fmt.Errorf("%w: of cluster %d", ErrBadMessage, m.Cluster)
	case m.Term > termMax:
		return fmt.Errorf("%w: in term %d", ErrBadMessage, m.Term)
	case m.To != r.cfg.ID || m.From == r.cfg.ID || m.From == 0:
		return fmt.Errorf("%w: from %d to %d", ErrBadMessage, m.From, m.To)
	}
	switch m.Kind {
	case KindRequestVote:
		return r.checkRequestVote(m)
	case KindRequestVoteResponse:
		return r.checkRequestVoteResponse(m)
	case KindAppendEntries:
		return r.checkAppendEntries(m)
	case KindAppendEntriesResponse:
		return r.checkAppendEntriesResponse(m)
	case KindInstallSnapshot:
		return r.checkInstallSnapshot(m)
	case KindInstallSnapshotResponse:
		return r.checkInstallSnapshotResponse(m)
	case KindReadIndex:
		if id := m.ReadIndex.ID; id.Replica != m.From || id.Boot != m.Boot || id.Counter == 0 {
			return fmt.Errorf("%w: read index request %v from replica %d, boot %d", ErrBadMessage, id, m.From, m.Boot)
		}
	case KindReadIndexResponse:
		return r.checkReadIndexResponse(m)
	case KindTimeoutNow:
		return r.checkTimeoutNow(m)
	}
	return nil
}

func (r *Raft) checkRequestVote(m *Message) error {
	v := &m.RequestVote
	ask := m.Term
	if v.Pre {
		ask++
	}
	if v.For != ask || v.For == 0 || v.Last.Term > m.Term || v.Pre && v.Transfer || v.Pre != (v.Round != 0) {
		return fmt.Errorf("%w: vote request for term %d (pre %t, round %d, transfer %t) in term %d, log ending in %v",
			ErrBadMessage, v.For, v.Pre, v.Round, v.Transfer, m.Term, v.Last)
	}
	return nil
}

func (r *Raft) checkRequestVoteResponse(m *Message) error {
	v := &m.RequestVoteResponse
	switch {
	case v.For == 0:
		return fmt.Errorf("%w: vote for term 0", ErrBadMessage)
	case v.Granted && !v.Pre && m.Term < v.For:
		return fmt.Errorf("%w: vote for term %d given in term %d", ErrBadMessage, v.For, m.Term)
	case !v.Pre && m.Term == r.term && v.For > r.term:
		return fmt.Errorf("%w: answer for term %d, nobody asked", ErrBadMessage, v.For)
	}
	return nil
}

// checkAppendEntries looks at the entries one by one: they must follow each
// other and continue the digest. If this replica would listen to the sender,
// they must also not contradict what it knows to be committed.
func (r *Raft) checkAppendEntries(m *Message) error {
	a := &m.AppendEntries
	if m.Term == 0 || a.Prev.Term > m.Term || a.Prev.Index == 0 && (a.Prev.Term != 0 || a.PrevDigest != 0) {
		return fmt.Errorf("%w: append behind %v in term %d", ErrBadMessage, a.Prev, m.Term)
	}
	if a.Lost && len(a.Entries) > 0 {
		return fmt.Errorf("%w: %d entries for a replica that is fed nothing", ErrBadMessage, len(a.Entries))
	}
	if a.Prev.Index > indexMax-Index(len(a.Entries)) {
		return fmt.Errorf("%w: %d entries behind %v", ErrBadMessage, len(a.Entries), a.Prev)
	}
	prev, chain, time := a.Prev, a.PrevDigest, uint64(0)
	if r.log.matches(prev) {
		time = r.PositionTime(prev.Index)
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		switch {
		case e.Time < time || e.Time > timeMax:
			return fmt.Errorf("%w: entry %v at time %d behind %v at %d", ErrBadMessage, e.EntryID, e.Time, prev, time)
		case e.Index != prev.Index+1 || e.Term < prev.Term || e.Term == 0 || e.Term > m.Term:
			return fmt.Errorf("%w: entry %v behind %v in term %d", ErrBadMessage, e.EntryID, prev, m.Term)
		case e.Kind != EntryCommand && e.Kind != EntryNoop && e.Kind != EntryConfiguration:
			return fmt.Errorf("%w: entry %v of kind %d", ErrBadMessage, e.EntryID, e.Kind)
		case e.Digest != e.Chain(chain):
			return fmt.Errorf("%w: entry %v does not continue the digest of %v", ErrBadMessage, e.EntryID, prev)
		}
		// What this log holds under the same name, committed or not, is the same
		// entry (dissertation figure 3.2: Log Matching).
		if term, own, ok := r.log.position(e.Index); ok && term == e.Term && own != e.Digest {
			return fmt.Errorf("%w: entry %v with digest %x, here it is %x", ErrBadMessage, e.EntryID, e.Digest, own)
		}
		if err := checkEntry(e); err != nil {
			return fmt.Errorf("%w: entry %v: %w", ErrBadMessage, e.EntryID, err)
		}
		prev, chain, time = e.EntryID, e.Digest, e.Time
	}
	if m.Term < r.term {
		return nil
	}
	if err := r.checkSender(m); err != nil {
		return err
	}
	if err := r.checkAgainstCommitted(a.Prev, a.PrevDigest); err != nil {
		return err
	}
	if err := r.checkAgainstSnapshot(a); err != nil {
		return err
	}
	if prev.Index <= r.log.commitIndex {
		return r.checkAgainstCommitted(prev, chain)
	}
	if i := r.log.commitIndex; i > a.Prev.Index {
		e := &a.Entries[i-a.Prev.Index-1]
		return r.checkAgainstCommitted(e.EntryID, e.Digest)
	}
	return nil
}

// checkSender: there is one leader in a term, and who leads it knows.
func (r *Raft) checkSender(m *Message) error {
	if m.Term == r.term && (r.role == RoleLeader || r.leader != 0 && r.leader != m.From) {
		return fmt.Errorf("%w: replica %d claims to lead term %d, as replica %d does", ErrBadMessage, m.From, m.Term, r.leader)
	}
	return nil
}

// checkAgainstCommitted compares a leader's position with this log. Positions
// of equal term must agree in all that lies before them, and a committed one
// must be what it is (dissertation figure 3.2: Log Matching, Leader
// Completeness).
func (r *Raft) checkAgainstCommitted(id EntryID, chain uint64) error {
	term, own, ok := r.log.position(id.Index)
	if !ok {
		return nil
	}
	if term != id.Term && id.Index <= r.log.commitIndex || term == id.Term && chain != own {
		return fmt.Errorf("%w: leader has %v with digest %x, here it is of term %d with digest %x, commit %d",
			ErrBadMessage, id, chain, term, own, r.log.commitIndex)
	}
	return nil
}

// checkAgainstSnapshot: a snapshot that is complete, and that storage makes
// durable, stands for what is committed. From then on no leader has another entry
// at its position, and none commits past it with another one in this log: the
// disk would hold two histories.
func (r *Raft) checkAgainstSnapshot(a *AppendEntries) error {
	in := &r.follower.incoming
	s := &in.snapshot
	if !in.installing || s.Index <= r.log.commitIndex {
		return nil
	}
	id, chain := EntryID{Term: s.Term, Index: s.Index}, s.Digest
	switch last := a.Prev.Index + Index(len(a.Entries)); {
	case a.Prev.Index >= s.Index:
		if term, own, ok := r.log.position(s.Index); r.log.matches(a.Prev) && a.Commit >= s.Index && ok {
			id, chain = EntryID{Term: term, Index: s.Index}, own
		}
	case last >= s.Index:
		e := &a.Entries[s.Index-a.Prev.Index-1]
		id, chain = e.EntryID, e.Digest
	}
	if id != s.EntryID || chain != s.Digest {
		return fmt.Errorf("%w: append with %v and digest %x, after a snapshot at %v with %x", ErrBadMessage, id, chain, s.EntryID, s.Digest)
	}
	return nil
}

func (r *Raft) checkAppendEntriesResponse(m *Message) error {
	a := &m.AppendEntriesResponse
	if m.Term == 0 || a.Reject && (a.Hint.Index > a.Prev || a.Hint.Term > m.Term) {
		return fmt.Errorf("%w: answer to an append behind %d with hint %v in term %d", ErrBadMessage, a.Prev, a.Hint, m.Term)
	}
	if m.Term == r.term {
		return r.checkClaims(m.From, a.Match, a.Round, a.Sent)
	}
	return nil
}

// checkClaims: in this leader's term nobody can match more than its log, or
// answer a round that has not begun, or what will be sent later.
func (r *Raft) checkClaims(from ReplicaID, match Index, round, sent uint64) error {
	if r.role == RoleLeader && (match > r.log.lastIndex() || round > r.lead.reads.round || sent > r.lead.ticks) {
		return fmt.Errorf("%w: replica %d matches up to %d of %d, answers round %d of %d, sent at %d of %d",
			ErrBadMessage, from, match, r.log.lastIndex(), round, r.lead.reads.round, sent, r.lead.ticks)
	}
	return nil
}

func (r *Raft) checkTimeoutNow(m *Message) error {
	last := m.TimeoutNow.Last
	if m.Term == 0 || last.Term != m.Term {
		// A leader's log never ends before the no-op of its term.
		return fmt.Errorf("%w: asked to stand in term %d, log ending in %v", ErrBadMessage, m.Term, last)
	}
	if m.Term < r.term {
		return nil
	}
	return r.checkSender(m)
}

func (r *Raft) checkInstallSnapshot(m *Message) error {
	c := &m.InstallSnapshot
	s := &c.Snapshot
	switch {
	case m.Term == 0 || s.Index == 0 || s.Index > snapshotIndexMax || s.Term == 0 || s.Term > m.Term || s.Time > timeMax:
		return fmt.Errorf("%w: snapshot at %v, time %d, in term %d", ErrBadMessage, s.EntryID, s.Time, m.Term)
	case c.Offset > s.Size || uint64(len(c.Data)) > s.Size-c.Offset:
		return fmt.Errorf("%w: %d bytes at offset %d of a snapshot of %d", ErrBadMessage, len(c.Data), c.Offset, s.Size)
	}
	if err := s.Configuration.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	if s.Configuration.Index > s.Index || s.Configuration.Term > s.Term {
		return fmt.Errorf("%w: configuration %v in a snapshot at %v", ErrBadMessage, s.Configuration.EntryID, s.EntryID)
	}
	if m.Term < r.term {
		return nil
	}
	if err := r.checkSender(m); err != nil {
		return err
	}
	if t := r.PositionTime(s.Index); r.log.matches(s.EntryID) && s.Time != t {
		return fmt.Errorf("%w: snapshot at %v, time %d, here it is %d", ErrBadMessage, s.EntryID, s.Time, t)
	}
	return r.checkSnapshotGoesOn(s)
}

// checkSnapshotGoesOn: a leader's snapshot contains what is committed here, or is
// contained in it, and so agrees with it in what it says about the time before.
func (r *Raft) checkSnapshotGoesOn(s *Snapshot) error {
	if err := r.checkAgainstCommitted(s.EntryID, s.Digest); err != nil {
		return err
	}
	i := r.log.commitIndex
	if s.Index <= i {
		return nil
	}
	term, _, _ := r.log.position(i)
	if t := r.PositionTime(i); s.Term < term || s.Time < t {
		return fmt.Errorf("%w: snapshot at %v, time %d, after %v at %d is committed",
			ErrBadMessage, s.EntryID, s.Time, EntryID{Term: term, Index: i}, t)
	}
	if c := r.configurationAt(i); s.Configuration.Index < c.Index ||
		s.Configuration.Index <= i && s.Configuration.EntryID != c.EntryID {
		return fmt.Errorf("%w: snapshot with configuration %v, after %v is committed", ErrBadMessage, s.Configuration.EntryID, c.EntryID)
	}
	return nil
}

func (r *Raft) checkInstallSnapshotResponse(m *Message) error {
	a := &m.InstallSnapshotResponse
	if m.Term == 0 {
		return fmt.Errorf("%w: answer to a snapshot in term 0", ErrBadMessage)
	}
	if m.Term == r.term {
		return r.checkClaims(m.From, a.Match, a.Round, a.Sent)
	}
	return nil
}

// checkReadIndexResponse: only the leader of a term answers what it was asked, and
// no answer lies beyond all logs.
func (r *Raft) checkReadIndexResponse(m *Message) error {
	a, f := &m.ReadIndexResponse, &r.follower.reads
	ours := a.ID.Replica == r.cfg.ID && a.ID.Boot == r.cfg.Boot
	switch {
	case a.Index > indexMax || a.Refused >= refusedEnd:
		return fmt.Errorf("%w: reads at %d (refused: %d)", ErrBadMessage, a.Index, a.Refused)
	case ours && a.ID.Counter > r.readCounter:
		return fmt.Errorf("%w: answer to read index request %v, the last one was %d", ErrBadMessage, a.ID, r.readCounter)
	case ours && f.counter != 0 && a.ID.Counter == f.counter && m.Term == r.term && m.From != r.leader:
		return fmt.Errorf("%w: replica %d answers a read index request that replica %d was sent", ErrBadMessage, m.From, r.leader)
	}
	return nil
}
