package progress

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/core/ids"
	"pgregory.net/rapid"
)

func TestWindowIsBoundedInMessagesAndBytes(t *testing.T) {
	w := NewWindow(3, 100)
	for i := ids.Index(1); i <= 3; i++ {
		if w.Full() {
			t.Fatalf("full after %d appends", i-1)
		}
		w.Add(i, 10)
	}
	if !w.Full() {
		t.Fatal("three messages fit, a fourth must not")
	}
	w.Free(2)
	if w.Full() || w.Len() != 1 || w.Bytes() != 10 {
		t.Fatalf("after freeing two: %d messages, %d bytes", w.Len(), w.Bytes())
	}
	w.Add(4, 90)
	if !w.Full() || w.Room() != 0 {
		t.Fatal("100 bytes are out, nothing more must fit")
	}
	w.Reset()
	w.Add(5, 1000)
	if w.Len() != 1 || !w.Full() {
		t.Fatal("one append larger than the window must fit into an empty one, and fill it")
	}
}

func TestWindowAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := NewWindow(4, 50)
		type sent struct {
			last  ids.Index
			bytes uint64
		}
		var list []sent
		last := ids.Index(0)
		for range 50 {
			if rapid.Bool().Draw(t, "send") && !w.Full() {
				last += ids.Index(rapid.IntRange(1, 3).Draw(t, "entries"))
				b := rapid.Uint64Range(1, 30).Draw(t, "bytes")
				w.Add(last, b)
				list = append(list, sent{last, b})
			} else {
				match := ids.Index(rapid.Uint64Range(0, uint64(last)).Draw(t, "match"))
				w.Free(match)
				for len(list) > 0 && list[0].last <= match {
					list = list[1:]
				}
			}
			var bytes uint64
			for _, s := range list {
				bytes += s.bytes
			}
			if w.Len() != len(list) || w.Bytes() != bytes || len(list) > 4 {
				t.Fatalf("window %d/%d, list %d/%d", w.Len(), w.Bytes(), len(list), bytes)
			}
			c := w.Clone()
			i := 0
			c.Each(func(l ids.Index, b uint64) {
				if (sent{l, b}) != list[i] {
					t.Fatalf("flight %d: %d %d, want %v", i, l, b, list[i])
				}
				i++
			})
		}
	})
}

// A refusal that answers nothing outstanding must not move Next, and none may
// move it to or below Match.
func TestStaleRefusalMovesNothing(t *testing.T) {
	p := Progress{Match: 10, Next: 20, State: Replicate, Window: NewWindow(4, 100)}
	if p.Refused(10, 5) || p.Next != 20 {
		t.Fatalf("refusal at Match believed: %+v", p)
	}
	if !p.Refused(15, 3) || p.Next != 11 || p.State != Probe {
		t.Fatalf("refusal past Match: %+v", p)
	}
	p.Next = 15
	if p.Refused(13, 11) || p.Next != 15 {
		t.Fatalf("refusal of another probe believed: %+v", p)
	}
	if !p.Refused(14, 12) || p.Next != 12 {
		t.Fatalf("refusal of the probe: %+v", p)
	}
}
