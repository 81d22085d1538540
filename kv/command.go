package kv

import (
	"encoding/binary"
	"errors"
)

// Bounds, alike on every replica. A command beyond them gets a reply that says
// so and changes nothing. All are in bytes unless they say otherwise.
const (
	// KeyBytesMax bounds a key. The empty key is a key like any other.
	KeyBytesMax = 1 << 10
	// ValueBytesMax bounds a value, also one that grows by OpAppend.
	ValueBytesMax = 512 << 10
	// CommandBytesMax bounds an encoded command, and an encoded query.
	CommandBytesMax = 1 << 20
	// ReplyBytesMax bounds an encoded reply. A scan stops before it and says
	// More; a transaction whose reads are larger is refused as a whole.
	ReplyBytesMax = 1 << 20
	// ScanItemsMax is how many items one scan returns at most.
	ScanItemsMax = 1024
	// TxnReadsMax, TxnConditionsMax and TxnWritesMax bound the parts of one
	// transaction, each as a number.
	TxnReadsMax      = 128
	TxnConditionsMax = 128
	TxnWritesMax     = 128
)

var (
	// ErrBadCommand: these bytes are not a command, or the command has a part
	// that its kind does not allow.
	ErrBadCommand = errors.New("kv: bad command")
	// ErrTooLarge: the command is well formed but beyond a bound.
	ErrTooLarge = errors.New("kv: command too large")
)

// Op is the kind of a command. The comment of each says which fields of
// Command it reads, and which of Reply it fills when the status is StatusOK;
// all others are ignored and left zero.
type Op uint8

const (
	// OpGet reads Key. Reply: Value, Version; or StatusNotFound.
	OpGet Op = iota + 1
	// OpPut sets Key to Value. Reply: Version, the new one.
	OpPut
	// OpDelete removes Key. Reply: Version, the revision of the deletion; or
	// StatusNotFound, which changes nothing.
	OpDelete
	// OpAppend adds Value to the end of what Key holds; a key that does not
	// exist holds nothing, and comes to be even when Value is empty. Reply:
	// Version; or StatusTooLarge when the result would be.
	OpAppend
	// OpIncrement adds Delta, which may be negative or zero, to the number that
	// Key holds; a key that does not exist holds 0. A number is what
	// strconv.ParseInt takes in base 10 within 64 bits, in at most 20 bytes; the
	// result is written as strconv.FormatInt does. Reply: Number, the sum, and
	// Version; or StatusNotNumber, StatusOverflow.
	OpIncrement
	// OpCompareAndSet sets Key to Value if its version is Version; Version 0
	// wants that Key does not exist. (To compare values, use a transaction.)
	// Reply: Version, the new one; or StatusConflict with the Version and Value
	// found.
	OpCompareAndSet
	// OpPutIfAbsent sets Key to Value if Key does not exist. Reply: as for
	// OpCompareAndSet.
	OpPutIfAbsent
	// OpScan reads the keys from Key, included, to End, excluded, in ascending
	// order, or from the upper end down if Reverse. An empty End is no bound. At
	// most Limit items, where 0 or more than ScanItemsMax means ScanItemsMax,
	// and as fit into ReplyBytesMax. Reply: Items, and More if the range holds
	// keys beyond the last item, in the direction of the scan.
	OpScan
	// OpScanPrefix is OpScan over all keys that begin with Key.
	OpScanPrefix
	// OpDeleteRange removes the keys from Key, included, to End, excluded; an
	// empty End is no bound. Reply: Count, and Version, the revision of the
	// deletion, or 0 if Count is.
	OpDeleteRange
	// OpTxn does Reads, Conditions and Writes at once; see Transaction below.
	OpTxn
	// OpRegister opens a session. It carries none itself. Reply: Session. A
	// retry opens another; the first is then forgotten in time.
	OpRegister
	// OpCloseSession forgets Session. It carries no serial. Reply: none; or
	// StatusSessionUnknown, which is also what a retry gets.
	OpCloseSession

	opEnd
)

