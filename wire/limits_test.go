package wire

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// TestLimitsFitIntoMessages: whatever core.Config lets a replica send, its peers
// decode.
func TestLimitsFitIntoMessages(t *testing.T) {
	// An AppendEntries holds entries that count for MessageBytes at most, or one
	// of EntryBytes.
	head := len(AppendMessage(nil, &core.Message{Kind: core.KindAppendEntries}))
	e := core.Entry{Data: make([]byte, 100)}
	if n := EntryBytes(&e); uint64(n) > e.Bytes() {
		t.Errorf("an entry takes %d bytes, and counts for %d", n, e.Bytes())
	}
	if n := head + entryHeadBytes + core.LimitBytesMax; n > MessageBytesMax {
		t.Errorf("the longest append is of %d bytes, %d are decoded", n, MessageBytesMax)
	}

	// An InstallSnapshot holds a chunk and the largest of configurations.
	m := core.Message{Kind: core.KindInstallSnapshot}
	c := &m.InstallSnapshot.Snapshot.Configuration
	address := string(make([]byte, confchange.AddressBytesMax))
	for id := range core.ReplicaID(256) {
		c.Voters = append(c.Voters, id)
		c.Outgoing = append(c.Outgoing, id)
		c.Learners = append(c.Learners, id)
		c.Planned = append(c.Planned, confchange.Planned{ID: id})
		c.Members = append(c.Members, core.Member{ID: id, Address: address})
	}
	if n := len(AppendMessage(nil, &m)) + core.LimitBytesMax; n > MessageBytesMax {
		t.Errorf("the longest chunk is a message of %d bytes, %d are decoded", n, MessageBytesMax)
	}
}
