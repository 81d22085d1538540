package kv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// store is a machine that counts indexes for the test and speaks in commands
// and replies.
type store struct {
	*Machine
	t    *testing.T
	at   uint64 // index
	tick uint64 // log time of the next command
}

func newStore(t *testing.T, limits Limits) *store { return &store{Machine: New(limits), t: t} }

func (s *store) do(c Command) *Reply {
	s.t.Helper()
	if err := c.Check(); err != nil {
		s.t.Fatalf("Check of %v: %v", c.Op, err)
	}
	return s.bytes(AppendCommand(nil, &c))
}

func (s *store) bytes(command []byte) *Reply {
	s.t.Helper()
	s.at++
	r := decodeReply(s.t, s.Apply(s.at, s.tick, command, nil))
	if s.Digest() != s.DigestFull() {
		s.t.Fatalf("digest kept up %#x, made again %#x", s.Digest(), s.DigestFull())
	}
	return r
}

func (s *store) query(c Command) *Reply {
	s.t.Helper()
	return decodeReply(s.t, s.Query(AppendCommand(nil, &c), nil))
}

func (s *store) put(key, value string) uint64 {
	s.t.Helper()
	return s.do(Command{Op: OpPut, Key: []byte(key), Value: []byte(value)}).Version
}

// get is "value@version", or "" for a key that does not exist.
func (s *store) get(key string) string {
	s.t.Helper()
	r := s.query(Command{Op: OpGet, Key: []byte(key)})
	if r.Status == StatusNotFound {
		return ""
	}
	return fmt.Sprintf("%s@%d", r.Value, r.Version)
}

// keys are those of a scan, joined, with "..." if there are more.
func (s *store) keys(c Command) string {
	s.t.Helper()
	r := s.query(c)
	var out []string
	for _, it := range r.Items {
		out = append(out, string(it.Key))
	}
	if r.More {
		out = append(out, "...")
	}
	return strings.Join(out, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestVersionIsTheRevisionOfTheLastChange(t *testing.T) {
	s := newStore(t, DefaultLimits())
	equal(t, "first put", s.put("a", "1"), 1)
	equal(t, "other key", s.put("b", "1"), 2)
	equal(t, "same value again", s.put("a", "1"), 3)
	s.do(Command{Op: OpGet, Key: []byte("a")})
	equal(t, "revision after a read", s.Revision(), 3)
	r := s.do(Command{Op: OpTxn, Writes: []TxnWrite{
		{Op: OpPut, Key: []byte("a"), Value: []byte("2")},
		{Op: OpDelete, Key: []byte("none")},
		{Op: OpPut, Key: []byte("c"), Value: []byte("2")},
	}})
	equal(t, "version of a transaction", r.Version, 4)
	equal(t, "a", s.get("a"), "2@4")
	equal(t, "b", s.get("b"), "1@2")
	equal(t, "c", s.get("c"), "2@4")
	equal(t, "delete of no key", s.do(Command{Op: OpDelete, Key: []byte("none")}).Status, StatusNotFound)
	equal(t, "revision after it", s.Revision(), 4)
	equal(t, "version of a deletion", s.do(Command{Op: OpDelete, Key: []byte("a")}).Version, 5)
	equal(t, "a key that comes back", s.put("a", "1"), 6)
}

// A compare-and-set must not take a key that was deleted and put again for the
// one that its client read.
func TestCompareAndSetSeesThatAKeyWasDeletedInBetween(t *testing.T) {
	s := newStore(t, DefaultLimits())
	read := s.put("k", "v")
	s.do(Command{Op: OpDelete, Key: []byte("k")})
	s.put("k", "v")
	r := s.do(Command{Op: OpCompareAndSet, Key: []byte("k"), Version: read, Value: []byte("mine")})
	equal(t, "status", r.Status, StatusConflict)
	equal(t, "version found", r.Version, 3)
	equal(t, "value found", string(r.Value), "v")
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	for name, last := range map[string]struct {
		write  TxnWrite
		status Status
	}{
		"not a number": {TxnWrite{Op: OpIncrement, Key: []byte("text"), Delta: 1}, StatusNotNumber},
		"overflow":     {TxnWrite{Op: OpIncrement, Key: []byte("max"), Delta: 1}, StatusOverflow},
		"too large":    {TxnWrite{Op: OpAppend, Key: []byte("big"), Value: []byte("x")}, StatusTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, DefaultLimits())
			s.put("text", "text")
			s.put("max", "9223372036854775807")
			s.put("big", strings.Repeat("x", ValueBytesMax))
			s.put("gone", "still here")
			before := stream(t, s.Snapshot())
			r := s.do(Command{Op: OpTxn, Reads: [][]byte{[]byte("text")}, Writes: []TxnWrite{
				{Op: OpPut, Key: []byte("text"), Value: []byte("5")},
				{Op: OpPut, Key: []byte("text"), Value: []byte("five")},
				{Op: OpPut, Key: []byte("new"), Value: []byte("1")},
				{Op: OpIncrement, Key: []byte("new"), Delta: 1},
				{Op: OpDelete, Key: []byte("new")},
				{Op: OpDelete, Key: []byte("gone")},
				{Op: OpAppend, Key: []byte("gone"), Value: []byte("back")},
				last.write,
				{Op: OpPut, Key: []byte("never"), Value: []byte("1")},
			}})
			equal(t, "status", r.Status, last.status)
			equal(t, "failed write", r.Failed, 7)
			equal(t, "reads", len(r.Items), 0)
			equal(t, "event", s.Events(), EventTxnUndone)
			s.Machine.index = 4 // all else is to be as it was
			if !bytes.Equal(before, stream(t, s.Snapshot())) {
				t.Errorf("the state has changed: text %s, new %s, gone %s, never %s",
					s.get("text"), s.get("new"), s.get("gone"), s.get("never"))
			}
		})
	}
}

