package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// transfer asks l to hand over; the answer comes later.
func (c *testCluster) transfer(l ReplicaID, tag uint64, to ReplicaID) {
	c.t.Helper()
	c.step(l, Input{Kind: InputTransfer, Tag: tag, Target: to})
}

// answer is what became of tag at id: a Done, or why it was refused.
func (c *testCluster) answer(id ReplicaID, tag uint64) (done *Done, refused *Refusal) {
	c.t.Helper()
	n := 0
	for i := range c.replicas[id].done {
		if d := &c.replicas[id].done[i]; d.Tag == tag {
			done, n = d, n+1
		}
	}
	for i := range c.replicas[id].refused {
		if r := &c.replicas[id].refused[i]; r.Tag == tag {
			refused, n = r, n+1
		}
	}
	if n > 1 {
		c.t.Fatalf("tag %d is answered %d times", tag, n)
	}
	return done, refused
}

func (c *testCluster) wantRefused(id ReplicaID, tag uint64, reason RefusalReason) {
	c.t.Helper()
	if done, refused := c.answer(id, tag); refused == nil || refused.Reason != reason {
		c.t.Errorf("tag %d: %+v, %+v, want %q", tag, done, refused, reason)
	}
}

func (c *testCluster) wantDone(id ReplicaID, tag uint64, leader ReplicaID) {
	c.t.Helper()
	if done, refused := c.answer(id, tag); done == nil || done.Leader != leader {
		c.t.Errorf("tag %d: %+v, %+v, want done with leader %d", tag, done, refused, leader)
	}
}

func TestTransferTakesNoMoreTimeThanTheMessages(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	to := l%3 + 1
	c.transfer(l, 7, to)
	c.propose(l, 8)
	c.change(l, 9, Operation{Kind: confchange.AddLearner, ID: 9})
	if s := c.replicas[l].Status(); s.Successor != to {
		t.Errorf("%+v", s)
	}
	c.deliver()
	if c.leader() != to {
		t.Fatalf("leader is %d", c.leader())
	}
	c.wantDone(l, 7, to)
	c.wantRefused(l, 8, RefusedTransferring)
	c.wantRefused(l, 9, RefusedTransferring)
	if _, refused := c.answer(l, 8); refused.Leader != to {
		t.Errorf("the refusal names %d", refused.Leader)
	}
	c.transfer(l, 10, to)
	c.wantRefused(l, 10, RefusedNotLeader)
	c.transfer(to, 11, to)
	c.wantDone(to, 11, to)
}

// Without a target, the voter with the longest log takes over.
func TestTransferFindsTheBestVoter(t *testing.T) {
	c := newTestCluster(t, 5)
	l := c.elect()
	best := l%5 + 1
	c.mustChange(Operation{Kind: confchange.Demote, ID: best%5 + 1}) // a learner does not count
	c.cut = func(m *Message) bool {
		return m.Kind == KindAppendEntries && len(m.AppendEntries.Entries) > 0 && m.To != best && m.To != best%5+1
	}
	c.propose(l, 1)
	c.deliver()
	c.transfer(l, 2, 0)
	if s := c.replicas[l].Status().Successor; s != best {
		t.Fatalf("successor %d, want %d", s, best)
	}
	c.cut = nil
	c.run(3)
	c.wantDone(l, 2, best)
}

func TestTransferTargetThatCanNotTakeOver(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x, y := l%3+1, (l+1)%3+1
	c.mustChange(Operation{Kind: confchange.AddLearner, ID: 8})
	for tag, to := range []ReplicaID{8, 9} {
		c.transfer(l, uint64(tag), to)
		c.wantRefused(l, uint64(tag), RefusedNoTarget)
	}
	c.cut = func(m *Message) bool { return m.From == x }
	c.run(12)
	c.transfer(l, 3, x)
	c.wantRefused(l, 3, RefusedNoTarget) // not heard for an election timeout
	c.transfer(l, 4, y)
	c.transfer(l, 5, 0)
	c.wantRefused(l, 5, RefusedTransferring)
	c.run(2)
	c.wantDone(l, 4, y)
}

