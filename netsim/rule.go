package netsim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// The fault model. A network is slow, forgetful and confused, but it does not
// lie on purpose. To one packet it does at most one of these:
//
//   - it loses it;
//   - it delivers it twice, never more often. The copy comes between a
//     microsecond and the rule's longest delay after the first, each doubling
//     equally likely: right behind it, or a term later;
//   - it delays it by up to Reorder, so that it comes after some that were
//     sent later;
//   - it makes a straggler of it, which arrives when nobody waits for it any
//     more: up to Straggle later, tens of seconds if the rule says so, no
//     matter what else has happened in the meantime;
//   - it damages one byte, in between one and eight of its bits. Whoever
//     decodes the packet has to notice.
//
// To all packets of a link it may do more, whatever befalls each of them:
// closed (partition.go), clogged (clog.go), short of bandwidth or of room
// (link.go). A packet passes in this order: a partition loses it, a full queue
// drops it, it waits for bandwidth, its fate is drawn, latency is added, a clog
// holds it.
//
// It never does these: it makes no packet that nobody sent, it delivers to no
// end but the one in the packet, it damages no packet in more than one byte,
// and it tells neither end what it did.
//
// The fate is one decision, drawn first for every packet that a rule covers;
// how late and which bit are drawn only if the fate asks for it.

// Fate is what befalls a packet.
type Fate uint8

const (
	OnTime Fate = iota
	Lost
	Duplicated
	Reordered
	Straggling
	Corrupted
)

// Weights say how often each fate is drawn, relative to each other.
type Weights struct {
	OnTime, Lost, Duplicated, Reordered, Straggling, Corrupted uint32
}

// Rule is a fault as a value: it covers some packets, and gives a verdict on
// each of them.
type Rule struct {
	Links Matrix // the links that it covers; nil is none
	Kinds uint64 // bit k for packets of kind k; 0 is all kinds

	Weights  Weights // not all 0
	Reorder  uint64  // the longest delay of a reordered packet, ns
	Straggle uint64  // that of a straggler and of a copy, ns
}

// Verdict is what a rule says of one packet.
type Verdict struct {
	Fate     Fate
	Late     uint64 // on top of the latency, reordered and straggling
	CopyLate uint64 // the same for the copy of a duplicate
	Damage   Damage
}

// Damage is one byte changed on the way. The zero value is none.
type Damage struct {
	Offset uint32 // of the byte, less than the packet's size
	Mask   uint8  // bits to flip
}

// Do damages b, the packet's bytes.
func (d Damage) Do(b []byte) {
	if d.Mask != 0 {
		b[d.Offset] ^= d.Mask
	}
}

const (
	microsecond = 1_000

	// reorderSteps is how finely the delay of a reordered packet is drawn.
	reorderSteps = 64
)

// ruleInForce is a rule with its odds worked out.
type ruleInForce struct {
	Rule
	odds *choice.Weights
}

func (r *Rule) inForce() ruleInForce {
	if r.Reorder > DelayMax || r.Straggle > DelayMax {
		panic(fmt.Sprintf("netsim: rule with delays %d and %d ns, beyond %d", r.Reorder, r.Straggle, uint64(DelayMax)))
	}
	f := ruleInForce{Rule: *r}
	if f.Kinds == 0 {
		f.Kinds = ^uint64(0)
	}
	w := r.Weights
	f.odds = choice.NewWeights(w.OnTime, w.Lost, w.Duplicated, w.Reordered, w.Straggling, w.Corrupted)
	return f
}

// judge asks the first rule that covers the packet, from that of its link on.
func (n *Network) judge(l *link, p Packet) Verdict {
	for i := int(l.rule); i < len(n.rules); i++ {
		r := &n.rules[i]
		if r.Kinds>>(p.Kind&63)&1 == 0 || i > int(l.rule) && !r.Links.Open(p.From, p.To) {
			continue
		}
		fate := Fate(n.src.Pick(l.fate, r.odds))
		if fate == OnTime {
			return Verdict{}
		}
		n.counts[faultOf[fate]]++
		return r.details(n.src, l.detail, fate, p.Size)
	}
	return Verdict{}
}

// details draws what the fate leaves open.
func (r *Rule) details(src *choice.Source, st choice.Stream, fate Fate, size uint32) Verdict {
	v := Verdict{Fate: fate}
	switch fate {
	case Duplicated:
		v.CopyLate = src.ChooseLog(st, microsecond, max(r.Straggle, microsecond))
	case Reordered:
		v.Late = r.Reorder * uint64(1+src.Choose(st, reorderSteps)) / reorderSteps
	case Straggling:
		least := max(r.Straggle/64, 1)
		v.Late = src.ChooseLog(st, least, max(r.Straggle, least))
	case Corrupted:
		if size == 0 {
			return Verdict{Fate: Lost} // nothing of it was there to damage
		}
		v.Damage.Offset = uint32(src.ChooseRange(st, 0, uint64(size)-1))
		v.Damage.Mask = uint8(1 + src.Choose(st, 255))
	}
	return v
}
