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
// before its query may run.
type reads struct {
	slots     []read
	free      []uint32
	confirmed []uint32 // in the order in which they were confirmed
	bytes     uint64   // of the queries
	ticks     uint64   // that have passed
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
	rs.confirmed = append(rs.confirmed, s)
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

// ripe says whether a confirmed read can be answered from a state that has
// applied up to index.
func (rs *reads) ripe(index core.Index) bool {
	for _, s := range rs.confirmed {
		if rs.slots[s].index <= index {
			return true
		}
	}
	return false
}

// takeRipe moves all such reads to the waiters of a task.
func (rs *reads) takeRipe(index core.Index, to []waiter) []waiter {
	rest := rs.confirmed[:0]
	for _, s := range rs.confirmed {
		r := &rs.slots[s]
		if r.index > index {
			rest = append(rest, s)
			continue
		}
		w := waiter{query: r.query, barrier: r.barrier}
		w.tag = rs.release(s)
		to = append(to, w)
	}
	rs.confirmed = rest
	return to
}

// deadline is after how many ticks the first of them is overdue, if any can be.
func (rs *reads) deadline(ticksMax uint64) (ticks uint64, waits bool) {
	if len(rs.confirmed) == 0 {
		return 0, false
	}
	since := rs.ticks - rs.slots[rs.confirmed[0]].since
	return ticksMax - min(since, ticksMax-1), true
}

// overdue removes a read that was confirmed ticksMax ticks ago and still can
// not be answered, and returns the client's tag.
func (rs *reads) overdue(ticksMax uint64) (tag uint64, ok bool) {
	if len(rs.confirmed) == 0 {
		return 0, false
	}
	s := rs.confirmed[0]
	if rs.ticks-rs.slots[s].since < ticksMax {
		return 0, false
	}
	rs.confirmed = rs.confirmed[:copy(rs.confirmed, rs.confirmed[1:])]
	return rs.release(s), true
}
