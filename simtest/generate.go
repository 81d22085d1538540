package simtest

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/kv"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// Scenarios generates the scenarios that seeds draw, as often as seeds draw
// them, decision by decision under rapid's hands, so that a failing one shrinks
// to a calm one. focus is letters of features that must be on; it panics if one
// names no feature.
func Scenarios(focus string) *rapid.Generator[sim.Scenario] {
	letters, err := sim.ParseFocus(focus)
	if err != nil {
		panic("simtest: " + err.Error())
	}
	return rapid.Custom(func(t *rapid.T) sim.Scenario {
		return sim.Draw(choice.FromGenerator(func() byte { return evenByte(t) }), letters)
	})
}

// evenByte is a byte of which each value is as likely as every other. rapid
// prefers small numbers and short slices, and those are the calm decisions: a
// scenario made of them has nothing in it. Its bits it draws evenly.
func evenByte(t *rapid.T) byte {
	b := byte(0)
	for range 8 {
		b <<= 1
		if bit.Draw(t, "bit") {
			b |= 1
		}
	}
	return b
}

var bit = rapid.Bool()

// Request is one step of a client program.
type Request struct {
	// Ticks is how far log time goes on before it.
	Ticks   uint64
	Command kv.Command
	// Retry says that the command is a copy of an earlier one of its session.
	Retry bool
}

// Programs generates what a few clients might ask of kv, one after another, on
// so few keys that they get in each other's way: every kind of command, in
// sessions and without, some of them again.
func Programs() *rapid.Generator[[]Request] {
	return rapid.Custom(func(t *rapid.T) []Request {
		p := programmer{t: t}
		n := rapid.IntRange(1, 60).Draw(t, "requests")
		for range n {
			p.request()
		}
		return p.program
	})
}

// programmer writes one program. It knows which sessions its program opens,
// because a session's id is the index of its registration and the program's
// requests are applied from index 1 on.
type programmer struct {
	t        *rapid.T
	program  []Request
	sessions []programSession
}

type programSession struct {
	id, serial uint64
	last       kv.Command
}

func (p *programmer) request() {
	r := Request{Ticks: uint64(rapid.IntRange(0, 3).Draw(p.t, "ticks"))}
	s := p.session()
	switch kind := rapid.IntRange(0, 9).Draw(p.t, "kind"); {
	case kind == 9:
		r.Command = kv.Command{Op: kv.OpRegister}
		p.sessions = append(p.sessions, programSession{id: uint64(len(p.program)) + 1})
	case kind == 8 && s != nil && s.serial > 0:
		r.Command, r.Retry = s.last, true
	default:
		r.Command = p.command()
		if s != nil {
			s.serial++
			r.Command.Session, r.Command.Serial = s.id, s.serial
			s.last = r.Command
		}
	}
	p.program = append(p.program, r)
}

// session picks one of those opened so far, or none.
func (p *programmer) session() *programSession {
	i := rapid.IntRange(0, len(p.sessions)).Draw(p.t, "session")
	if i == 0 {
		return nil
	}
	return &p.sessions[i-1]
}

func (p *programmer) key() []byte {
	return []byte(rapid.SampledFrom([]string{"a", "ab", "abc", "b", "c", ""}).Draw(p.t, "key"))
}

func (p *programmer) value() []byte {
	return []byte(rapid.SampledFrom([]string{"1", "", "x", "-7", "9223372036854775807", "long enough to be told apart"}).Draw(p.t, "value"))
}

func (p *programmer) delta() int64 {
	return rapid.SampledFrom([]int64{1, 0, -1, 9223372036854775807}).Draw(p.t, "delta")
}

func (p *programmer) version() uint64 { return uint64(rapid.IntRange(0, 12).Draw(p.t, "version")) }

func (p *programmer) command() kv.Command {
	c := kv.Command{Op: rapid.SampledFrom([]kv.Op{
		kv.OpGet, kv.OpPut, kv.OpDelete, kv.OpAppend, kv.OpIncrement, kv.OpCompareAndSet, kv.OpPutIfAbsent,
		kv.OpScan, kv.OpScanPrefix, kv.OpDeleteRange, kv.OpTxn,
	}).Draw(p.t, "op")}
	switch c.Op {
	case kv.OpGet, kv.OpDelete:
		c.Key = p.key()
	case kv.OpPut, kv.OpAppend, kv.OpPutIfAbsent:
		c.Key, c.Value = p.key(), p.value()
	case kv.OpIncrement:
		c.Key, c.Delta = p.key(), p.delta()
	case kv.OpCompareAndSet:
		c.Key, c.Value, c.Version = p.key(), p.value(), p.version()
	case kv.OpScan:
		c.Key, c.End = p.key(), p.key()
		c.Limit, c.Reverse = uint32(rapid.IntRange(0, 3).Draw(p.t, "limit")), rapid.Bool().Draw(p.t, "reverse")
	case kv.OpScanPrefix:
		c.Key = p.key()
		c.Limit, c.Reverse = uint32(rapid.IntRange(0, 3).Draw(p.t, "limit")), rapid.Bool().Draw(p.t, "reverse")
	case kv.OpDeleteRange:
		c.Key, c.End = p.key(), p.key()
	case kv.OpTxn:
		for range rapid.IntRange(0, 3).Draw(p.t, "reads") {
			c.Reads = append(c.Reads, p.key())
		}
		for range rapid.IntRange(0, 2).Draw(p.t, "conditions") {
			c.Conditions = append(c.Conditions, p.condition())
		}
		for range rapid.IntRange(0, 3).Draw(p.t, "writes") {
			c.Writes = append(c.Writes, p.write())
		}
	default:
		panic(fmt.Sprintf("simtest: no fields for %v", c.Op))
	}
	return c
}

func (p *programmer) condition() kv.Condition {
	c := kv.Condition{Key: p.key(), Kind: rapid.SampledFrom([]kv.ConditionKind{
		kv.ConditionVersion, kv.ConditionValue, kv.ConditionExists, kv.ConditionAbsent,
	}).Draw(p.t, "condition")}
	switch c.Kind {
	case kv.ConditionVersion:
		c.Version = p.version()
	case kv.ConditionValue:
		c.Value = p.value()
	}
	return c
}

func (p *programmer) write() kv.TxnWrite {
	w := kv.TxnWrite{Key: p.key(), Op: rapid.SampledFrom([]kv.Op{kv.OpPut, kv.OpDelete, kv.OpAppend, kv.OpIncrement}).Draw(p.t, "write")}
	switch w.Op {
	case kv.OpPut, kv.OpAppend:
		w.Value = p.value()
	case kv.OpIncrement:
		w.Delta = p.delta()
	}
	return w
}
