package netsim

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"pgregory.net/rapid"
)

func TestConnIsOrderedAndLosesNothingUnlessCut(t *testing.T) {
	var counts Counts
	c := NewConn(choice.New(1), &counts, 3, 1)
	c.SetRule(ConnRule{Base: 1000, Jitter: 100_000, OnTime: 9, Delayed: 1, Delay: 20 * second})
	epoch := c.Open()
	var last [2]uint64
	delayed := 0
	for i := range uint64(5000) {
		now := i * 10_000_000
		from := Side(i % 2)
		at, s := c.Send(now, from)
		to := from.Other()
		if s != SentOK || at < now+1000 || at < last[to] || !c.Arrives(epoch, at) {
			t.Fatalf("sent at %d: %v at %d, the one before at %d", now, s, at, last[to])
		}
		if at >= max(now+101_000, last[to]+1) {
			delayed++
			if at > now+101_000+20*second {
				t.Fatalf("delayed by %d", at-now)
			}
		}
		last[to] = at
	}
	if got := counts[FaultConnDelay]; got < 400 || got > 600 || delayed == 0 {
		t.Fatalf("%d of 5000 delayed, %d seen", got, delayed)
	}
	if !c.IsOpen() || counts[FaultConnCut] != 0 {
		t.Fatal("cut")
	}
}

func TestPerfectConnTakesNoFateDecisions(t *testing.T) {
	src := choice.New(1)
	c := NewConn(src, new(Counts), 0, 0)
	c.SetRule(ConnRule{Base: 5})
	c.Open()
	for range 100 {
		c.Send(0, Client)
	}
	if got := src.Decisions(); got != 0 {
		t.Fatalf("%d decisions", got)
	}
}

// Both sides hear of a cut; then nothing goes until it is opened again. What
// was on its way arrives before the cut is told, or is gone.
func TestCutIsToldToBoth(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(200) {
		var counts Counts
		c := NewConn(choice.New(seed), &counts, 0, 0)
		c.SetRule(ConnRule{Base: 1000, Jitter: 1000})
		epoch := c.Open()
		at, _ := c.Send(0, Client)
		at2, _ := c.Send(400, Client)
		if !c.Cut(500) || c.Cut(500) || c.IsOpen() || counts[FaultConnCut] != 1 {
			t.Fatal("not cut once")
		}
		if c.Told(Client) < 1500 || c.Told(Server) < 1500 || c.Told(Client) >= 2500 {
			t.Fatalf("told at %d and %d", c.Told(Client), c.Told(Server))
		}
		first, second := c.Arrives(epoch, at), c.Arrives(epoch, at2)
		switch {
		case first != second:
			t.Fatal("one arrives, the other not, of two on the way at the cut")
		case first && c.Told(Server) < at2:
			t.Fatalf("data at %d after the cut was told at %d", at2, c.Told(Server))
		case first:
			outcomes["arrives"]++
		default:
			outcomes["gone"]++
		}
		if !c.Arrives(epoch, 500) {
			t.Fatal("what came before the cut did not come")
		}
		if _, s := c.Send(600, Server); s != SentClosed {
			t.Fatalf("sent on a closed connection: %v", s)
		}
		if again := c.Open(); again == epoch || c.Open() != again {
			t.Fatal("epochs")
		}
		// The old data does not get another chance, and new data has its own.
		if c.Arrives(epoch, at) != first {
			t.Fatal("opening again changed what arrives")
		}
		if at, s := c.Send(700, Server); s != SentOK || !c.Arrives(c.Epoch(), at) {
			t.Fatal("closed after being opened again")
		}
	}
	if outcomes["arrives"] < 60 || outcomes["gone"] < 60 {
		t.Fatalf("outcomes %v", outcomes)
	}
}

