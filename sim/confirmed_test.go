package sim

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// round has leader l send a heartbeat in that round, which those named receive.
func (w *fakeWorld) round(l int, round uint64, others ...int) {
	for _, i := range others {
		m := w.heartbeat(l, i, w.cores[l].st.Commit)
		m.AppendEntries.Round = round
		w.send(m)
		w.receive(m)
	}
}

// answerRead has replica i answer the read from all that it has applied.
func (w *fakeWorld) answerRead(i int, q question) {
	w.c.onAnswer(i, &replica.Answer{Kind: replica.AnswerApplied, Read: true, Index: w.c.top()}, nil, q)
}

// askRead has follower i send leader l its request of that number.
func (w *fakeWorld) askRead(i, l int, counter uint64) core.ReadID {
	m := w.message(core.KindReadIndex, i, l)
	m.ReadIndex.ID = core.ReadID{Replica: m.From, Boot: 1, Counter: counter}
	w.send(m)
	w.receive(m)
	return m.ReadIndex.ID
}

// grantRead has leader l grant the request to follower i.
func (w *fakeWorld) grantRead(l, i int, id core.ReadID) {
	m := w.message(core.KindReadIndexResponse, l, i)
	m.ReadIndexResponse = core.ReadIndexResponse{ID: id, Index: w.c.top()}
	w.send(m)
	w.receive(m)
}

// Reads that are confirmed as they should be.
func TestReadsConfirmed(t *testing.T) {
	for name, reads := range map[string]func(w *fakeWorld){
		"a round after the read": func(w *fakeWorld) {
			w.round(0, 1, 1, 2)
			q := w.c.onRead(0, false)
			w.round(0, 2, 2)
			w.answerRead(0, q)
		},
		"by a lease": func(w *fakeWorld) { w.answerRead(0, w.c.onRead(0, true)) },
		"a voter starts again after it has answered": func(w *fakeWorld) {
			q := w.c.onRead(0, false)
			w.round(0, 1, 2)
			w.crash(2)
			w.restart(2)
			w.answerRead(0, q)
		},
		"a voter has gone on since": func(w *fakeWorld) {
			q := w.c.onRead(0, false)
			w.round(0, 1, 2)
			w.elect(1, 2, 2)
			w.answerRead(0, q)
		},
		"a request that comes twice": func(w *fakeWorld) {
			first := w.askRead(1, 0, 1)
			w.round(0, 1, 2)
			w.grantRead(0, 1, first)
			second := w.askRead(1, 0, 2)
			w.round(0, 2, 2)
			w.askRead(1, 0, 1)
			w.askRead(1, 0, 2)
			w.grantRead(0, 1, second)
		},
		"a quorum of the configuration before": func(w *fakeWorld) {
			w.grow(1)
			q := w.c.onRead(0, false)
			w.round(0, 1, 1)
			w.enter(0)
			w.answerRead(0, q)
		},
		"a quorum of the configuration since": func(w *fakeWorld) {
			q := w.c.onRead(0, false)
			w.change(0, confchange.Remove, 1)
			w.agree(0, 1, 2)
			w.round(0, 1, 1, 2)
			w.answerRead(0, q)
		},
		"it leads no longer": func(w *fakeWorld) {
			q := w.c.onRead(0, false)
			w.stepDown(0)
			w.answerRead(0, q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWith(t, 3, 1)
			reads(w)
			w.silent()
		})
	}
}

