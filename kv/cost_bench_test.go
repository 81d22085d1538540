package kv

import (
	"fmt"
	"testing"
)

// What a command costs must not depend on how many keys, sessions or earlier
// commands there are, but for the depth of a tree. Each benchmark shows it at
// three sizes, each ten times the one before.

func benchSizes(b *testing.B, first int, run func(b *testing.B, n int)) {
	for _, n := range [...]int{first, 10 * first, 100 * first} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n) })
	}
}

// BenchmarkPutAmongKeys: one of n keys is set.
func BenchmarkPutAmongKeys(b *testing.B) {
	benchSizes(b, 1000, func(b *testing.B, n int) {
		benchApply(b, n, func(c *Command, key, value []byte) { c.Op, c.Key, c.Value = OpPut, key, value })
	})
}

// sessions is a machine with n of them, each with a reply.
func sessions(n int) (m *Machine, index uint64) {
	l := DefaultLimits()
	l.SessionsMax = uint64(n)
	m = New(l)
	var reply []byte
	for i := range uint64(n) {
		m.Apply(i+1, 1, AppendCommand(nil, &Command{Op: OpRegister}), nil)
	}
	index = uint64(n)
	for i := range uint64(n) {
		index++
		put := Command{Op: OpPut, Session: i + 1, Serial: 1, Key: []byte("key"), Value: []byte("value")}
		reply = m.Apply(index, 2, AppendCommand(nil, &put), reply[:0])
	}
	return m, index
}

// BenchmarkPutAmongSessions: a command of one of n sessions, each in its turn.
func BenchmarkPutAmongSessions(b *testing.B) {
	benchSizes(b, 160, func(b *testing.B, n int) {
		m, index := sessions(n)
		c := Command{Op: OpPut, Key: []byte("key"), Value: []byte("value")}
		var command, reply []byte
		for i := 0; b.Loop(); i++ {
			index++
			c.Session, c.Serial = uint64(i%n)+1, uint64(i/n)+2
			command = AppendCommand(command[:0], &c)
			reply = m.Apply(index, index, command, reply[:0])
		}
	})
}

// BenchmarkRegisterAmongSessions: a session is registered where n is the most
// there may be, so another is evicted.
func BenchmarkRegisterAmongSessions(b *testing.B) {
	benchSizes(b, 160, func(b *testing.B, n int) {
		m, index := sessions(n)
		command := AppendCommand(nil, &Command{Op: OpRegister})
		var reply []byte
		for b.Loop() {
			index++
			reply = m.Apply(index, index/1000+2, command, reply[:0])
		}
	})
}
