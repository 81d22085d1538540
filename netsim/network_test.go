package netsim

import (
	"reflect"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// everything is a rule for all links that gives each fate its share.
func everything(n int) Rule {
	return Rule{
		Links:    All(n),
		Weights:  Weights{OnTime: 75, Lost: 5, Duplicated: 5, Reordered: 5, Straggling: 5, Corrupted: 5},
		Reorder:  20 * millisecond,
		Straggle: 30 * second,
	}
}

func send(t *testing.T, n *Network, now uint64, p Packet) []Delivery {
	t.Helper()
	var out [2]Delivery
	count := n.Send(now, p, &out)
	return slices.Clone(out[:count])
}

func wantCounts(t *testing.T, n *Network, want Counts) {
	t.Helper()
	if *n.Counts() != want {
		t.Fatalf("counts %v, want %v", *n.Counts(), want)
	}
}

func TestLatencyIsBasePlusJitter(t *testing.T) {
	n := New(choice.New(1), Link{Base: 1000, Jitter: 256}, 2)
	seen := map[uint64]int{}
	const packets = 1 << 14
	for i := range uint64(packets) {
		out := send(t, n, i, Packet{To: 1, Size: 10})
		if len(out) != 1 || out[0].At < i+1000 || out[0].At >= i+1256 || out[0].Copy || out[0].Damage != (Damage{}) {
			t.Fatalf("sent at %d: %+v", i, out)
		}
		seen[out[0].At-i]++
	}
	if len(seen) != 256 {
		t.Fatalf("%d latencies, want 256", len(seen))
	}
	wantCounts(t, n, Counts{})
}

func TestOrderedLinksKeepOrder(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		n := New(choice.New(1), Link{Base: 1000, Jitter: 10_000, Ordered: ordered}, 2)
		overtaken := 0
		last := uint64(0)
		for i := range uint64(1000) {
			out := send(t, n, i*100, Packet{To: 1})
			if out[0].At < last {
				overtaken++
			}
			last = max(last, out[0].At)
		}
		if ordered && overtaken > 0 || !ordered && overtaken < 100 {
			t.Errorf("ordered %t: %d of 1000 overtaken", ordered, overtaken)
		}
	}
}

// Each fate comes about as often as its weight says, and does what it says.
func TestFates(t *testing.T) {
	const packets = 1 << 16
	const base = 1000
	n := New(choice.New(2), Link{Base: base}, 2)
	rule := everything(2)
	n.SetRules(rule)
	var lost, doubled, late, straggling, damaged int
	var latest, latestCopy uint64
	bits := map[Damage]bool{}
	for i := range uint64(packets) {
		now := i * 1000
		out := send(t, n, now, Packet{To: 1, Size: 16})
		switch len(out) {
		case 0:
			lost++
			continue
		case 2:
			doubled++
			after := out[1].At - out[0].At
			latestCopy = max(latestCopy, after)
			if !out[1].Copy || out[1].Damage.Mask != 0 || out[0].At != now+base || after < microsecond || after > rule.Straggle {
				t.Fatalf("duplicated to %+v", out)
			}
		}
		d := out[0]
		by := d.At - now - base
		switch {
		case d.Copy:
			t.Fatalf("first arrival is a copy: %+v", out)
		case d.Damage.Mask != 0:
			damaged++
			bits[d.Damage] = true
			if d.Damage.Offset >= 16 || by != 0 {
				t.Fatalf("damaged to %+v", out)
			}
		case by > rule.Reorder:
			straggling++
			latest = max(latest, by)
			if by > rule.Straggle {
				t.Fatalf("straggles by %d", by)
			}
		case by > 0:
			late++
		}
	}
	for what, got := range map[string]int{"lost": lost, "doubled": doubled, "late": late, "straggling": straggling, "damaged": damaged} {
		if want := packets / 20; got < want*9/10 || got > want*11/10 {
			t.Errorf("%d %s, want about %d", got, what, want)
		}
	}
	if latest < rule.Straggle*3/4 || latestCopy < rule.Straggle*3/4 {
		t.Errorf("latest straggler %d, latest copy %d: far from %d", latest, latestCopy, rule.Straggle)
	}
	if len(bits) < 16*255/3 {
		t.Errorf("only %d damages", len(bits))
	}
	wantCounts(t, n, Counts{
		FaultLoss: uint64(lost), FaultDuplicate: uint64(doubled), FaultReorder: uint64(late),
		FaultStraggler: uint64(straggling), FaultCorruption: uint64(damaged),
	})
}

