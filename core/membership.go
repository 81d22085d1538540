package core

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// Membership (dissertation §4). Every configuration is an entry of the log and
// counts from the moment it is appended, at the leader and at whoever receives
// it; if it is truncated, the one before it counts again. A leader appends one
// only when the one before is committed and so is an entry of its own term:
// without the latter two leaders could each change from the same configuration
// to another, and decide apart.
//
// A change is under way from the first of its configurations to the last, and
// whoever leads takes it on from what the log says:
//
//	learners to be promoted ─► all caught up ─► joint ─► committed ─► left

// checkEntry looks into an entry that is this package's to read.
func checkEntry(e *Entry) error {
	if e.Kind != EntryConfiguration {
		return nil
	}
	c, err := confchange.Decode(e.Data)
	if err != nil {
		return err
	}
	if c.EntryID != e.EntryID {
		return fmt.Errorf("%w: named %v, in entry %v", confchange.ErrForm, c.EntryID, e.EntryID)
	}
	return c.Check()
}

// mustDecode is the configuration in an entry that checkEntry has seen.
func mustDecode(e *Entry) Configuration {
	c, err := confchange.Decode(e.Data)
	if err != nil {
		panic(fmt.Sprintf("core: entry %v: %v", e.EntryID, err))
	}
	return c
}

// truncateConfigurations has the configuration count again that counted before
// the entries from i on.
func (r *Raft) truncateConfigurations(from Index) {
	n := len(r.configurations)
	for n > 1 && r.configurations[n-1].Index >= from {
		n--
	}
	r.configurations = r.configurations[:n]
}

// compactConfigurations forgets those that counted only before i. The rest
// moves only if that is no more than what is forgotten.
func (r *Raft) compactConfigurations(i Index) {
	n := r.countedAt(i)
	rest := r.configurations[n:]
	if n >= len(rest) {
		rest = slices.Clone(rest)
	} else {
		clear(r.configurations[:n])
	}
	r.configurations = rest
}

// countedAt is the position in r.configurations of the one that counted when
// the log ended at i.
func (r *Raft) countedAt(i Index) int {
	return max(0, r.firstAfter(i)-1)
}

// firstAfter is the position of the first configuration that came after i.
func (r *Raft) firstAfter(i Index) int {
	return sort.Search(len(r.configurations), func(n int) bool { return r.configurations[n].Index > i })
}

// configurationAt is the one that counted when the log ended at i.
func (r *Raft) configurationAt(i Index) *Configuration { return &r.configurations[r.countedAt(i)] }

// mayStand says whether this replica may stand for election: it votes in the
// configuration that counts, or in one that may count again, as nobody else
// may have the entries that others need (dissertation §4.2.2). For the same
// reason a learner that is to be promoted may: others may know already that
// they need its vote, and not get it, as its log is better than theirs.
func (r *Raft) mayStand() bool {
	if r.resigned || r.lost || r.diskStalled() || r.follower.incoming.installing || r.term == termMax {
		return false
	}
	mayCount := r.configurations[r.countedAt(r.log.commitIndex):]
	for i := range mayCount {
		if c := &mayCount[i]; c.Votes(r.cfg.ID) || c.Promotes(r.cfg.ID) {
			return true
		}
	}
	return false
}

// noteCommitted tells of the configurations that have become committed beyond
// the index from.
func (r *Raft) noteCommitted(from Index, out *Ready) {
	for i := max(1, r.firstAfter(from)); i < len(r.configurations); i++ {
		c, before := &r.configurations[i], &r.configurations[i-1]
		if c.Index > r.log.commitIndex {
			break
		}
		for _, id := range c.Voters {
			if slices.Contains(before.Learners, id) {
				out.Events = append(out.Events, Event{EventPromoted, id})
			}
		}
		before.Each(func(id ReplicaID) {
			if !c.Has(id) {
				out.Events = append(out.Events, Event{EventRemoved, id})
			}
		})
	}
}

// changeRefused says why the leader may not append a configuration now.
func (r *Raft) changeRefused() RefusalReason {
	c := r.members()
	switch {
	case r.role != RoleLeader:
		return RefusedNotLeader
	case r.handover.active():
		return RefusedTransferring
	case r.log.commitIndex < r.lead.termStart:
		return RefusedTermNotOpen
	case c.Index > r.log.commitIndex:
		return RefusedChangePending
	}
	return RefusedNone
}

