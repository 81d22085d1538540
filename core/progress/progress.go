// Package progress is what a leader knows of one follower, and how much it
// may send to it.
//
//	          accepted append                  needs what is compacted
//	Probe ───────────────────────► Replicate    Probe ──────────────► Snapshot
//	  ▲                                │          ▲                       │
//	  └── refused append, restart ─────┘          └─ installed, or quiet ─┘
//
// In Probe one message is out until it is answered, because the leader does
// not know where the logs part. In Replicate messages stream, bounded by a
// window. In Snapshot the follower receives the bytes of a snapshot, and
// entries wait.
package progress

import "github.com/seaworthy-raft/seaworthy/core/ids"

// State is how entries are sent to a follower.
type State uint8

const (
	Probe State = iota
	Replicate
	Snapshot
)

func (s State) String() string {
	switch s {
	case Probe:
		return "probe"
	case Replicate:
		return "replicate"
	default:
		return "snapshot"
	}
}

// Progress of one follower. Match < Next always; entries up to Match are
// durable there, entries from Match+1 to Next-1 may be on their way.
type Progress struct {
	ID    ids.ReplicaID
	State State
	Match ids.Index
	Next  ids.Index

	// Boot is the follower's incarnation as last heard. A new one has forgotten
	// what was on its way.
	Boot ids.Boot
	// BootSince and MatchSince are the leader's time in office, in ticks, when it
	// learnt Boot and Match.
	BootSince, MatchSince uint64
	// Lost: the follower's disk has lost what it had acknowledged. It counts for
	// nothing, and gets nothing.
	Lost bool
	// QuietTicks have passed since the follower was last heard in this term.
	QuietTicks uint32
	// Round is the latest round of contact that the follower has answered.
	Round uint64

	// ProbeSent: in Probe, an append is out and not answered yet. ProbeLast is
	// where it ends.
	ProbeSent bool
	ProbeLast ids.Index
	// Busy: in Probe, the follower did not take all that the probe held, because
	// its state machine is behind. Until that changes it gets one append with
	// each heartbeat.
	Busy   bool
	Window Window // in Replicate
	Stream Stream // in Snapshot

	// LeaseFrom is the leader's time in office, in ticks, when it sent the latest
	// message that the follower has answered; zero: none yet.
	LeaseFrom uint64
	CatchUp   CatchUp
	// Unfit: it has said that it may not stand for election as it is.
	Unfit bool
	// Leaving: it is a member no longer, and is still to learn that. ToldCommit
	// is the highest commit index that was sent to it.
	Leaving    bool
	ToldCommit ids.Index
}

// CatchUp is how a learner that is to become a voter catches up, in rounds: in
// each it gets what the leader's log held at the round's beginning
// (dissertation §4.2.1).
type CatchUp struct {
	Target ids.Index // of the round under way; zero: none
	Ticks  uint32    // that it has taken
	Done   bool      // a round was short enough
}

// Stream is a snapshot on its way to a follower, one chunk at a time.
type Stream struct {
	ID   ids.EntryID
	Size uint64
	Sum  uint64
	// Offset is how many bytes the follower is known to hold: the next chunk
	// starts there.
	Offset uint64
	// AgeTicks have passed since the last chunk was sent without a word about
	// it.
	AgeTicks uint32
	// Repeated: the chunk at Offset was overdue and has been sent again.
	Repeated bool
}

// BecomeProbe forgets what is on its way and starts again behind Match, or at
// next if that is later.
func (p *Progress) BecomeProbe(next ids.Index) {
	p.State = Probe
	p.Next = max(next, p.Match+1)
	p.ProbeSent, p.ProbeLast, p.Busy = false, 0, false
	p.Window.Reset()
	p.Stream = Stream{}
}

// BecomeLost forgets all that the follower has ever said.
func (p *Progress) BecomeLost() {
	p.BecomeProbe(p.Match + 1)
	p.Lost = true
	p.Match, p.Round, p.LeaseFrom, p.CatchUp = 0, 0, 0, CatchUp{}
}

// BecomeReplicate streams from behind Match on.
func (p *Progress) BecomeReplicate() {
	p.BecomeProbe(p.Match + 1)
	p.State = Replicate
}

// BecomeSnapshot sends the snapshot s from its first byte.
func (p *Progress) BecomeSnapshot(s Stream) {
	p.BecomeProbe(p.Match + 1)
	p.State = Snapshot
	p.Stream = s
}

