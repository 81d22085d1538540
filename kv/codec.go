package kv

// What commands and replies have in common as bytes. u is an unsigned varint
// as in encoding/binary, at most 10 bytes; z is a signed number, zigzag, as u;
// bytes are u(length) and then so many. The rest is drawn in command.go and
// reply.go.
//
// The encoding is canonical: what decodes, encodes to the same bytes. So a
// number in more bytes than it needs, a field marked present that is zero, an
// unknown flag and a byte too many are all errors. There is no checksum:
// whoever carries or stores these bytes has one.

import "encoding/binary"

const codecVersion = 1

// decoder takes fields from the front of b. Once failed, it yields zeros.
type decoder struct {
	b        []byte
	failed   bool // not the encoding of anything
	tooLarge bool // well formed so far, but beyond a bound
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.failed = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 { // nearly all lengths
		c := d.b[0]
		d.b = d.b[1:]
		return uint64(c)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.b[n-1] == 0 { // the last byte of a longer number is never zero
		d.failed, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > 1<<32-1 {
		d.failed = true
		return 0
	}
	return uint32(v)
}

// count is the length of a list of at most max. Beyond that, the rest is not
// worth reading.
func (d *decoder) count(max int) int {
	v := d.uvarint()
	if v > uint64(max) {
		d.tooLarge, d.b = true, nil
		return 0
	}
	return int(v)
}

func (d *decoder) key() []byte   { return d.bytes(KeyBytesMax) }
func (d *decoder) value() []byte { return d.bytes(ValueBytesMax) }

// bytes aliases b; what it returns has no room to grow into its neighbour.
func (d *decoder) bytes(max int) []byte {
	n := d.uvarint()
	if d.failed || n > uint64(len(d.b)) {
		d.failed, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	if n > uint64(max) {
		d.tooLarge = true
		return nil
	}
	return v
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// name is names[i], or "?" where there is none.
func name(names []string, i uint8) string {
	if int(i) < len(names) && names[i] != "" {
		return names[i]
	}
	return "?"
}
