package confchange

import (
	"errors"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core/ids"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
)

// OperationKind says what is to become of a replica.
type OperationKind uint8

const (
	// AddLearner makes a new replica a learner, and leaves it one.
	AddLearner OperationKind = iota + 1
	// AddVoter makes a new replica a learner, and a voter when it has caught up.
	AddVoter
	// Promote makes a learner a voter when it has caught up.
	Promote
	// Demote makes a voter a learner.
	Demote
	// Remove makes a member none, for ever.
	Remove
	// Update changes the address and the priority of a member, and nothing else.
	Update
)

var kindNames = [...]string{"none", "add-learner", "add-voter", "promote", "demote", "remove", "update"}

func (k OperationKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Operation is one part of a change. Address and Priority count for those that
// add a member or update one.
type Operation struct {
	Kind     OperationKind
	Priority uint8
	ID       ids.ReplicaID
	Address  string
}

// Why a change is not one.
var (
	// ErrNothing: it has no operations, or changes nothing.
	ErrNothing = errors.New("confchange: nothing changes")
	// ErrUsedID: the id of a new member is zero, or a replica had it before.
	ErrUsedID = errors.New("confchange: the id has been used before")
	// ErrFarID: the id of a new member lies too far above all that were used.
	ErrFarID = errors.New("confchange: the id is too far above those used before")
	// ErrNoMember: not a member, or not one of the kind that the operation needs.
	ErrNoMember = errors.New("confchange: no such member")
	// ErrTwice: two operations on one replica.
	ErrTwice = errors.New("confchange: two operations on one replica")
	// ErrNoVoters: nobody would be left to decide.
	ErrNoVoters = errors.New("confchange: no voters would be left")
	// ErrTooMany: more members, or a longer address, than the bounds allow.
	ErrTooMany = errors.New("confchange: too many members, or too long an address")
)

// Begin is the first configuration on the way that the operations ask for, from
// one that is not joint. If they promote, it has the learners, and what else
// they want of voters is planned with the promotion; otherwise all of it takes
// effect. What was planned before stays planned, but for the replicas that the
// operations name.
func (c *Configuration) Begin(operations []Operation) (Configuration, error) {
	if len(operations) == 0 {
		return Configuration{}, ErrNothing
	}
	if len(operations) > 2*quorum.VotersMax {
		return Configuration{}, ErrTooMany
	}
	next := c.clone()
	promotes := false
	for i := range operations {
		op := &operations[i]
		for j := range operations[:i] {
			if operations[j].ID == op.ID {
				return Configuration{}, ErrTwice
			}
		}
		if err := c.checkOperation(op); err != nil {
			return Configuration{}, err
		}
		promotes = promotes || op.Kind == AddVoter || op.Kind == Promote
		next.Planned = slices.DeleteFunc(next.Planned, func(p Planned) bool {
			return p.ID == op.ID && op.Kind != Update
		})
	}
	var effective []Planned
	for i := range operations {
		op := &operations[i]
		switch {
		case op.Kind == AddLearner, op.Kind == AddVoter:
			next.Learners = insert(next.Learners, op.ID)
			next.Highest = max(next.Highest, op.ID)
			next.setMember(op)
			if op.Kind == AddVoter {
				next.plan(Planned{Promote, op.ID})
			}
		case op.Kind == Update:
			next.setMember(op)
		case op.Kind == Promote, promotes && has(c.Voters, op.ID):
			next.plan(Planned{op.Kind, op.ID})
		default:
			effective = append(effective, Planned{op.Kind, op.ID})
		}
	}
	next.dropVainPlans()
	next = next.enter(effective)
	// The plan has to lead somewhere as well.
	end := next.Enter()
	for _, n := range [...]*Configuration{&next, &end} {
		if err := n.checkBounds(); err != nil {
			return Configuration{}, err
		}
	}
	if next.same(c) {
		return Configuration{}, ErrNothing
	}
	return next, nil
}

func (c *Configuration) checkOperation(op *Operation) error {
	ok := false
	switch op.Kind {
	case AddLearner, AddVoter:
		if op.ID == 0 || op.ID <= c.HighestID() {
			return ErrUsedID
		}
		if op.ID > min(c.HighestID()+IDLeapMax, IDMax) {
			return ErrFarID
		}
		ok = true
	case Promote:
		ok = has(c.Learners, op.ID)
	case Demote:
		ok = has(c.Voters, op.ID)
	case Remove, Update:
		ok = c.Has(op.ID)
	}
	if !ok {
		return ErrNoMember
	}
	if len(op.Address) > AddressBytesMax {
		return ErrTooMany
	}
	return nil
}

// Enter is the configuration in which what was planned takes effect: joint
// if more than one voter comes or goes. Nothing is planned then.
func (c *Configuration) Enter() Configuration {
	next := c.enter(c.Planned)
	next.Planned = nil
	return next
}

// enter does what the operations want of voters and learners.
func (c *Configuration) enter(operations []Planned) Configuration {
	next := c.clone()
	if len(operations) == 0 {
		return next
	}
	for _, op := range operations {
		switch op.Kind {
		case Promote:
			next.Learners = remove(next.Learners, op.ID)
			next.Voters = insert(next.Voters, op.ID)
		case Demote:
			next.Voters = remove(next.Voters, op.ID)
			next.Learners = insert(next.Learners, op.ID)
		case Remove:
			next.Voters = remove(next.Voters, op.ID)
			next.Learners = remove(next.Learners, op.ID)
		}
	}
	if difference(next.Voters, c.Voters)+difference(c.Voters, next.Voters) > 1 {
		next.Outgoing = slices.Clone(c.Voters)
	}
	next.forgetMembers()
	return next
}

// Leave is the configuration that a joint one leads to.
func (c *Configuration) Leave() Configuration {
	next := c.clone()
	next.Outgoing = nil
	next.forgetMembers()
	return next
}

// clone is Clone with a Highest that is exact.
func (c *Configuration) clone() Configuration {
	n := c.Clone()
	n.Highest = c.HighestID()
	return n
}

// same says whether two configurations differ in no more than their name and
// in how they write down the highest id.
func (c *Configuration) same(o *Configuration) bool {
	return slices.Equal(c.Voters, o.Voters) && slices.Equal(c.Outgoing, o.Outgoing) &&
		slices.Equal(c.Learners, o.Learners) && slices.Equal(c.Planned, o.Planned) &&
		slices.Equal(c.Members, o.Members) && c.HighestID() == o.HighestID()
}

func (c *Configuration) plan(op Planned) {
	i, _ := slices.BinarySearchFunc(c.Planned, op.ID, func(p Planned, id ids.ReplicaID) int {
		return compare(p.ID, id)
	})
	c.Planned = slices.Insert(c.Planned, i, op)
}

// dropVainPlans drops a plan that promotes nobody any more.
func (c *Configuration) dropVainPlans() {
	for _, op := range c.Planned {
		if op.Kind == Promote {
			return
		}
	}
	c.Planned = nil
}

func (c *Configuration) setMember(op *Operation) {
	i, found := slices.BinarySearchFunc(c.Members, op.ID, func(m Member, id ids.ReplicaID) int {
		return compare(m.ID, id)
	})
	m := Member{ID: op.ID, Priority: op.Priority, Address: op.Address}
	switch {
	case m.Address == "" && m.Priority == 0:
		if found {
			c.Members = slices.Delete(c.Members, i, i+1)
		}
	case found:
		c.Members[i] = m
	default:
		c.Members = slices.Insert(c.Members, i, m)
	}
}

// forgetMembers drops what is known about those who are members no longer.
func (c *Configuration) forgetMembers() {
	c.Members = slices.DeleteFunc(c.Members, func(m Member) bool { return !c.Has(m.ID) })
}

func insert(set []ids.ReplicaID, id ids.ReplicaID) []ids.ReplicaID {
	i, found := slices.BinarySearch(set, id)
	if found {
		return set
	}
	return slices.Insert(set, i, id)
}

func remove(set []ids.ReplicaID, id ids.ReplicaID) []ids.ReplicaID {
	if i, found := slices.BinarySearch(set, id); found {
		return slices.Delete(set, i, i+1)
	}
	return set
}

// difference is how many of a are not in b.
func difference(a, b []ids.ReplicaID) (n int) {
	for _, id := range a {
		if !has(b, id) {
			n++
		}
	}
	return n
}

func compare(a, b ids.ReplicaID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
