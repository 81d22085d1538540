package linearizability

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/kv"
)

// script writes a history by hand. Each line is one moment later than the one
// before.
type script struct {
	History
	now uint64
}

func (s *script) call(client int, c kv.Command) OpID {
	s.now += 10
	return s.Call(client, s.now, kv.AppendCommand(nil, &c))
}

func (s *script) answer(id OpID, r kv.Reply) {
	s.now += 10
	if r.Status == 0 {
		r.Status = kv.StatusOK
	}
	s.Return(id, s.now, kv.AppendReply(nil, &r))
}

// wrote is a whole operation with an entry, alone in its time.
func (s *script) wrote(client int, index uint64, c kv.Command, r kv.Reply) OpID {
	id := s.call(client, c)
	s.Wrote(id, index)
	s.answer(id, r)
	return id
}

// read is a whole operation without an entry, alone in its time.
func (s *script) read(client int, index uint64, c kv.Command, r kv.Reply) OpID {
	id := s.call(client, c)
	s.Read(id, index)
	s.answer(id, r)
	return id
}

func put(key, value string) kv.Command {
	return kv.Command{Op: kv.OpPut, Key: []byte(key), Value: []byte(value)}
}
func add(key, value string) kv.Command {
	return kv.Command{Op: kv.OpAppend, Key: []byte(key), Value: []byte(value)}
}
func increment(key string, delta int64) kv.Command {
	return kv.Command{Op: kv.OpIncrement, Key: []byte(key), Delta: delta}
}
func get(key string) kv.Command { return kv.Command{Op: kv.OpGet, Key: []byte(key)} }

func version(v uint64) kv.Reply { return kv.Reply{Version: v} }
func value(v string, version uint64) kv.Reply {
	return kv.Reply{Value: []byte(v), Version: version}
}

var notFound = kv.Reply{Status: kv.StatusNotFound}

func item(key, value string, version uint64) kv.Item {
	return kv.Item{Key: []byte(key), Value: []byte(value), Version: version}
}

