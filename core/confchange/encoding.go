package confchange

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core/ids"
)

// A configuration as bytes, in entries of the log and in snapshots. Numbers
// are little-endian; each list has its length, a u8, before it.
//
//	 0         1        9        17         25
//	┌─────────┬────────┬────────┬──────────┬────────┬──────────┬──────────┬─────────┬─────────┐
//	│ version │ term   │ index  │ highest  │ voters │ outgoing │ learners │ planned │ members │
//	│ u8 = 2  │ u64    │ u64    │ u64      │ u64... │ u64...   │ u64...   │         │         │
//	└─────────┴────────┴────────┴──────────┴────────┴──────────┴──────────┴─────────┴─────────┘
//
// An operation that is planned is kind:u8 and id:u64; a member is id:u64,
// priority:u8, length:u8 and that many bytes of address. There is one way to
// write each configuration.
const encodingVersion = 2

// Append appends the encoding of c, which has to keep to the bounds of Check.
func (c *Configuration) Append(dst []byte) []byte {
	le := binary.LittleEndian
	b := append(dst, encodingVersion)
	b = le.AppendUint64(b, uint64(c.Term))
	b = le.AppendUint64(b, uint64(c.Index))
	b = le.AppendUint64(b, uint64(c.Highest))
	for _, set := range [...][]ids.ReplicaID{c.Voters, c.Outgoing, c.Learners} {
		b = append(b, byte(len(set)))
		for _, id := range set {
			b = le.AppendUint64(b, uint64(id))
		}
	}
	b = append(b, byte(len(c.Planned)))
	for _, op := range c.Planned {
		b = le.AppendUint64(append(b, byte(op.Kind)), uint64(op.ID))
	}
	b = append(b, byte(len(c.Members)))
	for i := range c.Members {
		m := &c.Members[i]
		b = append(le.AppendUint64(b, uint64(m.ID)), m.Priority, byte(len(m.Address)))
		b = append(b, m.Address...)
	}
	return b
}

// Encodes says whether b is the encoding of c. It allocates nothing as long as
// c is of ordinary size.
func (c *Configuration) Encodes(b []byte) bool {
	var own [1024]byte
	return bytes.Equal(c.Append(own[:0]), b)
}

// Decode is the configuration that b encodes, and nothing else. Whether it is
// one that decides is for Check to say. Its slices are fresh.
func Decode(b []byte) (Configuration, error) {
	d := decoder{b: b}
	version := d.u8()
	c := Configuration{EntryID: ids.EntryID{Term: ids.Term(d.u64()), Index: ids.Index(d.u64())}, Highest: ids.ReplicaID(d.u64())}
	for _, set := range [...]*[]ids.ReplicaID{&c.Voters, &c.Outgoing, &c.Learners} {
		n := d.count(8)
		for range n {
			*set = append(*set, ids.ReplicaID(d.u64()))
		}
	}
	n := d.count(9)
	for range n {
		c.Planned = append(c.Planned, Planned{OperationKind(d.u8()), ids.ReplicaID(d.u64())})
	}
	n = d.count(10)
	for range n {
		m := Member{ID: ids.ReplicaID(d.u64()), Priority: d.u8()}
		m.Address = string(d.bytes(int(d.u8())))
		c.Members = append(c.Members, m)
	}
	if d.short || len(d.b) > 0 || version != encodingVersion {
		return Configuration{}, fmt.Errorf("%w: %d bytes of version %d", ErrForm, len(b), version)
	}
	return c, nil
}

// decoder takes from the front of b, and zeros once that is too short.
type decoder struct {
	b     []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.short = true
		d.b = nil
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) u8() uint8 {
	if t := d.bytes(1); t != nil {
		return t[0]
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if t := d.bytes(8); t != nil {
		return binary.LittleEndian.Uint64(t)
	}
	return 0
}

// count is the length of a list of elements of at least bytesMin each.
func (d *decoder) count(bytesMin int) int {
	n := int(d.u8())
	if n*bytesMin > len(d.b) {
		d.short = true
		return 0
	}
	return n
}
