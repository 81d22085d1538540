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

func TestStatesOfAFollower(t *testing.T) {
	p := Progress{Match: 4, Next: 5, Window: NewWindow(4, 100)}
	p.BecomeReplicate()
	p.Window.Add(6, 50)
	p.Next = 7
	if p.State != Replicate || p.Accepted(4, 1) || !p.Accepted(5, 1) || p.Next != 7 || p.Window.Len() != 1 || !p.Accepted(9, 1) || p.Next != 10 || p.Window.Len() != 0 {
		t.Fatalf("%+v", p)
	}
	p.BecomeSnapshot(Stream{ID: ids.EntryID{Term: 1, Index: 20}, Size: 7})
	if p.State != Snapshot || p.Next != 10 || p.Refused(12, 3) || p.Stream.Size != 7 {
		t.Fatalf("%+v", p)
	}
	p.BecomeProbe(3) // at or below Match is never tried again
	if p.State != Probe || p.Next != 10 || p.Stream.Size != 0 {
		t.Fatalf("%+v", p)
	}
	for s, want := range map[State]string{Probe: "probe", Replicate: "replicate", Snapshot: "snapshot"} {
		if s.String() != want {
			t.Errorf("%d is called %q", s, s)
		}
	}
}

// A probe that is taken in part shows a follower that can not keep up: it is
// not sent more at once, until it takes all of one.
func TestProbeTakenInPart(t *testing.T) {
	probe := func() *Progress { return &Progress{Match: 4, Next: 5, ProbeSent: true, ProbeLast: 8} }
	for _, tt := range []struct {
		match ids.Index
		ready bool
		busy  bool
		next  ids.Index
	}{
		{8, true, false, 9},
		{9, true, false, 10}, // and more, which came otherwise
		{6, false, true, 7},
		{4, false, true, 5},
		{3, false, false, 5}, // an answer to something earlier
	} {
		p := probe()
		news := p.Accepted(tt.match, 1)
		if ready := p.Probed(tt.match, news); ready != tt.ready || p.Busy != tt.busy || p.Next != tt.next {
			t.Errorf("match %d: ready %t, %+v", tt.match, ready, p)
		}
		if p.BecomeReplicate(); p.Busy {
			t.Error("busy, and streams")
		}
	}
}
