package kv

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/google/btree"
)

// Limits bound the table of sessions. They are part of the state: replicas
// with other limits answer differently sooner or later, so a snapshot names
// them, the digest covers them, and Restore refuses others.
type Limits struct {
	// SessionsMax is how many sessions there are at most. A new one then evicts
	// the one that was active least recently. At least 1.
	SessionsMax uint64
	// SessionBytesMax bounds the cached replies of all sessions together, in
	// bytes. The last reply given always stays, so the bound may be exceeded by
	// one reply that is alone.
	SessionBytesMax uint64
	// SessionTicks is how long a session lives without a command, in ticks of
	// log time.
	SessionTicks uint64
}

// DefaultLimits suit a server with ticks of ten milliseconds: a session lives
// an hour.
func DefaultLimits() Limits {
	return Limits{SessionsMax: 16384, SessionBytesMax: 64 << 20, SessionTicks: 360_000}
}

// Event is a set of things that one Apply or Query did beside its reply. They
// are no part of the state; tests and simulations look whether they ever saw
// each.
type Event uint32

const (
	// EventChanged: the revision grew.
	EventChanged Event = 1 << iota
	// EventConflict: a compare-and-set or put-if-absent met StatusConflict.
	EventConflict
	// EventTxnConflict: a transaction met StatusConflict.
	EventTxnConflict
	// EventTxnUndone: a transaction failed after at least one of its writes was
	// done, which was then undone.
	EventTxnUndone
	// EventScanCut: a scan ended before its range did.
	EventScanCut
	// EventRetryAnswered: the reply came from the session table.
	EventRetryAnswered
	// EventSerialOld: answered StatusSerialOld.
	EventSerialOld
	// EventSerialGap: a session skipped at least one serial.
	EventSerialGap
	// EventSessionUnknown: answered StatusSessionUnknown.
	EventSessionUnknown
	// EventSessionRegistered, EventSessionClosed: by their commands.
	EventSessionRegistered
	EventSessionClosed
	// EventSessionExpired: at least one session lived out its time.
	EventSessionExpired
	// EventSessionEvicted: at least one had to go for SessionsMax or
	// SessionBytesMax.
	EventSessionEvicted
	// EventBadCommand, EventTooLarge: the bytes were not taken.
	EventBadCommand
	EventTooLarge
)

// Machine is the state of the store. It has one owner: no two of its methods
// may run at the same time, Query included; what Snapshot returns has an owner
// of its own.
type Machine struct {
	limits Limits

	// The state. Trees share nodes, records and sessions with snapshots and
	// clones; only what bears owner may be changed in place.
	index    uint64 // of the last entry applied
	time     uint64 // log time of the last command that was one, ticks
	revision uint64
	records  *btree.BTreeG[*record]
	keySum   uint64 // sum of the records' digests
	table    sessionTable
	owner    *owner

	// Of the command at hand.
	events  Event
	changed bool // a key was; the revision has not grown yet
	inTxn   bool // records replaced go to undo
	undo    []undo

	// Room that is used again.
	command      Command
	reply        Reply
	lower, upper record // what trees are searched with
	bound        []byte
	doomed       []*record
}

// owner tells whose a record or a session is, by address: each machine has
// one, and takes a fresh one whenever a snapshot or clone begins to share what
// it owned up to then.
type owner struct{ _ byte }

// record is a key that exists. It may be changed in place by the machine that
// owns it, and is otherwise never changed.
type record struct {
	key     []byte // never changed, even by the owner
	value   []byte
	version uint64
	digest  uint64 // recordDigest of the three above
	owner   *owner
}

// undo is what one write of a transaction replaced: old is nil if key did not
// exist.
type undo struct {
	key []byte
	old *record
}

// treeDegree makes nodes of up to 31 pointers: a copy-on-write copies little,
// and a few thousand keys still are three levels.
const treeDegree = 16

func recordLess(a, b *record) bool { return bytes.Compare(a.key, b.key) < 0 }

// New returns an empty store at revision 0.
func New(limits Limits) *Machine {
	if limits.SessionsMax == 0 {
		panic("kv: Limits.SessionsMax is 0")
	}
	return &Machine{
		limits:  limits,
		records: btree.NewG(treeDegree, recordLess),
		table:   newSessionTable(),
		owner:   new(owner),
	}
}

// Limits are those given to New.
func (m *Machine) Limits() Limits { return m.limits }

// Index is that of the last entry applied.
func (m *Machine) Index() uint64 { return m.index }

// Time is the log time of the last command, in ticks.
func (m *Machine) Time() uint64 { return m.time }

