package sim

import (
	"math/bits"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// calm is a scenario in which nothing goes wrong but for what the operator
// does, and the operator asks for these.
func calm(kinds ...askKind) Scenario {
	s := Bench()
	s.Faults = 0
	s.FaultNanos = 10e9
	s.Spares = 6
	s.Operator = OperatorScenario{EveryNanos: 150e6, Requests: make([]uint32, askCount), Repeat: 20, Anywhere: 10, Conditional: 30, Retire: 50}
	for _, k := range kinds {
		s.Operator.Requests[k] = 4
	}
	return s
}

// passes runs a scenario with a few seeds, wants these marks of all runs
// together, and returns all of them.
func passes(t *testing.T, s Scenario, want ...Mark) (marks Marks) {
	t.Helper()
	for seed := range uint64(6) {
		r := Run(&Options{Seed: seed, Scenario: &s})
		if r.Verdict != Passed {
			t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, *r.Failure)
		}
		marks.Add(&r.Marks)
	}
	for _, m := range want {
		if marks[m] == 0 {
			t.Errorf("never reached: %v", m)
		}
	}
	return marks
}

// Members come and go, one by one and several at once, through learners and
// joint configurations; the leader is among those who go.
func TestMembersAlone(t *testing.T) {
	marks := passes(t, calm(memberAsks[:]...),
		MarkConfigurationAppended, MarkReplicaJoined, MarkLearnerAdded, MarkLearnerPromoted, MarkLearnerDemoted,
		MarkJointEntered, MarkJointLeft, MarkMembersReplaced, MarkLeaderRemoved, MarkLeaderDemoted, MarkRemovedStopped,
		MarkChangeRefusedPending, MarkChangeRefusedMoved, MarkChangeRefusedLastVoter)
	if marks[MarkResigned]+marks[MarkCampaignAsked] != 0 {
		t.Error("someone was asked to resign, or to stand")
	}
}

// Leadership goes from hand to hand, to whoever is named, and comes to nothing
// where it can not.
func TestTransfersAlone(t *testing.T) {
	s := calm(transferAsks[:]...)
	s.Spares = 0
	marks := passes(t, s, MarkTransferBegun, MarkTransferDone, MarkTransferRefusedTarget, MarkResigned, MarkCampaignAsked,
		MarkHandoverRefusedProposal)
	if marks[MarkConfigurationAppended] != 0 {
		t.Error("members changed")
	}
	// A target that is gone takes nothing over.
	s.Faults = s.Faults.With(FaultPause, FaultIsolate, FaultLoss)
	s.Nemesis = NemesisScenario{EveryNanos: 300e6, DurationNanos: 300e6}
	s.Operator.Ambush = 30
	passes(t, s, MarkTransferAborted, MarkVoteOverStickiness)
}

// Reads by lease are answered without a round of contact, by leaders that are
// cut off too, and clients never see the difference.
func TestLeasesAlone(t *testing.T) {
	s := calm()
	s.Spares, s.Operator = 0, OperatorScenario{}
	s.Faults = s.Faults.With(FaultIsolate, FaultDepose, FaultCrash, FaultPause)
	s.Nemesis = NemesisScenario{EveryNanos: 500e6, DurationNanos: 500e6, Ambush: 30}
	s.Traffic.RatePerSecond = 400
	s.Traffic.ReadsInLog, s.Traffic.Barriers = 0, 50
	s.Traffic.LeaseReads, s.LeaseDriftPPM = 80, trueDriftPPM(s.DriftPPM)
	passes(t, s, MarkLeaseRead, MarkLeaseExpired, MarkVoteRefusedFresh)
	s.Traffic.LeaseReads = 0
	if marks := passes(t, s); marks[MarkLeaseRead] != 0 {
		t.Error("a read by lease that was not asked for")
	}
}

// A voter of higher priority gets to lead, and keeps leading.
func TestPrioritiesAlone(t *testing.T) {
	s := calm()
	s.Spares, s.Operator = 0, OperatorScenario{}
	s.Priorities = []uint8{0, 0, 3}
	for seed := range uint64(6) {
		w := newTestWorld(t, &Options{Seed: seed, Scenario: &s})
		w.startHosts()
		w.runUntil(5e9)
		if w.failure != nil {
			t.Fatalf("seed %d: %+v", seed, *w.failure)
		}
		if l := w.leader(); l != 2 {
			t.Errorf("seed %d: replica %d leads after five seconds, and not the one of the highest priority", seed, l+1)
		}
	}
}

// Every request of the operator is answered exactly once, unless the process
// ends first; and there are never more voters than it wants, or none.
func TestOperatorIsAnsweredOnce(t *testing.T) {
	answers := 0
	for seed := range uint64(30) {
		open := map[uint64]int{} // the replica asked, by tag
		r := Run(&Options{Seed: seed, Focus: "MGPCUZ", Trace: func(e *TraceEvent) {
			switch e.Kind {
			case TraceAsk:
				open[e.Words[1]] = e.Replica
			case TraceAnswered:
				if at, ok := open[e.Words[1]]; !ok || at != e.Replica {
					t.Errorf("seed %d: answered and not asked, or answered twice: %s", seed, e.Render())
				}
				delete(open, e.Words[1])
				answers++
			case TraceDown:
				for tag, at := range open {
					if at == e.Replica {
						delete(open, tag)
					}
				}
			case TraceMembers:
				if n := bits.OnesCount64(e.Words[1]); n < 1 || n > votersMost {
					t.Errorf("seed %d: %d voters: %s", seed, n, e.Render())
				}
			}
		}})
		if r.Verdict != Passed {
			t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, *r.Failure)
		}
		if len(open) > 0 {
			t.Errorf("seed %d: %d requests were never answered", seed, len(open))
		}
	}
	if answers < 500 {
		t.Errorf("%d answers", answers)
	}
}

