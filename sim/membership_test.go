package sim

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// configure has leader i append conf, which need not be a step that is allowed.
func (w *fakeWorld) configure(i int, conf core.Configuration) core.Index {
	conf.Index = w.cores[i].Status().Last.Index + 1
	j := w.append(i, core.EntryConfiguration, string(conf.Append(nil)))
	w.look(i)
	return j
}

// change has leader i begin a change.
func (w *fakeWorld) change(i int, kind confchange.OperationKind, of ...core.ReplicaID) core.Index {
	var ops []core.Operation
	for _, id := range of {
		ops = append(ops, core.Operation{Kind: kind, ID: id})
	}
	next, err := w.c.configuration(i).Begin(ops)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.configure(i, next)
}

// enter has what is planned take effect, and leave leaves a joint
// configuration.
func (w *fakeWorld) enter(i int) core.Index { return w.configure(i, w.c.configuration(i).Enter()) }
func (w *fakeWorld) leave(i int) core.Index { return w.configure(i, w.c.configuration(i).Leave()) }

// agree has leader l replicate all it has to the others named, and commit it
// along with them.
func (w *fakeWorld) agree(l int, others ...int) {
	last := w.cores[l].Status().Last.Index
	w.sync(l)
	for _, i := range others {
		w.replicate(l, i)
	}
	w.commit(l, last)
	for _, i := range others {
		w.commit(i, last)
	}
}

// grow makes voters of the replicas 3 on, n of them, in a cluster of three that
// replica 0 leads, and leaves it in the last configuration before.
func (w *fakeWorld) grow(n int) {
	var ids []core.ReplicaID
	others := []int{1, 2}
	for k := range n {
		ids = append(ids, core.ReplicaID(4+k))
		others = append(others, 3+k)
	}
	w.change(0, confchange.AddVoter, ids...)
	w.agree(0, others...)
}

// learner adds replica 3 as one, for good.
func (w *fakeWorld) learner() {
	w.change(0, confchange.AddLearner, 4)
	w.agree(0, 1, 2, 3)
}

// removed takes replica 2 out, and tells it.
func (w *fakeWorld) removed() {
	w.change(0, confchange.Remove, 3)
	w.agree(0, 1, 2)
}

// handOver: replica 0 hands over to replica 1, which has its whole log.
func (w *fakeWorld) handOver() {
	w.cores[0].st.Successor = 2
	w.look(0)
}

func (w *fakeWorld) timeoutNow(from, to int) *core.Message {
	m := w.message(core.KindTimeoutNow, from, to)
	m.TimeoutNow.Last = w.cores[from].Status().Last
	return m
}

// takeOver has replica 1 stand as replica 0 has asked it to, and win.
func (w *fakeWorld) takeOver() {
	w.handOver()
	m := w.timeoutNow(0, 1)
	w.send(m)
	w.receive(m)
	w.candidate(1, 2)
	v := w.message(core.KindRequestVote, 1, 2)
	v.RequestVote = core.RequestVote{Transfer: true, For: 2, Last: w.cores[1].Status().Last}
	w.send(v)
	w.receive(v)
	w.term(2, 2, 1)
	w.grantVote(2, 1)
	w.cores[1].st.Role, w.cores[1].st.Leader = core.RoleLeader, 2
	w.append(1, core.EntryNoop, "")
	w.look(1)
}

func (w *fakeWorld) grantPreVote(from, to int) {
	m := w.message(core.KindRequestVoteResponse, from, to)
	m.RequestVoteResponse = core.RequestVoteResponse{Pre: true, For: m.Term + 1, Granted: true}
	w.send(m)
}

func (w *fakeWorld) askLease(i int) {
	w.c.onRead(i, true)
	w.c.onLease(i)
}

// A cluster whose members change in every way, which does everything right.
func TestMembersSilent(t *testing.T) {
	w := settledWith(t, 3, 3)
	// A learner comes, and becomes a voter.
	w.grow(1)
	w.enter(0)
	w.agree(0, 1, 2, 3)
	// Two come and two go, one of them the leader; it dies in between, and
	// another takes it on.
	w.change(0, confchange.AddVoter, 5, 6)
	w.agree(0, 1, 2, 3, 4, 5)
	next := w.c.configuration(0)
	begun, err := next.Begin([]core.Operation{{Kind: confchange.Remove, ID: 1}, {Kind: confchange.Demote, ID: 3}, {Kind: confchange.Promote, ID: 5}, {Kind: confchange.Promote, ID: 6}})
	if err != nil {
		t.Fatal(err)
	}
	w.configure(0, begun)
	w.agree(0, 1, 2, 3, 4, 5)
	w.enter(0)
	w.sync(0)
	for i := 1; i < 6; i++ {
		w.replicate(0, i)
	}
	w.crash(0)
	w.elect(1, 2, 3, 4, 5, 2)
	w.agree(1, 2, 3, 4, 5)
	w.leave(1)
	w.agree(1, 3, 4, 2)
	w.silent()
	// A snapshot in that configuration, a restart on it, and one who had missed
	// it all gets it.
	last := w.cores[1].Status().Last.Index
	w.apply(1, last)
	w.compact(1, last)
	w.crash(1)
	w.restart(1)
	w.elect(3, 3, 4, 5)
	w.agree(3, 4, 5)
	w.silent()
	w.restart(0)
	if got := w.c.page(0).conf; !got.IsJoint() {
		t.Errorf("the replica that was down when the joint configuration was left has %v", got)
	}
	for m, want := range map[Mark]uint32{
		MarkConfigurationAppended: 6, MarkJointEntered: 1, MarkJointLeft: 1, MarkJointLeftByAnother: 1, MarkMembersReplaced: 1,
		MarkLearnerAdded: 2, MarkLearnerPromoted: 2, MarkLearnerDemoted: 1, MarkLeaderRemoved: 0, MarkElectedWhileJoint: 1,
	} {
		if w.marks[m] != want {
			t.Errorf("%v: %d times, want %d", m, w.marks[m], want)
		}
	}
}

