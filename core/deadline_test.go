package core

import (
	"fmt"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// duties says what a host owes, if anything.
func duties(out *Ready) string {
	if out.WriteSet || out.ChunkSet || out.RestoreSet || out.LeaderChanged || out.LostLeadership || out.ConfigurationSet ||
		len(out.Released)+len(out.Messages)+len(out.Held)+len(out.Committed)+len(out.Reads)+
			len(out.Accepted)+len(out.Done)+len(out.Refusals)+len(out.Events) > 0 {
		return fmt.Sprintf("%+v", *out)
	}
	return ""
}

// checkDeadline holds r to what NextDeadline says: before it nothing is owed,
// and ticks that come as one do what they do one by one.
func checkDeadline(t *testing.T, r *Raft) (next uint32) {
	t.Helper()
	next = r.NextDeadline()
	if next == 0 {
		t.Fatalf("no time is left: %+v", r.Status())
	}
	step := func(r *Raft, n uint32) string {
		var out Ready
		if err := r.Step(&Input{Kind: InputTick, Ticks: n, Jitter: 3, JitterSet: true}, &out); err != nil {
			t.Fatal(err)
		}
		if err := r.CheckInvariants(); err != nil {
			t.Fatal(err)
		}
		return duties(&out)
	}
	quiet := min(next-1, 500)
	single := r.Clone()
	for i := range quiet {
		if owed := step(single, 1); owed != "" {
			t.Fatalf("%d ticks are left, and the host owes something after %d: %s\n%+v\nhandover %+v", next, i+1, owed, r.Status(), r.handover)
		}
	}
	once := r.Clone()
	if quiet > 0 {
		if owed := step(once, quiet); owed != "" {
			t.Fatalf("%d ticks are left, and the host owes something after %d at once: %s", next, quiet, owed)
		}
	}
	if single.Hash() != once.Hash() {
		t.Fatalf("%d ticks at once are not %d ticks\n%+v\n%+v", quiet, quiet, single, once)
	}
	if quiet+1 == next {
		x, y := step(single, 1), step(r.Clone(), next)
		all := r.Clone()
		step(all, next)
		if single.Hash() != all.Hash() || x != y {
			t.Fatalf("%d ticks at once are not %d ticks:\n%s\n%s\n%+v\n%+v", next, next, x, y, single.lead, all.lead)
		}
	}
	return next
}

// In every state that chaos leads to, a host may sleep until the deadline.
func TestNothingHappensBeforeTheDeadline(t *testing.T) {
	long := 0
	for seed := uint64(1); seed <= chaosSeeds(t, 25); seed++ {
		c := newChaos(t, 1000+seed)
		for i := range 1200 {
			c.quarter()
			if id := c.any(); i%3 == 0 && c.due[id] < 1000 {
				if checkDeadline(t, c.replicas[id].Raft) > 2 {
					long++
				}
			}
		}
	}
	if long == 0 {
		t.Error("no host could ever sleep for longer than a heartbeat")
	}
}

// A host that sleeps until the deadline, each time, loses nothing: the cluster
// elects, notices, gives up and hands over as ever.
func TestHostsThatSleepUntilTheDeadlineLoseNothing(t *testing.T) {
	c := newTestCluster(t, 3)
	wake := map[ReplicaID]uint32{}
	awake := map[ReplicaID]uint32{}
	longest := uint32(0)
	now := uint32(0)
	// Whatever arrives wakes a host up, and gets its ticks first.
	c.cut = func(m *Message) bool {
		if n := now - awake[m.To]; n > 0 {
			awake[m.To] = now
			c.tick(m.To, n)
		}
		return false
	}
	elapse := func(n uint32) {
		for range n {
			now++
			for _, id := range c.ids {
				if now >= wake[id] {
					n := now - awake[id]
					awake[id] = now
					c.tick(id, n)
				}
			}
			c.deliver()
			for _, id := range c.ids {
				d := c.replicas[id].NextDeadline()
				longest = max(longest, d)
				wake[id] = now + d - (now - awake[id])
			}
		}
	}
	elapse(60)
	l := c.leader()
	if l == 0 {
		t.Fatal("no leader")
	}
	c.propose(l, 1)
	elapse(5)
	c.sameLogs(1, 2, 3)
	x := l%3 + 1
	c.change(l, 2, Operation{Kind: confchange.Update, ID: x, Priority: 1})
	elapse(100)
	if c.leader() != x {
		t.Errorf("leader %d, the preferred one is %d", c.leader(), x)
	}
	if longest < 5 {
		t.Errorf("nobody slept for longer than %d ticks", longest)
	}
}

// Whoever waits for its disk has nothing to do, and stands as soon as the disk
// is done.
func TestDeadlineAfterTheDiskHasRecovered(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	x := l%3 + 1
	f := c.replicas[x]
	f.auto = false
	c.propose(l, 1)
	c.deliver()
	c.isolate(x)
	c.run(150)
	if f.role != RoleFollower || !f.diskStalled() {
		t.Fatalf("%+v", f.Status())
	}
	if d := f.NextDeadline(); d < 1000 {
		t.Errorf("it has to wait, and is to be woken in %d ticks", d)
	}
	c.persist(x)
	if d := f.NextDeadline(); d != 1 {
		t.Errorf("its election is long due, and it is to be woken in %d ticks", d)
	}
	c.tick(x, 1)
	if f.role == RoleFollower {
		t.Error("it does not stand")
	}
}
