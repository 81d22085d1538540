package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// TestTaskReportedTwice: a host that reports a task again, when the replica has
// perhaps given it other work, is found out. Nobody gets an answer that the
// state machine did not give.
func TestTaskReportedTwice(t *testing.T) {
	n := newCluster(t, 1, Options{}).elect(1)
	n.replica.Propose(1, []byte("first"))
	n.sync(len(n.writes))
	task := n.tasks[0]
	n.run()
	if a := n.answers[1]; a.reply != "ok first" {
		t.Fatalf("first command: %+v", a)
	}
	n.replica.Propose(2, []byte("second"))
	n.sync(len(n.writes))
	if n.tasks[0] != task {
		t.Fatal("the task is not in use again; the test proves nothing")
	}
	n.replica.Applied(task)
	if a, ok := n.answers[2]; ok && a.Kind == AnswerApplied {
		t.Errorf("the second command was never applied, and was answered with %+v", a)
	}
	wantHalt(t, n, "before it was run")
	// What was committed is still answered when it has been applied.
	n.run()
	if a := n.answers[2]; a.Kind != AnswerUnknown && a.reply != "ok second" {
		t.Errorf("second command: %+v", a)
	}
}

func wantHalt(t *testing.T, n *host, text string) {
	t.Helper()
	if h := n.replica.Halted(); h == nil || h.Reason != HaltHost || !strings.Contains(h.Error(), text) {
		t.Errorf("halted: %v, want one of the host that says %q", h, text)
	}
}

// TestWrongReportsOfTasks: whatever a host gets wrong about a task halts the
// replica with a reason, and never changes a state machine twice.
func TestWrongReportsOfTasks(t *testing.T) {
	applying := func(t *testing.T) (*host, *Task) {
		n := newCluster(t, 1, Options{}).elect(1)
		n.replica.Propose(1, []byte("first"))
		n.sync(len(n.writes))
		return n, n.tasks[0]
	}
	saving := func(t *testing.T) (*host, *Task) {
		n, _ := applying(t)
		n.settle()
		if !n.replica.TakeSnapshot() {
			t.Fatal("no snapshot to take")
		}
		return n, n.tasks[0]
	}
	for _, c := range []struct {
		name, want string
		do         func(t *testing.T) *host
	}{
		{"nil", "not with the host", func(t *testing.T) *host {
			n, _ := applying(t)
			n.replica.Applied(nil)
			return n
		}},
		{"twice, while idle", "not with the host", func(t *testing.T) *host {
			n, task := applying(t)
			n.run()
			n.replica.Applied(task)
			return n
		}},
		{"not run", "before it was run", func(t *testing.T) *host {
			n, task := applying(t)
			n.replica.Applied(task)
			return n
		}},
		{"run twice", "run twice", func(t *testing.T) *host {
			n, task := applying(t)
			task.Run(n.sm)
			task.Run(n.sm) // the ledger panics if it is told an entry twice
			n.replica.Applied(task)
			return n
		}},
		{"run after it was reported", "run twice, or after", func(t *testing.T) *host {
			n, task := applying(t)
			n.run()
			task.Run(n.sm)
			n.replica.Propose(2, []byte("second"))
			n.sync(len(n.writes))
			n.run()
			return n
		}},
		{"the second before the first", "out of turn", func(t *testing.T) *host {
			n, _ := applying(t)
			n.replica.Read(5, []byte("q"))
			second := n.tasks[1]
			second.Run(n.sm)
			n.replica.Applied(second)
			return n
		}},
		{"a clone twice", "before it was run", func(t *testing.T) *host {
			n, task := saving(t)
			n.run()
			n.replica.Applied(task)
			return n
		}},
		{"a save twice", "not with the host", func(t *testing.T) *host {
			n, task := saving(t)
			n.run()
			n.save()
			n.replica.Applied(task)
			return n
		}},
		{"another replica's", "out of turn", func(t *testing.T) *host {
			n, _ := applying(t)
			_, other := applying(t)
			other.Run(&ledger{})
			n.replica.Applied(other)
			return n
		}},
	} {
		t.Run(c.name, func(t *testing.T) { wantHalt(t, c.do(t), c.want) })
	}
}

// TestReadsThatWaitInTheCoreComeBackWhenItHalts: nobody who asked is left
// without an answer, wherever the read is.
func TestReadsThatWaitInTheCoreComeBackWhenItHalts(t *testing.T) {
	for name, at := range map[string]int{"at the leader": 0, "on its way to the leader": 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, Options{})
			c.elect(1)
			c.ticks(3)
			n := c.hosts[at]
			for tag := range uint64(5) {
				n.replica.Read(tag, []byte("q"))
			}
			n.replica.Barrier(5)
			n.replica.in = core.Input{Kind: 255} // no host can do that; the core halts
			if err := n.replica.step(); err == nil {
				t.Fatal("the core did not halt")
			}
			for tag := range uint64(6) {
				if a, ok := n.read(tag); !ok || a.Kind != AnswerRefused || a.Reason != core.RefusedHalted {
					t.Errorf("read %d: %+v, answered %t", tag, a, ok)
				}
			}
		})
	}
}

// TestLimitsThatNoPeerCouldRead: a replica does not start with a limit that lets
// it send what its peers can not decode.
func TestLimitsThatNoPeerCouldRead(t *testing.T) {
	for name, set := range map[string]func(*core.Limits){
		"entry":   func(l *core.Limits) { l.EntryBytes = core.LimitBytesMax + 1 },
		"message": func(l *core.Limits) { l.MessageBytes = 1 << 40 },
		"chunk":   func(l *core.Limits) { l.ChunkBytes = 1<<32 - 1 },
	} {
		cfg := testConfig(1)
		set(&cfg.Limits)
		if _, err := New(cfg, Options{}, NewMemory(founding(1)), &host{}); err == nil {
			t.Errorf("%s: a replica starts with %+v", name, cfg.Limits)
		} else if want := fmt.Sprint(core.LimitBytesMax); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say how much there may be", name, err)
		}
	}
}

// TestMemoryKeepsNothingBorrowed: what a caller does with its slices afterwards
// changes no disk.
func TestMemoryKeepsNothingBorrowed(t *testing.T) {
	voters := []core.ReplicaID{1, 2, 3}
	conf := core.Configuration{Voters: voters, Learners: []core.ReplicaID{4}}
	check := func(what string, m *Memory) {
		t.Helper()
		if c := m.Durable().Snapshot.Configuration; c.Voters[0] != 1 || c.Learners[0] != 4 {
			t.Errorf("%s: the disk has now %+v", what, c)
		}
		voters[0], conf.Learners[0] = 1, 4
	}
	spoil := func() { voters[0], conf.Learners[0] = 9, 9 }

	m := NewMemory(conf)
	if _, err := m.Open(); err != nil {
		t.Fatal(err)
	}
	spoil()
	check("founding", m)

	var sum Sum
	sum.Write([]byte("state"))
	s := core.Snapshot{EntryID: core.EntryID{Term: 1, Index: 5}, Size: 5, Sum: sum.Sum64(), Configuration: conf}
	if err := m.Append(&Write{Seq: 1, ChunkSet: true, Chunk: core.SnapshotChunk{Snapshot: s, Data: []byte("state"), Last: true}}); err != nil {
		t.Fatal(err)
	}
	spoil()
	if err := m.Sync(1); err != nil {
		t.Fatal(err)
	}
	check("received", m)
}
