package kv

import (
	"encoding/binary"
	"errors"
)

// ErrBadReply: these bytes are not a reply.
var ErrBadReply = errors.New("kv: bad reply")

// Status is how a command ended.
type Status uint8

const (
	// StatusOK: done.
	StatusOK Status = iota + 1
	// StatusNotFound: the key does not exist.
	StatusNotFound
	// StatusConflict: a condition does not hold; nothing was changed. Version
	// and Value are those of the key concerned, Failed is which condition.
	StatusConflict
	// StatusNotNumber: the value to increment is not a number; nothing was
	// changed. In a transaction, Failed is which write.
	StatusNotNumber
	// StatusOverflow: the sum does not fit into 64 bits; nothing was changed. In
	// a transaction, Failed is which write.
	StatusOverflow
	// StatusTooLarge: beyond KeyBytesMax, ValueBytesMax, CommandBytesMax or a
	// bound on the parts of a transaction; nothing was changed. When a write of
	// a transaction would make its value too large, Failed is which.
	StatusTooLarge
	// StatusReplyTooLarge: what a transaction reads is beyond ReplyBytesMax;
	// nothing was changed.
	StatusReplyTooLarge
	// StatusBadCommand: these bytes are not a command; nothing was changed.
	StatusBadCommand
	// StatusNotRead: a query that is not read-only, or that carries a session.
	StatusNotRead
	// StatusSessionUnknown: there is no such session: closed, expired, evicted,
	// or never registered. This copy of the command was not applied and never
	// will be; whether an earlier copy was, nobody knows.
	StatusSessionUnknown
	// StatusSerialOld: the session has gone on to a later serial. This copy of
	// the command was not applied and never will be; whether an earlier copy
	// was, nobody knows.
	StatusSerialOld

	statusEnd
)

// Unknown says whether the command may have been applied before, by an earlier
// copy whose reply is no longer kept.
func (s Status) Unknown() bool { return s == StatusSessionUnknown || s == StatusSerialOld }

// Reply is the answer to one command or query. Which fields count is said at
// each Op and Status; all others are zero.
//
// After DecodeReply, the byte slices alias the bytes decoded.
type Reply struct {
	Status  Status
	Version uint64
	Value   []byte
	Number  int64
	Session uint64
	Count   uint64
	Failed  uint32 // position, from 0, of the condition or write that failed
	More    bool
	Items   []Item
}

// Item is one key of a scan, or one read of a transaction.
type Item struct {
	Key     []byte
	Value   []byte
	Version uint64
}

var statusNames = [...]string{
	StatusOK: "ok", StatusNotFound: "not found", StatusConflict: "conflict",
	StatusNotNumber: "not a number", StatusOverflow: "overflow",
	StatusTooLarge: "too large", StatusReplyTooLarge: "reply too large",
	StatusBadCommand: "bad command", StatusNotRead: "not a read",
	StatusSessionUnknown: "session unknown", StatusSerialOld: "serial old",
}

func (s Status) String() string { return name(statusNames[:], uint8(s)) }

// A reply as bytes, with the parts of codec.go:
//
//	reply     version=1  status  present  fields present, in the order of the bits
//	present   1: u(version)  2: bytes(value)  4: z(number)  8: u(session)
//	          16: u(count)  32: u(failed)  64: more, no bytes
//	          128: u(n) n × { bytes(key) u(version) bytes(value) }
const (
	hasVersion = 1 << iota
	hasValue
	hasNumber
	hasSession
	hasCount
	hasFailed
	hasMore
	hasItems
)

// AppendReply appends r to dst.
func AppendReply(dst []byte, r *Reply) []byte {
	dst = append(dst, codecVersion, byte(r.Status), 0)
	present := len(dst) - 1
	if r.Version != 0 {
		dst[present] |= hasVersion
		dst = binary.AppendUvarint(dst, r.Version)
	}
	if len(r.Value) != 0 {
		dst[present] |= hasValue
		dst = appendBytes(dst, r.Value)
	}
	if r.Number != 0 {
		dst[present] |= hasNumber
		dst = binary.AppendVarint(dst, r.Number)
	}
	if r.Session != 0 {
		dst[present] |= hasSession
		dst = binary.AppendUvarint(dst, r.Session)
	}
	if r.Count != 0 {
		dst[present] |= hasCount
		dst = binary.AppendUvarint(dst, r.Count)
	}
	if r.Failed != 0 {
		dst[present] |= hasFailed
		dst = binary.AppendUvarint(dst, uint64(r.Failed))
	}
	if r.More {
		dst[present] |= hasMore
	}
	if len(r.Items) != 0 {
		dst[present] |= hasItems
		dst = binary.AppendUvarint(dst, uint64(len(r.Items)))
		for i := range r.Items {
			it := &r.Items[i]
			dst = appendBytes(dst, it.Key)
			dst = binary.AppendUvarint(dst, it.Version)
			dst = appendBytes(dst, it.Value)
		}
	}
	return dst
}

// replyBytes and itemBytes are what a reply without items, and an item, take
// at most beside their keys and values: what decides where a scan stops must
// not depend on the widths of numbers.
const (
	replyBytes = 64
	itemBytes  = 24
)

func (it *Item) bytes() int { return len(it.Key) + len(it.Value) + itemBytes }

// DecodeReply reads b, all of it, into r. It keeps r's slice of items to fill
// it again; keys and values alias b. After an error (ErrBadReply), r holds
// anything.
func DecodeReply(b []byte, r *Reply) error {
	*r = Reply{Items: r.Items[:0]}
	if len(b) > ReplyBytesMax {
		return ErrBadReply
	}
	d := decoder{b: b}
	version, status, present := d.byte(), d.byte(), d.byte()
	if d.failed || version != codecVersion || status == 0 || status >= uint8(statusEnd) {
		return ErrBadReply
	}
	r.Status = Status(status)
	if present&hasVersion != 0 {
		r.Version = d.uvarint()
		d.failed = d.failed || r.Version == 0
	}
	if present&hasValue != 0 {
		r.Value = d.value()
		d.failed = d.failed || len(r.Value) == 0
	}
	if present&hasNumber != 0 {
		r.Number = d.varint()
		d.failed = d.failed || r.Number == 0
	}
	if present&hasSession != 0 {
		r.Session = d.uvarint()
		d.failed = d.failed || r.Session == 0
	}
	if present&hasCount != 0 {
		r.Count = d.uvarint()
		d.failed = d.failed || r.Count == 0
	}
	if present&hasFailed != 0 {
		r.Failed = d.uint32()
		d.failed = d.failed || r.Failed == 0
	}
	r.More = present&hasMore != 0
	if present&hasItems != 0 {
		n := d.count(ScanItemsMax)
		d.failed = d.failed || n == 0
		for i := 0; i < n && !d.failed; i++ {
			r.Items = append(r.Items, Item{Key: d.key(), Version: d.uvarint(), Value: d.value()})
		}
	}
	if d.failed || d.tooLarge || len(d.b) != 0 {
		return ErrBadReply
	}
	return nil
}
