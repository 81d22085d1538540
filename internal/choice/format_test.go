package choice

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

// wrapBody puts any bytes into a well-formed file.
func wrapBody(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(tapeMagic)
	b.WriteByte(tapeVersion)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.AppendUint32(b.Bytes(), crc32.Checksum(b.Bytes(), castagnoli))
}

// Every tape that decodes can be replayed; what could not be is refused.
func TestBodyIsChecked(t *testing.T) {
	u := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	body := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	name := []byte{1, 'x', 0, 0}
	one := []byte{1}
	for what, b := range map[string][]byte{
		"empty":                     {},
		"complete is 2":             {2, 0, 0},
		"too many streams":          body(one, u(streamsMax+1)),
		"name too long":             body(one, one, u(nameMax+1)),
		"name cut":                  {1, 1, 5, 'x'},
		"two of a name":             body(one, u(2), name, name, u(0)),
		"too many decisions":        body(one, one, name, u(decisionsMax+1)),
		"decisions without streams": {1, 0, 1, 0, 2, 0, 0},
		"order out of range":        body(one, one, name, u(1), u(2), u(2), u(0), one),
		"decisions cut":             body(one, one, name, u(decisionsMax), u(1)),
		"no alternatives":           body(one, one, name, u(1), u(1), u(0), u(0), u(0)),
		"too many alternatives":     body(one, one, name, u(1), u(1), u(257), u(0), u(0)),
		"gap in a complete tape":    body(one, one, name, u(1), u(1), u(2), u(1), one),
		"gap too wide":              body(u(0), one, name, u(2), u(1), u(0), u(2), u(0), u(1<<32-1), u(0), one, one),
		"value no alternative":      body(one, one, name, u(1), u(1), u(2), u(0), u(2)),
		"value missing":             body(one, one, name, u(1), u(1), u(2), u(0)),
		"bytes after the end":       body(one, one, name, u(1), u(1), u(2), u(0), u(1), u(0)),
	} {
		t.Run(what, func(t *testing.T) {
			var tape Tape
			if err := tape.UnmarshalBinary(wrapBody(t, b)); !errors.Is(err, ErrTape) {
				t.Fatalf("read as %+v, error %v", tape, err)
			}
		})
	}
	t.Run("bytes between body and checksum", func(t *testing.T) {
		b := wrapBody(t, body(one, u(0), u(0)))
		b = append(b[:len(b)-4], 'x')
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
		if err := new(Tape).UnmarshalBinary(b); !errors.Is(err, ErrTape) {
			t.Fatal(err)
		}
	})
	// The neighbour of all these is read.
	var tape Tape
	if err := tape.UnmarshalBinary(wrapBody(t, body(one, one, name, u(1), u(1), u(2), u(0), u(1)))); err != nil {
		t.Fatal(err)
	}
	if got, want := tape.At(0), (Decision{Name{"x", 0, 0}, 0, 2, 1}); tape.Len() != 1 || got != want {
		t.Fatalf("read %v, want %v", got, want)
	}
}
