package sim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/linearizability"
)

// quietWorld is a world without faults, some time after its start.
func quietWorld(t *testing.T, seed uint64, change func(*Scenario)) (*world, *[]TraceEvent) {
	t.Helper()
	s := Bench()
	s.Faults = 0
	if change != nil {
		change(&s)
	}
	var events []TraceEvent
	w := newTestWorld(t, &Options{Seed: seed, Scenario: &s, Trace: func(e *TraceEvent) { events = append(events, *e) }})
	w.startHosts()
	w.runUntil(1e9)
	if w.failure != nil {
		t.Fatalf("%+v", *w.failure)
	}
	if w.leader() < 0 {
		t.Fatal("no leader within a second without faults")
	}
	return w, &events
}

// A paused process hears nothing; when it goes on, it first learns of all the
// time that has passed, as one tick, and then of all that came meanwhile.
func TestPauseOwesOneTick(t *testing.T) {
	w, events := quietWorld(t, 1, nil)
	h := &w.hosts[w.leader()]
	h.pause()
	*events = nil
	w.runUntil(w.now + 300e6)
	for _, e := range *events {
		if e.Replica == h.index && e.Kind != TraceDurable && e.Kind != TraceAttempt {
			t.Fatalf("while paused: %s", e.Render())
		}
	}
	if len(h.waiting) == 0 {
		t.Fatal("nothing came while it was paused")
	}
	*events = nil
	h.resume()
	w.runUntil(w.now + 1)
	var kinds []TraceKind
	for _, e := range *events {
		if e.Replica == h.index {
			kinds = append(kinds, e.Kind)
			if e.Kind == TraceTick && (e.Words[0] < 28 || e.Words[0] > 32) {
				t.Errorf("%d ticks at once after 300 ms", e.Words[0])
			}
		}
	}
	if len(kinds) < 3 || kinds[0] != TracePause || kinds[1] != TraceTick {
		t.Fatalf("after the pause: %v", kinds)
	}
	for _, k := range kinds[2:] {
		if k == TraceTick {
			t.Error("the time that had passed came in more than one tick")
		}
	}
}

// The ticks that a clock owes come before anything else.
func TestTicksComeFirst(t *testing.T) {
	w, events := quietWorld(t, 2, nil)
	h := &w.hosts[0]
	h.jump(95e6)
	*events = nil
	for w.failure == nil && len(*events) == 0 || (*events)[0].Replica != 0 {
		*events = nil
		w.step()
	}
	if e := (*events)[0]; e.Kind != TraceTick || e.Words[0] < 9 {
		t.Errorf("the first event after a jump by more than nine ticks: %s", e.Render())
	}
}

// What a process had written is there when it starts again after a crash, and
// after a power loss what it had synced is.
func TestRestartFindsTheDisk(t *testing.T) {
	for _, why := range []downReason{downCrash, downPower} {
		for seed := range uint64(30) {
			w, _ := quietWorld(t, seed, func(s *Scenario) { s.Disk.BaseNanos = 8e6 })
			for w.failure == nil && w.hosts[0].disk.appended == w.hosts[0].disk.synced {
				w.step()
			}
			h := &w.hosts[0]
			last := h.replica.Core().Status().Last
			durable := h.disk.memory.Durable().Last
			h.stop(why, w.nemesis.victims)
			if h.replica != nil || w.result.UnsyncedLost > 0 && why == downCrash {
				t.Fatalf("seed %d: %d lost", seed, w.result.UnsyncedLost)
			}
			w.runUntil(w.now + 1)
			h.start()
			now := h.replica.Core().Status().Last
			if now.Index > last.Index || now.Index < durable.Index {
				t.Errorf("seed %d, %s: log ends at %v, was at %v with %v durable", seed, downNames[why], now, last, durable)
			}
			if why == downCrash && now != last {
				t.Errorf("seed %d: a crash took %v back to %v", seed, last, now)
			}
		}
	}
}

