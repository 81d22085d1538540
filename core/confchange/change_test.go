package confchange

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/ids"
	"github.com/seaworthy-raft/seaworthy/core/quorum"
	"pgregory.net/rapid"
)

type set = []ids.ReplicaID

func upTo(n int) (s set) {
	for id := range n {
		s = append(s, ids.ReplicaID(id+1))
	}
	return s
}

func TestChangesThatAreNone(t *testing.T) {
	three := Configuration{Voters: set{1, 2, 3}, Learners: set{5}, Highest: 7,
		Members: []Member{{ID: 1, Address: "one"}}}
	full := Configuration{Voters: upTo(quorum.VotersMax)}
	learners := Configuration{Voters: set{1}, Learners: upTo(LearnersMax + 1)[1:]}
	for name, tt := range map[string]struct {
		c    Configuration
		ops  []Operation
		want error
	}{
		"no operations":                  {three, nil, ErrNothing},
		"what is so already":             {three, []Operation{{Kind: Update, ID: 1, Address: "one"}}, ErrNothing},
		"id zero":                        {three, []Operation{{Kind: AddVoter}}, ErrUsedID},
		"a member's id":                  {three, []Operation{{Kind: AddLearner, ID: 2}}, ErrUsedID},
		"an id of a member removed":      {three, []Operation{{Kind: AddVoter, ID: 6}}, ErrUsedID},
		"the highest id":                 {three, []Operation{{Kind: AddVoter, ID: 7}}, ErrUsedID},
		"promoting a voter":              {three, []Operation{{Kind: Promote, ID: 1}}, ErrNoMember},
		"promoting a stranger":           {three, []Operation{{Kind: Promote, ID: 9}}, ErrNoMember},
		"demoting a learner":             {three, []Operation{{Kind: Demote, ID: 5}}, ErrNoMember},
		"removing a stranger":            {three, []Operation{{Kind: Remove, ID: 4}}, ErrNoMember},
		"updating a stranger":            {three, []Operation{{Kind: Update, ID: 4, Address: "a"}}, ErrNoMember},
		"no kind":                        {three, []Operation{{ID: 1}}, ErrNoMember},
		"a kind that does not exist":     {three, []Operation{{Kind: 77, ID: 1}}, ErrNoMember},
		"twice the same":                 {three, []Operation{{Kind: Remove, ID: 1}, {Kind: Demote, ID: 1}}, ErrTwice},
		"removing all":                   {three, []Operation{{Kind: Remove, ID: 1}, {Kind: Remove, ID: 2}, {Kind: Demote, ID: 3}}, ErrNoVoters},
		"removing the last voter":        {Configuration{Voters: set{1}}, []Operation{{Kind: Remove, ID: 1}}, ErrNoVoters},
		"one voter too many":             {full, []Operation{{Kind: AddVoter, ID: 90}}, ErrTooMany},
		"one learner too many":           {learners, []Operation{{Kind: AddLearner, ID: 90}}, ErrTooMany},
		"one learner too many, in a way": {learners, []Operation{{Kind: AddVoter, ID: 90}}, ErrTooMany},
		"one learner too many in the end": {Configuration{Voters: set{1, 2}, Learners: upTo(LearnersMax + 2)[2:]},
			[]Operation{{Kind: Demote, ID: 2}}, ErrTooMany},
		"too long an address":  {three, []Operation{{Kind: Update, ID: 1, Address: strings.Repeat("a", AddressBytesMax+1)}}, ErrTooMany},
		"too many operations":  {three, make([]Operation, 2*quorum.VotersMax+1), ErrTooMany},
		"good and bad at once": {three, []Operation{{Kind: Update, ID: 1, Address: "a"}, {Kind: Remove, ID: 44}}, ErrNoMember},
	} {
		t.Run(name, func(t *testing.T) {
			before := tt.c.Append(nil)
			if next, err := tt.c.Begin(tt.ops); !errors.Is(err, tt.want) {
				t.Fatalf("%+v, error %v, want %v", next, err, tt.want)
			}
			if !tt.c.Encodes(before) {
				t.Fatal("a refused change has changed the configuration")
			}
		})
	}
}

