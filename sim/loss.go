package sim

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// A loss is what no storage can hide: the disk of one replica is emptied, or put
// back to a backup of itself, or a byte of it changes. The first two break what
// Raft stands on, that a replica keeps what it has promised, and the operator has
// to remove the replica; the third is refused at the start, and the replica stays
// down until it is removed. One replica at most is lost in a run.
//
// A replica that has forgotten may vote twice in a term, hear a leader that it had
// left, and elect one that lacks what was committed with its help. So it starts
// only when nothing that it has ever promised matters any more; until then it is
// down. From then on it is like one that was only slow for so long:
//
//   - Nothing that it sent, or that was sent to it, is on its way.
//   - What was on its disk, and all that is committed, is on the disks of a
//     majority of the voters without it. So every majority that it is part of
//     has another one in it that has what was committed with its help.
//   - Every other voter is in a later term than it was, or in the same, and has
//     voted there for the leader that was elected in it, another one than this. So
//     nobody needs a vote any more in a term in which it may have given one.
//   - All voters have the same configuration, which is committed, has no two
//     halves, and is the one that it starts with or it knows none; and whoever
//     runs is a member of it, or knows nobody.

const losses FaultSet = 1<<FaultDiskWiped | 1<<FaultDiskRolledBack | 1<<FaultDiskDamaged

// PropertyDiskLostNoticed is that a leader in office says so when what a
// follower's disk is known to have held is gone.
const PropertyDiskLostNoticed = "Lost Disk Noticed"

// noticedWithin is how many election timeouts it may take, in which links are
// open and processes run.
const noticedWithin = 4

type lossStage uint8

const (
	lossToCome  lossStage = iota // a backup is made
	lossToFall                   // the disk is lost
	lossToStart                  // the replica may start, once it is safe
	lossStarted                  // it is to be noticed, and removed
	lossOver
)

// loss is the one of a run.
type loss struct {
	w      *world
	st     choice.Stream
	kind   FaultKind
	stage  lossStage
	victim int
	backup *replica.Backup
	before replica.Durable // what its disk held, before it was lost

	// Who led when it started and has to notice, in which term; -1: nobody. Calm
	// is for how many election timeouts in a row it might have.
	leader  int
	term    core.Term
	calm    int
	noticed bool
}

