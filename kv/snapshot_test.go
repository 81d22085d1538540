package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// fullStore has keys and sessions of every kind, in several blocks.
func fullStore(t *testing.T) *store {
	s := newStore(t, Limits{SessionsMax: 5, SessionBytesMax: 1 << 20, SessionTicks: 50})
	s.tick = 3
	for i := range 40 {
		s.put(fmt.Sprintf("key%d", i), strings.Repeat("x", i*i))
	}
	s.put("", "")
	s.put("large", strings.Repeat("y", 2*blockBytes+17))
	s.register()
	id := s.register()
	s.tick = 20
	s.do(increment(id, 4))
	return s
}

func TestRestoreBringsBackEverything(t *testing.T) {
	s := fullStore(t)
	b := stream(t, s.Snapshot())
	other := New(s.Limits())
	// One byte at a time: a reader may deliver as it likes.
	if err := other.Restore(iotest.OneByteReader(bytes.NewReader(b))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stream(t, other.Snapshot()), b) {
		t.Error("another state")
	}
	if other.Index() != s.Index() || other.Time() != s.Time() || other.Revision() != s.Revision() ||
		other.Digest() != s.Digest() || other.Len() != s.Len() || other.Sessions() != s.Sessions() {
		t.Error("another state, though the bytes are the same")
	}
}

// refused restores b into a machine that holds something, and says with what
// error that was refused; the machine must be as it was.
func refused(t *testing.T, limits Limits, r io.Reader) error {
	t.Helper()
	s := newStore(t, limits)
	s.put("k", "v")
	s.register()
	before := stream(t, s.Snapshot())
	err := s.Restore(r)
	if err == nil {
		t.Errorf("not refused")
	} else if !bytes.Equal(before, stream(t, s.Snapshot())) {
		t.Errorf("refused with %v, but the machine has changed", err)
	}
	return err
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 5, SessionBytesMax: 1 << 20, SessionTicks: 50})
	s.put("key", "value")
	s.do(increment(s.register(), 1))
	b := stream(t, s.Snapshot())
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if err := refused(t, s.Limits(), bytes.NewReader(b)); !errors.Is(err, ErrBadSnapshot) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, i, err)
			}
			b[i] ^= 1 << bit
		}
		if err := refused(t, s.Limits(), bytes.NewReader(b[:i])); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if err := refused(t, s.Limits(), bytes.NewReader(append(b, 0))); !errors.Is(err, ErrBadSnapshot) {
		t.Errorf("trailing byte: %v", err)
	}
}