func TestDamageChangesOneByte(t *testing.T) {
	b := []byte{1, 2, 3}
	Damage{}.Do(b)
	Damage{}.Do(nil)
	Damage{Offset: 1, Mask: 0x81}.Do(b)
	if want := []byte{1, 2 ^ 0x81, 3}; !slices.Equal(b, want) {
		t.Fatalf("damaged to %v, want %v", b, want)
	}
}

func TestFirstRuleForThePacketJudges(t *testing.T) {
	lose := Weights{Lost: 1}
	double := Weights{Duplicated: 1}
	one := None(3)
	one.connect(0, 1)
	n := New(choice.New(1), Link{}, 3)
	n.SetRules(
		Rule{Links: one, Kinds: 1<<5 | 1<<63, Weights: lose},
		Rule{Links: one, Kinds: 1 << 6, Weights: double},
		Rule{Links: FromRows([]uint64{0b110, 0, 0}), Weights: double},
		Rule{Links: All(3), Kinds: 1 << 7, Weights: lose},
	)
	for _, c := range []struct {
		from, to End
		kind     uint8
		want     int
	}{
		{0, 1, 5, 0},  // first
		{0, 1, 63, 0}, // first
		{1, 0, 5, 0},  // first, other direction
		{0, 1, 6, 2},  // second
		{0, 1, 4, 2},  // third, behind two that do not want its kind
		{1, 0, 4, 1},  // none: the third is one way
		{0, 2, 5, 2},  // third
		{2, 1, 7, 0},  // fourth
		{2, 1, 5, 1},  // none
	} {
		if got := len(send(t, n, 0, Packet{From: c.from, To: c.to, Kind: c.kind, Size: 1})); got != c.want {
			t.Errorf("%d to %d, kind %d: %d deliveries, want %d", c.from, c.to, c.kind, got, c.want)
		}
	}
	n.SetRules()
	if got := len(send(t, n, 0, Packet{To: 1, Kind: 5})); got != 1 {
		t.Errorf("%d deliveries without rules", got)
	}
}

// What happens on one link is the same, whatever happens on others.
func TestLinksAreIndependent(t *testing.T) {
	run := func(crowded bool) (got [][]Delivery) {
		n := New(choice.New(3), Link{Base: 1000, Jitter: 5000}, 4)
		n.SetRules(everything(4))
		for i := range uint64(500) {
			if crowded {
				for range i % 3 {
					send(t, n, i, Packet{From: End(i % 4), To: 2, Size: 9})
				}
			}
			got = append(got, send(t, n, i*1000, Packet{From: 0, To: 1, Size: 100}))
		}
		return got
	}
	if alone, crowded := run(false), run(true); !reflect.DeepEqual(alone, crowded) {
		t.Fatal("traffic elsewhere moved the decisions of this link")
	}
}

