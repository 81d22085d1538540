package wire

import (
	"encoding/binary"

	"github.com/seaworthy-raft/seaworthy/core"
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
//	 0      8       16       24     32     40    48           50             52             54
//	┌──────┬───────┬────────┬──────┬──────┬─────┬────────────┬──────────────┬──────────────┬────────┐
//	│ term │ index │ digest │ time │ size │ sum │ voters:u16 │ outgoing:u16 │ learners:u16 │ id ... │
//	└──────┴───────┴────────┴──────┴──────┴─────┴────────────┴──────────────┴──────────────┴────────┘
//
// Voters, outgoing and learners are numbers of ids, which follow in that
// order. Whether they make a configuration is for the core to say.
const snapshotHeadBytes = 54

// AppendSnapshot appends the encoding of s to dst. Each set of members must
// have fewer than 1<<16.
func AppendSnapshot(dst []byte, s *core.Snapshot) []byte {
	le := binary.LittleEndian
	c := &s.Configuration
	b := appendID(dst, s.EntryID)
	b = le.AppendUint64(b, s.Digest)
	b = le.AppendUint64(b, s.Time)
	b = le.AppendUint64(b, s.Size)
	b = le.AppendUint64(b, s.Sum)
	sets := [...][]core.ReplicaID{c.Voters, c.Outgoing, c.Learners}
	for _, set := range sets {
		b = le.AppendUint16(b, uint16(len(set)))
	}
	for _, set := range sets {
		for _, id := range set {
			b = le.AppendUint64(b, uint64(id))
		}
	}
	return b
}

// DecodeSnapshot makes s the snapshot at the beginning of b and returns what
// follows it. A configuration is shared and never changed, so its slices are
// fresh, unless those that s brings along are the same already. On an error s
// is not changed.
func DecodeSnapshot(b []byte, s *core.Snapshot) (rest []byte, err error) {
	if len(b) < snapshotHeadBytes {
		return nil, ErrTruncated
	}
	var n [3]int
	for i := range n {
		n[i] = int(binary.LittleEndian.Uint16(b[48+2*i:]))
	}
	all := b[snapshotHeadBytes:]
	count := n[0] + n[1] + n[2]
	if len(all)/8 < count {
		return nil, ErrTruncated
	}
	s.EntryID = entryID(b)
	s.Digest = u64(b[16:])
	s.Time = u64(b[24:])
	s.Size = u64(b[32:])
	s.Sum = u64(b[40:])
	c := &s.Configuration
	if sets := [...][]core.ReplicaID{c.Voters, c.Outgoing, c.Learners}; !sameSets(sets, n, all) {
		ids := make([]core.ReplicaID, count)
		for i := range ids {
			ids[i] = core.ReplicaID(u64(all[8*i:]))
		}
		for i := range sets {
			sets[i] = nil
			if n[i] > 0 {
				sets[i] = ids[:n[i]:n[i]]
				ids = ids[n[i]:]
			}
		}
		c.Voters, c.Outgoing, c.Learners = sets[0], sets[1], sets[2]
	}
	return all[8*count:], nil
}

// sameSets says whether b says what is in sets already.
func sameSets(sets [3][]core.ReplicaID, n [3]int, b []byte) bool {
	for i, set := range sets {
		if len(set) != n[i] {
			return false
		}
		for _, id := range set {
			if core.ReplicaID(u64(b)) != id {
				return false
			}
			b = b[8:]
		}
	}
	return true
}
