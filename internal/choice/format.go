package choice

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A tape as bytes:
//
//	magic "swtape"     6 bytes
//	version            1 byte
//	body               deflated
//	checksum           CRC-32C of all before, 4 bytes, little endian
//
// The body, with every number a uvarint:
//
//	complete           1 or 0
//	streams            their number, then for each: length of the name, name, A, B
//	decisions          their number n, then four columns of n:
//	  order            0 where the stream is the one that followed the stream
//	                   before it the last time, otherwise stream + 1
//	  alternatives     0 where they are as many as at the last decision of this
//	                   stream, otherwise how many
//	  gaps             occurrences of this stream left out since the last one
//	  values           one byte each
//
// Nearly all of order, alternatives and gaps is 0, of which deflate makes next
// to nothing. What remains is the values. The deflated form may differ from
// one Go release to the next; it is always read.

const (
	tapeMagic   = "swtape"
	tapeVersion = 1

	// Bounds of a tape that is read. Memory grows only as bytes arrive: at
	// most about 25 KB per byte of input, and never above 600 MB.
	streamsMax   = 1 << 16
	nameMax      = 64 // bytes
	decisionsMax = 1 << 24

	maxUint32 = 1<<32 - 1
	maxUint64 = 1<<64 - 1
)

// ErrTape is the error, wrapped with what is wrong, for bytes that are no tape.
var ErrTape = errors.New("choice: not a tape")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary fails only for tapes larger than the format's bounds: 2^24
// decisions, 2^16 streams, 64 bytes for a name.
func (t *Tape) MarshalBinary() ([]byte, error) {
	body, err := t.appendBody(nil)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(tapeMagic)
	b.WriteByte(tapeVersion)
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint32(b.Bytes(), crc32.Checksum(b.Bytes(), castagnoli)), nil
}

func (t *Tape) appendBody(b []byte) ([]byte, error) {
	// Streams that nothing refers to any more are left out.
	numbers := make([]uint32, len(t.streams)) // as written, + 1
	var streams []Name
	for i := range t.entries {
		if st := t.entries[i].stream; numbers[st] == 0 {
			streams = append(streams, t.streams[st])
			numbers[st] = uint32(len(streams))
		}
	}
	if len(streams) > streamsMax || len(t.entries) > decisionsMax {
		return nil, fmt.Errorf("choice: tape with %d streams and %d decisions is too large", len(streams), len(t.entries))
	}

	complete := byte(0)
	if t.complete {
		complete = 1
	}
	b = append(b, complete)
	b = binary.AppendUvarint(b, uint64(len(streams)))
	for _, n := range streams {
		if len(n.Name) > nameMax {
			return nil, fmt.Errorf("choice: stream name %q is too long for a tape", n.Name)
		}
		b = binary.AppendUvarint(b, uint64(len(n.Name)))
		b = append(b, n.Name...)
		b = binary.AppendUvarint(b, n.A)
		b = binary.AppendUvarint(b, n.B)
	}

	b = binary.AppendUvarint(b, uint64(len(t.entries)))
	p := newPredictor(len(streams))
	for i := range t.entries {
		st := numbers[t.entries[i].stream] // number + 1, as the column has it
		if p.next() == st-1 {
			b = append(b, 0)
		} else {
			b = binary.AppendUvarint(b, uint64(st))
		}
		p.saw(st - 1)
	}
	last := make([]uint16, len(t.streams))
	for i := range t.entries {
		e := &t.entries[i]
		if last[e.stream] == e.alternatives {
			b = append(b, 0)
		} else {
			b = binary.AppendUvarint(b, uint64(e.alternatives))
		}
		last[e.stream] = e.alternatives
	}
	expected := make([]uint32, len(t.streams))
	for i := range t.entries {
		e := &t.entries[i]
		b = binary.AppendUvarint(b, uint64(e.occurrence-expected[e.stream]))
		expected[e.stream] = e.occurrence + 1
	}
	for i := range t.entries {
		b = append(b, t.entries[i].value)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote. Anything else is ErrTape,
// and leaves t as it was.
func (t *Tape) UnmarshalBinary(b []byte) error {
	const head = len(tapeMagic) + 1
	switch {
	case len(b) < head+4 || string(b[:len(tapeMagic)]) != tapeMagic:
		return fmt.Errorf("%w: no header", ErrTape)
	case b[head-1] != tapeVersion:
		return fmt.Errorf("%w: version %d, want %d", ErrTape, b[head-1], tapeVersion)
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return fmt.Errorf("%w: checksum", ErrTape)
	}
	// A bytes.Reader gives single bytes, so flate takes no more than its own.
	packed := bytes.NewReader(b[head:end])
	r := tapeReader{in: bufio.NewReader(flate.NewReader(packed))}
	got := r.body()
	if r.err == nil {
		if _, err := r.in.ReadByte(); err != io.EOF || packed.Len() > 0 {
			r.fail("bytes after the end")
		}
	}
	if r.err != nil {
		return r.err
	}
	*t = *got
	return nil
}

// MarshalText is MarshalBinary in base64, so that a tape is a string in JSON.
func (t *Tape) MarshalText() ([]byte, error) {
	b, err := t.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Tape) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrTape, err)
	}
	return t.UnmarshalBinary(b)
}