func TestSameSeedSameDeliveries(t *testing.T) {
	run := func(src *choice.Source) (got []any) {
		n := New(src, Link{Base: 1000, Jitter: 5000, BytesPerSecond: 1 << 20, QueueBytes: 4096}, 5)
		n.SetRules(everything(5))
		plan := src.Stream("plan", 0, 0)
		for i := range uint64(2000) {
			now := i * 10_000
			switch i % 400 {
			case 100:
				n.Partition(Shape(src.Choose(plan, int(Shapes))).Draw(src, plan, 5))
			case 200:
				n.Partition(nil)
				for _, e := range DrawSwizzle(src, plan, 5).Clog {
					n.ClogEnd(e)
				}
			case 300:
				got = append(got, n.Heal(now, 500, nil))
			case 399:
				n.SetRules(everything(5))
			}
			got = append(got, send(t, n, now, Packet{From: End(i % 5), To: End(i / 5 % 5), Size: uint32(i), Handle: i}))
		}
		return append(got, *n.Counts(), n.Open())
	}
	record := choice.NewRecording(8)
	want := run(record)
	if got := run(choice.New(8)); !reflect.DeepEqual(got, want) {
		t.Fatal("the second run of a seed differs")
	}
	replay := choice.Replay(record.Tape())
	if got := run(replay); !reflect.DeepEqual(got, want) {
		t.Fatal("the replay differs")
	}
	if d, ok := replay.Drift(); ok || replay.Unused() != 0 {
		t.Fatalf("drift %v, %d unused", d, replay.Unused())
	}
	if got := run(choice.New(9)); reflect.DeepEqual(got, want) {
		t.Fatal("another seed, the same run")
	}
}

func TestBenignChoicesAreACalmNetwork(t *testing.T) {
	n := New(choice.FromBytes(nil, 0), Link{Base: 1000, Jitter: 5000}, 3)
	n.SetRules(everything(3))
	for i := range uint64(100) {
		if out := send(t, n, i, Packet{To: 2, Size: 1}); len(out) != 1 || out[0] != (Delivery{At: i + 1000}) {
			t.Fatalf("delivered %+v", out)
		}
	}
}

func TestBandwidthIsExact(t *testing.T) {
	// 3 bytes at 1000 per second are 3 ms; the second waits for the first, and
	// a link that is idle again starts at once.
	n := New(choice.New(1), Link{Base: 7, BytesPerSecond: 1000}, 2)
	for _, c := range []struct{ now, want uint64 }{
		{0, 3 * millisecond},
		{0, 6 * millisecond},
		{5 * millisecond, 9 * millisecond},
		{20 * millisecond, 23 * millisecond},
	} {
		if out := send(t, n, c.now, Packet{To: 1, Size: 3}); len(out) != 1 || out[0].At != c.want+7 {
			t.Fatalf("sent at %d: %+v, want %d", c.now, out, c.want+7)
		}
	}
	wantCounts(t, n, Counts{FaultBandwidth: 2})
	if got := n.Owed(20*millisecond, 0, 1); got != 3*millisecond {
		t.Fatalf("owed %d", got)
	}
	if got := n.Owed(30*millisecond, 0, 1); got != 0 {
		t.Fatalf("owed %d when idle", got)
	}
	if out := send(t, n, 0, Packet{From: 1, To: 0, Size: 3}); out[0].At != 3*millisecond+7 {
		t.Fatalf("the other direction waited: %+v", out)
	}
	// A fraction of a nanosecond counts as a whole one.
	for _, c := range []struct{ bytes, perSecond, want uint64 }{
		{1, 3, 333_333_334}, {1, 2_000_000_000, 1}, {0, 5, 0}, {1 << 20, 1 << 20, second},
	} {
		if got := transmitNanos(c.bytes, c.perSecond); got != c.want {
			t.Errorf("%d bytes at %d per second take %d ns, want %d", c.bytes, c.perSecond, got, c.want)
		}
	}
}

// However much is sent, no more than QueueBytes wait, and what is sent at the
// rate of the link passes.
func TestQueueIsBounded(t *testing.T) {
	const rate, queue = 1_000_000, 10_000
	n := New(choice.New(1), Link{BytesPerSecond: rate, QueueBytes: queue}, 2)
	passed, dropped, last := uint64(0), uint64(0), uint64(0)
	for i := range uint64(10_000) {
		now := i * 50_000 // 100 bytes each 50 µs: twice the rate
		out := send(t, n, now, Packet{To: 1, Size: 100})
		if waiting := n.Owed(now, 0, 1) * rate / second; waiting > queue {
			t.Fatalf("%d bytes wait", waiting)
		}
		if len(out) == 0 {
			dropped++
			continue
		}
		if out[0].At < last {
			t.Fatal("the queue reordered")
		}
		last = out[0].At
		passed++
	}
	if passed < 5000 || passed > 5200 {
		t.Errorf("%d of 10000 passed, want half and a queue full", passed)
	}
	if got := n.Counts()[FaultOverflow]; got != dropped {
		t.Errorf("%d dropped, %d counted", dropped, got)
	}
	// One that is larger than the queue passes when it is alone.
	now := uint64(100 * second)
	if len(send(t, n, now, Packet{To: 1, Size: 2 * queue})) != 1 {
		t.Error("a large packet can never pass")
	}
	if len(send(t, n, now, Packet{To: 1, Size: 2 * queue})) != 0 {
		t.Error("two large packets wait")
	}
}