func (l *loss) begin(w *world) {
	l.w, l.victim, l.leader = w, -1, -1
	l.stage = lossOver
	l.st = w.stream("loss", 0, 0)
	kinds := []FaultKind{}
	for k := range FaultCount {
		if losses.Has(k) && w.scenario.Faults.Has(k) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 || w.scenario.Replicas < 3 || w.checker.broken {
		return // only the checker can tell when it is safe
	}
	// Not at all, where no decision is on the tape.
	c := w.source.Choose(l.st, len(kinds)+1)
	if c == 0 {
		return
	}
	l.kind, l.stage = kinds[c-1], lossToCome
	l.later(w.scenario.FaultNanos / 64 * uint64(1+w.source.Choose(l.st, 32)))
}

func (l *loss) later(nanos uint64) { l.w.queue.push(l.w.now+max(nanos, 1), eventLoss, 0, 0) }

// move is what comes of an eventLoss.
func (l *loss) move() {
	w := l.w
	if l.stage == lossOver {
		return
	}
	timeout := w.scenario.electionNanos()
	switch l.stage {
	case lossToCome:
		set := w.electorate()
		l.victim = nth(set, w.source.Choose(l.st, bits.OnesCount64(set)))
		if h := &w.hosts[l.victim]; h.replica != nil {
			l.backup = h.disk.memory.Backup()
			l.stage = lossToFall
		}
		l.later(timeout * uint64(1+w.source.Choose(l.st, 64)))
	case lossToFall:
		l.fall()
		l.later(timeout)
	case lossToStart:
		l.start()
		l.later(timeout)
	case lossStarted:
		// Whoever has to notice it gets the time for that.
		if l.watch(); l.noticed || l.leader < 0 {
			l.remove()
		}
		l.later(timeout)
	}
}

// fall ends the process, and what its disk was is over.
func (l *loss) fall() {
	w := l.w
	h := &w.hosts[l.victim]
	if h.replica == nil || h.retired {
		return
	}
	h.stop(downPower, l.st)
	l.before = h.disk.memory.Durable()
	if l.kind == FaultDiskDamaged {
		where := w.source.ChooseRange(l.st, 0, 1<<20)
		if !h.disk.memory.Damage(where) {
			h.start()
			return
		}
		l.stage = lossStarted
		w.fault(l.kind)
		w.emitFault(l.victim, uint64(l.kind), 0, 1<<l.victim, 0, false, replicaText(uint64(l.victim)+1))
		h.start()
		if w.failure == nil && !h.out {
			w.failAt(Safety, l.victim, "Damage", "it starts on a disk that is damaged")
		}
		return
	}
	h.out = true
	l.stage = lossToStart
}

// refused says whether that is what has to come of a start: the disk is damaged.
func (l *loss) refused(h *host, err error) bool {
	if l.kind != FaultDiskDamaged || h.index != l.victim || l.stage != lossStarted || !errors.Is(err, replica.ErrCorrupt) {
		return false
	}
	h.out = true
	l.w.mark(MarkDamageRefused)
	return true
}

// start lets the process start on what the disk is now, if that is safe.
func (l *loss) start() {
	w := l.w
	h := &w.hosts[l.victim]
	if w.nemesis.clogs > 0 || !w.checker.mayForget(l.victim, &l.before) {
		return
	}
	backup := l.backup
	if l.kind == FaultDiskWiped {
		backup = nil
	}
	keepBoot := w.source.Chance(l.st, 1, 2)
	h.disk.memory.RollBack(backup, keepBoot)
	if backup != nil && !w.checker.sameMembers(l.victim, h.disk.memory.Durable()) {
		// The backup is of other members: nothing but an empty disk is safe.
		l.kind, backup = FaultDiskWiped, nil
		h.disk.memory.RollBack(nil, keepBoot)
	}
	l.purge()
	w.fault(l.kind)
	w.emitFault(l.victim, uint64(l.kind), 0, 1<<l.victim, 0, false, replicaText(uint64(l.victim)+1))
	if backup == nil {
		w.mark(MarkDiskWiped)
	} else {
		w.mark(MarkDiskRolledBack)
	}
	l.stage = lossStarted
	h.out, h.lost = false, true
	w.checker.onLost(l.victim, backup == nil)
	l.leader = w.leader()
	if l.leader >= 0 {
		l.term = w.hosts[l.leader].role.term
		last, knows := h.disk.memory.Durable().Last.Index, false
		w.hosts[l.leader].replica.Core().Peers(func(p *progress.Progress) {
			knows = knows || p.ID == h.id && p.Match > last
		})
		if !knows {
			l.leader = -1
		}
	}
	h.start()
	w.touched(l.victim)
}

// purge lets nothing arrive that was sent by the victim, or to it.
func (l *loss) purge() {
	w := l.w
	kept := w.queue.heap[:0]
	for _, e := range w.queue.heap {
		if e.kind == eventPacket {
			if p := &w.packets.slots[e.arg]; p.kind == packetMessage && (int(e.who) == l.victim || int(p.from) == l.victim) {
				w.packets.release(e.arg)
				continue
			}
		}
		kept = append(kept, e)
	}
	w.queue.heap = kept[:0]
	for _, e := range append([]event(nil), kept...) {
		w.queue.put(e)
	}
	// A process that is paused has packets waiting.
	for i := range w.hosts {
		h := &w.hosts[i]
		kept := h.waiting[:0]
		for _, e := range h.waiting {
			if e.kind == eventPacket {
				if p := &w.packets.slots[e.arg]; p.kind == packetMessage && int(p.from) == l.victim {
					w.packets.release(e.arg)
					continue
				}
			}
			kept = append(kept, e)
		}
		h.waiting = kept
	}
}

// told: replica h says that what id's disk held is gone.
func (l *loss) told(h *host, id core.ReplicaID) {
	if i := int(id) - 1; i != l.victim || !l.w.hosts[i].lost {
		l.w.failAt(Safety, h.index, PropertyTrueEvents, fmt.Sprintf("replica %d: it says that the disk of replica %d is lost, which has lost nothing", h.id, id))
		return
	}
	if l.noticed = true; h.index != l.victim {
		l.w.mark(MarkLossNoticed)
	}
}

// watch demands that the leader in office notices.
func (l *loss) watch() {
	w := l.w
	if l.noticed || l.leader < 0 {
		return
	}
	leader, h := &w.hosts[l.leader], &w.hosts[l.victim]
	if leader.replica == nil || leader.role.role != core.RoleLeader || leader.role.term != l.term {
		l.leader = -1 // the next one knows nothing
		return
	}
	if c := leader.replica.Core().Configuration(); !c.Has(h.id) {
		l.leader = -1 // it is not followed any more
		return
	}
	l.calm++
	if w.nemesis.partition != 0 || w.nemesis.clogs > 0 || leader.paused || h.replica == nil || h.paused {
		l.calm = 0
	}
	if l.calm > noticedWithin {
		w.failAt(Safety, l.leader, PropertyDiskLostNoticed, fmt.Sprintf(
			"replica %d: it leads term %d, and has not noticed for %d election timeouts that the disk of replica %d is lost, which it knew to hold more",
			leader.id, l.term, noticedWithin, h.id))
	}
}

// remove has the operator remove the victim, and take it away.
func (l *loss) remove() {
	w := l.w
	at := w.leader()
	if at < 0 || w.failure != nil {
		return
	}
	id := w.hosts[l.victim].id
	raft := w.hosts[at].replica.Core()
	if c := raft.Configuration(); c.Has(id) {
		if !c.IsJoint() && len(c.Voters) > 2 && at != l.victim {
			w.operator.send(askRemove, at, core.Change{Operations: []core.Operation{{Kind: confchange.Remove, ID: id}}}, 0)
		}
		return
	} else if raft.Status().Commit < c.Index {
		return
	}
	h := &w.hosts[l.victim]
	h.stop(downRetired, l.st)
	h.retired = true
	w.mark(MarkLostRemoved)
	l.stage = lossOver
}

// heal leaves things as they are: a replica that has not started stays down.
func (l *loss) heal() { l.stage = lossOver }

// mayForget says whether replica i, which is down, may forget what its disk held
// before: see above.
func (c *checker) mayForget(i int, before *replica.Durable) bool {
	if c.broken {
		return false
	}
	current := c.committedPage(c.top())
	conf := &c.configurations[current].conf
	if conf.IsJoint() || !holds(conf.Voters, c.replicas[i].id) || len(conf.Voters) < 3 {
		return false
	}
	term := before.HardState.Term
	leader := int(c.terms.at(term).leader) - 1
	all, held := 0, 0
	for k := range c.replicas {
		r := &c.replicas[k]
		page := r.pages[len(r.pages)-1]
		switch {
		case k == i:
		case !holds(conf.Voters, r.id):
			if page != pageNobody && c.view.there(k) {
				return false
			}
		default:
			d := r.disk.Durable().HardState
			if page != current || d.Term < term ||
				d.Term == term && (leader < 0 || leader == i || d.Vote != c.replicas[leader].id) {
				return false
			}
			if c.holdsDurably(k, before.Last.Index, before.Digest) && c.holdsDurably(k, c.top(), c.committed[c.top()].digest) {
				held++
			}
		}
	}
	all = len(conf.Voters)
	return 2*held > all
}

// sameMembers says whether what replica i finds on its disk has the members that
// count now.
func (c *checker) sameMembers(i int, d replica.Durable) bool {
	current := &c.configurations[c.committedPage(c.top())]
	return d.Snapshot.Configuration.Index <= current.conf.Index && d.Last.Index >= current.conf.Index &&
		d.Last.Index <= c.top() && c.committed[d.Last.Index].digest == d.Digest
}
