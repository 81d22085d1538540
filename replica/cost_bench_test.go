package replica

import (
	"fmt"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// What a step costs must not depend on how many reads wait or how long the log
// is. Each benchmark shows it at three sizes, each ten times the one before.

func benchSizes(b *testing.B, first int, run func(b *testing.B, n int)) {
	for _, n := range [...]int{first, 10 * first, 100 * first} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n) })
	}
}

// quietHost is a host that keeps no answers.
type quietHost struct{ *host }

func (quietHost) Answer(*Answer) {}

// waitingReads is a leader whose state machine is busy with one command while
// another one is committed, and n reads wait for that.
func waitingReads(b *testing.B, n int) *host {
	h := &host{t: b, id: 1, disk: NewMemory(founding(1)), sm: &ledger{}, answers: map[uint64]outcome{}}
	cfg := testConfig(1)
	cfg.Limits.Reads = 1 << 30
	r, err := New(cfg, Options{}, h.disk, quietHost{h})
	if err != nil {
		b.Fatal(err)
	}
	h.replica = r
	for r.Core().Status().Role != core.RoleLeader || r.Core().Status().Applied == 0 {
		h.tick()
		h.settle()
	}
	for tag := range uint64(2) {
		r.Propose(tag, []byte("command"))
		h.sync(len(h.writes))
	}
	for i := range n {
		r.Barrier(uint64(i))
	}
	return h
}

// BenchmarkStepWithWaitingReads: a step that has nothing to do with the n reads.
func BenchmarkStepWithWaitingReads(b *testing.B) {
	benchSizes(b, 4096, func(b *testing.B, n int) {
		h := waitingReads(b, n)
		for b.Loop() {
			h.replica.Tick(0, 1, true)
		}
	})
}

// BenchmarkOverdueReads: n reads are refused in one tick. The figure for each is
// ns/read.
func BenchmarkOverdueReads(b *testing.B) {
	benchSizes(b, 4096, func(b *testing.B, n int) {
		for range b.N {
			b.StopTimer()
			h := waitingReads(b, n)
			b.StartTimer()
			h.replica.Tick(20, 1, true)
			if h.replica.reads.len() > 0 {
				b.Fatal("some wait still")
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/read")
	})
}

// BenchmarkMemoryCompaction: one entry is written to a disk that holds n, and
// one compacted.
func BenchmarkMemoryCompaction(b *testing.B) {
	benchSizes(b, 1000, func(b *testing.B, n int) {
		d := &image{}
		u := memoryWrite{entries: make([]core.Entry, 1)}
		write := func(i, compact int) {
			u.entries[0].Index, u.compact = core.Index(i), core.Index(compact)
			d.apply(&u)
		}
		for i := range n {
			write(i+1, 0)
		}
		i := n
		for b.Loop() {
			i++
			write(i, i-n)
		}
	})
}