func TestPartitionLosesAndHealsAtRunTime(t *testing.T) {
	n := New(choice.New(1), Link{}, 4)
	open := OneWay(3, 0b001) // end 3 is beyond it
	n.Partition(open)
	losses := uint64(0)
	for from := range End(4) {
		for to := range End(4) {
			want := 1
			if from < 3 && to < 3 && !open.Open(from, to) {
				want = 0
				losses++
			}
			if got := len(send(t, n, 0, Packet{From: from, To: to})); got != want {
				t.Errorf("%d to %d: %d deliveries, want %d", from, to, got, want)
			}
			if n.Open().Open(from, to) != (want == 1) {
				t.Errorf("%d to %d: Open disagrees", from, to)
			}
		}
	}
	if losses != 2 {
		t.Errorf("%d links closed, want 2", losses)
	}
	wantCounts(t, n, Counts{FaultPartition: losses})
	n.Partition(Isolate(4, 2)) // replaces the one before
	if len(send(t, n, 0, Packet{From: 1, To: 0})) != 1 || len(send(t, n, 0, Packet{From: 3, To: 2})) != 0 {
		t.Error("the second partition does not hold")
	}
	n.Partition(nil)
	if got, want := n.Open().String(), All(4).String(); got != want {
		t.Errorf("open %s, want %s", got, want)
	}
}

// After Heal nothing is lost, doubled, damaged or late, whatever was going on.
func TestHealMakesPerfectLinks(t *testing.T) {
	const latencyMax = 2 * millisecond
	for seed := range uint64(20) {
		src := choice.New(seed)
		st := src.Stream("test", 0, 0)
		n := New(src, Link{Base: src.ChooseRange(st, 0, 10*millisecond), Jitter: src.ChooseRange(st, 0, 10*millisecond),
			BytesPerSecond: 1 << 30, QueueBytes: 1000, Ordered: src.Chance(st, 1, 2)}, 5)
		n.SetRules(everything(5))
		n.ClogEnd(1)
		n.Clog(2, 3)
		for i := range uint64(500) {
			if i == 250 {
				n.Partition(Shape(1+src.Choose(st, int(Shapes)-1)).Draw(src, st, 5))
			}
			send(t, n, i, Packet{From: End(i % 5), To: End(i / 5 % 5), Size: 50})
		}
		now := uint64(500)
		for _, r := range n.Heal(now, latencyMax, nil) {
			if r.At < now || r.At >= now+latencyMax {
				t.Fatalf("seed %d: held packet arrives at %d", seed, r.At)
			}
		}
		before := *n.Counts()
		for i := range uint64(500) {
			now += 50_000
			out := send(t, n, now, Packet{From: End(i % 5), To: End(i / 5 % 5), Size: 5000})
			// 5 µs for its own bytes, and as much for what is owed from before.
			if len(out) != 1 || out[0].At >= now+latencyMax+10_000 || out[0].Damage != (Damage{}) {
				t.Fatalf("seed %d: sent at %d, %+v", seed, now, out)
			}
		}
		if *n.Counts() != before {
			t.Fatalf("seed %d: faults after heal: %v, before %v", seed, *n.Counts(), before)
		}
		if l := n.Link(1, 2); l.Base+l.Jitter >= latencyMax {
			t.Fatalf("seed %d: link %+v", seed, l)
		}
	}
}

