package sim

import (
	"github.com/seaworthy-raft/seaworthy/core"
)

// The checker's books: what was once true in a run and must stay so for ever.
// They only grow, whatever crashes. What is asked for with every event stands
// in slices by index or by term.

// termBook is what is known of each term. It is indexed by term.
type termBook []termPage

type termPage struct {
	leader     uint8 // 1 + position of the replica that led it; zero: nobody
	candidates uint64
	asked      uint64 // whom the leader has asked to take over, as bits by position
	// elected is where the leader's log ended when it was seen to lead.
	elected core.Index
}

// at is the page of a term that need not be known yet.
func (b termBook) at(t core.Term) termPage {
	if t < core.Term(len(b)) {
		return b[t]
	}
	return termPage{}
}

// page is the page of t, to be written.
func (b *termBook) page(t core.Term) *termPage {
	for core.Term(len(*b)) <= t {
		*b = append(*b, termPage{})
	}
	return &(*b)[t]
}

// entryBook is the chain digest of every entry that ever stood in a log.
// Nearly always, one entry stood at an index; the others are chained to it.
type entryBook struct {
	first []writtenEntry // by index
	more  []writtenEntry
}

type writtenEntry struct {
	term   core.Term // zero: none
	digest uint64
	next   uint32 // 1 + position in more of another entry at this index
	kind   core.EntryKind
}

func (b *entryBook) find(id core.EntryID) *writtenEntry {
	if id.Index >= core.Index(len(b.first)) {
		return nil
	}
	e := &b.first[id.Index]
	for e.term != id.Term {
		if e.next == 0 {
			return nil
		}
		e = &b.more[e.next-1]
	}
	return e
}

// add notes an entry that find does not find.
func (b *entryBook) add(id core.EntryID, digest uint64, kind core.EntryKind) {
	for core.Index(len(b.first)) <= id.Index {
		b.first = append(b.first, writtenEntry{})
	}
	e := &b.first[id.Index]
	if e.term == 0 {
		*e = writtenEntry{term: id.Term, digest: digest, kind: kind}
		return
	}
	b.more = append(b.more, writtenEntry{term: id.Term, digest: digest, kind: kind, next: e.next})
	e.next = uint32(len(b.more))
}

// exists says whether id names an entry that ever was, or the position before
// all of them.
func (b *entryBook) exists(id core.EntryID) bool {
	return id == core.EntryID{} || id.Term != 0 && b.find(id) != nil
}

// committedEntry is an entry that was seen committed, and what came of it when
// it was applied for the first time.
type committedEntry struct {
	term   core.Term
	digest uint64 // chain digest
	// seen is the term of the leader that committed it.
	seen core.Term
	kind core.EntryKind

	applied bool
	// gone: its command was not carried out, and not answered from the session
	// table either.
	gone bool
	// origin is the entry that it repeats; zero: it repeats none.
	origin  core.Index
	command uint64 // digest of the command
	reply   uint64 // digest of the reply
	state   uint64 // digest of the state machine behind it
}
