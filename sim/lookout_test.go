package sim

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/progress"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// candidate makes replica i a candidate of term t, with its own vote durable.
func (w *fakeWorld) candidate(i int, t core.Term) {
	c := w.cores[i]
	c.st.Role, c.st.Term, c.st.Vote, c.st.Leader = core.RoleCandidate, t, c.st.ID, 0
	w.disks[i].hard = core.HardState{Term: t, Vote: c.st.ID}
	w.look(i)
}

func (w *fakeWorld) preCandidate(i int) {
	w.cores[i].st.Role, w.cores[i].st.Leader = core.RolePreCandidate, 0
	w.look(i)
}

// stepDown: leader i gives up in its own term.
func (w *fakeWorld) stepDown(i int) {
	w.cores[i].st.Role, w.cores[i].st.Leader = core.RoleFollower, 0
	w.look(i)
}

// heartbeat is an empty append of leader l behind j.
func (w *fakeWorld) heartbeat(l, i int, j core.Index) *core.Message {
	m := w.message(core.KindAppendEntries, l, i)
	term, chain, _ := w.cores[l].Position(j)
	m.AppendEntries = core.AppendEntries{Prev: end(term, j), PrevDigest: chain, Commit: w.cores[l].st.Commit, Sent: 1}
	return m
}

// one is the append of leader l that holds just the entry at j.
func (w *fakeWorld) one(l, i int, j core.Index) *core.Message {
	m := w.heartbeat(l, i, j-1)
	m.AppendEntries.Entries = []core.Entry{*w.cores[l].at(j)}
	return m
}

func (w *fakeWorld) receive(m *core.Message) { w.c.onReceive(int(m.To)-1, m) }

func (w *fakeWorld) refuse(from, to int, prev core.Index, hint core.EntryID) {
	m := w.message(core.KindAppendEntriesResponse, from, to)
	m.AppendEntriesResponse = core.AppendEntriesResponse{Reject: true, Prev: prev, Hint: hint}
	w.send(m)
	w.receive(m)
}

func (w *fakeWorld) askVote(from, to int, pre bool) {
	m := w.message(core.KindRequestVote, from, to)
	m.RequestVote = core.RequestVote{Pre: pre, For: m.Term, Last: w.cores[from].Status().Last}
	if pre {
		m.RequestVote.For++
	}
	w.send(m)
	w.receive(m)
}

func (w *fakeWorld) refuseVote(from, to int, pre bool, term core.Term) {
	m := w.message(core.KindRequestVoteResponse, from, to)
	m.RequestVoteResponse = core.RequestVoteResponse{Pre: pre, For: term}
	w.send(m)
}

// chunk is a piece of the snapshot that replica l has as of j.
func (w *fakeWorld) chunk(l, i int, j core.Index, offset uint64) {
	m := w.message(core.KindInstallSnapshot, l, i)
	m.InstallSnapshot = core.InstallSnapshot{Snapshot: w.snapshotAt(l, j), Offset: offset, Data: make([]byte, 40), Sent: 1}
	w.send(m)
	w.receive(m)
}

// ahead has replicas 0 and 1 go on to n more commands without replica 2.
func (w *fakeWorld) ahead(n int) core.Index {
	for range n {
		w.command(0, "ahead")
	}
	last := w.cores[0].Status().Last.Index
	w.sync(0)
	w.replicate(0, 1)
	for i := range 2 {
		w.commit(i, last)
		w.apply(i, last)
	}
	return last
}

// diverged is a cluster in which replica 0 has n entries of its own and was
// deposed by replica 1.
func diverged(w *fakeWorld, n int) {
	for range n {
		w.command(0, "mine")
	}
	w.elect(1, 2, 2)
}

// Each situation, on a cluster that does nothing wrong.
type situation struct {
	mark     Mark
	replicas int // 0: 3
	reach    func(w *fakeWorld)
}

