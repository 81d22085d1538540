// Package wire turns messages and entries into bytes and back.
//
// Bytes come from networks and disks, so they are checked here, once, and
// relied on afterwards. Decoding never panics, never trusts a length, and
// never takes more memory than a small multiple of the bytes it was given.
// There is exactly one encoding of each message: what decodes encodes to the
// same bytes again.
package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
)

// A message is its envelope, the body of its kind, and a checksum. Numbers
// are little-endian and of fixed width, so that there is nothing to get wrong
// and one way to write each.
//
//	 0        1      2         10     18   26     34      42
//	┌─────────┬──────┬─────────┬──────┬────┬──────┬──────┬──────┬────────┐
//	│ version │ kind │ cluster │ from │ to │ boot │ term │ body │ crc32c │
//	│ u8 = 1  │ u8   │ u64     │ u64  │u64 │ u64  │ u64  │      │ u32    │
//	└─────────┴──────┴─────────┴──────┴────┴──────┴──────┴──────┴────────┘
//
// The checksum covers all bytes before it. The bodies, where flags is a byte
// whose unused bits are zero:
//
//	RequestVote              flags(1 pre 2 transfer)   for last.term last.index
//	RequestVoteResponse      flags(1 pre 2 granted) for
//	AppendEntries            prev.term prev.index prevDigest commit round sent
//	                         count:u32 entry...                 see entry.go
//	AppendEntriesResponse    flags(1 reject) match prev hint.term hint.index round sent
//	InstallSnapshot          snapshot offset round sent length:u32 data
//	InstallSnapshotResponse  term index sum received match round sent
//	ReadIndex                replica boot counter
//	ReadIndexResponse        replica boot counter index refused:u8
//	TimeoutNow               last.term last.index
//
// What is not marked is a u64; snapshot is drawn in entry.go. An AppendEntries
// without entries is 98 bytes, and each entry adds 37 and its data.
const (
	version       = 1
	envelopeBytes = 42
	checksumBytes = 4
)

// MessageBytesMax is the longest message that is decoded, and the longest that
// may be encoded. What core.Limits may be set to keeps to it: see
// core.LimitBytesMax.
const MessageBytesMax = 256 << 20

// What may be wrong with bytes. The first error found is returned as it is,
// never wrapped, so that refusing costs nothing.
var (
	ErrTruncated = errors.New("wire: ends too early")
	ErrTrailing  = errors.New("wire: bytes behind the end")
	ErrTooLarge  = errors.New("wire: too large")
	ErrChecksum  = errors.New("wire: checksum does not match")
	ErrVersion   = errors.New("wire: unknown version")
	ErrKind      = errors.New("wire: unknown kind")
	// ErrForm: not the one way to write what this says.
	ErrForm = errors.New("wire: not in canonical form")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	flagPre      = 1
	flagTransfer = 2
	flagGranted  = 2
	flagReject   = 1
	flagUnfit    = 2
	flagLost     = 4
)