// The ways of a change: what counts at once, what is planned, what counts when
// the learners have caught up, and what counts in the end.
func TestWaysOfAChange(t *testing.T) {
	three := Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2, 3}}
	learner := Configuration{Voters: set{1, 2, 3}, Learners: set{4}}
	planned := Configuration{Voters: set{1, 2, 3}, Learners: set{4, 5}, Highest: 5,
		Planned: []Planned{{Remove, 3}, {Promote, 4}, {Promote, 5}}}
	for name, tt := range map[string]struct {
		c     Configuration
		ops   []Operation
		begin Configuration
		enter Configuration // if Begin plans
		leave Configuration // if that is joint
	}{
		"add a learner": {c: three, ops: []Operation{{Kind: AddLearner, ID: 9, Address: "nine", Priority: 2}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2, 3}, Learners: set{9}, Highest: 9, Members: []Member{{9, 2, "nine"}}}},
		"add a voter": {c: three, ops: []Operation{{Kind: AddVoter, ID: 9}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2, 3}, Learners: set{9}, Highest: 9, Planned: []Planned{{Promote, 9}}},
			enter: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2, 3, 9}, Highest: 9}},
		"remove a voter": {c: three, ops: []Operation{{Kind: Remove, ID: 2}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 3}, Highest: 3}},
		"demote a voter": {c: three, ops: []Operation{{Kind: Demote, ID: 3}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2}, Learners: set{3}, Highest: 3}},
		"remove two": {c: three, ops: []Operation{{Kind: Remove, ID: 2}, {Kind: Remove, ID: 1}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{3}, Outgoing: set{1, 2, 3}, Highest: 3},
			leave: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{3}, Highest: 3}},
		"replace one": {c: three, ops: []Operation{{Kind: Remove, ID: 1}, {Kind: AddVoter, ID: 4}},
			begin: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{1, 2, 3}, Learners: set{4}, Highest: 4, Planned: []Planned{{Remove, 1}, {Promote, 4}}},
			enter: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{2, 3, 4}, Outgoing: set{1, 2, 3}, Highest: 4},
			leave: Configuration{EntryID: ids.EntryID{Term: 1, Index: 4}, Voters: set{2, 3, 4}, Highest: 4}},
		"swap a voter and a learner": {c: learner, ops: []Operation{{Kind: Promote, ID: 4}, {Kind: Demote, ID: 1}},
			begin: Configuration{Voters: set{1, 2, 3}, Learners: set{4}, Highest: 4, Planned: []Planned{{Demote, 1}, {Promote, 4}}},
			enter: Configuration{Voters: set{2, 3, 4}, Outgoing: set{1, 2, 3}, Learners: set{1}, Highest: 4},
			leave: Configuration{Voters: set{2, 3, 4}, Learners: set{1}, Highest: 4}},
		"removing a learner drops its promotion only": {c: planned, ops: []Operation{{Kind: Remove, ID: 4}},
			begin: Configuration{Voters: set{1, 2, 3}, Learners: set{5}, Highest: 5, Planned: []Planned{{Remove, 3}, {Promote, 5}}},
			enter: Configuration{Voters: set{1, 2, 5}, Outgoing: set{1, 2, 3}, Highest: 5},
			leave: Configuration{Voters: set{1, 2, 5}, Highest: 5}},
		"removing the last learner drops the plan": {c: planned, ops: []Operation{{Kind: Remove, ID: 4}, {Kind: Remove, ID: 5}},
			begin: Configuration{Voters: set{1, 2, 3}, Highest: 5}},
		"demoting what was to be removed": {c: planned, ops: []Operation{{Kind: Demote, ID: 3}},
			begin: Configuration{Voters: set{1, 2}, Learners: set{3, 4, 5}, Highest: 5, Planned: []Planned{{Promote, 4}, {Promote, 5}}},
			enter: Configuration{Voters: set{1, 2, 4, 5}, Outgoing: set{1, 2}, Learners: set{3}, Highest: 5},
			leave: Configuration{Voters: set{1, 2, 4, 5}, Learners: set{3}, Highest: 5}},
		"an address does not touch the plan": {c: planned, ops: []Operation{{Kind: Update, ID: 4, Address: "four"}},
			begin: Configuration{Voters: set{1, 2, 3}, Learners: set{4, 5}, Highest: 5, Members: []Member{{4, 0, "four"}},
				Planned: []Planned{{Remove, 3}, {Promote, 4}, {Promote, 5}}},
			enter: Configuration{Voters: set{1, 2, 4, 5}, Outgoing: set{1, 2, 3}, Highest: 5, Members: []Member{{4, 0, "four"}}},
			leave: Configuration{Voters: set{1, 2, 4, 5}, Highest: 5, Members: []Member{{4, 0, "four"}}}},
		"who is only outgoing keeps its address until it is gone": {
			c:     Configuration{Voters: set{1, 2, 3}, Members: []Member{{1, 0, "one"}, {2, 0, "two"}}},
			ops:   []Operation{{Kind: Remove, ID: 1}, {Kind: Remove, ID: 3}},
			begin: Configuration{Voters: set{2}, Outgoing: set{1, 2, 3}, Highest: 3, Members: []Member{{1, 0, "one"}, {2, 0, "two"}}},
			leave: Configuration{Voters: set{2}, Highest: 3, Members: []Member{{2, 0, "two"}}}},
		"an address and a priority that are taken back": {
			c:     Configuration{Voters: set{1}, Members: []Member{{1, 3, "one"}}},
			ops:   []Operation{{Kind: Update, ID: 1}},
			begin: Configuration{Voters: set{1}, Highest: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			same := func(what string, got, want Configuration) {
				t.Helper()
				if !got.Encodes(want.Append(nil)) {
					t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
				}
				if err := got.Check(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			c, err := tt.c.Begin(tt.ops)
			if err != nil {
				t.Fatal(err)
			}
			same("begin", c, tt.begin)
			if len(c.Planned) > 0 {
				c = c.Enter()
				same("enter", c, tt.enter)
			}
			if c.IsJoint() {
				c = c.Leave()
				same("leave", c, tt.leave)
			}
			if c.IsJoint() || len(c.Planned) > 0 {
				t.Fatalf("not at the end: %+v", c)
			}
		})
	}
}

