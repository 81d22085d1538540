package linearizability

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seaworthy-raft/seaworthy/kv"
)

func seeded(seed uint64) func(n int) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(n int) int { return r.IntN(n) }
}

func points(t testing.TB, m Model, h *History) Result {
	t.Helper()
	r, err := NewChecker(m).Points(h)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func whole(t testing.TB, m Model, h *History) Result {
	t.Helper()
	r, err := NewChecker(m).Whole(h, WholeStepsMax)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func dump(h *History) string {
	var b bytes.Buffer
	if err := h.Write(&b, KV{}); err != nil {
		return err.Error()
	}
	return b.String()
}

// drawn makes a history of at most opsMax operations out of a rapid test.
func drawn(rt *rapid.T, opsMax, clientsMax int) *History {
	draw := rapid.IntRange(0, 1<<16)
	o := options{
		ops:      rapid.IntRange(0, opsMax).Draw(rt, "operations"),
		clients:  rapid.IntRange(1, clientsMax).Draw(rt, "clients"),
		keys:     rapid.IntRange(1, 6).Draw(rt, "keys"),
		lossy:    rapid.IntRange(0, 30).Draw(rt, "lossy"),
		refused:  rapid.IntRange(0, 10).Draw(rt, "refused"),
		sessions: rapid.Bool().Draw(rt, "sessions"),
	}
	return generate(o, func(n int) int { return draw.Draw(rt, "choice") % n })
}

// What one store did, one command after another, is linearizable.
func TestHonestHistoriesAreOk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := drawn(rt, 60, 4)
		if r := points(t, KV{}, h); r.Verdict != Ok {
			rt.Fatalf("points: %s\n%s", r.Violation.Text, dump(h))
		}
		if r := whole(t, KV{}, h); r.Verdict != Ok {
			rt.Fatalf("whole: %s after %d steps\n%s", r.Verdict, r.Steps, dump(h))
		}
		// Group by group, and the groups by the lenient model.
		v, err := NewChecker(KV{}).Picture(new(bytes.Buffer), h, Violation{First: -1, Second: -1}, nil, PictureStepsMax)
		if v == Illegal || err != nil {
			rt.Fatalf("picture: %s, %v\n%s", v, err, dump(h))
		}
	})
}

// Long histories with all kinds of commands.
func TestLongHonestHistoriesAreOk(t *testing.T) {
	for seed := range uint64(6) {
		o := options{ops: 3000, clients: 20, keys: 3 + 40*int(seed), lossy: 5, refused: 2, sessions: seed%2 == 0}
		h := generate(o, seeded(seed))
		r := points(t, KV{}, h)
		if r.Verdict != Ok {
			t.Errorf("seed %d: %s", seed, r.Violation.Text)
		}
		if r.Steps > uint64(h.Len()) {
			t.Errorf("seed %d: %d steps for %d operations", seed, r.Steps, h.Len())
		}
	}
}

// The largest histories that are judged without points.
func TestWholeStaysWithinBudget(t *testing.T) {
	var most uint64
	for seed := range uint64(150) {
		o := options{ops: 300, clients: 4, keys: 1 + int(seed%8), lossy: int(seed % 26), refused: 3, sessions: seed%2 == 0}
		h := generate(o, seeded(seed))
		r := whole(t, KV{}, h)
		most = max(most, r.Steps)
		if r.Verdict != Ok {
			t.Errorf("seed %d: %s after %d steps", seed, r.Verdict, r.Steps)
		}
	}
	t.Logf("at most %d steps of %d", most, WholeStepsMax)
}

