package sim

import (
	"errors"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// What a replica does to its state machine and tells its clients. Whose
// operation an entry is, that it was asked for, and that each is answered once,
// the world's ledger knows.

// onApply: replica i's state machine has applied a command. It is the one that
// was committed there, and comes in its turn; its reply, and the state behind
// it, are what they were on every other replica. state is the state machine's
// digest, and time the log time it was told.
func (c *checker) onApply(i int, index core.Index, time uint64, e *core.Entry, reply []byte, state uint64) {
	if c.broken {
		return
	}
	r := &c.replicas[i]
	if index > c.top() {
		if c.look(i); c.broken { // committed in this very event
			return
		}
	}
	switch {
	case index > c.top():
		c.fail(i, PropertyStateMachineSafety, "it applies entry %d; committed is %d", index, c.top())
		return
	case index <= r.applied:
		c.fail(i, PropertyStateMachineSafety, "it applies entry %d after entry %d", index, r.applied)
		return
	}
	for j := r.applied + 1; j < index; j++ {
		if c.committed[j].kind == core.EntryCommand {
			c.fail(i, PropertyStateMachineSafety, "it applies entry %d, and has not applied %d", index, j)
			return
		}
	}
	k := &c.committed[index]
	given := core.Entry{EntryID: core.EntryID{Term: k.term, Index: index}, Kind: k.kind, Time: time, Data: e.Data}
	if got := given.Chain(c.committed[index-1].digest); k.kind != core.EntryCommand || got != k.digest {
		c.fail(i, PropertyStateMachineSafety, "it applies %q at %d, log time %d: digest %#x; what was committed there has digest %#x",
			short(e.Data), index, time, got, k.digest)
		return
	}
	answer := digest.Bytes(0, reply)
	if !k.applied {
		k.applied, k.state, k.reply = true, state, answer
		c.firstApplied(i, index, e.Data)
	} else if k.state != state || k.reply != answer {
		c.fail(i, PropertySameState, "behind entry %d its state is %#x and the reply %q (%#x); elsewhere it was %#x and reply %#x",
			index, state, short(reply), answer, k.state, k.reply)
		return
	}
	r.applied, r.state = index, state
	c.lookout.applied(i, index, k)
}

// short is the beginning of b, for a message.
func short(b []byte) []byte { return b[:min(len(b), 64)] }

// firstApplied looks at an entry that no replica had applied before. A command
// of a session is applied once: where the state machine says that it had it
// before, nothing has changed.
func (c *checker) firstApplied(i int, index core.Index, command []byte) {
	k := &c.committed[index]
	k.command = digest.Bytes(0, command)
	before := c.revision
	revision, counts := c.view.revision(i)
	c.revision = revision
	if !c.view.repeated(i) {
		return
	}
	c.findOrigin(index)
	if counts && revision != before {
		c.fail(i, PropertyAppliedOnce, "entry %d was a repeat (of %d) and not to be applied, but the revision went from %d to %d",
			index, k.origin, before, revision)
	}
}

// repeatsWithin is how far back the first copy of a repeated command is looked
// for.
const repeatsWithin = 4096

// findOrigin finds the entry that the one at index repeats: the last one with
// the same command that was carried out. With the same reply, it was answered
// from the session table; otherwise, or if there is none, its session was gone,
// or further on.
func (c *checker) findOrigin(index core.Index) {
	k := &c.committed[index]
	k.gone = true
	for j := index - 1; j > 0 && j+repeatsWithin > index; j-- {
		if o := &c.committed[j]; o.command == k.command && o.kind == core.EntryCommand && !o.gone && o.origin == 0 {
			k.origin, k.gone = j, o.reply != k.reply
			return
		}
	}
}

// onInstall: replica i's state machine has been restored from a snapshot, its
// own after a start or one of the leader, and has the state that every replica
// had at that index.
func (c *checker) onInstall(i int, s core.Snapshot) {
	if c.broken || !c.checkSnapshot(i, &s, "restores") {
		return
	}
	r := &c.replicas[i]
	if s.Index < r.applied {
		c.fail(i, PropertyNeverBack, "it restores a snapshot of %v, and has applied up to %d", s.EntryID, r.applied)
		return
	}
	// The state is that behind the last command: entries that are none change
	// nothing.
	j := s.Index
	for j > 0 && c.committed[j].kind != core.EntryCommand {
		j--
	}
	if j > 0 {
		k, state := &c.committed[j], c.view.state(i)
		if !k.applied {
			c.fail(i, PropertySameState, "it restores a snapshot of %v; nobody has applied %d", s.EntryID, j)
			return
		}
		if k.state != state {
			c.fail(i, PropertySameState, "restored from a snapshot of %v its state is %#x; elsewhere it was %#x behind entry %d",
				s.EntryID, state, k.state, j)
			return
		}
		r.state = state
	}
	r.applied = s.Index
	c.lookout.restored(i, &s)
}

// onSubmit: replica i wants something written. onCompleted: it is about to hear
// that the writes up to seq are durable. onTask: it has work for its state
// machine. All three look for marks only.
func (c *checker) onSubmit(i int, w *replica.Write) {
	if !c.broken {
		c.lookout.submit(i, w)
	}
}

func (c *checker) onCompleted(i int, seq uint64) {
	if !c.broken {
		c.lookout.completed(i, seq)
	}
}

func (c *checker) onTask(i int, t *replica.Task) {
	if !c.broken {
		c.lookout.task(c, i, t)
	}
}

// onPropose: a command is handed to replica i.
func (c *checker) onPropose(i int) {
	if !c.broken {
		c.lookout.propose(c, i)
	}
}

// onRead: a query is handed to replica i, which may rest the answer on its
// lease if lease is set. What is returned goes with the answer to onAnswer.
func (c *checker) onRead(i int, lease bool) question {
	if c.broken {
		return question{}
	}
	c.lookout.read(c, i)
	st := c.replicas[i].core.Status()
	c.replicas[i].asking = asking{waiting: st.ReadsWaiting}
	if st.Role == core.RoleLeader {
		c.replicas[i].asking.led = c.ledBy(i, st.Term)
	}
	return c.question(i, &st, lease)
}

// onLease: the read that onRead was told of, and that may rest on a lease, has
// been handed to replica i, and was released, refused, or waits. A leader
// releases it by its lease only as long as nobody has led a later term: so it
// is as the clocks keep to the bound that was stated with the read
// (dissertation §6.4.1).
//
// One that was not released needs a round like any other: it returns who led
// when it was asked.
func (c *checker) onLease(i int) (led ledBy) {
	if c.broken {
		return
	}
	r := &c.replicas[i]
	st := r.core.Status()
	if st.Role != core.RoleLeader || r.asking.refused {
		return
	}
	released := st.ReadsWaiting == r.asking.waiting
	if released && c.led > st.Term {
		c.fail(i, PropertyLeaseHonest, "it leads term %d and answers a read by its lease; replica %d has led term %d",
			st.Term, c.replicas[c.terms.at(c.led).leader-1].id, c.led)
		return
	}
	c.lookout.lease(c, i, &st, released)
	if !released {
		led = r.asking.led
	}
	return led
}

// onAnswered: replica i answers what was asked about members or leadership. A
// change that it calls applied is a committed configuration.
func (c *checker) onAnswered(i int, a *replica.Answer) {
	if c.broken {
		return
	}
	c.lookout.answered(a)
	if a.Kind != replica.AnswerApplied || a.Index == 0 {
		return
	}
	if a.Index > c.top() {
		if c.look(i); c.broken { // committed in this very event
			return
		}
	}
	if a.Index > c.top() || c.committed[a.Index].kind != core.EntryConfiguration {
		c.fail(i, PropertyAnswers, "it answers a change as committed at %d, where no configuration is", a.Index)
	}
}

// onResign: replica i is about to be asked not to lead any more, until it is
// started again.
func (c *checker) onResign(i int) { c.replicas[i].resigning = true }

// onResigned: it says that it will not. From now on it stands for no election.
func (c *checker) onResigned(i int) {
	if c.broken {
		return
	}
	c.replicas[i].resigned = true
	c.look(i)
}

// onTransferred: replica i, asked to hand over when it was in the term since,
// says that leader has taken over: that one has led a later term, or is this one,
// and led already.
func (c *checker) onTransferred(i int, leader core.ReplicaID, since core.Term) {
	if c.broken {
		return
	}
	k := c.position(leader)
	first := since + 1
	if k == i {
		first = since
	}
	for term := first; k >= 0 && term <= c.termMax; term++ {
		if c.terms.at(term).leader == uint8(k+1) {
			return
		}
	}
	c.fail(i, PropertyHandover, "it says that replica %d has taken over, as it was asked in term %d; that one has led no later term",
		leader, since)
}

// onAnswer: a proposal is answered by the reply of the very entry that holds
// it, and a read from a state that has applied everything that was committed
// anywhere when it was asked (dissertation §6.4). request is the command
// proposed, asked is what onRead returned for the read.
func (c *checker) onAnswer(i int, a *replica.Answer, request []byte, asked question) {
	if c.broken {
		return
	}
	c.lookout.answer(c, i, a)
	if a.Read && a.Kind == replica.AnswerRefused {
		c.replicas[i].asking.refused = true
	}
	switch {
	case a.Kind != replica.AnswerApplied:
		return
	case a.Read:
		if a.Index < asked.committed {
			c.fail(i, PropertyReadsCurrent, "it answers a read from a state as of %d; when the read was asked, %d was committed",
				a.Index, asked.committed)
			return
		}
		if c.checkReadConfirmed(i, &asked); c.broken {
			return
		}
	case a.Index > c.top() || !c.committed[a.Index].applied || c.committed[a.Index].kind != core.EntryCommand:
		c.fail(i, PropertyAnswers, "it answers a proposal as applied at %d, where no command was applied", a.Index)
		return
	default:
		k := &c.committed[a.Index]
		if command, reply := digest.Bytes(0, request), digest.Bytes(0, a.Reply); k.command != command || k.reply != reply {
			c.fail(i, PropertyAnswers, "it answers the proposal of %q (%#x) as applied at %d, with reply %q (%#x); the entry there holds %#x and had reply %#x",
				short(request), command, a.Index, short(a.Reply), reply, k.command, k.reply)
			return
		}
	}
	c.acknowledged = max(c.acknowledged, a.Index)
}

// onError: a replica refuses no message of an honest peer that arrived
// undamaged, and does not halt: no fault of this simulation explains either.
func (c *checker) onError(i int, err error) {
	switch {
	case c.broken || err == nil:
	case errors.Is(err, core.ErrBadMessage):
		c.fail(i, PropertyHonestHeard, "it refused an honest message: %v", err)
	default:
		c.fail(i, PropertyNoHalt, "%v", err)
	}
}
