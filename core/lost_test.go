package core

import "testing"

// lostDisk is a cluster whose replica x has been stopped, and starts under its old
// id from what is left of its disk.
func lostDisk(t *testing.T, left func(st State, boot Boot) (State, Boot)) (c *testCluster, l, x ReplicaID) {
	t.Helper()
	c = newTestCluster(t, 3)
	c.rng = new(splitmix)
	l = c.elect()
	x = l%3 + 1
	c.propose(l, 1, 2)
	c.run(3)
	old := c.replicas[x].disk
	old.Entries = append([]Entry(nil), old.Entries...)
	c.propose(l, 3, 4)
	c.run(3)
	boot := c.replicas[x].cfg.Boot
	c.restart(x) // so that the leader has heard of a boot before the last
	c.run(3)
	st, boot := left(old, boot)
	c.start(x, st, boot, testLimits())
	return c, l, x
}

// Whatever was lost, the leader notices, within an election timeout, and no word
// of that replica counts from then on.
func TestLostDiskIsNoticedAndCountsForNothing(t *testing.T) {
	empty := func(st State, _ Boot) State { return State{Snapshot: st.Snapshot} }
	for name, left := range map[string]func(st State, boot Boot) (State, Boot){
		"an empty disk, the boot number too": func(st State, _ Boot) (State, Boot) { return empty(st, 0), 1 },
		"an empty disk but for the boot number": func(st State, boot Boot) (State, Boot) {
			return empty(st, 0), boot + 2
		},
		"an old backup":                         func(st State, boot Boot) (State, Boot) { return st, boot },
		"an old backup but for the boot number": func(st State, boot Boot) (State, Boot) { return st, boot + 2 },
	} {
		t.Run(name, func(t *testing.T) {
			c, l, x := lostDisk(t, left)
			c.run(10)
			if c.leader() != l || c.happened(l, Event{EventDiskLost, x}) != 1 || c.happened(x, Event{EventDiskLost, x}) != 1 {
				t.Fatalf("leader %d, its events %+v, those of replica %d %+v", c.leader(), c.replicas[l].events, x, c.replicas[x].events)
			}
			// It votes for nobody and takes nothing.
			if r := c.replicas[x]; r.mayStand() || r.log.lastIndex() >= c.replicas[l].log.lastIndex() {
				t.Errorf("%+v", r.Status())
			}
			// The others go on without it.
			c.propose(l, 9)
			c.run(5)
			if s := c.replicas[l].Status(); s.Commit != s.Last.Index {
				t.Errorf("%+v", s)
			}
			// Alone with it the leader has no quorum.
			other := 6 - l - x
			commit := c.replicas[l].log.commitIndex
			down := c.replicas[other]
			delete(c.replicas, other)
			c.propose(l, 10)
			c.run(300)
			if c.leader() != 0 || c.replicas[l].log.commitIndex != commit {
				t.Errorf("leader %d, commit %d after %d", c.leader(), c.replicas[l].log.commitIndex, commit)
			}
			// The next leader hears of it from the replica itself.
			c.replicas[other] = down
			c.restart(other)
			c.run(100)
			now := c.leader()
			if now == 0 || now == x {
				t.Fatalf("leader %d", now)
			}
			if r := c.replicas[now]; r.log.commitIndex != r.log.lastIndex() || !r.peer(x).Lost {
				t.Errorf("%+v", r.Status())
			}
		})
	}
}

// Nor does it go unnoticed when the leader has compacted all that it lacks: a
// snapshot would heal it, and nobody would know.
func TestLostDiskIsNoticedBehindACompactedLog(t *testing.T) {
	c, l, x := lostDisk(t, func(st State, boot Boot) (State, Boot) { return st, boot + 2 })
	c.installs = true
	// The leader's log begins after what it knows to match.
	other := 6 - l - x
	c.cut = func(m *Message) bool { return m.From == x || m.To == x }
	c.propose(l, 7, 8)
	c.run(1)
	for _, id := range []ReplicaID{l, other} {
		c.snapshot(id)
	}
	if r := c.replicas[l]; r.peer(x).Match > r.log.base.Index || r.peer(x).Next <= r.log.base.Index {
		t.Fatalf("%+v, base %v", *r.peer(x), r.log.base)
	}
	c.cut = nil
	c.run(6)
	if c.happened(l, Event{EventDiskLost, x}) != 1 || len(c.replicas[x].restored) > 0 {
		t.Errorf("events %+v, %d snapshots restored", c.replicas[l].events, len(c.replicas[x].restored))
	}
}

// A replica that keeps its disk is never taken for one that has lost it, however
// often it starts and however late its answers are.
func TestDiskThatWasKeptIsNotTakenForLost(t *testing.T) {
	for seed := uint64(1); seed <= chaosSeeds(t, 60); seed++ {
		c := newChaos(t, 7000+seed)
		for range 1500 {
			c.quarter()
			for id, r := range c.replicas {
				for _, e := range r.events {
					if e.Kind == EventDiskLost {
						t.Fatalf("seed %d: replica %d says that the disk of replica %d is lost", seed, id, e.Replica)
					}
				}
			}
		}
	}
}
