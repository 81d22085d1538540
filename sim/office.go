package sim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
)

// PropertyOfficeKept: in a healed cluster, who leads and is heard by all goes on
// leading, however slow disks are, unless it was asked not to.
const PropertyOfficeKept = "Office Kept"

// office is the leader that a healed cluster has to keep. It is settled when for
// two election timeouts all that run have followed it, in a term that their disks
// hold: from then on a heartbeat is answered without a disk, so neither side can
// miss the other.
type office struct {
	leader  int
	term    core.Term // zero: nobody leads in this way
	since   uint64    // nanoseconds
	settled bool
}

// lookAtOffice is called once in a tick. It looks only until somebody is settled.
func (w *world) lookAtOffice() {
	o := &w.office
	if o.settled {
		return
	}
	l := w.leader()
	if l < 0 || !w.followedByAll(l) {
		*o = office{}
		return
	}
	if term := w.hosts[l].role.term; o.term != term {
		*o = office{leader: l, term: term, since: w.now}
	}
	o.settled = w.now-o.since >= 2*w.scenario.electionNanos()
}

// followedByAll says whether nothing but l's own disk, or that of a follower, could
// cost l its office. It can not tell where a link is cut or narrow, because
// heartbeats may then be late behind a snapshot; where a disk may stand still for
// as long as a dead one does (see core.EventDiskStalled); or where heartbeats come
// so rarely that one may be late.
func (w *world) followedByAll(l int) bool {
	s := w.scenario
	if s.Links.BytesPerSecond != 0 || s.LeaveCut != "" || 2*s.HeartbeatTicks > s.ElectionTicks ||
		s.SlowDisk.SyncNanos > 4*s.electionNanos() {
		return false
	}
	leader := &w.hosts[l]
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.lost {
			return false
		}
		if h.replica != nil && (h.role.term != leader.role.term || h.role.leader != leader.id ||
			h.disk.memory.Durable().HardState.Term != leader.role.term) {
			return false
		}
	}
	return true
}

// leftOffice is told that h, whose successor was asked for or zero, leads no more.
func (w *world) leftOffice(h *host, successor core.ReplicaID) {
	o := &w.office
	if !o.settled || h.index != o.leader {
		return
	}
	asked := successor != 0 || w.checker.replicas[h.index].resigning || !w.checker.configuration(h.index).Votes(h.id)
	*o = office{}
	if !asked {
		w.failAt(Liveness, h.index, PropertyOfficeKept,
			fmt.Sprintf("all follow it and nothing is wrong, and it leads no longer, after %d.%03d s without a fault",
				(w.now-w.recovery.HealedAt)/1e9, (w.now-w.recovery.HealedAt)/1e6%1e3))
	}
}

// calledStalled is told that h takes its disk for one that stands still.
func (w *world) calledStalled(h *host) {
	if o := &w.office; o.settled && h.index == o.leader {
		w.failAt(Liveness, h.index, PropertyOfficeKept, "a leader takes its slow disk for one that stands still, and hands over")
	}
}
