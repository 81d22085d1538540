package sim

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// healedOffice is a healed world of three whose leader is settled.
func healedOffice(t *testing.T) (*world, *host) {
	t.Helper()
	s := Bench()
	s.Faults, s.FaultNanos, s.Links.BytesPerSecond = 0, 1e9, 0
	o := &Options{Seed: 1, Scenario: &s}
	w := newTestWorld(t, o)
	w.startHosts()
	w.runUntil(s.FaultNanos)
	w.heal()
	for range 6 * s.ElectionTicks {
		w.runUntil(w.now + s.TickNanos)
		w.lookAtOffice()
	}
	if w.failure != nil || !w.office.settled {
		t.Fatalf("nobody is settled: %+v, %+v", w.office, w.failure)
	}
	return w, &w.hosts[w.office.leader]
}

// A leader that goes unasked, or takes its disk for dead, is a violation;
// one that was asked to go is none, nor is a replica that holds no office.
func TestOfficeIsKept(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wrong bool
		do    func(w *world, leader *host)
	}{
		{"it steps down", true, func(w *world, l *host) { w.leftOffice(l, 0) }},
		{"it takes its disk for dead", true, func(w *world, l *host) { l.Event(core.Event{Kind: core.EventDiskStalled, Replica: l.id}) }},
		{"it hands over", false, func(w *world, l *host) { w.leftOffice(l, l.id%3+1) }},
		{"it has resigned", false, func(w *world, l *host) {
			w.checker.replicas[l.index].resigning = true
			w.leftOffice(l, 0)
		}},
		{"a follower takes its disk for dead", false, func(w *world, l *host) { w.calledStalled(&w.hosts[(l.index+1)%3]) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, l := healedOffice(t)
			tt.do(w, l)
			if got := w.failure != nil && w.failure.Property == PropertyOfficeKept; got != tt.wrong {
				t.Errorf("a violation: %v, want %v; %+v", got, tt.wrong, w.failure)
			}
		})
	}
}

// Where a leader may be lost for another reason, nobody is settled.
func TestOfficeIsNotDemanded(t *testing.T) {
	for name, spoil := range map[string]func(w *world, s *Scenario, l *host){
		"narrow links":           func(_ *world, s *Scenario, _ *host) { s.Links.BytesPerSecond = 1 << 20 },
		"links that stay cut":    func(_ *world, s *Scenario, _ *host) { s.LeaveCut = "ring" },
		"rare heartbeats":        func(_ *world, s *Scenario, _ *host) { s.HeartbeatTicks = s.ElectionTicks - 1 },
		"a disk as good as dead": func(_ *world, s *Scenario, _ *host) { s.SlowDisk.SyncNanos = 5 * s.electionNanos() },
		"a disk that was lost":   func(_ *world, _ *Scenario, l *host) { l.lost = true },
		"a follower elsewhere":   func(w *world, _ *Scenario, l *host) { w.hosts[(l.index+1)%3].role.leader = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w, l := healedOffice(t)
			if spoil(w, w.scenario, l); w.followedByAll(l.index) {
				t.Error("it is held to its office")
			}
		})
	}
}
