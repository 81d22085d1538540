package kv

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The bytes of format 1: they are in logs and snapshots, so they never change.
func TestEncodingIsFormat1(t *testing.T) {
	key, value := []byte("key"), []byte("va")
	for _, c := range []struct {
		command Command
		want    string
	}{
		{Command{Op: OpGet, Key: key}, "01 01 00 03 6b6579"},
		{Command{Op: OpGet, Key: key, Session: 300, Serial: 2}, "01 01 01 ac02 02 03 6b6579"},
		{Command{Op: OpPut, Key: key, Value: value}, "01 02 00 03 6b6579 02 7661"},
		{Command{Op: OpDelete, Key: key}, "01 03 00 03 6b6579"},
		{Command{Op: OpAppend, Key: key}, "01 04 00 03 6b6579 00"},
		{Command{Op: OpIncrement, Key: key, Delta: -1}, "01 05 00 03 6b6579 01"},
		{Command{Op: OpCompareAndSet, Key: key, Version: 128, Value: value}, "01 06 00 03 6b6579 8001 02 7661"},
		{Command{Op: OpPutIfAbsent, Key: key, Value: value}, "01 07 00 03 6b6579 02 7661"},
		{Command{Op: OpScan, Key: key, End: value, Limit: 5, Reverse: true}, "01 08 02 03 6b6579 02 7661 05"},
		{Command{Op: OpScanPrefix, Key: key, Limit: 5}, "01 09 00 03 6b6579 05"},
		{Command{Op: OpDeleteRange, Key: key, End: value}, "01 0a 00 03 6b6579 02 7661"},
		{Command{Op: OpTxn, Reads: [][]byte{key}, Conditions: []Condition{
			{Kind: ConditionVersion, Key: value, Version: 7},
			{Kind: ConditionValue, Key: value, Value: key},
			{Kind: ConditionExists, Key: value},
			{Kind: ConditionAbsent, Key: value},
		}, Writes: []TxnWrite{
			{Op: OpPut, Key: value, Value: key},
			{Op: OpDelete, Key: value},
			{Op: OpAppend, Key: value, Value: key},
			{Op: OpIncrement, Key: value, Delta: 64},
		}}, "01 0b 00 01 03 6b6579" +
			"04 01 02 7661 07 02 02 7661 03 6b6579 03 02 7661 04 02 7661" +
			"04 02 02 7661 03 6b6579 03 02 7661 04 02 7661 03 6b6579 05 02 7661 8001"},
		{Command{Op: OpRegister}, "01 0c 00"},
		{Command{Op: OpCloseSession, Session: 1}, "01 0d 01 01 00"},
	} {
		b := AppendCommand(nil, &c.command)
		if got, want := hex.EncodeToString(b), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%v: %s, want %s", c.command.Op, got, want)
		}
		var back Command
		if err := DecodeCommand(b, &back); err != nil || !sameCommand(&back, &c.command) {
			t.Errorf("%v came back as %+v, %v", c.command.Op, back, err)
		}
	}
	r := Reply{Status: StatusConflict, Version: 1, Value: value, Number: -1, Session: 2, Count: 3, Failed: 4, More: true,
		Items: []Item{{Key: key, Value: value, Version: 5}, {}}}
	b := AppendReply(nil, &r)
	want := strings.ReplaceAll("01 03 ff 01 02 7661 01 02 03 04 02 03 6b6579 05 02 7661 00 00 00", " ", "")
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("reply: %s, want %s", got, want)
	}
}

// sameCommand takes nil and empty for the same.
func sameCommand(a, b *Command) bool {
	return reflect.DeepEqual(plain(*a), plain(*b))
}

func plain(c Command) Command {
	text := func(b []byte) []byte { return append([]byte{}, b...) }
	out := Command{Op: c.Op, Session: c.Session, Serial: c.Serial, Version: c.Version, Delta: c.Delta,
		Limit: c.Limit, Reverse: c.Reverse, Key: text(c.Key), End: text(c.End), Value: text(c.Value)}
	for _, k := range c.Reads {
		out.Reads = append(out.Reads, text(k))
	}
	for _, x := range c.Conditions {
		out.Conditions = append(out.Conditions, Condition{x.Kind, text(x.Key), x.Version, text(x.Value)})
	}
	for _, x := range c.Writes {
		out.Writes = append(out.Writes, TxnWrite{x.Op, text(x.Key), text(x.Value), x.Delta})
	}
	return out
}

