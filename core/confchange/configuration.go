// Package confchange is the arithmetic of membership: what a configuration is,
// which changes it allows, and through which configurations each of them goes
// (dissertation §4). It decides nothing about when.
//
//	                        ┌── one voter more or less ──────────────┐
//	          promotions    │                                        ▼
//	change ──► of learners ─┤                                  new configuration
//	           wait for     │                                        ▲
//	           catching up  └── any other ──► joint configuration ───┘
package confchange

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core/ids"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// LearnersMax bounds the learners, AddressBytesMax one member's address, and
// PlannedMax the operations that wait for learners to catch up.
const (
	LearnersMax     = 32
	AddressBytesMax = 255
	PlannedMax      = 96
)

// An id is never used again, and a new one lies above all that were used. So one
// member with the last id there is would end all adding for ever: a new id lies
// at most IDLeapMax above the highest one so far, and none lies above IDMax.
const (
	IDLeapMax = 1 << 32
	IDMax     = 1 << 62
)

// Configuration is a set of members. With Outgoing empty, a majority of
// Voters decides; otherwise it is joint, and a majority of each of the two
// decides (dissertation §4.3). Learners follow the log and decide nothing; one
// that is also in Outgoing votes until the joint configuration is left. The
// slices are sorted, without repeats, and never changed once shared.
type Configuration struct {
	// EntryID is that of the entry that brought it, and so its name: another leader
	// may bring another one at the same index. Zero: the cluster was founded with
	// it.
	ids.EntryID
	Voters   []ids.ReplicaID
	Outgoing []ids.ReplicaID
	Learners []ids.ReplicaID
	// Planned takes effect, all of it at once, when every learner that it
	// promotes has caught up. It is empty unless it promotes one.
	Planned []Planned
	// Members are those with an address or a priority, in order of id.
	Members []Member
	// Highest is at least the highest id that any configuration so far has had.
	// A new member's must be above it, so that no id is ever used again.
	Highest ids.ReplicaID
}

// Member is what is known about a member beside its part in decisions.
type Member struct {
	ID ids.ReplicaID
	// Priority: a leader hands over to a voter of a higher one that has caught
	// up with it.
	Priority uint8
	// Address is where its host can be reached, at most AddressBytesMax bytes
	// that mean nothing here.
	Address string
}

// Planned is what is to become of a member later: Promote, Demote or Remove.
type Planned struct {
	Kind OperationKind
	ID   ids.ReplicaID
}

// Joint is the part of c that decides.
func (c *Configuration) Joint() quorum.Joint {
	return quorum.Joint{Incoming: c.Voters, Outgoing: c.Outgoing}
}

// IsJoint says whether two majorities decide.
func (c *Configuration) IsJoint() bool { return len(c.Outgoing) > 0 }

// Has says whether id is a member.
func (c *Configuration) Has(id ids.ReplicaID) bool {
	return has(c.Voters, id) || has(c.Outgoing, id) || has(c.Learners, id)
}

// Votes says whether id votes, in either half.
func (c *Configuration) Votes(id ids.ReplicaID) bool {
	return has(c.Voters, id) || has(c.Outgoing, id)
}

// Promotes says whether id is a learner that is to become a voter.
func (c *Configuration) Promotes(id ids.ReplicaID) bool {
	for _, op := range c.Planned {
		if op.Kind == Promote && op.ID == id {
			return true
		}
	}
	return false
}

// Each calls f for every member, voters first, then those that are only
// outgoing, then the other learners.
func (c *Configuration) Each(f func(id ids.ReplicaID)) {
	for _, id := range c.Voters {
		f(id)
	}
	for _, id := range c.Outgoing {
		if !has(c.Voters, id) {
			f(id)
		}
	}
	for _, id := range c.Learners {
		if !has(c.Outgoing, id) {
			f(id)
		}
	}
}

// Member is what is known about id; all but the id is zero when nothing is.
func (c *Configuration) Member(id ids.ReplicaID) Member {
	for i := range c.Members {
		if c.Members[i].ID == id {
			return c.Members[i]
		}
	}
	return Member{ID: id}
}

// HighestID is the highest id that has ever been used.
func (c *Configuration) HighestID() ids.ReplicaID {
	highest := c.Highest
	for _, set := range [...][]ids.ReplicaID{c.Voters, c.Outgoing, c.Learners} {
		if n := len(set); n > 0 {
			highest = max(highest, set[n-1])
		}
	}
	return highest
}

