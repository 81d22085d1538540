package sim

import (
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
)

// A cluster that is left alone has to make progress, unless it can not. This
// file says when it can not, how long it may take otherwise, and how far it
// has come.

// standing is what decides whether one replica can help the cluster on: what
// its disk holds, and whether it runs. Nothing in memory counts, because when
// everything stands still memory and disk have had time to agree. Nor does
// the term: whoever hears of a higher one adopts it, so it delays an election
// and never prevents one.
type standing struct {
	ID core.ReplicaID
	Up bool
	// Last is where the durable log ends, or the durable snapshot if there is
	// nothing behind it.
	Last core.EntryID
	// Configuration is the latest in its log, committed or not, or was when it went
	// down. MayStand
	// says that it may stand for election even without a vote in that one: it has
	// one in an earlier configuration, and does not know that a later one is
	// committed.
	Configuration core.Configuration
	MayStand      bool
}

// links is a directed matrix: bit j of links[i] says that what replica i
// sends to replica j arrives. The diagonal does not matter.
type links []uint64

// allLinks connects each of n replicas with each.
func allLinks(n int) links {
	l := make(links, n)
	for i := range l {
		l[i] = 1<<n - 1
	}
	return l
}

// both says whether i and j hear each other; a replica always hears itself.
func (l links) both(i, j int) bool {
	return i == j || l[i]>>j&1 != 0 && l[j]>>i&1 != 0
}

// canStandStill says whether a cluster that makes no progress from here on
// does no wrong. It does wrong as soon as one replica could lead: a voter of
// its own configuration that runs, and that a quorum of that configuration,
// itself counted, would elect and could then follow. Those are the voters that
// run, hear it and are heard by it, and whose logs are no better than its own
// (dissertation §3.6.1).
//
// One such replica is enough even when others disturb. Whoever can not hear a
// quorum never gets beyond a pre-vote, so it moves nobody's term; a leader that
// can send and not hear steps down by itself; and those who hear a leader that
// works give no votes (dissertation §9.6, §6.2, §4.2.3). That is how the
// election rules are meant, and the reason to hold the cluster to this verdict.
func canStandStill(replicas []standing, l links) bool {
	return electable(replicas, l) == 0
}

// electable is the set of replicas that could lead, as bits by position.
func electable(replicas []standing, l links) uint64 {
	var set uint64
	for c := range replicas {
		if mayLead(replicas, l, c) {
			set |= 1 << c
		}
	}
	return set
}

func mayLead(replicas []standing, l links, c int) bool {
	candidate := &replicas[c]
	conf := &candidate.Configuration
	if !candidate.Up || !candidate.MayStand && !conf.Votes(candidate.ID) {
		return false
	}
	var in, out int
	for v := range replicas {
		voter := &replicas[v]
		if !voter.Up || !l.both(c, v) || !candidate.Last.UpToDate(voter.Last) {
			continue
		}
		if holds(conf.Voters, voter.ID) {
			in++
		}
		if holds(conf.Outgoing, voter.ID) {
			out++
		}
	}
	return 2*in > len(conf.Voters) && (len(conf.Outgoing) == 0 || 2*out > len(conf.Outgoing))
}

func holds(set []core.ReplicaID, id core.ReplicaID) bool {
	for _, v := range set {
		if v == id {
			return true
		}
	}
	return false
}

// withinReach is the set of replicas that have to converge with the leader, as
// bits by position: the members of its configuration that run and hear it and
// are heard by it. Whoever is cut off from the leader alone may stay behind,
// because entries come from the leader only, and to members only.
func withinReach(replicas []standing, l links, leader int) uint64 {
	var set uint64
	members := &replicas[leader].Configuration
	for i := range replicas {
		if replicas[i].Up && l.both(leader, i) && members.Has(replicas[i].ID) {
			set |= 1 << i
		}
	}
	return set
}

