package sim

import (
	"fmt"
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// The operator changes the members of the cluster and hands leadership over,
// at bad moments and with half an idea of how things stand. It asks any
// replica, asks again before it has an answer, and asks for what makes no
// sense. What it may rely on, it does rely on:
//
//   - A replica beyond the founding ones is installed with an empty disk when
//     its addition is asked for, or some time later. Its id is one more than the
//     highest that the replica asked knows of: a request that came to nothing
//     leaves the id to the next one, and to the same machine with its disk.
//   - A replica whose removal is known to be committed may be taken away for
//     good, with its disk. Until then, every machine comes back.
//   - A replica that was asked to resign is started again.

// askKind is what the operator asks for.
type askKind uint8

const (
	askNone askKind = iota
	askAddVoter
	askAddLearner
	askPromote
	askDemote
	askRemove
	askRemoveLeader
	askReplace // several come, as many go
	askShuffle // any number of members, any operation
	askUpdate
	askWrong // what has to be refused
	askTransfer
	askCampaign
	askResign
	askCount
)

var askNames = [askCount]string{
	"none", "add-voter", "add-learner", "promote", "demote", "remove", "remove-leader", "replace", "shuffle",
	"update", "wrong", "transfer", "campaign", "resign",
}

func (k askKind) String() string {
	if k < askCount {
		return askNames[k]
	}
	return "unknown"
}

// votersMost is how many voters the operator wants at most.
const votersMost = 7

// operator asks for one thing after another, at once or at the worst moment.
// What it has not finished when the faults end, the cluster has to finish by
// itself.
type operator struct {
	w       *world
	moves   choice.Stream
	details choice.Stream
	times   choice.Stream
	odds    *choice.Weights
	kinds   []askKind // by position in odds; the first is none
	stopped bool

	trap
	ambush askKind // what waits for the moment

	removed uint64 // replicas known to be removed, as bits
	updates int
	seen    core.EntryID // the configuration that the request before was made for
}

func (o *operator) begin(w *world) {
	o.w = w
	o.moves = w.stream("operator/move", 0, 0)
	o.details = w.stream("operator/detail", 0, 0)
	o.times = w.stream("operator/time", 0, 0)
	s := &w.scenario.Operator
	weights := []uint32{1}
	o.kinds = []askKind{askNone}
	for k := askNone + 1; k < askCount; k++ {
		if int(k) < len(s.Requests) && s.Requests[k] != 0 {
			o.kinds = append(o.kinds, k)
			weights = append(weights, s.Requests[k])
		}
	}
	if s.EveryNanos == 0 || len(weights) == 1 {
		return
	}
	o.odds = choice.NewWeights(weights...)
	w.queue.push(o.pause(), eventOperate, 0, 0)
}

// operatorMoments are those that its ambushes wait for: above all the one when
// a new leader has committed nothing yet.
var operatorMoments = [...]trigger{
	triggerLeader, triggerMembers, triggerJoint, triggerCommitted, triggerTransfer, triggerTimeoutNow,
	triggerCandidate, triggerLeader, triggerTruncate, triggerPublish, triggerInstall, triggerUnsynced,
}

// pause is when the next move comes.
func (o *operator) pause() uint64 {
	return o.w.now + o.w.scenario.Operator.EveryNanos/8*uint64(1+o.w.source.Choose(o.times, 16))
}

// while draws a time up to some election timeouts, each order of magnitude
// alike.
func (o *operator) while() uint64 {
	timeout := max(o.w.scenario.electionNanos(), 8)
	return o.w.source.ChooseLog(o.times, timeout/8, timeout*8)
}

// move is what comes of an eventOperate.
func (o *operator) move() {
	w := o.w
	if o.stopped {
		return
	}
	s := &w.scenario.Operator
	if kind := o.kinds[w.source.Pick(o.moves, o.odds)]; kind != askNone {
		if o.armed == triggerNone && w.source.Chance(o.moves, uint32(s.Ambush), 100) {
			o.ambush = kind
			o.arm(w, o.moves, operatorMoments[:])
			if o.armed == triggerLeader {
				o.countdown = 0
			}
		} else {
			o.ask(kind, -1)
		}
	}
	w.queue.push(o.pause(), eventOperate, 0, 0)
}

// strike does what an ambush has led to, between two events.
func (o *operator) strike() {
	if o.pending {
		o.pending = false
		o.ask(o.ambush, o.prey)
	}
}

// addressee is whom it asks: mostly who leads, at an ambush who sprang it; or
// -1, if that one is down.
func (o *operator) addressee(kind askKind, prey int) int {
	w := o.w
	anywhere := w.source.Chance(o.moves, uint32(w.scenario.Operator.Anywhere), 100)
	at := w.leader()
	switch {
	case prey >= 0 && !anywhere:
		at = prey
	case anywhere || at < 0 || kind == askCampaign:
		set := w.machines()
		at = nth(set, w.source.Choose(o.moves, bits.OnesCount64(set)))
	}
	if w.hosts[at].replica == nil {
		return -1
	}
	return at
}

// ask makes a request of this kind and sends it, perhaps more than once.
func (o *operator) ask(kind askKind, prey int) {
	w := o.w
	at := o.addressee(kind, prey)
	if at < 0 {
		return
	}
	var change core.Change
	var target core.ReplicaID
	switch kind {
	case askTransfer:
		target = o.target(at)
	case askCampaign, askResign:
	default:
		c := w.hosts[at].replica.Core().Configuration()
		change.Operations = o.operations(kind, at, &c)
		if change.Operations == nil {
			return
		}
		if kind == askWrong || w.source.Chance(o.moves, uint32(w.scenario.Operator.Conditional), 100) {
			change.If, change.IfSet = c.EntryID, true
			if kind != askWrong && w.source.Choose(o.details, 4) == 1 {
				change.If = o.seen
			}
		}
		o.seen = c.EntryID
	}
	o.send(kind, at, change, target)
	for w.source.Chance(o.moves, uint32(w.scenario.Operator.Repeat), 100) {
		if w.source.Chance(o.moves, 1, 2) {
			set := w.machines()
			at = nth(set, w.source.Choose(o.moves, bits.OnesCount64(set)))
		}
		o.send(kind, at, change, target)
	}
}

// send gives a request to the process that runs now.
func (o *operator) send(kind askKind, at int, change core.Change, target core.ReplicaID) {
	w := o.w
	h := &w.hosts[at]
	if h.replica == nil {
		return
	}
	slot := w.requests.take()
	q := &w.requests.slots[slot]
	q.ask, q.host, q.incarnation = kind, uint8(at), h.incarnation
	q.change, q.target = change, target
	w.queue.push(w.now, eventAsk, uint8(at), slot)
	if kind == askResign {
		// It is shut down when it has answered, or when that takes too long.
		h.resigned = true
		w.queue.push(w.now+o.while(), eventShutDown, uint8(at), h.incarnation)
	}
}

// ask takes a request of the operator.
func (h *host) ask(slot uint32) {
	w := h.w
	q := &w.requests.slots[slot]
	if q.incarnation != h.incarnation {
		w.forgetRequest(slot)
		return
	}
	was := h.replica.Core().Office()
	q.out, q.led, q.term = true, was.Role == core.RoleLeader, was.Term
	tag := w.requests.tag(slot)
	w.emitWith(TraceAsk, h.index, uint64(q.ask), tag, uint64(q.target), uint64(len(q.change.Operations)),
		func() string { return changeText(&q.change) })
	switch q.ask {
	case askTransfer:
		h.replica.Transfer(tag, q.target)
	case askCampaign:
		w.mark(MarkCampaignAsked)
		h.replica.Campaign(tag)
	case askResign:
		w.checker.onResign(h.index)
		h.replica.Resign(tag)
	default:
		h.replica.Change(tag, q.change)
	}
}

// answered is told what became of a request.
func (o *operator) answered(h *host, q *request, a *replica.Answer) {
	w := o.w
	what := uint64(a.Index)
	switch {
	case a.Kind == replica.AnswerRefused:
		what = uint64(a.Reason)
	case q.ask >= askTransfer:
		what = uint64(a.Leader)
	}
	w.emit(TraceAnswered, h.index, uint64(q.ask), a.Tag, uint64(a.Kind), what)
	switch q.ask {
	case askTransfer:
		switch {
		case a.Kind == replica.AnswerApplied && (a.Leader == 0 || q.target != 0 && a.Leader != q.target):
			w.failAt(Safety, h.index, "Transfer", fmt.Sprintf("a transfer to %d is done, and %d leads", q.target, a.Leader))
		case a.Kind == replica.AnswerUnknown:
			w.failAt(Safety, h.index, "Transfer", "what became of a transfer is unknown")
		case a.Kind == replica.AnswerApplied:
			w.checker.onTransferred(h.index, a.Leader, q.term)
		}
	case askResign:
		if a.Kind == replica.AnswerApplied {
			w.checker.onResigned(h.index)
			if q.led && a.Leader != 0 {
				w.mark(MarkResigned)
			}
		}
		if w.source.Chance(o.times, 1, 2) { // otherwise when it would have been in any case
			w.queue.push(w.now, eventShutDown, uint8(h.index), h.incarnation)
		}
	case askWrong:
		if a.Kind != replica.AnswerRefused {
			w.failAt(Safety, h.index, "Refusal", fmt.Sprintf("a change that makes no sense was not refused: %v", a.Kind))
		}
	}
}

// operations are those of a change at a replica that has the configuration c;
// nil: there is nothing to ask for.
func (o *operator) operations(kind askKind, at int, c *core.Configuration) []core.Operation {
	w := o.w
	var ops []core.Operation
	used := uint64(0)
	add := func(kind confchange.OperationKind, id core.ReplicaID) {
		if id != 0 && used>>id&1 == 0 {
			used |= 1 << id
			ops = append(ops, core.Operation{Kind: kind, ID: id})
		}
	}
	next := c.HighestID()
	grow := func(kind confchange.OperationKind) bool {
		if !o.mayInstall(int(next)) {
			return false
		}
		next++
		add(kind, next)
		o.install(int(next) - 1)
		return true
	}
	few := len(c.Voters) <= 2
	switch kind {
	case askAddVoter:
		if !grow(confchange.AddVoter) {
			add(confchange.Promote, o.anyOf(c.Learners))
		}
	case askAddLearner:
		if !grow(confchange.AddLearner) {
			add(confchange.Demote, o.anyOf(c.Voters))
		}
	case askPromote:
		add(confchange.Promote, o.anyOf(c.Learners))
	case askDemote:
		add(confchange.Demote, o.anyOf(c.Voters))
	case askRemove:
		switch {
		case few && len(c.Learners) > 0:
			add(confchange.Remove, o.anyOf(c.Learners))
		default:
			add(confchange.Remove, o.member(c))
		}
	case askRemoveLeader:
		id := w.hosts[at].replica.Leader()
		if l := w.leader(); l >= 0 {
			id = w.hosts[l].id
		}
		if c.Has(id) {
			add(confchange.Remove, id)
		}
	case askReplace:
		for k := 1 + w.source.Choose(o.details, 3); k > 0; k-- {
			if grow(confchange.AddVoter) {
				add(confchange.Remove, o.anyOf(c.Voters))
			} else {
				add(confchange.Promote, o.anyOf(c.Learners))
				add(confchange.Demote, o.anyOf(c.Voters))
			}
		}
	case askShuffle:
		for _, id := range c.Voters {
			if w.source.Choose(o.details, 3) == 1 {
				add(confchange.Demote, id)
			}
		}
		for _, id := range c.Learners {
			switch w.source.Choose(o.details, 6) {
			case 1, 2, 3:
				add(confchange.Promote, id)
			case 4:
				add(confchange.Remove, id)
			}
		}
	case askUpdate:
		add(confchange.Update, o.member(c))
		o.updates++
		for i := range ops {
			ops[i].Address = fmt.Sprintf("m%d.%d", ops[i].ID, o.updates)
			ops[i].Priority = uint8(w.source.Choose(o.details, 4))
		}
	case askWrong:
		return o.wrong(c)
	}
	if few && w.source.Choose(o.details, 4) != 1 && !keepsVoters(ops) {
		return nil
	}
	if begun, err := c.Begin(ops); err == nil {
		if end := begun.Enter(); len(end.Voters) > votersMost || len(begun.Voters) > votersMost {
			return nil
		}
	}
	return ops
}

// keepsVoters says whether nobody goes.
func keepsVoters(ops []core.Operation) bool {
	for i := range ops {
		if k := ops[i].Kind; k == confchange.Remove || k == confchange.Demote {
			return false
		}
	}
	return true
}

// wrong is a change that a leader has to refuse, asked for with the condition
// that its configuration is still c.
func (o *operator) wrong(c *core.Configuration) []core.Operation {
	nobody := core.ReplicaID(len(o.w.hosts) + 1)
	switch o.w.source.Choose(o.details, 6) {
	case 1:
		return []core.Operation{{Kind: confchange.Remove, ID: nobody}}
	case 2:
		return []core.Operation{{Kind: confchange.AddVoter, ID: 1}} // the first id was used, whatever became of it
	case 3:
		return []core.Operation{{Kind: confchange.Promote, ID: nobody}, {Kind: confchange.Promote, ID: nobody}}
	case 4:
		return []core.Operation{{Kind: confchange.Demote, ID: nobody}}
	case 5:
		// Nobody would be left.
		var ops []core.Operation
		for _, id := range c.Voters {
			ops = append(ops, core.Operation{Kind: confchange.Remove, ID: id})
		}
		return ops
	default:
		return []core.Operation{{Kind: confchange.Update, ID: nobody}}
	}
}

// mayInstall says whether the machine at that position can be one that is new.
func (o *operator) mayInstall(i int) bool {
	return i < len(o.w.hosts) && !o.w.hosts[i].retired
}

// install sees to it that the machine at that position is there, now or later.
func (o *operator) install(i int) {
	w := o.w
	if i < w.grown {
		return
	}
	w.grown = i + 1
	if w.source.Choose(o.details, 4) == 1 {
		w.queue.push(w.now+o.while(), eventStart, uint8(i), 0)
		return
	}
	w.restart(i, 0)
}

// anyOf draws one of a set, or zero. Now and then it is one that is down.
func (o *operator) anyOf(set []core.ReplicaID) core.ReplicaID {
	if len(set) == 0 {
		return 0
	}
	k := o.w.source.Choose(o.details, 2*len(set))
	if k >= len(set) {
		k -= len(set)
		for i := range set {
			if h := &o.w.hosts[set[(k+i)%len(set)]-1]; h.replica == nil || h.paused {
				return h.id
			}
		}
	}
	return set[k]
}

// member draws any member.
func (o *operator) member(c *core.Configuration) core.ReplicaID {
	var all []core.ReplicaID
	c.Each(func(id core.ReplicaID) { all = append(all, id) })
	return o.anyOf(all)
}

// target draws to whom the replica at that position is to hand over.
func (o *operator) target(at int) core.ReplicaID {
	w := o.w
	c := w.hosts[at].replica.Core().Configuration()
	switch w.source.Choose(o.details, 9) {
	default:
		return 0 // the best
	case 1, 2, 3:
		return o.anyOf(c.Voters)
	case 4, 5: // the one whose log is shortest
		lagging := core.ReplicaID(0)
		least := core.Index(never)
		for _, id := range c.Voters {
			if last := w.hosts[id-1].disk.memory.Durable().Last.Index; last < least {
				lagging, least = id, last
			}
		}
		return lagging
	case 6:
		return o.anyOf(c.Learners)
	case 7:
		return w.hosts[at].id
	case 8: // any machine, member or not
		return w.hosts[w.source.Choose(o.details, w.grown)].id
	}
}

// heardRemoved is told that the removal of the replica at that position is
// committed.
func (o *operator) heardRemoved(i int) {
	w := o.w
	if i >= len(w.hosts) || o.removed>>i&1 != 0 || o.stopped {
		return
	}
	o.removed |= 1 << i
	if w.source.Chance(o.details, uint32(w.scenario.Operator.Retire), 100) {
		at := w.now
		if w.source.Choose(o.details, 2) == 1 {
			at += o.while()
		}
		w.queue.push(at, eventRetire, uint8(i), 0)
	}
}

// retire is what comes of an eventRetire.
func (o *operator) retire(i int) {
	h := &o.w.hosts[i]
	if o.stopped || h.retired {
		return
	}
	o.w.mark(MarkRemovedStopped)
	h.stop(downRetired, o.details)
	h.retired = true
}

// shutDown is what comes of an eventShutDown: the process ends in good order,
// and starts again later.
func (o *operator) shutDown(i int, incarnation uint32) {
	h := &o.w.hosts[i]
	if o.stopped || h.replica == nil || h.incarnation != incarnation {
		return
	}
	h.stop(downOrderly, o.details)
	o.w.queue.push(o.w.now+o.while(), eventStart, uint8(i), h.incarnation)
}

// end lets the operator rest. Processes that were asked to resign are shut
// down, and the world starts all that are.
func (o *operator) end() {
	o.stopped = true
	o.disarm()
	for i := range o.w.hosts {
		if h := &o.w.hosts[i]; h.resigned {
			h.stop(downOrderly, o.details)
		}
	}
}
