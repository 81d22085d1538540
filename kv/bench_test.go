package kv

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// benchCommands are n encoded commands over so many keys, with values of 32
// bytes, each made by fill from a key and a value.
func benchCommands(n, keys int, fill func(c *Command, key, value []byte)) [][]byte {
	var out [][]byte
	for i := range n {
		key := fmt.Appendf(nil, "key-%04d", i*7919%keys)
		value := fmt.Appendf(nil, "value-%026d", i)
		c := new(Command)
		fill(c, key, value)
		out = append(out, AppendCommand(nil, c))
	}
	return out
}

func benchApply(b *testing.B, keys int, fill func(c *Command, key, value []byte)) {
	m := New(DefaultLimits())
	index := uint64(1)
	var reply []byte
	m.Apply(index, index, AppendCommand(nil, &Command{Op: OpRegister}), nil)
	for _, c := range benchCommands(keys, keys, func(c *Command, key, value []byte) {
		c.Op, c.Key, c.Value = OpPut, key, value
	}) {
		index++
		reply = m.Apply(index, index, c, reply[:0])
	}
	commands := benchCommands(4096, keys, fill)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		index++
		reply = m.Apply(index, index, commands[i%len(commands)], reply[:0])
	}
}

func BenchmarkApplyGet(b *testing.B) {
	benchApply(b, 64, func(c *Command, key, _ []byte) { c.Op, c.Key = OpGet, key })
}

func BenchmarkApplyPut(b *testing.B) {
	benchApply(b, 64, func(c *Command, key, value []byte) { c.Op, c.Key, c.Value = OpPut, key, value })
}

func BenchmarkApplyPutOf10000(b *testing.B) {
	benchApply(b, 10000, func(c *Command, key, value []byte) { c.Op, c.Key, c.Value = OpPut, key, value })
}

func BenchmarkApplyPutInSession(b *testing.B) {
	m := New(DefaultLimits())
	m.Apply(1, 1, AppendCommand(nil, &Command{Op: OpRegister}), nil)
	c := Command{Op: OpPut, Session: 1, Key: []byte("key"), Value: []byte("value")}
	var command, reply []byte
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		c.Serial = i
		command = AppendCommand(command[:0], &c)
		reply = m.Apply(i+1, i/64+1, command, reply[:0])
	}
}

func BenchmarkApplyTxn(b *testing.B) {
	benchApply(b, 64, func(c *Command, key, value []byte) {
		c.Op = OpTxn
		c.Reads = [][]byte{key}
		c.Conditions = []Condition{{Kind: ConditionExists, Key: key}}
		c.Writes = []TxnWrite{{Op: OpPut, Key: key, Value: value}, {Op: OpPut, Key: []byte("other"), Value: value}}
	})
}

func BenchmarkApplyScan10(b *testing.B) {
	benchApply(b, 64, func(c *Command, key, _ []byte) { c.Op, c.Key, c.Limit = OpScan, key, 10 })
}

func BenchmarkQueryGet(b *testing.B) {
	m := New(DefaultLimits())
	m.Apply(1, 1, AppendCommand(nil, &Command{Op: OpPut, Key: []byte("key"), Value: []byte("value")}), nil)
	query := AppendCommand(nil, &Command{Op: OpGet, Key: []byte("key")})
	var reply []byte
	b.ReportAllocs()
	for b.Loop() {
		reply = m.Query(query, reply[:0])
	}
}

func BenchmarkDigest(b *testing.B) {
	m := New(DefaultLimits())
	for b.Loop() {
		m.Digest()
	}
}

// BenchmarkSnapshot and BenchmarkRestore: 1000 keys of 32 bytes.
func BenchmarkSnapshot(b *testing.B) {
	m := benchMachine(1000)
	b.ReportAllocs()
	for b.Loop() {
		m.Snapshot().WriteTo(io.Discard)
	}
}

func BenchmarkRestore(b *testing.B) {
	var stream bytes.Buffer
	benchMachine(1000).Snapshot().WriteTo(&stream)
	m := New(DefaultLimits())
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Restore(bytes.NewReader(stream.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

func benchMachine(keys int) *Machine {
	m := New(DefaultLimits())
	for i, c := range benchCommands(keys, keys, func(c *Command, key, value []byte) {
		c.Op, c.Key, c.Value = OpPut, key, value
	}) {
		m.Apply(uint64(i+1), uint64(i), c, nil)
	}
	return m
}