// pace is what the bound on recovery is made of.
type pace struct {
	// ElectionTicks is the least election timeout of a replica; the upper one is
	// twice that.
	ElectionTicks uint32
	// TickNanos is how long a tick is meant to take, and SlowestTickNanos how
	// long it takes by the slowest clock of the cluster. Both in nanoseconds.
	TickNanos        uint64
	SlowestTickNanos uint64
	// OwedBytes is what has to cross one link at most before all have the same
	// state: snapshots and log. BytesPerSecond is what a link carries; zero:
	// no limit.
	OwedBytes      uint64
	BytesPerSecond uint64
	// SyncNanos is what the slowest disk takes at least for each sync, if it stays
	// slow. It may be in every majority, and then votes and entries wait for it.
	SyncNanos uint64
}

// recoveryTimeouts is how many upper election timeouts a healed cluster has to
// elect, answer and converge, and syncs of the slowest disk on top. A campaign prints what it took, and this keeps a
// factor of three over the slowest.
const recoveryTimeouts = 30

// boundNanos is how long a healed cluster may take, in nanoseconds.
func (p *pace) boundNanos() uint64 {
	nanos := recoveryTimeouts * 2 * uint64(p.ElectionTicks) * max(p.SlowestTickNanos, p.TickNanos)
	nanos += recoveryTimeouts * p.SyncNanos
	if p.BytesPerSecond == 0 {
		return nanos
	}
	hi, lo := bits.Mul64(p.OwedBytes, 1e9)
	if hi >= p.BytesPerSecond {
		return 1<<64 - 1
	}
	owed, _ := bits.Div64(hi, lo, p.BytesPerSecond)
	if nanos += owed + 1; nanos <= owed {
		return 1<<64 - 1
	}
	return nanos
}

// ticks is a duration in nanoseconds as ticks, rounded up.
func (p *pace) ticks(nanos uint64) uint64 {
	t := nanos / p.TickNanos
	if nanos%p.TickNanos != 0 {
		t++
	}
	return t
}

// recovery is how far a healed cluster has come. Times are the world's, in
// nanoseconds; zero: not yet.
type recovery struct {
	HealedAt uint64
	// LedAt: a replica leads in the highest term that is led.
	LedAt uint64
	// AnsweredAt: the first write was acknowledged that was asked for after the
	// heal.
	AnsweredAt uint64
	// ConvergedAt: every replica that has to has the leader's log, and has
	// applied all of it.
	ConvergedAt uint64
	// SettledAt: no change of members and no handover is under way that could be
	// finished.
	SettledAt uint64
}

// done says whether nothing is missing.
func (r *recovery) done() bool {
	return r.LedAt != 0 && r.AnsweredAt != 0 && r.ConvergedAt != 0 && r.SettledAt != 0
}

// missing is the first thing that has not happened, for the verdict.
func (r *recovery) missing() string {
	switch {
	case r.LedAt == 0:
		return "no leader"
	case r.AnsweredAt == 0:
		return "no write answered"
	case r.ConvergedAt == 0:
		return "not converged"
	case r.SettledAt == 0:
		return "a change of members or a handover is not finished"
	default:
		return "nothing"
	}
}

// nanos is how long it took from the heal on.
func (r *recovery) nanos() uint64 {
	return max(r.LedAt, r.AnsweredAt, r.ConvergedAt, r.SettledAt, r.HealedAt) - r.HealedAt
}

// observe notes what has become true by now. Answered says whether a write
// asked for after the heal has been acknowledged. Leaders come and go: what
// was reached counts from the last leader on, because it is that leader's
// cluster that has to stand at the end.
//
// Settled says whether the leader has finished what was under way.
func (r *recovery) observe(c *checker, l links, now uint64, answered, settled bool) {
	leader := c.leaderNow()
	if leader < 0 {
		r.LedAt, r.ConvergedAt, r.SettledAt = 0, 0, 0
		return
	}
	if !settled {
		r.SettledAt = 0
	} else if r.SettledAt == 0 {
		r.SettledAt = now
	}
	if r.LedAt == 0 {
		r.LedAt = now
	}
	if answered && r.AnsweredAt == 0 {
		r.AnsweredAt = now
	}
	if r.AnsweredAt == 0 || !c.converged(leader, l) {
		r.ConvergedAt = 0
	} else if r.ConvergedAt == 0 {
		r.ConvergedAt = now
	}
}