// Revision of the store.
func (m *Machine) Revision() uint64 { return m.revision }

// Len is how many keys exist.
func (m *Machine) Len() int { return m.records.Len() }

// Sessions is how many sessions there are.
func (m *Machine) Sessions() int { return m.table.byID.Len() }

// Events says what the last Apply or Query did.
func (m *Machine) Events() Event { return m.events }

// Apply applies the command at a position of the log, and appends its encoded
// reply to reply. Both slices are the caller's; the machine copies what it
// keeps of the command. Index grows from call to call, time, the log time in
// ticks, never goes back: anything else means that an entry is applied twice
// or out of order, and panics.
//
// Bytes that are not a command change nothing but Index.
func (m *Machine) Apply(index, time uint64, command, reply []byte) []byte {
	if index <= m.index || time < m.time {
		m.panicOrder(index, time)
	}
	m.index = index
	m.begin()
	c := &m.command
	if err := DecodeCommand(command, c); err != nil {
		m.refuse(err)
		return AppendReply(reply, &m.reply)
	}
	m.time = time
	m.expireSessions()
	switch {
	case c.Op == OpRegister:
		m.register()
	case c.Op == OpCloseSession:
		m.closeSession(c.Session)
	case c.Session != 0:
		return m.applyInSession(c, reply)
	default:
		m.execute(c)
	}
	return AppendReply(reply, &m.reply)
}

func (m *Machine) panicOrder(index, time uint64) {
	panic(fmt.Sprintf("kv: entry at index %d, log time %d applied after index %d, log time %d",
		index, time, m.index, m.time))
}

// begin forgets the command before.
func (m *Machine) begin() {
	m.events = 0
	items := m.reply.Items
	clear(items) // they would keep alive what was deleted since
	m.reply = Reply{Items: items[:0]}
}

// refuse answers bytes that are not a command within bounds.
func (m *Machine) refuse(err error) {
	if err == ErrTooLarge {
		m.reply.Status = StatusTooLarge
		m.events |= EventTooLarge
		return
	}
	m.reply.Status = StatusBadCommand
	m.events |= EventBadCommand
}

// execute does a command that is no command about sessions, whoever sent it,
// and leaves its reply in m.reply.
func (m *Machine) execute(c *Command) {
	r := &m.reply
	r.Status = StatusOK
	switch c.Op {
	case OpGet:
		m.get(c.Key)
	case OpPut:
		m.put(m.find(c.Key), c.Key, c.Value)
	case OpDelete:
		if !m.remove(c.Key) {
			r.Status = StatusNotFound
		}
	case OpAppend:
		r.Status = m.append(c.Key, c.Value)
	case OpIncrement:
		r.Number, r.Status = m.increment(c.Key, c.Delta)
	case OpCompareAndSet:
		m.compareAndSet(c.Key, c.Version, c.Value)
	case OpPutIfAbsent:
		m.compareAndSet(c.Key, 0, c.Value)
	case OpScan, OpScanPrefix:
		m.scan(c)
	case OpDeleteRange:
		r.Count = m.removeRange(c.Key, c.End)
	case OpTxn:
		m.transaction(c)
	default:
		panic(fmt.Sprintf("kv: execute of %v, which the decoder let through", c.Op))
	}
	if m.changed {
		m.changed = false
		m.revision++
		r.Version = m.revision
		m.events |= EventChanged
	}
}

// find is the record of key, or nil.
func (m *Machine) find(key []byte) *record {
	m.lower.key = key
	r, _ := m.records.Get(&m.lower)
	return r
}

// put sets key, whose record is r, to value.
func (m *Machine) put(r *record, key, value []byte) {
	w := m.writable(r, key)
	w.value = refill(w.value, value)
	m.seal(w)
}

// writable is a record of key in the tree, in place of r (nil if key does not
// exist), that may be changed now. It is r itself if this machine owns it;
// otherwise it has no value yet. Once its value is in place it is sealed.
func (m *Machine) writable(r *record, key []byte) *record {
	if r != nil {
		m.keySum -= r.digest
		if r.owner == m.owner && !m.inTxn {
			return r
		}
		key = r.key
	} else {
		key = bytes.Clone(key)
	}
	w := &record{key: key, owner: m.owner}
	m.records.ReplaceOrInsert(w)
	if m.inTxn {
		m.undo = append(m.undo, undo{key: key, old: r})
	}
	return w
}

// seal ends a change that writable began.
func (m *Machine) seal(w *record) {
	w.version = m.revision + 1
	w.digest = recordDigest(w.key, w.value, w.version)
	m.keySum += w.digest
	m.changed = true
}

