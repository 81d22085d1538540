package core

import (
	"fmt"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// What a step costs must not depend on how long the log is, how many changes of
// members there were, or how many reads wait. Each benchmark shows it at three
// sizes, each ten times the one before.

func benchSizes(b *testing.B, first int, run func(b *testing.B, n int)) {
	for _, n := range [...]int{first, 10 * first, 100 * first} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n) })
	}
}

func benchStep(b *testing.B, r *Raft, in *Input, out *Ready) {
	if err := r.Step(in, out); err != nil {
		b.Fatal(err)
	}
}

// benchAlone proposes in commands to the only voter and has each committed and
// applied.
func benchAlone(b *testing.B, r *Raft, out *Ready, data []byte) {
	in := Input{Kind: InputPropose, Proposals: []Proposal{{1, data}}}
	benchStep(b, r, &in, out)
	in = Input{Kind: InputPersisted, Persisted: Persisted{out.Mark, out.HardState.Term, out.HardState.Vote}}
	benchStep(b, r, &in, out)
	if k := len(out.Committed); k > 0 {
		in = Input{Kind: InputApplied, Applied: out.Committed[k-1].Index}
		benchStep(b, r, &in, out)
	}
}

// benchLog is a leader of three whose log has n entries of its own term.
func benchLog(b *testing.B, n int) (*testCluster, *Raft) {
	c := newTestCluster(b, 3)
	r := c.replicas[c.elect()].Raft
	for range n {
		r.leaderAppend(EntryCommand, nil)
	}
	r.appendedFrom = 0
	return c, r
}

// BenchmarkCommitAfterChanges: one command, proposed, durable and applied, after
// n changes of the members since the last snapshot.
func BenchmarkCommitAfterChanges(b *testing.B) {
	benchSizes(b, 100, func(b *testing.B, n int) {
		c := newTestCluster(b, 1)
		l := c.elect()
		for i := range n {
			op := Operation{Kind: confchange.Update, ID: l, Address: string(rune('a' + i%2))}
			c.step(l, Input{Kind: InputChange, Change: Change{Operations: []Operation{op}}})
		}
		var out Ready
		for b.Loop() {
			benchAlone(b, c.replicas[l].Raft, &out, []byte("x"))
		}
	})
}

// BenchmarkConfigurationAt: the first of n configurations, and whether a replica
// that is in none may stand for election.
func BenchmarkConfigurationAt(b *testing.B) {
	benchSizes(b, 100, func(b *testing.B, n int) {
		r := benchConfigurations(n)
		r.log.commitIndex = Index(10 * n)
		for b.Loop() {
			r.configurationAt(5)
			r.mayStand()
		}
	})
}

// benchConfigurations is a replica outside of n configurations, at indexes 10,
// 20, 30 and so on.
func benchConfigurations(n int) *Raft {
	r := &Raft{cfg: Config{ID: 9, ElectionTicks: 10}}
	for i := range n {
		r.configurations = append(r.configurations, Configuration{EntryID: EntryID{Term: 1, Index: Index(10 * (i + 1))}, Voters: []ReplicaID{1, 2, 3}})
	}
	return r
}

// BenchmarkStaleRefusal: an answer to a leader with n entries that refuses what
// is not out any more.
func BenchmarkStaleRefusal(b *testing.B) {
	benchSizes(b, 2000, func(b *testing.B, n int) {
		c, r := benchLog(b, n)
		peer := r.cfg.ID%3 + 1
		m := Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: peer, To: r.cfg.ID, Boot: 1, Term: r.term,
			AppendEntriesResponse: AppendEntriesResponse{Reject: true, Prev: r.log.lastIndex(), Hint: EntryID{Index: r.log.lastIndex()}}}
		r.peer(peer).BecomeProbe(0)
		in := Input{Kind: InputMessage, Message: &m}
		var out Ready
		for b.Loop() {
			benchStep(b, c.replicas[r.cfg.ID].Raft, &in, &out)
		}
	})
}

// BenchmarkRefusal: a follower's refusal of an append behind an entry that is
// older than the n of its tail.
func BenchmarkRefusal(b *testing.B) {
	benchSizes(b, 2000, func(b *testing.B, n int) {
		c := newTestCluster(b, 3)
		f := c.replicas[1].Raft
		f.term = 6
		chain := uint64(0)
		for i := range n {
			e := Entry{EntryID: EntryID{Term: 5, Index: Index(i + 1)}, Kind: EntryCommand}
			e.Digest = e.Chain(chain)
			chain = e.Digest
			f.log.append(e, 5)
		}
		m := Message{Kind: KindAppendEntries, Cluster: 7, From: 3, To: 1, Boot: 1, Term: 6,
			AppendEntries: AppendEntries{Prev: EntryID{Term: 4, Index: Index(n)}}}
		in := Input{Kind: InputMessage, Message: &m}
		var out Ready
		for b.Loop() {
			benchStep(b, f, &in, &out)
		}
	})
}

// BenchmarkReadIndexRequest: a follower's request, at a leader where n reads of
// clients wait for the round that is out.
func BenchmarkReadIndexRequest(b *testing.B) {
	benchSizes(b, 400, func(b *testing.B, n int) {
		c := newTestCluster(b, 3)
		l := c.elect()
		c.run(3)
		r := c.replicas[l].Raft
		r.cfg.Limits.Reads = 1 << 30
		var out Ready
		for i := range n {
			benchStep(b, r, &Input{Kind: InputRead, Tag: uint64(i)}, &out)
		}
		m := Message{Kind: KindReadIndex, Cluster: 7, From: l%3 + 1, To: l, Boot: 1, Term: r.term}
		m.ReadIndex.ID = ReadID{Replica: m.From, Boot: 1, Counter: 1}
		in := Input{Kind: InputMessage, Message: &m}
		benchStep(b, r, &in, &out)
		for b.Loop() {
			benchStep(b, r, &in, &out)
		}
	})
}

// BenchmarkSnapshotTaken: one command, and a snapshot up to it, when n entries
// are kept behind the snapshot.
func BenchmarkSnapshotTaken(b *testing.B) {
	benchSizes(b, 2000, func(b *testing.B, n int) {
		c := newTestCluster(b, 1)
		r := c.replicas[c.elect()].Raft
		r.cfg.Limits.TrailingBytes = uint64(n) * (entryOverheadBytes + 1)
		var out Ready
		step := func() {
			benchAlone(b, r, &out, []byte("x"))
			i := r.log.appliedIndex
			term, chain, _ := r.log.position(i)
			in := Input{Kind: InputSnapshotTaken, Snapshot: Snapshot{EntryID: EntryID{Term: term, Index: i}, Digest: chain,
				Time: r.PositionTime(i), Size: 1, Sum: chain, Configuration: r.Configuration()}}
			benchStep(b, r, &in, &out)
			in = Input{Kind: InputPersisted, Persisted: Persisted{out.Mark, out.HardState.Term, out.HardState.Vote}}
			if out.WriteSet {
				benchStep(b, r, &in, &out)
			}
		}
		for range n {
			benchAlone(b, r, &out, []byte("x"))
		}
		for range 10 {
			step()
		}
		for b.Loop() {
			step()
		}
	})
}
