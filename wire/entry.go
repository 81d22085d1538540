package wire

import (
	"encoding/binary"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

// An entry, in messages and in logs alike:
//
//	 0      8       16     24       32     33           37
//	┌──────┬───────┬──────┬────────┬──────┬────────────┬──────┐
//	│ term │ index │ time │ digest │ kind │ length:u32 │ data │
//	└──────┴───────┴──────┴────────┴──────┴────────────┴──────┘
//
// It has no checksum of its own: whatever holds it has one over more. The
// digest says something else, namely that the entry continues its log.
const entryHeadBytes = 37

// EntryBytes is the length of the encoding of e.
func EntryBytes(e *core.Entry) int { return entryHeadBytes + len(e.Data) }

// AppendEntry appends the encoding of e to dst. Its data must be shorter than
// 4 GiB.
func AppendEntry(dst []byte, e *core.Entry) []byte {
	le := binary.LittleEndian
	b := appendID(dst, e.EntryID)
	b = le.AppendUint64(b, e.Time)
	b = le.AppendUint64(b, e.Digest)
	b = append(b, byte(e.Kind))
	b = le.AppendUint32(b, uint32(len(e.Data)))
	return append(b, e.Data...)
}

// DecodeEntry makes e the entry at the beginning of b and returns what follows
// it. The data of e is a part of b, or nil when there is none. On an error e
// is not changed.
func DecodeEntry(b []byte, e *core.Entry) (rest []byte, err error) {
	if len(b) < entryHeadBytes {
		return nil, ErrTruncated
	}
	n := uint64(binary.LittleEndian.Uint32(b[33:]))
	if uint64(len(b)-entryHeadBytes) < n {
		return nil, ErrTruncated
	}
	e.EntryID = entryID(b)
	e.Time = u64(b[16:])
	e.Digest = u64(b[24:])
	e.Kind = core.EntryKind(b[32])
	b = b[entryHeadBytes:]
	e.Data = nil
	if n > 0 {
		e.Data = b[:n:n]
	}
	return b[n:], nil
}

// A snapshot's name and position, where the bytes are elsewhere:
//
//	 0      8       16       24     32     40    48           52
//	┌──────┬───────┬────────┬──────┬──────┬─────┬────────────┬───────────────┐
//	│ term │ index │ digest │ time │ size │ sum │ length:u32 │ configuration │
//	└──────┴───────┴────────┴──────┴──────┴─────┴────────────┴───────────────┘
//
// The configuration is as package confchange writes it, of that many bytes.
// Whether it is one that decides is for the core to say.
const snapshotHeadBytes = 52

// AppendSnapshot appends the encoding of s to dst. Its configuration has to
// keep to the bounds of confchange.
func AppendSnapshot(dst []byte, s *core.Snapshot) []byte {
	le := binary.LittleEndian
	b := appendID(dst, s.EntryID)
	b = le.AppendUint64(b, s.Digest)
	b = le.AppendUint64(b, s.Time)
	b = le.AppendUint64(b, s.Size)
	b = le.AppendUint64(b, s.Sum)
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = s.Configuration.Append(b)
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// DecodeSnapshot makes s the snapshot at the beginning of b and returns what
// follows it. A configuration is shared and never changed, so its slices are
// fresh, unless the one that s brings along is the same already. On an error s
// is not changed.
func DecodeSnapshot(b []byte, s *core.Snapshot) (rest []byte, err error) {
	if len(b) < snapshotHeadBytes {
		return nil, ErrTruncated
	}
	n := uint64(binary.LittleEndian.Uint32(b[48:]))
	rest = b[snapshotHeadBytes:]
	if uint64(len(rest)) < n {
		return nil, ErrTruncated
	}
	c := s.Configuration
	if !c.Encodes(rest[:n]) {
		if c, err = confchange.Decode(rest[:n]); err != nil {
			return nil, ErrForm
		}
	}
	*s = core.Snapshot{
		EntryID:       entryID(b),
		Digest:        u64(b[16:]),
		Time:          u64(b[24:]),
		Size:          u64(b[32:]),
		Sum:           u64(b[40:]),
		Configuration: c,
	}
	return rest[n:], nil
}
