package netsim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

const second = 1_000_000_000

const (
	// DelayMax bounds every delay that can be asked for: one hour.
	DelayMax = 3600 * second

	// QueueBytesDefault is the queue of a link that names none.
	QueueBytesDefault = 16 << 20

	// BandwidthMax bounds Link.BytesPerSecond.
	BandwidthMax = 1 << 40
)

// Link is one direction between two ends when nothing goes wrong.
//
// A packet first waits until the link has sent those before it, then takes its
// own bytes' time (rounded up to a nanosecond), then Base, then a drawn part
// of Jitter. The queue in front of a link is bounded: a packet that does not
// fit is dropped, unless it would be alone, so that large ones pass a small
// queue one by one.
type Link struct {
	Base   uint64 // the least latency
	Jitter uint64 // what may come on top: from 0 to less than this

	// BytesPerSecond is the bandwidth, or 0 where it does not matter.
	BytesPerSecond uint64

	// QueueBytes bounds what waits for bandwidth, and likewise what a clog
	// holds. 0 means QueueBytesDefault.
	QueueBytes uint64

	// Ordered links let no packet overtake another by jitter. Only a fate
	// (reordered, straggling, the copy of a duplicate) still does.
	Ordered bool
}

// link is a Link at work.
//
// Invariants: latest is the latest arrival of all packets that were neither
// reordered nor straggling; freeAt only grows; heldBytes is the sum of the list
// from first to last, each at least heldLeast, and at most QueueBytes unless it is
// a single packet.
type link struct {
	Link
	fate, jitter, detail choice.Stream

	rule   int16 // the first one whose Links have this link, or noRule
	closed closed
	open   bool // the streams are

	queueNanos  uint64 // the time that QueueBytes take; 0 without bandwidth
	freeAt      uint64 // when all bytes so far are on their way
	latest      uint64
	heldBytes   uint64
	first, last int32 // held packets, or -1
}

// closed says why packets do not come through.
type closed uint8

const (
	cut         closed = 1 << iota // they are lost
	clogged                        // they are held: the link's own clog
	cloggedFrom                    // the sender's
	cloggedTo                      // the receiver's
)

const noRule = -1

func (l *link) set(c Link) {
	if c.Base > DelayMax || c.Jitter > DelayMax {
		panic(fmt.Sprintf("netsim: latency %d + %d ns is beyond %d", c.Base, c.Jitter, uint64(DelayMax)))
	}
	if c.BytesPerSecond > BandwidthMax {
		panic(fmt.Sprintf("netsim: bandwidth %d is beyond %d bytes per second", c.BytesPerSecond, uint64(BandwidthMax)))
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = QueueBytesDefault
	}
	c.QueueBytes = min(c.QueueBytes, queueBytesMax)
	l.Link = c
	l.queueNanos = 0
	if c.BytesPerSecond != 0 {
		l.queueNanos = transmitNanos(c.QueueBytes, c.BytesPerSecond)
	}
}

// queueBytesMax keeps the arithmetic within 64 bits.
const queueBytesMax = 1 << 33

// transmitNanos is the time that so many bytes take, up to queueBytesMax.
func transmitNanos(bytes, perSecond uint64) uint64 {
	return (bytes*second + perSecond - 1) / perSecond
}

// transmit puts a packet behind those before it. It returns when its last byte
// has left, or false if the queue is full.
func (l *link) transmit(now uint64, size uint32, counts *Counts) (uint64, bool) {
	took := transmitNanos(uint64(size), l.BytesPerSecond)
	start := now
	if l.freeAt > now {
		if l.freeAt-now+took > l.queueNanos {
			counts[FaultOverflow]++
			return 0, false
		}
		counts[FaultBandwidth]++
		start = l.freeAt
	}
	l.freeAt = start + took
	return l.freeAt, true
}

// heal leaves the link with no more than latencyMax-1 of latency.
func (l *link) heal(latencyMax uint64) {
	if l.Base+l.Jitter >= latencyMax {
		half := (latencyMax - 1) / 2
		l.Base = min(l.Base, half)
		l.Jitter = min(l.Jitter, half)
	}
	l.latest = 0
	l.queueNanos = noQueueBound
}

// noQueueBound is further away than any backlog: 2^63 ns are 292 years.
const noQueueBound = 1 << 63
