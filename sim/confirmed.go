package sim

import (
	"github.com/seaworthy-raft/seaworthy/core"
)

// What must hold of reads that do not rest on a lease: the leader has made
// sure, after the read came in, that it still led (dissertation §6.4). For a
// stale answer another leader has to have committed something at the right
// moment; that nobody has made sure shows every time.
//
// Rounds tell what was sent after a read had come in: a leader that begins one
// for it sends a higher number than it has sent before in its term.

// question is a read that was handed to a replica.
type question struct {
	committed core.Index // anywhere, when it came in
	led       ledBy
	// Of a follower: the number of its latest request to the leader before.
	follower bool
	counter  uint64
}

// ledBy is how a leader stood when a read came in: its term, the highest round
// that it had sent in it, and the page of the configuration that counted. Term
// zero: it did not lead, or might answer by its lease.
type ledBy struct {
	term  core.Term
	round uint64
	page  int32
}

// contact is how far a leader is heard in the latest term in which it spoke.
type contact struct {
	term     core.Term
	round    uint64      // the highest that it has sent
	reached  []uint64    // by position: the highest that each has received
	requests []requested // by position: the latest request of each follower
}

// requested is a follower's request, and how the leader stood when it came in
// for the first time.
type requested struct {
	id  core.ReadID
	led ledBy
}

// forwarding is a follower's part: the numbers of the latest request that it
// has sent in its incarnation, and of the latest that was granted.
type forwarding struct {
	boot          core.Boot
	sent, granted uint64
}

func (t *contact) init(n int) {
	t.reached, t.requests = make([]uint64, n), make([]requested, n)
}

// in is the contact in a term, which is empty when it begins.
func (t *contact) in(term core.Term) *contact {
	if term > t.term {
		t.term, t.round = term, 0
		clear(t.reached)
	}
	return t
}

// speaks: leader i of term sends something in that round.
func (c *checker) speaks(i int, term core.Term, round uint64) {
	if t := c.replicas[i].contact.in(term); t.term == term {
		t.round = max(t.round, round)
	}
}

// reached: replica k, which is in that term, has received what leader l has sent
// in that round.
func (c *checker) reached(l, k int, term core.Term, round uint64) {
	if l < 0 {
		return
	}
	if t := &c.replicas[l].contact; t.term == term {
		t.reached[k] = max(t.reached[k], round)
	}
}

// question notes how things stand when a read comes in.
func (c *checker) question(i int, st *core.Status, lease bool) question {
	q := question{committed: c.top()}
	switch {
	case st.Role != core.RoleLeader:
		q.follower, q.counter = true, c.replicas[i].forwarding.sent
	case !lease:
		q.led = c.ledBy(i, st.Term)
	}
	return q
}

func (c *checker) ledBy(i int, term core.Term) ledBy {
	r := &c.replicas[i]
	return ledBy{term, r.contact.in(term).round, r.pages[len(r.pages)-1]}
}

// hearRequest notes that a follower's request comes in. The network may repeat
// it, and bring back one before it.
func (c *checker) hearRequest(i int, m *core.Message) {
	r, id := &c.replicas[i], m.ReadIndex.ID
	k := c.position(id.Replica)
	if k < 0 || r.st.Role != core.RoleLeader {
		return
	}
	q := &r.contact.requests[k]
	later := id.Boot > q.id.Boot || id.Boot == q.id.Boot && id.Counter > q.id.Counter
	if later || q.led.term != r.st.Term {
		*q = requested{id, c.ledBy(i, r.st.Term)}
	}
}

func (f *forwarding) ask(m *core.Message) {
	f.boot, f.sent = m.ReadIndex.ID.Boot, m.ReadIndex.ID.Counter
}

func (f *forwarding) hear(m *core.Message) {
	if a := &m.ReadIndexResponse; a.Refused == core.RefusedNone && a.ID.Replica == m.To && a.ID.Boot == f.boot {
		f.granted = max(f.granted, a.ID.Counter)
	}
}

// checkReadConfirmed: a read is answered when the leader has since made sure
// that it still led, and by a follower when the leader has granted a request
// that it had not sent yet when the read came in.
func (c *checker) checkReadConfirmed(i int, q *question) {
	if f := &c.replicas[i].forwarding; q.follower && f.granted <= q.counter {
		c.fail(i, PropertyReadsConfirmed, "it answers a read; when it came in, it had sent the leader request %d, and has been granted no later one than %d",
			q.counter, f.granted)
		return
	}
	c.checkConfirmed(i, &q.led)
}

// checkRequestConfirmed: so is a follower's request.
func (c *checker) checkRequestConfirmed(i int, m *core.Message) {
	k := c.position(m.To)
	if k < 0 {
		return
	}
	if q := &c.replicas[i].contact.requests[k]; q.id == m.ReadIndexResponse.ID && q.led.term == m.Term {
		c.checkConfirmed(i, &q.led)
	}
}

// checkConfirmed: after the read came in, a quorum was still in the leader's
// term, in a configuration that has counted since: its voters have received what
// the leader has sent since, and were in no later term.
func (c *checker) checkConfirmed(i int, led *ledBy) {
	if led.term == 0 || c.confirmed(i, led) {
		return
	}
	if c.look(i); c.broken || c.confirmed(i, led) { // its configuration may have changed in this very event
		return
	}
	r := &c.replicas[i]
	c.fail(i, PropertyReadsConfirmed, "it leads term %d and answers a read; when it came in, it had sent round %d; of %s these have received, by position: %v",
		led.term, led.round, members(c.configuration(i)), r.contact.reached)
}

// confirmed says whether that is so, or can not be told any more because the
// leader leads no longer.
func (c *checker) confirmed(i int, led *ledBy) bool {
	r := &c.replicas[i]
	if r.st.Role != core.RoleLeader || r.st.Term != led.term {
		return true
	}
	n := len(r.pages) - 1
	for n > 0 && r.pages[n] != led.page {
		n--
	}
	t := r.contact.in(led.term)
	for _, p := range r.pages[n:] {
		if quorum(&c.configurations[p].conf, func(id core.ReplicaID) bool {
			k := c.position(id)
			return k == i || k >= 0 && t.reached[k] > led.round
		}) {
			return true
		}
	}
	return false
}