// Command is one request of a client. The same type serves as a query: see
// Op.ReadOnly and Machine.Query.
//
// After DecodeCommand, the byte slices alias the bytes decoded.
type Command struct {
	Op Op

	// Session and Serial make a retry harmless: the machine applies each serial
	// of a session at most once, and answers a retry of the last one with the
	// reply of the first time. Serials start at 1 and grow; a gap is what a
	// client leaves that gave up on one. Session 0 is no session; then Serial is
	// 0 too, and each copy of the command that gets into the log is applied.
	Session uint64
	Serial  uint64

	Key     []byte
	End     []byte
	Value   []byte
	Version uint64
	Delta   int64
	Limit   uint32
	Reverse bool

	// Transaction: the conditions are judged in order, on the state before the
	// command. If one fails, the reply is StatusConflict: Failed is its
	// position, and Version and Value are what its key holds. Otherwise the
	// reads are answered, still from the state before. Then the writes are done
	// in order, each seeing those before it. If one fails (StatusNotNumber,
	// StatusOverflow, StatusTooLarge; Failed is its position), none of them
	// happened. Otherwise the reply has Items, one per read in the order asked
	// (Version 0 and no Value if the key does not exist), and Version, the
	// revision of the writes, or 0 if none changed anything. A write changes
	// something unless it deletes a key that does not exist.
	Reads      [][]byte
	Conditions []Condition
	Writes     []TxnWrite
}

// ReadOnly says whether a command changes no key and no session by itself: a
// get, a scan, or a transaction without writes.
func (c *Command) ReadOnly() bool {
	switch c.Op {
	case OpGet, OpScan, OpScanPrefix:
		return true
	case OpTxn:
		return len(c.Writes) == 0
	}
	return false
}

// ConditionKind says what a condition asks of its key.
type ConditionKind uint8

const (
	// ConditionVersion: the key's version is Version; 0 is ConditionAbsent.
	ConditionVersion ConditionKind = iota + 1
	// ConditionValue: the key exists and its value is Value.
	ConditionValue
	// ConditionExists: the key exists.
	ConditionExists
	// ConditionAbsent: the key does not exist.
	ConditionAbsent
)

// Condition is what a transaction wants to be true of one key.
type Condition struct {
	Kind    ConditionKind
	Key     []byte
	Version uint64 // ConditionVersion
	Value   []byte // ConditionValue
}

// TxnWrite is one write of a transaction. Op is OpPut, OpDelete, OpAppend or
// OpIncrement, each as the command of that name does it, with one difference:
// to delete a key that does not exist is no failure.
type TxnWrite struct {
	Op    Op
	Key   []byte
	Value []byte // OpPut, OpAppend
	Delta int64  // OpIncrement
}

var opNames = [...]string{
	OpGet: "get", OpPut: "put", OpDelete: "delete", OpAppend: "append",
	OpIncrement: "increment", OpCompareAndSet: "compare-and-set",
	OpPutIfAbsent: "put-if-absent", OpScan: "scan", OpScanPrefix: "scan-prefix",
	OpDeleteRange: "delete-range", OpTxn: "txn", OpRegister: "register",
	OpCloseSession: "close-session",
}

func (o Op) String() string { return name(opNames[:], uint8(o)) }

var conditionNames = [...]string{
	ConditionVersion: "version", ConditionValue: "value",
	ConditionExists: "exists", ConditionAbsent: "absent",
}

func (k ConditionKind) String() string { return name(conditionNames[:], uint8(k)) }

// Check says whether the machine would take the command: ErrBadCommand,
// ErrTooLarge, or nil. A client asks before it sends.
func (c *Command) Check() error {
	switch c.Op {
	case OpRegister:
		if c.Session != 0 || c.Serial != 0 {
			return ErrBadCommand
		}
		return nil
	case OpCloseSession:
		if c.Session == 0 || c.Serial != 0 {
			return ErrBadCommand
		}
		return nil
	}
	if c.Op == 0 || c.Op >= opEnd || (c.Session == 0) != (c.Serial == 0) {
		return ErrBadCommand
	}
	large := false
	switch c.Op {
	case OpPut, OpAppend, OpCompareAndSet, OpPutIfAbsent:
		large = len(c.Value) > ValueBytesMax
	case OpScan, OpDeleteRange:
		large = len(c.End) > KeyBytesMax
	case OpTxn:
		return c.checkTransaction()
	}
	if large || len(c.Key) > KeyBytesMax {
		return ErrTooLarge
	}
	return nil
}