var badHistories = []struct {
	name  string
	kind  ViolationKind
	write func(s *script)
}{
	{"stale read", ViolationOrder, func(s *script) {
		s.wrote(0, 1, put("x", "old"), version(1))
		s.wrote(0, 2, put("x", "new"), version(2))
		s.read(1, 1, get("x"), value("old", 1))
	}},
	{"stale answer at a late index", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("x", "old"), version(1))
		s.wrote(0, 2, put("x", "new"), version(2))
		s.read(1, 2, get("x"), value("old", 1))
	}},
	{"reads go back", ViolationOrder, func(s *script) {
		s.wrote(0, 1, put("x", "old"), version(1))
		w := s.call(0, put("x", "new"))
		s.Wrote(w, 2)
		s.read(1, 2, get("x"), value("new", 2))
		s.read(2, 1, get("x"), value("old", 1))
		s.answer(w, version(2))
	}},
	{"read from the future", ViolationOrder, func(s *script) {
		s.read(0, 1, get("x"), value("v", 1))
		s.wrote(1, 1, put("x", "v"), version(1))
	}},
	{"lost update", ViolationAnswer, func(s *script) {
		a, b := s.call(0, increment("x", 1)), s.call(1, increment("x", 1))
		s.Wrote(a, 1)
		s.Wrote(b, 2)
		s.answer(a, kv.Reply{Number: 1, Version: 1})
		s.answer(b, kv.Reply{Number: 1, Version: 2})
	}},
	{"double append", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, add("x", "a"), version(1))
		s.read(1, 2, get("x"), value("aa", 2))
	}},
	{"double append of an unknown operation", ViolationAnswer, func(s *script) {
		a := s.call(0, add("x", "a"))
		s.Wrote(a, 1)
		s.GiveUp(a, s.now)
		s.read(1, 2, get("x"), value("aa", 2))
	}},
	{"retry of a session applied twice", ViolationAppliedTwice, func(s *script) {
		s.wrote(0, 1, kv.Command{Op: kv.OpRegister}, kv.Reply{Session: 1})
		c := increment("x", 1)
		c.Session, c.Serial = 1, 1
		id := s.call(0, c)
		s.Wrote(id, 2)
		s.Wrote(id, 3)
		s.answer(id, kv.Reply{Number: 2, Version: 2})
	}},
	{"serial goes back", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, kv.Command{Op: kv.OpRegister}, kv.Reply{Session: 1})
		c := increment("x", 1)
		c.Session, c.Serial = 1, 2
		s.wrote(0, 2, c, kv.Reply{Number: 1, Version: 1})
		c.Serial = 1
		s.wrote(0, 3, c, kv.Reply{Number: 2, Version: 2})
	}},
	{"command of a closed session", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, kv.Command{Op: kv.OpRegister}, kv.Reply{Session: 1})
		s.wrote(0, 2, kv.Command{Op: kv.OpCloseSession, Session: 1}, kv.Reply{})
		c := put("x", "v")
		c.Session, c.Serial = 1, 1
		s.wrote(0, 3, c, version(1))
	}},
	{"session id given twice", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, kv.Command{Op: kv.OpRegister}, kv.Reply{Session: 1})
		s.wrote(0, 2, kv.Command{Op: kv.OpRegister}, kv.Reply{Session: 1})
	}},
	{"dirty read of a failed transaction", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("n", "no number"), version(1))
		txn := kv.Command{Op: kv.OpTxn, Writes: []kv.TxnWrite{
			{Op: kv.OpPut, Key: []byte("x"), Value: []byte("dirty")},
			{Op: kv.OpIncrement, Key: []byte("n"), Delta: 1},
		}}
		s.wrote(0, 2, txn, kv.Reply{Status: kv.StatusNotNumber, Failed: 1})
		s.read(1, 2, get("x"), value("dirty", 2))
	}},
	{"half of a transaction", ViolationAnswer, func(s *script) {
		txn := kv.Command{Op: kv.OpTxn, Writes: []kv.TxnWrite{
			{Op: kv.OpPut, Key: []byte("x"), Value: []byte("1")},
			{Op: kv.OpPut, Key: []byte("y"), Value: []byte("1")},
		}}
		s.wrote(0, 1, txn, version(1))
		both := kv.Command{Op: kv.OpTxn, Reads: [][]byte{[]byte("x"), []byte("y")}}
		s.read(1, 1, both, kv.Reply{Items: []kv.Item{item("x", "1", 1), item("y", "", 0)}})
	}},
	{"phantom in a scan", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("a", "1"), version(1))
		s.wrote(0, 2, put("b", "2"), version(2))
		s.wrote(0, 3, kv.Command{Op: kv.OpDelete, Key: []byte("a")}, version(3))
		s.read(1, 3, kv.Command{Op: kv.OpScan}, kv.Reply{Items: []kv.Item{item("a", "1", 1), item("b", "2", 2)}})
	}},
	{"scan leaves out a key", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("a", "1"), version(1))
		s.wrote(0, 2, put("b", "2"), version(2))
		s.read(1, 2, kv.Command{Op: kv.OpScanPrefix}, kv.Reply{Items: []kv.Item{item("b", "2", 2)}})
	}},
	{"scan says there is no more", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("a", "1"), version(1))
		s.wrote(0, 2, put("b", "2"), version(2))
		s.read(1, 2, kv.Command{Op: kv.OpScan, Limit: 1}, kv.Reply{Items: []kv.Item{item("a", "1", 1)}})
	}},
	{"delete range counts wrong", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("a", "1"), version(1))
		s.wrote(0, 2, put("b", "2"), version(2))
		s.wrote(0, 3, kv.Command{Op: kv.OpDeleteRange}, kv.Reply{Count: 1, Version: 3})
	}},
	{"acknowledged but lost", ViolationLost, func(s *script) {
		id := s.call(0, put("x", "v"))
		s.answer(id, version(1))
		s.read(1, 0, get("x"), notFound)
	}},
	{"refused but applied", ViolationRefusedApplied, func(s *script) {
		id := s.call(0, put("x", "v"))
		s.now++
		s.Refuse(id, s.now)
		s.Wrote(id, 1)
		s.read(1, 1, get("x"), value("v", 1))
	}},
	{"two operations at one index", ViolationSharedIndex, func(s *script) {
		a, b := s.call(0, put("x", "a")), s.call(1, put("x", "b"))
		s.Wrote(a, 1)
		s.Wrote(b, 1)
		s.answer(a, version(1))
		s.answer(b, version(1))
	}},
	{"replies exchanged", ViolationAnswer, func(s *script) {
		a, b := s.call(0, put("x", "a")), s.call(1, get("y"))
		s.Wrote(a, 1)
		s.Wrote(b, 2)
		s.answer(a, notFound)
		s.answer(b, version(1))
	}},
	{"compare-and-set twice on one version", ViolationAnswer, func(s *script) {
		s.wrote(0, 1, put("x", "a"), version(1))
		cas := kv.Command{Op: kv.OpCompareAndSet, Key: []byte("x"), Version: 1, Value: []byte("b")}
		s.wrote(0, 2, cas, version(2))
		s.wrote(1, 3, cas, version(3))
	}},
	{"put-if-absent twice", ViolationAnswer, func(s *script) {
		c := kv.Command{Op: kv.OpPutIfAbsent, Key: []byte("x"), Value: []byte("b")}
		s.wrote(0, 1, c, version(1))
		s.wrote(1, 2, c, version(2))
	}},
	{"an answer that is none", ViolationAnswer, func(s *script) {
		id := s.call(0, put("x", "a"))
		s.Wrote(id, 1)
		s.now++
		s.Return(id, s.now, []byte("garbage"))
	}},
}

// Every kind of wrong history is Illegal by each way of judging.
func TestBadHistoriesAreIllegal(t *testing.T) {
	for _, bad := range badHistories {
		t.Run(bad.name, func(t *testing.T) {
			var s script
			bad.write(&s)
			r := points(t, KV{}, &s.History)
			if r.Verdict != Illegal || r.Violation.Kind != bad.kind {
				t.Errorf("points: %s, %s", r.Verdict, r.Violation.Text)
			}
			if !strings.HasPrefix(r.Violation.Text, bad.kind.String()+"\noperation ") {
				t.Errorf("the text does not begin with what and who: %q", r.Violation.Text)
			}
			if bad.kind == ViolationSharedIndex {
				return // clients see nothing of it
			}
			if w := whole(t, KV{}, &s.History); w.Verdict != Illegal {
				t.Errorf("whole: %s", w.Verdict)
			}
			var page bytes.Buffer
			v, err := NewChecker(KV{}).Picture(&page, &s.History, r.Violation, nil, PictureStepsMax)
			if v != Illegal || err != nil {
				t.Errorf("picture: %s, %v", v, err)
			}
		})
	}
}
