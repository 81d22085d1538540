package core

import (
	"errors"
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// Role is what a replica does in its term (dissertation §3.3).
type Role uint8

const (
	RoleFollower Role = iota
	RolePreCandidate
	RoleCandidate
	RoleLeader
)

func (r Role) String() string {
	return [...]string{"follower", "pre-candidate", "candidate", "leader"}[r]
}

// Limits bound what a replica holds in memory and sends at once. All are in
// bytes unless they say otherwise.
type Limits struct {
	EntryBytes       uint64 // one proposal's data
	MessageBytes     uint64 // entries of one AppendEntries; one entry always fits
	InflightMessages uint32 // AppendEntries on their way to one peer, messages
	InflightBytes    uint64 // the same in bytes
	// UnappliedBytes are those of entries that the state machine has not applied.
	// A leader takes no proposal beyond it, but one always fits; a follower whose
	// state machine is behind what is committed takes no entry beyond it.
	UnappliedBytes uint64
	ApplyBytes     uint64 // one page of committed entries; one entry always fits
	TrailingBytes  uint64 // log kept behind a snapshot for slow followers
	ChunkBytes     uint32 // one InstallSnapshot's data
	Reads          uint32 // reads waiting, number
}

// LimitBytesMax bounds Limits.EntryBytes, MessageBytes and ChunkBytes: what a
// leader may send, every peer must be able to read. Package wire refuses longer
// messages than 256 MiB, and what a message has beside entries or a chunk fits
// into the rest.
const LimitBytesMax = 255 << 20

// DefaultLimits suit a server.
func DefaultLimits() Limits {
	return Limits{
		EntryBytes:       1 << 20,
		MessageBytes:     256 << 10,
		InflightMessages: 64,
		InflightBytes:    4 << 20,
		UnappliedBytes:   64 << 20,
		ApplyBytes:       1 << 20,
		TrailingBytes:    16 << 20,
		ChunkBytes:       256 << 10,
		Reads:            4096,
	}
}

// Config is what a replica is told at its start.
type Config struct {
	ID      ReplicaID
	Cluster ClusterID
	Boot    Boot
	// ElectionTicks is the least election timeout; each timeout is drawn from
	// ElectionTicks up to twice that. HeartbeatTicks is how often a leader is
	// heard at least; ElectionTicks must be at least three times that.
	ElectionTicks  uint32
	HeartbeatTicks uint32
	Jitter         uint32 // the first one
	Limits         Limits
}

// State is what storage found at the start.
type State struct {
	HardState HardState
	// Snapshot is the latest durable one. Before the first, it is a position of
	// zero with the configuration the cluster was founded with.
	Snapshot Snapshot
	// Entries follow each other. They begin at or before the position behind
	// the snapshot; Base is the position before the first of them, with its
	// digest and log time. With no entries Base is the snapshot's position.
	Base       EntryID
	BaseDigest uint64
	BaseTime   uint64
	Entries    []Entry
}

// ErrBadMessage: no replica of this cluster that follows the protocol could
// have sent this message. The state is as it was.
var ErrBadMessage = errors.New("core: bad message")

// ErrHalted: the replica found that its host or its disk broke a promise, and
// does nothing any more; see Raft.Halted.
var ErrHalted = errors.New("core: halted")

// ErrConfig and ErrState are what New refuses; errors.Is tells which.
var (
	ErrConfig = errors.New("core: bad configuration")
	// ErrLostLog: the disk held more than it does now. To go on could undo what
	// was acknowledged.
	ErrLostLog = errors.New("core: the log ends before its commit index")
	ErrState   = errors.New("core: bad stored state")
)

// Raft is one replica's part in the protocol, as plain data: no maps, no
// function values, no interfaces, no pointers to anything that another Raft
// also changes. Clone copies it, Hash names its state.
type Raft struct {
	cfg    Config
	halted HaltReason

	// Hard state, and how much of it is durable.
	term        Term
	vote        ReplicaID
	durableTerm Term
	durableVote ReplicaID
	writtenTerm Term // handed out to be written
	writtenVote ReplicaID
	// writtenCommit is what the disk will say is committed.
	writtenCommit Index

	log raftLog
	// configurations are those from the one in force at the log's base on: the
	// last one counts, committed or not, and the one before it does again when
	// its entry is truncated. There is always at least one.
	configurations []Configuration
	// snapshot is the latest durable one.
	snapshot Snapshot

	role   Role
	leader ReplicaID // zero: unknown
	// clock is the log time in ticks, never behind the last entry's.
	clock uint64

	// The election timer, and the one random number it may use.
	electionElapsed uint32
	electionTimeout uint32
	jitter          uint32
	jitterUsed      bool
	// jitterTicks have passed since a random number was asked for in vain.
	jitterTicks uint32
	// contactTicks have passed since a leader was heard, at most ElectionTicks.
	contactTicks uint32
	// stalledTicks have passed since anything became durable, though something
	// was waiting to.
	stalledTicks uint32
	// diskTicks is about how long this replica's disk has taken of late; an
	// election needs as long at least.
	diskTicks uint32
	// resigned: it stands for no election until it is started again.
	resigned bool
	// lost: a leader has proof that this disk has lost what it had acknowledged. It
	// takes part in nothing until it is started again.
	lost bool

	follower   follower
	candidate  candidate
	lead       leading
	handover   handover
	preference preference

	// readCounter numbers the read index requests of this boot, and voteRounds its
	// rounds of pre-votes.
	readCounter uint64
	voteRounds  uint64
	// appendedFrom is the first index written in the step under way; zero: none.
	appendedFrom Index
}

// New starts a replica as a follower from what storage found.
func New(cfg Config, st State) (*Raft, error) {
	if err := checkConfig(&cfg); err != nil {
		return nil, err
	}
	if err := checkState(&st); err != nil {
		return nil, err
	}
	r := &Raft{
		cfg:            cfg,
		term:           st.HardState.Term,
		vote:           st.HardState.Vote,
		configurations: []Configuration{st.Snapshot.Configuration.Clone()},
		snapshot:       st.Snapshot.clone(),
		jitter:         cfg.Jitter,
	}
	r.log = raftLog{base: st.Base, baseDigest: st.BaseDigest, baseTime: st.BaseTime}
	if len(st.Entries) == 0 {
		r.log.base, r.log.baseDigest, r.log.baseTime = st.Snapshot.EntryID, st.Snapshot.Digest, st.Snapshot.Time
	}
	for i := range st.Entries {
		e := &st.Entries[i]
		r.log.append(*e, e.Term)
		if e.Kind == EntryConfiguration && e.Index > st.Snapshot.Index {
			r.configurations = append(r.configurations, mustDecode(e))
		}
	}
	r.log.forgetUnapplied(st.Snapshot.Index)
	last := r.log.last()
	// A power loss may keep an entry and lose the hard state written along with
	// it. Its term was never spoken of, so the vote in it is still free.
	if last.Term > r.term {
		r.term, r.vote = last.Term, 0
	}
	r.durableTerm, r.durableVote = st.HardState.Term, st.HardState.Vote
	r.writtenTerm, r.writtenVote = st.HardState.Term, st.HardState.Vote
	r.writtenCommit = st.HardState.Commit
	r.log.acceptTerm = last.Term
	r.log.persistedIndex = last.Index
	r.log.commitIndex = max(st.HardState.Commit, st.Snapshot.Index)
	r.log.appliedIndex = st.Snapshot.Index
	r.log.handedIndex = st.Snapshot.Index
	r.clock = r.log.lastTime()
	r.restartElectionTimer()
	return r, nil
}

// Step takes one input and writes the duties that follow from it into out,
// which it empties first. It returns ErrBadMessage, with the state as it was
// and out empty, or ErrHalted, with refusals for the tags that came in.
func (r *Raft) Step(in *Input, out *Ready) error {
	out.reset()
	if r.halted != HaltNone {
		r.refuseAll(in, out, RefusedHalted)
		return ErrHalted
	}
	before := r.outline()
	r.appendedFrom = 0
	var err error
	switch in.Kind {
	case InputTick:
		r.handleTick(in, out)
	case InputMessage:
		err = r.handleMessage(in.Message, out)
	case InputPropose:
		r.handlePropose(in.Proposals, out)
	case InputRead:
		r.handleRead(in, out)
	case InputChange:
		r.handleChange(in.Tag, &in.Change, out)
	case InputTransfer:
		r.handleTransfer(in.Tag, in.Target, out)
	case InputCampaign:
		r.handleCampaign(in.Tag, out)
	case InputResign:
		r.handleResign(in.Tag, out)
	case InputPersisted:
		r.handlePersisted(in.Persisted, out)
	case InputApplied:
		r.handleApplied(in.Applied)
	case InputSnapshotTaken:
		r.handleSnapshotTaken(&in.Snapshot, out)
	case InputSnapshotInstalled:
		r.handleSnapshotInstalled(&in.Snapshot, out)
	case InputSnapshotFailed:
		r.handleSnapshotFailed(&in.Snapshot, out)
	default:
		r.halt(HaltUnknownInput)
	}
	if err != nil {
		return err
	}
	if r.halted != HaltNone {
		out.reset()
		r.refuseAll(in, out, RefusedHalted)
		return ErrHalted
	}
	r.finish(before, out)
	return nil
}

// handleMessage checks a message once, adopts its term if that is newer, and
// passes it to its handler. Past this point nothing in it is doubted.
func (r *Raft) handleMessage(m *Message, out *Ready) error {
	if m == nil {
		r.halt(HaltUnknownInput)
		return nil
	}
	if err := r.checkMessage(m); err != nil {
		return err
	}
	if m.Term > r.term && r.adopts(m) {
		r.adoptTerm(min(m.Term, r.term+termLeapMax), out)
		if m.Term > r.term {
			return nil // not there yet: see termLeapMax
		}
	}
	switch m.Kind {
	case KindRequestVote:
		r.handleRequestVote(m, out)
	case KindRequestVoteResponse:
		r.handleRequestVoteResponse(m, out)
	case KindAppendEntries:
		r.handleAppendEntries(m, out)
	case KindAppendEntriesResponse:
		r.handleAppendEntriesResponse(m, out)
	case KindInstallSnapshot:
		r.handleInstallSnapshot(m, out)
	case KindInstallSnapshotResponse:
		r.handleInstallSnapshotResponse(m, out)
	case KindReadIndex:
		r.handleReadIndex(m, out)
	case KindReadIndexResponse:
		r.handleReadIndexResponse(m, out)
	case KindTimeoutNow:
		r.handleTimeoutNow(m, out)
	}
	return nil
}

// adopts says whether a message of a newer term moves this replica to it. A
// pre-vote moves nobody (dissertation §9.6), and neither does a candidate as
// long as a leader is heard, unless that leader wants it (§4.2.3).
func (r *Raft) adopts(m *Message) bool {
	if m.Kind != KindRequestVote {
		return true
	}
	return !m.RequestVote.Pre && (m.RequestVote.Transfer || !r.hearsLeader())
}

// adoptTerm moves to a newer term as a follower without a leader or a vote.
func (r *Raft) adoptTerm(term Term, out *Ready) {
	r.becomeFollower(out)
	r.term, r.vote = term, 0
}

func (r *Raft) handleTick(in *Input, out *Ready) {
	if in.JitterSet {
		r.jitter, r.jitterUsed, r.jitterTicks = in.Jitter, false, 0
	}
	if r.jitterUsed && r.jitterTicks < r.cfg.ElectionTicks {
		if r.jitterTicks = saturate(r.jitterTicks, in.Ticks); r.jitterTicks >= r.cfg.ElectionTicks {
			out.Events = append(out.Events, Event{EventJitterMissing, r.cfg.ID})
		}
	}
	r.clock += uint64(in.Ticks)
	// What begins in this step is not as old as its ticks.
	role := r.role
	r.tickHandover(in.Ticks, out)
	r.tickDisk(in.Ticks, out)
	if r.role != role {
		return
	}
	switch r.role {
	case RoleFollower:
		r.tickFollower(in.Ticks, out)
	case RolePreCandidate, RoleCandidate:
		r.tickCandidate(in.Ticks, out)
	case RoleLeader:
		r.tickLeader(in.Ticks, out)
	}
}

// handlePersisted moves what counts as durable. A late mark of a log that has
// changed since counts for nothing: the write that changed it is on its way.
func (r *Raft) handlePersisted(p Persisted, out *Ready) {
	if p.Term > r.term || p.Term == r.term && p.Vote != 0 && p.Vote != r.vote ||
		p.Log.Term > r.log.acceptTerm ||
		p.Log.Term == r.log.acceptTerm && p.Log.Index > r.log.lastIndex() {
		r.halt(HaltPersisted)
		return
	}
	if p.Term > r.durableTerm || p.Term == r.durableTerm && r.durableVote == 0 {
		r.diskMoved()
		r.durableTerm, r.durableVote = p.Term, p.Vote
		if r.role == RoleCandidate && r.durableTerm == r.term && r.durableVote == r.cfg.ID {
			r.countBallot(r.cfg.ID, quorum.BallotYes, out)
		}
	}
	if p.Log.Term == r.log.acceptTerm && p.Log.Index > r.log.persistedIndex {
		r.diskMoved()
		r.log.persistedIndex = p.Log.Index
		if r.role == RoleLeader {
			r.leaderPersisted(out)
		}
	}
}

func (r *Raft) handleApplied(i Index) {
	if i > r.log.handedIndex {
		r.halt(HaltApplied)
		return
	}
	r.log.forgetUnapplied(i)
	r.log.appliedIndex = max(r.log.appliedIndex, i)
}

// outline is what a step may change that the world is told of.
type outline struct {
	term          Term
	role          Role
	leader        ReplicaID
	configuration EntryID
}

func (r *Raft) outline() outline { return outline{r.term, r.role, r.leader, r.members().EntryID} }

// finish writes what follows from the difference between before and now.
func (r *Raft) finish(before outline, out *Ready) {
	if r.role == RoleLeader {
		r.advanceChange(out)
	}
	if r.appendedFrom != 0 {
		out.Entries, _ = r.log.page(r.appendedFrom, r.log.lastIndex(), ^uint64(0))
	}
	if r.term != r.writtenTerm || r.vote != r.writtenVote ||
		len(out.Entries) > 0 || out.Truncate != 0 || out.Reset || out.Compact != 0 || r.owesOwnRemoval() {
		out.WriteSet = true
		out.HardState = HardState{r.term, r.vote, min(r.log.commitIndex, r.log.persistedIndex)}
		out.Mark = r.log.mark()
		r.writtenTerm, r.writtenVote, r.writtenCommit = r.term, r.vote, out.HardState.Commit
	}
	if l := &r.log; l.handedIndex == l.appliedIndex && l.commitIndex > l.handedIndex {
		out.Committed, _ = l.page(l.handedIndex+1, l.commitIndex, r.cfg.Limits.ApplyBytes)
		l.handedIndex += Index(len(out.Committed))
	}
	out.LeaderChanged = r.role != before.role || r.leader != before.leader || r.term != before.term
	out.LostLeadership = before.role == RoleLeader && (r.role != RoleLeader || r.term != before.term)
	out.Leader, out.Term = r.leader, r.term
	if c := r.members(); c.EntryID != before.configuration {
		out.ConfigurationSet, out.Configuration = true, *c
	}
	out.WantJitter = r.jitterUsed
}

// owesOwnRemoval says whether this replica knows that it is a member no longer,
// and would have forgotten after a restart: the commit index on its disk lies
// before, and may be written up to there.
func (r *Raft) owesOwnRemoval() bool {
	c := r.members()
	return max(r.writtenCommit, r.snapshot.Index) < c.Index && c.Index <= min(r.log.commitIndex, r.log.persistedIndex) &&
		!c.Has(r.cfg.ID)
}

// appendEntry writes e at the end of the log. A configuration takes effect
// with that (dissertation §4.1).
func (r *Raft) appendEntry(e Entry) {
	r.log.append(e, r.term)
	if e.Kind == EntryConfiguration {
		r.configurations = append(r.configurations, mustDecode(&e))
	}
	if r.appendedFrom == 0 {
		r.appendedFrom = e.Index
	}
}

// message makes room for a message in the Ready and fills in its envelope. A
// message that promises something waits for the disk, and so does any message
// that would speak of a term that is not durable yet.
func (r *Raft) message(out *Ready, kind MessageKind, to ReplicaID, promises bool) *Message {
	list := &out.Messages
	if promises || r.durableTerm < r.term {
		list = &out.Held
	}
	if n := len(*list); n < cap(*list) {
		*list = (*list)[:n+1]
		(*list)[n] = Message{}
	} else {
		*list = append(*list, Message{})
	}
	m := &(*list)[len(*list)-1]
	m.Kind, m.Cluster, m.From, m.To = kind, r.cfg.Cluster, r.cfg.ID, to
	m.Boot, m.Term = r.cfg.Boot, r.term
	return m
}

// refuseAll answers every tag that the input carries, and every one that waits.
func (r *Raft) refuseAll(in *Input, out *Ready, reason RefusalReason) {
	switch in.Kind {
	case InputPropose:
		for i := range in.Proposals {
			r.refuse(out, in.Proposals[i].Tag, reason)
		}
	case InputRead, InputChange, InputTransfer, InputCampaign, InputResign:
		r.refuse(out, in.Tag, reason)
	}
	if r.handover.tagged {
		r.refuse(out, r.handover.tag, reason)
		r.handover = handover{}
	}
	for _, s := range [...]*sharedReads{&r.lead.reads.out, &r.lead.reads.next} {
		for _, tag := range s.tags {
			r.refuse(out, tag, reason)
		}
		*s = sharedReads{}
	}
	r.refuseForwarded(out, reason)
}

func (r *Raft) refuse(out *Ready, tag uint64, reason RefusalReason) {
	leader := r.leader
	if reason == RefusedTransferring {
		leader = r.handover.target
	}
	out.Refusals = append(out.Refusals, Refusal{tag, reason, leader})
}

// members is the configuration that counts.
func (r *Raft) members() *Configuration { return &r.configurations[len(r.configurations)-1] }

// voters is that configuration as quorum sees it.
func (r *Raft) voters() quorum.Joint { return r.members().Joint() }

// HaltReason says why a replica halted.
type HaltReason uint8

const (
	HaltNone HaltReason = iota
	// HaltUnknownInput: the host passed an input that does not exist.
	HaltUnknownInput
	// HaltPersisted: the host acknowledged a write that was never asked for.
	HaltPersisted
	// HaltApplied: the host says it applied what it was never handed.
	HaltApplied
	// HaltSnapshotIndex and so on to HaltSnapshotConfiguration: the host reported a
	// snapshot of its own that can not be. It is named for the first field that is
	// not what this replica knows: an index that is not applied, another term,
	// digest, log time or configuration than there is at that index.
	HaltSnapshotIndex
	HaltSnapshotTerm
	HaltSnapshotDigest
	HaltSnapshotTime
	HaltSnapshotConfiguration
	// HaltSnapshotUnknown: the host reported that a snapshot from a leader is
	// installed, or failed, that is not the one it was handed.
	HaltSnapshotUnknown
)

func (h HaltReason) String() string {
	names := [...]string{
		"", "unknown input", "acknowledged a write that was never submitted",
		"applied what was never handed out",
		"reported a snapshot at an index that is not applied", "reported a snapshot of another term",
		"reported a snapshot of another digest", "reported a snapshot of another log time",
		"reported a snapshot with another configuration", "reported a snapshot that it was not handed",
	}
	if int(h) < len(names) {
		return names[h]
	}
	return "unknown"
}

func (r *Raft) halt(reason HaltReason) { r.halted = reason }

// Halted says why the replica halted, or HaltNone. It stays halted.
func (r *Raft) Halted() HaltReason { return r.halted }

func checkConfig(cfg *Config) error {
	l := &cfg.Limits
	switch {
	case cfg.ID == 0:
		return fmt.Errorf("%w: replica id is zero", ErrConfig)
	case cfg.HeartbeatTicks == 0 || cfg.HeartbeatTicks > cfg.ElectionTicks/3 || cfg.ElectionTicks > 1<<20:
		return fmt.Errorf("%w: election timeout of %d ticks with a heartbeat every %d: want at least 3 heartbeats, at most %d ticks",
			ErrConfig, cfg.ElectionTicks, cfg.HeartbeatTicks, 1<<20)
	case l.EntryBytes == 0 || l.MessageBytes == 0 || l.InflightMessages == 0 || l.InflightBytes == 0 ||
		l.UnappliedBytes == 0 || l.ApplyBytes == 0 || l.ChunkBytes == 0 || l.Reads == 0:
		return fmt.Errorf("%w: a limit is zero: %+v", ErrConfig, *l)
	case l.EntryBytes > LimitBytesMax || l.MessageBytes > LimitBytesMax || l.ChunkBytes > LimitBytesMax:
		return fmt.Errorf("%w: entries of %d bytes, messages of %d, chunks of %d: at most %d can be sent",
			ErrConfig, l.EntryBytes, l.MessageBytes, l.ChunkBytes, LimitBytesMax)
	case l.InflightMessages > 1<<12:
		return fmt.Errorf("%w: %d messages in flight, at most %d", ErrConfig, l.InflightMessages, 1<<12)
	}
	return nil
}

func checkState(st *State) error {
	// A replica that is to be added knows nobody until a leader tells it.
	if c := &st.Snapshot.Configuration; st.Snapshot.Index > 0 || len(c.Voters) > 0 {
		if err := c.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		if c.Index > st.Snapshot.Index || c.Term > st.Snapshot.Term {
			return fmt.Errorf("%w: configuration %v in a snapshot at %v", ErrState, c.EntryID, st.Snapshot.EntryID)
		}
	}
	if s, n := &st.Snapshot, Index(len(st.Entries)); st.HardState.Term > termMax || s.Index > indexMax || s.Time > timeMax || st.Base.Index > indexMax-n {
		return fmt.Errorf("%w: term %d, snapshot at %v, time %d, %d entries behind %v", ErrState, st.HardState.Term, s.EntryID, s.Time, n, st.Base)
	}
	prev, chain, time := st.Base, st.BaseDigest, st.BaseTime
	for i := range st.Entries {
		e := &st.Entries[i]
		if e.Index != prev.Index+1 || e.Term < prev.Term || e.Term > termMax || e.Time < time || e.Time > timeMax {
			return fmt.Errorf("%w: entry %v at %d follows %v at %d", ErrState, e.EntryID, e.Time, prev, time)
		}
		if e.Digest != e.Chain(chain) {
			return fmt.Errorf("%w: entry %v does not continue the digest of %v", ErrState, e.EntryID, prev)
		}
		if err := checkEntry(e); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		prev, chain, time = e.EntryID, e.Digest, e.Time
	}
	last := st.Snapshot.Index
	if len(st.Entries) > 0 {
		last = prev.Index
		at := st.Base
		if i := st.Snapshot.Index; i > st.Base.Index && i <= last {
			at = st.Entries[i-st.Base.Index-1].EntryID
		}
		if at != st.Snapshot.EntryID {
			return fmt.Errorf("%w: the log from %v to %v does not hold the snapshot's position %v",
				ErrState, st.Base, prev, st.Snapshot.EntryID)
		}
	}
	if st.HardState.Commit > last {
		return fmt.Errorf("%w: commit %d, last %d", ErrLostLog, st.HardState.Commit, last)
	}
	return nil
}

// newProgress follows id from behind the end of this leader's log.
func (r *Raft) newProgress(id ReplicaID) progress.Progress {
	return progress.Progress{
		ID:     id,
		Next:   r.log.lastIndex() + 1,
		Window: progress.NewWindow(r.cfg.Limits.InflightMessages, r.cfg.Limits.InflightBytes),
	}
}
