package linearizability

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/kv"
)

// broken is a long history in which one read, late, is stale, in the company of
// many clients; and what was found.
func broken(t *testing.T, o options, seed uint64) (*History, Violation) {
	t.Helper()
	h := generate(o, seeded(seed))
	for i := h.Len() * 3 / 4; i < h.Len(); i++ {
		op := &h.ops[i]
		var c kv.Command
		var r kv.Reply
		if op.Outcome != OutcomeKnown || kv.DecodeCommand(op.Input, &c) != nil || kv.DecodeReply(op.Output, &r) != nil {
			continue
		}
		if c.Op == kv.OpGet && r.Status == kv.StatusOK && r.Version > 1 {
			r.Value = []byte("<b>never written</b>")
			op.Output = kv.AppendReply([]byte{}, &r)
			found := points(t, KV{}, h)
			if found.Verdict != Illegal || found.Violation.First != OpID(i) {
				t.Fatalf("not found: %v", found)
			}
			return h, found.Violation
		}
	}
	t.Fatal("no read to spoil")
	return nil, Violation{}
}

func notes(h *History) []Annotation {
	end := h.Op(OpID(h.Len() - 1)).Call.Nanos
	var list []Annotation
	for at := uint64(0); at < end; at += end/300 + 1 {
		list = append(list,
			Annotation{Tag: "faults", Start: at, End: at + end/100, Text: fmt.Sprintf("partition </script> %d", at), Color: "#ffd9b3"},
			Annotation{Tag: "leader", Start: at, End: at + end/300, Text: "replica 2"},
			Annotation{Start: at, Text: "a moment"})
	}
	return list
}

func TestPicture(t *testing.T) {
	for name, o := range map[string]options{
		"small":  {ops: 60, clients: 4, keys: 3, lossy: 10, refused: 3, sessions: true},
		"wide":   {ops: 4000, clients: 60, keys: 4, lossy: 20, refused: 3, sessions: true},
		"spread": {ops: 4000, clients: 8, keys: 400, lossy: 5, refused: 3},
	} {
		t.Run(name, func(t *testing.T) {
			h, violation := broken(t, o, 3)
			notes := notes(h)
			var page bytes.Buffer
			verdict, err := NewChecker(KV{}).Picture(&page, h, violation, notes, PictureStepsMax)
			if err != nil || verdict == Ok {
				t.Fatalf("%s, %v", verdict, err)
			}
			text := page.String()
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "linear.html"), page.Bytes(), 0o666); err != nil {
				t.Error(err)
			}
			if len(text) > 3<<20 {
				t.Errorf("%d bytes", len(text))
			}
			for _, outside := range []string{"src=", "href=", "@import", "url("} {
				if strings.Contains(text, outside) {
					t.Errorf("the page needs something from elsewhere: %s", outside)
				}
			}
			if n := strings.Count(text, "</script>"); n != 1 {
				t.Errorf("%d ends of scripts", n)
			}
			if strings.Contains(text, "<b>never") {
				t.Error("a value from the history is taken for HTML")
			}
			for _, part := range []string{"never written", "wrong answer", `"faults"`, `"faults (2)"`, `"leader"`, "partition"} {
				if !strings.Contains(text, part) {
					t.Errorf("the page lacks %q", part)
				}
			}
			// Same arguments, same page.
			var again bytes.Buffer
			if _, err := NewChecker(KV{}).Picture(&again, h, violation, notes, PictureStepsMax); err != nil || again.String() != text {
				t.Errorf("a second picture is another one (%v)", err)
			}
		})
	}
}

// A picture shows those operations that have to do with the violation.
func TestPictureShowsTheGroup(t *testing.T) {
	var s script
	for i := range 40 {
		s.wrote(0, uint64(2*i+1), put("here", fmt.Sprint("h", i)), version(uint64(2*i+1)))
		s.wrote(1, uint64(2*i+2), put("elsewhere", fmt.Sprint("e", i)), version(uint64(2*i+2)))
	}
	s.read(2, 80, get("here"), value("h3", 7))
	violation := points(t, KV{}, &s.History).Violation
	var page bytes.Buffer
	if v, err := NewChecker(KV{}).Picture(&page, &s.History, violation, nil, PictureStepsMax); v != Illegal || err != nil {
		t.Fatal(v, err)
	}
	if text := page.String(); !strings.Contains(text, "put here h7") || strings.Contains(text, "put elsewhere") {
		t.Error("the page shows other keys, or not those concerned")
	}
	// A scan ties them together.
	s.read(2, 80, kv.Command{Op: kv.OpScanPrefix}, kv.Reply{Items: []kv.Item{item("elsewhere", "e39", 80), item("here", "h39", 79)}})
	page.Reset()
	if v, err := NewChecker(KV{}).Picture(&page, &s.History, violation, nil, PictureStepsMax); v != Illegal || err != nil {
		t.Fatal(v, err)
	}
	if text := page.String(); !strings.Contains(text, "put here h7") || !strings.Contains(text, "put elsewhere e7") {
		t.Error("the page leaves out what the scan ties together")
	}
}

// What went wrong is shown wherever it was: also when the clients had nothing to
// do with it, and when it came after all that they did.
func TestPictureShowsWhatIsAlwaysShown(t *testing.T) {
	var s script
	for i := range 300 {
		s.wrote(i%3, uint64(i+1), put("k", fmt.Sprint("v", i)), version(uint64(i+1)))
	}
	none := Violation{First: -1, Second: -1}
	end := s.Op(OpID(s.Len() - 1)).Return.Nanos
	for _, at := range []uint64{0, end, end + 1e9} {
		notes := []Annotation{
			{Tag: "violation", Start: at, Text: "Election Safety", Details: "two leaders of term 7", Always: true},
			{Tag: "faults", Start: end + 2e9, Text: "much later"},
		}
		var page bytes.Buffer
		if _, err := NewChecker(KV{}).Picture(&page, &s.History, none, notes, PictureStepsMax); err != nil {
			t.Fatal(err)
		}
		text := page.String()
		for _, want := range []string{`"violation"`, "Election Safety", "two leaders of term 7"} {
			if !strings.Contains(text, want) {
				t.Errorf("at %d: the page does not say %s", at, want)
			}
		}
		if strings.Contains(text, "much later") {
			t.Error("the page shows what is not in it")
		}
	}
}
