package kv

// A snapshot as a stream of bytes. All fixed numbers are little endian; u and
// bytes are those of codec.go.
//
//	stream   "SWKVSNAP"  u32(format=1)  block...
//	block    u32(size)  size bytes of the body  u32(crc)
//
//	body     u64 × 3   Limits: SessionsMax, SessionBytesMax, SessionTicks
//	         u64 × 3   index, log time, revision
//	         u64 × 2   how many sessions, how many keys
//	         u64       digest of the state
//	         session × { u(id) u(serial) u(active) bytes(reply) }   ids ascend
//	         key     × { bytes(key) u(version) bytes(value) }       keys ascend
//
// A block holds exactly blockBytes of the body, but for the last, which holds
// the rest, at least one byte, and has lastBlock set in its size. crc is the
// CRC-32C of all bytes before it in the stream, from the first: so blocks can
// be neither exchanged nor left out, and damage shows in the block that has
// it. Equal states make equal bytes.
//
// The stream is trusted as little as the disk and the network that it went
// through. A reader never makes room for more than one block, one key and one
// value before it has seen the bytes; what it has seen must be canonical and
// within bounds; and at the end, the digest, made again from all that was
// read, must be the one in the body, which the writer has kept up with every
// write since the state was empty.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/google/btree"
)

const (
	snapshotMagic  = "SWKVSNAP"
	snapshotFormat = 1

	// blockBytes is how much of the body a block holds, in bytes.
	blockBytes = 32 << 10
	lastBlock  = 1 << 31
)

