package core

import "testing"

// slowDisks makes every write of every replica take as many ticks as delay says,
// with any number of them on their way at once.
type slowDisks struct {
	*testCluster
	delay  func(id ReplicaID) int
	now    int
	begun  map[ReplicaID][]int // when each write that is on its way began
	absent int                 // ticks without a leader
	terms  map[Term]bool       // terms that had a leader
}

func newSlowDisks(t *testing.T, n int, delay func(id ReplicaID) int) *slowDisks {
	d := &slowDisks{testCluster: newTestCluster(t, n), delay: delay, begun: map[ReplicaID][]int{}, terms: map[Term]bool{}}
	d.rng = new(splitmix)
	for _, id := range d.ids {
		d.replicas[id].auto = false
	}
	return d
}

// pass lets ticks pass, and has disks and state machines do what is due.
func (d *slowDisks) pass(ticks int) {
	d.t.Helper()
	for range ticks {
		d.now++
		for _, id := range d.ids {
			d.tick(id, 1)
		}
		d.settle()
		l := d.leader()
		if l == 0 {
			d.absent++
		} else {
			d.terms[d.replicas[l].term] = true
		}
	}
}

func (d *slowDisks) settle() {
	d.t.Helper()
	for again := true; again; {
		again = len(d.flight) > 0
		d.deliver()
		for _, id := range d.ids {
			r := d.replicas[id]
			for len(d.begun[id]) < len(r.writes) {
				d.begun[id] = append(d.begun[id], d.now)
			}
			for len(r.writes) > 0 && d.begun[id][0]+d.delay(id) <= d.now {
				w, held := r.writes[0], r.held[0]
				r.writes, r.held, d.begun[id] = r.writes[1:], r.held[1:], d.begun[id][1:]
				d.flight = append(d.flight, held...)
				r.durable(&w)
				d.step(id, Input{Kind: InputPersisted, Persisted: w.Persisted})
				again = true
			}
			for len(r.owed) > 0 {
				in := r.owed[0]
				r.owed = r.owed[1:]
				d.step(id, in)
				again = true
			}
		}
	}
}

// A disk that is slow but moves costs a cluster time, and neither its leader nor
// a command: contact, rounds of reads and leases wait for no disk (dissertation
// §10.2.1), and an election waits for as long as disks need.
func TestSlowDisksAreNotDead(t *testing.T) {
	every := func(delay int) func(ReplicaID) int { return func(ReplicaID) int { return delay } }
	for _, tt := range []struct {
		name   string
		voters int
		delay  func(id ReplicaID) int
	}{
		{"8 ticks everywhere", 3, every(8)},
		{"11 ticks everywhere", 3, every(11)},
		{"15 ticks everywhere", 3, every(15)},
		{"25 ticks everywhere", 3, every(25)},
		{"40 ticks everywhere", 5, every(40)},
		{"25 ticks for one", 3, func(id ReplicaID) int { return 25 * int(id/3) }},
		{"25 ticks for two", 3, func(id ReplicaID) int { return 25 * int(id/2) }},
		{"each another", 5, func(id ReplicaID) int { return 9 * int(id) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newSlowDisks(t, tt.voters, tt.delay)
			for d.leader() == 0 {
				if d.pass(1); d.now > 400 {
					t.Fatal("no leader in 40 election timeouts")
				}
			}
			d.pass(100)
			d.absent, d.terms = 0, map[Term]bool{}
			l := d.leader()
			if l == 0 {
				t.Fatal("the leader is gone")
			}
			const commands = 100
			for tag := uint64(1); tag <= commands; tag++ {
				d.propose(l, tag)
				d.step(l, Input{Kind: InputRead, Tag: 1000 + tag})
				d.step(l%3+1, Input{Kind: InputRead, Tag: 1000 + tag})
				d.settle()
				for _, id := range []ReplicaID{l, l%3 + 1} {
					if n := len(d.replicas[id].reads); n != int(tag) {
						t.Fatalf("of %d reads at replica %d only %d are confirmed before a disk has moved", tag, id, n)
					}
				}
				d.pass(50)
			}
			d.pass(50)
			if d.absent > 0 || len(d.terms) != 1 {
				t.Errorf("%d ticks without a leader, and %d terms", d.absent, len(d.terms))
			}
			if s := d.replicas[l].log; len(d.replicas[l].applied) < commands || s.commitIndex != s.lastIndex() {
				t.Errorf("%d entries applied, commit %d of %d", len(d.replicas[l].applied), s.commitIndex, s.lastIndex())
			}
		})
	}
}

// What is answered at once promises no more than what is durable.
func TestHeartbeatIsAnsweredWithWhatIsDurable(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	f := c.replicas[l%3+1]
	f.auto = false
	durable := f.log.persistedIndex
	c.propose(l, 1)
	c.cut = func(m *Message) bool { return m.From == f.cfg.ID }
	c.deliver()
	c.cut = nil
	c.tick(l, 2)
	c.cut = func(m *Message) bool { return m.To != f.cfg.ID }
	c.deliver()
	heartbeat := false
	for _, m := range f.out.Messages {
		heartbeat = m.Kind == KindAppendEntriesResponse
		if a := m.AppendEntriesResponse; a.Match != durable || a.Sent != c.replicas[l].lead.ticks {
			t.Errorf("durable is %d: %+v", durable, a)
		}
	}
	if !heartbeat {
		t.Errorf("the heartbeat is not answered: %+v", f.out.Held)
	}
}

// That the logs agree does not have to be durable to be said: a follower whose disk
// is slow gets a window of entries, not one in each turn of its disk.
func TestProbeDoesNotWaitForTheDisk(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	c.run(3)
	x := l%3 + 1
	f := c.replicas[x]
	f.auto = false
	c.propose(l, 1, 2, 3)
	c.run(1)
	r := c.replicas[l]
	p := r.peer(x)
	p.BecomeProbe(r.log.lastIndex() + 1) // as after messages that overtook each other
	c.propose(l, 4)
	c.run(4)
	c.propose(l, 5, 6)
	c.run(4)
	if f.log.lastIndex() != r.log.lastIndex() || p.Match >= r.log.lastIndex() {
		t.Errorf("its log ends at %d, durable is %d; the leader's ends at %d", f.log.lastIndex(), p.Match, r.log.lastIndex())
	}
	c.resume(x)
	c.run(3)
	if p.Match != r.log.lastIndex() {
		t.Errorf("match %d of %d", p.Match, r.log.lastIndex())
	}
}
