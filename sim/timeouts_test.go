package sim

import (
	"bytes"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// TestRecoveryWhateverTimeoutsAreChosen: a cluster without a fault, of equal
// replicas on equal links, recovers from any choice of election timeouts:
// those of a tape that has ended, and those of a fuzzer's input that goes on
// after the heal and gives all the same one.
func TestRecoveryWhateverTimeoutsAreChosen(t *testing.T) {
	for _, size := range [...]struct{ replicas, spares int }{{1, 0}, {2, 0}, {3, 0}, {4, 8}, {5, 20}, {6, 6}, {7, 56}} {
		for _, decision := range [...]byte{0, 1, 9, 10, 100} {
			s := equalReplicas(size.replicas, size.spares)
			input := bytes.Repeat([]byte{decision}, 1<<16)
			r := Run(&Options{Scenario: &s, Source: choice.FromBytes(input, len(input))})
			if r.Verdict != Passed {
				t.Errorf("%d replicas and %d spares, every decision %d: %v: %s", size.replicas, size.spares, decision, r.Verdict, r.Failure.Detail)
			}
		}
	}
}

// TestFailureFreeTapeElects: what a tape leaves open is benign, and a cluster
// must not spend such a run in split votes: it has a leader before the heal.
func TestFailureFreeTapeElects(t *testing.T) {
	for replicas := 1; replicas <= 7; replicas++ {
		s := equalReplicas(replicas, 6)
		s.FaultNanos = 2e9 // twenty of the shortest election timeouts
		r := Run(&Options{Scenario: &s, Source: choice.FromBytes(nil, 0), KeepHistory: true})
		if r.Verdict != Passed || r.Acknowledged == 0 {
			t.Errorf("%d replicas: %v, %d operations acknowledged", replicas, r.Verdict, r.Acknowledged)
		}
	}
}

// equalReplicas is a scenario in which nothing tells one replica from another:
// no fault, and every link as fast as every other.
func equalReplicas(replicas, spares int) Scenario {
	return Scenario{
		Replicas: replicas, Spares: spares,
		TickNanos: 10e6, ElectionTicks: 10, HeartbeatTicks: 1,
		Limits: LimitScenario(core.DefaultLimits()),
		Links:  LinkScenario{BaseNanosMin: 1e6, BaseNanosMax: 1e6},
		Traffic: TrafficScenario{
			Clients: 2, RatePerSecond: 20, TimeoutNanos: 500e6, RetriesMax: 2,
			Keys: 2, ValueBytes: 8, Operations: []uint32{4, 4},
			SessionsMax: 16, SessionTicks: 1 << 30,
		},
		FaultNanos: 30e6,
		Nemesis:    NemesisScenario{EveryNanos: 1e9, DurationNanos: 1e9},
	}
}
