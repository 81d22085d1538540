package sim_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

var (
	namesReplica = regexp.MustCompile(`\br[1-9]`)
	emptyWord    = regexp.MustCompile(`what=0|nanos=|sum=|slot=|<nil>|%!`)
)

// journey is that of messages of a kind from one replica to another.
type journey struct {
	from, to uint64
	kind     core.MessageKind
	term     core.Term
}

// Every message is in the trace with all that it says: when it leaves, with what
// becomes of it, and when it arrives. Every fault says whom it hits, and each
// that lasts ends. And to listen changes nothing.
func TestTraceTellsEverything(t *testing.T) {
	kinds := map[sim.TraceKind]int{}
	reasons := map[string]int{}
	faults := map[string]int{}
	commands, refusals := 0, 0
	for seed := uint64(1); seed <= 16; seed++ {
		under := map[journey]int{} // messages on it
		lasting := map[[2]uint64]bool{}
		r := sim.Run(&sim.Options{Seed: seed, Trace: func(e *sim.TraceEvent) {
			kinds[e.Kind]++
			if e.Kind == sim.TraceTick {
				return
			}
			text := "" // of the first ones: it is slow
			if kinds[e.Kind] < 500 {
				text = e.Render()
			}
			if emptyWord.MatchString(text) {
				t.Fatalf("seed %d: %s", seed, text)
			}
			if text != "" {
				var fields map[string]any
				b, err := json.Marshal(e)
				if err != nil || json.Unmarshal(b, &fields) != nil {
					t.Fatalf("seed %d: %s: %s: %v", seed, text, b, err)
				}
				if e.Message != nil && fields["text"] != e.Message.String() {
					t.Fatalf("seed %d: %s does not say %v", seed, b, e.Message)
				}
			}
			way := func(from, to uint64, m *core.Message) journey {
				return journey{from, to, m.Kind, m.Term}
			}
			here, there := uint64(e.Replica+1), e.Words[0]
			switch e.Kind {
			case sim.TraceSend, sim.TraceRelease:
				under[way(here, there, e.Message)] += strings.Count(e.Detail, "arrives at")
			case sim.TraceDeliver:
				what := way(there, here, e.Message)
				if under[what]--; under[what] < 0 {
					t.Fatalf("seed %d: nobody sent it: %s", seed, e.Render())
				}
			case sim.TraceLost:
				if e.Message == nil && !strings.Contains(e.Detail, " c") || e.Detail == "" {
					t.Fatalf("seed %d: what is lost, and why? %s", seed, e.Render())
				}
				if e.Message != nil {
					reasons[e.Detail]++
				}
			case sim.TraceFault:
				faults[sim.FaultKind(e.Words[0]).String()]++
				if !namesReplica.MatchString(e.Detail) {
					t.Fatalf("seed %d: whom does it hit? %s", seed, e.Render())
				}
				if e.Lasts {
					lasting[[2]uint64{e.Words[0], e.Words[1]}] = true
				}
			case sim.TraceFaultEnd:
				if fault := [2]uint64{e.Words[0], e.Words[1]}; !lasting[fault] {
					t.Fatalf("seed %d: it did not last: %s", seed, e.Render())
				} else {
					delete(lasting, fault)
				}
			case sim.TraceCall, sim.TraceReturn:
				if e.Detail != "" {
					commands++
				}
			case sim.TraceAnswer:
				if e.Detail != "" {
					refusals++
				}
			}
		}})
		if r.Verdict != sim.Passed {
			t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, r.Failure)
		}
		if len(lasting) > 0 {
			t.Errorf("seed %d: faults without end: %v", seed, lasting)
		}
		if seed > 3 {
			continue
		}
		if alone := sim.Run(&sim.Options{Seed: seed}); alone.TraceHash != r.TraceHash {
			t.Errorf("seed %d: hash %x, and %x with a listener", seed, alone.TraceHash, r.TraceHash)
		}
	}
	for _, kind := range []sim.TraceKind{sim.TraceSend, sim.TraceHeld, sim.TraceRelease, sim.TraceLost, sim.TraceDeliver, sim.TraceUnheard} {
		if kinds[kind] == 0 {
			t.Errorf("no seed shows %v", kind)
		}
	}
	for _, reason := range []string{"loss", "partition"} {
		if reasons[reason] == 0 {
			t.Errorf("no message is lost by %s", reason)
		}
	}
	for _, fault := range []string{"split", "isolate", "clog", "swizzle", "depose", "crash", "power-one", "pause", "disk-slow", "disk-stall", "disk-fail", "clock-jump"} {
		if faults[fault] == 0 {
			t.Errorf("no seed shows %s", fault)
		}
	}
	if commands == 0 || refusals == 0 {
		t.Errorf("%d commands and %d reasons of refusals are told", commands, refusals)
	}
}

// What clients saw is judged when all is over. The story is about the time when
// they saw it.
func TestStoryIsAboutWhatIsWrong(t *testing.T) {
	workload := func() sim.Workload {
		return counterWorkload{func() replica.StateMachine { return &forgetful{} }}
	}
	for seed := uint64(1); seed <= 60; seed++ {
		var last string
		r := sim.Run(&sim.Options{Seed: seed, Workload: workload})
		f := r.Failure
		if r.Verdict != sim.Linearizability || f.To > r.SimulatedNanos/2 {
			continue
		}
		sim.Run(&sim.Options{Seed: seed, Workload: workload, Trace: func(e *sim.TraceEvent) {
			switch e.Kind {
			case sim.TraceRole, sim.TraceFault, sim.TraceFaultEnd, sim.TraceDown, sim.TraceStart:
				if e.At <= f.To {
					last = e.Render()
				}
			}
		}})
		if f.From > f.To || f.To > f.At || !slices.Contains(r.Story, last) {
			t.Errorf("seed %d: wrong from %d to %d; not in the story: %s\n%s", seed, f.From, f.To, last, strings.Join(r.Story, "\n"))
		}
		return
	}
	t.Error("no seed fails early and ends late")
}
