package kv

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is the machine written again, as a map and as simply as possible.
type model struct {
	limits   Limits
	index    uint64
	time     uint64
	revision uint64
	keys     map[string]modelValue
	sessions map[uint64]*modelSession
}

type modelValue struct {
	value   string
	version uint64
}

type modelSession struct {
	serial, active uint64
	reply          []byte
}

func newModel(limits Limits) *model {
	return &model{limits: limits, keys: map[string]modelValue{}, sessions: map[uint64]*modelSession{}}
}

func (m *model) apply(index, time uint64, c *Command) []byte {
	m.index, m.time = index, time
	for id, s := range m.sessions {
		if time-s.active > m.limits.SessionTicks {
			delete(m.sessions, id)
		}
	}
	switch {
	case c.Op == OpRegister:
		for uint64(len(m.sessions)) >= m.limits.SessionsMax {
			m.evict(0)
		}
		m.sessions[index] = &modelSession{active: time}
		return AppendReply(nil, &Reply{Status: StatusOK, Session: index})
	case c.Op == OpCloseSession:
		if m.sessions[c.Session] == nil {
			return AppendReply(nil, &Reply{Status: StatusSessionUnknown})
		}
		delete(m.sessions, c.Session)
		return AppendReply(nil, &Reply{Status: StatusOK})
	case c.Session == 0:
		r := m.execute(c)
		return AppendReply(nil, &r)
	}
	s := m.sessions[c.Session]
	if s == nil {
		return AppendReply(nil, &Reply{Status: StatusSessionUnknown})
	}
	s.active = time
	if c.Serial < s.serial {
		return AppendReply(nil, &Reply{Status: StatusSerialOld})
	}
	if c.Serial > s.serial {
		r := m.execute(c)
		s.serial, s.reply = c.Serial, AppendReply(nil, &r)
		for m.replyBytes() > m.limits.SessionBytesMax && len(m.sessions) > 1 {
			m.evict(c.Session)
		}
	}
	return s.reply
}

func (m *model) replyBytes() (n uint64) {
	for _, s := range m.sessions {
		n += uint64(len(s.reply))
	}
	return n
}

// evict forgets the session that was active least recently, but not keep.
func (m *model) evict(keep uint64) {
	ids := slices.Collect(maps.Keys(m.sessions))
	sort.Slice(ids, func(i, j int) bool {
		a, b := m.sessions[ids[i]], m.sessions[ids[j]]
		if a.active != b.active {
			return a.active < b.active
		}
		return ids[i] < ids[j]
	})
	for _, id := range ids {
		if id != keep {
			delete(m.sessions, id)
			return
		}
	}
}