var situations = []situation{
	{MarkLeaderElected, 0, func(w *fakeWorld) {}},
	{MarkLeaderAgain, 0, func(w *fakeWorld) { w.elect(1, 2, 2) }},
	{MarkLedTwice, 0, func(w *fakeWorld) { w.elect(1, 2, 2, 0); w.follow(1, 0); w.elect(0, 3, 1, 2) }},
	{MarkSingleReplica, 1, func(w *fakeWorld) {}},
	{MarkLeaderDeposedUncommitted, 0, func(w *fakeWorld) { w.command(0, "x"); w.term(0, 2, nobody) }},
	{MarkTwoLeaders, 0, func(w *fakeWorld) { w.elect(1, 2, 2) }},
	{MarkThreeCandidates, 0, func(w *fakeWorld) { w.candidate(0, 2); w.candidate(1, 2); w.candidate(2, 2) }},
	{MarkSplitVote, 0, func(w *fakeWorld) { w.candidate(0, 2); w.candidate(1, 2); w.candidate(0, 3) }},
	{MarkEvenSplitVote, 4, func(w *fakeWorld) { w.candidate(0, 2); w.candidate(1, 2); w.candidate(0, 3) }},
	{MarkCandidateAppend, 0, func(w *fakeWorld) { w.candidate(1, 2); w.elect(2, 2, 0); w.receive(w.heartbeat(2, 1, 3)) }},
	{MarkOldTermAppend, 0, func(w *fakeWorld) { w.candidate(1, 2); w.receive(w.heartbeat(0, 1, 3)) }},
	{MarkOldTermAnswered, 0, func(w *fakeWorld) { w.term(1, 2, nobody); w.receive(w.heartbeat(0, 1, 3)) }},
	{MarkVoteRefusedShorter, 0, func(w *fakeWorld) {
		diverged(w, 3)
		w.candidate(0, 3)
		w.askVote(0, 1, false)
	}},
	{MarkVoteRefusedLog, 0, func(w *fakeWorld) { w.command(0, "x"); w.candidate(1, 2); w.askVote(1, 0, false) }},
	{MarkVoteRefusedTaken, 0, func(w *fakeWorld) {
		w.candidate(1, 2)
		w.candidate(2, 2)
		w.askVote(1, 2, false)
	}},
	{MarkVoteRefusedLeader, 0, func(w *fakeWorld) { w.candidate(1, 2); w.elect(2, 2, 0); w.askVote(1, 2, false) }},
	{MarkVoteAskedAgain, 0, func(w *fakeWorld) { w.elect(1, 2, 2); w.askVote(1, 2, false) }},
	{MarkVoterCampaigns, 0, func(w *fakeWorld) { w.candidate(1, 2) }},
	{MarkVoteForFirst, 0, func(w *fakeWorld) {}},
	{MarkVoterBehind, 0, func(w *fakeWorld) { w.candidate(1, 2); w.askVote(1, 2, false) }},
	{MarkTermFromVote, 0, func(w *fakeWorld) {
		w.candidate(1, 2)
		w.term(2, 3, nobody)
		w.receive(w.message(core.KindRequestVoteResponse, 2, 1))
	}},
	{MarkTermFromAppend, 0, func(w *fakeWorld) {
		w.term(2, 2, nobody)
		w.receive(w.message(core.KindAppendEntriesResponse, 2, 0))
	}},

	{MarkPreVoteAtLeader, 0, func(w *fakeWorld) { w.preCandidate(1); w.askVote(1, 0, true) }},
	{MarkPreVoteRefusedLog, 0, func(w *fakeWorld) { w.command(0, "x"); w.preCandidate(1); w.askVote(1, 0, true) }},
	{MarkVoteRefusedSticky, 0, func(w *fakeWorld) {
		w.preCandidate(1)
		w.askVote(1, 2, true)
		w.refuseVote(2, 1, true, 2)
	}},
	{MarkPreVoteFailed, 0, func(w *fakeWorld) { w.preCandidate(1); w.follow(0, 1) }},
	{MarkPreVoteAgain, 0, func(w *fakeWorld) { w.preCandidate(1); w.askVote(1, 2, true); w.askVote(1, 2, true) }},
	{MarkStepDownNoQuorum, 0, func(w *fakeWorld) { w.stepDown(0) }},
	{MarkUselessLeader, 0, func(w *fakeWorld) { w.ahead(1); w.stepDown(0) }},

	{MarkTailTruncated, 0, func(w *fakeWorld) { diverged(w, 1); w.follow(1, 0) }},
	{MarkTailTruncatedLong, 0, func(w *fakeWorld) { diverged(w, 4); w.follow(1, 0) }},
	{MarkTruncatedApplied, 0, func(w *fakeWorld) {
		diverged(w, 2)
		j := w.command(1, "b")
		w.sync(1)
		w.replicate(1, 2)
		w.commit(1, j)
		w.follow(1, 0)
		w.commit(0, j)
		w.apply(0, j)
	}},
	{MarkTruncationLost, 0, func(w *fakeWorld) {
		w.c.onSubmit(1, &replica.Write{Seq: 1, Truncate: 4})
		w.powerLoss(1)
	}},
	{MarkAppendOverlaps, 0, func(w *fakeWorld) { w.receive(w.one(0, 1, 2)) }},
	{MarkHeartbeatBehind, 0, func(w *fakeWorld) { w.receive(w.heartbeat(0, 1, 2)) }},
	{MarkHeartbeatUnverified, 0, func(w *fakeWorld) { w.receive(w.heartbeat(0, 1, 2)) }},
	{MarkAppendBelowSnapshot, 0, func(w *fakeWorld) { w.compact(1, 3); w.receive(w.one(0, 1, 2)) }},
	{MarkStaleSuffixPartial, 0, func(w *fakeWorld) { diverged(w, 2); w.receive(w.one(1, 0, 3)) }},
	{MarkCommitBeforeStaleSuffix, 0, func(w *fakeWorld) {
		diverged(w, 2)
		w.sync(1)
		w.replicate(1, 2)
		w.commit(1, 4)
		w.receive(w.heartbeat(1, 0, 3))
	}},
	{MarkLongerLogRefuses, 0, func(w *fakeWorld) { diverged(w, 2); w.receive(w.heartbeat(1, 0, 4)) }},
	{MarkRefusedAcrossTerms, 0, func(w *fakeWorld) { diverged(w, 0); w.term(0, 2, nobody); w.refuse(0, 1, 4, end(1, 3)) }},
	{MarkRefusedGap, 0, func(w *fakeWorld) { w.ahead(2); w.refuse(2, 0, 5, end(1, 3)) }},
	{MarkRefusalLate, 0, func(w *fakeWorld) {
		m := w.message(core.KindAppendEntriesResponse, 1, 0)
		m.AppendEntriesResponse.Match = 3
		w.receive(m)
		w.refuse(1, 0, 3, end(1, 2))
	}},
	{MarkElectedVoterBehind, 0, func(w *fakeWorld) { w.ahead(1); w.elect(1, 2, 0) }},
	{MarkElectedOldEntries, 0, func(w *fakeWorld) { w.command(0, "x"); w.term(0, 2, nobody); w.elect(0, 3, 1) }},
	{MarkProposedBeforeOwnCommit, 0, func(w *fakeWorld) { w.elect(1, 2, 2); w.c.onPropose(1) }},
	{MarkProposedAfterDeposed, 0, func(w *fakeWorld) { w.elect(1, 2, 0); w.c.onPropose(0) }},

	{MarkMinorityHeld, 5, func(w *fakeWorld) {
		w.command(0, "x")
		w.sync(0)
		w.replicate(0, 1)
		w.term(0, 2, nobody)
	}},
	{MarkHalfHeld, 4, func(w *fakeWorld) {
		w.command(0, "x")
		w.sync(0)
		w.replicate(0, 1)
		w.term(0, 2, nobody)
	}},
	{MarkOldTermCommitted, 0, func(w *fakeWorld) {
		w.command(0, "x")
		w.replicate(0, 1)
		w.elect(1, 2, 2)
		w.sync(1)
		w.replicate(1, 2)
		w.commit(1, 5)
	}},
	{MarkCommitOwnDiskBehind, 0, func(w *fakeWorld) {
		w.command(0, "x")
		w.replicate(0, 1)
		w.replicate(0, 2)
		w.commit(0, 4)
	}},
	{MarkAckOverwritten, 0, func(w *fakeWorld) {
		w.c.onSubmit(1, &replica.Write{Seq: 1, Entries: []core.Entry{{EntryID: end(1, 4)}}})
		w.c.onSubmit(1, &replica.Write{Seq: 2, Truncate: 4, Entries: []core.Entry{{EntryID: end(2, 4)}}})
		w.c.onCompleted(1, 1)
	}},

	{MarkSnapshotTaken, 0, func(w *fakeWorld) { w.compact(1, 2) }},
	{MarkSnapshotInstalled, 0, func(w *fakeWorld) { w.compact(0, w.ahead(2)); w.install(0, 2) }},
	{MarkSnapshotInterrupted, 0, func(w *fakeWorld) {
		w.ahead(2)
		w.chunk(0, 2, 4, 0)
		w.chunk(0, 2, 5, 0)
	}},
	{MarkSnapshotInterrupted, 0, func(w *fakeWorld) { w.chunk(0, 2, w.ahead(1), 0); w.crash(2) }},
	{MarkChunkRepeated, 0, func(w *fakeWorld) { j := w.ahead(1); w.chunk(0, 2, j, 0); w.chunk(0, 2, j, 0) }},
	{MarkChunkStray, 0, func(w *fakeWorld) { w.chunk(0, 2, w.ahead(1), 40) }},
	{MarkSnapshotLate, 0, func(w *fakeWorld) { w.chunk(0, 2, 3, 0) }},
	{MarkSnapshotOverConflict, 0, func(w *fakeWorld) { snapshotOverTail(w); w.chunk(1, 0, 5, 0) }},
	{MarkSnapshotDropsTail, 0, func(w *fakeWorld) { snapshotOverTail(w); w.install(1, 0) }},
	{MarkSnapshotOlderTerm, 0, func(w *fakeWorld) {
		j := w.ahead(2)
		w.elect(1, 2, 0)
		w.compact(1, j)
		w.install(1, 2)
	}},
	{MarkSnapshotAfterVote, 0, func(w *fakeWorld) { w.compact(0, w.ahead(2)); w.install(0, 2) }},
	{MarkCandidateSnapshot, 0, func(w *fakeWorld) {
		j := w.ahead(2)
		w.preCandidate(2)
		w.chunk(0, 2, j, 0)
	}},
	{MarkBoundary, 0, func(w *fakeWorld) { w.compact(0, 3); w.command(0, "x"); w.send(w.one(0, 1, 4)) }},
	{MarkElectionEmptyLog, 0, func(w *fakeWorld) { w.compact(1, 3); w.candidate(1, 2) }},
	{MarkAppliedWhileSaving, 0, func(w *fakeWorld) {
		w.c.onTask(0, &replica.Task{Kind: replica.TaskSnapshot})
		w.ahead(1)
	}},
	{MarkDownWhileSaving, 0, func(w *fakeWorld) {
		w.c.onTask(0, &replica.Task{Kind: replica.TaskSnapshot})
		w.crash(0)
	}},

	{MarkReadBeforeOwnCommit, 0, func(w *fakeWorld) { w.elect(1, 2, 2); w.c.onRead(1, false) }},
	{MarkReadLeadershipLost, 0, func(w *fakeWorld) {
		w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerRefused, Read: true, Reason: core.RefusedLeadershipLost}, nil, question{})
	}},
	{MarkReadWaitsForApply, 0, func(w *fakeWorld) { w.committedAt4(); w.c.onRead(1, false) }},
	{MarkFollowerRead, 0, func(w *fakeWorld) {
		q := w.c.onRead(1, false)
		id := w.askRead(1, 0, 1)
		w.round(0, 1, 1)
		w.grantRead(0, 1, id)
		w.answerRead(1, q)
	}},
	{MarkFollowerReadRefused, 0, func(w *fakeWorld) {
		m := w.message(core.KindReadIndexResponse, 0, 1)
		m.ReadIndexResponse.Refused = core.RefusedReadsFull
		w.receive(m)
	}},
	{MarkRoundLate, 0, func(w *fakeWorld) {
		late := w.message(core.KindAppendEntriesResponse, 1, 0)
		late.AppendEntriesResponse.Round = 7
		w.elect(1, 2, 2, 0)
		w.follow(1, 0)
		w.elect(0, 3, 1, 2)
		w.receive(late)
	}},
	{MarkReadsFull, 0, func(w *fakeWorld) {
		w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerRefused, Read: true, Reason: core.RefusedReadsFull}, nil, question{})
	}},

	{MarkWindowFull, 0, func(w *fakeWorld) {
		p := progress.Progress{ID: 2, State: progress.Replicate, Window: progress.NewWindow(1, 1)}
		p.Window.Add(4, 1)
		w.cores[0].peers = []progress.Progress{p}
		for range invariantEvery {
			w.look(0)
		}
	}},
	{MarkUnappliedFull, 0, func(w *fakeWorld) {
		w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerRefused, Reason: core.RefusedUnappliedFull}, nil, question{})
	}},
	{MarkPageCut, 0, func(w *fakeWorld) {
		w.committedAt4()
		w.c.onTask(1, &replica.Task{Kind: replica.TaskApply, Index: 3})
	}},
	{MarkSendToDown, 0, func(w *fakeWorld) { w.crash(1); w.send(w.heartbeat(0, 1, 3)) }},

	{MarkMixedPage, 0, func(w *fakeWorld) {
		w.c.onTask(1, &replica.Task{Kind: replica.TaskApply, Index: 3, Entries: w.cores[1].entries})
	}},
	{MarkReapplied, 0, func(w *fakeWorld) { w.crash(1); w.restart(1); w.apply(1, 3) }},
	{MarkDownBeforeApplied, 0, func(w *fakeWorld) { w.committedAt4(); w.crash(1) }},
	{MarkRetryFromTable, 0, func(w *fakeWorld) { w.applyAgain("a", "done a") }},
	{MarkRetryRestoredTable, 0, func(w *fakeWorld) {
		w.compact(1, 3)
		w.crash(1)
		w.restart(1)
		w.states[1] = w.states[0]
		w.c.onInstall(1, w.snapshotAt(1, 3))
		w.applyAgain("a", "done a")
	}},
	{MarkSessionUnknown, 0, func(w *fakeWorld) { w.applyAgain("a", "session gone") }},
	{MarkSessionUnknown, 0, func(w *fakeWorld) { w.applyAgain("never before", "session gone") }},
	{MarkSessionUnknownRestored, 0, func(w *fakeWorld) {
		w.compact(1, 3)
		w.crash(1)
		w.restart(1)
		w.states[1] = w.states[0]
		w.c.onInstall(1, w.snapshotAt(1, 3))
		w.applyAgain("a", "session gone")
	}},
	{MarkOutcomeUnknown, 0, func(w *fakeWorld) { w.c.onAnswer(0, &replica.Answer{Kind: replica.AnswerUnknown}, nil, question{}) }},

	{MarkUnsyncedLost, 0, func(w *fakeWorld) { w.command(0, "x"); w.powerLoss(0) }},
	{MarkUnsyncedVoteLost, 0, func(w *fakeWorld) {
		w.candidate(2, 2)
		w.requestVote(2, 1)
		w.term(1, 2, 2)
		w.disks[1].hard = core.HardState{Term: 1, Vote: 1}
		w.powerLoss(1)
	}},
	{MarkPowerLossMajority, 0, func(w *fakeWorld) { w.powerLoss(1); w.powerLoss(2) }},
	{MarkPowerLossLeader, 0, func(w *fakeWorld) { w.powerLoss(0) }},
	{MarkRestartUncommitted, 0, func(w *fakeWorld) { w.command(0, "x"); w.crash(0); w.restart(0) }},
	{MarkAllRestarted, 0, func(w *fakeWorld) {
		for i := range 3 {
			w.crash(i)
		}
		for i := range 3 {
			w.restart(i)
		}
	}},
}