func TestTransactionReadsTheStateBeforeItsWrites(t *testing.T) {
	s := newStore(t, DefaultLimits())
	s.put("k", "old")
	r := s.do(Command{
		Op:         OpTxn,
		Reads:      [][]byte{[]byte("k"), []byte("none"), []byte("k")},
		Conditions: []Condition{{Kind: ConditionValue, Key: []byte("k"), Value: []byte("old")}},
		Writes: []TxnWrite{
			{Op: OpPut, Key: []byte("k"), Value: []byte("new")},
			{Op: OpAppend, Key: []byte("k"), Value: []byte("er")},
		},
	})
	var reads []string
	for _, it := range r.Items {
		reads = append(reads, fmt.Sprintf("%s=%s@%d", it.Key, it.Value, it.Version))
	}
	equal(t, "reads", strings.Join(reads, " "), "k=old@1 none=@0 k=old@1")
	equal(t, "k", s.get("k"), "newer@2")
}

func TestConflictNamesTheFirstFailedCondition(t *testing.T) {
	s := newStore(t, DefaultLimits())
	s.put("k", "v")
	r := s.do(Command{Op: OpTxn, Conditions: []Condition{
		{Kind: ConditionExists, Key: []byte("k")},
		{Kind: ConditionVersion, Key: []byte("none")},
		{Kind: ConditionValue, Key: []byte("k"), Value: []byte("w")},
		{Kind: ConditionAbsent, Key: []byte("k")},
	}, Writes: []TxnWrite{{Op: OpDelete, Key: []byte("k")}}})
	equal(t, "reply", fmt.Sprintf("%v %d %s@%d", r.Status, r.Failed, r.Value, r.Version), "conflict 2 v@1")
	equal(t, "k", s.get("k"), "v@1")
}

