package sim

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// A scenario is the same after it was written down and read again.
func TestScenarioAsJSON(t *testing.T) {
	for seed := range uint64(100) {
		s := Draw(choice.New(seed), 0)
		b, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		var back Scenario
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(s, back) {
			t.Fatalf("seed %d:\n%+v\n%+v", seed, s, back)
		}
	}
	var f FaultSet
	if err := json.Unmarshal([]byte(`["flood"]`), &f); err == nil {
		t.Error("a fault that does not exist was taken")
	}
}

// Scenarios differ in all that matters, and one in ten is small.
func TestScenariosAreVaried(t *testing.T) {
	const seeds = 2000
	replicas := map[int]int{}
	small, calm, sum := 0, 0, uint64(0)
	members, transfers, long := 0, 0, 0
	var on [FaultCount]int
	for seed := range uint64(seeds) {
		s := Draw(choice.New(seed), 0)
		replicas[s.Replicas]++
		sum += s.FaultNanos / 1e6
		if s.Small {
			small++
			if s.Traffic.Clients > 4 || s.Traffic.OperationsMax > 300 {
				t.Errorf("seed %d: a small run with %d clients and %d operations", seed, s.Traffic.Clients, s.Traffic.OperationsMax)
			}
		}
		if s.Faults == 0 {
			calm++
		}
		if s.Spares > 0 {
			members++
		}
		if s.Operator.EveryNanos != 0 && s.Operator.Requests[askTransfer] != 0 {
			transfers++
		}
		if s.ElectionTicks > 40 {
			long++
		}
		for k := range FaultCount {
			if s.Faults.Has(k) {
				on[k]++
			}
		}
		if s.ElectionTicks < 3*s.HeartbeatTicks || s.LeaveDown > (s.Replicas-1)/2 {
			t.Errorf("seed %d: %v", seed, &s)
		}
	}
	for n := 1; n <= 7; n++ {
		if replicas[n] < seeds/50 {
			t.Errorf("%d of %d scenarios have %d replicas", replicas[n], seeds, n)
		}
	}
	if small < seeds/15 || small > seeds/7 {
		t.Errorf("%d of %d scenarios are small", small, seeds)
	}
	if calm == 0 || calm > seeds/20 {
		t.Errorf("%d of %d scenarios are without faults", calm, seeds)
	}
	if members < seeds/2 || members > seeds*9/10 || transfers < seeds/4 || transfers > seeds*3/4 || long < seeds/50 {
		t.Errorf("of %d scenarios %d change members, %d hand over, %d have long timeouts", seeds, members, transfers, long)
	}
	for k, n := range on {
		rare := int(mishapRarity(FaultKind(k)))
		if n < seeds/(4*rare) || n > seeds*2/(3*rare) {
			t.Errorf("fault %v is on in %d of %d scenarios", FaultKind(k), n, seeds)
		}
	}
	// 20,000 seeds are to cover 250 hours.
	if mean := sum / seeds; mean < 46_000 {
		t.Errorf("scenarios have faults for %d ms on average, want 46 s", mean)
	}
}

// A letter switches on what it stands for, and an unknown one is named.
func TestFocus(t *testing.T) {
	for _, c := range []struct {
		letters string
		want    FaultSet
	}{
		{"D", FaultSet(0).With(FaultDuplicate)},
		{"R", FaultSet(0).With(FaultReorder, FaultStraggle)},
		{"PC", FaultSet(0).With(FaultSplit, FaultIsolate, FaultDepose, FaultCrash)},
		{"U", powerFaults},
		{"TBENMG", 0},
	} {
		for seed := range uint64(20) {
			s := Draw(choice.New(seed), focusOf(c.letters))
			if s.Faults&c.want != c.want {
				t.Errorf("focus %q, seed %d: faults %v", c.letters, seed, s.Faults.Names())
			}
			if c.want != 0 && s.FaultNanos > 10e9 {
				t.Errorf("focus %q, seed %d: %d s of faults", c.letters, seed, s.FaultNanos/1e9)
			}
		}
	}
	for seed := range uint64(20) {
		if s := Draw(choice.New(seed), focusOf("Q")); s.Replicas%2 != 0 {
			t.Errorf("focus Q, seed %d: %d replicas", seed, s.Replicas)
		}
		if s := Draw(choice.New(seed), focusOf("S")); s.SnapshotBytes == 0 || s.SnapshotBytes > 4<<10 {
			t.Errorf("focus S, seed %d: a snapshot every %d bytes", seed, s.SnapshotBytes)
		}
	}
	for seed := range uint64(20) {
		asks := func(s *Scenario, kinds []askKind) (n uint32) {
			for _, k := range kinds {
				n += s.Operator.Requests[k]
			}
			return n
		}
		s := Draw(choice.New(seed), focusOf("M"))
		if s.Operator.EveryNanos == 0 || s.Operator.EveryNanos > 4*s.electionNanos() || asks(&s, memberAsks[:]) == 0 {
			t.Errorf("focus M, seed %d: %v", seed, &s)
		}
		s = Draw(choice.New(seed), focusOf("G"))
		if s.Operator.EveryNanos == 0 || s.Operator.EveryNanos > 4*s.electionNanos() || asks(&s, transferAsks[:]) == 0 {
			t.Errorf("focus G, seed %d: %v", seed, &s)
		}
	}
	if f, err := ParseFocus("TBN"); f != 0 || err != nil {
		t.Errorf("letters of what is not simulated give focus %b, %v", f, err)
	}
	for letters, name := range map[string]string{"Px": `'x'`, "partition": `'p'`, "P S": `' '`, "P,S": `','`} {
		if f, err := ParseFocus(letters); f != 0 || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("focus %q is %b, %v", letters, f, err)
		}
	}
}

// focusOf is ParseFocus for letters that there are.
func focusOf(letters string) Focus {
	f, err := ParseFocus(letters)
	if err != nil {
		panic(err)
	}
	return f
}

// Reads by lease come with a bound that is true, and with clocks that keep to
// it: no other scenario has them.
func TestLeasesRelyOnTrueClocks(t *testing.T) {
	leases, closest := 0, 0
	for seed := range uint64(1000) {
		s := Draw(choice.New(seed), 0)
		if s.Traffic.LeaseReads == 0 {
			continue
		}
		leases++
		if s.Faults&clockFaults != 0 {
			t.Errorf("seed %d: reads by lease, and faults %v", seed, (s.Faults & clockFaults).Names())
		}
		fast, slow := uint64(clockExact+s.DriftPPM), uint64(clockExact-s.DriftPPM)
		holds := func(ppm uint64) bool { return fast*clockExact <= slow*(clockExact+ppm) }
		if !holds(uint64(s.LeaseDriftPPM)) {
			t.Errorf("seed %d: clocks drift by %d ppm each, and the bound is %d", seed, s.DriftPPM, s.LeaseDriftPPM)
		}
		if s.DriftPPM > 0 && !holds(uint64(s.LeaseDriftPPM)-1) {
			closest++
		}
	}
	if leases < 150 || closest < 30 {
		t.Errorf("%d of 1000 scenarios read by lease, %d with the closest bound that is true", leases, closest)
	}
}

// What is printed before a run says all that sets it apart.
func TestScenarioAsText(t *testing.T) {
	s := Bench()
	text := s.String()
	for _, want := range []string{"3 replicas", "tick 10.0ms", "election 10 to 20", "100 operations/s", "loss 0.20 %", "power-majority", "put:8"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func newSource(seed uint64) *choice.Source { return choice.New(seed) }
