// Package netsim carries packets between ends, whatever they hold, and does to
// them what networks do. It knows no clock: virtual time comes in with each
// call, and what goes out is when a packet arrives. The world schedules that.
//
//	rule.go        the fault model, and what may befall a single packet
//	link.go        how long a packet takes when nothing does
//	partition.go   who can reach whom: sets of directed links, and their shapes
//	clog.go        links that hold their packets back, and let them go
//	conn.go        connections of clients: ordered, delayed or cut
//	fault.go       what was injected, counted
//
// All times are virtual nanoseconds. All decisions are drawn from
// internal/choice, each link from streams of its own, so that what happens on
// one link moves nothing on another.
package netsim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// End is one of the ends of a network, from 0.
type End uint8

// EndsMax is the largest number of ends: one row of a Matrix is one word.
const EndsMax = 64

// Packet is what the network has to know of one. Handle is the sender's own
// and comes back with packets that were held; Kind, below 64, is for rules
// that are about some packets only.
type Packet struct {
	From, To End
	Kind     uint8
	Size     uint32 // bytes
	Handle   uint64
}

// Delivery is one arrival of a packet.
type Delivery struct {
	At     uint64
	Copy   bool // the second arrival of a duplicated packet
	Damage Damage
}

// Network is the links between some ends. What is on its way already is no
// longer the network's: a packet sent before a partition or a heal arrives
// when its Delivery said, be it tens of seconds later.
type Network struct {
	src    *choice.Source
	ends   int
	links  []link // from*ends + to
	rules  []ruleInForce
	held   []held
	free   int32 // first unused element of held, or -1
	holds  bool  // after a Send without delivery: the packet is held
	lost   Fault // and if it is not, why
	counts Counts
}

// New returns a network of so many ends, at most EndsMax, all of whose links
// are like l. There are no rules, no partition and no clog.
func New(src *choice.Source, l Link, ends int) *Network {
	if ends < 1 || ends > EndsMax {
		panic(fmt.Sprintf("netsim: %d ends, want 1 to %d", ends, EndsMax))
	}
	n := &Network{src: src, ends: ends, links: make([]link, ends*ends), free: -1}
	for i := range n.links {
		n.links[i].rule = noRule
		n.links[i].first, n.links[i].last = -1, -1
		n.links[i].set(l)
	}
	return n
}

// Ends is their number.
func (n *Network) Ends() int { return n.ends }

// SetLink changes a link for packets sent from now on.
func (n *Network) SetLink(from, to End, l Link) { n.link(from, to).set(l) }

// Link is what the link is now, Heal included.
func (n *Network) Link(from, to End) Link { return n.link(from, to).Link }

// SetRules puts these rules in place of those before, for packets sent from
// now on. Of several rules for a packet the first judges.
func (n *Network) SetRules(rules ...Rule) {
	n.rules = n.rules[:0]
	for i := range rules {
		n.rules = append(n.rules, rules[i].inForce())
	}
	for i := range n.links {
		l := &n.links[i]
		l.rule = noRule
		for r := len(n.rules) - 1; r >= 0; r-- {
			if n.rules[r].Links.Open(End(i/n.ends), End(i%n.ends)) {
				l.rule = int16(r)
			}
		}
	}
}

// Partition loses every packet sent from now on over a link that is not in
// open. Ends beyond the matrix reach everyone and are reached by everyone;
// nil opens all.
func (n *Network) Partition(open Matrix) {
	for i := range n.links {
		l := &n.links[i]
		from, to := End(i/n.ends), End(i%n.ends)
		l.closed &^= cut
		if int(from) < len(open) && int(to) < len(open) && !open.Open(from, to) {
			l.closed |= cut
		}
	}
}

// Open is the present partition: the links over which packets may go.
func (n *Network) Open() Matrix {
	m := None(n.ends)
	for i := range n.links {
		if n.links[i].closed&cut == 0 {
			m[i/n.ends] |= 1 << (i % n.ends)
		}
	}
	return m
}