// A leader may commit by a quorum that is smaller than the one before.
func TestMembersShrink(t *testing.T) {
	w := settled(t, 4)
	w.command(0, "x")
	w.sync(0)
	w.replicate(0, 1) // on two disks of four
	conf := w.c.configuration(0)
	w.cores[0].st.Commit = 3
	next, _ := conf.Begin([]core.Operation{{Kind: confchange.Remove, ID: 4}})
	next.Index = 5
	w.append(0, core.EntryConfiguration, string(next.Append(nil)))
	w.cores[0].st.Commit = 4 // by the new one, in the same event
	w.look(0)
	w.silent()
	if w.marks[MarkQuorumShrunkCommits] != 1 {
		t.Error("the smaller quorum was not seen to commit")
	}
}

// Who hears a leader may vote all the same for whom that leader wants, and once
// an election timeout has passed, for anyone; and who has led is free at once.
func TestLoyalVoters(t *testing.T) {
	for name, votes := range map[string]func(w *fakeWorld){
		"the leader wants it":  func(w *fakeWorld) { w.takeOver() },
		"a timeout has passed": func(w *fakeWorld) { w.tick += 10; w.win(2, 2, 1) },
		"again": func(w *fakeWorld) {
			w.tick += 10
			w.win(2, 2, 1)
			w.receive(w.heartbeat(2, 1, 3))
			w.requestVote(2, 1)
			w.grantVote(1, 2)
		},
		"it has led, and is free": func(w *fakeWorld) { w.stepDown(0); w.win(2, 2, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.atOnce = true
			w.receive(w.heartbeat(0, 1, 3))
			w.receive(w.heartbeat(0, 2, 3))
			votes(w)
			w.silent()
		})
	}
}