// handleChange begins a change, or says why not. Nothing is appended for one
// that is refused.
func (r *Raft) handleChange(tag uint64, change *Change, out *Ready) {
	c := r.members()
	reason := r.changeRefused()
	switch {
	case reason != RefusedNone:
	case c.IsJoint():
		reason = RefusedChangePending
	case change.IfSet && change.If != c.EntryID:
		reason = RefusedConfigurationMoved
	}
	if reason != RefusedNone {
		r.refuse(out, tag, reason)
		return
	}
	next, err := c.Begin(change.Operations)
	switch {
	case err != nil:
		r.refuse(out, tag, refusalOf(err))
		return
	case !r.hearsQuorum(&next):
		r.refuse(out, tag, RefusedQuorumSilent)
		return
	}
	id := r.appendConfiguration(next, out)
	out.Accepted = append(out.Accepted, Accepted{tag, id})
}

func refusalOf(err error) RefusalReason {
	for _, known := range [...]struct {
		err    error
		reason RefusalReason
	}{
		{confchange.ErrUsedID, RefusedUsedID},
		{confchange.ErrFarID, RefusedFarID},
		{confchange.ErrNoMember, RefusedNoMember},
		{confchange.ErrTwice, RefusedTwice},
		{confchange.ErrNoVoters, RefusedNoVoters},
		{confchange.ErrTooMany, RefusedTooManyMembers},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return RefusedNoChange
}

// advanceChange takes a change that is under way on, as soon as that is
// allowed. It is asked at the end of every step.
func (r *Raft) advanceChange(out *Ready) {
	if r.changeRefused() != RefusedNone {
		return
	}
	c := r.members()
	switch {
	case c.IsJoint():
		r.appendConfiguration(c.Leave(), out)
	case !c.Votes(r.cfg.ID):
		// It led until the entry without it was committed. Now that the others
		// are told, one of them takes over (dissertation §4.2.2).
		r.sendHeartbeats(out)
		if !r.beginHandover(handoverRemoved, 0, out) {
			r.becomeFollower(out)
		}
	case len(c.Planned) > 0 && r.allCaughtUp(c):
		if next := c.Enter(); r.hearsQuorum(&next) {
			r.appendConfiguration(next, out)
		}
	}
}

// hearsQuorum says whether those who would decide are in touch. A configuration
// counts at once: with others in it than those the leader could commit nothing
// more, and who has the entry could not lead without them.
func (r *Raft) hearsQuorum(c *Configuration) bool { return c.Joint().Tally(r.heardFrom) == quorum.Won }

func (r *Raft) allCaughtUp(c *Configuration) bool {
	for _, op := range c.Planned {
		if p := r.peer(op.ID); op.Kind == confchange.Promote && (p == nil || !p.CatchUp.Done) {
			return false
		}
	}
	return true
}

// tickCatchUp measures how learners that are to be promoted catch up: in each
// round they get what the log held at its beginning, and when a round takes
// less than an election timeout, they are close enough (dissertation §4.2.1).
func (r *Raft) tickCatchUp(p *progress.Progress, n uint32) {
	if !r.members().Promotes(p.ID) || r.quiet(p) {
		p.CatchUp = progress.CatchUp{}
		return
	}
	p.CatchUp.Ticks = saturate(p.CatchUp.Ticks, n)
}

// catchUp ends a round that p has completed, now that it has answered.
func (r *Raft) catchUp(p *progress.Progress) {
	u := &p.CatchUp
	if u.Done || !r.members().Promotes(p.ID) || u.Target != 0 && p.Match < u.Target {
		return
	}
	u.Done = u.Target != 0 && u.Ticks < r.cfg.ElectionTicks
	u.Target, u.Ticks = r.log.lastIndex(), 0
}

// appendConfiguration makes c count.
func (r *Raft) appendConfiguration(c Configuration, out *Ready) EntryID {
	c.EntryID = EntryID{Term: r.term, Index: r.log.lastIndex() + 1}
	id := r.leaderAppend(EntryConfiguration, c.Append(nil))
	r.followMembers()
	// A quorum may be smaller than it was, and hold what it did not hold.
	r.leaderCommit(out)
	r.confirmReads(out)
	r.replicate(out)
	return id
}

// followMembers follows whoever is a member, and lets go of the others when
// they have been told.
func (r *Raft) followMembers() {
	c := r.members()
	c.Each(r.addPeer)
	for i := range r.lead.peers {
		p := &r.lead.peers[i]
		p.Leaving = !c.Has(p.ID) && p.ID != r.cfg.ID
	}
}

// dropLeaving lets go of replicas that are members no longer, once they know,
// or are silent, or would need a snapshot to learn it.
func (r *Raft) dropLeaving() {
	c := r.members()
	kept := r.lead.peers[:0]
	for _, p := range r.lead.peers {
		told := r.log.commitIndex >= c.Index && p.Match >= c.Index && p.ToldCommit >= c.Index
		if !p.Leaving || !p.Lost && !told && !r.quiet(&p) && p.State != progress.Snapshot {
			kept = append(kept, p)
		}
	}
	clear(r.lead.peers[len(kept):])
	r.lead.peers = kept
}