func TestHealKeepsBandwidthAndDropsNothing(t *testing.T) {
	n := New(choice.New(1), Link{BytesPerSecond: 1000, QueueBytes: 10}, 2)
	n.Heal(0, 1, nil)
	for i := range uint64(1000) {
		if out := send(t, n, 0, Packet{To: 1, Size: 1000}); len(out) != 1 || out[0].At != (i+1)*second {
			t.Fatalf("packet %d: %+v", i, out)
		}
	}
	if got, want := n.Owed(0, 0, 1), uint64(1000*second); got != want {
		t.Fatalf("owed %d, want %d", got, want)
	}
}

func TestBadArgumentsPanic(t *testing.T) {
	n := New(choice.New(1), Link{}, 3)
	var out [2]Delivery
	for name, f := range map[string]func(){
		"no ends":          func() { New(choice.New(1), Link{}, 0) },
		"too many ends":    func() { New(choice.New(1), Link{}, EndsMax+1) },
		"to nobody":        func() { n.Send(0, Packet{To: 3}, &out) },
		"from nobody":      func() { n.Send(0, Packet{From: 3}, &out) },
		"link to nobody":   func() { n.Clog(0, 3) },
		"endless latency":  func() { n.SetLink(0, 1, Link{Base: DelayMax + 1}) },
		"endless straggle": func() { n.SetRules(Rule{Weights: Weights{OnTime: 1}, Straggle: DelayMax + 1}) },
		"endless rate":     func() { n.SetLink(0, 1, Link{BytesPerSecond: BandwidthMax + 1}) },
		"weightless rule":  func() { n.SetRules(Rule{}) },
		"heal to nothing":  func() { n.Heal(0, 0, nil) },
		"empty matrix":     func() { All(0) },
		"wide matrix":      func() { None(EndsMax + 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
}

func TestSendDoesNotAllocate(t *testing.T) {
	n := New(choice.New(1), Link{Base: 1000, Jitter: 1000, BytesPerSecond: 1 << 30}, 3)
	n.SetRules(everything(3))
	var out [2]Delivery
	released := make([]Released, 0, 1000)
	now := uint64(0)
	round := func() {
		n.Clog(0, 2)
		for range 10 {
			now += 100_000
			n.Send(now, Packet{To: 1, Size: 100}, &out)
			n.Send(now, Packet{To: 2, Size: 100}, &out)
		}
		released = n.Unclog(now, 0, 2, released[:0])
	}
	for range 100 {
		round() // grows the lists
	}
	if got := testing.AllocsPerRun(1000, round); got != 0 {
		t.Fatalf("%v allocations", got)
	}
}

var sinkNanos uint64

func benchmarkSend(b *testing.B, l Link, rules ...Rule) {
	n := New(choice.New(1), l, 5)
	n.SetRules(rules...)
	var out [2]Delivery
	now := uint64(0)
	for b.Loop() {
		now += 100_000
		n.Send(now, Packet{From: End(now >> 20 & 3), To: 4, Size: 200}, &out)
		sinkNanos += out[0].At
	}
}

func BenchmarkSend(b *testing.B) {
	rare := everything(5)
	rare.Weights.OnTime = 2000
	b.Run("latency", func(b *testing.B) { benchmarkSend(b, Link{Base: 1000}) })
	b.Run("jitter", func(b *testing.B) { benchmarkSend(b, Link{Base: 1000, Jitter: 1000}) })
	b.Run("jitter,rule", func(b *testing.B) { benchmarkSend(b, Link{Base: 1000, Jitter: 1000}, rare) })
	b.Run("jitter,rule,bandwidth,ordered", func(b *testing.B) {
		benchmarkSend(b, Link{Base: 1000, Jitter: 1000, BytesPerSecond: 100 << 20, Ordered: true}, rare)
	})
	b.Run("all fates", func(b *testing.B) { benchmarkSend(b, Link{Base: 1000, Jitter: 1000}, everything(5)) })
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		n := New(choice.New(1), Link{}, 7)
		sinkNanos += uint64(n.Ends())
	}
}
