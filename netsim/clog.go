package netsim

import "github.com/seaworthy-raft/seaworthy/internal/choice"

// A clogged link takes packets and keeps them at its far end, with their fates
// drawn and their latency running, until it is let go. Then all that should
// have arrived by now does so at once, in the order sent, and the rest when it
// would have anyway. Nothing is lost by a clog, unless it is asked to hold more
// than the link's QueueBytes. What was on its way before is not held.
//
// A link can be clogged for itself, for its sender and for its receiver; it is
// open when it is none of these.

// Released is a packet that was held, and when it arrives.
type Released struct {
	Packet
	Delivery
}

// heldLeast is what a held packet takes of QueueBytes, however small it is: about
// what it takes of memory here.
const heldLeast = 64 // bytes

// held is an element of a link's list, or of the free list.
type held struct {
	Released
	next int32
}

// Clog holds what is sent over a link from now on.
func (n *Network) Clog(from, to End) { n.link(from, to).closed |= clogged }

// Unclog ends what Clog began. If the link is then open, its packets are
// appended to out, in the order in which they are to be scheduled.
func (n *Network) Unclog(now uint64, from, to End, out []Released) []Released {
	return n.unclog(now, n.link(from, to), clogged, out)
}

// ClogEnd holds what is sent to and from an end from now on.
func (n *Network) ClogEnd(e End) {
	for other := range End(n.ends) {
		n.link(e, other).closed |= cloggedFrom
		n.link(other, e).closed |= cloggedTo
	}
}

// UnclogEnd ends what ClogEnd began, with packets appended as by Unclog, link
// by link. A link stays clogged while its other end is.
func (n *Network) UnclogEnd(now uint64, e End, out []Released) []Released {
	for other := range End(n.ends) {
		out = n.unclog(now, n.link(e, other), cloggedFrom, out)
		out = n.unclog(now, n.link(other, e), cloggedTo, out)
	}
	return out
}

// Swizzle is a plan: clog ends one after another, then let them go in another
// order. In between some links are open again whose neighbours are not.
type Swizzle struct {
	Clog, Unclog []End
}

// DrawSwizzle makes one for some of the ends below n.
func DrawSwizzle(src *choice.Source, st choice.Stream, n int) Swizzle {
	ends := drawOrder(src, st, n)
	s := Swizzle{Clog: ends[:1+src.Choose(st, n)]}
	s.Unclog = append(s.Unclog, s.Clog...)
	choice.Shuffle(src, st, s.Unclog)
	return s
}

func (n *Network) unclog(now uint64, l *link, why closed, out []Released) []Released {
	l.closed &^= why
	if l.closed&^cut != 0 {
		return out
	}
	return n.release(now, l, out)
}

// hold keeps the deliveries of a packet and says whether there was room. Where
// there is none for the first, there is none for its copy.
func (n *Network) hold(l *link, p Packet, deliveries []Delivery) (kept bool) {
	size := uint64(max(p.Size, heldLeast))
	for i, d := range deliveries {
		if l.first >= 0 && l.heldBytes+size > l.QueueBytes {
			n.counts[FaultOverflow]++
			break
		}
		if i == 0 {
			n.counts[FaultClog]++
			kept = true
		}
		at := n.free
		if at >= 0 {
			n.free = n.held[at].next
		} else {
			at = int32(len(n.held))
			n.held = append(n.held, held{})
		}
		n.held[at] = held{Released{p, d}, -1}
		if l.first < 0 {
			l.first = at
		} else {
			n.held[l.last].next = at
		}
		l.last = at
		l.heldBytes += size
	}
	return kept
}

// release empties a link's list.
func (n *Network) release(now uint64, l *link, out []Released) []Released {
	for at := l.first; at >= 0; {
		h := &n.held[at]
		h.At = max(h.At, now)
		out = append(out, h.Released)
		next := h.next
		h.next, n.free = n.free, at
		at = next
	}
	l.first, l.last, l.heldBytes = -1, -1, 0
	return out
}
