package replica

import "github.com/seaworthy-raft/seaworthy/core"

// pending is who waits for which entry: proposals that this replica, while it
// led, put into its log, and that have not been handed to the state machine.
//
//	index    7       8        9       12
//	        tag a   tag b    tag c   tag d      (10 and 11: nobody waits)
//	         ^ the next one to be committed
//
// All were accepted in one term, because who loses the leadership gives up all
// of them, and in the order of their indexes.
type pending struct {
	queue ring[proposal]
}

type proposal struct {
	id  core.EntryID
	tag uint64
}

// add notes that tag waits for the entry id.
func (p *pending) add(id core.EntryID, tag uint64) {
	s := p.queue.push()
	s.id, s.tag = id, tag
}

// take removes the waiter of the entry id and returns its tag. Waiters of
// entries before it, or of another entry at the same index, stay in front:
// overtaken says so.
func (p *pending) take(id core.EntryID) (tag uint64, waits, overtaken bool) {
	if p.queue.len() == 0 {
		return 0, false, false
	}
	f := p.queue.front()
	if f.id == id {
		return p.queue.pop().tag, true, false
	}
	return 0, false, f.id.Index <= id.Index
}