// Probed judges the answer to a probe: whether entries may stream now. One that
// was taken in part only shows that the follower can not keep up.
func (p *Progress) Probed(match ids.Index, news bool) bool {
	if p.ProbeSent && match < p.ProbeLast && match >= p.Next-1 {
		p.Next, p.Busy = match+1, true
		return false
	}
	return news || match == p.Next-1
}

// Agreed says whether an answer shows that the follower's log matches where the
// leader probes. What lies between there and Match need not be durable yet: a slow
// disk does not keep the logs from being compared, nor entries from streaming.
func (p *Progress) Agreed(prev ids.Index) bool {
	return p.State == Probe && !p.Busy && prev == p.Next-1 && prev > p.Match
}

// StreamOn streams from where the leader probes, and leaves out what the follower
// has and is yet to make durable.
func (p *Progress) StreamOn() {
	next := p.Next
	p.BecomeReplicate()
	p.Next = next
}

// Accepted notes that the follower's durable log matches up to match, as learnt
// at this time in office, and says whether that is news.
func (p *Progress) Accepted(match ids.Index, now uint64) bool {
	if match <= p.Match {
		return false
	}
	p.Match, p.MatchSince = match, now
	p.Next = max(p.Next, match+1)
	p.Window.Free(match)
	return true
}

// Refused judges a refusal of the append behind prev. It is stale, and must
// not move anything, unless it answers what could still be unanswered: in
// Replicate anything past Match, in Probe exactly the probe. Otherwise the
// leader probes at next, but never at or below what is known to match.
func (p *Progress) Refused(prev, next ids.Index) bool {
	switch p.State {
	case Replicate:
		if prev <= p.Match {
			return false
		}
	case Probe:
		if prev != p.Next-1 || prev <= p.Match {
			return false
		}
	case Snapshot:
		return false
	}
	p.BecomeProbe(min(next, prev))
	return true
}

// Window counts the appends on their way to one follower, in messages and in
// bytes. It is a ring of the last index and the bytes of each.
type Window struct {
	messagesMax uint32
	bytesMax    uint64
	bytes       uint64
	ring        []flight // messagesMax long once used
	first, size uint32
}

type flight struct {
	last  ids.Index
	bytes uint64
}

// NewWindow holds at most messages appends and, unless it holds only one, at
// most bytes.
func NewWindow(messages uint32, bytes uint64) Window {
	return Window{messagesMax: messages, bytesMax: bytes}
}

// Full says whether nothing more may be sent.
func (w *Window) Full() bool {
	return w.size == w.messagesMax || w.size > 0 && w.bytes >= w.bytesMax
}

// Room is how many bytes the next append may have; at least one entry always
// fits into an empty window.
func (w *Window) Room() uint64 {
	if w.bytes >= w.bytesMax {
		return 0
	}
	return w.bytesMax - w.bytes
}

// Len is how many appends are on their way.
func (w *Window) Len() int { return int(w.size) }

// Bytes is how many bytes are on their way.
func (w *Window) Bytes() uint64 { return w.bytes }

// Add notes an append that ends in last. The window must not be full.
func (w *Window) Add(last ids.Index, bytes uint64) {
	if w.size == w.messagesMax {
		panic("progress: append added to a full window")
	}
	if w.ring == nil {
		w.ring = make([]flight, w.messagesMax)
	}
	w.ring[(w.first+w.size)%w.messagesMax] = flight{last, bytes}
	w.size++
	w.bytes += bytes
}

// Free forgets the appends that end at or before match.
func (w *Window) Free(match ids.Index) {
	for w.size > 0 && w.ring[w.first].last <= match {
		w.bytes -= w.ring[w.first].bytes
		w.first = (w.first + 1) % w.messagesMax
		w.size--
	}
}

// Reset forgets all.
func (w *Window) Reset() { w.first, w.size, w.bytes = 0, 0, 0 }

// Clone shares nothing with w.
func (w *Window) Clone() Window {
	c := *w
	c.ring = append([]flight(nil), w.ring...)
	return c
}

// Each calls f for the appends on their way, oldest first.
func (w *Window) Each(f func(last ids.Index, bytes uint64)) {
	for i := uint32(0); i < w.size; i++ {
		fl := w.ring[(w.first+i)%w.messagesMax]
		f(fl.last, fl.bytes)
	}
}
