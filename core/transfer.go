package core

import "github.com/seaworthy-raft/seaworthy/core/progress"

// Leadership changes hands (dissertation §3.10): the leader takes no more
// proposals, brings the target's log up to its own, and asks it to stand for
// election at once. The request is of the leader's term, and void in any
// other; it is repeated, as messages get lost. What has not come about within
// ElectionTicks is given up.

// handover is one under way. It outlives the role, because whether it came
// about is known only when the next leader is heard.
type handover struct {
	cause  handoverCause
	tagged bool
	tag    uint64
	target ReplicaID
	// elapsedTicks since it began, and askedTicks since the target was asked
	// last; asked: it was, at least once.
	elapsedTicks uint32
	askedTicks   uint32
	asked        bool
}

// handoverCause is who wants it.
type handoverCause uint8

const (
	handoverNone      handoverCause = iota
	handoverAsked                   // the host, by InputTransfer
	handoverResigned                // the host, by InputResign
	handoverRemoved                 // this leader is no voter any more
	handoverStalled                 // this leader's disk stands still
	handoverPreferred               // a voter of higher priority has caught up
)

func (h *handover) active() bool { return h.cause != handoverNone }

// preferredTimeouts is how many upper election timeouts a leader has been in
// office before it hands over to a voter of higher priority. After an attempt it
// is twice as many before the next, up to preferredDoublings times.
const (
	preferredTimeouts  = 4
	preferredDoublings = 6
)

// preference is what a replica remembers of its own handovers to a preferred
// voter, in office and out of it: a preference is nobody's order, so what comes
// to nothing, or does not last, is tried less and less often.
type preference struct {
	target ReplicaID
	vain   uint32 // handovers to it that have not proved to last
	// ledTicks is how long it has been heard as the leader, without a break.
	ledTicks uint32
}

// tickPreference forgets the handovers that came to nothing once the target has
// led for as long as the next attempt would have had to wait.
func (r *Raft) tickPreference(n uint32) {
	p := &r.preference
	switch {
	case p.vain == 0:
	case r.leader != p.target:
		p.ledTicks = 0
	default:
		if p.ledTicks = saturate(p.ledTicks, n); p.ledTicks >= r.preferredAfter() {
			*p = preference{}
		}
	}
}

// handleTransfer begins a transfer that the host asks for.
func (r *Raft) handleTransfer(tag uint64, target ReplicaID, out *Ready) {
	switch {
	case r.role != RoleLeader:
		r.refuse(out, tag, RefusedNotLeader)
	case r.handover.active():
		r.refuse(out, tag, RefusedTransferring)
	case target == r.cfg.ID:
		out.Done = append(out.Done, Done{tag, target})
	case !r.beginHandover(handoverAsked, target, out):
		r.refuse(out, tag, RefusedNoTarget)
	default:
		r.handover.tagged, r.handover.tag = true, tag
	}
}

// handleCampaign stands for election now, unless a leader was heard within the
// least election timeout: that one can be asked for a transfer.
func (r *Raft) handleCampaign(tag uint64, out *Ready) {
	switch {
	case r.role == RoleLeader:
		out.Done = append(out.Done, Done{tag, r.cfg.ID})
	case !r.mayStand():
		r.refuse(out, tag, RefusedNotVoter)
	case r.hearsLeader() && !r.needsNobody():
		// The leader's lease may rest on this very replica, and the others, if
		// they hear no leader, would not save it.
		r.refuse(out, tag, RefusedLeaderHeard)
	default:
		out.Done = append(out.Done, Done{tag, 0})
		if r.role == RoleFollower {
			r.becomePreCandidate(out)
		}
	}
}

// handleResign makes sure that this replica does not lead, and will not.
func (r *Raft) handleResign(tag uint64, out *Ready) {
	if r.role == RoleLeader && r.handover.tagged {
		r.refuse(out, tag, RefusedTransferring)
		return
	}
	r.resigned = true
	switch {
	case r.role != RoleLeader:
		if r.role != RoleFollower {
			r.becomeFollower(out)
		}
		out.Done = append(out.Done, Done{tag, r.leader})
	case r.handover.active() || r.beginHandover(handoverResigned, 0, out):
		r.handover.cause = handoverResigned
		r.handover.tagged, r.handover.tag = true, tag
	default:
		r.becomeFollower(out)
		out.Done = append(out.Done, Done{tag, 0})
	}
}