// checkTransaction takes 24 bytes for what stands beside each key and value,
// which is more than it ever is: so it may refuse a transaction that just
// fits, and never passes one that does not.
func (c *Command) checkTransaction() error {
	const around = 24
	if len(c.Reads) > TxnReadsMax || len(c.Conditions) > TxnConditionsMax || len(c.Writes) > TxnWritesMax {
		return ErrTooLarge
	}
	size, key, value := around, 0, 0 // key, value: the longest
	for _, k := range c.Reads {
		size += around + len(k)
		key = max(key, len(k))
	}
	for i := range c.Conditions {
		cond := &c.Conditions[i]
		size += around + len(cond.Key)
		key = max(key, len(cond.Key))
		switch cond.Kind {
		case ConditionValue:
			size += len(cond.Value)
			value = max(value, len(cond.Value))
		case ConditionVersion, ConditionExists, ConditionAbsent:
		default:
			return ErrBadCommand
		}
	}
	for i := range c.Writes {
		w := &c.Writes[i]
		size += around + len(w.Key)
		key = max(key, len(w.Key))
		switch w.Op {
		case OpPut, OpAppend:
			size += len(w.Value)
			value = max(value, len(w.Value))
		case OpDelete, OpIncrement:
		default:
			return ErrBadCommand
		}
	}
	if key > KeyBytesMax || value > ValueBytesMax || size > CommandBytesMax {
		return ErrTooLarge
	}
	return nil
}

// A command as bytes, with the parts of codec.go:
//
//	command   version=1  op  flags  [u(session) u(serial)]  fields
//	flags     1: session and serial follow   2: Reverse (scans only)
//	fields
//	  get, delete                    bytes(key)
//	  put, append, put-if-absent     bytes(key) bytes(value)
//	  increment                      bytes(key) z(delta)
//	  compare-and-set                bytes(key) u(version) bytes(value)
//	  scan                           bytes(key) bytes(end) u(limit)
//	  scan-prefix                    bytes(key) u(limit)
//	  delete-range                   bytes(key) bytes(end)
//	  txn                            u(n) n × bytes(key)
//	                                 u(n) n × { kind bytes(key) [u(version) | bytes(value)] }
//	                                 u(n) n × { op bytes(key) [bytes(value) | z(delta)] }
//	  register, close-session        none
const (
	flagSession = 1 << iota
	flagReverse

	flagsAll = flagSession | flagReverse
)

// AppendCommand appends c to dst. It writes the fields that c.Op reads and no
// others, whether or not they pass Check.
func AppendCommand(dst []byte, c *Command) []byte {
	var flags byte
	if c.Session != 0 || c.Serial != 0 {
		flags |= flagSession
	}
	if c.Reverse && (c.Op == OpScan || c.Op == OpScanPrefix) {
		flags |= flagReverse
	}
	dst = append(dst, codecVersion, byte(c.Op), flags)
	if flags&flagSession != 0 {
		dst = binary.AppendUvarint(dst, c.Session)
		dst = binary.AppendUvarint(dst, c.Serial)
	}
	switch c.Op {
	case OpGet, OpDelete:
		dst = appendBytes(dst, c.Key)
	case OpPut, OpAppend, OpPutIfAbsent:
		dst = appendBytes(dst, c.Key)
		dst = appendBytes(dst, c.Value)
	case OpIncrement:
		dst = appendBytes(dst, c.Key)
		dst = binary.AppendVarint(dst, c.Delta)
	case OpCompareAndSet:
		dst = appendBytes(dst, c.Key)
		dst = binary.AppendUvarint(dst, c.Version)
		dst = appendBytes(dst, c.Value)
	case OpScan:
		dst = appendBytes(dst, c.Key)
		dst = appendBytes(dst, c.End)
		dst = binary.AppendUvarint(dst, uint64(c.Limit))
	case OpScanPrefix:
		dst = appendBytes(dst, c.Key)
		dst = binary.AppendUvarint(dst, uint64(c.Limit))
	case OpDeleteRange:
		dst = appendBytes(dst, c.Key)
		dst = appendBytes(dst, c.End)
	case OpTxn:
		dst = binary.AppendUvarint(dst, uint64(len(c.Reads)))
		for _, k := range c.Reads {
			dst = appendBytes(dst, k)
		}
		dst = binary.AppendUvarint(dst, uint64(len(c.Conditions)))
		for i := range c.Conditions {
			cond := &c.Conditions[i]
			dst = append(dst, byte(cond.Kind))
			dst = appendBytes(dst, cond.Key)
			switch cond.Kind {
			case ConditionVersion:
				dst = binary.AppendUvarint(dst, cond.Version)
			case ConditionValue:
				dst = appendBytes(dst, cond.Value)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(c.Writes)))
		for i := range c.Writes {
			w := &c.Writes[i]
			dst = append(dst, byte(w.Op))
			dst = appendBytes(dst, w.Key)
			switch w.Op {
			case OpPut, OpAppend:
				dst = appendBytes(dst, w.Value)
			case OpIncrement:
				dst = binary.AppendVarint(dst, w.Delta)
			}
		}
	}
	return dst
}

