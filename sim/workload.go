package sim

import (
	"strconv"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/kv"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Workload is a state machine and what clients do to it. A run has its own, so
// it may keep what it likes; all of it must follow from the scenario and the
// choices it makes.
type Workload interface {
	// Machine returns a state machine as it is before the first command, one for
	// each start of each replica.
	Machine() replica.StateMachine
	// Caller returns client n, from 0, which makes its choices by c.
	Caller(n int, c *Choices) Caller
	// Model is what clients may rely on.
	Model() linearizability.Model
}

// Caller decides what one client asks for. It has one operation out at a time.
type Caller interface {
	// Next appends the next operation to dst. A probe has to be one that goes
	// through the log.
	Next(dst []byte, probe bool) Operation
	// Done ends it: reply is what came back, or nil if the client will never
	// know, or knows that it was not carried out. It reports whether the
	// outcome is known; a reply may say that it is not. reply is borrowed.
	Done(reply []byte) bool
}

// Operation is what a client asks for.
type Operation struct {
	// Bytes are a command for StateMachine.Apply or, with Read, a query for
	// StateMachine.Query.
	Bytes []byte
	Read  bool
	// Once says that the state machine carries the command out at most once
	// however often it gets into the log, so that trying again is harmless. Only
	// a Workload that has Sessions may say so, and of no read: anything else is
	// Misuse.
	Once bool
}

// Sessions is a Workload whose state machine carries out a command at most
// once, however often it gets into the log.
type Sessions interface {
	// Repeated says whether the last command that m applied had no effect,
	// because it had it before or can not have it any more.
	Repeated(m replica.StateMachine) bool
	// Failed says that it had several parts, of which one failed, so that none
	// took effect.
	Failed(m replica.StateMachine) bool
	// Revision counts the commands that have changed m.
	Revision(m replica.StateMachine) uint64
}

// Choices are the decisions of one client. All are on the tape, and each is
// harmless when it is 0.
type Choices struct {
	source *choice.Source
	stream choice.Stream
}

// Choose returns one of 0 to n-1; n is from 1 to 256.
func (c *Choices) Choose(n int) int { return c.source.Choose(c.stream, n) }

// Chance is true num times out of den.
func (c *Choices) Chance(num, den uint32) bool { return c.source.Chance(c.stream, num, den) }

// kvOperation is a kind of thing that a client of kv does.
type kvOperation uint8

const (
	kvPut kvOperation = iota
	kvGet
	kvIncrement
	kvAppend
	kvDelete
	kvCompareAndSet
	kvPutIfAbsent
	kvScan
	kvScanPrefix
	kvDeleteRange
	kvTxn
	kvTxnRead
	kvCloseSession
	kvOperationCount
)

var kvOperations = [kvOperationCount]kvOperation{
	kvPut, kvGet, kvIncrement, kvAppend, kvDelete, kvCompareAndSet, kvPutIfAbsent,
	kvScan, kvScanPrefix, kvDeleteRange, kvTxn, kvTxnRead, kvCloseSession,
}

var kvOperationNames = [kvOperationCount]string{
	"put", "get", "increment", "append", "delete", "compare-and-set", "put-if-absent",
	"scan", "scan-prefix", "delete-range", "txn", "txn-read", "close-session",
}

func (o kvOperation) String() string { return kvOperationNames[o] }

// kvWorkload is the store that comes with the project.
type kvWorkload struct {
	s      *TrafficScenario
	limits kv.Limits
	keys   [][]byte
	odds   *choice.Weights
}

func newKV(s *TrafficScenario) *kvWorkload {
	w := &kvWorkload{s: s, limits: kv.DefaultLimits()}
	w.limits.SessionsMax = max(s.SessionsMax, 1)
	w.limits.SessionTicks = s.SessionTicks
	for i := range max(s.Keys, 1) {
		w.keys = append(w.keys, []byte(keyName(i)))
	}
	weights := make([]uint32, kvOperationCount)
	copy(weights, s.Operations)
	weights[kvPut] = max(weights[kvPut], 1)
	// A session is closed once in a while at most: a client has to register
	// again before it does anything else.
	for i := range weights {
		if kvOperation(i) != kvCloseSession {
			weights[i] *= 16
		}
	}
	w.odds = choice.NewWeights(weights...)
	return w
}

// keyName spreads keys over a few prefixes, in an order that is not that of
// their numbers.
func keyName(i int) string { return string(rune('a'+i%4)) + strconv.Itoa(i/4) }

// Machine implements Workload.
func (w *kvWorkload) Machine() replica.StateMachine { return kvMachine{kv.New(w.limits)} }

// Model implements Workload.
func (w *kvWorkload) Model() linearizability.Model { return linearizability.KV{} }

// kvRepeats are the ways in which kv does not carry out a command.
const kvRepeats = kv.EventRetryAnswered | kv.EventSerialOld | kv.EventSessionUnknown

// Repeated implements Sessions.
func (w *kvWorkload) Repeated(m replica.StateMachine) bool {
	return m.(kvMachine).Events()&kvRepeats != 0
}

// Failed implements Sessions.
func (w *kvWorkload) Failed(m replica.StateMachine) bool {
	return m.(kvMachine).Events()&(kv.EventTxnConflict|kv.EventTxnUndone) != 0
}

// Revision implements Sessions.
func (w *kvWorkload) Revision(m replica.StateMachine) uint64 { return m.(kvMachine).Revision() }

// kvMachine is a kv.Machine as a replica.StateMachine.
type kvMachine struct{ *kv.Machine }

// Caller implements Workload.
func (w *kvWorkload) Caller(n int, c *Choices) Caller {
	k := &kvCaller{
		w:        w,
		c:        c,
		n:        n,
		versions: make([]uint64, len(w.keys)),
	}
	k.wants = c.Chance(uint32(w.s.Sessions), 100)
	return k
}

// kvCaller is one client of kv.
type kvCaller struct {
	w *kvWorkload
	c *Choices
	n int

	wants      bool // to have a session
	session    uint64
	serial     uint64
	operations uint64

	command kv.Command
	reply   kv.Reply
	key     int // that the command is about
	// versions are those last seen of each key, for compare-and-set.
	versions []uint64
	value    []byte
	conds    [2]kv.Condition
	writes   [3]kv.TxnWrite
	reads    [3][]byte
}

// Next implements Caller.
func (k *kvCaller) Next(dst []byte, probe bool) Operation {
	k.operations++
	k.command = kv.Command{}
	if k.wants && k.session == 0 {
		k.command.Op = kv.OpRegister
		return Operation{Bytes: kv.AppendCommand(dst, &k.command)}
	}
	kind := kvPut
	if !probe {
		kind = kvOperation(k.c.source.Pick(k.c.stream, k.w.odds))
	}
	k.fill(kind)
	c := &k.command
	if c.ReadOnly() && !probe && !k.c.Chance(uint32(k.w.s.ReadsInLog), 100) {
		return Operation{Bytes: kv.AppendCommand(dst, c), Read: true}
	}
	once := k.session != 0 && c.Op != kv.OpCloseSession
	if k.session != 0 {
		c.Session = k.session
		if once {
			k.serial++
			c.Serial = k.serial
		}
	}
	return Operation{Bytes: kv.AppendCommand(dst, c), Once: once}
}

// fill makes the command.
func (k *kvCaller) fill(kind kvOperation) {
	c := &k.command
	k.key = k.c.Choose(len(k.w.keys))
	c.Key = k.w.keys[k.key]
	switch kind {
	case kvPut:
		c.Op, c.Value = kv.OpPut, k.content()
	case kvGet:
		c.Op = kv.OpGet
	case kvIncrement:
		c.Op, c.Delta = kv.OpIncrement, k.delta()
	case kvAppend:
		c.Op, c.Value = kv.OpAppend, k.mark()
	case kvDelete:
		c.Op = kv.OpDelete
	case kvCompareAndSet:
		c.Op, c.Value, c.Version = kv.OpCompareAndSet, k.content(), k.versions[k.key]
	case kvPutIfAbsent:
		c.Op, c.Value = kv.OpPutIfAbsent, k.content()
	case kvScan, kvDeleteRange:
		c.Op = kv.OpScan
		if kind == kvDeleteRange {
			c.Op = kv.OpDeleteRange
		}
		c.Key = k.w.keys[k.key]
		if end := k.w.keys[k.c.Choose(len(k.w.keys))]; string(end) > string(c.Key) {
			c.End = end
		} else {
			c.Key, c.End = end, c.Key
		}
		if c.Op == kv.OpScan {
			k.window()
		}
	case kvScanPrefix:
		c.Op = kv.OpScanPrefix
		c.Key = c.Key[:1]
		k.window()
	case kvTxn, kvTxnRead:
		k.transaction(kind == kvTxn)
	case kvCloseSession:
		c.Op = kv.OpCloseSession
		if k.session == 0 {
			c.Op = kv.OpGet
			return
		}
		c.Key = nil
	}
}

// window bounds a scan: what a client wants to see at a time.
func (k *kvCaller) window() {
	x := k.c.Choose(16)
	k.command.Limit = uint32(1 + x%8)
	k.command.Reverse = x >= 8
}

// transaction moves something between two keys, on a condition.
func (k *kvCaller) transaction(writes bool) {
	c := &k.command
	c.Op = kv.OpTxn
	other := k.c.Choose(len(k.w.keys))
	k.reads[0], k.reads[1] = k.w.keys[k.key], k.w.keys[other]
	c.Reads = k.reads[:2]
	c.Key = nil
	shape := k.c.Choose(8)
	if shape&1 != 0 {
		kind := kv.ConditionVersion
		if shape&2 != 0 {
			kind = kv.ConditionExists
		}
		k.conds[0] = kv.Condition{Kind: kind, Key: k.w.keys[k.key], Version: k.versions[k.key]}
		if kind != kv.ConditionVersion {
			k.conds[0].Version = 0
		}
		c.Conditions = k.conds[:1]
	}
	if !writes {
		return
	}
	k.writes[0] = kv.TxnWrite{Op: kv.OpPut, Key: k.w.keys[k.key], Value: k.content()}
	k.writes[1] = kv.TxnWrite{Op: kv.OpAppend, Key: k.w.keys[other], Value: k.writes[0].Value}
	if shape&4 != 0 {
		// Fails, and undoes the write before it, where there is no number.
		k.writes[1] = kv.TxnWrite{Op: kv.OpIncrement, Key: k.w.keys[other], Delta: k.delta()}
	}
	c.Writes = k.writes[:2]
}

func (k *kvCaller) delta() int64 { return int64(k.operations%100) + 1 }

// mark is a short value that nobody else writes.
func (k *kvCaller) mark() []byte {
	k.value = strconv.AppendInt(k.value[:0], int64(k.n), 10)
	k.value = append(k.value, '.')
	k.value = strconv.AppendUint(k.value, k.operations, 10)
	return append(k.value, ';')
}

// content is a value that nobody else writes, or a number: one key in four
// mostly holds numbers. Most values are short, a few are as long as they may
// be.
func (k *kvCaller) content() []byte {
	size := k.c.Choose(16)
	if k.key%4 == 0 && size < 12 {
		k.value = strconv.AppendUint(k.value[:0], k.operations, 10)
		return k.value
	}
	b := k.mark()
	n := k.w.s.ValueBytes >> (15 - size)
	for len(b) < n {
		b = append(b, byte('A'+len(b)%26))
	}
	k.value = b
	return b
}

// Done implements Caller.
func (k *kvCaller) Done(reply []byte) bool {
	if reply == nil {
		return false
	}
	if err := kv.DecodeReply(reply, &k.reply); err != nil {
		panic("sim: kv answered what is no reply: " + err.Error())
	}
	r := &k.reply
	switch {
	case r.Status == kv.StatusSessionUnknown:
		k.session, k.serial = 0, 0
		return false
	case r.Status.Unknown():
		return false
	case k.command.Op == kv.OpRegister:
		k.session, k.serial = r.Session, 0
	case k.command.Op == kv.OpCloseSession:
		k.session, k.serial = 0, 0
	case r.Version != 0 && k.command.Op != kv.OpTxn:
		k.versions[k.key] = r.Version
	}
	return true
}
