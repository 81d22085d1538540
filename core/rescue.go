package core

import (
	"fmt"
	"slices"
)

// rescueTerms is how many terms a rescue skips: those who are lost may have led
// some that the rescued replica never heard of, and have left entries there.
const rescueTerms = 1 << 16

// Rescue is the way out when a majority of the voters is lost for good: it
// makes the entry, and the hard state along with it, that have voters alone
// decide from now on. To be done on one replica, the one of the survivors whose
// log is the most up to date, while none of them runs; it leads the others to
// what it has.
//
// It is unsafe by nature. What was acknowledged by a majority that the survivors
// are not part of may be lost, and should any of the others come back, there
// will be two clusters.
func Rescue(st *State, voters []ReplicaID) (Entry, HardState, error) {
	if err := checkState(st); err != nil {
		return Entry{}, HardState{}, err
	}
	r, err := New(Config{ID: 1, ElectionTicks: 3, HeartbeatTicks: 1, Limits: DefaultLimits()}, *st)
	if err != nil {
		return Entry{}, HardState{}, err
	}
	before := r.members()
	c := Configuration{
		EntryID: EntryID{Term: r.term + rescueTerms, Index: r.log.lastIndex() + 1},
		Voters:  slices.Compact(slices.Sorted(slices.Values(voters))),
		Highest: before.HighestID(),
	}
	for _, id := range c.Voters {
		if !before.Has(id) {
			return Entry{}, HardState{}, fmt.Errorf("%w: replica %d is no member", ErrState, id)
		}
		if m := before.Member(id); m.Address != "" || m.Priority != 0 {
			c.Members = append(c.Members, m)
		}
	}
	if r.term > termMax-rescueTerms {
		return Entry{}, HardState{}, fmt.Errorf("%w: in term %d", ErrState, r.term)
	}
	if err := c.Check(); err != nil {
		return Entry{}, HardState{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	e := Entry{
		EntryID: c.EntryID,
		Kind:    EntryConfiguration,
		Time:    r.log.lastTime(),
		Data:    c.Append(nil),
	}
	e.Digest = e.Chain(r.log.lastDigest())
	return e, HardState{Term: e.Term, Commit: st.HardState.Commit}, nil
}