// beginHandover begins to hand over to target, or to the best of the voters
// when it is zero. It reports false if there is nobody to hand over to.
func (r *Raft) beginHandover(cause handoverCause, target ReplicaID, out *Ready) bool {
	best := r.bestVoter(target)
	if best == nil {
		return false
	}
	r.handover = handover{cause: cause, target: best.ID}
	if cause != handoverAsked && cause != handoverResigned {
		out.Events = append(out.Events, Event{EventHandover, best.ID})
	}
	r.askToStand(out)
	return true
}

// bestVoter is the one to take over: in touch, fit to stand, with the longest
// log, and of the highest priority. Only names whom alone to consider, unless it is zero.
func (r *Raft) bestVoter(only ReplicaID) *progress.Progress {
	var best *progress.Progress
	for _, id := range r.members().Voters {
		p := r.peer(id)
		if id == r.cfg.ID || only != 0 && id != only || p == nil || r.quiet(p) || p.Unfit || p.Lost || p.State == progress.Snapshot {
			continue
		}
		if best == nil || p.Match > best.Match ||
			p.Match == best.Match && r.members().Member(id).Priority > r.members().Member(best.ID).Priority {
			best = p
		}
	}
	return best
}

// askToStand asks the target to stand for election, if it has the whole log.
func (r *Raft) askToStand(out *Ready) {
	h := &r.handover
	p := r.peer(h.target)
	if r.role != RoleLeader || p == nil || p.Match != r.log.lastIndex() {
		return
	}
	h.asked, h.askedTicks = true, 0
	// From here on the target may win an election whenever the message arrives,
	// whatever the followers hear of this leader.
	r.lead.leaseVoid = true
	r.message(out, KindTimeoutNow, h.target, false).TimeoutNow.Last = r.log.last()
}

// tickHandover repeats the request, and gives up in time.
func (r *Raft) tickHandover(n uint32, out *Ready) {
	h := &r.handover
	if r.role == RoleLeader {
		r.lead.preferredTicks = saturate(r.lead.preferredTicks, n)
	}
	if !h.active() {
		return
	}
	h.elapsedTicks = saturate(h.elapsedTicks, n)
	h.askedTicks = saturate(h.askedTicks, n)
	switch {
	case h.elapsedTicks >= r.cfg.ElectionTicks:
		r.abortHandover(out)
	case h.asked && h.askedTicks >= r.cfg.HeartbeatTicks:
		r.askToStand(out)
	}
}

// abortHandover leads on, unless it must not. Who leads no longer, and is told
// by nobody who does, was perhaps succeeded by the target; that is news only
// for who asked.
func (r *Raft) abortHandover(out *Ready) {
	h := r.handover
	r.handover = handover{}
	if r.role == RoleLeader || h.tagged {
		out.Events = append(out.Events, Event{EventHandoverAborted, h.target})
	}
	if r.role == RoleLeader && h.stepsDown() {
		r.becomeFollower(out)
	}
	switch {
	case !h.tagged:
	case h.cause == handoverResigned:
		out.Done = append(out.Done, Done{h.tag, r.leader})
	default:
		r.refuse(out, h.tag, RefusedTransferAborted)
	}
	if r.role == RoleLeader {
		r.lead.preferredTicks = 0
	}
}

// endHandover answers who asked for the transfer, now that it is known who
// leads.
func (r *Raft) endHandover(leader ReplicaID, out *Ready) {
	h := r.handover
	r.handover = handover{}
	switch {
	case !h.tagged:
	case leader == h.target || h.cause == handoverResigned && leader != r.cfg.ID:
		out.Done = append(out.Done, Done{h.tag, leader})
	default:
		r.refuse(out, h.tag, RefusedLeadershipLost)
	}
}

