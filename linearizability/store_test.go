package linearizability

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/seaworthy-raft/seaworthy/kv"
)

// store is a key-value store for making histories: one map, one command at a
// time, sorted from scratch for each scan. It shares no code with the model.
type store struct {
	cells    map[string]storeCell
	revision uint64
	sessions map[uint64]*storeSession
	index    uint64
}

type storeCell struct {
	value   string
	version uint64
}

type storeSession struct{ serial uint64 }

func newStore() *store {
	return &store{cells: map[string]storeCell{}, sessions: map[uint64]*storeSession{}}
}

// do applies one command at the next index (reads: at this one).
func (s *store) do(c *kv.Command) kv.Reply {
	if c.Op == kv.OpRegister {
		s.sessions[s.index] = &storeSession{}
		return kv.Reply{Status: kv.StatusOK, Session: s.index}
	}
	if c.Op == kv.OpCloseSession {
		if s.sessions[c.Session] == nil {
			return kv.Reply{Status: kv.StatusSessionUnknown}
		}
		delete(s.sessions, c.Session)
		return kv.Reply{Status: kv.StatusOK}
	}
	if c.Session != 0 {
		x := s.sessions[c.Session]
		if x == nil {
			return kv.Reply{Status: kv.StatusSessionUnknown}
		}
		if c.Serial <= x.serial {
			return kv.Reply{Status: kv.StatusSerialOld}
		}
		x.serial = c.Serial
	}
	next := make(map[string]storeCell, len(s.cells))
	for k, x := range s.cells {
		next[k] = x
	}
	changed := false
	set := func(k, v string) {
		next[k] = storeCell{v, s.revision + 1}
		changed = true
	}
	write := func(op kv.Op, k, v string, delta int64) (kv.Status, int64) {
		old, ok := next[k]
		switch op {
		case kv.OpPut:
			set(k, v)
		case kv.OpDelete:
			if ok {
				delete(next, k)
				changed = true
			}
		case kv.OpAppend:
			if len(old.value+v) > kv.ValueBytesMax {
				return kv.StatusTooLarge, 0
			}
			set(k, old.value+v)
		case kv.OpIncrement:
			n := int64(0)
			if ok {
				var err error
				if n, err = strconv.ParseInt(old.value, 10, 64); err != nil || len(old.value) > 20 {
					return kv.StatusNotNumber, 0
				}
			}
			if (delta > 0 && n > (1<<63-1)-delta) || (delta < 0 && n < (-1<<63)-delta) {
				return kv.StatusOverflow, 0
			}
			set(k, fmt.Sprint(n+delta))
			return kv.StatusOK, n + delta
		}
		return kv.StatusOK, 0
	}
	conflict := func(k string, failed int) kv.Reply {
		x := s.cells[k]
		return kv.Reply{Status: kv.StatusConflict, Version: x.version, Value: []byte(x.value), Failed: uint32(failed)}
	}
	key, value := string(c.Key), string(c.Value)
	old, exists := s.cells[key]
	r := kv.Reply{Status: kv.StatusOK}
	switch c.Op {
	case kv.OpGet:
		if !exists {
			return kv.Reply{Status: kv.StatusNotFound}
		}
		r.Value, r.Version = []byte(old.value), old.version
	case kv.OpPut, kv.OpAppend, kv.OpIncrement:
		r.Status, r.Number = write(c.Op, key, value, c.Delta)
	case kv.OpDelete:
		if !exists {
			return kv.Reply{Status: kv.StatusNotFound}
		}
		write(c.Op, key, "", 0)
	case kv.OpCompareAndSet:
		if old.version != c.Version {
			return conflict(key, 0)
		}
		set(key, value)
	case kv.OpPutIfAbsent:
		if exists {
			return conflict(key, 0)
		}
		set(key, value)
	case kv.OpScan, kv.OpScanPrefix, kv.OpDeleteRange:
		var keys []string
		for k := range s.cells {
			in := k >= key && (len(c.End) == 0 || k < string(c.End))
			if c.Op == kv.OpScanPrefix {
				in = strings.HasPrefix(k, key)
			}
			if in {
				keys = append(keys, k)
			}
		}
		sort.Strings(keys)
		if c.Reverse {
			sort.Sort(sort.Reverse(sort.StringSlice(keys)))
		}
		for _, k := range keys {
			if c.Op == kv.OpDeleteRange {
				write(kv.OpDelete, k, "", 0)
				r.Count++
				continue
			}
			if len(r.Items) == kv.ScanItemsMax || (c.Limit > 0 && len(r.Items) == int(c.Limit)) {
				r.More = true
				break
			}
			r.Items = append(r.Items, kv.Item{Key: []byte(k), Value: []byte(s.cells[k].value), Version: s.cells[k].version})
		}
	case kv.OpTxn:
		for i, cond := range c.Conditions {
			x, ok := s.cells[string(cond.Key)]
			holds := map[kv.ConditionKind]bool{
				kv.ConditionVersion: x.version == cond.Version,
				kv.ConditionValue:   ok && x.value == string(cond.Value),
				kv.ConditionExists:  ok,
				kv.ConditionAbsent:  !ok,
			}
			if !holds[cond.Kind] {
				return conflict(string(cond.Key), i)
			}
		}
		for _, k := range c.Reads {
			x := s.cells[string(k)]
			r.Items = append(r.Items, kv.Item{Key: k, Value: []byte(x.value), Version: x.version})
		}
		for i, w := range c.Writes {
			if status, _ := write(w.Op, string(w.Key), string(w.Value), w.Delta); status != kv.StatusOK {
				return kv.Reply{Status: status, Failed: uint32(i)}
			}
		}
	default:
		panic(c.Op)
	}
	if changed {
		s.cells = next
		s.revision++
		r.Version = s.revision
	}
	return r
}

