package sim

import (
	"testing"
)

// Each kind of fault, alone, happens, does no harm that the cluster can not
// stand, and is undone in the end.
func TestEachFaultAlone(t *testing.T) {
	for kind := range FaultCount {
		t.Run(kind.String(), func(t *testing.T) {
			happened := uint64(0)
			for seed := range uint64(4) {
				s := Bench()
				s.Replicas = 5
				s.FaultNanos = 5e9
				s.SnapshotBytes = 8 << 10
				if losses.Has(kind) {
					s.FaultNanos = 30e9 // one in a run, and only when it is safe
				}
				s.Faults = FaultSet(0).With(kind)
				s.Nemesis = NemesisScenario{EveryNanos: 300e6, DurationNanos: 600e6, Cascade: 20, Ambush: 40}
				r := Run(&Options{Seed: seed, Scenario: &s})
				if r.Verdict != Passed {
					t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, *r.Failure)
				}
				happened += r.Faults[kind]
				for other, n := range r.Faults {
					// Who gives up on an answer closes its connection, and so does a machine
					// that goes down.
					if n != 0 && FaultKind(other) != kind && FaultKind(other) != FaultClientCut {
						t.Errorf("seed %d: %v hit %d times, though it is off", seed, FaultKind(other), n)
					}
				}
			}
			if happened == 0 {
				t.Errorf("%v never happened", kind)
			}
		})
	}
}

// A world that has healed has nothing wrong with it any more, but for what the
// scenario leaves down or cut.
func TestHealUndoesEverything(t *testing.T) {
	for seed := range uint64(40) {
		w := newTestWorld(t, &Options{Seed: seed})
		w.startHosts()
		w.runUntil(min(w.scenario.FaultNanos, 3e9))
		if w.failure != nil {
			t.Fatalf("seed %d: %+v", seed, *w.failure)
		}
		w.heal()
		down := 0
		for i := range w.hosts {
			h := &w.hosts[i]
			switch {
			case w.machines()>>i&1 == 0:
				if h.replica != nil {
					t.Errorf("seed %d: replica %d runs, and is not there", seed, h.id)
				}
				continue
			case h.out:
				// Its disk was lost.
			case h.replica == nil:
				down++
				continue
			case h.resigned:
				t.Errorf("seed %d: replica %d will not lead", seed, h.id)
			case h.paused:
				t.Errorf("seed %d: replica %d is paused", seed, h.id)
			case h.clock.rate < clockExact*95/100 || h.clock.rate > clockExact*105/100:
				t.Errorf("seed %d: the clock of replica %d runs at %d", seed, h.id, h.clock.rate)
			}
			// A disk that is slow for the whole run stays so.
			most := w.scenario.TickNanos + h.disk.leastNanos
			for _, d := range [...]*device{&h.disk.device, &h.applier.device} {
				if n := d.takes(w, 1000); n > w.scenario.TickNanos+d.leastNanos {
					t.Errorf("seed %d: a device of replica %d takes %d ns", seed, h.id, n)
				}
			}
			// What was under way ends within a tick too.
			if h.disk.syncing != h.disk.synced && !w.queue.has(eventDisk, i, h.disk.serial, w.now+most) {
				t.Errorf("seed %d: the disk of replica %d does not answer within a tick", seed, h.id)
			}
			if h.applier.busy && !w.queue.has(eventTask, i, h.applier.serial, w.now+w.scenario.TickNanos) {
				t.Errorf("seed %d: the state machine of replica %d does not answer within a tick", seed, h.id)
			}
		}
		if canStandStill(w.checker.standings(nil), w.links) {
			t.Errorf("seed %d: nobody can lead", seed)
		}
		if down > w.scenario.LeaveDown || 2*down >= len(w.hosts)+1 {
			t.Errorf("seed %d: %d of %d replicas are down, %d were to stay so", seed, down, len(w.hosts), w.scenario.LeaveDown)
		}
		for i := range w.nemesis.faults {
			if f := &w.nemesis.faults[i]; f.used {
				t.Errorf("seed %d: %v goes on", seed, f.kind)
			}
		}
	}
}

// An ambush strikes at its moment, not before, and only once.
func TestAmbushWaitsForItsMoment(t *testing.T) {
	s := Bench()
	s.Faults = FaultSet(0).With(FaultCrash)
	s.Nemesis = NemesisScenario{EveryNanos: never / 8, DurationNanos: 200e6}
	w := newTestWorld(t, &Options{Scenario: &s})
	w.startHosts()
	w.runUntil(1e9)
	n := &w.nemesis
	n.ambush, n.armed, n.countdown = FaultCrash, triggerProposal, 3
	seen := 0
	for w.failure == nil && n.armed != triggerNone {
		before := w.ledger.entriesLen()
		w.step()
		if w.ledger.entriesLen() > before {
			seen++
		}
	}
	if seen != 4 {
		t.Errorf("struck after %d proposals, want 4", seen)
	}
	if n.pending {
		t.Error("did not strike")
	}
	if w.result.Faults[FaultCrash] != 1 {
		t.Errorf("%d crashes", w.result.Faults[FaultCrash])
	}
}

// newTestWorld is a world as Run makes it, before anything has happened.
func newTestWorld(t *testing.T, o *Options) *world {
	t.Helper()
	w := &world{options: o, result: &Result{Seed: o.Seed}}
	w.build()
	return w
}

func (l *ledger) entriesLen() int { return len(l.entries) }

// has says whether such an event is to come by the time until.
func (q *queue) has(kind eventKind, who int, arg uint32, until uint64) bool {
	for _, e := range q.heap {
		if e.kind == kind && int(e.who) == who && e.arg == arg && e.at <= until {
			return true
		}
	}
	return false
}
