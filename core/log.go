package core

import (
	"fmt"
	"sort"
)

// raftLog is the log since the last compaction, all of it in memory.
//
//	base            handed                     last
//	 │    applied     │     commit    persisted  │
//	 ▼       ▼        ▼       ▼          ▼       ▼
//	─┴───────┴────────┴───────┴──────────┴───────┘
//	 base <= applied <= handed <= commit <= last, base <= persisted <= last
//
// Commit and persisted are independent of each other: a quorum of others may
// have made an entry durable before this replica has.
type raftLog struct {
	// base is the position before entries[0]: the last entry compacted away.
	base       EntryID
	baseDigest uint64
	baseTime   uint64
	// entries[i] has index base.Index+1+i. A slot is emptied when its entry is
	// truncated, or compacted and applied, so a slice of committed entries stays
	// valid for whoever applies it.
	entries []Entry
	// vacant slots lie before entries[0] in the same memory, emptied by
	// compactions.
	vacant int
	// coveredBytes are those of the entries up to coveredIndex, which snapshots
	// cover.
	coveredIndex Index
	coveredBytes uint64
	// acceptTerm is the term in which the log changed last. Within one such term
	// the log only grows; see LogMark.
	acceptTerm Term

	persistedIndex Index
	commitIndex    Index
	handedIndex    Index // handed out to be applied
	appliedIndex   Index
	// unappliedBytes are those of the entries behind appliedIndex.
	unappliedBytes uint64
}

func (l *raftLog) lastIndex() Index { return l.base.Index + Index(len(l.entries)) }

func (l *raftLog) last() EntryID {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].EntryID
	}
	return l.base
}

func (l *raftLog) lastDigest() uint64 {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].Digest
	}
	return l.baseDigest
}

func (l *raftLog) lastTime() uint64 {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].Time
	}
	return l.baseTime
}

func (l *raftLog) mark() LogMark { return LogMark{l.acceptTerm, l.lastIndex()} }

// at is the entry at i, or nil when i is compacted or beyond the end.
func (l *raftLog) at(i Index) *Entry {
	if i <= l.base.Index || i > l.lastIndex() {
		return nil
	}
	return &l.entries[i-l.base.Index-1]
}

// position is the term and digest at i, known from the base to the end.
func (l *raftLog) position(i Index) (term Term, chain uint64, ok bool) {
	if i == l.base.Index {
		return l.base.Term, l.baseDigest, true
	}
	if e := l.at(i); e != nil {
		return e.Term, e.Digest, true
	}
	return 0, 0, false
}

func (l *raftLog) matches(id EntryID) bool {
	term, _, ok := l.position(id.Index)
	return ok && term == id.Term
}

// page is the entries from lo to hi, cut before the one that would exceed
// bytesMax, but never empty if lo <= hi.
func (l *raftLog) page(lo, hi Index, bytesMax uint64) (entries []Entry, bytes uint64) {
	if lo > hi {
		return nil, 0
	}
	all := l.entries[lo-l.base.Index-1 : hi-l.base.Index]
	n := 0
	for n < len(all) {
		b := all[n].Bytes()
		if n > 0 && bytes+b > bytesMax {
			break
		}
		bytes += b
		n++
	}
	return all[:n:n], bytes
}

// forgetUnapplied no longer counts the entries up to i, which are about to be
// applied.
func (l *raftLog) forgetUnapplied(i Index) {
	for j := max(l.appliedIndex, l.base.Index) + 1; j <= min(i, l.lastIndex()); j++ {
		l.unappliedBytes -= l.at(j).Bytes()
	}
}

// append adds e, which must follow the last entry, accepted in term.
func (l *raftLog) append(e Entry, term Term) {
	if e.Index != l.lastIndex()+1 || e.Term < l.last().Term {
		panic(fmt.Sprintf("core: append of %v behind %v", e.EntryID, l.last()))
	}
	if len(l.entries) == cap(l.entries) {
		l.vacant = 0 // the entries move to larger memory
	}
	l.entries = append(l.entries, e)
	l.unappliedBytes += e.Bytes()
	l.acceptTerm = term
}

// truncate drops the entries from i on, which must not be committed, in term.
// Perhaps nothing follows in this step: what was on its way to the disk until
// now must not count even so.
func (l *raftLog) truncate(from Index, term Term) {
	if from <= l.commitIndex {
		panic(fmt.Sprintf("core: truncation from %d with commit at %d", from, l.commitIndex))
	}
	n := from - l.base.Index - 1
	for i := range l.entries[n:] {
		l.unappliedBytes -= l.entries[int(n)+i].Bytes()
	}
	clear(l.entries[n:]) // and let go of their data
	l.entries = l.entries[:n]
	l.acceptTerm = term
	l.persistedIndex = min(l.persistedIndex, from-1)
}

// cover counts the entries up to i as covered by a snapshot. They must be
// applied.
func (l *raftLog) cover(i Index) {
	for j := max(l.coveredIndex, l.base.Index) + 1; j <= i; j++ {
		l.coveredBytes += l.at(j).Bytes()
	}
	l.coveredIndex = max(l.coveredIndex, i)
}

// compact drops the entries up to i. Nothing keeps their data alive after that:
// their slots are emptied, or, when those are as many as the entries that stay,
// the latter move to memory of their own. Either costs no more than what is
// dropped. Entries that are not applied yet stay as they are for whoever
// applies them.
func (l *raftLog) compact(to Index) {
	if to <= l.base.Index {
		return
	}
	e := l.at(to)
	if e == nil {
		panic(fmt.Sprintf("core: compaction up to %d of a log that ends at %d", to, l.lastIndex()))
	}
	l.forgetUnapplied(to)
	n := int(to - l.base.Index)
	dropped, rest := l.entries[:n], l.entries[n:]
	for i := range dropped {
		if dropped[i].Index <= l.coveredIndex {
			l.coveredBytes -= dropped[i].Bytes()
		}
	}
	l.base, l.baseDigest, l.baseTime = e.EntryID, e.Digest, e.Time
	if l.vacant += n; l.vacant >= len(rest) || to > l.appliedIndex {
		l.entries = append(make([]Entry, 0, len(rest)+len(rest)/2+16), rest...)
		l.vacant = 0
	} else {
		clear(dropped)
		l.entries = rest
	}
	l.persistedIndex = max(l.persistedIndex, to)
}

// reset drops everything and starts behind the snapshot s, installed in term.
func (l *raftLog) reset(s *Snapshot, term Term) {
	l.base, l.baseDigest, l.baseTime = s.EntryID, s.Digest, s.Time
	l.entries, l.vacant = nil, 0
	l.unappliedBytes, l.coveredBytes = 0, 0
	l.acceptTerm = term
	l.persistedIndex = s.Index
}

// conflict is the last position at or before id that may match a log in which
// id does not: the terms of a log only grow, so whatever lies behind it and
// has a term above id's is known to differ. Each use skips a whole term on one
// side or the other (paper §5.3). Below the base nothing is known, and id
// itself, or the base, comes back.
func (l *raftLog) conflict(id EntryID) EntryID {
	if id.Index < l.base.Index {
		return id
	}
	n := int(min(id.Index, l.lastIndex()) - l.base.Index)
	n = sort.Search(n, func(i int) bool { return l.entries[i].Term > id.Term })
	i := l.base.Index + Index(n)
	term, _, _ := l.position(i)
	return EntryID{Term: term, Index: i}
}