// options are what a generated history is like.
type options struct {
	ops      int
	clients  int
	keys     int
	lossy    int // in percent: operations whose client gives up
	refused  int // in percent
	sessions bool
	longTail bool // few keys get most of the traffic
}

// request is one operation under way in generate.
type request struct {
	id      OpID
	client  int
	command kv.Command
	reply   []byte
	session uint64 // opened by it
	version uint64 // told by it
	applied bool
	giveUp  bool
	left    bool // the client no longer waits
}

// generate runs clients against one store, command after command, with calls
// and returns at random moments around it. choose(n) is a number in [0, n).
func generate(o options, choose func(n int) int) *History {
	h := &History{}
	s := newStore()
	type client struct {
		request *request
		session uint64
		serial  uint64
		known   []uint64 // versions seen
	}
	clients := make([]client, o.clients)
	var waiting []*request // not applied yet, including those given up
	now := uint64(0)
	called, open := 0, 0
	var buf []byte
	for steps := 0; called < o.ops || open > 0; steps++ {
		now += uint64(choose(3)) // moments may be shared
		i := choose(o.clients)
		cl := &clients[i]
		switch what := choose(3); {
		case cl.request == nil && called < o.ops:
			c := command(o, choose, func() uint64 {
				if len(cl.known) == 0 {
					return 0
				}
				return cl.known[choose(len(cl.known))]
			})
			if o.sessions && cl.session == 0 && choose(4) == 0 {
				c = kv.Command{Op: kv.OpRegister}
			} else if cl.session != 0 && choose(40) == 0 {
				c = kv.Command{Op: kv.OpCloseSession, Session: cl.session}
				cl.session = 0
			} else if cl.session != 0 && choose(5) > 0 {
				cl.serial++
				c.Session, c.Serial = cl.session, cl.serial
			}
			buf = kv.AppendCommand(buf[:0], &c)
			r := &request{id: h.Call(i, now, buf), client: i, command: c, giveUp: choose(100) < o.lossy}
			called++
			open++
			if !r.giveUp && choose(100) < o.refused {
				h.Refuse(r.id, now)
				open--
				continue
			}
			cl.request = r
			waiting = append(waiting, r)
		case what == 0 && len(waiting) > 0:
			j := choose(len(waiting))
			r := waiting[j]
			waiting = append(waiting[:j], waiting[j+1:]...)
			logged := !r.command.ReadOnly() || r.command.Session != 0
			if logged {
				s.index++
			}
			reply := s.do(&r.command)
			r.reply = kv.AppendReply(nil, &reply)
			r.applied = true
			if reply.Status.Unknown() && r.command.Op != kv.OpCloseSession {
				r.giveUp = true
				continue
			}
			if logged {
				h.Wrote(r.id, s.index)
			} else {
				h.Read(r.id, s.index)
			}
			r.session, r.version = reply.Session, reply.Version
		case what == 1 && cl.request != nil && cl.request.giveUp:
			h.GiveUp(cl.request.id, now)
			cl.request.left = true
			cl.request = nil
			open--
		case what >= 1 && cl.request != nil && cl.request.applied:
			h.Return(cl.request.id, now, cl.request.reply)
			if cl.request.session != 0 {
				cl.session, cl.serial = cl.request.session, 0
			}
			cl.known = append(cl.known, cl.request.version)
			cl.request = nil
			open--
		}
	}
	return h
}