// Nobody but the one that was asked, by the leader of this very term and with
// its whole log, stands for election.
func TestTimeoutNowCountsInItsTermOnly(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x := l%3 + 1
	f := c.replicas[x]
	last, term := f.log.last(), f.term
	ask := func(term Term, last EntryID) Role {
		t.Helper()
		r := f.Raft.Clone()
		var out Ready
		m := Message{Kind: KindTimeoutNow, Cluster: 7, From: l, To: x, Boot: 1, Term: term, TimeoutNow: TimeoutNow{Last: last}}
		if err := r.Step(&Input{Kind: InputMessage, Message: &m}, &out); err != nil {
			t.Fatal(err)
		}
		if r.role == RoleCandidate && (r.term != term+1 || len(out.Held) != 2 || !out.Held[0].RequestVote.Transfer) {
			t.Errorf("term %d, %+v", r.term, out.Held)
		}
		return r.role
	}
	if got := ask(term, last); got != RoleCandidate {
		t.Errorf("asked by its leader, it is %v", got)
	}
	if got := ask(term, EntryID{Term: term, Index: last.Index + 1}); got != RoleFollower {
		t.Errorf("without the leader's last entry, it is %v", got)
	}
	c.isolate(l)
	for c.leader() == l || c.leader() == 0 {
		c.run(1)
	}
	if got := ask(term, last); got == RoleCandidate && f.role != RoleCandidate {
		t.Error("asked in a term that is over, it stands for election")
	}
}

// The votes of a transfer are given at once, though all have just heard the
// leader; without its wish they are not.
func TestVotersStickToTheirLeaderUnlessItWishesOtherwise(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x, y := l%3+1, (l+1)%3+1
	for _, transfer := range []bool{false, true} {
		r := c.replicas[y].Clone()
		var out Ready
		m := Message{Kind: KindRequestVote, Cluster: 7, From: x, To: y, Boot: 1, Term: r.term + 1,
			RequestVote: RequestVote{Transfer: transfer, For: r.term + 1, Last: r.log.last()}}
		if err := r.Step(&Input{Kind: InputMessage, Message: &m}, &out); err != nil {
			t.Fatal(err)
		}
		all := append(out.Messages, out.Held...)
		if len(all) != 1 || all[0].RequestVoteResponse.Granted != transfer || (r.vote == x) != transfer {
			t.Errorf("transfer %t: %+v", transfer, all)
		}
	}
}

func TestResignedLeaderHandsOverAndNeverStandsAgain(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.step(l, Input{Kind: InputResign, Tag: 1})
	c.run(2)
	next := c.leader()
	if next == l || next == 0 {
		t.Fatalf("leader %d", next)
	}
	c.wantDone(l, 1, next)
	c.isolate(next)
	c.run(200)
	if c.leader() == l || c.leader() == 0 {
		t.Fatalf("leader %d", c.leader())
	}
	c.step(l, Input{Kind: InputResign, Tag: 2})
	c.wantDone(l, 2, c.replicas[l].leader)
	c.step(l, Input{Kind: InputCampaign, Tag: 3})
	c.wantRefused(l, 3, RefusedNotVoter)
	// A transfer to it comes to nothing.
	c.cut = nil
	c.run(20)
	other := c.leader()
	c.transfer(other, 4, l)
	c.wantRefused(other, 4, RefusedNoTarget)
	// After a start it is as good as any.
	c.restart(l)
	c.run(20)
	c.transfer(c.leader(), 5, l)
	c.run(3)
	if c.leader() != l {
		t.Error("after a start it does not take over")
	}
}

func TestResignationWithNobodyToTakeOver(t *testing.T) {
	c := newTestCluster(t, 1)
	l := c.elect()
	c.step(l, Input{Kind: InputResign, Tag: 1})
	c.wantDone(l, 1, 0)
	c.run(50)
	if c.leader() != 0 {
		t.Error("it leads again")
	}
	// And one that nobody answers steps down in the end.
	c = newTestCluster(t, 3)
	l = c.elect()
	c.isolate(l)
	c.step(l, Input{Kind: InputResign, Tag: 1})
	for range 10 {
		if done, _ := c.answer(l, 1); done != nil {
			t.Fatal("answered too early")
		}
		c.run(1)
	}
	c.wantDone(l, 1, 0)
	if c.replicas[l].role != RoleFollower {
		t.Error("it leads on")
	}
	// A candidate gives up.
	c = newTestCluster(t, 3)
	c.isolate(1)
	for c.replicas[1].role == RoleFollower {
		c.tick(1, 1)
	}
	c.step(1, Input{Kind: InputResign, Tag: 1})
	c.wantDone(1, 1, 0)
	if c.replicas[1].role != RoleFollower {
		t.Error("it stands on")
	}
}

// A refusal means that nothing has changed: whoever asked may ask again.
func TestResignationDuringATransferIsRefusedWithoutEffect(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	c.transfer(l, 1, l%3+1)
	c.step(l, Input{Kind: InputResign, Tag: 2})
	c.wantRefused(l, 2, RefusedTransferring)
	c.run(12)
	c.wantRefused(l, 1, RefusedTransferAborted)
	if c.replicas[l].resigned || c.leader() != l {
		t.Errorf("resigned %t, leader %d", c.replicas[l].resigned, c.leader())
	}
	c.cut = nil
	c.step(l, Input{Kind: InputResign, Tag: 3})
	c.run(2)
	c.wantDone(l, 3, c.leader())
}

