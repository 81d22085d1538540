package netsim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// Clients talk over connections, not in packets. What one side sends arrives
// in that order, once and undamaged, or not at all: a connection delays, or it
// is cut. A cut is told to both sides, each in its own time, and leaves open
// what became of the data on its way:
//
//   - it may still arrive, and each side learns of the cut after the last of
//     it. This is how a request is carried out whose sender never hears of it;
//   - or none of it that would have arrived after the cut does.

// Side is one of the two ends of a connection.
type Side uint8

const (
	Client Side = iota
	Server
)

// Other is the other side.
func (s Side) Other() Side { return 1 - s }

// ConnRule is how a connection behaves.
type ConnRule struct {
	Base, Jitter uint64 // latency, as in Link

	// What may befall each piece of data, relative to each other. All 0 is
	// always on time.
	OnTime, Delayed, Cut uint32

	// Delay is the longest delay of a piece, ns, each doubling from 1 ms up
	// equally likely. What is sent after it arrives after it.
	Delay uint64
}

// Conn is a connection that can be opened again and again, between one client
// and one server. Copy it only before it is used.
type Conn struct {
	src    *choice.Source
	counts *Counts
	rule   ConnRule
	odds   *choice.Weights // nil: always on time

	fate, jitter, detail choice.Stream

	epoch uint32
	open  bool
	// latest[s] is the last arrival at side s, told[s] when s hears of the cut.
	latest, told [2]uint64
	stalled      uint64 // nothing arrives before
	// goneAfter[e%epochsKept]: of what was sent in epoch e, nothing arrives
	// after this time.
	goneAfter [epochsKept]uint64
}

const (
	// epochsKept is for how many openings data on its way may still arrive.
	epochsKept  = 8
	never       = 1<<64 - 1
	millisecond = 1_000_000
)

// Sent says what became of a piece of data.
type Sent uint8

const (
	SentOK      Sent = iota // it arrives, unless the connection is cut first
	SentThenCut             // the connection is cut; what was sent so far arrives
	SentCut                 // the connection is cut, and neither this piece nor others on the way arrive
	SentClosed              // the connection was closed already
)

// NewConn returns a connection that is closed. Client and server name its
// streams; counts, which may be those of a Network, is where its faults count.
func NewConn(src *choice.Source, counts *Counts, client, server uint64) Conn {
	return Conn{
		src:    src,
		counts: counts,
		fate:   src.Stream("conn/fate", client, server),
		jitter: src.Stream("conn/jitter", client, server),
		detail: src.Stream("conn/detail", client, server),
	}
}

// SetRule changes how the connection behaves from now on.
func (c *Conn) SetRule(r ConnRule) {
	if r.Base > DelayMax || r.Jitter > DelayMax || r.Delay > DelayMax {
		panic(fmt.Sprintf("netsim: connection with delays beyond %d: %+v", uint64(DelayMax), r))
	}
	c.rule = r
	c.odds = nil
	if r.Delayed != 0 || r.Cut != 0 {
		c.odds = choice.NewWeights(r.OnTime, r.Delayed, r.Cut)
	}
}

// Open opens the connection and returns the epoch that goes with all that is
// sent until it is cut. An open one stays as it is.
func (c *Conn) Open() uint32 {
	if !c.open {
		c.open = true
		c.epoch++
		c.latest = [2]uint64{}
		c.goneAfter[c.epoch%epochsKept] = never
	}
	return c.epoch
}

// IsOpen says whether it was opened and not cut since.
func (c *Conn) IsOpen() bool { return c.open }

// Epoch is that of the last Open.
func (c *Conn) Epoch() uint32 { return c.epoch }

// Send sends a piece of data from one side and returns when it arrives at the
// other, if it does. The world asks Arrives when that time has come. After
// SentThenCut and SentCut it has Told to schedule.
func (c *Conn) Send(now uint64, from Side) (at uint64, s Sent) {
	if !c.open {
		return 0, SentClosed
	}
	at = now + c.latency()
	delayed := false
	if c.odds != nil {
		switch c.src.Pick(c.fate, c.odds) {
		case 1:
			at += c.src.ChooseLog(c.detail, millisecond, max(c.rule.Delay, millisecond))
			delayed = true
		case 2:
			if c.src.Chance(c.detail, 1, 2) {
				c.cut(now, now)
				return 0, SentCut
			}
			at = c.arrive(from.Other(), at)
			c.cut(now, never)
			return at, SentThenCut
		}
	}
	if at < c.stalled {
		at = c.stalled
		delayed = true
	}
	if delayed {
		c.counts[FaultConnDelay]++
	}
	return c.arrive(from.Other(), at), SentOK
}

// Cut cuts the connection, if it is open; whether data on its way still
// arrives is drawn. After true the world has Told to schedule.
func (c *Conn) Cut(now uint64) bool {
	if !c.open {
		return false
	}
	goneAfter := uint64(never)
	if c.src.Chance(c.detail, 1, 2) {
		goneAfter = now
	}
	c.cut(now, goneAfter)
	return true
}

// Told is when a side hears of the last cut.
func (c *Conn) Told(side Side) uint64 { return c.told[side] }

// Arrives says whether data sent in an epoch, with an arrival at this time,
// does arrive. The world asks when it is that time.
func (c *Conn) Arrives(epoch uint32, at uint64) bool {
	return c.epoch-epoch < epochsKept && at <= c.goneAfter[epoch%epochsKept]
}

// Stall lets nothing that is sent from now on arrive before until. This is how
// a connection feels a partition that ends before anyone gives up.
func (c *Conn) Stall(until uint64) { c.stalled = max(c.stalled, until) }

// Heal makes the connection perfect from now on: never cut or delayed, with a
// latency of less than latencyMax, at least 1. Because data stays in order, a
// connection on which a delayed piece is still to come could not keep that:
// it is cut, and true says so, as in Cut.
func (c *Conn) Heal(now, latencyMax uint64) bool {
	if latencyMax == 0 {
		panic("netsim: heal to less than no latency")
	}
	half := (latencyMax - 1) / 2
	r := ConnRule{Base: c.rule.Base, Jitter: c.rule.Jitter}
	if r.Base+r.Jitter >= latencyMax {
		r.Base, r.Jitter = min(r.Base, half), min(r.Jitter, half)
	}
	c.SetRule(r)
	c.stalled = 0
	if c.open && max(c.latest[Client], c.latest[Server]) >= now+latencyMax {
		c.cut(now, now)
		return true
	}
	return false
}

func (c *Conn) cut(now, goneAfter uint64) {
	c.open = false
	c.counts[FaultConnCut]++
	c.goneAfter[c.epoch%epochsKept] = goneAfter
	for side := range c.told {
		c.told[side] = now + c.latency()
		if goneAfter == never {
			c.told[side] = max(c.told[side], c.latest[side])
		}
	}
}

func (c *Conn) latency() uint64 {
	if c.rule.Jitter == 0 {
		return c.rule.Base
	}
	return c.rule.Base + c.rule.Jitter*uint64(c.src.Choose(c.jitter, choice.AlternativesMax))/choice.AlternativesMax
}

// arrive keeps the order at one side.
func (c *Conn) arrive(at Side, when uint64) uint64 {
	c.latest[at] = max(c.latest[at], when)
	return c.latest[at]
}
