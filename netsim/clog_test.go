package netsim

import (
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"pgregory.net/rapid"
)

func handles(out []Released) (got []uint64) {
	for _, r := range out {
		got = append(got, r.Handle)
	}
	return got
}

func TestClogHoldsAndReleasesInOrder(t *testing.T) {
	n := New(choice.New(1), Link{Base: 100}, 3)
	n.Clog(0, 1)
	for i := range uint64(5) {
		if out := send(t, n, i*30, Packet{To: 1, Size: 10, Handle: i}); len(out) != 0 {
			t.Fatalf("delivered over a clogged link: %+v", out)
		}
	}
	if len(send(t, n, 0, Packet{From: 1, To: 0})) != 1 || len(send(t, n, 0, Packet{To: 2})) != 1 {
		t.Fatal("other links are clogged")
	}
	out := n.Unclog(150, 0, 1, nil)
	if got, want := handles(out), []uint64{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Fatalf("released %v, want %v", got, want)
	}
	// Sent at 0, 30, 60, 90, 120: two should have come already.
	for i, want := range []uint64{150, 150, 160, 190, 220} {
		if out[i].At != want || out[i].To != 1 || out[i].Size != 10 {
			t.Errorf("%d: %+v, want it at %d", i, out[i], want)
		}
	}
	wantCounts(t, n, Counts{FaultClog: 5})
	if len(n.Unclog(150, 0, 1, nil)) != 0 || len(send(t, n, 150, Packet{To: 1})) != 1 {
		t.Fatal("still clogged")
	}
}

func TestClogHoldsNoMoreThanItsBound(t *testing.T) {
	n := New(choice.New(1), Link{QueueBytes: 1000}, 2)
	n.Clog(0, 1)
	for i := range uint64(100) {
		send(t, n, 0, Packet{To: 1, Size: 300, Handle: i})
	}
	if got := handles(n.Unclog(0, 0, 1, nil)); !slices.Equal(got, []uint64{0, 1, 2}) {
		t.Fatalf("released %v, want the first three", got)
	}
	wantCounts(t, n, Counts{FaultClog: 3, FaultOverflow: 97})

	n.Clog(0, 1)
	for range 100 {
		send(t, n, 0, Packet{To: 1}) // no bytes, but not for nothing
	}
	if got := len(n.Unclog(0, 0, 1, nil)); got != 1000/heldLeast {
		t.Fatalf("held %d empty packets, want %d", got, 1000/heldLeast)
	}
	n.Clog(0, 1)
	send(t, n, 0, Packet{To: 1, Size: 5000})
	if got := len(n.Unclog(0, 0, 1, nil)); got != 1 {
		t.Fatal("a large packet can never pass")
	}
}

// A handle is in use exactly as long as the network may still bring it.
func TestHoldsTellsHeldFromGone(t *testing.T) {
	src := choice.New(1)
	n := New(src, Link{BytesPerSecond: 1 << 20, QueueBytes: 200}, 3)
	n.SetRules(everything(3))
	st := src.Stream("test", 0, 0)
	held := map[uint64]bool{}
	var out []Released
	for i := range uint64(5000) {
		now := i * 20_000
		switch {
		case src.Chance(st, 1, 50):
			n.Clog(0, 1)
		case src.Chance(st, 1, 50):
			n.Partition(ShapeAny.Draw(src, st, 3))
		case src.Chance(st, 1, 50):
			out = n.Unclog(now, 0, 1, out[:0])
			for j, r := range out {
				if r.Copy && (j == 0 || out[j-1].Handle != r.Handle || out[j-1].Copy) {
					t.Fatalf("a copy does not follow its packet: %+v", out)
				}
				if !r.Copy && !held[r.Handle] {
					t.Fatalf("packet %d was gone", r.Handle)
				}
				delete(held, r.Handle)
			}
			if len(held) != 0 {
				t.Fatalf("held packets did not come: %v", held)
			}
		}
		var d [2]Delivery
		if n.Send(now, Packet{To: 1, Size: 60, Handle: i}, &d) == 0 && n.Holds() {
			held[i] = true
		}
	}
	for _, f := range []Fault{FaultClog, FaultOverflow, FaultPartition, FaultLoss} {
		if n.Counts()[f] < 20 {
			t.Errorf("only %d times %v: the test tests nothing", n.Counts()[f], f)
		}
	}
}

func TestLinkIsOpenWhenNothingClogsIt(t *testing.T) {
	n := New(choice.New(1), Link{}, 3)
	n.ClogEnd(0)
	n.ClogEnd(1)
	n.Clog(0, 1)
	if len(send(t, n, 0, Packet{From: 0, To: 1, Handle: 1})) != 0 ||
		len(send(t, n, 0, Packet{From: 2, To: 0, Handle: 2})) != 0 ||
		len(send(t, n, 0, Packet{From: 1, To: 2, Handle: 3})) != 0 {
		t.Fatal("not clogged")
	}
	if got := handles(n.UnclogEnd(0, 0, nil)); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("released %v", got)
	}
	if got := handles(n.Unclog(0, 0, 1, nil)); len(got) != 0 {
		t.Fatalf("released %v", got)
	}
	if got := handles(n.UnclogEnd(0, 1, nil)); !slices.Equal(got, []uint64{1, 3}) {
		t.Fatalf("released %v", got)
	}
}

func TestHeldPacketsPassALaterPartition(t *testing.T) {
	n := New(choice.New(1), Link{}, 2)
	n.Clog(0, 1)
	send(t, n, 0, Packet{To: 1, Handle: 1})
	n.Partition(None(2))
	if got := len(n.Unclog(0, 0, 1, nil)); got != 1 {
		t.Fatalf("released %d, want 1", got)
	}
	if len(send(t, n, 0, Packet{To: 1})) != 0 {
		t.Fatal("unclogging ended the partition")
	}
}