// snapshotOverTail: replica 0 was deposed with a tail of its own, and replica
// 1 has a snapshot that ends within it.
func snapshotOverTail(w *fakeWorld) {
	diverged(w, 5)
	w.command(1, "theirs")
	w.sync(1)
	w.replicate(1, 2)
	for i := 1; i < 3; i++ {
		w.commit(i, 5)
		w.apply(i, 5)
	}
	w.compact(1, 5)
}

// applyAgain has everyone apply a command again, which is not carried out, and
// answered with this reply.
func (w *fakeWorld) applyAgain(data, reply string) {
	j := w.command(0, data)
	w.sync(0)
	w.commitAlike(j)
	w.repeat = true
	for i := range w.cores {
		e := w.cores[0].at(j)
		w.c.onApply(i, j, e.Time, e, []byte(reply), w.states[i])
	}
}

// commitAlike has everyone take over what replica 0 has, and commit it.
func (w *fakeWorld) commitAlike(j core.Index) {
	for i := 1; i < len(w.cores); i++ {
		c := w.cores[i]
		c.st.Leader = 1
		c.entries = append([]core.Entry(nil), w.cores[0].entries[c.base.id.Index-w.cores[0].base.id.Index:]...)
		w.sync(i)
		w.look(i)
	}
	for i := range w.cores {
		w.commit(i, j)
	}
}