// DecodeCommand reads b, all of it, into c. It keeps c's slices of reads,
// conditions and writes to fill them again; keys and values alias b. After an
// error (ErrBadCommand, ErrTooLarge), c holds anything.
func DecodeCommand(b []byte, c *Command) error {
	*c = Command{Reads: c.Reads[:0], Conditions: c.Conditions[:0], Writes: c.Writes[:0]}
	if len(b) > CommandBytesMax {
		return ErrTooLarge
	}
	d := decoder{b: b}
	version, op, flags := d.byte(), d.byte(), d.byte()
	if d.failed || version != codecVersion || op == 0 || op >= uint8(opEnd) || flags&^flagsAll != 0 {
		return ErrBadCommand
	}
	c.Op = Op(op)
	if flags&flagSession != 0 {
		c.Session, c.Serial = d.uvarint(), d.uvarint()
		if c.Session == 0 || (c.Serial == 0) != (c.Op == OpCloseSession) || c.Op == OpRegister {
			return ErrBadCommand
		}
	} else if c.Op == OpCloseSession {
		return ErrBadCommand
	}
	if flags&flagReverse != 0 {
		if c.Op != OpScan && c.Op != OpScanPrefix {
			return ErrBadCommand
		}
		c.Reverse = true
	}
	switch c.Op {
	case OpGet, OpDelete:
		c.Key = d.key()
	case OpPut, OpAppend, OpPutIfAbsent:
		c.Key, c.Value = d.key(), d.value()
	case OpIncrement:
		c.Key, c.Delta = d.key(), d.varint()
	case OpCompareAndSet:
		c.Key, c.Version, c.Value = d.key(), d.uvarint(), d.value()
	case OpScan:
		c.Key, c.End, c.Limit = d.key(), d.key(), d.uint32()
	case OpScanPrefix:
		c.Key, c.Limit = d.key(), d.uint32()
	case OpDeleteRange:
		c.Key, c.End = d.key(), d.key()
	case OpTxn:
		d.transaction(c)
	}
	if d.tooLarge {
		return ErrTooLarge
	}
	if d.failed || len(d.b) != 0 {
		return ErrBadCommand
	}
	return nil
}

func (d *decoder) transaction(c *Command) {
	n := d.count(TxnReadsMax)
	for i := 0; i < n && !d.failed; i++ {
		c.Reads = append(c.Reads, d.key())
	}
	n = d.count(TxnConditionsMax)
	for i := 0; i < n && !d.failed; i++ {
		cond := Condition{Kind: ConditionKind(d.byte()), Key: d.key()}
		switch cond.Kind {
		case ConditionVersion:
			cond.Version = d.uvarint()
		case ConditionValue:
			cond.Value = d.value()
		case ConditionExists, ConditionAbsent:
		default:
			d.failed = true
		}
		c.Conditions = append(c.Conditions, cond)
	}
	n = d.count(TxnWritesMax)
	for i := 0; i < n && !d.failed; i++ {
		w := TxnWrite{Op: Op(d.byte()), Key: d.key()}
		switch w.Op {
		case OpPut, OpAppend:
			w.Value = d.value()
		case OpIncrement:
			w.Delta = d.varint()
		case OpDelete:
		default:
			d.failed = true
		}
		c.Writes = append(c.Writes, w)
	}
}
