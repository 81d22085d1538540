package sim

import (
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/netsim"
)

// There are 1, 3, 16, 218 and 9,608 directed graphs with one to five vertices
// (OEIS A000273), and every graph is a renaming of one of them.
func TestDigraphs(t *testing.T) {
	for i, want := range []int{1, 3, 16, 218, 9608} {
		if got := len(Digraphs(i + 1)); got != want {
			t.Errorf("%d graphs of %d replicas, want %d", got, i+1, want)
		}
	}
	graphs := Digraphs(3)
	for bits := range uint64(1 << 9) {
		g := netsim.FromRows([]uint64{bits & 7, bits >> 3 & 7, bits >> 6 & 7})
		of := map[int]bool{}
		eachOrder(3, func(order []int) {
			renamed := relabel(g, order)
			for i := range graphs {
				if slices.Equal(graphs[i], renamed) {
					of[i] = true
				}
			}
		})
		if len(of) != 1 {
			t.Errorf("%v is a renaming of %d graphs", g, len(of))
		}
	}
}

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		graph netsim.Matrix
		want  GraphClass
	}{
		{"all", netsim.All(5), GraphMajority},
		{"none", netsim.None(5), GraphNone},
		{"star", netsim.Star(5, 2), GraphHub},
		{"chain of three", netsim.Chain(3, []netsim.End{2, 0, 1}), GraphMajority},
		{"chain of five", netsim.Chain(5, []netsim.End{4, 2, 0, 1, 3}), GraphHub},
		{"three and two", netsim.TwoSides(5, 1<<1|1<<3), GraphMajority},
		{"two of four", netsim.TwoSides(4, 1<<1|1<<3), GraphNone},
		{"a cycle of one-way links", netsim.FromRows([]uint64{1 << 1, 1 << 2, 1 << 0}), GraphNone},
	} {
		if got := ClassOf(c.graph); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// In twenty seeds each of five leads three times before the links change.
func TestEachLeadsInItsTurn(t *testing.T) {
	led := map[int]int{}
	for seed := uint64(1); seed <= 20; seed++ {
		led[DrawConnectivity(netsim.All(5), seed).Leader]++
	}
	for v := range 5 {
		if led[v] != 3 {
			t.Errorf("replica %d leads %d times", v, led[v])
		}
	}
	if led[-1] != 5 {
		t.Errorf("%d fresh starts", led[-1])
	}
}

func TestConnectivityCases(t *testing.T) {
	// These leave the leader a majority, so that nobody may depose it.
	keep := []string{"chained", "switch", "switch-unheard", "switch-deaf", "switch-five"}
	cases := ConnectivityCases()
	for i := range cases {
		k := &cases[i]
		t.Run(k.Name, func(t *testing.T) {
			for seed := uint64(1); seed <= 20; seed++ {
				c := k.RunOf(seed)
				r := c.Run()
				switch {
				case r.Verdict != Passed:
					t.Fatalf("seed %d: %v: %+v", seed, r.Verdict, r.Failure)
				case r.Live != k.Live:
					t.Errorf("seed %d: live %t", seed, r.Live)
				case k.Live != (r.FirstTicks != 0):
					t.Errorf("seed %d: first commit after %d ticks", seed, r.FirstTicks)
				case slices.Contains(keep, k.Name) && r.Elections != 0:
					t.Errorf("seed %d: %d elections, with a leader that had a majority", seed, r.Elections)
				}
			}
		})
	}
}

func TestConnectivityOfThree(t *testing.T) { testConnectivity(t, 3, 1, 20) }

// All of them are for simrun connectivity.
func TestConnectivityOfFive(t *testing.T) { testConnectivity(t, 5, 97, 2) }

func testConnectivity(t *testing.T, size, every int, seeds uint64) {
	graphs := Digraphs(size)
	committed := [GraphClasses]int{}
	for n := 0; n < len(graphs); n += every {
		class := ClassOf(graphs[n])
		for seed := uint64(1); seed <= seeds; seed++ {
			c := DrawConnectivity(graphs[n], seed)
			r := c.Run()
			if r.Verdict != Passed {
				t.Fatalf("go run ./cmd/simrun connectivity --size %d --graph %d --seed %d: %v: %+v", size, n, seed, r.Verdict, r.Failure)
			}
			if r.FirstTicks != 0 {
				committed[class]++
			} else if class == GraphMajority {
				t.Errorf("graph %d, seed %d: nothing was committed", n, seed)
			}
		}
	}
	if committed[GraphMajority] == 0 || committed[GraphNone] != 0 {
		t.Errorf("runs that committed, by class: %v", committed)
	}
}

func TestConnectivityIsDeterministic(t *testing.T) {
	c := DrawConnectivity(netsim.Star(5, 0), 6)
	a, b := c.Run(), c.Run()
	if a.TraceHash != b.TraceHash || a.FirstTicks != b.FirstTicks || !slices.Equal(a.Order, b.Order) {
		t.Errorf("the same run twice: %+v and %+v", a, b)
	}
	c.Seed++
	if d := c.Run(); d.TraceHash == a.TraceHash {
		t.Error("another seed makes the same run")
	}
}
