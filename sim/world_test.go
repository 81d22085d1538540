package sim

import (
	"math/rand/v2"
	"testing"
)

// Events come in the order of their times, and those of one time in the order
// in which they were made.
func TestQueueIsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var last event
	taken, made := 0, 0
	for made < 5000 || taken < made {
		if made < 5000 && (made == taken || r.IntN(3) > 0) {
			// Never before what was taken: the world makes no event in the past.
			q.push(last.at+r.Uint64N(20), eventKind(r.IntN(3)), uint8(r.IntN(5)), uint32(made))
			made++
			continue
		}
		e, ok := q.pop()
		if !ok {
			t.Fatalf("empty after %d of %d", taken, made)
		}
		if taken > 0 && !last.earlier(&e) {
			t.Fatalf("%+v comes after %+v", e, last)
		}
		last = e
		taken++
	}
	if _, ok := q.pop(); ok {
		t.Fatal("more events than were made")
	}
}

// Hastening leaves no event of that kind behind, moves no other, and keeps all
// in order.
func TestQueueHastens(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var q queue
	for i := range 500 {
		q.push(r.Uint64N(1000), eventKind(r.IntN(3)), 0, uint32(i))
	}
	at := map[uint32]uint64{}
	for _, e := range q.heap {
		at[e.arg] = e.at
	}
	q.hasten(eventPacket, 300)
	var last event
	for n := range 500 {
		e, ok := q.pop()
		want := at[e.arg]
		if e.kind == eventPacket {
			want = min(want, 300)
		}
		if !ok || e.at != want || n > 0 && !last.earlier(&e) {
			t.Fatalf("%+v after %+v, want it at %d", e, last, want)
		}
		last = e
	}
}

// A clock never goes back, whatever is done to it; all ticks that it shows are
// owed exactly once; and the time of the next tick is the first at which one
// is owed.
func TestClockOwesEachTickOnce(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		now := uint64(0)
		c := newClock(1+r.Uint64N(20e6), clockExact-20_000+r.Uint64N(40_000), now)
		shown := uint64(0)
		for range 200 {
			switch r.IntN(6) {
			case 0:
				c.setRate(now, r.Uint64N(8*clockExact))
			case 1:
				c.setRate(now, 0)
			case 2:
				c.jump(now, r.Uint64N(1e9))
			case 3:
				if c.next != never && c.next > now {
					if n := c.owed(c.next - 1); n != 0 {
						t.Fatalf("seed %d: %d ticks owed before the time of the next", seed, n)
					}
					now = c.next
					if n := c.owed(now); n == 0 {
						t.Fatalf("seed %d: nothing owed at the time of the next tick", seed)
					}
				}
			default:
				now += r.Uint64N(50e6)
			}
			if n := c.owed(now); n > 0 {
				c.deliver(n)
			}
			if at := c.read(now); at < shown {
				t.Fatalf("seed %d: clock went back from %d to %d", seed, shown, at)
			} else {
				shown = at
			}
			if c.delivered != shown/c.tickNanos {
				t.Fatalf("seed %d: %d ticks delivered, the clock shows %d", seed, c.delivered, shown/c.tickNanos)
			}
		}
	}
}

// Bytes of an arena are nobody else's.
func TestArenaDoesNotShare(t *testing.T) {
	var a arena
	var kept [][]byte
	for i := range 5000 {
		b := a.keep([]byte{byte(i), byte(i >> 8), byte(i)})
		_ = append(b, 0xff) // must not reach the next one
		kept = append(kept, b)
	}
	for i, b := range kept {
		if len(b) != 3 || b[0] != byte(i) || b[1] != byte(i>>8) {
			t.Fatalf("bytes %d are %v", i, b)
		}
	}
	if b := a.take(10 * arenaBlockBytes); len(b) != 10*arenaBlockBytes {
		t.Fatalf("%d bytes", len(b))
	}
}