// execute works on a copy of the map, and puts it in place only if nothing
// failed.
func (m *model) execute(c *Command) (r Reply) {
	next := maps.Clone(m.keys)
	changed := false
	set := func(key []byte, value string) {
		next[string(key)] = modelValue{value, m.revision + 1}
		changed = true
	}
	write := func(op Op, key, value []byte, delta int64) (Status, int64) {
		old, found := next[string(key)]
		switch op {
		case OpPut:
			set(key, string(value))
		case OpDelete:
			if found {
				delete(next, string(key))
				changed = true
			}
		case OpAppend:
			if len(old.value)+len(value) > ValueBytesMax {
				return StatusTooLarge, 0
			}
			set(key, old.value+string(value))
		case OpIncrement:
			var n int64
			if found {
				var err error
				n, err = strconv.ParseInt(old.value, 10, 64)
				if err != nil || len(old.value) > 20 {
					return StatusNotNumber, 0
				}
			}
			sum := n + delta
			if (n > 0 && delta > 0 && sum <= 0) || (n < 0 && delta < 0 && sum >= 0) {
				return StatusOverflow, 0
			}
			set(key, strconv.FormatInt(sum, 10))
			return StatusOK, sum
		}
		return StatusOK, 0
	}
	r.Status = StatusOK
	old, found := m.keys[string(c.Key)]
	conflict := func(v modelValue) Reply {
		return Reply{Status: StatusConflict, Version: v.version, Value: []byte(v.value)}
	}
	switch c.Op {
	case OpGet:
		if !found {
			return Reply{Status: StatusNotFound}
		}
		return Reply{Status: StatusOK, Value: []byte(old.value), Version: old.version}
	case OpDelete:
		if !found {
			return Reply{Status: StatusNotFound}
		}
		write(OpDelete, c.Key, nil, 0)
	case OpPut, OpAppend, OpIncrement:
		r.Status, r.Number = write(c.Op, c.Key, c.Value, c.Delta)
	case OpCompareAndSet, OpPutIfAbsent:
		if old.version != c.Version {
			return conflict(old)
		}
		write(OpPut, c.Key, c.Value, 0)
	case OpScan, OpScanPrefix, OpDeleteRange:
		var names []string
		for k := range m.keys {
			in := k >= string(c.Key) && (len(c.End) == 0 || k < string(c.End))
			if c.Op == OpScanPrefix {
				in = strings.HasPrefix(k, string(c.Key))
			}
			if in {
				names = append(names, k)
			}
		}
		if c.Op == OpDeleteRange {
			for _, k := range names {
				write(OpDelete, []byte(k), nil, 0)
			}
			r.Count = uint64(len(names))
			break
		}
		sort.Strings(names)
		if c.Reverse {
			slices.Reverse(names)
		}
		limit := int(c.Limit)
		if limit == 0 || limit > ScanItemsMax {
			limit = ScanItemsMax
		}
		if len(names) > limit {
			names, r.More = names[:limit], true
		}
		for _, k := range names {
			r.Items = append(r.Items, Item{[]byte(k), []byte(m.keys[k].value), m.keys[k].version})
		}
	case OpTxn:
		for i, cond := range c.Conditions {
			v, found := m.keys[string(cond.Key)]
			ok := false
			switch cond.Kind {
			case ConditionVersion:
				ok = v.version == cond.Version
			case ConditionValue:
				ok = found && v.value == string(cond.Value)
			case ConditionExists:
				ok = found
			case ConditionAbsent:
				ok = !found
			}
			if !ok {
				r = conflict(v)
				r.Failed = uint32(i)
				return r
			}
		}
		for _, key := range c.Reads {
			v := m.keys[string(key)]
			r.Items = append(r.Items, Item{key, []byte(v.value), v.version})
		}
		for i, w := range c.Writes {
			if status, _ := write(w.Op, w.Key, w.Value, w.Delta); status != StatusOK {
				return Reply{Status: status, Failed: uint32(i)}
			}
		}
	}
	if r.Status != StatusOK {
		return Reply{Status: r.Status}
	}
	m.keys = next
	if changed {
		m.revision++
		r.Version = m.revision
	}
	return r
}

// Few keys, so that commands meet; some at the ends of what a prefix covers.
var testKeys = []string{"", "a", "a\xff", "a\xff\xff", "a\xffb", "ab", "abc", "b", "\xff", "\xff\xff", "n"}

var testValues = []string{"", "x", "yy", "0", "7", "-3", "+5", "9223372036854775807", "-9223372036854775808", "007",
	"000000000000000000001", "99999999999999999999", "1_0"}

func drawKey(t *rapid.T, label string) []byte {
	return []byte(rapid.SampledFrom(testKeys).Draw(t, label))
}

func drawValue(t *rapid.T) []byte {
	return []byte(rapid.SampledFrom(testValues).Draw(t, "value"))
}

func drawDelta(t *rapid.T) int64 {
	return rapid.SampledFrom([]int64{1, 1, 0, -1, 5, -5, 1<<63 - 1, -1 << 63}).Draw(t, "delta")
}