func TestIncrement(t *testing.T) {
	for _, c := range []struct {
		value  string
		delta  int64
		status Status
		sum    int64
	}{
		{"0", 1, StatusOK, 1},
		{"-1", 1, StatusOK, 0},
		{"+41", 1, StatusOK, 42},
		{"007", -8, StatusOK, -1},
		{"5", 0, StatusOK, 5},
		{"9223372036854775806", 1, StatusOK, 1<<63 - 1},
		{"9223372036854775807", 1, StatusOverflow, 0},
		{"-9223372036854775808", -1, StatusOverflow, 0},
		{"-9223372036854775808", 1<<63 - 1, StatusOK, -1},
		{"-1", -1 << 63, StatusOverflow, 0},
		{"0", -1 << 63, StatusOK, -1 << 63},
		{"9223372036854775808", -1, StatusNotNumber, 0},
		{"", 1, StatusNotNumber, 0},
		{" 1", 1, StatusNotNumber, 0},
		{"1_000", 1, StatusNotNumber, 0},
		{"0x10", 1, StatusNotNumber, 0},
		{"000000000000000000001", 1, StatusNotNumber, 0},
	} {
		s := newStore(t, DefaultLimits())
		s.put("n", c.value)
		r := s.do(Command{Op: OpIncrement, Key: []byte("n"), Delta: c.delta})
		if r.Status != c.status || r.Number != c.sum {
			t.Errorf("%q + %d: %v %d, want %v %d", c.value, c.delta, r.Status, r.Number, c.status, c.sum)
		}
		want := fmt.Sprintf("%d@2", c.sum)
		if c.status != StatusOK {
			want = c.value + "@1"
		}
		equal(t, c.value, s.get("n"), want)
	}
	s := newStore(t, DefaultLimits())
	equal(t, "no key", s.do(Command{Op: OpIncrement, Key: []byte("n"), Delta: -3}).Number, -3)
}

func TestScan(t *testing.T) {
	s := newStore(t, DefaultLimits())
	for _, k := range strings.Fields("a aa ab b ba \xff \xff\xff") {
		s.put(k, k)
	}
	for _, c := range []struct {
		command Command
		want    string
	}{
		{Command{Op: OpScan}, "a aa ab b ba \xff \xff\xff"},
		{Command{Op: OpScan, Reverse: true}, "\xff\xff \xff ba b ab aa a"},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("b")}, "aa ab"},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("b"), Reverse: true}, "ab aa"},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("bb"), Limit: 2}, "aa ab ..."},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("bb"), Limit: 2, Reverse: true}, "ba b ..."},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("bb"), Limit: 4}, "aa ab b ba"},
		{Command{Op: OpScan, Key: []byte("aa"), End: []byte("bb"), Limit: 4, Reverse: true}, "ba b ab aa"},
		{Command{Op: OpScan, Key: []byte("b"), End: []byte("a")}, ""},
		{Command{Op: OpScan, Key: []byte("b"), End: []byte("a"), Reverse: true}, ""},
		{Command{Op: OpScan, Key: []byte("b"), Limit: 1<<32 - 1}, "b ba \xff \xff\xff"},
		{Command{Op: OpScanPrefix, Key: []byte("a")}, "a aa ab"},
		{Command{Op: OpScanPrefix, Key: []byte("a"), Reverse: true, Limit: 1}, "ab ..."},
		{Command{Op: OpScanPrefix, Key: []byte("\xff")}, "\xff \xff\xff"},
		{Command{Op: OpScanPrefix, Key: []byte("\xff"), Reverse: true}, "\xff\xff \xff"},
		{Command{Op: OpScanPrefix, Key: []byte("c")}, ""},
		{Command{Op: OpScanPrefix, Limit: 1}, "a ..."},
	} {
		if got := s.keys(c.command); got != c.want {
			t.Errorf("%+v: %q, want %q", c.command, got, c.want)
		}
	}
	equal(t, "count", s.do(Command{Op: OpDeleteRange, Key: []byte("aa"), End: PrefixEnd([]byte("b"))}).Count, 4)
	equal(t, "left", s.keys(Command{Op: OpScan}), "a \xff \xff\xff")
	r := s.do(Command{Op: OpDeleteRange, Key: []byte("aa"), End: []byte("b")})
	equal(t, "nothing to delete", fmt.Sprint(r.Status, r.Count, r.Version), "ok 0 0")
	equal(t, "prefix without end", len(PrefixEnd([]byte("\xff\xff"))), 0)
}

