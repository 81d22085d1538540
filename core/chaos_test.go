package core

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// chaos is a test cluster to which everything happens: messages are lost, late,
// repeated and out of order, replicas lose power or stand still, disks and
// state machines stall, clocks differ, and all the while members change and
// leadership moves. What must hold between replicas is checked after each step.
type chaos struct {
	*testCluster
	rng    splitmix
	spare  int // replicas that may still be added
	lost   uint64
	cuts   map[[2]ReplicaID]bool
	paused map[ReplicaID]bool
	// Time goes on in quarters of a tick. Clocks go at up to a tenth more than
	// that; due is what each owes its replica, in thousandths.
	rate, due map[ReplicaID]uint64

	committed map[Index]uint64 // the digest at each index that anyone has committed
	most      Index
	looked    map[ReplicaID]Index
	leaders   map[Term]ReplicaID

	tag   uint64
	asked map[uint64]ReplicaID // tags that are not answered for sure

	leased, removed, promoted, handedOver, installed, stalled int
}

const chaosDriftPPM = 100_000

func newChaos(t testing.TB, seed uint64) *chaos {
	c := &chaos{testCluster: &testCluster{t: t, replicas: map[ReplicaID]*testReplica{}, installs: true},
		rng: splitmix(seed), spare: 6, cuts: map[[2]ReplicaID]bool{}, paused: map[ReplicaID]bool{},
		rate: map[ReplicaID]uint64{}, due: map[ReplicaID]uint64{},
		committed: map[Index]uint64{}, looked: map[ReplicaID]Index{}, leaders: map[Term]ReplicaID{},
		asked: map[uint64]ReplicaID{}}
	c.testCluster.rng = &c.rng
	n := 1 + c.rng.below(4)
	founding := Configuration{}
	for id := ReplicaID(1); id <= ReplicaID(n); id++ {
		founding.Voters = append(founding.Voters, id)
	}
	for _, id := range founding.Voters {
		c.add(id, founding)
	}
	return c
}

func (c *chaos) add(id ReplicaID, known Configuration) {
	limits := testLimits()
	limits.MessageBytes, limits.InflightMessages, limits.UnappliedBytes = 400, 4, 2000
	limits.TrailingBytes, limits.ChunkBytes, limits.Reads = 300, 60, 20
	c.ids = append(c.ids, id)
	c.start(id, State{Snapshot: Snapshot{Configuration: known}}, 1, limits)
	c.rate[id] = 250 + c.rng.below(26)
}

// do gives an input, behind the ticks that its replica's clock owes.
func (c *chaos) do(id ReplicaID, in Input) {
	c.t.Helper()
	r := c.replicas[id]
	events, reads, restored := len(r.events), len(r.reads), len(r.restored)
	if n := c.due[id] / 1000; n > 0 {
		c.due[id] %= 1000
		c.step(id, Input{Kind: InputTick, Ticks: uint32(n)})
		c.look(id)
	}
	if in.Kind != InputTick {
		c.step(id, in)
	}
	for _, e := range r.events[events:] {
		switch e.Kind {
		case EventRemoved:
			c.removed++
		case EventPromoted:
			c.promoted++
		case EventHandover:
			c.handedOver++
		case EventDiskStalled:
			c.stalled++
		}
	}
	c.installed += len(r.restored) - restored
	for _, read := range r.reads[reads:] {
		if read.Lease {
			c.leased++
			if read.Index < c.most {
				c.t.Fatalf("replica %d reads at %d under its lease, and %d is committed elsewhere: %+v", id, read.Index, c.most, r.Status())
			}
		}
	}
	c.look(id)
}

// look compares a replica with what was seen before: a term has one leader,
// and a committed index one entry.
func (c *chaos) look(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	if r.role == RoleLeader {
		if l := c.leaders[r.term]; l != 0 && l != id {
			c.t.Fatalf("replicas %d and %d lead term %d", l, id, r.term)
		}
		c.leaders[r.term] = id
	}
	for i := max(c.looked[id], r.log.base.Index); i <= r.log.commitIndex; i++ {
		_, chain, ok := r.log.position(i)
		if known, seen := c.committed[i]; ok && seen && known != chain {
			c.t.Fatalf("replica %d has committed another entry at %d: %+v", id, i, r.Status())
		}
		if ok {
			c.committed[i] = chain
		}
	}
	c.looked[id] = r.log.commitIndex
	c.most = max(c.most, r.log.commitIndex)
}

func (c *chaos) any() ReplicaID { return c.ids[c.rng.below(uint64(len(c.ids)))] }

// someLeader is a leader, if there is one, most of the time.
func (c *chaos) someLeader() ReplicaID {
	first := c.any()
	for i := range c.ids {
		if id := c.ids[(int(first)+i)%len(c.ids)]; c.replicas[id].role == RoleLeader && c.rng.below(8) > 0 {
			return id
		}
	}
	return first
}

