package core

// MessageKind says which body of a Message is filled in.
type MessageKind uint8

// The messages, who sends them to whom, and what answers them. A pre-vote is
// a RequestVote with Pre set; a heartbeat is an AppendEntries without entries.
//
//	message          from                  to         answer
//	RequestVote      (pre-)candidate       voter      RequestVoteResponse
//	AppendEntries    leader                peer       AppendEntriesResponse
//	InstallSnapshot  leader                peer       InstallSnapshotResponse
//	ReadIndex        follower              leader     ReadIndexResponse
//	TimeoutNow       leader                voter      RequestVote, to all voters
//
// Every answer carries the sender's term. A request of a lower term is answered
// with the term alone, so that its sender learns the newer one; an answer of a
// lower term is not answered.
const (
	KindRequestVote MessageKind = iota + 1
	KindRequestVoteResponse
	KindAppendEntries
	KindAppendEntriesResponse
	KindInstallSnapshot
	KindInstallSnapshotResponse
	KindReadIndex
	KindReadIndexResponse
	KindTimeoutNow
	kindEnd
)

// Message is an envelope and one body, the one that Kind names; the other
// bodies are zero. Slices inside are borrowed: whoever keeps a message beyond
// the call that handed it over copies them, except for entry data, which is
// never changed by anyone.
type Message struct {
	Kind    MessageKind
	Cluster ClusterID
	From    ReplicaID
	To      ReplicaID
	Boot    Boot // the sender's
	// Term is the sender's own term, always; a pre-vote asks for the next one
	// in its body.
	Term Term

	RequestVote             RequestVote
	RequestVoteResponse     RequestVoteResponse
	AppendEntries           AppendEntries
	AppendEntriesResponse   AppendEntriesResponse
	InstallSnapshot         InstallSnapshot
	InstallSnapshotResponse InstallSnapshotResponse
	ReadIndex               ReadIndex
	ReadIndexResponse       ReadIndexResponse
	TimeoutNow              TimeoutNow
}

// RequestVote asks for a vote in the term For, which is the sender's term, or
// with Pre set asks whether the vote would be given in the term after it
// (dissertation §3.4, §9.6). Pre changes nothing at the voter. With Transfer
// the leader itself has asked the sender to stand, so that voters who hear that
// leader answer all the same (§4.2.3); it is never set along with Pre.
type RequestVote struct {
	Pre      bool
	Transfer bool
	For      Term
	// Round, with Pre, names the sender's round of pre-votes, as many may ask for
	// one term: grants of different rounds must not add up. No two rounds of a
	// replica have the same, whatever its boot. Without Pre it is zero: a replica
	// asks for true votes in a term once.
	Round uint64
	Last  EntryID // where the candidate's log ends
}

// RequestVoteResponse answers the request for the same For, Pre and Round.
type RequestVoteResponse struct {
	Pre     bool
	For     Term
	Round   uint64
	Granted bool
}

// AppendEntries replicates Entries behind Prev (dissertation §3.5). Prev with
// index zero matches every log.
type AppendEntries struct {
	Prev       EntryID
	PrevDigest uint64
	// Commit is the leader's commit index, as far as this peer may know it.
	Commit Index
	// Round numbers the leader's rounds of contact within its term; the answer
	// carries it back, and a read is confirmed by a quorum of answers to its
	// round or a later one (dissertation §6.4).
	Round uint64
	// Sent is the leader's time in office when this left, in its ticks, from 1
	// on; the answer carries it back. A quorum of answers holds a lease from the
	// earliest of them on (dissertation §6.4.1).
	Sent uint64
	// Lost tells the receiver that its disk has lost what it had acknowledged. There
	// are no entries then.
	Lost    bool
	Entries []Entry
}

// AppendEntriesResponse says that the sender's durable log matches the
// leader's up to Match, or, with Reject, that it does not match at Prev.
type AppendEntriesResponse struct {
	Reject bool
	// Unfit: the sender may not stand for election as it is, so leadership can not
	// be handed to it. It is also the answer to a TimeoutNow that it can not
	// follow.
	Unfit bool
	// Lost: the sender was told that its disk has lost what it had acknowledged.
	Lost  bool
	Match Index
	// Prev is the index of the answered message's Prev. Without Reject the sender's
	// log matches there, durable or not.
	Prev Index
	// Hint is the last entry of the sender's log that may match: the last at or
	// before Prev whose term is not above Prev's.
	// Without Reject it is where the log ends.
	Hint  EntryID
	Round uint64
	Sent  uint64
}

// InstallSnapshot carries the bytes of a snapshot from Offset on. The core
// fills in Length; whoever sends the message puts the bytes into Data, read
// from storage.
type InstallSnapshot struct {
	Snapshot Snapshot
	Offset   uint64
	Length   uint32
	Data     []byte
	Round    uint64
	Sent     uint64
}

// InstallSnapshotResponse says how much of the stream the sender holds
// without a gap, or, when Match is set, that it needs no more of it: its
// durable log matches the leader's up to Match.
type InstallSnapshotResponse struct {
	Snapshot EntryID
	Sum      uint64
	Received uint64
	Match    Index
	Round    uint64
	Sent     uint64
}

// ReadIndex asks the leader up to where the sender must have applied before
// it may answer reads (dissertation §6.4).
type ReadIndex struct {
	ID ReadID
}

// ReadIndexResponse answers it. Refused is RefusedNone when Index counts.
type ReadIndexResponse struct {
	ID      ReadID
	Index   Index
	Refused RefusalReason
}

// TimeoutNow asks a voter whose log ends in Last to stand for election at
// once: the leader of this term hands over to it (dissertation §3.10).
type TimeoutNow struct {
	Last EntryID
}
