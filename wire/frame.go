package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A stream carries frames, whatever is in them:
//
//	 0            4            8
//	┌────────────┬────────────┬─────────┐
//	│ length:u32 │ crc32c     │ payload │
//	│            │ of length  │         │
//	└────────────┴────────────┴─────────┘
//
// The payload has its own checksum, where it needs one. The length has one
// because a wrong length would otherwise be noticed only when bytes arrive
// that may never be sent.
const frameHeadBytes = 8

// ErrFrame: what should be the head of a frame is not.
var ErrFrame = errors.New("wire: not a frame")

// BeginFrame appends room for the head of a frame; the payload is appended
// next, and EndFrame completes the frame.
func BeginFrame(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
}

// EndFrame fills in the head of the frame that begins at offset begin of b, the
// length of dst before BeginFrame, and ends where b ends. The payload must be
// shorter than 4 GiB.
func EndFrame(b []byte, begin int) []byte {
	head := b[begin : begin+frameHeadBytes]
	binary.LittleEndian.PutUint32(head, uint32(len(b)-begin-frameHeadBytes))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(head[:4], castagnoli))
	return b
}

// AppendFrame appends a frame with the given payload.
func AppendFrame(dst, payload []byte) []byte {
	return EndFrame(append(BeginFrame(dst), payload...), len(dst))
}

// FrameReader reads frames from a stream. However the stream is cut into
// reads, the frames come whole.
type FrameReader struct {
	r        io.Reader
	bytesMax int // of one payload
	buf      []byte
	begin    int // buf[begin:end] was read and not handed out
	end      int
	err      error
}

// readBytes is the size of the buffer to begin with. A longer frame makes it
// grow as its bytes arrive, ahead of them by at most a factor of four; what it
// has grown to, it keeps.
const readBytes = 16 << 10

// NewFrameReader reads from r frames of at most payloadBytesMax each, which is
// at most MessageBytesMax.
func NewFrameReader(r io.Reader, payloadBytesMax int) *FrameReader {
	return &FrameReader{r: r, bytesMax: min(payloadBytesMax, MessageBytesMax), buf: make([]byte, readBytes)}
}

// Next returns the payload of the next frame, which is valid until the call
// after. It returns io.EOF if the stream ends where a frame does, and
// io.ErrUnexpectedEOF if within one. After an error there is no way to find
// the next frame, and the same error comes again.
func (f *FrameReader) Next() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	if err := f.fill(frameHeadBytes); err != nil {
		return nil, f.fail(err)
	}
	head := f.buf[f.begin:]
	if crc32.Checksum(head[:4], castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, f.fail(ErrFrame)
	}
	n := uint64(binary.LittleEndian.Uint32(head))
	if n > uint64(f.bytesMax) {
		return nil, f.fail(ErrTooLarge)
	}
	if err := f.fill(frameHeadBytes + int(n)); err != nil {
		return nil, f.fail(err)
	}
	payload := f.buf[f.begin+frameHeadBytes:][:n:n]
	f.begin += frameHeadBytes + int(n)
	return payload, nil
}

func (f *FrameReader) fail(err error) error {
	f.err = err
	return err
}

// fill reads until n bytes are there. Reads that bring nothing are tried again
// a bounded number of times.
func (f *FrameReader) fill(n int) error {
	for idle := 0; f.end-f.begin < n; {
		f.makeRoom(n)
		k, err := f.r.Read(f.buf[f.end:])
		if k < 0 || k > len(f.buf)-f.end {
			panic("wire: a reader read more than it was asked for")
		}
		f.end += k
		switch {
		case f.end-f.begin >= n:
			// An error that came with the last bytes comes again.
			return nil
		case err == io.EOF && f.end > f.begin:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case k > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// makeRoom sees to it that there is room behind end, on the way to n bytes
// from begin on.
func (f *FrameReader) makeRoom(n int) {
	if f.begin > 0 {
		// Part of a frame at most is moved, once per frame that is not there whole.
		f.end = copy(f.buf, f.buf[f.begin:f.end])
		f.begin = 0
	}
	if n > len(f.buf) && f.end >= len(f.buf)/2 {
		grown := make([]byte, min(n, 2*len(f.buf)))
		copy(grown, f.buf[:f.end])
		f.buf = grown
	}
}