// spoil makes one small change to what was recorded.
func spoil(h *History, choose func(n int) int) {
	pick := func() *Operation { return &h.ops[choose(len(h.ops))] }
	known := func() *Operation {
		op := pick()
		for i := 0; i < 20 && op.Outcome != OutcomeKnown; i++ {
			op = pick()
		}
		return op
	}
	switch choose(9) {
	case 0: // another version, value or item
		op := known()
		var r kv.Reply
		if op.Outcome != OutcomeKnown || kv.DecodeReply(op.Output, &r) != nil {
			return
		}
		switch choose(5) {
		case 0:
			r.Version++
		case 1:
			if r.Version > 1 {
				r.Version--
			}
		case 2:
			r.Value = append([]byte("x"), r.Value...)
		case 3:
			if len(r.Items) > 0 {
				r.Items = r.Items[1:]
			}
		case 4:
			r.Number++
		}
		op.Output = kv.AppendReply([]byte{}, &r)
	case 1: // two answers exchanged
		if a, b := known(), known(); a.Outcome == b.Outcome {
			a.Output, b.Output = b.Output, a.Output
		}
	case 2: // two points exchanged
		a, b := pick(), pick()
		a.Point, b.Point = b.Point, a.Point
	case 3: // a point moved
		op := pick()
		if op.Point.Kind == PointRead {
			op.Point.Index += uint64(choose(3)) - 1
		}
	case 4: // a point lost
		pick().Point = Point{}
	case 5: // an answer lost
		if op := known(); op.Outcome == OutcomeKnown {
			op.Outcome, op.Output = OutcomeUnknown, nil
		}
	case 6: // an unknown operation refused
		if op := pick(); op.Outcome == OutcomeUnknown && op.Return.Event != 0 {
			op.Outcome = OutcomeRefused
		}
	case 7: // two inputs exchanged
		a, b := pick(), pick()
		a.Input, b.Input = b.Input, a.Input
	case 8: // called later, or answered sooner
		a, b := pick(), pick()
		if a.Return.Event == 0 || b.Return.Event == 0 || a == b {
			return
		}
		if a.Return.Event > b.Call.Event && b.Return.Event > a.Call.Event {
			a.Return, b.Return = b.Return, a.Return
		}
	}
}

// A history with something wrong is never Ok by its points and Illegal without
// them: an Ok by points is a proof.
func TestOkByPointsIsAProof(t *testing.T) {
	var verdicts [3][3]int
	rapid.Check(t, func(rt *rapid.T) {
		h := drawn(rt, 40, 4)
		if h.Len() == 0 {
			return
		}
		draw := rapid.IntRange(0, 1<<16)
		for n := rapid.IntRange(1, 3).Draw(rt, "changes"); n > 0; n-- {
			spoil(h, func(n int) int { return draw.Draw(rt, "choice") % n })
		}
		p, err := NewChecker(KV{}).Points(h)
		w, err2 := NewChecker(KV{}).Whole(h, WholeStepsMax)
		if err != nil || err2 != nil {
			return // a reply that says nothing in the place of one that does
		}
		verdicts[p.Verdict][w.Verdict]++
		if p.Verdict == Ok && w.Verdict != Ok {
			rt.Fatalf("ok by points, but %s\n%s", w.Verdict, dump(h))
		}
	})
	if testing.Verbose() {
		t.Log("points × whole (unknown, ok, illegal):", verdicts)
	}
	if verdicts[Ok][Ok] == 0 || verdicts[Illegal][Illegal] == 0 || verdicts[Illegal][Ok] == 0 {
		t.Errorf("the test has become empty: %v", verdicts)
	}
}

// exhaustive tries all orders, without porcupine and without any cleverness.
func exhaustive(m Model, h *History) bool {
	done := make([]bool, h.Len())
	var try func(state any) bool
	try = func(state any) bool {
		first := ^uint64(0) // return of an operation that is not done
		for i := range h.ops {
			if op := &h.ops[i]; !done[i] && op.Outcome == OutcomeKnown {
				first = min(first, op.Return.Event)
			}
		}
		if first == ^uint64(0) {
			return true
		}
		for i := range h.ops {
			op := &h.ops[i]
			if done[i] || op.Outcome == OutcomeRefused || op.Call.Event > first {
				continue
			}
			next, ok, err := m.Step(state, op.Input, op.Output)
			if err != nil || !ok {
				continue
			}
			done[i] = true
			if try(next) {
				return true
			}
			done[i] = false
		}
		return false
	}
	return try(m.Init())
}

// unforeseeing hides that KV can tell who can have done what.
type unforeseeing struct{ kv KV }

func (m unforeseeing) Init() any { return m.kv.Init() }
func (m unforeseeing) Step(state any, input, output []byte) (any, bool, error) {
	return m.kv.Step(state, input, output)
}
func (m unforeseeing) Equal(a, b any) bool { return m.kv.Equal(a, b) }

// Nothing that makes Whole faster changes its verdict.
func TestWholeAgreesWithExhaustiveSearch(t *testing.T) {
	verdicts := map[Verdict]int{}
	for seed := range uint64(3000) {
		choose := seeded(seed)
		o := options{
			ops: 1 + choose(9), clients: 1 + choose(4), keys: 1 + choose(2),
			lossy: choose(60), refused: choose(10), sessions: choose(2) == 0,
		}
		h := generate(o, choose)
		for n := choose(3); n > 0; n-- {
			spoil(h, choose)
		}
		w, err := NewChecker(KV{}).Whole(h, WholeStepsMax)
		if err != nil {
			continue
		}
		want := Illegal
		if exhaustive(KV{}, h) {
			want = Ok
		}
		verdicts[want]++
		if w.Verdict != want {
			t.Fatalf("seed %d: %s, want %s\n%s", seed, w.Verdict, want, dump(h))
		}
		if u := whole(t, unforeseeing{}, h); u.Verdict != want {
			t.Fatalf("seed %d: without foresight %s, want %s\n%s", seed, u.Verdict, want, dump(h))
		}
	}
	if verdicts[Ok] < 500 || verdicts[Illegal] < 500 {
		t.Errorf("the test has become empty: %v", verdicts)
	}
}