// ask gives an input with a tag, unless its replica stands still.
func (c *chaos) ask(id ReplicaID, in Input) {
	c.t.Helper()
	if c.paused[id] {
		return
	}
	c.tag++
	in.Tag = c.tag
	if in.Kind == InputPropose {
		in.Proposals = []Proposal{{c.tag, make([]byte, c.rng.below(200))}}
	}
	c.asked[c.tag] = id
	c.do(id, in)
}

// tally counts the answers of id, which come once each.
func (c *chaos) tally(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	once := func(tag uint64) {
		if c.asked[tag] != id {
			c.t.Fatalf("replica %d answers tag %d a second time, or was never asked", id, tag)
		}
		delete(c.asked, tag)
	}
	for _, a := range r.accepted {
		once(a.Tag)
	}
	for _, a := range r.reads {
		once(a.Tag)
	}
	for _, a := range r.done {
		once(a.Tag)
	}
	for _, a := range r.refused {
		once(a.Tag)
	}
	r.accepted, r.reads, r.done, r.refused = nil, nil, nil, nil
}

// quarter is a quarter of a tick: clocks go on, messages arrive or do not, and
// perhaps something happens.
func (c *chaos) quarter() {
	c.t.Helper()
	for _, id := range c.ids {
		c.due[id] += c.rate[id]
		if !c.paused[id] && c.due[id] >= 1000 {
			c.do(id, Input{Kind: InputTick})
		}
	}
	c.arrive()
	if c.rng.below(6) == 0 {
		c.happen()
	}
}

func (c *chaos) arrive() {
	c.t.Helper()
	flight := c.flight
	c.flight = nil
	for i := range flight {
		m := flight[i]
		if c.replicas[m.To] == nil || c.cuts[[2]ReplicaID{m.From, m.To}] || c.rng.below(100) < c.lost {
			continue
		}
		if c.paused[m.To] || c.rng.below(4) == 0 {
			c.flight = append(c.flight, m)
			continue
		}
		if c.rng.below(50) == 0 {
			c.flight = append(c.flight, m)
		}
		if m.Kind == KindInstallSnapshot {
			m.InstallSnapshot.Data = make([]byte, m.InstallSnapshot.Length)
		}
		c.do(m.To, Input{Kind: InputMessage, Message: &m})
	}
}

func (c *chaos) happen() {
	c.t.Helper()
	id := c.any()
	r := c.replicas[id]
	switch c.rng.below(24) {
	case 0, 1, 2, 3:
		c.ask(c.someLeader(), Input{Kind: InputPropose})
	case 4, 5, 6:
		c.ask(c.someLeader(), Input{Kind: InputRead, Lease: true, LeaseDriftPPM: chaosDriftPPM})
	case 7:
		c.ask(id, Input{Kind: InputRead})
	case 8, 9, 10:
		c.change()
	case 11:
		c.ask(c.someLeader(), Input{Kind: InputTransfer, Target: ReplicaID(c.rng.below(uint64(len(c.ids)) + 1))})
	case 12:
		c.ask(id, Input{Kind: InputCampaign})
	case 13:
		if c.rng.below(4) == 0 {
			c.ask(c.someLeader(), Input{Kind: InputResign})
		}
	case 14:
		c.tally(id)
		for tag, of := range c.asked {
			if of == id {
				delete(c.asked, tag)
			}
		}
		c.restart(id)
		c.looked[id], c.due[id] = 0, c.due[id]%1000
		delete(c.paused, id)
	case 15:
		r.auto = c.rng.below(3) == 0
	case 16:
		r.noApply = c.rng.below(2) == 0
	case 17:
		c.persistSome(id)
	case 18:
		if !c.paused[id] && r.auto {
			c.resume(id)
			c.look(id)
		}
	case 19, 20:
		if r.auto && !c.paused[id] {
			c.snapshot(id)
		}
	case 21:
		c.lost = c.rng.below(3) * c.rng.below(30)
	case 22:
		clear(c.cuts)
		for range c.rng.below(5) {
			a, b := c.any(), c.any()
			c.cuts[[2]ReplicaID{a, b}] = true
			if c.rng.below(2) == 0 {
				c.cuts[[2]ReplicaID{b, a}] = true
			}
		}
	case 23:
		c.paused[id] = !c.paused[id] && c.rng.below(3) == 0
	}
}

// persistSome has the disk of id do a part of what it owes.
func (c *chaos) persistSome(id ReplicaID) {
	c.t.Helper()
	r := c.replicas[id]
	if c.paused[id] {
		return
	}
	for n := c.rng.below(4); n > 0 && len(r.writes) > 0; n-- {
		w, held := r.writes[0], r.held[0]
		r.writes, r.held = r.writes[1:], r.held[1:]
		c.flight = append(c.flight, held...)
		r.durable(&w)
		c.do(id, Input{Kind: InputPersisted, Persisted: w.Persisted})
	}
}