func flagIf(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// AppendMessage appends the encoding of m to dst. The kind must be a valid
// one. Of an InstallSnapshot it sends Data and not Length.
func AppendMessage(dst []byte, m *core.Message) []byte {
	le := binary.LittleEndian
	begin := len(dst)
	b := append(dst, version, byte(m.Kind))
	b = le.AppendUint64(b, uint64(m.Cluster))
	b = le.AppendUint64(b, uint64(m.From))
	b = le.AppendUint64(b, uint64(m.To))
	b = le.AppendUint64(b, uint64(m.Boot))
	b = le.AppendUint64(b, uint64(m.Term))
	switch m.Kind {
	case core.KindRequestVote:
		v := &m.RequestVote
		b = append(b, flagIf(v.Pre, flagPre)|flagIf(v.Transfer, flagTransfer))
		b = le.AppendUint64(b, uint64(v.For))
		b = le.AppendUint64(b, v.Round)
		b = appendID(b, v.Last)
	case core.KindRequestVoteResponse:
		v := &m.RequestVoteResponse
		b = append(b, flagIf(v.Pre, flagPre)|flagIf(v.Granted, flagGranted))
		b = le.AppendUint64(b, uint64(v.For))
		b = le.AppendUint64(b, v.Round)
	case core.KindAppendEntries:
		a := &m.AppendEntries
		b = append(b, flagIf(a.Lost, flagLost))
		b = appendID(b, a.Prev)
		b = le.AppendUint64(b, a.PrevDigest)
		b = le.AppendUint64(b, uint64(a.Commit))
		b = le.AppendUint64(b, a.Round)
		b = le.AppendUint64(b, a.Sent)
		b = le.AppendUint32(b, uint32(len(a.Entries)))
		for i := range a.Entries {
			b = AppendEntry(b, &a.Entries[i])
		}
	case core.KindAppendEntriesResponse:
		a := &m.AppendEntriesResponse
		b = append(b, flagIf(a.Reject, flagReject)|flagIf(a.Unfit, flagUnfit)|flagIf(a.Lost, flagLost))
		b = le.AppendUint64(b, uint64(a.Match))
		b = le.AppendUint64(b, uint64(a.Prev))
		b = appendID(b, a.Hint)
		b = le.AppendUint64(b, a.Round)
		b = le.AppendUint64(b, a.Sent)
	case core.KindInstallSnapshot:
		s := &m.InstallSnapshot
		b = AppendSnapshot(b, &s.Snapshot)
		b = le.AppendUint64(b, s.Offset)
		b = le.AppendUint64(b, s.Round)
		b = le.AppendUint64(b, s.Sent)
		b = le.AppendUint32(b, uint32(len(s.Data)))
		b = append(b, s.Data...)
	case core.KindInstallSnapshotResponse:
		s := &m.InstallSnapshotResponse
		b = appendID(b, s.Snapshot)
		b = le.AppendUint64(b, s.Sum)
		b = le.AppendUint64(b, s.Received)
		b = le.AppendUint64(b, uint64(s.Match))
		b = le.AppendUint64(b, s.Round)
		b = le.AppendUint64(b, s.Sent)
	case core.KindReadIndex:
		b = appendReadID(b, m.ReadIndex.ID)
	case core.KindReadIndexResponse:
		r := &m.ReadIndexResponse
		b = appendReadID(b, r.ID)
		b = le.AppendUint64(b, uint64(r.Index))
		b = append(b, byte(r.Refused))
	case core.KindTimeoutNow:
		b = appendID(b, m.TimeoutNow.Last)
	default:
		panic("wire: message of no kind")
	}
	return le.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
}

func appendID(b []byte, id core.EntryID) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(id.Term))
	return binary.LittleEndian.AppendUint64(b, uint64(id.Index))
}

func appendReadID(b []byte, id core.ReadID) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(id.Replica))
	b = binary.LittleEndian.AppendUint64(b, uint64(id.Boot))
	return binary.LittleEndian.AppendUint64(b, id.Counter)
}

// DecodeMessage makes m the message that b encodes. On an error m is zero, but
// for memory that the next call uses again.
//
// The data of all entries is copied into one fresh array, because the core
// keeps it for ever; the slice of entries in m is used again. The data of an
// InstallSnapshot is a part of b.
func DecodeMessage(b []byte, m *core.Message) error {
	entries := m.AppendEntries.Entries[:0]
	members := m.InstallSnapshot.Snapshot.Configuration
	*m = core.Message{}
	err := decodeMessage(b, m, entries, members)
	if err != nil {
		*m = core.Message{}
	}
	if m.AppendEntries.Entries == nil {
		m.AppendEntries.Entries = entries
	}
	return err
}