func TestBlocksOutOfPlaceAreRefused(t *testing.T) {
	s := fullStore(t)
	b := stream(t, s.Snapshot())
	head := len(snapshotMagic) + 4
	block := func(i int) []byte { return b[head+i*(blockBytes+8):][:blockBytes+8] }
	rest := b[head+2*(blockBytes+8):]
	join := func(parts ...[]byte) io.Reader { return bytes.NewReader(bytes.Join(parts, nil)) }
	for name, r := range map[string]io.Reader{
		"exchanged":     join(b[:head], block(1), block(0), rest),
		"left out":      join(b[:head], block(0), rest),
		"repeated":      join(b[:head], block(0), block(0), block(1), rest),
		"of two others": join(b, b[head:]),
	} {
		if err := refused(t, s.Limits(), r); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestorePassesOnTheErrorOfItsReader(t *testing.T) {
	s := fullStore(t)
	b := stream(t, s.Snapshot())
	broken := errors.New("the disk is gone")
	for _, n := range []int{0, 5, 100, blockBytes, len(b) - 1, len(b)} {
		r := io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken))
		if err := refused(t, s.Limits(), r); !errors.Is(err, broken) || errors.Is(err, ErrBadSnapshot) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestWriteToPassesOnTheErrorOfItsWriter(t *testing.T) {
	s := fullStore(t)
	whole := len(stream(t, s.Snapshot()))
	for _, n := range []int{0, 5, 20, blockBytes + 100, whole - 1} {
		w := &fullWriter{room: n}
		got, err := s.Snapshot().WriteTo(w)
		if err != io.ErrShortWrite || got != int64(n) {
			t.Errorf("room for %d bytes: wrote %d, %v", n, got, err)
		}
	}
}

type fullWriter struct{ room int }

func (w *fullWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.room)
	w.room -= n
	return n, nil
}

func TestSnapshotOfAMachineWithOtherLimitsIsRefused(t *testing.T) {
	s := fullStore(t)
	b := stream(t, s.Snapshot())
	for i := range 3 {
		limits := s.Limits()
		*[]*uint64{&limits.SessionsMax, &limits.SessionBytesMax, &limits.SessionTicks}[i]++
		if err := refused(t, limits, bytes.NewReader(b)); !errors.Is(err, ErrOtherLimits) {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

// inBlocks is a stream with the given body.
func inBlocks(body []byte) []byte {
	var b bytes.Buffer
	w := newBlockWriter(&b)
	w.body(body)
	w.flush(true)
	return b.Bytes()
}

// Bodies whose checksums are right, as from a program that writes nonsense.
func TestNonsenseInASnapshotIsRefused(t *testing.T) {
	limits := Limits{SessionsMax: 2, SessionBytesMax: 10, SessionTicks: 10}
	reply := AppendReply(nil, &Reply{Status: StatusOK, Value: []byte("12345")})
	type s = session
	type r = record
	key := func(k string, version uint64) r { return r{key: []byte(k), version: version} }
	write := func(sessions []s, records []r, more []uint64) []byte {
		var b bytes.Buffer
		w := newBlockWriter(&b)
		m := New(limits)
		m.index, m.time, m.revision = 20, 30, 7
		for i := range sessions {
			m.table.sum += sessionDigest(&sessions[i])
		}
		for i := range records {
			m.keySum += recordDigest(records[i].key, records[i].value, records[i].version)
		}
		h := []uint64{2, 10, 10, 20, 30, 7, uint64(len(sessions)), uint64(len(records)), m.Digest()}
		for i, v := range more {
			h[i+6] += v
		}
		for _, v := range h {
			w.uint64(v)
		}
		for _, x := range sessions {
			w.uvarint(x.id)
			w.uvarint(x.serial)
			w.uvarint(x.active)
			w.bytes(x.reply)
		}
		for _, x := range records {
			w.bytes(x.key)
			w.uvarint(x.version)
			w.bytes(x.value)
		}
		w.flush(true)
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"keys out of order":          write(nil, []r{key("b", 1), key("a", 2)}, nil),
		"key twice":                  write(nil, []r{key("a", 1), key("a", 1)}, nil),
		"version 0":                  write(nil, []r{key("a", 0)}, nil),
		"version of the future":      write(nil, []r{key("a", 8)}, nil),
		"key too long":               write(nil, []r{key(strings.Repeat("k", KeyBytesMax+1), 1)}, nil),
		"value too long":             write(nil, []r{{key: []byte("k"), version: 1, value: make([]byte, ValueBytesMax+1)}}, nil),
		"sessions out of order":      write([]s{{id: 2, active: 30}, {id: 1, active: 30}}, nil, nil),
		"session 0":                  write([]s{{id: 0, active: 30}}, nil, nil),
		"session of the future":      write([]s{{id: 21, active: 30}}, nil, nil),
		"active in the future":       write([]s{{id: 1, active: 31}}, nil, nil),
		"expired":                    write([]s{{id: 1, active: 19}}, nil, nil),
		"serial without reply":       write([]s{{id: 1, active: 30, serial: 1}}, nil, nil),
		"reply without serial":       write([]s{{id: 1, active: 30, reply: reply}}, nil, nil),
		"reply that is none":         write([]s{{id: 1, active: 30, serial: 1, reply: reply[1:]}}, nil, nil),
		"reply too long":             write([]s{{id: 1, active: 30, serial: 1, reply: make([]byte, ReplyBytesMax+1)}}, nil, nil),
		"too many sessions":          write([]s{{id: 1, active: 30}, {id: 2, active: 30}, {id: 3, active: 30}}, nil, nil),
		"replies beyond the bound":   write([]s{{id: 1, active: 30, serial: 1, reply: reply}, {id: 2, active: 30, serial: 1, reply: reply}}, nil, nil),
		"more sessions than said":    write([]s{{id: 1, active: 30}}, nil, []uint64{^uint64(0), 0}),
		"fewer keys than said":       write(nil, []r{key("a", 1)}, []uint64{0, 1}),
		"far fewer keys than said":   write(nil, []r{key("a", 1)}, []uint64{0, 1 << 62}),
		"more keys than said":        write(nil, []r{key("a", 1)}, []uint64{0, ^uint64(0)}),
		"other digest":               write(nil, []r{key("a", 1)}, []uint64{0, 0, 1}),
		"no body":                    inBlocks(nil),
		"a number of eleven bytes":   inBlocks(append(make72(limits, 1), bytes.Repeat([]byte{0xff}, 11)...)),
		"a number in too many bytes": inBlocks(append(make72(limits, 1), 0x81, 0x00)),
	} {
		if err := refused(t, limits, bytes.NewReader(b)); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same with nothing wrong, so that the above are refused for what they say.
	for name, b := range map[string][]byte{
		"good":           write([]s{{id: 1, active: 20}, {id: 20, active: 30, serial: 1, reply: reply}}, []r{key("", 7), key("a", 1)}, nil),
		"a reply, alone": write([]s{{id: 1, active: 30, serial: 1, reply: AppendReply(nil, &Reply{Status: StatusOK, Value: make([]byte, 90)})}}, nil, nil),
	} {
		if err := New(limits).Restore(bytes.NewReader(b)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// make72 is the fixed part of a body that announces so many sessions.
func make72(l Limits, sessions uint64) []byte {
	var b bytes.Buffer
	for _, v := range []uint64{l.SessionsMax, l.SessionBytesMax, l.SessionTicks, 20, 30, 7, sessions, 0, 0} {
		for i := range 8 {
			b.WriteByte(byte(v >> (8 * i)))
		}
	}
	return b.Bytes()
}

// Where the body ends just with a block, and one byte to either side.
func TestSnapshotsThatEndWithABlock(t *testing.T) {
	for size := blockBytes - 100; size < blockBytes-60; size++ {
		s := newStore(t, DefaultLimits())
		s.put("k", strings.Repeat("v", size))
		s.restored()
	}
}

func TestChangePastTheDigestPanicsAtTheSnapshot(t *testing.T) {
	s := newStore(t, DefaultLimits())
	s.put("k", "value")
	s.find([]byte("k")).value[0] = 'V'
	defer func() {
		if recover() == nil {
			t.Error("a state that is not what was written went into a snapshot")
		}
	}()
	s.Snapshot().WriteTo(io.Discard)
}

// FuzzRestore takes its bytes for a stream, or for the body of one with right
// checksums.
func FuzzRestore(f *testing.F) {
	limits := Limits{SessionsMax: 3, SessionBytesMax: 1000, SessionTicks: 100}
	m := New(limits)
	f.Add(false, body(f, m))
	for i, c := range sampleCommands() {
		m.Apply(uint64(i+1), uint64(i), AppendCommand(nil, &c), nil)
		f.Add(true, stream(f, m.Snapshot()))
		f.Add(false, body(f, m))
	}
	f.Fuzz(func(t *testing.T, whole bool, b []byte) {
		if !whole {
			b = inBlocks(b)
		}
		m := New(limits)
		before := stream(t, m.Snapshot())
		if err := m.Restore(bytes.NewReader(b)); err != nil {
			if !errors.Is(err, ErrBadSnapshot) && !errors.Is(err, ErrOtherLimits) {
				t.Fatalf("error of no type: %v", err)
			}
			if !bytes.Equal(before, stream(t, m.Snapshot())) {
				t.Fatalf("refused with %v, but the machine has changed", err)
			}
			return
		}
		if !bytes.Equal(stream(t, m.Snapshot()), b) {
			t.Fatal("restored, but makes other bytes")
		}
		// What was restored must be able to go on.
		for i, c := range sampleCommands() {
			if m.Index() < 1<<63 && m.Time() < 1<<63 {
				m.Apply(m.Index()+uint64(i)+1, m.Time()+1, AppendCommand(nil, &c), nil)
			}
		}
		if m.Digest() != m.DigestFull() {
			t.Fatal("digest")
		}
	})
}

// body is what the blocks of m's snapshot hold.
func body(f *testing.F, m *Machine) []byte {
	b := stream(f, m.Snapshot())
	return b[len(snapshotMagic)+4+4 : len(b)-4] // one block
}

// FuzzApply takes its bytes for commands, each behind its length in a byte.
func FuzzApply(f *testing.F) {
	var all []byte
	for _, c := range sampleCommands() {
		b := AppendCommand(nil, &c)
		one := append([]byte{byte(len(b))}, b...)
		f.Add(one)
		all = append(all, one...)
	}
	f.Add(all)
	f.Add(append(all, all...))
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := Limits{SessionsMax: 2, SessionBytesMax: 30, SessionTicks: 5}
		m, model := New(limits), newModel(limits)
		var index uint64
		for len(b) > 0 && index < 100 {
			n := min(int(b[0]), len(b)-1)
			command := b[1 : 1+n]
			b = b[1+n:]
			index++
			before, queried := m.Digest(), m.Query(command, nil)
			reply := m.Apply(index, index, command, nil)
			var c Command
			err := DecodeCommand(command, &c)
			switch {
			case err != nil && m.Digest() != before:
				t.Fatalf("%x is no command and changed the state", command)
			case err != nil:
				want := map[error]Status{ErrBadCommand: StatusBadCommand, ErrTooLarge: StatusTooLarge}[err]
				if decodeReply(t, reply).Status != want {
					t.Fatalf("%x, which is %v, was answered %s", command, err, showReply(reply))
				}
			case !bytes.Equal(reply, model.apply(index, index, &c)):
				t.Fatalf("%+v was answered %s", c, showReply(reply))
			case c.ReadOnly() && c.Session == 0 && !bytes.Equal(queried, reply):
				t.Fatalf("%+v: Query says %s, Apply %s", c, showReply(queried), showReply(reply))
			}
			if m.Digest() != m.DigestFull() {
				t.Fatalf("digest after %+v", c)
			}
		}
	})
}