func TestScanEndsBeforeTheReplyIsTooLarge(t *testing.T) {
	s := newStore(t, DefaultLimits())
	value := strings.Repeat("x", ValueBytesMax)
	for _, k := range []string{"a", "b", "c"} {
		s.put(k, value)
	}
	equal(t, "large values", s.keys(Command{Op: OpScan}), "a ...")
	r := s.do(Command{Op: OpTxn, Reads: [][]byte{[]byte("a"), []byte("b")},
		Writes: []TxnWrite{{Op: OpPut, Key: []byte("d")}}})
	equal(t, "transaction that reads too much", r.Status, StatusReplyTooLarge)
	equal(t, "its items", len(r.Items), 0)
	equal(t, "its write", s.get("d"), "")

	s = newStore(t, DefaultLimits())
	for i := range ScanItemsMax + 1 {
		s.put(fmt.Sprintf("many%04d", i), "")
	}
	r = s.query(Command{Op: OpScanPrefix, Key: []byte("many")})
	equal(t, "items", len(r.Items), ScanItemsMax)
	equal(t, "more", r.More, true)
	equal(t, "event", s.Events(), EventScanCut)
}

func TestBoundsAreAnsweredNotExceeded(t *testing.T) {
	long, large := make([]byte, KeyBytesMax+1), make([]byte, ValueBytesMax+1)
	many := TxnReadsMax + 1
	var parts []TxnWrite
	for range 3 {
		parts = append(parts, TxnWrite{Op: OpPut, Value: large[:ValueBytesMax]})
	}
	for name, c := range map[string]Command{
		"key":        {Op: OpGet, Key: long},
		"end":        {Op: OpScan, End: long},
		"value":      {Op: OpPut, Value: large},
		"reads":      {Op: OpTxn, Reads: make([][]byte, many)},
		"conditions": {Op: OpTxn, Conditions: make([]Condition, many)},
		"writes":     {Op: OpTxn, Writes: make([]TxnWrite, many)},
		"read":       {Op: OpTxn, Reads: [][]byte{long}},
		"condition":  {Op: OpTxn, Conditions: []Condition{{Kind: ConditionExists, Key: long}}},
		"write":      {Op: OpTxn, Writes: []TxnWrite{{Op: OpPut, Value: large}}},
		"command":    {Op: OpTxn, Writes: parts},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.Check(); err != ErrTooLarge {
				t.Errorf("Check: %v", err)
			}
			s := newStore(t, DefaultLimits())
			b := AppendCommand(nil, &c)
			before := s.Digest()
			s.tick = 5
			equal(t, "Apply", s.bytes(b).Status, StatusTooLarge)
			equal(t, "event", s.Events(), EventTooLarge)
			equal(t, "digest", s.Digest(), before)
			equal(t, "Query", decodeReply(t, s.Query(b, nil)).Status, StatusTooLarge)
		})
	}
	// At the bounds all is well.
	s := newStore(t, DefaultLimits())
	key, value := string(long[:KeyBytesMax]), string(large[:ValueBytesMax])
	equal(t, "largest put", s.put(key, value), 1)
	equal(t, "largest append", s.do(Command{Op: OpAppend, Key: []byte("k"), Value: []byte(value)}).Status, StatusOK)
	equal(t, "one byte more", s.do(Command{Op: OpAppend, Key: []byte("k"), Value: []byte("x")}).Status, StatusTooLarge)
	equal(t, "largest scan item", len(s.query(Command{Op: OpScan}).Items), 1)
	equal(t, "largest conflict", s.do(Command{Op: OpPutIfAbsent, Key: []byte(key)}).Status, StatusConflict)
}