func TestLookout(t *testing.T) {
	tried := map[Mark]bool{}
	reach := func(s *situation, spares int) {
		tried[s.mark] = true
		t.Run(s.mark.String(), func(t *testing.T) {
			n := s.replicas
			if n == 0 {
				n = 3
			}
			w := settledWith(t, n, spares)
			before := w.marks[s.mark]
			s.reach(w)
			w.silent()
			switch s.mark {
			case MarkLeaderElected, MarkSingleReplica, MarkVoteForFirst:
				before = 0 // the first election is one
			}
			if w.marks[s.mark] == before {
				t.Errorf("not seen: %s", s.mark.About())
			}
		})
	}
	for i := range situations {
		reach(&situations[i], 0)
	}
	for i := range situationsOfMembers {
		reach(&situationsOfMembers[i], 3)
	}
	// Set by others; see the list in marks.go.
	for _, m := range []Mark{
		MarkClockJump, MarkTicksAtOnce, MarkLeaderPaused, MarkHardStateWithoutLog, MarkLogWithoutHardState,
		MarkRetried, MarkRefusedThenApplied, MarkCommandFailed,
		MarkReplicaJoined, MarkDiskStallHandover, MarkResigned, MarkCampaignAsked, MarkRemovedStopped,
		MarkSaveFailed, MarkSavedAfterFailure, MarkRestoreFailed, MarkSnapshotHuge, MarkClockLeap, MarkSlowDiskLeads,
		MarkDiskWiped, MarkDiskRolledBack, MarkDamageRefused, MarkLostRemoved, MarkLossNoticed,
	} {
		tried[m] = true
	}
	for m := Mark(0); m < MarkCount; m++ {
		if !tried[m] {
			t.Errorf("no test reaches %v", m)
		}
	}
}

// A cluster that only works reaches few of them.
func TestLookoutQuiet(t *testing.T) {
	w := settled(t, 3)
	for range 5 {
		w.ahead(1)
		w.settle()
	}
	w.silent()
	for m, n := range w.marks {
		switch Mark(m) {
		case MarkLeaderElected, MarkVoterBehind, MarkVoteForFirst, MarkAppendOverlaps, MarkElectedVoterBehind:
		default:
			if n > 0 {
				t.Errorf("%v: %s, %d times", Mark(m), Mark(m).About(), n)
			}
		}
	}
}