// Answers of a process that is gone reach nobody, and requests to it are not
// answered by the next one.
func TestRequestsDieWithTheProcess(t *testing.T) {
	w, _ := quietWorld(t, 3, func(s *Scenario) { s.Disk.BaseNanos = 20e6 })
	h := &w.hosts[w.leader()]
	for w.failure == nil {
		w.step()
		if n := w.requests.with(h.index); n > 0 {
			break
		}
	}
	h.stop(downCrash, w.nemesis.victims)
	if n := w.requests.with(h.index); n != 0 {
		t.Errorf("%d requests are still with a process that is gone", n)
	}
	h.start()
	w.runUntil(w.now + 2e9)
	if w.failure != nil {
		t.Errorf("%+v", *w.failure)
	}
}

// with counts the requests that a replica has and has not answered.
func (r *requests) with(host int) int {
	n := 0
	for i := range r.slots {
		if q := &r.slots[i]; q.out && int(q.host) == host {
			n++
		}
	}
	return n
}

// In a world without faults everything is answered, nothing is lost, and the
// first leader stays.
func TestWithoutFaults(t *testing.T) {
	for seed := range uint64(10) {
		s := Draw(newSource(seed), 0)
		s.Faults = 0
		s.FaultNanos = min(s.FaultNanos, 5e9)
		s.LeaveDown, s.LeaveCut = 0, ""
		s.Spares, s.Priorities, s.Operator = 0, nil, OperatorScenario{}
		s.Disk.Slow, s.Applier.Slow = 0, 0
		s.Limits = LimitScenario(core.DefaultLimits())
		// The heal cuts connections that are slower than it allows.
		l := &s.Links
		l.BaseNanosMin = min(l.BaseNanosMin, s.heartbeatNanos()/8)
		l.BaseNanosMax = min(l.BaseNanosMax, s.heartbeatNanos()/8)
		s.Traffic.TimeoutNanos = 60e9
		s.Traffic.SessionTicks = 1 << 30
		s.Traffic.SessionsMax = 1024
		r := Run(&Options{Seed: seed, Scenario: &s})
		if r.Verdict != Passed {
			t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, *r.Failure)
		}
		if r.LeaderChanges != 1 || r.UnsyncedLost != 0 {
			t.Errorf("seed %d: %d leaders, %d losses\n%v", seed, r.LeaderChanges, r.UnsyncedLost, &s)
		}
		if r.UnknownOps > 0 {
			t.Errorf("seed %d: %d of %d operations of unknown outcome", seed, r.UnknownOps, r.Operations)
		}
	}
}

// A history that its points prove is not in doubt because a search that does
// without them takes too long; the result says so.
func TestSecondJudgeGivesUp(t *testing.T) {
	cut := 0
	for seed := uint64(1); seed <= 40; seed++ {
		r := Run(&Options{Seed: seed, searchSteps: 1})
		if r.Verdict != Passed || r.SearchCut && !r.Scenario.Small {
			t.Fatalf("seed %d: %v, search cut %t", seed, r.Verdict, r.SearchCut)
		}
		if r.SearchCut {
			cut++
			if r := Run(&Options{Seed: seed}); r.SearchCut || r.Verdict != Passed {
				t.Errorf("seed %d: %v, cut %t with %d steps", seed, r.Verdict, r.SearchCut, linearizability.WholeStepsMax)
			}
		}
	}
	if cut == 0 {
		t.Error("no small history")
	}
}

// Every event has a text and a form in JSON, with the same words in both.
func TestTraceIsReadable(t *testing.T) {
	seen := map[TraceKind]bool{}
	for seed := range uint64(6) {
		Run(&Options{Seed: seed, Focus: "DRLPACUKZYSXMG", Trace: func(e *TraceEvent) {
			if seen[e.Kind] {
				return
			}
			seen[e.Kind] = true
			text := e.Render()
			if !strings.Contains(text, e.Kind.String()) || strings.Contains(text, "%!") {
				t.Errorf("%q", text)
			}
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatalf("%v: %v", e.Kind, err)
			}
			var back map[string]any
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			if back["kind"] != e.Kind.String() || uint64(back["step"].(float64)) != e.Step {
				t.Errorf("%s", b)
			}
			for i, f := range traceFields[e.Kind].fields {
				if _, ok := back[f]; e.has(f, i) && !ok {
					t.Errorf("%v has no field %q: %s", e.Kind, f, b)
				}
			}
		}})
	}
	for k := range traceKinds {
		if !seen[k] && k != TraceFailure && k != TraceDirected { // which no seed draws
			t.Errorf("no event %v in any run", k)
		}
	}
}