// A replica that was taken away does not come back, one that was asked to
// resign does, and so does one that was added and not started in time.
func TestOperatorsMachines(t *testing.T) {
	s := calm()
	s.Operator = OperatorScenario{}
	w, _ := quietWorld(t, 1, func(b *Scenario) { *b = s })
	o := &w.operator
	o.install(3)
	if w.grown != 4 || w.machines() != 0b1111 {
		t.Fatalf("%d machines, %b", w.grown, w.machines())
	}
	w.runUntil(w.now + 2e9)
	if h := &w.hosts[3]; h.replica == nil || h.joined || h.replica.Core().Status().Term != 0 {
		t.Error("a new replica is not there, or knows more than it was told")
	}
	leader := w.leader()
	o.send(askResign, leader, core.Change{}, 0)
	w.runUntil(w.now + 5e9)
	if h := &w.hosts[leader]; h.replica == nil || h.resigned || h.incarnation < 2 || w.leader() == leader {
		t.Errorf("replica %d was to be shut down and started again", leader+1)
	}
	o.retire(3)
	w.nemesis.kill(FaultPowerAll, 0b1111, downPower)
	w.runUntil(w.now + 1e9)
	w.heal()
	if w.failure != nil {
		t.Fatalf("%+v", *w.failure)
	}
	for i := range w.hosts {
		if up := w.hosts[i].replica != nil; up != (i < 3) {
			t.Errorf("replica %d runs: %t", i+1, up)
		}
	}
}

// A client that is told of one that is down by one that knows no better gets to
// all the others all the same.
func TestClientsGetOutOfCircles(t *testing.T) {
	w := newTestWorld(t, &Options{Scenario: &Scenario{Replicas: 5, TickNanos: 1e6, ElectionTicks: 10, HeartbeatTicks: 1,
		Limits: LimitScenario(core.DefaultLimits()), Traffic: TrafficScenario{Clients: 1, RatePerSecond: 1, TimeoutNanos: 1e9}}})
	for _, hints := range [][5]core.ReplicaID{
		{}, {2, 1}, {2, 3, 1}, {2, 3, 4, 1}, {2, 3, 4, 5, 1}, {4, 4, 4, 1, 4}, {2, 1, 1, 1, 1}, {5, 5, 5, 5, 4},
	} {
		for first := range 5 {
			c := &w.clients[0]
			c.target, c.round = first, first
			visited := uint64(0)
			for c.tries = range 24 {
				c.asked = c.target
				visited |= 1 << c.asked
				c.askElsewhere(hints[c.asked])
			}
			if visited != 0b11111 {
				t.Errorf("told %v, it asks only %b", hints, visited)
			}
		}
	}
	// Who is not there is not asked.
	w.hosts[1].retired = true
	c := &w.clients[0]
	c.tries, c.asked = 0, 0
	for _, hint := range []core.ReplicaID{0, 2, 9} {
		c.round = 0
		if c.askElsewhere(hint); c.target != 2 {
			t.Errorf("told of %d it asks replica %d", hint, c.target+1)
		}
	}
}

// Faults of a majority are of a majority of the voters, whoever else is there.
func TestFaultsFollowTheVoters(t *testing.T) {
	w, _ := quietWorld(t, 2, func(s *Scenario) { s.Spares = 4 })
	o := &w.operator
	for range 4 {
		for w.leader() < 0 {
			w.step()
		}
		o.ask(askAddLearner, w.leader())
		w.runUntil(w.now + 1e9)
	}
	if w.failure != nil {
		t.Fatalf("%+v", *w.failure)
	}
	if w.grown != 7 || w.electorate() != 0b111 {
		t.Fatalf("%d machines, of which %b vote", w.grown, w.electorate())
	}
	for range 50 {
		if set := w.nemesis.some(w.leader(), 2); bits.OnesCount64(set&0b111) < 1 || bits.OnesCount64(set) != 2 {
			t.Errorf("drew %b", set)
		}
	}
}

// With nothing to choose from, the operator does nothing.
func TestNoOperatorOnAnEmptyTape(t *testing.T) {
	s := calm(append(memberAsks[:], transferAsks[:]...)...)
	r := Run(&Options{Scenario: &s, Source: choice.Replay(&choice.Tape{}), Trace: func(e *TraceEvent) {
		if e.Kind == TraceAsk {
			t.Fatalf("%s", e.Render())
		}
	}})
	if r.Verdict != Passed {
		t.Errorf("%v: %+v", r.Verdict, r.Failure)
	}
}