func TestCommandsComeBack(t *testing.T) {
	var back Command // used again and again: nothing of one command may show in the next
	rapid.Check(t, func(t *rapid.T) {
		c := drawCommand(t, rapid.Uint64().Draw(t, "revision"))
		if rapid.Bool().Draw(t, "in session") {
			c.Session = rapid.Uint64Min(1).Draw(t, "session")
			c.Serial = rapid.Uint64Min(1).Draw(t, "serial")
		}
		b := AppendCommand([]byte("front"), c)[len("front"):]
		if err := DecodeCommand(b, &back); err != nil || !sameCommand(&back, c) {
			t.Fatalf("%+v came back as %+v, %v", c, back, err)
		}
	})
}

func TestRepliesComeBack(t *testing.T) {
	text := rapid.SliceOfN(rapid.Byte(), 0, 20)
	number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
	item := rapid.Custom(func(t *rapid.T) Item {
		return Item{text.Draw(t, "key"), text.Draw(t, "value"), number.Draw(t, "version")}
	})
	var back Reply
	rapid.Check(t, func(t *rapid.T) {
		r := Reply{
			Status:  Status(rapid.IntRange(1, int(statusEnd)-1).Draw(t, "status")),
			Version: number.Draw(t, "version"),
			Value:   text.Draw(t, "value"),
			Number:  int64(number.Draw(t, "number")),
			Session: number.Draw(t, "session"),
			Count:   number.Draw(t, "count"),
			Failed:  uint32(number.Draw(t, "failed")),
			More:    rapid.Bool().Draw(t, "more"),
			Items:   rapid.SliceOfN(item, 0, 4).Draw(t, "items"),
		}
		b := AppendReply(nil, &r)
		if err := DecodeReply(b, &back); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if !bytes.Equal(AppendReply(nil, &back), b) || back.Status != r.Status || back.Version != r.Version ||
			!bytes.Equal(back.Value, r.Value) || back.Number != r.Number || back.Session != r.Session ||
			back.Count != r.Count || back.Failed != r.Failed || back.More != r.More || len(back.Items) != len(r.Items) {
			t.Fatalf("%+v came back as %+v", r, back)
		}
		for i, it := range r.Items {
			got := back.Items[i]
			if !bytes.Equal(got.Key, it.Key) || !bytes.Equal(got.Value, it.Value) || got.Version != it.Version {
				t.Fatalf("%+v came back as %+v", it, got)
			}
		}
	})
}

func TestBytesThatAreNoCommand(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                         "",
		"other version":                   "02 01 00 00",
		"op 0":                            "01 00 00",
		"op too high":                     "01 0e 00",
		"unknown flag":                    "01 01 04 00",
		"reverse of a get":                "01 01 02 00",
		"session 0":                       "01 01 01 00 01 00",
		"serial 0":                        "01 01 01 01 00 00",
		"register in a session":           "01 0c 01 01 01",
		"register with a session":         "01 0c 01 01 00",
		"close without session":           "01 0d 00",
		"close with serial":               "01 0d 01 01 01",
		"length in too many bytes":        "01 01 00 8000",
		"length beyond the end":           "01 01 00 05 6b",
		"enormous length":                 "01 01 00 ffffffffffffffffff01",
		"number beyond 64 bits":           "01 01 00 ffffffffffffffffff02",
		"number without end":              "01 01 00 ffffffffffffffffffffff",
		"trailing byte":                   "01 01 00 00 00",
		"limit beyond 32 bits":            "01 09 00 00 8080808010",
		"condition 0":                     "01 0b 00 00 01 00 00 00",
		"condition too high":              "01 0b 00 00 01 05 00 00",
		"write that is none":              "01 0b 00 00 00 01 01 00",
		"transaction that ends too early": "01 0b 00 00 00",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		var c Command
		if err := DecodeCommand(b, &c); err != ErrBadCommand {
			t.Errorf("%s: %v, %+v", name, err, c)
		}
	}
}

// What aliases the bytes decoded must not grow into the field behind it.
func TestDecodedFieldsHaveNoRoomToGrow(t *testing.T) {
	b := AppendCommand(nil, &Command{Op: OpPut, Key: []byte("key"), Value: []byte("value")})
	var c Command
	if err := DecodeCommand(b, &c); err != nil {
		t.Fatal(err)
	}
	_ = append(c.Key, "and more"...)
	equal(t, "value", string(c.Value), "value")
}