// handleTimeoutNow stands for election at once, as the leader wishes.
func (r *Raft) handleTimeoutNow(m *Message, out *Ready) {
	if m.Term < r.term {
		return // it is over; that leader has been told, or will be
	}
	r.hearFrom(m.From, out)
	switch {
	case !r.mayStand():
		r.message(out, KindAppendEntriesResponse, m.From, false).AppendEntriesResponse.Unfit = true
	case r.log.matches(m.TimeoutNow.Last):
		r.becomeCandidate(true, out)
	}
}

// targetUnfit ends a handover to one that can not take over. A leader that must
// not go on leading tries the next one, in the time that it has.
func (r *Raft) targetUnfit(out *Ready) {
	h := &r.handover
	if best := r.bestVoter(0); h.stepsDown() && best != nil {
		h.target, h.asked = best.ID, false
		r.askToStand(out)
		return
	}
	r.abortHandover(out)
}

// stepsDown says whether a leader goes even if nobody takes over.
func (h *handover) stepsDown() bool {
	return h.cause == handoverResigned || h.cause == handoverRemoved || h.cause == handoverStalled
}

// tickDisk notices that the disk stands still. A leader then hands over: its
// own log is no help to anyone, and what it is asked to write is late for ever
// (if nobody else is in touch it leads on).
func (r *Raft) tickDisk(n uint32, out *Ready) {
	if !r.diskBehind() {
		r.stalledTicks = 0
		return
	}
	before := r.diskStalled()
	r.stalledTicks = saturate(r.stalledTicks, n)
	if r.diskStalled() && !before {
		out.Events = append(out.Events, Event{EventDiskStalled, r.cfg.ID})
	}
	if r.diskStalled() && r.role == RoleLeader && !r.handover.active() {
		r.beginHandover(handoverStalled, 0, out)
	}
}

// diskMoved notes that something has become durable, and how long that took.
// What was measured before fades, by a quarter each time.
func (r *Raft) diskMoved() {
	r.diskTicks = max(min(r.stalledTicks, r.stallTicks()), r.diskTicks-(r.diskTicks+3)/4)
	r.stalledTicks = 0
}

// diskBehind says whether anything waits to become durable.
func (r *Raft) diskBehind() bool {
	return r.durableTerm != r.term || r.durableVote != r.vote || r.log.persistedIndex != r.log.lastIndex()
}

// stallTimeouts is how many election timeouts a disk that owes something may let
// pass without making anything durable, before it counts as stalled. One that is
// merely slow, but moves, is no reason to give up an office or not to seek it:
// the disks of the others commit what this one is late with.
const stallTimeouts = 10

func (r *Raft) stallTicks() uint32 { return stallTimeouts * r.cfg.ElectionTicks }

func (r *Raft) diskStalled() bool { return r.stalledTicks >= r.stallTicks() }

func (r *Raft) preferredAfter() uint32 {
	return preferredTimeouts * 2 * r.cfg.ElectionTicks << min(r.preference.vain, preferredDoublings)
}

// tickPreferred hands over to a voter of higher priority that has all that is
// committed (under load nobody ever has the whole log). A leader waits with
// that until it has been in office for a while, so that leadership does not go
// to and fro.
func (r *Raft) tickPreferred(out *Ready) {
	if best := r.preferred(); best != 0 && !r.handover.active() {
		r.lead.preferredTicks = 0
		if best != r.preference.target {
			r.preference = preference{target: best}
		}
		r.preference.vain++
		r.beginHandover(handoverPreferred, best, out)
	}
}

// preferred is the voter to hand over to by now, or zero.
func (r *Raft) preferred() (best ReplicaID) {
	c := r.members()
	if len(c.Members) == 0 || r.lead.preferredTicks < r.preferredAfter() {
		return 0
	}
	own := c.Member(r.cfg.ID).Priority
	for _, id := range c.Voters {
		p, priority := r.peer(id), c.Member(id).Priority
		if priority > own && p != nil && !r.quiet(p) && !p.Unfit && !p.Lost && p.Match >= r.log.commitIndex {
			best, own = id, priority
		}
	}
	return best
}
