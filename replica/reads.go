package replica

import "github.com/seaworthy-raft/seaworthy/core"

// readTag marks the tags that the core sees for reads, so that its refusals
// can be told apart: the other bits are a slot.
const readTag = 1 << 63

// reads is who waits for which read.
//
//	Read -> waiting -> Ready.Reads -> confirmed -> a TaskQuery -> answered
//	           \-> Ready.Refusals -> answered
//
// A confirmed read knows the index that the state machine must have applied
// before its query may run. Those indexes only grow from one confirmation to
// the next, so reads are answered in the order in which they were confirmed,
// and only the first is ever looked at. Should a leader that follows no protocol
// name one too high, the reads after it wait until it is overdue.
type reads struct {
	slots     []read
	free      []uint32
	confirmed ring[uint32]
	bytes     uint64 // of the queries
	ticks     uint64 // that have passed
}

type readState uint8

const (
	readFree readState = iota
	readWaiting
	readConfirmed
)

type read struct {
	state readState
	tag   uint64
	query []byte
	// barrier: there is no query, and no reply.
	barrier bool
	index   core.Index
	since   uint64 // ticks, when it was confirmed
}

// len is how many reads wait.
func (rs *reads) len() int { return len(rs.slots) - len(rs.free) }

// add notes a read and returns the tag that the core is to know it by.
func (rs *reads) add(tag uint64, query []byte, barrier bool) uint64 {
	var s uint32
	if n := len(rs.free); n > 0 {
		s = rs.free[n-1]
		rs.free = rs.free[:n-1]
	} else {
		s = uint32(len(rs.slots))
		rs.slots = append(rs.slots, read{})
	}
	rs.slots[s] = read{state: readWaiting, tag: tag, query: query, barrier: barrier}
	rs.bytes += uint64(len(query))
	return readTag | uint64(s)
}

// confirm notes that the read of this tag may be answered once index has been
// applied.
func (rs *reads) confirm(coreTag uint64, index core.Index) {
	s := uint32(coreTag &^ readTag)
	r := &rs.slots[s]
	if r.state != readWaiting {
		panic("replica: a read was confirmed that does not wait")
	}
	r.state, r.index, r.since = readConfirmed, index, rs.ticks
	*rs.confirmed.push() = s
}

// remove forgets a read that waits for its confirmation, and returns the
// client's tag.
func (rs *reads) remove(coreTag uint64) uint64 {
	s := uint32(coreTag &^ readTag)
	if rs.slots[s].state != readWaiting {
		panic("replica: a read was refused that does not wait")
	}
	return rs.release(s)
}

func (rs *reads) release(s uint32) uint64 {
	r := &rs.slots[s]
	tag := r.tag
	rs.bytes -= uint64(len(r.query))
	*r = read{}
	rs.free = append(rs.free, s)
	return tag
}

// ripe says whether the first of the confirmed reads can be answered from a
// state that has applied up to index.
func (rs *reads) ripe(index core.Index) bool {
	return rs.confirmed.len() > 0 && rs.slots[*rs.confirmed.front()].index <= index
}

// takeRipe moves all that are ripe to the waiters of a task.
func (rs *reads) takeRipe(index core.Index, to []waiter) []waiter {
	for rs.ripe(index) {
		s := *rs.confirmed.pop()
		w := waiter{query: rs.slots[s].query, barrier: rs.slots[s].barrier}
		w.tag = rs.release(s)
		to = append(to, w)
	}
	return to
}

// deadline is after how many ticks the first of them is overdue, if any can be.
func (rs *reads) deadline(ticksMax uint64) (ticks uint64, waits bool) {
	if rs.confirmed.len() == 0 {
		return 0, false
	}
	since := rs.ticks - rs.slots[*rs.confirmed.front()].since
	return ticksMax - min(since, ticksMax-1), true
}

// overdue removes a read that was confirmed ticksMax ticks ago and still can
// not be answered, and returns the client's tag.
func (rs *reads) overdue(ticksMax uint64) (tag uint64, ok bool) {
	if rs.confirmed.len() == 0 || rs.ticks-rs.slots[*rs.confirmed.front()].since < ticksMax {
		return 0, false
	}
	return rs.release(*rs.confirmed.pop()), true
}