// Each of these has a read answered, or a vote or an answer withheld, as it
// should not be.
var brokenReads = []breakage{
	{
		name: "a read that nobody confirmed", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"leads term 1", "sent round 0", "[0 0 0]"},
		breaks: func(w *fakeWorld) { w.answerRead(0, w.c.onRead(0, false)) },
	},
	{
		name: "a read joins a round that is out", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"sent round 1", "[0 1 1]"},
		breaks: func(w *fakeWorld) {
			w.c.onRead(0, false)
			m := w.heartbeat(0, 1, 3)
			m.AppendEntries.Round = 1
			w.send(m)
			q := w.c.onRead(0, false)
			w.receive(m)
			w.round(0, 1, 2)
			w.answerRead(0, q)
		},
	},
	{
		name: "a round of an older term", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"leads term 3", "[0 0 0]"},
		breaks: func(w *fakeWorld) {
			w.round(0, 1, 1)
			late := w.heartbeat(0, 2, 3)
			late.AppendEntries.Round = 1
			w.send(late)
			w.elect(1, 2)
			w.follow(1, 0)
			w.elect(0, 3, 1)
			w.agree(0, 1)
			q := w.c.onRead(0, false)
			w.receive(late)
			w.answerRead(0, q)
		},
	},
	{
		name: "a voter of a later term confirms", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"leads term 1", "[0 0 0]"},
		breaks: func(w *fakeWorld) {
			q := w.c.onRead(0, false)
			w.elect(1, 2, 2)
			w.round(0, 1, 1, 2)
			w.answerRead(0, q)
		},
	},
	{
		name: "a learner confirms", property: PropertyReadsConfirmed, replica: 0, spares: 1,
		values: []string{"voters [1 2 3], learners [4]", "[0 0 0 1]"},
		breaks: func(w *fakeWorld) {
			w.learner()
			q := w.c.onRead(0, false)
			w.round(0, 1, 3)
			w.answerRead(0, q)
		},
	},
	{
		name: "one half of a joint configuration confirms", property: PropertyReadsConfirmed, replica: 0, spares: 2,
		values: []string{"voters [1 2 3 4 5], outgoing [1 2 3]", "[0 0 0 1 1]"},
		breaks: func(w *fakeWorld) {
			w.grow(2)
			w.enter(0)
			q := w.c.onRead(0, false)
			w.round(0, 1, 3, 4)
			w.answerRead(0, q)
		},
	},
	{
		name: "a leader that is no voter counts itself", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"voters [2 3]", "[0 1 0]"},
		breaks: func(w *fakeWorld) {
			w.change(0, confchange.Remove, 1)
			w.agree(0, 1, 2)
			q := w.c.onRead(0, false)
			w.round(0, 1, 1)
			w.answerRead(0, q)
		},
	},
	{
		name: "a follower's request that nobody confirmed", property: PropertyReadsConfirmed, replica: 0,
		values: []string{"sent round 1", "[0 1 0]"},
		breaks: func(w *fakeWorld) {
			w.round(0, 1, 1)
			w.grantRead(0, 1, w.askRead(1, 0, 1))
		},
	},
	{
		name: "a follower's read joins a request that is out", property: PropertyReadsConfirmed, replica: 1,
		values: []string{"request 1", "no later one than 1"},
		breaks: func(w *fakeWorld) {
			id := w.askRead(1, 0, 1)
			q := w.c.onRead(1, false)
			w.round(0, 1, 1)
			w.grantRead(0, 1, id)
			w.answerRead(1, q)
		},
	},

	{
		name: "the leader of an older term is not told", property: PropertyOldLeadersTold, replica: 1,
		values: []string{"replica 1, which leads term 1", "term 2"},
		breaks: func(w *fakeWorld) {
			w.term(1, 2, nobody)
			w.cores[1].st.DurableTerm = 2
			w.receive(w.heartbeat(0, 1, 3))
			w.look(1)
		},
	},
	{
		name: "a newer term is not adopted", property: PropertyNewerTerms, replica: 1,
		values: []string{"follower in term 1", "message of term 2"},
		breaks: func(w *fakeWorld) {
			w.receive(&core.Message{Kind: core.KindRequestVoteResponse, From: 3, To: 2, Term: 2,
				RequestVoteResponse: core.RequestVoteResponse{For: 1}})
			w.look(1)
		},
	},
	{
		name: "a candidate goes on in a newer term", property: PropertyNewerTerms, replica: 1,
		values: []string{"candidate in term 3", "message of term 3"},
		breaks: func(w *fakeWorld) {
			w.candidate(1, 2)
			w.look(1)
			w.receive(&core.Message{Kind: core.KindRequestVoteResponse, From: 3, To: 2, Term: 3,
				RequestVoteResponse: core.RequestVoteResponse{For: 2}})
			w.cores[1].st.Term, w.cores[1].st.Role = 3, core.RoleCandidate
			w.look(1)
		},
	},
	{
		name: "a vote is not given again", property: PropertyTrueMessages, replica: 1,
		values: []string{"refuses replica 3", "term 2, which it has given it"},
		breaks: func(w *fakeWorld) {
			w.elect(2, 2, 1)
			w.refuseVote(1, 2, false, 2)
		},
	},
	{
		name: "a pre-vote is refused for nothing", property: PropertyTrueMessages, replica: 1,
		values: []string{"refuses replica 3", "term 2 (pre true)", "log, which ends in 3@1"},
		breaks: func(w *fakeWorld) {
			w.tick += 20
			w.preCandidate(2)
			w.askVote(2, 1, true)
			w.refuseVote(1, 2, true, 2)
		},
	},
}

// Who is in a newer term and answers, or may not speak of it yet, has told; and
// there are reasons to refuse a vote.
func TestAnswersAsTheyShouldBe(t *testing.T) {
	hearsOld := func(w *fakeWorld) {
		m := w.heartbeat(0, 1, 3)
		m.Term = 1
		w.receive(m)
	}
	for name, answers := range map[string]func(w *fakeWorld){
		"it answers": func(w *fakeWorld) {
			w.cores[1].st.DurableTerm = 2
			hearsOld(w)
			m := w.message(core.KindAppendEntriesResponse, 1, 0)
			m.AppendEntriesResponse.Reject = true
			w.send(m)
		},
		"its term is not durable yet": func(w *fakeWorld) { w.cores[1].st.DurableTerm = 1; hearsOld(w) },
		"it has gone down": func(w *fakeWorld) {
			w.cores[1].st.DurableTerm = 2
			hearsOld(w)
			w.crash(1)
			w.restart(1)
		},
		"its vote was given to another": func(w *fakeWorld) {
			w.elect(0, 3, 1)
			w.candidate(2, 3)
			w.askVote(2, 1, false)
			w.refuseVote(1, 2, false, 3)
		},
		"it hears a leader": func(w *fakeWorld) {
			w.atOnce = true
			w.elect(0, 3, 1)
			w.receive(w.heartbeat(0, 1, 3))
			w.tick += 19
			w.candidate(2, 3)
			w.preCandidate(2)
			w.askVote(2, 1, true)
			w.refuseVote(1, 2, true, 4)
		},
		"its log is better": func(w *fakeWorld) {
			w.command(1, "mine")
			w.candidate(2, 3)
			w.askVote(2, 1, false)
			w.refuseVote(1, 2, false, 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.elect(1, 2, 2)
			w.follow(1, 0)
			w.follow(1, 2)
			w.stepDown(1)
			answers(w)
			w.look(1)
			w.silent()
		})
	}
}