func promoted(ids set) (plan []Planned) {
	for _, id := range ids {
		plan = append(plan, Planned{Promote, id})
	}
	return plan
}

func TestWhatIsNoConfiguration(t *testing.T) {
	many := upTo(100)
	for name, c := range map[string]Configuration{
		"no voters":                     {Outgoing: set{1}},
		"too many voters":               {Voters: many[:quorum.VotersMax+1]},
		"too many outgoing":             {Voters: set{1}, Outgoing: many[:quorum.VotersMax+1]},
		"too many learners":             {Voters: set{100}, Learners: many[:LearnersMax+1]},
		"id zero":                       {Voters: set{0, 1}},
		"not sorted":                    {Voters: set{2, 1}},
		"repeated":                      {Voters: set{1}, Outgoing: set{1, 1}},
		"voter and learner":             {Voters: set{1, 2}, Learners: set{2}},
		"address of a stranger":         {Voters: set{1}, Members: []Member{{2, 0, "two"}}},
		"address of nothing":            {Voters: set{1}, Members: []Member{{1, 0, ""}}},
		"two addresses":                 {Voters: set{1}, Members: []Member{{1, 0, "a"}, {1, 0, "b"}}},
		"too long an address":           {Voters: set{1}, Members: []Member{{1, 0, strings.Repeat("a", AddressBytesMax+1)}}},
		"plan for nobody":               {Voters: set{1, 2}, Planned: []Planned{{Remove, 1}}},
		"plan to promote a voter":       {Voters: set{1, 2}, Planned: []Planned{{Promote, 1}}},
		"plan to remove a learner":      {Voters: set{1}, Learners: set{2, 3}, Planned: []Planned{{Remove, 2}, {Promote, 3}}},
		"plan for too many voters":      {Voters: set{100}, Learners: many[:32], Planned: promoted(many[:32])},
		"plan to add":                   {Voters: set{1}, Learners: set{2}, Planned: []Planned{{AddVoter, 2}}},
		"two plans for one, not sorted": {Voters: set{1, 3}, Learners: set{2}, Planned: []Planned{{Promote, 2}, {Remove, 1}}},
	} {
		if err := c.Check(); !errors.Is(err, ErrForm) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// won says whether those in the bit set are a quorum of c.
func won(c *Configuration, yes uint64) bool {
	return c.Joint().Tally(func(id ids.ReplicaID) quorum.Ballot {
		if yes>>id&1 == 1 {
			return quorum.BallotYes
		}
		return quorum.BallotNo
	}) == quorum.Won
}

// mustMeet fails if a quorum of a and one of b have nobody in common: then
// there is a set that decides in a, while the rest decides in b.
func mustMeet(t *rapid.T, a, b *Configuration) {
	var all uint64
	for _, c := range []*Configuration{a, b} {
		c.Each(func(id ids.ReplicaID) { all |= 1 << id })
	}
	for s := all; s > 0; s = (s - 1) & all {
		if won(a, s) && won(b, all&^s) {
			t.Fatalf("%b decides in\n%+v\nand %b in\n%+v", s, a, all&^s, b)
		}
	}
}

// operations draws some on c, most of which make sense.
func operations(t *rapid.T, c *Configuration) (ops []Operation) {
	for range rapid.IntRange(1, 4).Draw(t, "operations") {
		op := Operation{Kind: OperationKind(rapid.IntRange(1, 6).Draw(t, "kind"))}
		if op.Kind == AddLearner || op.Kind == AddVoter {
			op.ID = c.HighestID() + ids.ReplicaID(rapid.IntRange(0, 3).Draw(t, "new"))
		} else {
			op.ID = ids.ReplicaID(rapid.IntRange(1, int(c.HighestID())+1).Draw(t, "id"))
		}
		if rapid.Bool().Draw(t, "known") {
			op.Address = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "address")
			op.Priority = uint8(rapid.IntRange(0, 2).Draw(t, "priority"))
		}
		ops = append(ops, op)
	}
	return ops
}

func founded(t *rapid.T) Configuration {
	return Configuration{Voters: upTo(rapid.IntRange(1, 5).Draw(t, "voters"))}
}

// Whatever is asked for, in whatever order, and whoever catches up first: each
// configuration on the way is one, quorums of neighbours meet, no id comes
// back, and the bytes of each are its own alone.
func TestAnySequenceOfChangesKeepsQuorumsMeeting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := founded(t)
		gone := map[ids.ReplicaID]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var next Configuration
			switch {
			case c.IsJoint():
				next = c.Leave()
				if next.IsJoint() || !slices.Equal(next.Voters, c.Voters) || !slices.Equal(next.Learners, c.Learners) {
					t.Fatalf("leaving\n%+v leads to\n%+v", c, next)
				}
			case len(c.Planned) > 0 && rapid.Bool().Draw(t, "caught up"):
				next = c.Enter()
				if len(next.Planned) > 0 {
					t.Fatalf("entered, and yet planned: %+v", next)
				}
			default:
				var err error
				before := c.Append(nil)
				next, err = c.Begin(operations(t, &c))
				if !c.Encodes(before) {
					t.Fatalf("asking for a change has changed %+v", c)
				}
				if err != nil {
					continue
				}
			}
			next.Index = c.Index + 1
			if next.HighestID() > 20 {
				return // sets of sets grow
			}
			if err := next.Check(); err != nil {
				t.Fatalf("%+v\nleads to\n%+v: %v", c, next, err)
			}
			mustMeet(t, &c, &next)
			c.Each(func(id ids.ReplicaID) { gone[id] = gone[id] || !next.Has(id) })
			next.Each(func(id ids.ReplicaID) {
				if gone[id] {
					t.Fatalf("replica %d was removed, and comes back in %+v", id, next)
				}
			})
			if next.Highest < c.HighestID() || next.Highest != next.HighestID() {
				t.Fatalf("highest id %d after %+v", next.Highest, c)
			}
			mustEncode(t, &next)
			c = next
		}
	})
}

