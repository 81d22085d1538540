package simtest

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/kv"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// richness is what some scenarios have in them.
type richness struct {
	scenarios, faults         int // scenarios, and kinds of faults of them together
	kinds                     sim.FaultSet
	calm                      int // scenarios without a fault
	operators, spares         int // scenarios with them
	clients, keys, sizes      map[int]bool
	slow, limited, short      int // slow disks, limited links, small messages
	leases, small, priorities int
}

func (r *richness) add(s *sim.Scenario) {
	if r.clients == nil {
		r.clients, r.keys, r.sizes = map[int]bool{}, map[int]bool{}, map[int]bool{}
	}
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	r.scenarios++
	r.faults += len(s.Faults.Names())
	r.kinds |= s.Faults
	r.clients[s.Traffic.Clients], r.keys[s.Traffic.Keys], r.sizes[s.Replicas] = true, true, true
	count(&r.calm, s.Faults == 0)
	count(&r.operators, s.Operator.EveryNanos != 0)
	count(&r.spares, s.Spares != 0)
	count(&r.slow, s.Disk.Slow != 0)
	count(&r.limited, s.Links.BytesPerSecond != 0)
	count(&r.short, s.Limits.MessageBytes < 8<<10)
	count(&r.leases, s.Traffic.LeaseReads != 0)
	count(&r.small, s.Small)
	count(&r.priorities, len(s.Priorities) != 0)
}

// TestScenariosAreRich: what is generated has in it what seeds draw, and about
// as often, whatever the focus.
func TestScenariosAreRich(t *testing.T) {
	const n = 300
	focuses := []string{"", "CPS"}
	for _, letter := range "DRLPACUKZYSVXQHMGE" {
		focuses = append(focuses, string(letter))
	}
	for _, focus := range focuses {
		var got, want richness
		g := Scenarios(focus)
		features, err := sim.ParseFocus(focus)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			s := g.Example(i + 1)
			if err := s.Check(); err != nil {
				t.Fatalf("focus %q: %v", focus, err)
			}
			got.add(&s)
			s = sim.Draw(choice.New(uint64(i+1)), features)
			want.add(&s)
		}
		if missing := want.kinds &^ got.kinds; missing != 0 {
			t.Errorf("focus %q: never %v", focus, missing.Names())
		}
		for _, c := range [...]struct {
			what      string
			got, want int
		}{
			{"kinds of faults", got.faults, want.faults},
			{"scenarios without a fault", got.calm, want.calm},
			{"operators", got.operators, want.operators},
			{"spares", got.spares, want.spares},
			{"numbers of clients", len(got.clients), len(want.clients)},
			{"numbers of keys", len(got.keys), len(want.keys)},
			{"sizes of clusters", len(got.sizes), len(want.sizes)},
			{"slow disks", got.slow, want.slow},
			{"limited links", got.limited, want.limited},
			{"small messages", got.short, want.short},
			{"leases", got.leases, want.leases},
			{"small runs", got.small, want.small},
			{"priorities", got.priorities, want.priorities},
		} {
			// Within a third, and ten for what is rare.
			if slack := c.want/3 + 10; c.got < c.want-slack || c.got > c.want+slack {
				t.Errorf("focus %q: %s: %d generated, %d by as many seeds", focus, c.what, c.got, c.want)
			}
		}
	}
}

// TestProgramsAreRich: a few hundred programs have every kind of command in
// them, in sessions and without, and retries.
func TestProgramsAreRich(t *testing.T) {
	var requests, inSession, retries, sessions, waits int
	ops := map[kv.Op]int{}
	g := Programs()
	for i := range 300 {
		for _, r := range g.Example(i + 1) {
			requests++
			ops[r.Command.Op]++
			if r.Command.Session != 0 {
				inSession++
			}
			if r.Retry {
				retries++
			}
			if r.Command.Op == kv.OpRegister {
				sessions++
			}
			if r.Ticks != 0 {
				waits++
			}
		}
	}
	t.Logf("%d requests: %d in sessions, %d sessions, %d retries, %d after a wait; %v", requests, inSession, sessions, retries, waits, ops)
	for op, name := range map[kv.Op]string{kv.OpGet: "get", kv.OpPut: "put", kv.OpDelete: "delete", kv.OpAppend: "append",
		kv.OpIncrement: "increment", kv.OpCompareAndSet: "compare and set", kv.OpPutIfAbsent: "put if absent", kv.OpScan: "scan",
		kv.OpScanPrefix: "scan prefix", kv.OpDeleteRange: "delete range", kv.OpTxn: "transaction", kv.OpRegister: "register"} {
		if ops[op]*100 < requests {
			t.Errorf("%s: %d of %d requests", name, ops[op], requests)
		}
	}
	for what, n := range map[string]int{"in a session": inSession, "retries": retries, "after a wait": waits} {
		if n*50 < requests {
			t.Errorf("%s: %d of %d requests", what, n, requests)
		}
	}
}
