package sim

import (
	"testing"
)

// The rows of the core's acceptance list that need disks and clients. The
// others are in package core.

// Row 6: the disk of a leader stands still, for longer than one that is merely
// slow. Within an election timeout of noticing it hands over, another one answers the clients, and leadership does
// not come back, neither during the stall nor after it.
func TestAcceptance06LeaderWithAStalledDiskHandsOver(t *testing.T) {
	for seed := range uint64(20) {
		s := calm()
		s.Spares, s.Operator = 0, OperatorScenario{}
		w := newTestWorld(t, &Options{Seed: seed, Scenario: &s})
		w.startHosts()
		w.runUntil(2e9)
		old := w.leader()
		if old < 0 {
			t.Fatalf("seed %d: no leader", seed)
		}
		timeout := uint64(s.ElectionTicks) * s.TickNanos
		stall := &w.hosts[old].disk.device.stalledUntil
		*stall = w.now + 30*timeout
		// It notices when nothing was durable for ten timeouts, and has two to hand
		// over. Its successor needs one round of votes, on disks that work.
		w.runUntil(w.now + 12*timeout)
		next := w.leader()
		if next < 0 || next == old {
			t.Fatalf("seed %d: replica %d led, and replica %d leads after the stall was noticed", seed, old+1, next+1)
		}
		commit := w.hosts[next].replica.Core().Status().Commit
		for w.now < *stall+20*timeout {
			w.runUntil(w.now + timeout)
			if l := w.leader(); l != next {
				t.Fatalf("seed %d: leadership went on from replica %d to replica %d", seed, next+1, l+1)
			}
		}
		if now := w.hosts[next].replica.Core().Status().Commit; now < commit+100 {
			t.Errorf("seed %d: %d entries were committed in the meantime", seed, now-commit)
		}
		if w.failure != nil {
			t.Fatalf("seed %d: %+v", seed, *w.failure)
		}
	}
}

// Row 7: reads by lease while leadership is handed over all the time, leaders
// are cut off and started again, and clocks differ by just what the bound
// says. porcupine finds no read stale.
func TestAcceptance07LeaseReadsAreNeverStale(t *testing.T) {
	s := calm(askTransfer, askResign, askAddVoter, askRemoveLeader)
	s.Faults = s.Faults.With(FaultIsolate, FaultDepose, FaultCrash, FaultPause)
	s.Nemesis = NemesisScenario{EveryNanos: 500e6, DurationNanos: 500e6, Ambush: 30}
	s.Rates = []uint64{clockExact, clockExact * 104 / 100, clockExact * 104 / 100, clockExact, clockExact * 104 / 100}
	s.Traffic.RatePerSecond, s.Traffic.Keys = 400, 4
	s.Traffic.ReadsInLog, s.Traffic.FollowerReads = 0, 0
	s.Traffic.LeaseReads, s.LeaseDriftPPM = 90, 40_000
	marks := passes(t, s, MarkLeaseRead, MarkLeaseExpired, MarkLeaseVoidAfterTransfer, MarkTransferDone, MarkLeaderRemoved)
	if marks[MarkLeaseRead] < 1000 {
		t.Errorf("%d reads by lease", marks[MarkLeaseRead])
	}
}