// tapeReader reads a body. After the first error all numbers are 0.
type tapeReader struct {
	in  *bufio.Reader
	err error
}

func (r *tapeReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrTape, what)
	}
}

// number reads a number up to limit.
func (r *tapeReader) number(what string, limit uint64) uint64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r.in)
	if err != nil || n > limit {
		r.fail(what)
		return 0
	}
	return n
}

func (r *tapeReader) body() *Tape {
	t := &Tape{complete: r.number("complete", 1) == 1}
	r.names(t)
	n := int(r.number("number of decisions", decisionsMax))
	if n > 0 && len(t.streams) == 0 {
		r.fail("decisions without streams")
	}

	p := newPredictor(len(t.streams))
	for i := 0; i < n && r.err == nil; i++ {
		st := uint32(r.number("order", uint64(len(t.streams))))
		if st == 0 {
			st = p.next()
		} else {
			st--
		}
		p.saw(st)
		t.entries = append(t.entries, entry{stream: st})
	}
	if r.err != nil {
		return nil
	}
	last := make([]uint16, len(t.streams))
	for i := range t.entries {
		e := &t.entries[i]
		if a := uint16(r.number("alternatives", AlternativesMax)); a != 0 {
			last[e.stream] = a
		}
		e.alternatives = last[e.stream]
		if e.alternatives == 0 {
			r.fail("no alternatives")
		}
	}
	expected := make([]uint64, len(t.streams))
	for i := range t.entries {
		e := &t.entries[i]
		at := expected[e.stream] + r.number("gap", maxUint32)
		if at > maxUint32 || t.complete && at != expected[e.stream] {
			r.fail("gap")
		}
		e.occurrence = uint32(at)
		expected[e.stream] = at + 1
	}
	for i := range t.entries {
		e := &t.entries[i]
		v, err := r.in.ReadByte()
		if err != nil || uint16(v) >= e.alternatives {
			r.fail("value")
			break
		}
		e.value = v
	}
	return t
}

func (r *tapeReader) names(t *Tape) {
	n := r.number("number of streams", streamsMax)
	known := make(map[Name]bool)
	name := make([]byte, nameMax)
	for range n {
		b := name[:r.number("length of a name", nameMax)]
		if _, err := io.ReadFull(r.in, b); err != nil {
			r.fail("name")
		}
		id := Name{string(b), r.number("A", maxUint64), r.number("B", maxUint64)}
		if known[id] {
			r.fail("two streams of one name")
		}
		if r.err != nil {
			return
		}
		known[id] = true
		t.streams = append(t.streams, id)
	}
}

// predictor guesses the next stream: the one that came next last time. At
// first it guesses the one after it in the table, which is in order of first
// use.
type predictor struct {
	followed []uint32 // by stream + 1; 0 is the start
	last     uint32   // stream + 1
}

func newPredictor(streams int) *predictor {
	p := &predictor{followed: make([]uint32, streams+1)}
	for i := range p.followed {
		p.followed[i] = uint32(min(i, max(streams-1, 0)))
	}
	return p
}

func (p *predictor) next() uint32 { return p.followed[p.last] }

func (p *predictor) saw(stream uint32) {
	p.followed[p.last] = stream
	p.last = stream + 1
}