// A checker gives a history read back from its file the same result.
func TestHistoryFile(t *testing.T) {
	for seed := range uint64(200) {
		choose := seeded(seed)
		h := generate(options{ops: 30, clients: 4, keys: 3, lossy: 20, refused: 5, sessions: true}, choose)
		if seed%2 == 0 {
			spoil(h, choose)
		}
		var file bytes.Buffer
		if err := h.Write(&file, KV{}); err != nil {
			t.Fatal(err)
		}
		text := file.String()
		back, err := ReadHistory(&file)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if !reflect.DeepEqual(h.Operations(), back.Operations()) {
			t.Fatalf("seed %d: read back differently:\n%s\n%s", seed, text, dump(back))
		}
		c := NewChecker(KV{})
		p, err := c.Points(h)
		p2, err2 := c.Points(back)
		if p != p2 || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Errorf("seed %d: %v, %v became %v, %v", seed, p, err, p2, err2)
		}
		w, _ := c.Whole(h, WholeStepsMax)
		if w2, _ := c.Whole(back, WholeStepsMax); w != w2 {
			t.Errorf("seed %d: %v became %v", seed, w, w2)
		}
	}
}

func TestHistoryFileIsNotTrusted(t *testing.T) {
	const head, tail = `{"version":1,"operations":[`, `]}`
	for name, text := range map[string]string{
		"version":         `{"version":2,"operations":[]}`,
		"no json":         `{"version":1,`,
		"outcome":         head + `{"call":[1,1],"outcome":"fine","input":""}` + tail,
		"event twice":     head + `{"call":[1,1],"return":[1,1],"outcome":"known","input":""}` + tail,
		"event too large": head + `{"call":[1,9],"outcome":"unknown","input":""}` + tail,
		"event zero":      head + `{"call":[1,0],"outcome":"unknown","input":""}` + tail,
		"return first":    head + `{"call":[1,2],"return":[1,1],"outcome":"known","input":""}` + tail,
		"no return":       head + `{"call":[1,1],"outcome":"known","input":""}` + tail,
		"stray output":    head + `{"call":[1,1],"outcome":"unknown","input":"","output":"AA=="}` + tail,
		"two points":      head + `{"call":[1,1],"outcome":"unknown","read":1,"write":1,"input":""}` + tail,
		"time goes back":  head + `{"call":[5,1],"return":[4,2],"outcome":"known","input":""}` + tail,
		"order of calls":  head + `{"call":[1,2],"outcome":"unknown","input":""},{"call":[1,1],"outcome":"unknown","input":""}` + tail,
	} {
		if _, err := ReadHistory(strings.NewReader(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// counter is the smallest model: a command adds its length, and is answered
// with the sum.
type counter struct{}

func (counter) Init() any { return uint64(0) }

func (counter) Step(state any, input, output []byte) (any, bool, error) {
	next := state.(uint64) + uint64(len(input))
	return next, output == nil || string(output) == fmt.Sprint(next), nil
}

func (counter) Equal(a, b any) bool { return a == b }

func TestCounter(t *testing.T) {
	record := func(secondAnswer string) *History {
		var h History
		a := h.Call(0, 1, []byte("x"))
		b := h.Call(1, 2, []byte("yy"))
		h.Wrote(b, 1)
		h.Return(b, 3, []byte("2"))
		c := h.Call(1, 4, nil)
		h.Read(c, 2)
		h.Wrote(a, 2)
		h.Return(c, 5, []byte(secondAnswer))
		return &h
	}
	for answer, want := range map[string]Verdict{"3": Ok, "2": Illegal, "": Illegal} {
		h := record(answer)
		if r := points(t, counter{}, h); r.Verdict != want {
			t.Errorf("points: answer %q is %s", answer, r.Verdict)
		}
		if answer == "2" {
			want = Ok // the first, unknown one may still come
		}
		if r := whole(t, counter{}, h); r.Verdict != want {
			t.Errorf("whole: answer %q is %s", answer, r.Verdict)
		}
		var page bytes.Buffer
		if v, err := NewChecker(counter{}).Picture(&page, h, Violation{First: -1, Second: -1}, nil, PictureStepsMax); err != nil || page.Len() == 0 {
			t.Errorf("picture: %s, %v", v, err)
		}
	}
}

// faulty is a model that can not judge.
type faulty struct {
	counter
	step func() error
}

func (m faulty) Step(state any, input, output []byte) (any, bool, error) {
	if err := m.step(); err != nil {
		return nil, false, err
	}
	return m.counter.Step(state, input, output)
}

// A check ends with an error, not with a verdict or a crash, when the model
// gives up or has a bug.
func TestModelErrors(t *testing.T) {
	var h History
	id := h.Call(0, 1, []byte("x"))
	h.Wrote(id, 1)
	h.Return(id, 2, []byte("1"))
	cause := errors.New("cause")
	for name, step := range map[string]func() error{
		"error": func() error { return cause },
		"panic": func() error { panic("broken") },
	} {
		c := NewChecker(faulty{step: step})
		_, err := c.Points(&h)
		_, err2 := c.Whole(&h, WholeStepsMax)
		_, err3 := c.Picture(new(bytes.Buffer), &h, Violation{First: 0, Second: -1}, nil, PictureStepsMax)
		for _, err := range []error{err, err2, err3} {
			if err == nil || !strings.Contains(err.Error(), "client 0") {
				t.Errorf("%s: %v", name, err)
			}
			if name == "error" && !errors.Is(err, cause) {
				t.Errorf("%v hides its cause", err)
			}
		}
	}
}

// An input that KV does not know is an error, not a verdict; so is a reply that
// should have been recorded as given up.
func TestKVErrors(t *testing.T) {
	session := put("x", "v")
	session.Session, session.Serial = 1, 1
	for name, c := range map[string]struct{ input, output []byte }{
		"empty":        {[]byte{}, kv.AppendReply(nil, &kv.Reply{Status: kv.StatusOK})},
		"unknown kind": {[]byte{1, 200, 0}, kv.AppendReply(nil, &kv.Reply{Status: kv.StatusOK})},
		"open outcome": {kv.AppendCommand(nil, &session), kv.AppendReply(nil, &kv.Reply{Status: kv.StatusSessionUnknown})},
	} {
		var h History
		id := h.Call(0, 1, c.input)
		h.Wrote(id, 1)
		h.Return(id, 2, c.output)
		if r, err := NewChecker(KV{}).Points(&h); err == nil {
			t.Errorf("%s: points: %v", name, r)
		}
		if r, err := NewChecker(KV{}).Whole(&h, WholeStepsMax); err == nil {
			t.Errorf("%s: whole: %v", name, r)
		}
	}
}

// Definite refusals that the machine itself gives, in replies.
func TestKVRefusals(t *testing.T) {
	var s script
	large := put("x", strings.Repeat("v", kv.ValueBytesMax+1))
	s.wrote(0, 1, large, kv.Reply{Status: kv.StatusTooLarge})
	s.wrote(0, 2, put("x", strings.Repeat("v", kv.ValueBytesMax)), version(1))
	s.wrote(0, 3, add("x", "w"), kv.Reply{Status: kv.StatusTooLarge})
	s.wrote(0, 4, put("n", "9223372036854775807"), version(2))
	s.wrote(0, 5, increment("n", 1), kv.Reply{Status: kv.StatusOverflow})
	s.wrote(0, 6, increment("x", 1), kv.Reply{Status: kv.StatusNotNumber})
	s.wrote(0, 7, increment("n", -1), kv.Reply{Number: 9223372036854775806, Version: 3})
	s.wrote(0, 8, put("y", strings.Repeat("v", kv.ValueBytesMax)), version(4))
	both := kv.Command{Op: kv.OpTxn, Reads: [][]byte{[]byte("x"), []byte("y")}}
	s.read(0, 8, both, kv.Reply{Status: kv.StatusReplyTooLarge})
	s.read(0, 8, put("x", "v"), kv.Reply{Status: kv.StatusNotRead})
	scan := kv.Command{Op: kv.OpScan, Key: []byte("x")}
	s.read(0, 8, scan, kv.Reply{More: true, Items: []kv.Item{item("x", strings.Repeat("v", kv.ValueBytesMax), 1)}})
	close := kv.Command{Op: kv.OpCloseSession, Session: 1}
	s.wrote(0, 9, close, kv.Reply{Status: kv.StatusSessionUnknown})
	if r := points(t, KV{}, &s.History); r.Verdict != Ok {
		t.Error(r.Violation.Text)
	}
	if r := whole(t, KV{}, &s.History); r.Verdict != Ok {
		t.Error(r.Verdict)
	}
}

// register is one value that is set ("w…") or read ("r").
type register struct{}

func (register) Init() any { return "" }

func (register) Step(state any, input, output []byte) (any, bool, error) {
	if input[0] == 'w' {
		return string(input), true, nil
	}
	return state, string(output) == state.(string), nil
}

func (register) Equal(a, b any) bool { return a == b }

// Whole says Unknown, and soon, when its budget is too small.
func TestBudget(t *testing.T) {
	var h History
	for i := range 16 { // all at once, then a read of what nobody wrote
		h.Call(i, 1, fmt.Appendf(nil, "w%d", i))
	}
	for i := range 16 {
		h.Return(OpID(i), 2, nil)
	}
	h.Return(h.Call(0, 3, []byte("r")), 4, []byte("w16"))
	r, err := NewChecker(register{}).Whole(&h, 5000)
	if err != nil || r.Verdict != Unknown || r.Steps != 5000 {
		t.Errorf("%v after %d steps, %v", r.Verdict, r.Steps, err)
	}
	var page bytes.Buffer
	if v, err := NewChecker(register{}).Picture(&page, &h, r.Violation, nil, 5000); v != Unknown || err != nil || page.Len() == 0 {
		t.Errorf("picture: %v, %v, %d bytes", v, err, page.Len())
	}
}

// An operation may be judged by its place in the order of events when clocks
// stand still.
func TestEqualTimes(t *testing.T) {
	for _, sequential := range []bool{false, true} {
		var s script
		w := s.Call(0, 7, kv.AppendCommand(nil, &kv.Command{Op: kv.OpPut, Key: []byte("x"), Value: []byte("v")}))
		s.Wrote(w, 1)
		ok, none := version(1), notFound
		ok.Status = kv.StatusOK
		if sequential {
			s.Return(w, 7, kv.AppendReply(nil, &ok))
		}
		g := s.Call(1, 7, kv.AppendCommand(nil, &kv.Command{Op: kv.OpGet, Key: []byte("x")}))
		s.Read(g, 0)
		s.Return(g, 7, kv.AppendReply(nil, &none))
		want := Illegal
		if !sequential {
			s.Return(w, 7, kv.AppendReply(nil, &ok))
			want = Ok
		}
		if r := points(t, KV{}, &s.History); r.Verdict != want {
			t.Errorf("points: sequential %v is %s", sequential, r.Verdict)
		}
		if r := whole(t, KV{}, &s.History); r.Verdict != want {
			t.Errorf("whole: sequential %v is %s", sequential, r.Verdict)
		}
	}
}

// Recording costs no allocation once a history has been as large before.
func TestRecordingAllocatesNothing(t *testing.T) {
	var h History
	record := func() {
		h.Reset()
		for i := range 1000 {
			id := h.Call(i%7, uint64(i), []byte("input"))
			h.Wrote(id, uint64(i))
			h.Return(id, uint64(i), []byte("output"))
		}
	}
	record()
	record()
	if m := h.Op(0).Call; m.Event != 1 {
		t.Errorf("after Reset the first event is %d", m.Event)
	}
	if n := testing.AllocsPerRun(10, record); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRecordingMistakesPanic(t *testing.T) {
	for name, f := range map[string]func(h *History){
		"returns twice": func(h *History) { h.Return(0, 9, nil); h.GiveUp(0, 9) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			var h History
			h.Call(0, 5, nil)
			f(&h)
		}()
	}
}

// A state of KV stays good while the search goes on from it in several ways.
func TestKVStatesStayGood(t *testing.T) {
	step := func(state any, c kv.Command, want string) any {
		t.Helper()
		var output []byte
		if want != "" {
			output = []byte{}
			r := kv.Reply{Status: kv.StatusOK, Value: []byte(want), Version: state.(*kvState).revision}
			output = kv.AppendReply(output, &r)
		}
		next, ok, err := KV{}.Step(state, kv.AppendCommand(nil, &c), output)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		return next
	}
	base := step(KV{}.Init(), put("x", "a"), "")
	for range 3 { // so that the value has room to grow
		base = step(base, add("x", "bc"), "")
	}
	left := step(step(base, add("x", "L"), ""), add("x", "l"), "")
	right := step(step(base, add("x", "R"), ""), add("x", "r"), "")
	step(left, get("x"), "abcbcbcLl")
	step(right, get("x"), "abcbcbcRr")
	step(base, get("x"), "abcbcbc")
	again := step(step(base, add("x", "L"), ""), add("x", "l"), "")
	if m := (KV{}); !m.Equal(left, again) || m.Equal(left, right) || m.Hash(left) != m.Hash(again) {
		t.Error("states are not equal that are, or are that are not")
	}
}