func TestBytesThatAreNoCommandChangeNothing(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 9, SessionTicks: 10})
	s.put("k", "v")
	s.do(Command{Op: OpRegister})
	before := s.Digest()
	s.tick = 100 // more than the session has
	good := AppendCommand(nil, &Command{Op: OpPut, Key: []byte("k"), Value: []byte("w"), Session: 2, Serial: 1})
	for i := range good {
		equal(t, "cut", s.bytes(good[:i]).Status, StatusBadCommand)
		equal(t, "event", s.Events(), EventBadCommand)
	}
	equal(t, "trailing byte", s.bytes(append(bytes.Clone(good), 0)).Status, StatusBadCommand)
	equal(t, "digest", s.Digest(), before)
	equal(t, "sessions", s.Sessions(), 1)
	equal(t, "index", s.Index(), s.at)
	equal(t, "the good one", s.bytes(good).Status, StatusSessionUnknown)
}

func TestQueryDoesOnlyReads(t *testing.T) {
	s := newStore(t, DefaultLimits())
	s.put("k", "v")
	before := s.Digest()
	for _, c := range []Command{
		{Op: OpPut, Key: []byte("k")},
		{Op: OpDeleteRange},
		{Op: OpTxn, Writes: []TxnWrite{{Op: OpDelete, Key: []byte("k")}}},
		{Op: OpRegister},
		{Op: OpGet, Key: []byte("k"), Session: 1, Serial: 1},
	} {
		equal(t, c.Op.String(), s.query(c).Status, StatusNotRead)
	}
	r := s.query(Command{Op: OpTxn, Reads: [][]byte{[]byte("k")}})
	equal(t, "transaction that reads", string(r.Items[0].Value), "v")
	equal(t, "digest", s.Digest(), before)
}

func TestEntryAppliedTwicePanics(t *testing.T) {
	for name, apply := range map[string]func(m *Machine){
		"same index":     func(m *Machine) { m.Apply(7, 7, nil, nil) },
		"earlier index":  func(m *Machine) { m.Apply(6, 7, nil, nil) },
		"time goes back": func(m *Machine) { m.Apply(8, 6, nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			m := New(DefaultLimits())
			m.Apply(7, 7, AppendCommand(nil, &Command{Op: OpGet}), nil)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			apply(m)
		})
	}
}

// Many keys, so that the trees have several levels, and snapshots and clones
// that are held while the machine goes on.
func TestSnapshotsStandStillWhileManyKeysChange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newStore(t, DefaultLimits())
	want := newModel(s.Limits())
	key := func() []byte { return fmt.Appendf(nil, "%03d", rng.IntN(700)) }
	type held struct {
		snapshot *Snapshot
		clone    *Machine
		stream   []byte
	}
	var all []held
	for i := uint64(1); i <= 6000; i++ {
		c := Command{Op: OpPut, Key: key(), Value: key()}
		switch rng.IntN(20) {
		case 0, 1, 2, 3, 4:
			c = Command{Op: OpDelete, Key: key()}
		case 5, 6:
			c = Command{Op: OpAppend, Key: key(), Value: key()}
		case 7:
			if rng.IntN(10) == 0 {
				c = Command{Op: OpDeleteRange, Key: key(), End: key()}
			}
		case 8:
			c = Command{Op: OpTxn, Writes: []TxnWrite{
				{Op: OpPut, Key: key(), Value: key()},
				{Op: OpDelete, Key: key()},
				{Op: OpIncrement, Key: key(), Delta: 1},
			}}
		}
		reply := s.Apply(i, i, AppendCommand(nil, &c), nil)
		if !bytes.Equal(reply, want.apply(i, i, &c)) {
			t.Fatalf("command %d, %v: %s", i, c.Op, showReply(reply))
		}
		if i%500 == 0 {
			h := held{snapshot: s.Snapshot().(*Snapshot)}
			h.stream = stream(t, h.snapshot)
			all = append(all, h)
		}
		if i%500 == 250 { // apart, since each makes a sharing of its own
			all = append(all, held{clone: s.Clone()})
			h := &all[len(all)-1]
			h.stream = stream(t, h.clone.Clone().Snapshot())
		}
		if i%250 == 0 {
			if s.Len() != len(want.keys) || s.Digest() != s.DigestFull() {
				t.Fatalf("%d keys of %d, digest %#x, made again %#x", s.Len(), len(want.keys), s.Digest(), s.DigestFull())
			}
		}
	}
	for _, h := range all {
		if h.clone != nil {
			if h.clone.Digest() != h.clone.DigestFull() {
				t.Errorf("digest of the clone at index %d", h.clone.Index())
			}
			h.snapshot = h.clone.Snapshot().(*Snapshot)
		}
		if !bytes.Equal(h.stream, stream(t, h.snapshot)) {
			t.Errorf("the snapshot or clone at index %d has moved", h.snapshot.Index())
		}
	}
}