func TestCheckRefusesWhatTheMachineWould(t *testing.T) {
	for name, c := range map[string]Command{
		"no op":                 {},
		"op too high":           {Op: opEnd},
		"serial alone":          {Op: OpGet, Serial: 1},
		"session alone":         {Op: OpGet, Session: 1},
		"register in a session": {Op: OpRegister, Session: 1, Serial: 1},
		"close of none":         {Op: OpCloseSession},
		"close with serial":     {Op: OpCloseSession, Session: 1, Serial: 1},
		"condition of no kind":  {Op: OpTxn, Conditions: []Condition{{}}},
		"write that is a read":  {Op: OpTxn, Writes: []TxnWrite{{Op: OpGet}}},
	} {
		if err := c.Check(); err != ErrBadCommand {
			t.Errorf("%s: Check says %v", name, err)
		}
		var back Command
		if err := DecodeCommand(AppendCommand(nil, &c), &back); err != ErrBadCommand {
			t.Errorf("%s: DecodeCommand says %v", name, err)
		}
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	c := Command{Op: OpTxn, Session: 9, Serial: 9, Reads: [][]byte{[]byte("k")},
		Conditions: []Condition{{Kind: ConditionExists, Key: []byte("k")}},
		Writes:     []TxnWrite{{Op: OpPut, Key: []byte("k"), Value: []byte("v")}}}
	r := Reply{Status: StatusOK, Items: []Item{{Key: []byte("k"), Value: []byte("v"), Version: 3}}}
	var command, reply []byte
	var c2 Command
	var r2 Reply
	run := func() {
		command, reply = AppendCommand(command[:0], &c), AppendReply(reply[:0], &r)
		if DecodeCommand(command, &c2) != nil || DecodeReply(reply, &r2) != nil {
			t.Fatal("did not come back")
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEveryKindHasItsName(t *testing.T) {
	seen := map[string]bool{"?": true}
	check := func(name string) {
		if seen[name] {
			t.Errorf("name %q, which is none or another's", name)
		}
		seen[name] = true
	}
	for o := Op(1); o < opEnd; o++ {
		check(o.String())
	}
	for s := Status(1); s < statusEnd; s++ {
		check(s.String())
	}
	if Op(0).String() != "?" || opEnd.String() != "?" || statusEnd.String() != "?" {
		t.Error("a name for what is none")
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range sampleCommands() {
		f.Add(AppendCommand(nil, &c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Command
		if err := DecodeCommand(b, &c); err != nil {
			if err != ErrBadCommand && err != ErrTooLarge {
				t.Fatalf("error of no type: %v", err)
			}
			return
		}
		if got := AppendCommand(nil, &c); !bytes.Equal(got, b) {
			t.Fatalf("%x decodes, but encodes to %x", b, got)
		}
		if err := c.Check(); err != nil && len(b) < CommandBytesMax/2 {
			t.Fatalf("Check refuses what decodes: %v", err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(AppendReply(nil, &Reply{Status: StatusOK, Version: 3, Value: []byte("v")}))
	f.Add(AppendReply(nil, &Reply{Status: StatusConflict, Number: -4, Session: 5, Count: 6, Failed: 7, More: true,
		Items: []Item{{Key: []byte("k"), Value: []byte("v"), Version: 1}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Reply
		if DecodeReply(b, &r) != nil {
			return
		}
		if got := AppendReply(nil, &r); !bytes.Equal(got, b) {
			t.Fatalf("%x decodes, but encodes to %x", b, got)
		}
	})
}

// sampleCommands has one of every kind, and some in a session.
func sampleCommands() []Command {
	k, v := []byte("k"), []byte("1")
	return []Command{
		{Op: OpRegister},
		{Op: OpPut, Key: k, Value: v, Session: 1, Serial: 1},
		{Op: OpGet, Key: k},
		{Op: OpAppend, Key: k, Value: v},
		{Op: OpIncrement, Key: k, Delta: -5, Session: 1, Serial: 2},
		{Op: OpCompareAndSet, Key: k, Version: 1, Value: v},
		{Op: OpPutIfAbsent, Key: v, Value: v},
		{Op: OpScan, Key: k, End: v, Limit: 3, Reverse: true},
		{Op: OpScanPrefix, Key: k},
		{Op: OpTxn, Reads: [][]byte{k}, Conditions: []Condition{
			{Kind: ConditionVersion, Key: k, Version: 1}, {Kind: ConditionValue, Key: k, Value: v},
			{Kind: ConditionExists, Key: k}, {Kind: ConditionAbsent, Key: v},
		}, Writes: []TxnWrite{
			{Op: OpPut, Key: k, Value: v}, {Op: OpDelete, Key: k},
			{Op: OpAppend, Key: k, Value: v}, {Op: OpIncrement, Key: k, Delta: 1},
		}},
		{Op: OpTxn, Writes: []TxnWrite{{Op: OpPut, Key: k, Value: k}, {Op: OpIncrement, Key: k, Delta: 1}}},
		{Op: OpDelete, Key: k},
		{Op: OpDeleteRange, Key: k, End: v},
		{Op: OpCloseSession, Session: 1},
	}
}