// Each of these breaks one thing about members, handovers or leases.
var brokenMembers = []breakage{
	{
		name: "a configuration that is in no log", property: PropertyConfiguration, replica: 0,
		values: []string{"configuration 3", "configuration 0: voters [1 2 3]"},
		breaks: func(w *fakeWorld) {
			w.cores[0].conf = &core.Configuration{EntryID: core.EntryID{Term: 1, Index: 3}, Voters: w.conf.Voters[:2]}
			w.look(0)
		},
	},
	{
		name: "a configuration of that index, and other members", property: PropertyConfiguration, replica: 1, spares: 2,
		values: []string{"configuration 5: voters [1 2 3 4 5];", "outgoing [1 2 3]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			conf := *w.c.configuration(0)
			conf.Outgoing = nil
			w.cores[1].conf = &conf
			w.follow(0, 1)
		},
	},
	{
		name: "an uncommitted configuration is forgotten at a restart", property: PropertyConfiguration, replica: 1, spares: 1,
		values: []string{"its configuration is configuration 0", "configuration 4"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.AddLearner, 4)
			w.follow(0, 1)
			w.crash(1)
			w.cores[1].conf = &w.conf
			w.restart(1)
		},
	},
	{
		name: "a configuration outlives its entry", property: PropertyConfiguration, replica: 0, spares: 1,
		values: []string{"its configuration is configuration 4", "configuration 0"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.AddLearner, 4)
			conf := *w.c.configuration(0)
			w.elect(1, 2, 2)
			w.sync(1)
			w.cores[0].conf = &conf
			w.follow(1, 0)
		},
	},
	{
		name: "a configuration outlives the log that a snapshot replaces", property: PropertyConfiguration, replica: 0, spares: 1,
		values: []string{"its configuration is configuration 5", "configuration 4"},
		breaks: func(w *fakeWorld) {
			w.command(0, "mine")
			w.change(0, confchange.AddLearner, 4)
			conf := *w.c.configuration(0)
			w.elect(1, 2, 2)
			w.command(1, "theirs")
			w.agree(1, 2)
			w.apply(1, 5)
			w.compact(1, 5)
			w.cores[0].conf = &conf
			w.c.configurations[pageFounding].conf.Index = 4 // as if it were one of a log
			w.disks[1].snapshot.Configuration.Index = 4
			w.install(1, 0)
		},
	},
	{
		name: "the host is told of another", property: PropertyConfiguration, replica: 2,
		values: []string{"tells its host", "[1 2]"},
		breaks: func(w *fakeWorld) { w.c.onMembers(2, &core.Configuration{Voters: w.conf.Voters[:2]}) },
	},

	{
		name: "two voters come at once", property: PropertyOneStep, replica: 0, spares: 2,
		values: []string{"more than one voter", "[1 2 3 4 5]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			conf := w.c.configuration(0).Enter()
			conf.Outgoing = nil
			w.configure(0, conf)
		},
	},
	{
		name: "one comes and one goes at once", property: PropertyOneStep, replica: 0, spares: 1,
		values: []string{"more than one voter", "[1 2 4]"},
		breaks: func(w *fakeWorld) {
			w.grow(1)
			w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2, 4}})
		},
	},
	{
		name: "a change before the term is open", property: PropertyOneStep, replica: 1, spares: 1,
		values: []string{"5@2", "committed it has up to 3", "of term 1"},
		breaks: func(w *fakeWorld) {
			w.elect(1, 2, 2)
			w.change(1, confchange.AddLearner, 4)
		},
	},
	{
		name: "a change before the one before is committed", property: PropertyOneStep, replica: 0, spares: 2,
		values: []string{"5@1", "behind 4@1", "not committed: that is 3"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.AddLearner, 4)
			w.change(0, confchange.AddLearner, 5)
		},
	},
	{
		name: "a change by one who does not lead", property: PropertyOneStep, replica: 1, spares: 1,
		values: []string{"4@1", "leader of that term"},
		breaks: func(w *fakeWorld) { w.change(1, confchange.AddLearner, 4) },
	},
	{
		name: "a joint configuration with another outgoing half", property: PropertyOneStep, replica: 0, spares: 2,
		values: []string{"outgoing half", "outgoing [1 2]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			conf := w.c.configuration(0).Enter()
			conf.Outgoing = conf.Outgoing[:2]
			w.configure(0, conf)
		},
	},
	{
		name: "a joint configuration is left for the outgoing half", property: PropertyOneStep, replica: 0, spares: 2,
		values: []string{"another than its incoming half"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.agree(0, 1, 2, 3, 4)
			w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2, 3}, Learners: []core.ReplicaID{4, 5}})
		},
	},
	{
		name: "joint after joint", property: PropertyOneStep, replica: 0, spares: 2,
		values: []string{"joint after joint"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.agree(0, 1, 2, 3, 4)
			w.configure(0, *w.c.configuration(0))
		},
	},
	{
		name: "a learner that nobody promotes votes", property: PropertyOneStep, replica: 0, spares: 1,
		values: []string{"no learner to be promoted", "learners [4]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2, 3, 4}})
		},
	},
	{
		name: "a voter learns", property: PropertyOneStep, replica: 0,
		values: []string{"a learner votes"},
		breaks: func(w *fakeWorld) {
			w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2, 3}, Learners: []core.ReplicaID{3}})
		},
	},
	{
		name: "nobody votes", property: PropertyOneStep, replica: 0,
		values: []string{"nobody votes"},
		breaks: func(w *fakeWorld) { w.configure(0, core.Configuration{Learners: []core.ReplicaID{1, 2, 3}}) },
	},
	{
		name: "no configuration", property: PropertyOneStep, replica: 0,
		values: []string{"4@1", "no configuration"},
		breaks: func(w *fakeWorld) {
			w.append(0, core.EntryConfiguration, "what?")
			w.look(0)
		},
	},
	{
		name: "a removed replica comes back", property: PropertyIdsNeverReturn, replica: 0,
		values: []string{"learners [3]", "highest id 3"},
		breaks: func(w *fakeWorld) {
			w.removed()
			w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2}, Learners: []core.ReplicaID{3}})
		},
	},
	{
		name: "the highest id is forgotten", property: PropertyIdsNeverReturn, replica: 0,
		values: []string{"highest id 2; before"},
		breaks: func(w *fakeWorld) { w.configure(0, core.Configuration{Voters: []core.ReplicaID{1, 2}}) },
	},

	{
		name: "a leader without votes", property: PropertyElected, replica: 1,
		values: []string{"leads term 2", "only [2] voted"},
		breaks: func(w *fakeWorld) { w.win(1, 2) },
	},
	{
		name: "a leader with the votes of learners", property: PropertyElected, replica: 1, spares: 1,
		values: []string{"learners [4]", "only [2 4] voted"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.win(1, 2, 3)
		},
	},
	{
		name: "a leader with the votes of one half", property: PropertyElected, replica: 3, spares: 2,
		values: []string{"outgoing [1 2 3]", "only [3 4 5] voted"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.sync(0)
			w.replicate(0, 3)
			w.win(3, 2, 4, 2)
		},
	},
	{
		name: "a learner asks for pre-votes", property: PropertyVotersLead, replica: 3, spares: 1,
		values: []string{"pre-candidate", "learners [4]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.preCandidate(3)
		},
	},
	{
		name: "a removed replica stands", property: PropertyVotersLead, replica: 2,
		values: []string{"candidate in term 2", "voters [1 2]", "committed is 4"},
		breaks: func(w *fakeWorld) {
			w.removed()
			w.candidate(2, 2)
		},
	},
	{
		name: "a replica stands that knows nobody", property: PropertyVotersLead, replica: 3, spares: 1,
		breaks: func(w *fakeWorld) { w.candidate(3, 1) },
	},

	{
		name: "an append to one who is no member", property: PropertyMembersOnly, replica: 0, spares: 1,
		values: []string{"AppendEntries to replica 4"},
		breaks: func(w *fakeWorld) { w.send(w.heartbeat(0, 3, 3)) },
	},
	{
		name: "a snapshot to one who is no member", property: PropertyMembersOnly, replica: 0, spares: 1,
		values: []string{"InstallSnapshot to replica 4"},
		breaks: func(w *fakeWorld) { w.chunk(0, 3, 3, 0) },
	},
	{
		name: "an append to one who was no member since the election", property: PropertyMembersOnly, replica: 1,
		values: []string{"AppendEntries to replica 3"},
		breaks: func(w *fakeWorld) {
			w.removed()
			w.elect(1, 2, 0)
			w.send(w.heartbeat(1, 2, 3))
		},
	},
	{
		name: "a stranger is followed once it is heard", property: PropertyMembersOnly, replica: 0, spares: 1,
		values: []string{"follows replica 4"},
		breaks: func(w *fakeWorld) {
			w.receive(w.message(core.KindAppendEntriesResponse, 3, 0))
			w.cores[0].peers = []progress.Progress{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}}
			w.look(0)
		},
	},

	{
		name: "a snapshot is sent with other members", property: PropertySnapshotMembers, replica: 0, spares: 1,
		values: []string{"sends a snapshot of 4@1", "learners [4]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			m := w.message(core.KindInstallSnapshot, 0, 1)
			m.InstallSnapshot.Snapshot = w.snapshotAt(0, 4)
			m.InstallSnapshot.Snapshot.Configuration = w.conf
			w.send(m)
		},
	},
	{
		name: "a snapshot is taken with later members", property: PropertySnapshotMembers, replica: 0, spares: 1,
		values: []string{"has a snapshot of 3@1", "configuration 4"},
		breaks: func(w *fakeWorld) {
			w.learner()
			s := w.snapshotAt(0, 3)
			s.Configuration = *w.c.configuration(0)
			w.disks[0].snapshot, w.cores[0].st.Snapshot = s, s.EntryID
			w.look(0)
		},
	},
	{
		name: "a snapshot is restored with half of a joint configuration", property: PropertySnapshotMembers, replica: 1, spares: 2,
		values: []string{"restores a snapshot of 5@1", "outgoing [1 2 3]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.agree(0, 1, 2, 3, 4)
			s := w.snapshotAt(1, 5)
			s.Configuration.Outgoing = nil
			w.c.onInstall(1, s)
		},
	},

	{
		name: "a lease of a leader that was deposed", property: PropertyLeaseHonest, replica: 0,
		values: []string{"leads term 1", "replica 2 has led term 2"},
		breaks: func(w *fakeWorld) {
			w.elect(1, 2, 2)
			w.askLease(0)
		},
	},
	{
		name: "a proposal is taken while leadership is handed over", property: PropertyHandover, replica: 0,
		values: []string{"to replica 2", "the proposal 4@1"},
		breaks: func(w *fakeWorld) {
			w.handOver()
			w.command(0, "x")
		},
	},
	{
		name: "a handover goes on", property: PropertyHandover, replica: 0,
		values: []string{"for 10 ticks", "timeout is 10"},
		breaks: func(w *fakeWorld) {
			w.handOver()
			w.cores[0].st.Clock += 9
			w.look(0)
			w.silent()
			w.cores[0].st.Clock++
			w.look(0)
		},
	},
	{
		name: "a removal that is not committed is told", property: PropertyTrueEvents, replica: 0,
		values: []string{"replica 3 is removed", "[1 2 3]"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.Remove, 3)
			w.c.onEvent(0, core.Event{Kind: core.EventRemoved, Replica: 3})
		},
	},
	{
		name: "a promotion that is none is told", property: PropertyTrueEvents, replica: 0, spares: 1,
		values: []string{"replica 4 is promoted", "learners [4]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.c.onEvent(0, core.Event{Kind: core.EventPromoted, Replica: 4})
		},
	},

	{
		name: "a founding voter is called promoted", property: PropertyTrueEvents, replica: 0, spares: 1,
		values: []string{"replica 2 is promoted"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.agree(0, 1, 2)
			w.c.onEvent(0, core.Event{Kind: core.EventPromoted, Replica: 2})
		},
	},
	{
		name: "a transfer is called done before anybody else leads", property: PropertyHandover, replica: 0,
		values: []string{"replica 2 has taken over", "in term 1"},
		breaks: func(w *fakeWorld) { w.c.onTransferred(0, 2, 1) },
	},
	{
		name: "a transfer is called done, and another one leads", property: PropertyHandover, replica: 0,
		values: []string{"replica 3 has taken over"},
		breaks: func(w *fakeWorld) {
			w.follow(0, 1)
			w.elect(1, 2, 2)
			w.c.onTransferred(0, 3, 1)
		},
	},
	{
		name: "it has resigned, and leads", property: PropertyHandover, replica: 0,
		values: []string{"has resigned, and is a leader"},
		breaks: func(w *fakeWorld) { w.c.onResign(0); w.c.onResigned(0) },
	},
	{
		name: "it has resigned, and stands", property: PropertyHandover, replica: 1,
		values: []string{"has resigned, and is a candidate"},
		breaks: func(w *fakeWorld) { w.c.onResign(1); w.c.onResigned(1); w.candidate(1, 2) },
	},

	{
		name: "a learner is asked to take over", property: PropertyTrueMessages, replica: 0, spares: 1,
		values: []string{"replica 4", "no voter"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.cores[0].st.Successor = 4
			w.send(w.timeoutNow(0, 3))
		},
	},
	{
		name: "one is asked to take over who lacks an entry", property: PropertyTrueMessages, replica: 0,
		values: []string{"ends in 4@1", "it ends in 3@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.handOver()
			w.send(w.timeoutNow(0, 1))
		},
	},
	{
		name: "one is asked to take over with a part of the log", property: PropertyTrueMessages, replica: 0,
		values: []string{"ends in 3@1", "its own ends in 4@1"},
		breaks: func(w *fakeWorld) {
			w.command(0, "x")
			w.handOver()
			m := w.timeoutNow(0, 1)
			m.TimeoutNow.Last = end(1, 3)
			w.send(m)
		},
	},
	{
		name: "one is asked to take over, and the leader leads on", property: PropertyTrueMessages, replica: 0,
		values: []string{"replica 2", "nobody"},
		breaks: func(w *fakeWorld) { w.send(w.timeoutNow(0, 1)) },
	},
	{
		name: "a follower asks another to take over", property: PropertyElectionSafety, replica: 2,
		values: []string{"TimeoutNow"},
		breaks: func(w *fakeWorld) { w.send(w.timeoutNow(2, 1)) },
	},
	{
		name: "a candidate says that it was asked to stand", property: PropertyTrueMessages, replica: 1,
		values: []string{"term 2", "has not asked it"},
		breaks: func(w *fakeWorld) {
			w.candidate(1, 2)
			m := w.message(core.KindRequestVote, 1, 2)
			m.RequestVote = core.RequestVote{Transfer: true, For: 2, Last: w.cores[1].Status().Last}
			w.send(m)
		},
	},
	{
		name: "a candidate was asked to stand in an older term", property: PropertyTrueMessages, replica: 1,
		values: []string{"term 3", "leader of term 2 was nobody"},
		breaks: func(w *fakeWorld) {
			w.handOver()
			w.send(w.timeoutNow(0, 1))
			w.candidate(1, 2)
			w.candidate(1, 3)
			m := w.message(core.KindRequestVote, 1, 2)
			m.RequestVote = core.RequestVote{Transfer: true, For: 3, Last: w.cores[1].Status().Last}
			w.send(m)
		},
	},
	{
		name: "an append from a time to come", property: PropertyTrueMessages, replica: 0,
		values: []string{"tick 3", "term 1 for 2"},
		breaks: func(w *fakeWorld) {
			w.cores[0].st.Clock++
			m := w.heartbeat(0, 1, 3)
			m.AppendEntries.Sent = 3
			w.send(m)
		},
	},
	{
		name: "a chunk of no time", property: PropertyTrueMessages, replica: 0,
		values: []string{"InstallSnapshot as of tick 0"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindInstallSnapshot, 0, 1)
			m.InstallSnapshot.Sent = 0
			w.send(m)
		},
	},
	{
		name: "an answer to what was not heard", property: PropertyTrueMessages, replica: 1,
		values: []string{"tick 2", "heard tick 1"},
		breaks: func(w *fakeWorld) {
			m := w.message(core.KindAppendEntriesResponse, 1, 0)
			m.AppendEntriesResponse = core.AppendEntriesResponse{Match: 3, Sent: 2}
			w.send(m)
		},
	},
	{
		name: "an answer that carries a round into another term", property: PropertyTrueMessages, replica: 1,
		values: []string{"in term 2", "round 7", "of the leader of term 1"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			m := w.message(core.KindInstallSnapshotResponse, 1, 0)
			m.InstallSnapshotResponse.Round = 7
			w.send(m)
		},
	},

	{
		name: "a vote against a leader that was just heard", property: PropertyLoyalty, replica: 1,
		values: []string{"replica 3 its vote for term 2 (pre false)", "10 ticks"},
		breaks: func(w *fakeWorld) {
			w.atOnce = true
			w.receive(w.heartbeat(0, 1, 3))
			w.tick += 9
			w.candidate(2, 2)
			w.requestVote(2, 1)
			w.term(1, 2, 2)
			w.grantVote(1, 2)
		},
	},
	{
		name: "a pre-vote right after a start", property: PropertyLoyalty, replica: 1,
		values: []string{"replica 3 its vote for term 2 (pre true)"},
		breaks: func(w *fakeWorld) {
			w.atOnce = true
			w.crash(1)
			w.restart(1)
			w.preCandidate(2)
			w.askVote(2, 1, true)
			w.grantPreVote(1, 2)
		},
	},
	{
		name: "a leader gives a pre-vote", property: PropertyLoyalty, replica: 0,
		values: []string{"replica 3 its vote for term 2 (pre true)", "it led"},
		breaks: func(w *fakeWorld) { w.preCandidate(2); w.askVote(2, 0, true); w.grantPreVote(0, 2) },
	},
	{
		name: "a pre-vote for a log that is worse", property: PropertyLoyalty, replica: 1,
		values: []string{"replica 3 its vote for term 2 (pre true)", "its own log, which ends in 4@1, was better"},
		breaks: func(w *fakeWorld) {
			w.command(0, "c")
			w.follow(0, 1)
			w.preCandidate(2)
			w.askVote(2, 1, true)
			w.grantPreVote(1, 2)
		},
	},
	{
		name: "a vote that nobody asked for", property: PropertyLoyalty, replica: 1,
		values: []string{"gives replica 3 its vote for term 1", "not asked"},
		breaks: func(w *fakeWorld) {
			w.c.replicas[1].votes[1] = 0
			w.disks[1].hard.Vote = 3
			w.grantVote(1, 2)
		},
	},
	{
		name: "a pre-vote is written down as a vote", property: PropertyLoyalty, replica: 1,
		values: []string{"votes for replica 3 in term 2", "not asked"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			w.term(2, 2, nobody)
			w.preCandidate(2)
			w.askVote(2, 1, true)
			w.term(1, 2, 2)
		},
	},

	{
		name: "committed by learners", property: PropertyDurableCommit, replica: 0, spares: 1,
		values: []string{"learners [4]", "only [1 4]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			w.command(0, "x")
			w.agree(0, 3)
		},
	},
	{
		name: "committed by a leader that does not vote", property: PropertyDurableCommit, replica: 0,
		values: []string{"voters [2 3]", "only [1 2]"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.Remove, 1)
			w.agree(0, 1)
		},
	},
	{
		name: "committed by the incoming half", property: PropertyDurableCommit, replica: 0, spares: 2,
		values: []string{"outgoing [1 2 3]", "only [1 4 5]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.agree(0, 3, 4)
		},
	},
	{
		name: "committed by the outgoing half", property: PropertyDurableCommit, replica: 0, spares: 2,
		values: []string{"outgoing [1 2 3]", "only [1 2]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			w.agree(0, 1)
		},
	},
	{
		name: "a change is called committed where none is", property: PropertyAnswers, replica: 0,
		values: []string{"at 3"},
		breaks: func(w *fakeWorld) {
			w.c.onAnswered(0, &replica.Answer{Kind: replica.AnswerApplied, Index: 3})
		},
	},
}