var (
	// ErrBadSnapshot: the bytes are not a snapshot, or not all of one, or not
	// what was written.
	ErrBadSnapshot = errors.New("kv: bad snapshot")
	// ErrOtherLimits: the snapshot was made by a machine with other Limits.
	ErrOtherLimits = errors.New("kv: snapshot of a machine with other limits")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot is a state of a Machine, kept as it was. It has an owner of its
// own: it may be written while the machine goes on, also from elsewhere.
type Snapshot struct {
	limits   Limits
	index    uint64
	time     uint64
	revision uint64
	digest   uint64
	records  *btree.BTreeG[*record]
	sessions *btree.BTreeG[*session]
}

// Snapshot keeps the state as it is now, as a *Snapshot. It takes no longer
// for a large state than for a small one; what it costs comes after, when each
// key is copied before its first change.
func (m *Machine) Snapshot() io.WriterTo {
	m.owner = new(owner)
	return &Snapshot{
		limits:   m.limits,
		index:    m.index,
		time:     m.time,
		revision: m.revision,
		digest:   m.Digest(),
		records:  m.records.Clone(),
		sessions: m.table.byID.Clone(),
	}
}

// Index is that of the last entry that the snapshot includes.
func (s *Snapshot) Index() uint64 { return s.index }

// Digest of the state.
func (s *Snapshot) Digest() uint64 { return s.digest }

// WriteTo writes the stream. It makes the digest of the state again on the
// way, and panics when it is not the one that was kept up with the writes:
// such a state must not get to another replica.
func (s *Snapshot) WriteTo(dst io.Writer) (int64, error) {
	w := newBlockWriter(dst)
	for _, v := range [...]uint64{
		s.limits.SessionsMax, s.limits.SessionBytesMax, s.limits.SessionTicks,
		s.index, s.time, s.revision,
		uint64(s.sessions.Len()), uint64(s.records.Len()),
		s.digest,
	} {
		w.uint64(v)
	}
	var keySum, sessionSum uint64
	s.sessions.Ascend(func(x *session) bool {
		w.uvarint(x.id)
		w.uvarint(x.serial)
		w.uvarint(x.active)
		w.bytes(x.reply)
		sessionSum += sessionDigest(x)
		return w.err == nil
	})
	s.records.Ascend(func(r *record) bool {
		w.bytes(r.key)
		w.uvarint(r.version)
		w.bytes(r.value)
		keySum += recordDigest(r.key, r.value, r.version)
		return w.err == nil
	})
	if w.err != nil {
		return w.n, w.err
	}
	if full := stateDigest(s.limits, s.time, s.revision, keySum, sessionSum); full != s.digest {
		panic(fmt.Sprintf("kv: at index %d, revision %d the digest kept up with the writes is %#x, made again it is %#x",
			s.index, s.revision, s.digest, full))
	}
	w.flush(true)
	return w.n, w.err
}

// Restore makes the state what the stream says, all of it: the stream ends
// where r does. On an error the machine is as it was: ErrBadSnapshot and
// ErrOtherLimits, with the reason, or r's own error.
func (m *Machine) Restore(r io.Reader) error {
	s := newBlockReader(r)
	s.start()
	var h [9]uint64
	for i := range h {
		h[i] = s.uint64()
	}
	if s.err != nil {
		return s.err
	}
	fresh := New(m.limits)
	if got := (Limits{h[0], h[1], h[2]}); got != m.limits {
		return fmt.Errorf("%w: %+v, not %+v", ErrOtherLimits, got, m.limits)
	}
	fresh.index, fresh.time, fresh.revision = h[3], h[4], h[5]
	sessions, keys, want := h[6], h[7], h[8]
	if err := fresh.restoreSessions(s, sessions); err != nil {
		return err
	}
	if err := fresh.restoreRecords(s, keys); err != nil {
		return err
	}
	s.end()
	if s.err != nil {
		return s.err
	}
	if got := fresh.Digest(); got != want {
		return badSnapshot("digest %#x of what was read, %#x of what was written", got, want)
	}
	*m = *fresh
	return nil
}

func (m *Machine) restoreSessions(s *blockReader, n uint64) error {
	if n > m.limits.SessionsMax {
		return badSnapshot("%d sessions", n)
	}
	var before uint64
	var replies int
	for i := uint64(0); i < n; i++ {
		x := &session{id: s.uvarint(), serial: s.uvarint(), active: s.uvarint(), owner: m.owner}
		x.reply = s.bytes(ReplyBytesMax)
		if s.err != nil {
			return s.err
		}
		if x.id <= before || x.id > m.index {
			return badSnapshot("session %d after %d, at index %d", x.id, before, m.index)
		}
		before = x.id
		if x.active > m.time || m.time-x.active > m.limits.SessionTicks {
			return badSnapshot("session %d active at %d, at log time %d", x.id, x.active, m.time)
		}
		if (x.serial == 0) != (len(x.reply) == 0) {
			return badSnapshot("session %d with serial %d and a reply of %d bytes", x.id, x.serial, len(x.reply))
		}
		if x.serial != 0 {
			replies++
			if DecodeReply(x.reply, &m.reply) != nil {
				return badSnapshot("the reply of session %d is none", x.id)
			}
		}
		m.table.add(x)
	}
	m.begin()
	if m.table.bytes > m.limits.SessionBytesMax && replies > 1 {
		return badSnapshot("%d bytes in %d replies", m.table.bytes, replies)
	}
	return nil
}

func (m *Machine) restoreRecords(s *blockReader, n uint64) error {
	var before []byte
	for i := uint64(0); i < n; i++ {
		r := &record{key: s.bytes(KeyBytesMax), version: s.uvarint(), value: s.bytes(ValueBytesMax), owner: m.owner}
		if s.err != nil {
			return s.err
		}
		if i > 0 && bytes.Compare(r.key, before) <= 0 {
			return badSnapshot("key %q after %q", r.key, before)
		}
		before = r.key
		if r.version == 0 || r.version > m.revision {
			return badSnapshot("key %q with version %d at revision %d", r.key, r.version, m.revision)
		}
		r.digest = recordDigest(r.key, r.value, r.version)
		m.keySum += r.digest
		m.records.ReplaceOrInsert(r)
	}
	return nil
}

func badSnapshot(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadSnapshot}, args...)...)
}

// blockWriter cuts the body into blocks. After an error it writes nothing.
type blockWriter struct {
	dst io.Writer
	n   int64 // bytes written
	crc uint32
	err error
	// block is u32(size), the body's bytes so far, and at last u32(crc).
	block []byte
}

const blockHeaderBytes = 4

func newBlockWriter(dst io.Writer) *blockWriter {
	w := &blockWriter{dst: dst}
	w.write(binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotFormat))
	w.block = make([]byte, blockHeaderBytes, 1<<10)
	return w
}

// write writes through and counts.
func (w *blockWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	w.crc = crc32.Update(w.crc, castagnoli, b)
	n, err := w.dst.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	w.n += int64(n)
	w.err = err
}

// flush ends a block. A full one is kept back until another byte comes: it may
// be the last.
func (w *blockWriter) flush(last bool) {
	size := uint32(len(w.block) - blockHeaderBytes)
	if last {
		size |= lastBlock
	}
	binary.LittleEndian.PutUint32(w.block, size)
	crc := crc32.Update(w.crc, castagnoli, w.block)
	w.write(binary.LittleEndian.AppendUint32(w.block, crc))
	w.block = w.block[:blockHeaderBytes]
}