func mustEncode(t *rapid.T, c *Configuration) {
	b := c.Append(nil)
	back, err := Decode(b)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	if !back.same(c) || back.Index != c.Index || back.Highest != c.Highest || !c.Encodes(b) {
		t.Fatalf("%+v\ncomes back as\n%+v", c, back)
	}
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, ErrForm) {
			t.Fatalf("%d bytes of %d: error %v", n, len(b), err)
		}
	}
}

// One change of many operations leads to the same members as its operations
// one by one.
func TestJointLeadsWhereSingleStepsLead(t *testing.T) {
	through := func(c Configuration, ops ...Operation) (Configuration, error) {
		c, err := c.Begin(ops)
		if err != nil {
			return c, err
		}
		if len(c.Planned) > 0 {
			c = c.Enter()
		}
		if c.IsJoint() {
			c = c.Leave()
		}
		return c, nil
	}
	joint, many := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c := founded(t)
		for id := range ids.ReplicaID(rapid.IntRange(0, 3).Draw(t, "learners")) {
			c.Learners = append(c.Learners, id+6)
		}
		ops := operations(t, &c)
		first, err := c.Begin(ops)
		if err != nil {
			return
		}
		at, _ := through(c, ops...)
		if first.IsJoint() || first.Enter().Outgoing != nil {
			joint++
		}
		if len(ops) > 1 {
			many++
		}
		// Who comes, comes first and in order of id, so that there are voters, and
		// new ids, all the time.
		slices.SortStableFunc(ops, func(a, b Operation) int {
			rank := func(op Operation) int {
				if op.Kind == Demote || op.Kind == Remove {
					return 1
				}
				return 0
			}
			if d := rank(a) - rank(b); d != 0 {
				return d
			}
			return compare(a.ID, b.ID)
		})
		single := c
		for _, op := range ops {
			next, err := through(single, op)
			if errors.Is(err, ErrNothing) {
				continue
			} else if err != nil {
				t.Fatalf("%v alone in\n%+v: %v", op, single, err)
			}
			if difference(next.Voters, single.Voters)+difference(single.Voters, next.Voters) > 1 {
				t.Fatalf("%v is not a single step: %+v, %+v", op, single, next)
			}
			single = next
		}
		if !at.same(&single) {
			t.Fatalf("%+v\n%v\nat once:   %+v\none by one: %+v", c, ops, at, single)
		}
	})
	if joint == 0 || many == 0 {
		t.Fatalf("%d changes were joint, %d had several operations", joint, many)
	}
}

