package core

import "fmt"

// How messages look to people: in the scripts of testdata, in the traces of
// the simulator, and wherever a host wants to log one.

var messageNames = [kindEnd]string{
	KindRequestVote:             "RequestVote",
	KindRequestVoteResponse:     "RequestVoteResponse",
	KindAppendEntries:           "AppendEntries",
	KindAppendEntriesResponse:   "AppendEntriesResponse",
	KindInstallSnapshot:         "InstallSnapshot",
	KindInstallSnapshotResponse: "InstallSnapshotResponse",
	KindReadIndex:               "ReadIndex",
	KindReadIndexResponse:       "ReadIndexResponse",
	KindTimeoutNow:              "TimeoutNow",
}

func (k MessageKind) String() string {
	if k < kindEnd && messageNames[k] != "" {
		return messageNames[k]
	}
	return "unknown message"
}

// Name is what the message is called: its kind, where pre-votes and their
// answers have names of their own.
func (m *Message) Name() string {
	switch {
	case m.Kind == KindRequestVote && m.RequestVote.Pre:
		return "PreVote"
	case m.Kind == KindRequestVoteResponse && m.RequestVoteResponse.Pre:
		return "PreVoteResponse"
	}
	return m.Kind.String()
}

// String is the message in one line, as Append has it.
func (m *Message) String() string { return string(m.Append(nil)) }

// Append appends the message to b in one line and returns the result: its
// name, the sender's term, and what the body says. An EntryID is written as
// index@term. Of entries there are the first and the last, of a snapshot the
// position, and the data of neither; sender, receiver, cluster and boot are
// left to whoever shows the envelope. The line is for people, and may change.
func (m *Message) Append(b []byte) []byte {
	b = fmt.Appendf(b, "%s term=%d", m.Name(), m.Term)
	round := uint64(0)
	switch m.Kind {
	case KindRequestVote:
		v := &m.RequestVote
		b = fmt.Appendf(b, " for=%d last=%v", v.For, v.Last)
		if v.Transfer {
			b = append(b, " transfer"...)
		}
	case KindRequestVoteResponse:
		v := &m.RequestVoteResponse
		verdict := "refused"
		if v.Granted {
			verdict = "granted"
		}
		b = fmt.Appendf(b, " for=%d %s", v.For, verdict)
	case KindAppendEntries:
		a := &m.AppendEntries
		b = fmt.Appendf(b, " prev=%v commit=%d", a.Prev, a.Commit)
		switch n := len(a.Entries); {
		case n == 1:
			b = fmt.Appendf(b, " entry=%v", a.Entries[0].EntryID)
		case n > 1:
			b = fmt.Appendf(b, " entries=%v..%v", a.Entries[0].EntryID, a.Entries[n-1].EntryID)
		}
		if a.Lost {
			b = append(b, " lost"...)
		}
		round = a.Round
	case KindAppendEntriesResponse:
		a := &m.AppendEntriesResponse
		if a.Reject {
			b = fmt.Appendf(b, " rejected prev=%d hint=%v", a.Prev, a.Hint)
		} else {
			b = fmt.Appendf(b, " match=%d", a.Match)
		}
		if a.Unfit {
			b = append(b, " unfit"...)
		}
		if a.Lost {
			b = append(b, " lost"...)
		}
		round = a.Round
	case KindInstallSnapshot:
		s := &m.InstallSnapshot
		b = fmt.Appendf(b, " snapshot=%v bytes=%d..%d of %d",
			s.Snapshot.EntryID, s.Offset, s.Offset+uint64(s.Length), s.Snapshot.Size)
		round = s.Round
	case KindInstallSnapshotResponse:
		a := &m.InstallSnapshotResponse
		b = fmt.Appendf(b, " snapshot=%v received=%d", a.Snapshot, a.Received)
		if a.Match > 0 {
			b = fmt.Appendf(b, " match=%d", a.Match)
		}
		round = a.Round
	case KindReadIndex:
		id := &m.ReadIndex.ID
		b = fmt.Appendf(b, " id=%d.%d", id.Boot, id.Counter)
	case KindReadIndexResponse:
		a := &m.ReadIndexResponse
		b = fmt.Appendf(b, " id=%d.%d", a.ID.Boot, a.ID.Counter)
		if a.Refused != RefusedNone {
			b = fmt.Appendf(b, " refused: %v", a.Refused)
		} else {
			b = fmt.Appendf(b, " index=%d", a.Index)
		}
	case KindTimeoutNow:
		b = fmt.Appendf(b, " last=%v", m.TimeoutNow.Last)
	}
	if round > 0 {
		b = fmt.Appendf(b, " round=%d", round)
	}
	return b
}