func (w *blockWriter) body(b []byte) {
	for len(b) > 0 {
		room := blockHeaderBytes + blockBytes - len(w.block)
		if room == 0 {
			w.flush(false)
			continue
		}
		n := min(room, len(b))
		w.block = append(w.block, b[:n]...)
		b = b[n:]
	}
}

func (w *blockWriter) uint64(v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	w.body(b[:])
}

func (w *blockWriter) uvarint(v uint64) {
	var b [binary.MaxVarintLen64]byte
	w.body(b[:binary.PutUvarint(b[:], v)])
}

func (w *blockWriter) bytes(b []byte) {
	w.uvarint(uint64(len(b)))
	w.body(b)
}

// blockReader gives out the body, as far as its blocks were found whole. After
// an error it yields zeros.
type blockReader struct {
	src   io.Reader
	crc   uint32
	err   error
	last  bool   // block is from the last one
	block []byte // what is left of the block at hand
	room  []byte // where blocks are read to
	word  [4]byte
}

func newBlockReader(src io.Reader) *blockReader { return &blockReader{src: src} }

func (r *blockReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = badSnapshot(format, args...)
	}
	r.block = nil
}

// read fills b, and says whether it could.
func (r *blockReader) read(b []byte) bool {
	if r.err != nil {
		return false
	}
	switch _, err := io.ReadFull(r.src, b); err {
	case nil:
		r.crc = crc32.Update(r.crc, castagnoli, b)
		return true
	case io.EOF, io.ErrUnexpectedEOF:
		r.fail("it ends too early")
	default:
		r.err, r.block = err, nil
	}
	return false
}

func (r *blockReader) start() {
	var b [len(snapshotMagic) + 4]byte
	if !r.read(b[:]) {
		return
	}
	if string(b[:len(snapshotMagic)]) != snapshotMagic {
		r.fail("it begins with %q", b[:len(snapshotMagic)])
		return
	}
	if f := binary.LittleEndian.Uint32(b[len(snapshotMagic):]); f != snapshotFormat {
		r.fail("format %d, not %d", f, snapshotFormat)
	}
}

// next reads one block, checks it, and says whether it could.
func (r *blockReader) next() bool {
	if r.last {
		r.fail("the body ends too early")
	}
	b := r.word[:]
	if !r.read(b) {
		return false
	}
	size := binary.LittleEndian.Uint32(b)
	r.last = size&lastBlock != 0
	size &^= lastBlock
	if size == 0 || size > blockBytes || size < blockBytes && !r.last {
		r.fail("a block of %d bytes", size)
		return false
	}
	if uint32(cap(r.room)) < size {
		r.room = make([]byte, size)
	}
	block := r.room[:size]
	if !r.read(block) {
		return false
	}
	want := r.crc
	if !r.read(b) {
		return false
	}
	if got := binary.LittleEndian.Uint32(b); got != want {
		r.fail("checksum %#08x, of a block that has %#08x", got, want)
		return false
	}
	r.block = block
	return true
}

// end fails unless the body and the stream end here.
func (r *blockReader) end() {
	if len(r.block) > 0 || !r.last {
		r.fail("bytes left over")
		return
	}
	var b [1]byte
	switch _, err := io.ReadFull(r.src, b[:]); err {
	case io.EOF:
	case nil:
		r.fail("bytes behind the last block")
	default:
		r.err = err
	}
}

// fill fills b from the body.
func (r *blockReader) fill(b []byte) {
	for len(b) > 0 {
		if len(r.block) == 0 && !r.next() {
			return
		}
		n := copy(b, r.block)
		b, r.block = b[n:], r.block[n:]
	}
}

func (r *blockReader) uint64() uint64 {
	var b [8]byte
	r.fill(b[:])
	if r.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

func (r *blockReader) uvarint() uint64 {
	if len(r.block) > 0 && r.block[0] < 0x80 { // nearly all lengths
		c := r.block[0]
		r.block = r.block[1:]
		return uint64(c)
	}
	var b [binary.MaxVarintLen64]byte
	n := 0
	for {
		if n == len(b) {
			r.fail("a number that does not end")
			return 0
		}
		r.fill(b[n : n+1])
		if r.err != nil {
			return 0
		}
		n++
		if b[n-1] < 0x80 {
			break
		}
	}
	v, k := binary.Uvarint(b[:n])
	if k != n || n > 1 && b[n-1] == 0 {
		r.fail("a number that is not canonical")
		return 0
	}
	return v
}

// bytes are a copy, of at most max.
func (r *blockReader) bytes(max uint64) []byte {
	n := r.uvarint()
	if n > max {
		r.fail("%d bytes where there may be %d", n, max)
	}
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	r.fill(b)
	return b
}
