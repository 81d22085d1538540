package core_test

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// TestMessageShowsItsBody: who reads a message in a trace sees what it asks for
// and what it answers, whatever its kind.
func TestMessageShowsItsBody(t *testing.T) {
	id := func(index core.Index, term core.Term) core.EntryID { return core.EntryID{Term: term, Index: index} }
	entries := []core.Entry{{EntryID: id(5, 3)}, {EntryID: id(6, 3)}, {EntryID: id(7, 4)}}
	for want, m := range map[string]core.Message{
		"PreVote term=3 for=4 last=7@3": {
			Kind: core.KindRequestVote, Term: 3, RequestVote: core.RequestVote{Pre: true, For: 4, Last: id(7, 3)},
		},
		"RequestVote term=4 for=4 last=7@3 transfer": {
			Kind: core.KindRequestVote, Term: 4, RequestVote: core.RequestVote{For: 4, Last: id(7, 3), Transfer: true},
		},
		"RequestVoteResponse term=4 for=4 granted": {
			Kind: core.KindRequestVoteResponse, Term: 4, RequestVoteResponse: core.RequestVoteResponse{For: 4, Granted: true},
		},
		"PreVoteResponse term=3 for=4 refused": {
			Kind: core.KindRequestVoteResponse, Term: 3, RequestVoteResponse: core.RequestVoteResponse{Pre: true, For: 4},
		},
		"AppendEntries term=4 prev=4@2 commit=3 entries=5@3..7@4 round=9": {
			Kind: core.KindAppendEntries, Term: 4,
			AppendEntries: core.AppendEntries{Prev: id(4, 2), Commit: 3, Entries: entries, Round: 9},
		},
		"AppendEntries term=4 prev=4@2 commit=3 entry=5@3": {
			Kind: core.KindAppendEntries, Term: 4, AppendEntries: core.AppendEntries{Prev: id(4, 2), Commit: 3, Entries: entries[:1]},
		},
		"AppendEntriesResponse term=4 match=7 round=9": {
			Kind: core.KindAppendEntriesResponse, Term: 4, AppendEntriesResponse: core.AppendEntriesResponse{Match: 7, Round: 9},
		},
		"AppendEntriesResponse term=4 rejected prev=6 hint=4@2 round=9": {
			Kind: core.KindAppendEntriesResponse, Term: 4,
			AppendEntriesResponse: core.AppendEntriesResponse{Reject: true, Prev: 6, Hint: id(4, 2), Round: 9},
		},
		"InstallSnapshot term=4 snapshot=9@2 bytes=64..96 of 100": {
			Kind: core.KindInstallSnapshot, Term: 4, InstallSnapshot: core.InstallSnapshot{
				Snapshot: core.Snapshot{EntryID: id(9, 2), Size: 100}, Offset: 64, Length: 32,
			},
		},
		"InstallSnapshotResponse term=4 snapshot=9@2 received=100 match=9": {
			Kind: core.KindInstallSnapshotResponse, Term: 4,
			InstallSnapshotResponse: core.InstallSnapshotResponse{Snapshot: id(9, 2), Received: 100, Match: 9},
		},
		"ReadIndex term=4 id=2.5": {
			Kind: core.KindReadIndex, Term: 4, ReadIndex: core.ReadIndex{ID: core.ReadID{Boot: 2, Counter: 5}},
		},
		"ReadIndexResponse term=4 id=2.5 index=7": {
			Kind: core.KindReadIndexResponse, Term: 4,
			ReadIndexResponse: core.ReadIndexResponse{ID: core.ReadID{Boot: 2, Counter: 5}, Index: 7},
		},
		"ReadIndexResponse term=4 id=2.5 refused: not leader": {
			Kind: core.KindReadIndexResponse, Term: 4,
			ReadIndexResponse: core.ReadIndexResponse{ID: core.ReadID{Boot: 2, Counter: 5}, Refused: core.RefusedNotLeader},
		},
		"TimeoutNow term=4 last=7@4": {
			Kind: core.KindTimeoutNow, Term: 4, TimeoutNow: core.TimeoutNow{Last: id(7, 4)},
		},
		"unknown message term=0": {},
	} {
		if got := m.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