// A snapshot may be written elsewhere while the machine goes on: the race
// detector looks on.
func TestSnapshotIsWrittenWhileTheMachineGoesOn(t *testing.T) {
	m := New(Limits{SessionsMax: 8, SessionBytesMax: 1 << 20, SessionTicks: 100})
	var index uint64
	put := func(i int) {
		if i%100 == 0 {
			index++
			m.Apply(index, index, AppendCommand(nil, &Command{Op: OpRegister}), nil)
		}
		index++
		m.Apply(index, index, AppendCommand(nil, &Command{Op: OpPut, Session: max(1, index/200*200),
			Serial: index, Key: fmt.Appendf(nil, "%d", i%300), Value: fmt.Appendf(nil, "%d", i)}), nil)
	}
	for i := range 1000 {
		put(i)
	}
	first, second := new(bytes.Buffer), new(bytes.Buffer)
	done := make(chan error)
	s := m.Snapshot()
	go func() {
		_, err := s.WriteTo(first)
		done <- err
	}()
	for i := range 1000 {
		put(i)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.WriteTo(second)
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the snapshot has moved")
	}
}

func TestSmallValueDoesNotKeepTheRoomOfALargeOne(t *testing.T) {
	s := newStore(t, DefaultLimits())
	s.put("k", strings.Repeat("x", ValueBytesMax))
	s.put("k", "small")
	if n := cap(s.find([]byte("k")).value); n > 1000 {
		t.Errorf("room for %d bytes", n)
	}
	equal(t, "k", s.get("k"), "small@2")
}

func TestApplyDoesNotAllocate(t *testing.T) {
	m := New(DefaultLimits())
	m.Apply(1, 1, AppendCommand(nil, &Command{Op: OpRegister}), nil)
	index := uint64(1)
	var command, reply []byte
	for name, c := range map[string]*Command{
		"get":           {Op: OpGet, Key: []byte("key")},
		"put":           {Op: OpPut, Key: []byte("key"), Value: []byte("value")},
		"put, session":  {Op: OpPut, Key: []byte("key"), Value: []byte("value"), Session: 1},
		"scan, session": {Op: OpScan, Key: []byte("key"), Session: 1},
		"increment":     {Op: OpIncrement, Key: []byte("number"), Delta: 1},
		"txn of reads": {Op: OpTxn, Reads: [][]byte{[]byte("key")},
			Conditions: []Condition{{Kind: ConditionExists, Key: []byte("key")}}},
	} {
		run := func() {
			index++
			if c.Session != 0 {
				c.Serial = index
			}
			command = AppendCommand(command[:0], c)
			reply = m.Apply(index, index, command, reply[:0])
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// One large range must not leave its room behind for ever.
func TestRoomOfALargeRangeIsLetGo(t *testing.T) {
	m := New(DefaultLimits())
	index := uint64(0)
	apply := func(c *Command) {
		index++
		m.Apply(index, index, AppendCommand(nil, c), nil)
	}
	for i := range 2 * doomedKeep {
		apply(&Command{Op: OpPut, Key: fmt.Appendf(nil, "%06d", i)})
	}
	apply(&Command{Op: OpDeleteRange, Key: []byte("000000"), End: []byte("000010")})
	if cap(m.doomed) == 0 {
		t.Error("the room of a small range is let go")
	}
	apply(&Command{Op: OpDeleteRange})
	if m.Len() != 0 || cap(m.doomed) > doomedKeep {
		t.Errorf("%d keys left, room for %d", m.Len(), cap(m.doomed))
	}
}