// drawCommand draws a command that passes Check, without a session. Versions
// are near revision, so that some hold.
func drawCommand(t *rapid.T, revision uint64) *Command {
	version := func() uint64 {
		return uint64(rapid.IntRange(0, int(min(revision, 12))).Draw(t, "version age")) * revision / 12
	}
	c := &Command{Op: Op(rapid.IntRange(int(OpGet), int(OpTxn)).Draw(t, "op"))}
	switch c.Op {
	case OpTxn:
		for range rapid.IntRange(0, 3).Draw(t, "reads") {
			c.Reads = append(c.Reads, drawKey(t, "read"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "conditions") {
			cond := Condition{Kind: ConditionKind(rapid.IntRange(1, 4).Draw(t, "condition")), Key: drawKey(t, "of")}
			switch cond.Kind {
			case ConditionVersion:
				cond.Version = version()
			case ConditionValue:
				cond.Value = drawValue(t)
			}
			c.Conditions = append(c.Conditions, cond)
		}
		for range rapid.SampledFrom([]int{0, 1, 2, 3, 4}).Draw(t, "writes") {
			w := TxnWrite{Op: Op(rapid.IntRange(int(OpPut), int(OpIncrement)).Draw(t, "write")), Key: drawKey(t, "of")}
			switch w.Op {
			case OpPut, OpAppend:
				w.Value = drawValue(t)
			case OpIncrement:
				w.Delta = drawDelta(t)
			}
			c.Writes = append(c.Writes, w)
		}
		return c
	case OpPut, OpAppend, OpPutIfAbsent, OpCompareAndSet:
		c.Value = drawValue(t)
	case OpIncrement:
		c.Delta = drawDelta(t)
	case OpScan, OpScanPrefix:
		c.Limit = uint32(rapid.IntRange(0, 4).Draw(t, "limit"))
		c.Reverse = rapid.Bool().Draw(t, "reverse")
	}
	c.Key = drawKey(t, "key")
	switch c.Op {
	case OpCompareAndSet:
		c.Version = version()
	case OpScan, OpDeleteRange:
		c.End = drawKey(t, "end")
	}
	return c
}

// drawSession gives a command a session, known, forgotten or made up, and a
// serial, next, repeated, old or too far; or makes it one about sessions.
func drawSession(t *rapid.T, c *Command, m *model, ids []uint64) {
	session := func() uint64 {
		if len(ids) == 0 || rapid.IntRange(0, 9).Draw(t, "made up") == 9 {
			return uint64(rapid.IntRange(1, 40).Draw(t, "session"))
		}
		return ids[len(ids)-1-rapid.IntRange(0, min(len(ids)-1, 4)).Draw(t, "session")]
	}
	switch rapid.IntRange(0, 9).Draw(t, "session part") {
	case 0, 1:
		*c = Command{Op: OpRegister}
	case 2:
		*c = Command{Op: OpCloseSession, Session: session()}
	case 3, 4, 5, 6, 7:
		c.Session = session()
		serial := 1
		if s := m.sessions[c.Session]; s != nil {
			serial = int(s.serial) + rapid.SampledFrom([]int{1, 1, 1, 0, 0, -1, 2}).Draw(t, "step")
		}
		c.Serial = uint64(max(serial, 1))
	}
}

// fataler is testing.TB and rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// stream is what a snapshot writes.
func stream(t fataler, s io.WriterTo) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo: %d bytes of %d, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func decodeReply(t fataler, b []byte) *Reply {
	t.Helper()
	r := new(Reply)
	if err := DecodeReply(b, r); err != nil {
		t.Fatalf("DecodeReply(%x): %v", b, err)
	}
	return r
}

func showReply(b []byte) string {
	var r Reply
	if err := DecodeReply(b, &r); err != nil {
		return fmt.Sprintf("%x (%v)", b, err)
	}
	return fmt.Sprintf("%+v", r)
}

// checkAgainst compares all of the state, read through the face that clients
// have.
func checkAgainst(t fataler, m *Machine, want *model) {
	t.Helper()
	if m.Index() != want.index || m.Time() != want.time || m.Revision() != want.revision {
		t.Fatalf("index %d time %d revision %d, want %d %d %d",
			m.Index(), m.Time(), m.Revision(), want.index, want.time, want.revision)
	}
	if m.Len() != len(want.keys) || m.Sessions() != len(want.sessions) {
		t.Fatalf("%d keys and %d sessions, want %d and %d", m.Len(), m.Sessions(), len(want.keys), len(want.sessions))
	}
	all := decodeReply(t, m.Query(AppendCommand(nil, &Command{Op: OpScan}), nil))
	for _, it := range all.Items {
		if v := want.keys[string(it.Key)]; v.version != it.Version || v.value != string(it.Value) {
			t.Fatalf("key %q: %q at version %d, want %q at %d", it.Key, it.Value, it.Version, v.value, v.version)
		}
	}
	if m.Digest() != m.DigestFull() {
		t.Fatalf("digest kept up %#x, made again %#x", m.Digest(), m.DigestFull())
	}
}

// TestMachineIsTheModel runs programs against the model. On the way the
// machine is replaced by one restored from its snapshot, while another goes on
// uninterrupted, and snapshots and clones taken earlier must not move.
func TestMachineIsTheModel(t *testing.T) {
	var seen Event
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{
			SessionsMax:     uint64(rapid.IntRange(1, 4).Draw(t, "sessions")),
			SessionBytesMax: uint64(rapid.SampledFrom([]int{0, 12, 40, 1000}).Draw(t, "session bytes")),
			SessionTicks:    uint64(rapid.IntRange(0, 30).Draw(t, "session ticks")),
		}
		straight, m, want := New(limits), New(limits), newModel(limits)
		var index, time uint64
		var ids []uint64
		type kept struct { // snapshot, or clone
			snapshot io.WriterTo
			clone    *Machine
			stream   []byte
		}
		var keep []kept
		for range rapid.SampledFrom([]int{5, 50, 300}).Draw(t, "commands") {
			index += uint64(rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "index"))
			time += uint64(rapid.SampledFrom([]int{0, 0, 1, 1, 2, 5, 12}).Draw(t, "ticks"))
			c := drawCommand(t, want.revision)
			query := AppendCommand(nil, c)
			queried := m.Query(query, nil)
			readOnly := c.ReadOnly()
			drawSession(t, c, want, ids)
			if err := c.Check(); err != nil {
				t.Fatalf("Check of %+v: %v", c, err)
			}
			if c.Op == OpRegister {
				ids = append(ids, index)
			}
			command := AppendCommand(nil, c)
			prefix := []byte("before ")
			reply := want.apply(index, time, c)
			got := m.Apply(index, time, command, prefix)
			if !bytes.Equal(got, append(prefix, reply...)) {
				t.Fatalf("%v: reply %s, want %s", c.Op, showReply(got[len(prefix):]), showReply(reply))
			}
			seen |= m.Events()
			if other := straight.Apply(index, time, command, nil); !bytes.Equal(other, reply) {
				t.Fatalf("%v: without interruption the reply is %s, want %s", c.Op, showReply(other), showReply(reply))
			}
			if readOnly && c.Session == 0 && c.Op <= OpTxn && !bytes.Equal(queried, reply) {
				t.Fatalf("%v: Query says %s, Apply %s", c.Op, showReply(queried), showReply(reply))
			}
			if !readOnly && decodeReply(t, queried).Status != StatusNotRead {
				t.Fatalf("Query did %v", c.Op)
			}
			clear(command) // the machine keeps nothing of it
			checkAgainst(t, m, want)
			if m.Digest() != straight.Digest() {
				t.Fatalf("digest %#x, without interruption %#x", m.Digest(), straight.Digest())
			}
			switch rapid.IntRange(0, 11).Draw(t, "then") {
			case 9:
				keep = append(keep, kept{clone: m.Clone(), stream: stream(t, straight.Snapshot())})
			case 10:
				s := m.Snapshot()
				keep = append(keep, kept{stream: stream(t, s), snapshot: s})
			case 11:
				b := stream(t, m.Snapshot())
				if !bytes.Equal(b, stream(t, straight.Snapshot())) {
					t.Fatalf("equal states, other snapshots")
				}
				m = New(limits)
				if err := m.Restore(bytes.NewReader(b)); err != nil {
					t.Fatalf("Restore: %v", err)
				}
				if !bytes.Equal(b, stream(t, m.Snapshot())) {
					t.Fatalf("the snapshot of what was restored is another one")
				}
			}
		}
		for _, k := range keep {
			if k.clone != nil {
				k.snapshot = k.clone.Snapshot()
			}
			if !bytes.Equal(k.stream, stream(t, k.snapshot)) {
				t.Fatalf("a snapshot or clone moved with the machine")
			}
		}
	})
	for e := EventChanged; e < EventBadCommand; e <<= 1 {
		// With -short there are too few programs to meet all.
		if seen&e == 0 && !testing.Short() {
			t.Errorf("no program met event %#x", e)
		}
	}
}
