package quorum

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/ids"
	"pgregory.net/rapid"
)

// half draws a sorted set of voters, possibly empty.
func half(t *rapid.T, name string) []ids.ReplicaID {
	var set []ids.ReplicaID
	for id := ids.ReplicaID(1); id <= 7; id++ {
		if rapid.Bool().Draw(t, name) {
			set = append(set, id)
		}
	}
	return set
}

// The dumb second version: try every value and count.
func dumbReached(j Joint, at map[ids.ReplicaID]uint64) uint64 {
	best := uint64(0)
	for candidate := uint64(0); candidate <= 10; candidate++ {
		ok := true
		for _, set := range [][]ids.ReplicaID{j.Incoming, j.Outgoing} {
			n := 0
			for _, id := range set {
				if at[id] >= candidate {
					n++
				}
			}
			if len(set) > 0 && 2*n <= len(set) {
				ok = false
			}
		}
		if ok {
			best = candidate
		}
	}
	return best
}

func TestReachedAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := Joint{half(t, "incoming"), half(t, "outgoing")}
		at := map[ids.ReplicaID]uint64{}
		for id := ids.ReplicaID(1); id <= 7; id++ {
			at[id] = rapid.Uint64Range(0, 10).Draw(t, "value")
		}
		got := j.Reached(func(id ids.ReplicaID) uint64 { return at[id] })
		if len(j.Incoming)+len(j.Outgoing) == 0 {
			if got != ^uint64(0) {
				t.Fatalf("no voters: %d", got)
			}
			return
		}
		if want := dumbReached(j, at); got != want {
			t.Fatalf("%+v %v: got %d, want %d", j, at, got, want)
		}
	})
}

func TestTallyAgreesWithReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := Joint{half(t, "incoming"), half(t, "outgoing")}
		said := map[ids.ReplicaID]Ballot{}
		for id := ids.ReplicaID(1); id <= 7; id++ {
			said[id] = Ballot(rapid.IntRange(0, 2).Draw(t, "ballot"))
		}
		got := j.Tally(func(id ids.ReplicaID) Ballot { return said[id] })
		yes := func(missing uint64) bool {
			return j.Reached(func(id ids.ReplicaID) uint64 {
				switch said[id] {
				case BallotYes:
					return 1
				case BallotMissing:
					return missing
				default:
					return 0
				}
			}) >= 1
		}
		want := Pending
		if yes(0) {
			want = Won
		} else if !yes(1) {
			want = Lost
		}
		if got != want {
			t.Fatalf("%+v %v: got %d, want %d", j, said, got, want)
		}
	})
}

// Two quorums of one configuration always share a voter in each half: this is
// all that safety asks of this package.
func TestQuorumsMeet(t *testing.T) {
	for n := 1; n <= 7; n++ {
		voters := make([]ids.ReplicaID, n)
		for i := range voters {
			voters[i] = ids.ReplicaID(i + 1)
		}
		j := Joint{Incoming: voters}
		won := func(set int) bool {
			return j.Tally(func(id ids.ReplicaID) Ballot {
				if set>>(id-1)&1 == 1 {
					return BallotYes
				}
				return BallotNo
			}) == Won
		}
		for a := 0; a < 1<<n; a++ {
			if won(a) && won(^a&(1<<n-1)) {
				t.Fatalf("%d voters: %b and its complement both won", n, a)
			}
		}
	}
}

func TestHasAndAlone(t *testing.T) {
	j := Joint{Incoming: []ids.ReplicaID{2}, Outgoing: []ids.ReplicaID{2}}
	if !j.Has(2) || j.Has(1) || !j.Alone(2) {
		t.Fatalf("%+v", j)
	}
	j.Outgoing = []ids.ReplicaID{1, 2}
	if !j.Has(1) || j.Alone(2) {
		t.Fatalf("%+v", j)
	}
}