// refill is b with src for its content, in the same place unless that is too
// small, or so large that keeping it would be waste.
func refill(b, src []byte) []byte {
	if cap(b) > 2*len(src)+256 {
		b = nil
	}
	return append(b[:0], src...)
}

// remove says whether key existed.
func (m *Machine) remove(key []byte) bool {
	m.lower.key = key
	old, ok := m.records.Delete(&m.lower)
	if !ok {
		return false
	}
	m.keySum -= old.digest
	m.changed = true
	if m.inTxn {
		m.undo = append(m.undo, undo{key: old.key, old: old})
	}
	return true
}

func (m *Machine) append(key, suffix []byte) Status {
	r := m.find(key)
	var old []byte
	if r != nil {
		old = r.value
	}
	if len(old)+len(suffix) > ValueBytesMax {
		return StatusTooLarge
	}
	w := m.writable(r, key)
	if w == r {
		w.value = append(w.value, suffix...)
	} else {
		w.value = append(append(make([]byte, 0, len(old)+len(suffix)), old...), suffix...)
	}
	m.seal(w)
	return StatusOK
}

// numberBytesMax is the length of the smallest int64 in decimal.
const numberBytesMax = 20

func (m *Machine) increment(key []byte, delta int64) (int64, Status) {
	r := m.find(key)
	var n int64
	if r != nil {
		if len(r.value) > numberBytesMax {
			return 0, StatusNotNumber
		}
		var err error
		if n, err = strconv.ParseInt(string(r.value), 10, 64); err != nil {
			return 0, StatusNotNumber
		}
	}
	sum := n + delta
	if delta > 0 && sum < n || delta < 0 && sum > n {
		return 0, StatusOverflow
	}
	w := m.writable(r, key)
	w.value = strconv.AppendInt(w.value[:0], sum, 10)
	m.seal(w)
	return sum, StatusOK
}

func (m *Machine) compareAndSet(key []byte, version uint64, value []byte) {
	r := m.find(key)
	if versionOf(r) != version {
		m.conflict(r)
		m.events |= EventConflict
		return
	}
	m.put(r, key, value)
}

// versionOf is 0 for no record.
func versionOf(r *record) uint64 {
	if r == nil {
		return 0
	}
	return r.version
}

// conflict answers that r, nil if there is none, was not as the client wants.
func (m *Machine) conflict(r *record) {
	m.reply.Status = StatusConflict
	if r != nil {
		m.reply.Version, m.reply.Value = r.version, r.value
	}
}

// doomedKeep is how many places of doomed are kept for the next time: one large
// range must not stay in memory for ever.
const doomedKeep = 4096

// removeRange says how many keys it removed.
func (m *Machine) removeRange(from, end []byte) uint64 {
	m.doomed = m.doomed[:0]
	m.ascend(from, end, func(r *record) bool {
		m.doomed = append(m.doomed, r)
		return true
	})
	for _, r := range m.doomed {
		m.remove(r.key)
	}
	n := uint64(len(m.doomed))
	clear(m.doomed)
	if cap(m.doomed) > doomedKeep {
		m.doomed = nil
	}
	return n
}

// ascend visits the records from from, included, to end, excluded; an empty
// end is no bound.
func (m *Machine) ascend(from, end []byte, visit btree.ItemIteratorG[*record]) {
	m.lower.key, m.upper.key = from, end
	if len(end) == 0 {
		m.records.AscendGreaterOrEqual(&m.lower, visit)
		return
	}
	m.records.AscendRange(&m.lower, &m.upper, visit)
}

// descend visits the same records the other way round.
func (m *Machine) descend(from, end []byte, visit btree.ItemIteratorG[*record]) {
	within := func(r *record) bool {
		if bytes.Compare(r.key, from) < 0 {
			return false
		}
		if len(end) != 0 && bytes.Equal(r.key, end) {
			return true
		}
		return visit(r)
	}
	if len(end) == 0 {
		m.records.Descend(within)
		return
	}
	m.upper.key = end
	m.records.DescendLessOrEqual(&m.upper, within)
}

// Clone is a machine with the same state, independent of m. It takes about as
// long as Snapshot.
func (m *Machine) Clone() *Machine {
	m.owner = new(owner)
	return &Machine{
		limits:   m.limits,
		index:    m.index,
		time:     m.time,
		revision: m.revision,
		records:  m.records.Clone(),
		keySum:   m.keySum,
		table:    m.table.clone(),
		owner:    new(owner),
		events:   m.events,
	}
}