func (c *chaos) change() {
	c.t.Helper()
	id := c.someLeader()
	r := c.replicas[id]
	members := r.Configuration()
	var ops []Operation
	added := 0
	for range 1 + c.rng.below(3) {
		op := Operation{Kind: confchange.OperationKind(1 + c.rng.below(6)), ID: c.any()}
		if op.Kind <= confchange.AddVoter {
			if op.ID = members.HighestID() + 1 + ReplicaID(len(ops)); added == c.spare {
				continue
			}
			added++
		}
		if op.Kind == confchange.Update {
			op.Address, op.Priority = "a", uint8(c.rng.below(3))
		}
		ops = append(ops, op)
	}
	n := len(r.accepted)
	c.ask(id, Input{Kind: InputChange, Change: Change{Operations: ops}})
	if len(r.accepted) == n {
		return
	}
	for _, op := range ops {
		if op.Kind <= confchange.AddVoter && c.replicas[op.ID] == nil {
			c.spare--
			c.add(op.ID, Configuration{})
		}
	}
}

// heal ends all faults. Who has resigned is started again.
func (c *chaos) heal() {
	c.t.Helper()
	c.lost = 0
	clear(c.cuts)
	clear(c.paused)
	for _, id := range c.ids {
		c.do(id, Input{Kind: InputTick})
		c.resume(id)
		c.look(id)
		if c.replicas[id].resigned {
			c.tally(id)
			for tag, of := range c.asked {
				if of == id {
					delete(c.asked, tag)
				}
			}
			c.restart(id)
			c.looked[id] = 0
		}
	}
}

// calm lets n ticks pass in which nothing happens.
func (c *chaos) calm(n int) {
	c.t.Helper()
	for range 4 * n {
		for _, id := range c.ids {
			if c.due[id] += c.rate[id]; c.due[id] >= 1000 {
				c.do(id, Input{Kind: InputTick})
			}
		}
		c.arrive()
	}
}

// settled says what is still missing.
func (c *chaos) settled() string {
	l := c.leader()
	if l == 0 {
		return "there is no leader"
	}
	leader := c.replicas[l]
	conf := leader.Configuration()
	switch {
	case conf.IsJoint() || len(conf.Planned) > 0 || conf.Index > leader.log.commitIndex:
		return "the change is not at its end"
	case leader.handover.active():
		return "leadership is on its way"
	case !conf.Votes(l):
		return "the leader has no vote"
	}
	missing := ""
	conf.Each(func(id ReplicaID) {
		a, b := leader.Status(), c.replicas[id].Status()
		if a.Last != b.Last || a.LastDigest != b.LastDigest || a.Commit != b.Commit || a.Applied != b.Applied ||
			a.Commit != a.Last.Index || a.Configuration != b.Configuration {
			missing = "the members differ"
		}
	})
	return missing
}

// Whatever happens: no term has two leaders, no index two committed entries, no
// lease read is stale, every tag is answered once, no invariant breaks; and
// when it is over, the change under way comes to its end by itself, and all
// members agree.
func TestChaos(t *testing.T) {
	sum := &chaos{}
	for seed := uint64(1); seed <= chaosSeeds(t, 40); seed++ {
		c := newChaos(t, seed)
		func() {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			for range 2400 {
				c.quarter()
			}
			c.heal()
			for n := 0; c.settled() != "" && n < 100; n++ {
				c.calm(10)
			}
			if missing := c.settled(); missing != "" {
				for _, id := range c.ids {
					t.Logf("%+v %+v", c.replicas[id].Status(), c.replicas[id].Configuration())
				}
				t.Fatalf("1000 ticks after the last fault %s", missing)
			}
			c.calm(30) // a forwarded read gives up after 20
			for _, id := range c.ids {
				c.tally(id)
			}
			if len(c.asked) > 0 {
				t.Fatalf("tags of these replicas are not answered: %v", c.asked)
			}
		}()
		sum.leased += c.leased
		sum.removed += c.removed
		sum.promoted += c.promoted
		sum.handedOver += c.handedOver
		sum.installed += c.installed
		sum.stalled += c.stalled
	}
	if sum.leased == 0 || sum.removed == 0 || sum.promoted == 0 || sum.handedOver == 0 || sum.installed == 0 || sum.stalled == 0 {
		t.Fatalf("%d lease reads, %d removals, %d promotions, %d handovers, %d snapshots installed, %d disks stalled: something never happens",
			sum.leased, sum.removed, sum.promoted, sum.handedOver, sum.installed, sum.stalled)
	}
	t.Logf("%d lease reads, %d removals, %d promotions, %d handovers, %d snapshots installed, %d disks stalled",
		sum.leased, sum.removed, sum.promoted, sum.handedOver, sum.installed, sum.stalled)
}