// A handover of the leader's own is not in the way of a resignation.
func TestResignationJoinsAHandoverUnderWay(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	c.change(l, 1, Operation{Kind: confchange.Remove, ID: l})
	c.run(3)
	if !c.replicas[l].handover.active() {
		t.Fatal("no handover")
	}
	c.step(l, Input{Kind: InputResign, Tag: 2})
	c.run(12)
	c.wantDone(l, 2, 0)
}

func TestCampaign(t *testing.T) {
	c := newTestCluster(t, 3)
	campaign := func(id ReplicaID, tag uint64) {
		t.Helper()
		c.step(id, Input{Kind: InputCampaign, Tag: tag})
		c.deliver()
	}
	campaign(1, 1)
	c.wantRefused(1, 1, RefusedLeaderHeard) // before it was started, perhaps
	for range 10 {
		for _, id := range c.ids {
			c.replicas[id].electionTimeout = 20
			c.tick(id, 1)
		}
	}
	campaign(2, 2)
	c.wantDone(2, 2, 0)
	if c.leader() != 2 {
		t.Fatalf("leader %d", c.leader())
	}
	campaign(2, 3)
	c.wantDone(2, 3, 2)
	campaign(1, 4)
	c.wantRefused(1, 4, RefusedLeaderHeard)
	c.join(4)
	campaign(4, 5)
	c.wantRefused(4, 5, RefusedNotVoter)
	if c.leader() != 2 {
		t.Error("a leader that works was disturbed")
	}
	// A second word changes nothing for one that stands already.
	c.isolate(1)
	c.run(40)
	if c.replicas[1].role == RoleFollower {
		t.Fatal("it does not stand")
	}
	campaign(1, 6)
	c.wantDone(1, 6, 0)
}

// Leadership goes to the voter of the highest priority, when the leader has
// been in office for a while, and to and fro no more often than that.
func TestPreferredVoterTakesOver(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x, y := l%3+1, (l+1)%3+1
	c.mustChange(Operation{Kind: confchange.Update, ID: x, Priority: 2}, Operation{Kind: confchange.Update, ID: y, Priority: 1})
	for range 70 - int(c.replicas[l].lead.preferredTicks) {
		c.run(1)
		if c.leader() != l {
			t.Fatal("too early")
		}
	}
	c.run(12)
	if c.leader() != x {
		t.Fatalf("leader %d, want %d", c.leader(), x)
	}
	c.run(300)
	if c.leader() != x || c.happened(l, Event{EventHandover, x}) != 1 {
		t.Fatalf("leader %d, %+v", c.leader(), c.replicas[l].events)
	}

	// While it is away the next best leads, and gives office back once.
	c.isolate(x)
	c.run(60)
	c.cut = nil
	if c.leader() != x && c.leader() != y && c.leader() != l {
		t.Fatal("no leader")
	}
	c.run(250)
	if c.leader() != x {
		t.Fatalf("leader %d, want %d", c.leader(), x)
	}
}

// An attempt that fails is made again, each time after twice as long: there are
// no writes while it lasts.
func TestPreferredVoterIsNotAskedTooOften(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.mustChange(Operation{Kind: confchange.Update, ID: x, Priority: 2})
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	refused := 0
	for tag := uint64(100); tag < 6100; tag++ {
		c.run(1)
		c.propose(l, tag)
		if _, why := c.answer(l, tag); why != nil {
			refused++
		}
	}
	if c.leader() != l {
		t.Fatalf("leader %d", c.leader())
	}
	if n := c.happened(l, Event{EventHandoverAborted, x}); n < 4 || n > 6 || refused > 12*n {
		t.Errorf("%d attempts in 6,000 ticks, and %d proposals refused", n, refused)
	}
}

// One that is behind is not asked, whatever its priority.
func TestPreferredVoterThatLagsIsLeftAlone(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.mustChange(Operation{Kind: confchange.Update, ID: x, Priority: 2})
	c.cut = func(m *Message) bool {
		return m.To == x && m.Kind == KindAppendEntries && len(m.AppendEntries.Entries) > 0
	}
	c.propose(l, 1)
	c.run(200)
	if c.leader() != l || len(c.replicas[l].events) > 0 {
		t.Fatalf("leader %d, %+v", c.leader(), c.replicas[l].events)
	}
	c.cut = nil
	c.run(10)
	if c.leader() != x {
		t.Fatalf("leader %d", c.leader())
	}
}

// Where leadership goes is answered even if it goes elsewhere.
func TestTransferThatSomeoneElseWins(t *testing.T) {
	c := newTestCluster(t, 5)
	l := c.elect()
	x, y := l%5+1, (l+1)%5+1
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	c.transfer(l, 1, x)
	c.deliver()
	// Another replica is elected before the time is up.
	for _, id := range c.ids {
		if id != l {
			c.replicas[id].contactTicks = 10
		}
	}
	c.step(y, Input{Kind: InputCampaign, Tag: 2})
	c.cut = func(m *Message) bool { return m.To == l && m.Kind == KindRequestVote && m.RequestVote.Pre }
	c.deliver()
	if c.leader() != y {
		t.Fatalf("leader %d", c.leader())
	}
	c.wantRefused(l, 1, RefusedLeadershipLost)
}

