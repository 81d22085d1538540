package core

// Ready is what the host owes after a step, from top to bottom. The caller
// owns it and passes it to every Step, which empties it first; slices in it
// are valid until the next Step. A host may overlap duties as long as the
// ones that wait for the disk do wait.
type Ready struct {
	// 1. The disk. What a step asks for is one write, and writes reach the disk
	// in the order of their steps. WriteSet says that the fields down to Mark
	// and Compact count; Chunk and Released may come without them.
	WriteSet  bool
	HardState HardState
	// Reset, when set, says that the log holds nothing but the position of the
	// snapshot just installed: every entry goes before Entries are appended.
	Reset bool
	// Truncate, unless zero, is the first index that goes before Entries are
	// appended.
	Truncate Index
	Entries  []Entry
	// Mark names the log after this write, for Persisted.
	Mark LogMark
	// Compact, unless zero, is the last index that the log need not keep any
	// longer. The snapshot that covers it is durable.
	Compact Index
	// Chunk, when ChunkSet, is a piece of a snapshot on its way in. With
	// Last it completes the stream: storage verifies and syncs it, and answers
	// with InputSnapshotInstalled or InputSnapshotFailed.
	ChunkSet bool
	Chunk    SnapshotChunk
	// Released are snapshots that the core will not ask for again; the latest
	// one is never among them.
	Released []Snapshot

	// 2. Messages that may leave now.
	Messages []Message

	// 3. Messages that wait until this write and every write before it is
	// durable, because they promise what it holds.
	Held []Message

	// 4. The state machine. Restore, when RestoreSet, is a durable snapshot to
	// load before Committed; Committed are entries to apply, in order. At most
	// one such page is out at a time: the next comes after InputApplied, and
	// until then this one stays valid, beyond the next Step.
	RestoreSet bool
	Restore    Snapshot
	Committed  []Entry

	// 5. Reads that may be answered once the state machine has applied Index.
	Reads []ReadReady

	// 6. What became of inputs that carried a tag.
	Accepted []Accepted
	Done     []Done
	Refusals []Refusal

	// 7. LeaderChanged says that role, leader or term is not what it was.
	LeaderChanged bool
	Leader        ReplicaID // zero: unknown
	Term          Term
	// LostLeadership says that this replica led before the step and leads no
	// longer: who waits for its accepted proposals can not know their fate.
	LostLeadership bool

	// 8. Configuration, when ConfigurationSet, is now the latest in the log,
	// committed or not: these are the replicas to talk to.
	ConfigurationSet bool
	Configuration    Configuration

	// 9. Events are what a human would like to know.
	Events []Event

	// 10. WantJitter asks for Input.Jitter with the next tick.
	WantJitter bool
}

// SnapshotChunk is a piece of the stream of Snapshot. Data is borrowed from
// the message that brought it.
type SnapshotChunk struct {
	Snapshot Snapshot
	Offset   uint64
	Data     []byte
	Last     bool
}

// ReadReady releases the read named by Tag: it is linearizable if answered
// from a state that has applied Index.
type ReadReady struct {
	Tag   uint64
	Index Index
	Lease bool // it rests on a lease, and so on the stated bound
}

// Accepted says that the proposal or change named by Tag is in this leader's
// log as ID. Whether it will be committed is not known yet.
type Accepted struct {
	Tag uint64
	ID  EntryID
}

// Done says that what the input named by Tag asked for has come about: after
// a transfer Leader leads, after a resignation this replica does not.
type Done struct {
	Tag    uint64
	Leader ReplicaID // zero: unknown yet
}

// EventKind says what happened.
type EventKind uint8

const (
	// EventPromoted: the configuration that made the learner Replica a voter is
	// committed.
	EventPromoted EventKind = iota + 1
	// EventRemoved: so is the one that Replica is no member of any more.
	EventRemoved
	// EventHandover: this leader hands over to Replica of its own accord.
	EventHandover
	// EventHandoverAborted: a transfer to Replica, asked for or not, came to
	// nothing within an election timeout.
	EventHandoverAborted
	// EventDiskStalled: nothing became durable here for ten election timeouts,
	// though something is waiting.
	EventDiskStalled
	// EventJitterMissing: the host was asked for a random number (WantJitter), and
	// brought ticks of an election timeout without one. Elections go on with worse
	// numbers. It is said once.
	EventJitterMissing
	// EventDiskLost: what Replica's disk is known to have held is gone. It counts
	// for nothing in this leader's term, or here from now on: remove it, and add a
	// new replica under a new id.
	EventDiskLost
)