func decodeMessage(b []byte, m *core.Message, entries []core.Entry, members core.Configuration) error {
	switch {
	case len(b) < envelopeBytes+checksumBytes:
		return ErrTruncated
	case len(b) > MessageBytesMax:
		return ErrTooLarge
	case b[0] != version:
		return ErrVersion
	}
	end := len(b) - checksumBytes
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return ErrChecksum
	}
	m.Kind = core.MessageKind(b[1])
	m.Cluster = core.ClusterID(u64(b[2:]))
	m.From = core.ReplicaID(u64(b[10:]))
	m.To = core.ReplicaID(u64(b[18:]))
	m.Boot = core.Boot(u64(b[26:]))
	m.Term = core.Term(u64(b[34:]))
	b = b[envelopeBytes:end]
	switch m.Kind {
	case core.KindRequestVote:
		if err := exactly(b, 33); err != nil {
			return err
		}
		if b[0]&^(flagPre|flagTransfer) != 0 {
			return ErrForm
		}
		m.RequestVote = core.RequestVote{
			Pre:      b[0]&flagPre != 0,
			Transfer: b[0]&flagTransfer != 0,
			For:      core.Term(u64(b[1:])),
			Round:    u64(b[9:]),
			Last:     entryID(b[17:]),
		}
	case core.KindRequestVoteResponse:
		if err := exactly(b, 17); err != nil {
			return err
		}
		if b[0]&^(flagPre|flagGranted) != 0 {
			return ErrForm
		}
		m.RequestVoteResponse = core.RequestVoteResponse{
			Pre:     b[0]&flagPre != 0,
			For:     core.Term(u64(b[1:])),
			Round:   u64(b[9:]),
			Granted: b[0]&flagGranted != 0,
		}
	case core.KindAppendEntries:
		return decodeAppendEntries(b, &m.AppendEntries, entries)
	case core.KindAppendEntriesResponse:
		if err := exactly(b, 49); err != nil {
			return err
		}
		if b[0]&^(flagReject|flagUnfit|flagLost) != 0 {
			return ErrForm
		}
		m.AppendEntriesResponse = core.AppendEntriesResponse{
			Reject: b[0]&flagReject != 0,
			Unfit:  b[0]&flagUnfit != 0,
			Lost:   b[0]&flagLost != 0,
			Match:  core.Index(u64(b[1:])),
			Prev:   core.Index(u64(b[9:])),
			Hint:   entryID(b[17:]),
			Round:  u64(b[33:]),
			Sent:   u64(b[41:]),
		}
	case core.KindInstallSnapshot:
		return decodeInstallSnapshot(b, &m.InstallSnapshot, members)
	case core.KindInstallSnapshotResponse:
		if err := exactly(b, 56); err != nil {
			return err
		}
		m.InstallSnapshotResponse = core.InstallSnapshotResponse{
			Snapshot: entryID(b),
			Sum:      u64(b[16:]),
			Received: u64(b[24:]),
			Match:    core.Index(u64(b[32:])),
			Round:    u64(b[40:]),
			Sent:     u64(b[48:]),
		}
	case core.KindReadIndex:
		if err := exactly(b, 24); err != nil {
			return err
		}
		m.ReadIndex.ID = readID(b)
	case core.KindReadIndexResponse:
		if err := exactly(b, 33); err != nil {
			return err
		}
		m.ReadIndexResponse = core.ReadIndexResponse{
			ID:      readID(b),
			Index:   core.Index(u64(b[24:])),
			Refused: core.RefusalReason(b[32]),
		}
	case core.KindTimeoutNow:
		if err := exactly(b, 16); err != nil {
			return err
		}
		m.TimeoutNow.Last = entryID(b)
	default:
		return ErrKind
	}
	return nil
}

func decodeAppendEntries(b []byte, a *core.AppendEntries, entries []core.Entry) error {
	if len(b) < 53 {
		return ErrTruncated
	}
	if b[0]&^flagLost != 0 {
		return ErrForm
	}
	a.Lost = b[0]&flagLost != 0
	b = b[1:]
	a.Prev = entryID(b)
	a.PrevDigest = u64(b[16:])
	a.Commit = core.Index(u64(b[24:]))
	a.Round = u64(b[32:])
	a.Sent = u64(b[40:])
	count := uint64(binary.LittleEndian.Uint32(b[48:]))
	b = b[52:]
	if count > uint64(len(b)/entryHeadBytes) {
		return ErrTruncated
	}
	entries = slices.Grow(entries, int(count))[:count]
	bytes := len(b) - int(count)*entryHeadBytes
	for i := range entries {
		var err error
		if b, err = DecodeEntry(b, &entries[i]); err != nil {
			clear(entries)
			return err
		}
	}
	if len(b) > 0 {
		clear(entries)
		return ErrTrailing
	}
	if bytes > 0 {
		arena := make([]byte, 0, bytes)
		for i := range entries {
			if n := len(entries[i].Data); n > 0 {
				at := len(arena)
				arena = append(arena, entries[i].Data...)
				entries[i].Data = arena[at : at+n : at+n]
			}
		}
	}
	a.Entries = entries
	return nil
}

func decodeInstallSnapshot(b []byte, s *core.InstallSnapshot, members core.Configuration) error {
	s.Snapshot.Configuration = members
	b, err := DecodeSnapshot(b, &s.Snapshot)
	if err != nil {
		return err
	}
	if len(b) < 28 {
		return ErrTruncated
	}
	s.Offset = u64(b)
	s.Round = u64(b[8:])
	s.Sent = u64(b[16:])
	s.Length = binary.LittleEndian.Uint32(b[24:])
	b = b[28:]
	if err := exactly(b, uint64(s.Length)); err != nil {
		return err
	}
	s.Data = b[:len(b):len(b)]
	return nil
}

func exactly(b []byte, n uint64) error {
	switch {
	case uint64(len(b)) < n:
		return ErrTruncated
	case uint64(len(b)) > n:
		return ErrTrailing
	}
	return nil
}

func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func entryID(b []byte) core.EntryID {
	return core.EntryID{Term: core.Term(u64(b)), Index: core.Index(u64(b[8:]))}
}

func readID(b []byte) core.ReadID {
	return core.ReadID{Replica: core.ReplicaID(u64(b)), Boot: core.Boot(u64(b[8:])), Counter: u64(b[16:])}
}
