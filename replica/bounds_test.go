package replica

import (
	"fmt"
	"io"
	"testing"
	"unsafe"

	"github.com/seaworthy-raft/seaworthy/core"
)

// flaky fails ReadSnapshot on demand.
type flaky struct {
	*Memory
	fail bool
}

func (f *flaky) ReadSnapshot(s *core.Snapshot, o uint64, p []byte) (int, error) {
	if f.fail {
		return 0, io.ErrUnexpectedEOF
	}
	return f.Memory.ReadSnapshot(s, o, p)
}

// lagging cluster: replica 3 is behind the leader's base.
func laggingCluster(t *testing.T) (*cluster, *host) {
	o := Options{SnapshotBytes: 500}
	c := newCluster(t, 3, o)
	n := c.elect(1)
	c.cut = func(m *core.Message) bool { return m.To == 3 || m.From == 3 }
	for i := range uint64(100) {
		n.replica.Propose(i, fmt.Appendf(nil, "command %d", i))
		c.settle()
	}
	return c, n
}

// A read is confirmed in the step whose next chunk can not be read.
func TestUnreadableSnapshotStillAnswersTheReadOfItsStep(t *testing.T) {
	c, n := laggingCluster(t)
	f := &flaky{Memory: n.disk}
	n.replica.storage = f
	// let 3 begin to receive, and be the one that confirms the read
	c.cut = func(m *core.Message) bool { return m.To == 2 || m.From == 2 }
	// stream is under way when leader has a InstallSnapshotResponse in flight
	var resp *core.Message
	for i := 0; i < 50 && resp == nil; i++ {
		n.tick()
		n.settle()
		for _, m := range n.take() {
			if m.To != 3 {
				continue
			}
			if err := c.hosts[2].replica.Receive(&m); err != nil {
				t.Fatal(err)
			}
			c.hosts[2].settle()
			for _, k := range c.hosts[2].take() {
				if k.Kind == core.KindInstallSnapshotResponse {
					k := k
					resp = &k
				} else if err := n.replica.Receive(&k); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if resp == nil {
		t.Fatal("no stream")
	}
	// next chunk: response -> read round. A read first, then the response that carries its round.
	n.replica.Read(1000, nil)
	n.take()
	resp.InstallSnapshotResponse.Round++ // answer to a chunk sent in the read's round
	f.fail = true
	n.replica.Receive(resp)
	t.Log(n.replica.Halted())
	for len(n.tasks) > 0 {
		n.run()
	}
	if _, ok := n.read(1000); !ok {
		t.Fatal("read never answered")
	}
}

// A proposal is accepted in the step whose first chunk can not be read.
func TestUnreadableSnapshotStillAnswersTheProposalOfItsStep(t *testing.T) {
	_, n := laggingCluster(t)
	f := &flaky{Memory: n.disk}
	n.replica.storage = f
	for i := 0; i < 60; i++ {
		n.tick()
		n.settle()
		for _, m := range n.take() {
			if m.To == 2 && m.Kind == core.KindAppendEntries {
				n.receive(core.Message{Kind: core.KindAppendEntriesResponse, From: 2, Term: m.Term,
					AppendEntriesResponse: core.AppendEntriesResponse{
						Match: m.AppendEntries.Prev.Index + core.Index(len(m.AppendEntries.Entries)), Round: m.AppendEntries.Round}})
			}
		}
		n.settle()
		n.take()
		if n.replica.core.Status().Role != core.RoleLeader {
			t.Fatal("lost")
		}
		if i < 40 {
			continue
		}
		f.fail = true
		n.replica.Propose(uint64(7000+i), []byte("x"))
		if n.replica.Halted() != nil {
			t.Log(n.replica.Halted())
			if _, ok := n.answers[uint64(7000+i)]; !ok {
				t.Fatalf("proposal never answered; pending %d", n.replica.pending.queue.len())
			}
			return
		}
		f.fail = false
	}
	t.Skip("no chunk in such a step")
}

// A disk that stands still stops a snapshot from coming in.
func TestStalledDiskStopsASnapshot(t *testing.T) {
	n := newHost(t, 3, 3, Options{})
	term := core.Term(1)
	size := uint64(64 << 20)
	s := core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 100}, Size: size, Sum: 1, Configuration: founding(3)}
	n.receive(core.Message{Kind: core.KindAppendEntries, From: 1, Term: term})
	n.sync(len(n.writes)) // the term is durable
	n.take()
	piece := make([]byte, 256<<10)
	offset := uint64(0)
	for offset < size {
		n.receive(core.Message{Kind: core.KindInstallSnapshot, From: 1, Term: term,
			InstallSnapshot: core.InstallSnapshot{Snapshot: s, Offset: offset, Length: uint32(len(piece)), Data: piece}})
		sent := n.take()
		if len(sent) == 0 {
			break // the follower waits for its disk: good
		}
		offset = sent[0].InstallSnapshotResponse.Received
	}
	bytes := uint64(0)
	for _, w := range n.writes {
		bytes += w.Bytes()
	}
	if bytes > 1<<20 {
		t.Fatalf("%d writes, %d bytes outstanding, nothing synced", len(n.writes), bytes)
	}
}

// Heartbeats go on while a disk stands still, and their answers must not pile
// up behind it.
func TestHeldAnswersAreBounded(t *testing.T) {
	n := newHost(t, 3, 3, Options{})
	n.receive(core.Message{Kind: core.KindAppendEntries, From: 1, Term: 1})
	n.sync(len(n.writes))
	n.take()
	n.receive(appendTo(1, 1, nil, "one entry"))
	// the disk stands still from here on
	for i := 0; i < 100000; i++ {
		n.receive(core.Message{Kind: core.KindAppendEntries, From: 1, Term: 1, AppendEntries: core.AppendEntries{Round: uint64(i)}})
	}
	if k := n.replica.held.len(); k > 1024 {
		t.Fatalf("%d writes out; %d messages of %d bytes held: %d MB", len(n.writes), k, unsafe.Sizeof(heldMessage{}), len(n.replica.held.items)*int(unsafe.Sizeof(heldMessage{}))>>20)
	}
}

// What is committed and not applied is bounded too.
func TestStalledStateMachineRefusesProposals(t *testing.T) {
	c := newCluster(t, 1, Options{})
	n := c.elect(1)
	lim := n.replica.limits.UnappliedBytes
	cmd := make([]byte, 1<<20)
	refused := 0
	for i := uint64(0); i < 200; i++ {
		n.replica.Propose(i, cmd)
		if n.answers[i].Kind == AnswerRefused {
			refused++
		}
		n.sync(len(n.writes)) // disk works, state machine stands still
	}
	if k := n.replica.pending.queue.len(); uint64(k)<<20 > lim {
		t.Fatalf("%d proposals of 1 MiB wait, limit %d MiB, refused %d", k, lim>>20, refused)
	}
}

// A read is confirmed for an index that never comes.
func TestConfirmedReadOfACutOffFollowerIsRefused(t *testing.T) {
	c := newCluster(t, 3, Options{})
	n := c.elect(1)
	c.ticks(5)
	f := c.hosts[1]
	c.cut = func(m *core.Message) bool { return m.Kind == core.KindAppendEntries && m.To == 2 }
	n.replica.Propose(1, []byte("x"))
	c.settle()
	f.replica.Read(2, nil)
	c.settle()
	c.cut = func(m *core.Message) bool { return m.To == 2 || m.From == 2 }
	c.ticks(5000)
	if _, ok := f.read(2); !ok {
		t.Fatal("not answered in 5000 ticks, 250 election timeouts")
	}
}