func TestSendMayCut(t *testing.T) {
	var counts Counts
	c := NewConn(choice.New(1), &counts, 0, 0)
	c.SetRule(ConnRule{Base: 1000, OnTime: 8, Cut: 2})
	seen := map[Sent]int{}
	for i := range uint64(1000) {
		now := i * 10_000
		epoch := c.Open()
		at, s := c.Send(now, Client)
		seen[s]++
		switch s {
		case SentThenCut:
			if c.IsOpen() || !c.Arrives(epoch, at) || c.Told(Server) < at {
				t.Fatalf("at %d, told %d", at, c.Told(Server))
			}
		case SentCut:
			if c.IsOpen() || c.Arrives(epoch, now+1) {
				t.Fatal("something arrives after all")
			}
		}
	}
	if seen[SentOK] < 700 || seen[SentOK] > 900 || seen[SentCut] < 60 || seen[SentThenCut] < 60 {
		t.Fatalf("%v", seen)
	}
	if got, want := counts[FaultConnCut], uint64(seen[SentCut]+seen[SentThenCut]); got != want {
		t.Fatalf("%d cuts counted, want %d", got, want)
	}
}

func TestStall(t *testing.T) {
	var counts Counts
	c := NewConn(choice.New(1), &counts, 0, 0)
	c.SetRule(ConnRule{Base: 10})
	c.Open()
	c.Stall(1000)
	for _, s := range []struct{ now, want uint64 }{{0, 1000}, {995, 1005}, {2000, 2010}} {
		if at, _ := c.Send(s.now, Server); at != s.want {
			t.Errorf("sent at %d, arrives at %d, want %d", s.now, at, s.want)
		}
	}
	if counts[FaultConnDelay] != 1 {
		t.Errorf("%d delays counted, want 1", counts[FaultConnDelay])
	}
}

func TestHealedConnIsPrompt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewConn(choice.New(rapid.Uint64().Draw(t, "seed")), new(Counts), 0, 0)
		c.SetRule(ConnRule{
			Base:   rapid.Uint64Range(0, second).Draw(t, "base"),
			Jitter: rapid.Uint64Range(0, second).Draw(t, "jitter"),
			OnTime: 5, Delayed: 5, Cut: 1, Delay: 10 * second,
		})
		for i := range uint64(20) {
			c.Open()
			c.Send(i, Side(i%2))
		}
		c.Stall(5 * second)
		latencyMax := rapid.Uint64Range(1, second).Draw(t, "latencyMax")
		now := rapid.Uint64Range(20, 5*second).Draw(t, "now")
		was := c.IsOpen()
		if c.Heal(now, latencyMax) {
			if !was || c.IsOpen() {
				t.Fatal("cut what was not open")
			}
			if c.Told(Client) >= now+latencyMax || c.Told(Server) >= now+latencyMax {
				t.Fatalf("told at %d and %d", c.Told(Client), c.Told(Server))
			}
		}
		c.Open()
		for i := range uint64(100) {
			at, s := c.Send(now+i, Side(i%2))
			if s != SentOK || at >= now+i+latencyMax {
				// Data from before may still be ahead, but not later than this.
				if s != SentOK || at >= now+latencyMax {
					t.Fatalf("%v, arrives %d after it was sent", s, at-now-i)
				}
			}
		}
	})
}

func TestOldEpochsEnd(t *testing.T) {
	c := NewConn(choice.New(1), new(Counts), 0, 0)
	if c.Arrives(0, 1) || c.Arrives(5, 1) {
		t.Fatal("arrives before it was ever opened")
	}
	first := c.Open()
	for range epochsKept {
		c.cut(0, never)
		c.Open()
	}
	if c.Arrives(first, 1) {
		t.Fatal("arrives after too many openings")
	}
	if !c.Arrives(first+1, 1) {
		t.Fatal("does not arrive though it is kept")
	}
}

func TestConnDoesNotAllocate(t *testing.T) {
	c := NewConn(choice.New(1), new(Counts), 0, 0)
	c.SetRule(ConnRule{Base: 10, Jitter: 10, OnTime: 5, Delayed: 1, Cut: 1, Delay: second})
	if got := testing.AllocsPerRun(1000, func() {
		c.Open()
		c.Send(0, Client)
	}); got != 0 {
		t.Fatalf("%v allocations", got)
	}
}

func BenchmarkConnSend(b *testing.B) {
	c := NewConn(choice.New(1), new(Counts), 0, 0)
	c.SetRule(ConnRule{Base: 10, Jitter: 10, OnTime: 1000, Delayed: 1, Delay: second})
	c.Open()
	now := uint64(0)
	for b.Loop() {
		now += 1000
		at, _ := c.Send(now, Client)
		sinkNanos += at
	}
}
