package replica

import "github.com/seaworthy-raft/seaworthy/core"

// Host is the driver of a replica: the simulator's world, or a server. It
// brings everything from outside (ticks, messages, proposals, completions) by
// calling the Replica's methods, and the Replica calls back what it wants
// done.
//
// Calls of a Host come from inside a call of the Replica, and must not call
// the Replica in turn: a Host that could complete something at once puts it
// on a list and completes it after it has returned.
type Host interface {
	// Send lets a message go to its To. The message is borrowed for the call:
	// encode it at once. Loss is allowed, as on any network.
	Send(m *core.Message)

	// Submit hands over a write for Storage.Append and, later, Storage.Sync. It
	// never blocks. Writes are appended in the order in which they were
	// submitted, any number may be outstanding, and one Sync may make many of
	// them durable: Replica.Completed. The write is the host's until a
	// completion covers its Seq.
	Submit(w *Write)

	// Apply hands over work for the state machine. Tasks run in the order in
	// which they were handed over, one at a time, whenever the host likes: it
	// calls Task.Run with its state machine and then Replica.Applied, each once
	// for each task and in the same order. Only a task of kind TaskSave stands
	// outside the order: it does not touch the state machine, may take long, and
	// may run and be reported beside all others. The task is the host's until
	// Applied.
	Apply(t *Task)

	// Answer tells what became of the proposal, read or request named by a.Tag. Each tag
	// is answered exactly once, unless the process ends first. The answer and
	// the reply in it are borrowed for the call.
	Answer(a *Answer)

	// Members says which replicas to talk to from now on, and where: the latest
	// configuration in the log, committed or not. It is shared, and must not be
	// changed.
	Members(c *core.Configuration)

	// Event tells of something that an operator would like to know.
	Event(e core.Event)

	// SaveFailed says that a snapshot of this replica's own could not be saved.
	// The replica goes on, and keeps its log, in memory and on disk; it tries
	// again after so many ticks, which are more from one failure to the next, up
	// to 64 times the least election timeout. Until one succeeds, the log grows by
	// what is committed: the operator has to see to it that there is room. A host
	// that has made room may call Replica.TakeSnapshot once it is out of the
	// call.
	SaveFailed(err error, retryTicks uint64)
}

// AnswerKind says how much is known about a proposal or a read.
type AnswerKind uint8

const (
	// AnswerApplied: it was carried out, and Reply is what came of it.
	AnswerApplied AnswerKind = iota + 1
	// AnswerRefused: it had no effect, and never will have. Reason says why,
	// and Leader who may know better.
	AnswerRefused
	// AnswerUnknown: a proposal is in the log, but this replica no longer leads,
	// so that nobody here can say whether it will be applied: it may be, once.
	// Reads are never unknown.
	AnswerUnknown
)

var answerNames = [...]string{"none", "applied", "refused", "unknown"}

func (k AnswerKind) String() string {
	if int(k) < len(answerNames) {
		return answerNames[k]
	}
	return "invalid"
}

// Answer ends a proposal, a read, or a request about members or leadership.
type Answer struct {
	Tag  uint64
	Kind AnswerKind
	// Read says that the tag is that of a read.
	Read bool
	// Index, when applied, is where: the index of a proposal's entry, or for a
	// read the index of the last entry that the state it was answered from had
	// applied.
	Index core.Index
	Reply []byte
	// Reason and Leader go with a refusal; Leader also with an unknown outcome, and
	// with what was asked about leadership. Zero: no leader is known.
	Reason core.RefusalReason
	Leader core.ReplicaID
}