// command draws one of all kinds.
func command(o options, choose func(n int) int, version func() uint64) kv.Command {
	key := func() []byte {
		n := choose(o.keys)
		if o.longTail && choose(2) == 0 {
			n = choose(min(o.keys, 3))
		}
		return fmt.Appendf(nil, "k%03d", n)
	}
	value := func() []byte {
		if choose(3) == 0 {
			return fmt.Appendf(nil, "%d", choose(5))
		}
		return fmt.Appendf(nil, "v%d", choose(1000))
	}
	switch choose(16) {
	case 0, 1, 2:
		return kv.Command{Op: kv.OpGet, Key: key()}
	case 3, 4:
		return kv.Command{Op: kv.OpPut, Key: key(), Value: value()}
	case 5:
		return kv.Command{Op: kv.OpDelete, Key: key()}
	case 6:
		return kv.Command{Op: kv.OpAppend, Key: key(), Value: value()}
	case 7, 8:
		return kv.Command{Op: kv.OpIncrement, Key: key(), Delta: int64(choose(9)) - 4}
	case 9:
		return kv.Command{Op: kv.OpCompareAndSet, Key: key(), Version: version(), Value: value()}
	case 10:
		return kv.Command{Op: kv.OpPutIfAbsent, Key: key(), Value: value()}
	case 11:
		return kv.Command{Op: kv.OpScan, Key: key(), End: key(), Limit: uint32(choose(4)), Reverse: choose(2) == 0}
	case 12:
		return kv.Command{Op: kv.OpScanPrefix, Key: key()[:2+choose(2)], Limit: uint32(1 + choose(8)), Reverse: choose(2) == 0}
	case 13:
		if choose(3) == 0 {
			return kv.Command{Op: kv.OpDeleteRange, Key: key(), End: key()}
		}
		return kv.Command{Op: kv.OpPut, Key: key(), Value: value()}
	}
	c := kv.Command{Op: kv.OpTxn}
	for n := choose(3); n > 0; n-- {
		c.Reads = append(c.Reads, key())
	}
	for n := choose(2); n > 0; n-- {
		cond := kv.Condition{Kind: kv.ConditionKind(1 + choose(4)), Key: key()}
		switch cond.Kind {
		case kv.ConditionVersion:
			cond.Version = version()
		case kv.ConditionValue:
			cond.Value = value()
		}
		c.Conditions = append(c.Conditions, cond)
	}
	for n := choose(4); n > 0; n-- {
		w := kv.TxnWrite{Op: []kv.Op{kv.OpPut, kv.OpDelete, kv.OpAppend, kv.OpIncrement}[choose(4)], Key: key()}
		switch w.Op {
		case kv.OpPut, kv.OpAppend:
			w.Value = value()
		case kv.OpIncrement:
			w.Delta = int64(choose(5))
		}
		c.Writes = append(c.Writes, w)
	}
	return c
}
