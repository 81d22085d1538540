// Package quorum decides what enough members agree on: pure arithmetic over
// one majority, or over two when a configuration is joint (dissertation §4.3).
//
// An empty set of voters agrees to everything, so that a configuration that is
// not joint needs no special case: its outgoing half is empty. A
// configuration whose both halves are empty must not exist; core refuses it.
package quorum

import "github.com/seaworthy-raft/seaworthy/core/ids"

// VotersMax bounds each half of a configuration.
const VotersMax = 32

// Joint is the two halves. Each is sorted and without repeats; Outgoing is
// empty unless the configuration is joint.
type Joint struct {
	Incoming []ids.ReplicaID
	Outgoing []ids.ReplicaID
}

// Ballot is what one voter has said.
type Ballot uint8

const (
	BallotMissing Ballot = iota
	BallotYes
	BallotNo
)

// Outcome is what the ballots amount to.
type Outcome uint8

const (
	Pending Outcome = iota
	Won
	Lost
)

// Majority is how many of n voters are a majority.
func Majority(n int) int { return n/2 + 1 }

// Reached is the greatest value that a quorum has reached: every majority of
// it is at or beyond that value.
func (j Joint) Reached(value func(ids.ReplicaID) uint64) uint64 {
	return min(reached(j.Incoming, value), reached(j.Outgoing, value))
}

func reached(voters []ids.ReplicaID, value func(ids.ReplicaID) uint64) uint64 {
	if len(voters) == 0 {
		return ^uint64(0)
	}
	var sorted [VotersMax]uint64 // descending
	for n, id := range voters {
		v := value(id)
		i := n
		for ; i > 0 && sorted[i-1] < v; i-- {
			sorted[i] = sorted[i-1]
		}
		sorted[i] = v
	}
	return sorted[Majority(len(voters))-1]
}

// Tally counts a vote. It is lost as soon as it can not be won any more.
func (j Joint) Tally(ballot func(ids.ReplicaID) Ballot) Outcome {
	in, out := tally(j.Incoming, ballot), tally(j.Outgoing, ballot)
	switch {
	case in == Lost || out == Lost:
		return Lost
	case in == Won && out == Won:
		return Won
	default:
		return Pending
	}
}

func tally(voters []ids.ReplicaID, ballot func(ids.ReplicaID) Ballot) Outcome {
	if len(voters) == 0 {
		return Won
	}
	var yes, missing int
	for _, id := range voters {
		switch ballot(id) {
		case BallotYes:
			yes++
		case BallotMissing:
			missing++
		}
	}
	switch need := Majority(len(voters)); {
	case yes >= need:
		return Won
	case yes+missing < need:
		return Lost
	default:
		return Pending
	}
}

// Has says whether id votes in either half.
func (j Joint) Has(id ids.ReplicaID) bool {
	return contains(j.Incoming, id) || contains(j.Outgoing, id)
}

// Alone says whether id is the only voter.
func (j Joint) Alone(id ids.ReplicaID) bool {
	return len(j.Incoming) == 1 && j.Incoming[0] == id &&
		(len(j.Outgoing) == 0 || len(j.Outgoing) == 1 && j.Outgoing[0] == id)
}

func contains(set []ids.ReplicaID, id ids.ReplicaID) bool {
	for _, v := range set {
		if v == id {
			return true
		}
	}
	return false
}
