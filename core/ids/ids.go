// Package ids holds the names that everything in a cluster is called by. Each
// is a type of its own, so that a term can never be passed for an index.
package ids

import "fmt"

// Term is a period of at most one leader (dissertation §3.3). Terms start at
// 1; zero means "none".
type Term uint64

// Index is a position in the log. The first entry has index 1; zero is the
// position before it.
type Index uint64

// ReplicaID names one replica for ever. It is never zero and never used again
// once its replica has been removed or has lost its disk.
type ReplicaID uint64

// ClusterID names a cluster. A message of another cluster is refused.
type ClusterID uint64

// Boot counts the starts of one replica. Storage increments and syncs it
// before the replica says its first word, so two incarnations of a replica
// never share one.
type Boot uint64

// EntryID names an entry: at most one entry in the history of a cluster has
// it, because a term has one leader and a leader appends only
// (dissertation §3.5).
type EntryID struct {
	Term  Term
	Index Index
}

// UpToDate says whether a log that ends in id may lead a voter whose log ends
// in other: the later term wins, then the longer log (dissertation §3.6.1).
func (id EntryID) UpToDate(other EntryID) bool {
	if id.Term != other.Term {
		return id.Term > other.Term
	}
	return id.Index >= other.Index
}

func (id EntryID) String() string { return fmt.Sprintf("%d@%d", id.Index, id.Term) }

// ReadID names a read index request. The counter starts again with each boot,
// so the boot is part of the name: an answer meant for an earlier incarnation
// can never be taken for an answer to this one.
type ReadID struct {
	Replica ReplicaID
	Boot    Boot
	Counter uint64
}

// After says whether id was asked after other, by the same replica.
func (id ReadID) After(other ReadID) bool {
	if id.Boot != other.Boot {
		return id.Boot > other.Boot
	}
	return id.Counter > other.Counter
}