// Who asked for a transfer is answered even if the same replica leads again
// before the time is up.
func TestTransferThatTheOldLeaderWins(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	c.cut = func(m *Message) bool { return m.Kind == KindTimeoutNow }
	c.transfer(l, 1, x)
	c.deliver()
	c.step(l, Input{Kind: InputMessage, Message: &Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: x, To: l, Boot: 1,
		Term: c.replicas[l].term + 1, AppendEntriesResponse: AppendEntriesResponse{Reject: true}}})
	for _, id := range c.ids {
		c.replicas[id].contactTicks = 10
	}
	c.step(l, Input{Kind: InputCampaign, Tag: 2})
	c.deliver()
	if c.leader() != l {
		t.Fatalf("leader %d", c.leader())
	}
	c.wantRefused(l, 1, RefusedLeadershipLost)
	c.propose(l, 3)
	if _, refused := c.answer(l, 3); refused != nil {
		t.Errorf("%v", refused.Reason)
	}
}

// A voter that may not lead, or not for long, is no reason to give up writes for
// ever, however much it is preferred.
func TestPreferenceForOneThatCanNotLeadCostsLittle(t *testing.T) {
	const ticks = 6000
	for name, unwell := range map[string]func(c *testCluster, x ReplicaID){
		"it has resigned":       func(c *testCluster, x ReplicaID) { c.step(x, Input{Kind: InputResign, Tag: 7}) },
		"its disk stands still": func(c *testCluster, x ReplicaID) { c.replicas[x].stalledTicks = 1 << 20 },
		"it may not ask for votes": func(c *testCluster, x ReplicaID) {
			c.cut = func(m *Message) bool { return m.From == x && m.Kind == KindRequestVote }
		},
		"it leads, and nobody hears it": func(c *testCluster, x ReplicaID) {
			c.cut = func(m *Message) bool { return m.From == x && m.Kind == KindAppendEntries }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t, 3)
			c.rng = new(splitmix)
			l := c.elect()
			x := l%3 + 1
			c.mustChange(Operation{Kind: confchange.Update, ID: x, Priority: 2})
			unwell(c, x)
			absent, refused, leaders := 0, 0, map[Term]bool{}
			for tag := uint64(100); tag < 100+ticks; tag++ {
				c.run(1)
				if name == "its disk stands still" {
					c.replicas[x].stalledTicks = 1 << 20
				}
				now := c.leader()
				if now == 0 {
					absent++
					continue
				}
				leaders[c.replicas[now].term] = true
				c.propose(now, tag)
				if _, why := c.answer(now, tag); why != nil {
					refused++
				}
			}
			if absent+refused > ticks/40 || len(leaders) > 24 {
				t.Errorf("in %d ticks %d without a leader, %d that refuse proposals, %d leaders", ticks, absent, refused, len(leaders))
			}
		})
	}
}

// The same for every link that may be cut, on both ways or one, and whoever leads.
func TestPreferenceBehindACutLinkCostsLittle(t *testing.T) {
	const ticks = 4000
	for _, voters := range []int{3, 4, 5} {
		for a := 1; a <= voters; a++ {
			for b := 1; b <= voters; b++ {
				for _, both := range []bool{false, true} {
					if a == b || both && a > b {
						continue
					}
					c := newTestCluster(t, voters)
					c.rng = new(splitmix)
					c.elect()
					c.mustChange(Operation{Kind: confchange.Update, ID: 1, Priority: 2})
					c.cut = func(m *Message) bool {
						return m.From == ReplicaID(a) && m.To == ReplicaID(b) || both && m.From == ReplicaID(b) && m.To == ReplicaID(a)
					}
					absent, leaders := 0, map[Term]bool{}
					for range ticks {
						c.run(1)
						if l := c.leader(); l == 0 {
							absent++
						} else {
							leaders[c.replicas[l].term] = true
						}
					}
					if absent > ticks/40 || len(leaders) > 12 {
						t.Errorf("%d voters, link from %d to %d cut (both ways %t): %d ticks without a leader, %d leaders", voters, a, b, both, absent, len(leaders))
					}
				}
			}
		}
	}
}

func TestTransferToItselfDuringATransferIsRefused(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	c.transfer(l, 1, l%3+1)
	c.transfer(l, 2, l)
	c.wantRefused(l, 2, RefusedTransferring)
	c.run(3)
	c.wantDone(l, 1, l%3+1)
}