func TestMemoryOfHeldPacketsIsReused(t *testing.T) {
	n := New(choice.New(1), Link{}, 3)
	var out []Released
	for range 100 {
		n.ClogEnd(1)
		for range 10 {
			send(t, n, 0, Packet{From: 0, To: 1})
			send(t, n, 0, Packet{From: 1, To: 2})
		}
		out = n.UnclogEnd(0, 1, out[:0])
	}
	if len(n.held) > 20 {
		t.Fatalf("room for %d packets, never more than 20 were held", len(n.held))
	}
}

// Whatever is clogged and let go in whatever order, and whatever partitions
// come and go meanwhile: a packet that a link has taken arrives exactly once,
// not before it would have without the clog, and in order among those that
// were due.
func TestClogsKeepEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ends := rapid.IntRange(2, 4).Draw(t, "ends")
		end := rapid.Map(rapid.IntRange(0, ends-1), func(i int) End { return End(i) })
		src := choice.New(1)
		const base = 10
		n := New(src, Link{Base: base}, ends)
		var now, handle uint64
		sentAt := map[uint64]uint64{}
		arrived := map[uint64]uint64{}
		arrive := func(h, at uint64) {
			if _, twice := arrived[h]; twice {
				t.Fatalf("packet %d arrives twice", h)
			}
			if at < now || at < sentAt[h]+base {
				t.Fatalf("packet %d, sent at %d, arrives at %d; it is %d", h, sentAt[h], at, now)
			}
			arrived[h] = at
		}
		releasedNow := func(out []Released) {
			last := map[[2]End]uint64{}
			for _, r := range out {
				arrive(r.Handle, r.At)
				link := [2]End{r.From, r.To}
				if last[link] > r.Handle {
					t.Fatalf("packet %d comes after %d", r.Handle, last[link])
				}
				last[link] = r.Handle
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				handle++
				sentAt[handle] = now
				p := Packet{From: end.Draw(t, "from"), To: end.Draw(t, "to"), Size: 1, Handle: handle}
				lost := n.Counts()[FaultPartition]
				var out [2]Delivery
				if n.Send(now, p, &out) == 1 {
					arrive(handle, out[0].At)
				}
				if n.Counts()[FaultPartition] > lost {
					delete(sentAt, handle)
				}
			},
			"clog":      func(t *rapid.T) { n.Clog(end.Draw(t, "from"), end.Draw(t, "to")) },
			"clog end":  func(t *rapid.T) { n.ClogEnd(end.Draw(t, "end")) },
			"unclog":    func(t *rapid.T) { releasedNow(n.Unclog(now, end.Draw(t, "from"), end.Draw(t, "to"), nil)) },
			"uncl. end": func(t *rapid.T) { releasedNow(n.UnclogEnd(now, end.Draw(t, "end"), nil)) },
			"partition": func(t *rapid.T) { n.Partition(Isolate(ends, end.Draw(t, "end"))) },
			"join":      func(t *rapid.T) { n.Partition(nil) },
			"wait":      func(t *rapid.T) { now += uint64(rapid.IntRange(1, 15).Draw(t, "ns")) },
		})
		releasedNow(n.Heal(now, 1000, nil))
		if len(arrived) != len(sentAt) {
			t.Fatalf("%d arrived of %d", len(arrived), len(sentAt))
		}
	})
}

func TestHealLetsNothingHeldBeLate(t *testing.T) {
	n := New(choice.New(1), Link{}, 2)
	n.SetRules(Rule{Links: All(2), Weights: Weights{Straggling: 1}, Straggle: 30 * second})
	n.Clog(0, 1)
	for range 100 {
		send(t, n, 0, Packet{To: 1, Size: 1})
	}
	out := n.Heal(50, 1000, nil)
	if len(out) != 100 {
		t.Fatalf("%d released, want 100", len(out))
	}
	for _, r := range out {
		if r.At >= 1050 {
			t.Fatalf("arrives at %d", r.At)
		}
	}
}

func TestClogHoldsCopies(t *testing.T) {
	n := New(choice.New(1), Link{}, 2)
	n.SetRules(Rule{Links: All(2), Weights: Weights{Duplicated: 1}, Straggle: second})
	n.Clog(0, 1)
	send(t, n, 0, Packet{To: 1, Size: 1, Handle: 7})
	out := n.Unclog(2*second, 0, 1, nil)
	if len(out) != 2 || out[0].Copy || !out[1].Copy || out[0].At != 2*second || out[1].At != 2*second {
		t.Fatalf("released %+v", out)
	}
	wantCounts(t, n, Counts{FaultDuplicate: 1, FaultClog: 1})
}

func TestSwizzle(t *testing.T) {
	src := choice.New(1)
	st := src.Stream("swizzle", 0, 0)
	sizes := map[int]int{}
	otherOrder := 0
	for range 1000 {
		s := DrawSwizzle(src, st, 5)
		sizes[len(s.Clog)]++
		if !slices.Equal(s.Clog, s.Unclog) {
			otherOrder++
		}
		a, b := slices.Sorted(slices.Values(s.Clog)), slices.Sorted(slices.Values(s.Unclog))
		if !slices.Equal(a, b) || len(slices.Compact(a)) != len(s.Clog) {
			t.Fatalf("clogs %v, unclogs %v", s.Clog, s.Unclog)
		}
	}
	for k := 1; k <= 5; k++ {
		if sizes[k] < 120 || sizes[k] > 280 {
			t.Errorf("%d ends %d times of 1000", k, sizes[k])
		}
	}
	if otherOrder < 500 {
		t.Errorf("only %d of 1000 in another order", otherOrder)
	}
}
