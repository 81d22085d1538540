package kv

import (
	"bytes"

	"github.com/google/btree"
)

// session is one client's place in the table. It may be changed in place by
// the machine that owns it, and is otherwise never changed.
type session struct {
	id     uint64 // index of the entry that registered it
	serial uint64 // the last applied; 0: none yet
	active uint64 // log time of its last command, whatever the answer, ticks
	reply  []byte // to serial, encoded; empty exactly if serial is 0
	digest uint64 // sessionDigest of the four above
	listed uint64 // what sessionTable.byActive has for it: active, or earlier
	owner  *owner
}

// sessionTable has every session, in two orders. byActive is there to find the
// one that was active least recently. To keep it exact would cost each command
// two changes of a tree; so it may lag behind: what it has for a session is
// never later than the truth, and put right when it comes to the front. Which
// session is found does not depend on how far it lags.
type sessionTable struct {
	byID     *btree.BTreeG[*session]
	byActive *btree.BTreeG[listing]
	bytes    uint64 // of all replies
	sum      uint64 // of the sessions' digests
	probe    session
}

// listing is a session's place in the order of who is to go first: by log time
// of the last activity, then by id.
type listing struct {
	active uint64
	id     uint64
}

func sessionLess(a, b *session) bool { return a.id < b.id }

func listingLess(a, b listing) bool {
	return a.active < b.active || a.active == b.active && a.id < b.id
}

func newSessionTable() sessionTable {
	return sessionTable{
		byID:     btree.NewG(treeDegree, sessionLess),
		byActive: btree.NewG(treeDegree, listingLess),
	}
}

// clone shares the sessions: the caller sees to it that nobody owns them.
func (t *sessionTable) clone() sessionTable {
	return sessionTable{byID: t.byID.Clone(), byActive: t.byActive.Clone(), bytes: t.bytes, sum: t.sum}
}

// find is the session of that id, or nil.
func (t *sessionTable) find(id uint64) *session {
	t.probe.id = id
	s, _ := t.byID.Get(&t.probe)
	return s
}

// add takes in a session that is complete but for its digest.
func (t *sessionTable) add(s *session) {
	s.listed = s.active
	s.digest = sessionDigest(s)
	t.byID.ReplaceOrInsert(s)
	t.byActive.ReplaceOrInsert(listing{s.active, s.id})
	t.bytes += uint64(len(s.reply))
	t.sum += s.digest
}

func (t *sessionTable) remove(s *session) {
	t.byID.Delete(s)
	t.byActive.Delete(listing{s.listed, s.id})
	t.bytes -= uint64(len(s.reply))
	t.sum -= s.digest
}

// writable is s, or a copy in its place, that o may change.
func (t *sessionTable) writable(s *session, o *owner) *session {
	if s.owner == o {
		return s
	}
	w := *s
	w.owner = o
	w.reply = bytes.Clone(s.reply)
	t.byID.ReplaceOrInsert(&w)
	return &w
}

// oldest is the session that was active least recently, or nil if there is
// none.
func (t *sessionTable) oldest(o *owner) *session {
	for {
		l, ok := t.byActive.Min()
		if !ok {
			return nil
		}
		s := t.find(l.id)
		if s.active == l.active {
			return s
		}
		t.byActive.DeleteMin()
		s = t.writable(s, o)
		s.listed = s.active
		t.byActive.ReplaceOrInsert(listing{s.active, s.id})
	}
}

// expireSessions forgets the sessions that were without a command for more
// than SessionTicks. It runs before each command, so that no command meets a
// session that another replica has already forgotten.
func (m *Machine) expireSessions() {
	for {
		l, ok := m.table.byActive.Min()
		if !ok || m.time-l.active <= m.limits.SessionTicks {
			return // nearly always; the truth is no earlier than what is listed
		}
		s := m.table.oldest(m.owner)
		if m.time-s.active <= m.limits.SessionTicks {
			return
		}
		m.table.remove(s)
		m.events |= EventSessionExpired
	}
}

func (m *Machine) register() {
	for uint64(m.table.byID.Len()) >= m.limits.SessionsMax {
		m.table.remove(m.table.oldest(m.owner))
		m.events |= EventSessionEvicted
	}
	m.table.add(&session{id: m.index, active: m.time, owner: m.owner})
	m.reply.Status, m.reply.Session = StatusOK, m.index
	m.events |= EventSessionRegistered
}

func (m *Machine) closeSession(id uint64) {
	s := m.table.find(id)
	if s == nil {
		m.reply.Status = StatusSessionUnknown
		m.events |= EventSessionUnknown
		return
	}
	m.table.remove(s)
	m.reply.Status = StatusOK
	m.events |= EventSessionClosed
}

// applyInSession applies c unless its session has seen it, and appends the
// encoded reply. The reply is kept as bytes, whatever its status: a failure is
// as much a result as a success, and a retry gets the same.
func (m *Machine) applyInSession(c *Command, reply []byte) []byte {
	t := &m.table
	s := t.find(c.Session)
	if s == nil {
		m.reply.Status = StatusSessionUnknown
		m.events |= EventSessionUnknown
		return AppendReply(reply, &m.reply)
	}
	s = t.writable(s, m.owner)
	t.sum -= s.digest
	s.active = m.time
	switch {
	case c.Serial > s.serial:
		if c.Serial > s.serial+1 {
			m.events |= EventSerialGap
		}
		m.execute(c)
		start := len(reply)
		reply = AppendReply(reply, &m.reply)
		t.bytes += uint64(len(reply)-start) - uint64(len(s.reply))
		s.reply = refill(s.reply, reply[start:])
		s.serial = c.Serial
		if t.bytes > m.limits.SessionBytesMax {
			m.evictForBytes(s)
		}
	case c.Serial == s.serial:
		reply = append(reply, s.reply...)
		m.events |= EventRetryAnswered
	default:
		m.reply.Status = StatusSerialOld
		m.events |= EventSerialOld
		reply = AppendReply(reply, &m.reply)
	}
	s.digest = sessionDigest(s)
	t.sum += s.digest
	return reply
}

// evictForBytes forgets the sessions that were active least recently until the
// replies fit, all but keep, which has just been answered.
func (m *Machine) evictForBytes(keep *session) {
	t := &m.table
	t.byActive.Delete(listing{keep.listed, keep.id})
	for t.bytes > m.limits.SessionBytesMax {
		s := t.oldest(m.owner)
		if s == nil {
			break
		}
		t.remove(s)
		m.events |= EventSessionEvicted
	}
	keep.listed = keep.active
	t.byActive.ReplaceOrInsert(listing{keep.active, keep.id})
}