// win makes replica i the leader of t with the votes of just those named.
func (w *fakeWorld) win(i int, t core.Term, voters ...int) {
	w.candidate(i, t)
	for _, v := range voters {
		w.requestVote(i, v)
		w.term(v, t, i)
		w.grantVote(v, i)
	}
	w.cores[i].st.Role, w.cores[i].st.Leader = core.RoleLeader, w.cores[i].st.ID
	w.append(i, core.EntryNoop, "")
	w.look(i)
}

// Each situation around members, handovers and leases, in a cluster that does
// nothing wrong; there are spares.
var situationsOfMembers = []situation{
	{MarkConfigurationAppended, 0, func(w *fakeWorld) { w.change(0, confchange.AddLearner, 4) }},
	{MarkConfigurationTruncated, 0, func(w *fakeWorld) {
		w.change(0, confchange.AddLearner, 4)
		w.elect(1, 2, 2)
		w.sync(1)
		w.follow(1, 0)
	}},
	{MarkTwoConfigurationsUncommitted, 0, func(w *fakeWorld) {
		w.change(0, confchange.AddLearner, 4)
		w.agree(0, 2)
		w.change(0, confchange.AddLearner, 5)
		w.follow(0, 1)
	}},
	{MarkConfigurationUncommittedAtElection, 0, func(w *fakeWorld) {
		w.change(0, confchange.AddLearner, 4)
		w.follow(0, 1)
		w.elect(1, 2, 2)
	}},
	{MarkChangeRefusedTermNotOpen, 0, refused(core.RefusedTermNotOpen)},
	{MarkChangeRefusedPending, 0, refused(core.RefusedChangePending)},
	{MarkChangeRefusedMoved, 0, refused(core.RefusedConfigurationMoved)},
	{MarkChangeRefusedLastVoter, 0, refused(core.RefusedNoVoters)},
	{MarkChangeRefusedSilent, 0, refused(core.RefusedQuorumSilent)},
	{MarkTransferRefusedTarget, 0, refused(core.RefusedNoTarget)},
	{MarkLearnerAdded, 0, func(w *fakeWorld) { w.learner() }},
	{MarkLearnerPromoted, 0, func(w *fakeWorld) { w.grow(1); w.enter(0) }},
	{MarkLearnerDemoted, 0, func(w *fakeWorld) { w.change(0, confchange.Demote, 3) }},
	{MarkLearnerStays, 0, func(w *fakeWorld) { w.learner(); w.change(0, confchange.Remove, 3) }},
	{MarkLearnerUpdated, 0, func(w *fakeWorld) {
		w.learner()
		next, _ := w.c.configuration(0).Begin([]core.Operation{{Kind: confchange.Update, ID: 4, Address: "there"}})
		w.configure(0, next)
	}},
	{MarkLearnersHeld, 0, func(w *fakeWorld) {
		w.learner()
		w.command(0, "x")
		w.sync(0)
		w.replicate(0, 3)
		w.term(0, 2, nobody)
	}},
	{MarkCatchUpRepeated, 0, func(w *fakeWorld) {
		w.grow(1)
		for _, target := range []core.Index{3, 4} {
			w.cores[0].peers = []progress.Progress{{ID: 4, CatchUp: progress.CatchUp{Target: target}}}
			for range invariantEvery {
				w.look(0)
			}
		}
	}},
	{MarkLeaderRemoved, 0, func(w *fakeWorld) { w.change(0, confchange.Remove, 1) }},
	{MarkLeaderDemoted, 0, func(w *fakeWorld) { w.change(0, confchange.Demote, 1) }},
	{MarkRemovedLeaderShort, 0, func(w *fakeWorld) {
		w.change(0, confchange.Remove, 1)
		w.sync(0)
		w.replicate(0, 1)
		w.term(0, 2, nobody)
	}},
	{MarkRemovedDisturbs, 0, func(w *fakeWorld) {
		w.change(0, confchange.Remove, 3)
		w.agree(0, 1)
		w.preCandidate(2)
		w.askVote(2, 0, true)
	}},
	{MarkRemovedTold, 0, func(w *fakeWorld) {
		w.removed()
		w.c.onEvent(2, core.Event{Kind: core.EventRemoved, Replica: 3})
	}},
	{MarkVoteOfNonVoter, 0, func(w *fakeWorld) { w.learner(); w.elect(1, 2, 3) }},
	{MarkCandidateOfPreviousConfiguration, 0, func(w *fakeWorld) {
		w.change(0, confchange.Remove, 3)
		w.follow(0, 2)
		w.candidate(2, 2)
	}},
	{MarkLearnerStands, 0, func(w *fakeWorld) { w.grow(1); w.follow(0, 3); w.candidate(3, 2) }},
	{MarkStrangerHeard, 0, func(w *fakeWorld) { w.receive(w.message(core.KindReadIndex, 3, 0)) }},
	{MarkQuorumShrunkCommits, 4, func(w *fakeWorld) {
		w.command(0, "x")
		w.sync(0)
		w.replicate(0, 1)
		next, _ := w.c.configuration(0).Begin([]core.Operation{{Kind: confchange.Remove, ID: 4}})
		next.Index = 5
		w.append(0, core.EntryConfiguration, string(next.Append(nil)))
		w.commit(0, 4)
	}},
	{MarkReadsWaitingOnChange, 0, func(w *fakeWorld) {
		w.cores[0].st.ReadsWaiting = 1
		w.look(0)
		w.change(0, confchange.Demote, 3)
	}},
	{MarkRestartBehindChange, 0, func(w *fakeWorld) { w.removed(); w.crash(1); w.restart(1) }},
	{MarkRestartUncommittedConfiguration, 0, func(w *fakeWorld) {
		w.change(0, confchange.Remove, 3)
		w.crash(0)
		w.restart(0)
	}},

	{MarkJointEntered, 0, func(w *fakeWorld) { w.joint() }},
	{MarkJointLeft, 0, func(w *fakeWorld) { w.joint(); w.agree(0, 1, 2, 3, 4); w.leave(0) }},
	{MarkJointLeftByAnother, 0, func(w *fakeWorld) {
		w.joint()
		w.follow(0, 1)
		w.elect(1, 2, 2)
		for i := 2; i < 5; i++ {
			w.cores[i].st.Commit = min(w.cores[i].st.Commit, 4)
		}
		w.agree(1, 2, 3, 4)
		w.leave(1)
	}},
	{MarkMembersReplaced, 0, func(w *fakeWorld) {
		w.grow(1)
		next, _ := w.c.configuration(0).Begin([]core.Operation{{Kind: confchange.Remove, ID: 3}, {Kind: confchange.Promote, ID: 4}})
		w.configure(0, next)
		w.agree(0, 1, 2)
		w.enter(0)
	}},
	{MarkElectedWhileJoint, 0, func(w *fakeWorld) { w.joint(); w.follow(0, 3); w.elect(3, 2, 2) }},
	{MarkElectedOutgoing, 0, func(w *fakeWorld) {
		w.change(0, confchange.Demote, 2, 3)
		w.follow(0, 1)
		w.elect(1, 2, 2)
	}},
	{MarkJointHalfHeld, 0, func(w *fakeWorld) {
		w.joint()
		w.sync(0)
		w.replicate(0, 1)
		w.term(0, 2, nobody)
	}},

	{MarkSnapshotInJoint, 0, func(w *fakeWorld) {
		w.joint()
		w.agree(0, 1, 2, 3, 4)
		w.apply(0, 5)
		w.compact(0, 5)
	}},
	{MarkSnapshotSameConfiguration, 0, func(w *fakeWorld) {
		w.removed()
		w.apply(0, 4)
		w.compact(0, 4)
		w.command(0, "x")
		w.sync(0)
		w.cores[1].entries = append(w.cores[1].entries, *w.cores[0].at(5))
		w.sync(1)
		w.look(1)
		w.commit(0, 5)
		w.apply(0, 5)
		w.compact(0, 5)
	}},
	{MarkSnapshotBringsConfiguration, 0, func(w *fakeWorld) {
		w.change(0, confchange.AddLearner, 4)
		w.agree(0, 1)
		w.command(0, "x")
		w.agree(0, 1)
		w.apply(0, 5)
		w.compact(0, 5)
		w.install(0, 2)
	}},
	{MarkSnapshotBeatsOwnConfiguration, 0, func(w *fakeWorld) {
		w.change(0, confchange.AddLearner, 4)
		w.elect(1, 2, 2)
		w.command(1, "x")
		w.agree(1, 2)
		w.apply(1, 5)
		w.compact(1, 5)
		w.install(1, 0)
	}},

	{MarkTransferBegun, 0, func(w *fakeWorld) { w.handOver() }},
	{MarkTransferDone, 0, func(w *fakeWorld) { w.takeOver() }},
	{MarkVoteOverStickiness, 0, func(w *fakeWorld) { w.takeOver() }},
	{MarkTransferAborted, 0, func(w *fakeWorld) {
		w.handOver()
		w.cores[0].st.Clock += 10
		w.c.onEvent(0, core.Event{Kind: core.EventHandoverAborted, Replica: 2})
		w.look(0) // another one has begun at once
	}},
	{MarkTransferToLagging, 0, func(w *fakeWorld) { w.command(0, "x"); w.handOver() }},
	{MarkTimeoutNowStale, 0, func(w *fakeWorld) {
		w.handOver()
		m := w.timeoutNow(0, 1)
		w.send(m)
		w.term(1, 2, nobody)
		w.receive(m)
	}},
	{MarkHandoverRefusedProposal, 0, func(w *fakeWorld) {
		w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerRefused, Reason: core.RefusedTransferring}, nil, question{})
	}},
	{MarkPriorityHandover, 0, func(w *fakeWorld) {
		next, _ := w.c.configuration(0).Begin([]core.Operation{{Kind: confchange.Update, ID: 2, Priority: 1}})
		w.configure(0, next)
		w.handOver()
		w.c.onEvent(0, core.Event{Kind: core.EventHandover, Replica: 2})
	}},

	{MarkLeaseRead, 0, func(w *fakeWorld) { w.askLease(0) }},
	{MarkLeaseExpired, 0, func(w *fakeWorld) { w.askInVain(0) }},
	{MarkLeaseBeforeOwnCommit, 0, func(w *fakeWorld) { w.elect(1, 2, 2); w.askInVain(1) }},
	{MarkLeaseVoidAfterTransfer, 0, func(w *fakeWorld) {
		w.handOver()
		w.send(w.timeoutNow(0, 1))
		w.askInVain(0)
	}},
	{MarkVoteRefusedFresh, 0, func(w *fakeWorld) {
		w.crash(1)
		w.restart(1)
		w.preCandidate(2)
		w.askVote(2, 1, true)
		w.refuseVote(1, 2, true, 2)
	}},

	{MarkFollowerOverloaded, 0, func(w *fakeWorld) {
		w.command(0, "x")
		w.command(0, "y")
		m := w.appendEntries(0, 1)
		w.receive(m)
		w.cores[1].entries = append(w.cores[1].entries, *w.cores[0].at(4))
		w.look(1)
	}},
}

// joint has replica 0 append a joint configuration of five.
func (w *fakeWorld) joint() {
	w.grow(2)
	w.enter(0)
}

// refused has replica 0 refuse a request about members or leadership.
func refused(why core.RefusalReason) func(*fakeWorld) {
	return func(w *fakeWorld) {
		w.c.onAnswered(0, &replica.Answer{Kind: replica.AnswerRefused, Reason: why})
	}
}

// askInVain asks for a read by lease, which has to wait.
func (w *fakeWorld) askInVain(i int) {
	w.c.onRead(i, true)
	w.cores[i].st.ReadsWaiting++
	w.c.onLease(i)
}