// Equal says whether two configurations are the same in all that they say.
func (c *Configuration) Equal(o *Configuration) bool {
	return c.EntryID == o.EntryID && c.Highest == o.Highest && slices.Equal(c.Voters, o.Voters) &&
		slices.Equal(c.Outgoing, o.Outgoing) && slices.Equal(c.Learners, o.Learners) &&
		slices.Equal(c.Planned, o.Planned) && slices.Equal(c.Members, o.Members)
}

// Clone shares no slices with c.
func (c *Configuration) Clone() Configuration {
	n := *c
	n.Voters, n.Outgoing, n.Learners = slices.Clone(c.Voters), slices.Clone(c.Outgoing), slices.Clone(c.Learners)
	n.Planned, n.Members = slices.Clone(c.Planned), slices.Clone(c.Members)
	return n
}

func has(set []ids.ReplicaID, id ids.ReplicaID) bool {
	for _, v := range set {
		if v == id {
			return true
		}
	}
	return false
}

// ErrForm: not a configuration that any sequence of changes leads to.
var ErrForm = errors.New("confchange: not a configuration")

// Check says whether c is one that decides: it has voters, its sets are sorted
// and apart where they must be, and it keeps to the bounds.
func (c *Configuration) Check() error {
	if err := c.checkBounds(); err != nil {
		return fmt.Errorf("%w: %w: %d voters, %d outgoing, at most %d; %d learners, at most %d; %d planned, at most %d", ErrForm, err,
			len(c.Voters), len(c.Outgoing), quorum.VotersMax, len(c.Learners), LearnersMax, len(c.Planned), PlannedMax)
	}
	if c.Highest > IDMax {
		return fmt.Errorf("%w: highest id %d, at most %d", ErrForm, c.Highest, uint64(IDMax))
	}
	for _, set := range [...][]ids.ReplicaID{c.Voters, c.Outgoing, c.Learners} {
		for i, id := range set {
			if id == 0 || id > IDMax || i > 0 && id <= set[i-1] {
				return fmt.Errorf("%w: %v is not sorted, or repeats, or holds zero or more than %d", ErrForm, set, uint64(IDMax))
			}
		}
	}
	for _, id := range c.Learners {
		if has(c.Voters, id) {
			return fmt.Errorf("%w: replica %d both votes and learns", ErrForm, id)
		}
	}
	for i := range c.Members {
		m := &c.Members[i]
		if !c.Has(m.ID) || i > 0 && m.ID <= c.Members[i-1].ID || m.Address == "" && m.Priority == 0 ||
			len(m.Address) > AddressBytesMax {
			return fmt.Errorf("%w: member %+v", ErrForm, *m)
		}
	}
	return c.checkPlanned()
}

// checkBounds says whether someone decides, and nobody is too much.
func (c *Configuration) checkBounds() error {
	switch {
	case len(c.Voters) == 0:
		return ErrNoVoters
	case len(c.Voters) > quorum.VotersMax || len(c.Outgoing) > quorum.VotersMax ||
		len(c.Learners) > LearnersMax || len(c.Planned) > PlannedMax:
		return ErrTooMany
	}
	return nil
}

// checkPlanned: what is planned names those who are there, waits for somebody,
// and leads to what keeps to the bounds.
func (c *Configuration) checkPlanned() error {
	promotes := false
	for i, op := range c.Planned {
		ok := false
		switch op.Kind {
		case Promote:
			promotes, ok = true, has(c.Learners, op.ID)
		case Demote, Remove:
			ok = has(c.Voters, op.ID)
		}
		if !ok || i > 0 && op.ID <= c.Planned[i-1].ID {
			return fmt.Errorf("%w: %v of replica %d is planned", ErrForm, op.Kind, op.ID)
		}
	}
	if len(c.Planned) == 0 {
		return nil
	}
	if !promotes {
		return fmt.Errorf("%w: %d operations are planned, and wait for nobody", ErrForm, len(c.Planned))
	}
	end := c.Enter()
	if err := end.checkBounds(); err != nil {
		return fmt.Errorf("%w: %w: the plan leads to %d voters and %d learners", ErrForm, err, len(end.Voters), len(end.Learners))
	}
	return nil
}