var eventNames = [...]string{"none", "promoted", "removed", "handover", "handover aborted", "disk stalled", "jitter missing", "disk lost"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is something that happened at this replica; Replica is whom it is
// about.
type Event struct {
	Kind    EventKind
	Replica ReplicaID
}

// Refusal says that the input named by Tag had no effect and never will have.
type Refusal struct {
	Tag    uint64
	Reason RefusalReason
	Leader ReplicaID // who may know better; zero: unknown
}

// RefusalReason says why.
type RefusalReason uint8

const (
	RefusedNone RefusalReason = iota
	// RefusedNotLeader: proposals go to the leader.
	RefusedNotLeader
	// RefusedNoLeader: a follower can pass a read on only to a known leader.
	RefusedNoLeader
	// RefusedLeadershipLost: the leader changed before the read was confirmed.
	RefusedLeadershipLost
	// RefusedTooLarge: one proposal exceeds Limits.EntryBytes.
	RefusedTooLarge
	// RefusedUnappliedFull: Limits.UnappliedBytes already wait to be
	// committed and applied.
	RefusedUnappliedFull
	// RefusedReadsFull: Limits.Reads are already waiting.
	RefusedReadsFull
	// RefusedTimeout: the leader did not answer within an upper election
	// timeout.
	RefusedTimeout
	// RefusedHalted: the replica has halted; see Raft.Halted.
	RefusedHalted
	// RefusedTransferring: the leader is handing over; Leader is to whom.
	RefusedTransferring
	// RefusedTransferAborted: the target did not take over within an election
	// timeout; this replica leads on, if it still leads.
	RefusedTransferAborted
	// RefusedNoTarget: no other voter is in touch and could take over, or not
	// the one that was named.
	RefusedNoTarget
	// RefusedNotVoter: this replica may not stand for election.
	RefusedNotVoter
	// RefusedLeaderHeard: a leader was heard a moment ago, or may have been before
	// this replica was started, and counts on this replica's vote.
	RefusedLeaderHeard
	// RefusedTermNotOpen: the leader has not committed an entry of its own term
	// yet, and may not change members before it has.
	RefusedTermNotOpen
	// RefusedChangePending: the change before is not committed, or leads through
	// a joint configuration that has not been left.
	RefusedChangePending
	// RefusedConfigurationMoved: Change.If is not in force any more.
	RefusedConfigurationMoved
	// RefusedNoChange, RefusedUsedID, RefusedNoMember, RefusedTwice,
	// RefusedNoVoters, RefusedTooManyMembers: the change is not one; see the
	// errors of package confchange.
	RefusedNoChange
	RefusedUsedID
	RefusedNoMember
	RefusedTwice
	RefusedNoVoters
	RefusedTooManyMembers
	// RefusedQuorumSilent: too many of those who would decide then were not heard
	// for an election timeout. The cluster would stand still until they come back.
	RefusedQuorumSilent
	// RefusedFarID: the id of a new member lies too far above all that were used;
	// see confchange.IDLeapMax.
	RefusedFarID
	refusedEnd
)

var refusalNames = [...]string{
	"none", "not leader", "no leader", "leadership lost", "too large",
	"unapplied full", "reads full", "timeout", "halted",
	"leadership is being transferred", "transfer aborted", "no target", "not a voter", "a leader is heard",
	"no entry of the term committed yet", "a change is pending", "configuration moved on",
	"nothing changes", "id used before", "no such member", "two operations on one replica",
	"no voters would be left", "too many members",
	"too many who would decide are silent", "id too far above those used",
}

func (r RefusalReason) String() string {
	if int(r) < len(refusalNames) {
		return refusalNames[r]
	}
	return "unknown"
}

// reset empties the Ready for the next step and keeps its memory, but nothing
// that points elsewhere: Entries, Committed and the entries of messages point
// into the log, and would keep alive what is compacted. It runs at every step,
// so what is large is emptied only if it was used.
func (rd *Ready) reset() {
	if rd.ChunkSet {
		rd.ChunkSet, rd.Chunk = false, SnapshotChunk{}
	}
	if rd.RestoreSet {
		rd.RestoreSet, rd.Restore = false, Snapshot{}
	}
	rd.WriteSet, rd.HardState, rd.Mark = false, HardState{}, LogMark{}
	rd.Reset, rd.Truncate, rd.Compact = false, 0, 0
	rd.Entries, rd.Committed = nil, nil
	clear(rd.Released)
	rd.Released = rd.Released[:0]
	letGo(rd.Messages)
	letGo(rd.Held)
	rd.Messages, rd.Held = rd.Messages[:0], rd.Held[:0]
	rd.Reads, rd.Accepted, rd.Refusals = rd.Reads[:0], rd.Accepted[:0], rd.Refusals[:0]
	rd.Done, rd.Events = rd.Done[:0], rd.Events[:0]
	if rd.ConfigurationSet {
		rd.ConfigurationSet, rd.Configuration = false, Configuration{}
	}
	rd.LeaderChanged, rd.LostLeadership = false, false
	rd.Leader, rd.Term, rd.WantJitter = 0, 0, false
}

// letGo drops what the messages point to. The rest of them is overwritten when
// their slots are used again.
func letGo(messages []Message) {
	for i := range messages {
		m := &messages[i]
		m.AppendEntries.Entries = nil
		if m.Kind == KindInstallSnapshot {
			m.InstallSnapshot = InstallSnapshot{}
		}
	}
}