// Send gives a packet to its link and fills in when it arrives: never, once,
// or twice. It returns how many deliveries there are. If there is none, Holds
// says whether the packet is gone or may come later.
func (n *Network) Send(now uint64, p Packet, out *[2]Delivery) int {
	if int(p.To) >= n.ends {
		n.badEnd(p.To)
	}
	l := &n.links[int(p.From)*n.ends+int(p.To)]
	if l.closed&cut != 0 {
		n.counts[FaultPartition]++
		n.holds, n.lost = false, FaultPartition
		return 0
	}
	if !l.open {
		n.openStreams(l, p)
	}
	at := now
	if l.BytesPerSecond != 0 {
		sent, ok := l.transmit(now, p.Size, &n.counts)
		if !ok {
			n.holds, n.lost = false, FaultOverflow
			return 0
		}
		at = sent
	}
	at += l.Base
	var v Verdict
	if l.rule != noRule {
		v = n.judge(l, p)
		if v.Fate == Lost {
			n.holds, n.lost = false, FaultLoss
			return 0
		}
	}
	if l.Jitter != 0 {
		at += l.Jitter * uint64(n.src.Choose(l.jitter, choice.AlternativesMax)) / choice.AlternativesMax
	}
	if l.Ordered && v.Late == 0 {
		at = max(at, l.latest)
		l.latest = at
	}
	out[0] = Delivery{At: at + v.Late, Damage: v.Damage}
	count := 1
	if v.Fate == Duplicated {
		out[1] = Delivery{At: at + v.CopyLate, Copy: true}
		count = 2
	}
	if l.closed != 0 {
		n.holds, n.lost = n.hold(l, p, out[:count]), FaultOverflow
		return 0
	}
	return count
}

// Holds says, of the packet of the last Send, which had no delivery, that a
// clog holds it: it comes out of Unclog, UnclogEnd or Heal, and until then its
// Handle stays in use. If it was duplicated its copy comes right behind it,
// unless there was no room for that.
func (n *Network) Holds() bool { return n.holds }

// Lost says, of the packet of the last Send, which had no delivery and is not
// held, why: FaultPartition, FaultLoss or FaultOverflow.
func (n *Network) Lost() Fault { return n.lost }

// Heal makes the links perfect for packets sent from now on: none is lost,
// doubled, damaged or late, and each takes less than latencyMax, at least 1,
// plus what it waits for bandwidth. The bandwidth stays; its queue has no bound
// any more, because who has to catch up may owe more bytes than it held. A link
// that keeps packets in order may let them overtake those from before.
//
// Held packets are appended to out as by Unclog, each to arrive before
// now+latencyMax. Rules, links and partitions may be set again later.
func (n *Network) Heal(now, latencyMax uint64, out []Released) []Released {
	if latencyMax == 0 {
		panic("netsim: heal to less than no latency")
	}
	n.SetRules()
	n.Partition(nil)
	for i := range n.links {
		l := &n.links[i]
		l.heal(latencyMax)
		l.closed = 0
		start := len(out)
		out = n.release(now, l, out)
		for j := start; j < len(out); j++ {
			out[j].At = min(out[j].At, now+latencyMax-1)
		}
	}
	return out
}

// Owed is how long, from now, the link needs for the bytes it was given.
func (n *Network) Owed(now uint64, from, to End) uint64 {
	return max(n.link(from, to).freeAt, now) - now
}

// Counts are the faults injected so far. Connections may be told to count here
// too.
func (n *Network) Counts() *Counts { return &n.counts }

func (n *Network) link(from, to End) *link {
	if int(to) >= n.ends {
		n.badEnd(to)
	}
	return &n.links[int(from)*n.ends+int(to)]
}

//go:noinline
func (n *Network) badEnd(e End) {
	panic(fmt.Sprintf("netsim: end %d of a network with %d", e, n.ends))
}

// openStreams is put off to the first packet, because most of the links of a
// large network never see one.
//
//go:noinline
func (n *Network) openStreams(l *link, p Packet) {
	from, to := uint64(p.From), uint64(p.To)
	l.fate = n.src.Stream("net/fate", from, to)
	l.jitter = n.src.Stream("net/jitter", from, to)
	l.detail = n.src.Stream("net/detail", from, to)
	l.open = true
}