func TestMembersAsTheyAreAsked(t *testing.T) {
	c := Configuration{Voters: set{1, 2}, Outgoing: set{2, 3, 4}, Learners: set{4, 5},
		Planned: []Planned{{Promote, 5}}, Members: []Member{{2, 1, "two"}}}
	var all set
	c.Each(func(id ids.ReplicaID) { all = append(all, id) })
	if !slices.Equal(all, set{1, 2, 3, 4, 5}) {
		t.Errorf("members %v", all)
	}
	for id := ids.ReplicaID(0); id <= 6; id++ {
		if got, want := c.Has(id), id >= 1 && id <= 5; got != want {
			t.Errorf("has %d: %t", id, got)
		}
		if got, want := c.Votes(id), id >= 1 && id <= 4; got != want {
			t.Errorf("%d votes: %t", id, got)
		}
		if got, want := c.Promotes(id), id == 5; got != want {
			t.Errorf("%d is to be promoted: %t", id, got)
		}
	}
	if m := c.Member(2); m != (Member{2, 1, "two"}) {
		t.Errorf("%+v", m)
	}
	if m := c.Member(9); m != (Member{ID: 9}) {
		t.Errorf("%+v", m)
	}
	if Promote.String() != "promote" || OperationKind(99).String() != "unknown" {
		t.Error("names")
	}
}

// What no encoder writes does not decode, and what decodes is written the same
// way again.
func FuzzDecode(f *testing.F) {
	for _, c := range []Configuration{
		{Voters: set{1}},
		{EntryID: ids.EntryID{Index: 9}, Voters: set{1, 2, 3}, Outgoing: set{1, 2}, Learners: set{7}, Highest: 8,
			Planned: []Planned{{Remove, 1}, {Promote, 7}}, Members: []Member{{1, 2, "somewhere"}, {7, 0, "else"}}},
	} {
		b := c.Append(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrForm) || !reflect.DeepEqual(c, Configuration{}) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		if !c.Encodes(b) {
			t.Fatalf("%x decodes to %+v, which is written %x", b, c, c.Append(nil))
		}
		_ = c.Check()
	})
}
