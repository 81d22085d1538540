package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

var update = flag.Bool("update", false, "write testdata/messages.txt anew")

var kinds = []core.MessageKind{
	core.KindRequestVote, core.KindRequestVoteResponse,
	core.KindAppendEntries, core.KindAppendEntriesResponse,
	core.KindInstallSnapshot, core.KindInstallSnapshotResponse,
	core.KindReadIndex, core.KindReadIndexResponse, core.KindTimeoutNow,
}

// filler gives every field of a message a value of its own.
type filler struct{ next uint64 }

func (f *filler) fill(v reflect.Value) {
	f.next++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(f.next%2 == 0)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(f.next % 200)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", f.next))
	case reflect.Uint64:
		v.SetUint(f.next * 0x0102030405060708)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{byte(f.next), 0, 0xff, byte(f.next)})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		panic("a message has a field of kind " + v.Kind().String())
	}
}

// sample is a message of a kind with every field of its body set.
func sample(kind core.MessageKind) core.Message {
	var m core.Message
	v := reflect.ValueOf(&m).Elem()
	f := &filler{}
	name := bodyName(kind)
	for i := range v.NumField() {
		if t := v.Type().Field(i); t.Type.Kind() != reflect.Struct || t.Name == name {
			f.fill(v.Field(i))
		}
	}
	m.Kind = kind
	m.InstallSnapshot.Length = uint32(len(m.InstallSnapshot.Data))
	return m
}

func bodyName(kind core.MessageKind) string {
	return [...]string{"", "RequestVote", "RequestVoteResponse", "AppendEntries", "AppendEntriesResponse",
		"InstallSnapshot", "InstallSnapshotResponse", "ReadIndex", "ReadIndexResponse", "TimeoutNow"}[kind]
}

// equal compares messages and takes empty slices for absent ones.
func equal(a, b *core.Message) bool { return reflect.DeepEqual(plain(*a), plain(*b)) }

func plain(m core.Message) core.Message {
	if len(m.AppendEntries.Entries) == 0 {
		m.AppendEntries.Entries = nil
	}
	for i := range m.AppendEntries.Entries {
		e := &m.AppendEntries.Entries[i]
		if len(e.Data) == 0 {
			e.Data = nil
		}
	}
	if len(m.InstallSnapshot.Data) == 0 {
		m.InstallSnapshot.Data = nil
	}
	c := &m.InstallSnapshot.Snapshot.Configuration
	for _, set := range []*[]core.ReplicaID{&c.Voters, &c.Outgoing, &c.Learners} {
		if len(*set) == 0 {
			*set = nil
		}
	}
	if len(c.Planned) == 0 {
		c.Planned = nil
	}
	if len(c.Members) == 0 {
		c.Members = nil
	}
	return m
}

// TestFormatIsPinned: replicas of different builds talk to each other, so the
// bytes of version 1 never change.
func TestFormatIsPinned(t *testing.T) {
	var b strings.Builder
	for _, kind := range kinds {
		m := sample(kind)
		b.WriteString(bodyName(kind) + " " + hex.EncodeToString(AppendMessage(nil, &m)) + "\n")
	}
	const path = "testdata/messages.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("the encoding has changed: got\n%swant\n%s", b.String(), want)
	}
}

// TestEveryFieldTravels: changing any one field changes the bytes, and comes
// back from them.
func TestEveryFieldTravels(t *testing.T) {
	for _, kind := range kinds {
		m := sample(kind)
		b := AppendMessage([]byte("before"), &m)
		if string(b[:6]) != "before" {
			t.Fatalf("%s: what was in dst is gone", bodyName(kind))
		}
		var got core.Message
		if err := DecodeMessage(b[6:], &got); err != nil {
			t.Fatalf("%s: %v", bodyName(kind), err)
		}
		if !equal(&m, &got) {
			t.Errorf("%s: got %+v, want %+v", bodyName(kind), got, m)
		}
	}
	for kind := range core.MessageKind(255) {
		m := sample(core.KindReadIndex)
		b := AppendMessage(nil, &m)
		b[1] = byte(kind)
		if err := DecodeMessage(reseal(b), &m); err == nil && kind != core.KindReadIndex || kind == 0 && !errors.Is(err, ErrKind) {
			t.Errorf("kind %d with the body of a ReadIndex: %v", kind, err)
		}
	}
}

// reseal makes the checksum right, so that what is behind it gets its turn.
func reseal(b []byte) []byte {
	n := len(b) - checksumBytes
	binary.LittleEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
	return b
}

func genEntry(t *rapid.T) core.Entry {
	return core.Entry{
		EntryID: core.EntryID{Term: core.Term(rapid.Uint64().Draw(t, "term")), Index: core.Index(rapid.Uint64().Draw(t, "index"))},
		Kind:    core.EntryKind(rapid.Uint8().Draw(t, "kind")),
		Time:    rapid.Uint64().Draw(t, "time"),
		Data:    rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data"),
		Digest:  rapid.Uint64().Draw(t, "digest"),
	}
}

func genMessage(t *rapid.T) core.Message {
	word := func(name string) uint64 { return rapid.Uint64().Draw(t, name) }
	id := func() core.EntryID {
		return core.EntryID{Term: core.Term(word("term")), Index: core.Index(word("index"))}
	}
	members := func() []core.ReplicaID {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) core.ReplicaID {
			return core.ReplicaID(rapid.Uint64().Draw(t, "member"))
		}), 0, 5).Draw(t, "members")
	}
	flag := func() bool { return rapid.Bool().Draw(t, "flag") }
	m := core.Message{
		Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
		Cluster: core.ClusterID(word("cluster")), From: core.ReplicaID(word("from")), To: core.ReplicaID(word("to")),
		Boot: core.Boot(word("boot")), Term: core.Term(word("term")),
	}
	switch m.Kind {
	case core.KindRequestVote:
		m.RequestVote = core.RequestVote{Pre: flag(), Transfer: flag(), For: core.Term(word("for")), Last: id()}
	case core.KindRequestVoteResponse:
		m.RequestVoteResponse = core.RequestVoteResponse{Pre: flag(), For: core.Term(word("for")), Granted: flag()}
	case core.KindAppendEntries:
		m.AppendEntries = core.AppendEntries{Lost: flag(), Prev: id(), PrevDigest: word("digest"), Commit: core.Index(word("commit")),
			Round: word("round"), Sent: word("sent"), Entries: rapid.SliceOfN(rapid.Custom(genEntry), 0, 6).Draw(t, "entries")}
	case core.KindAppendEntriesResponse:
		m.AppendEntriesResponse = core.AppendEntriesResponse{Reject: flag(), Unfit: flag(), Lost: flag(), Match: core.Index(word("match")),
			Prev: core.Index(word("prev")), Hint: id(), Round: word("round"), Sent: word("sent")}
	case core.KindInstallSnapshot:
		s := core.Snapshot{EntryID: id(), Digest: word("digest"), Time: word("time"), Size: word("size"), Sum: word("sum"),
			Configuration: core.Configuration{EntryID: id(), Highest: core.ReplicaID(word("highest")),
				Voters: members(), Outgoing: members(), Learners: members(),
				Planned: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) confchange.Planned {
					return confchange.Planned{Kind: confchange.OperationKind(rapid.Uint8().Draw(t, "kind")),
						ID: core.ReplicaID(rapid.Uint64().Draw(t, "id"))}
				}), 0, 3).Draw(t, "planned"),
				Members: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) core.Member {
					return core.Member{ID: core.ReplicaID(rapid.Uint64().Draw(t, "id")), Priority: rapid.Uint8().Draw(t, "priority"),
						Address: rapid.StringN(-1, -1, 255).Draw(t, "address")}
				}), 0, 3).Draw(t, "members")}}
		data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")
		m.InstallSnapshot = core.InstallSnapshot{Snapshot: s, Offset: word("offset"), Length: uint32(len(data)), Data: data, Round: word("round"), Sent: word("sent")}
	case core.KindInstallSnapshotResponse:
		m.InstallSnapshotResponse = core.InstallSnapshotResponse{Snapshot: id(), Sum: word("sum"), Received: word("received"),
			Match: core.Index(word("match")), Round: word("round"), Sent: word("sent")}
	case core.KindTimeoutNow:
		m.TimeoutNow.Last = id()
	case core.KindReadIndex, core.KindReadIndexResponse:
		r := core.ReadID{Replica: core.ReplicaID(word("replica")), Boot: core.Boot(word("boot")), Counter: word("counter")}
		if m.Kind == core.KindReadIndex {
			m.ReadIndex.ID = r
		} else {
			m.ReadIndexResponse = core.ReadIndexResponse{ID: r, Index: core.Index(word("index")),
				Refused: core.RefusalReason(rapid.Uint8().Draw(t, "refused"))}
		}
	}
	return m
}

// TestRoundTrip sends messages of all kinds one after another through the same
// memory: each comes out as it went in, and leaves the ones before it alone.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got core.Message
		var kept []core.Entry // of earlier messages, as the core keeps them
		var want []core.Entry
		var configurations []core.Configuration
		var buf []byte
		n := rapid.IntRange(1, 6).Draw(t, "messages")
		for range n {
			m := genMessage(t)
			buf = AppendMessage(buf[:0], &m)
			if err := DecodeMessage(buf, &got); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			if !equal(&m, &got) {
				t.Fatalf("got %+v, want %+v", got, m)
			}
			if again := AppendMessage(nil, &got); !bytes.Equal(again, buf) {
				t.Fatalf("encodes as %x, and then as %x", buf, again)
			}
			kept = append(kept, got.AppendEntries.Entries...)
			want = append(want, m.AppendEntries.Entries...)
			configurations = append(configurations, got.InstallSnapshot.Snapshot.Configuration, m.InstallSnapshot.Snapshot.Configuration)
			for i := range buf {
				buf[i] = 0xee
			}
		}
		for i := range kept {
			if !bytes.Equal(kept[i].Data, want[i].Data) || cap(kept[i].Data) != len(kept[i].Data) {
				t.Fatalf("data of an entry that was kept is now %x, was %x", kept[i].Data, want[i].Data)
			}
		}
		for i := 0; i < len(configurations); i += 2 {
			a, b := core.Message{}, core.Message{}
			a.InstallSnapshot.Snapshot.Configuration, b.InstallSnapshot.Snapshot.Configuration = configurations[i], configurations[i+1]
			if !equal(&a, &b) {
				t.Fatalf("a configuration that was kept is now %+v, was %+v", configurations[i], configurations[i+1])
			}
		}
	})
}

// TestEveryBitFlipIsDetected, and every cut, and every byte too many.
func TestEveryBitFlipIsDetected(t *testing.T) {
	for _, kind := range kinds {
		m := sample(kind)
		b := AppendMessage(nil, &m)
		var got core.Message
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			if err := DecodeMessage(b, &got); err == nil {
				t.Fatalf("%s: nobody notices that bit %d is wrong", bodyName(kind), bit)
			}
			if got.Kind != 0 || got.Term != 0 || len(got.AppendEntries.Entries) > 0 {
				t.Fatalf("%s: a message that was refused leaves %+v", bodyName(kind), got)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		for n := range b {
			if err := DecodeMessage(b[:n], &got); err == nil {
				t.Fatalf("%s: %d of %d bytes are a message", bodyName(kind), n, len(b))
			}
		}
		if err := DecodeMessage(append(b, 0), &got); err == nil {
			t.Fatalf("%s: followed by a byte is a message", bodyName(kind))
		}
	}
}

// TestCanonical: bytes whose checksum is right, but that are not the one way
// to say something.
func TestCanonical(t *testing.T) {
	for _, kind := range kinds {
		m := sample(kind)
		whole := AppendMessage(nil, &m)
		var got core.Message
		for n := envelopeBytes; n < len(whole)-checksumBytes; n++ {
			b := reseal(bytes.Clone(whole[:n+checksumBytes]))
			if err := DecodeMessage(b, &got); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s cut at %d: %v", bodyName(kind), n, err)
			}
		}
		if err := DecodeMessage(reseal(append(bytes.Clone(whole), 0)), &got); !errors.Is(err, ErrTrailing) {
			t.Errorf("%s with a byte too many: %v", bodyName(kind), err)
		}
		// Any byte in the body: what still decodes says the same when encoded.
		for i := envelopeBytes; i < len(whole)-checksumBytes; i++ {
			for _, v := range []byte{0, 1, 2, 3, 4, 0x7f, 0x80, 0xff} {
				b := bytes.Clone(whole)
				b[i] = v
				if err := DecodeMessage(reseal(b), &got); err == nil && !bytes.Equal(AppendMessage(nil, &got), b) {
					t.Errorf("%s with byte %d set to %d decodes and encodes otherwise", bodyName(kind), i, v)
				}
			}
		}
	}
	m := sample(core.KindRequestVote)
	b := AppendMessage(nil, &m)
	b[envelopeBytes] = 4
	if err := DecodeMessage(reseal(b), &m); !errors.Is(err, ErrForm) {
		t.Errorf("unknown flag: %v", err)
	}
	b[0] = 2
	if err := DecodeMessage(reseal(b), &m); !errors.Is(err, ErrVersion) {
		t.Errorf("unknown version: %v", err)
	}
}

// TestLengthsAreNotTrusted: numbers that promise more than there is cost no
// memory.
func TestLengthsAreNotTrusted(t *testing.T) {
	m := sample(core.KindAppendEntries)
	b := AppendMessage(nil, &m)
	binary.LittleEndian.PutUint32(b[envelopeBytes+48:], 1<<32-1)
	reseal(b)
	var got core.Message
	if n := testing.AllocsPerRun(10, func() {
		if err := DecodeMessage(b, &got); !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a count of 4 billion entries makes %v allocations", n)
	}
	s := sample(core.KindInstallSnapshot)
	b = AppendMessage(nil, &s)
	binary.LittleEndian.PutUint32(b[envelopeBytes+48:], 1<<32-1)
	reseal(b)
	if n := testing.AllocsPerRun(10, func() {
		if err := DecodeMessage(b, &got); !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a configuration of 4 billion bytes makes %v allocations", n)
	}
}

// TestAllocations: none to encode, one to decode entries, none to decode
// anything else.
func TestAllocations(t *testing.T) {
	for _, kind := range kinds {
		m := sample(kind)
		buf := AppendMessage(nil, &m)
		if n := testing.AllocsPerRun(100, func() { buf = AppendMessage(buf[:0], &m) }); n != 0 {
			t.Errorf("%s: %v allocations to encode", bodyName(kind), n)
		}
		want := 0.0
		if kind == core.KindAppendEntries {
			want = 1
		}
		var got core.Message
		if n := testing.AllocsPerRun(100, func() {
			if err := DecodeMessage(buf, &got); err != nil {
				t.Fatal(err)
			}
		}); n != want {
			t.Errorf("%s: %v allocations to decode, want %v", bodyName(kind), n, want)
		}
	}
}

func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 50), 0, 8).Draw(t, "payloads")
		if i := rapid.IntRange(0, len(payloads)).Draw(t, "large"); i < len(payloads) {
			payloads[i] = bytes.Repeat([]byte{7}, rapid.IntRange(0, 70_000).Draw(t, "size"))
		}
		var stream []byte
		for _, p := range payloads {
			stream = AppendFrame(stream, p)
		}
		cut := rapid.IntRange(0, len(stream)).Draw(t, "cut")
		var r io.Reader = bytes.NewReader(stream[:cut])
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 1:
			r = iotest.OneByteReader(r)
		case 2:
			r = iotest.HalfReader(r)
		case 3:
			r = iotest.DataErrReader(r)
		}
		f := NewFrameReader(r, 70_000)
		at := 0
		for _, want := range payloads {
			got, err := f.Next()
			if end := at + frameHeadBytes + len(want); cut < end {
				wantErr := io.ErrUnexpectedEOF
				if cut == at {
					wantErr = io.EOF
				}
				if err != wantErr {
					t.Fatalf("stream cut at %d, frame from %d to %d: %v, want %v", cut, at, end, err, wantErr)
				}
				if _, again := f.Next(); again != err {
					t.Fatalf("after %v: %v", err, again)
				}
				return
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes, want %d: %v", len(got), len(want), err)
			}
			at += frameHeadBytes + len(want)
		}
		if _, err := f.Next(); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
	})
}

func TestFrameHeads(t *testing.T) {
	whole := AppendFrame(nil, []byte("payload"))
	for bit := range frameHeadBytes * 8 {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := NewFrameReader(bytes.NewReader(b), 1000).Next(); err != ErrFrame {
			t.Errorf("bit %d of the head is wrong: %v", bit, err)
		}
	}
	if _, err := NewFrameReader(bytes.NewReader(whole), 6).Next(); err != ErrTooLarge {
		t.Errorf("7 bytes where 6 are allowed: %v", err)
	}
	// A long frame of which little arrives takes little memory.
	head := EndFrame(BeginFrame(make([]byte, 0, 16)), 0)
	binary.LittleEndian.PutUint32(head, 200<<20)
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(head[:4], castagnoli))
	f := NewFrameReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(make([]byte, 50_000))), 256<<20)
	if _, err := f.Next(); err != io.ErrUnexpectedEOF || len(f.buf) > 4*50_000 {
		t.Errorf("50 kB of a 200 MB frame take %d bytes: %v", len(f.buf), err)
	}
	if _, err := NewFrameReader(stuck{}, 10).Next(); err != io.ErrNoProgress {
		t.Errorf("a reader that never brings anything: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestFrameReaderAllocatesNothing once it has its buffer.
func TestFrameReaderAllocatesNothing(t *testing.T) {
	frame := AppendFrame(nil, make([]byte, 100))
	f := NewFrameReader(&endless{frame, 0}, 1000)
	if n := testing.AllocsPerRun(10_000, func() {
		if p, err := f.Next(); err != nil || len(p) != 100 {
			t.Fatal(len(p), err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

// endless reads as the same frame, over and over.
type endless struct {
	frame []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		k := copy(p[n:], e.frame[e.at:])
		e.at = (e.at + k) % len(e.frame)
		n += k
	}
	return len(p), nil
}

func FuzzDecodeMessage(f *testing.F) {
	for _, kind := range kinds {
		m := sample(kind)
		b := AppendMessage(nil, &m)
		f.Add(b[:len(b)-checksumBytes])
	}
	var m core.Message
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a right checksum, since chance does not find one.
		b = reseal(append(bytes.Clone(b), 0, 0, 0, 0))
		if DecodeMessage(b, &m) != nil {
			return
		}
		if again := AppendMessage(nil, &m); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, m, again)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	e := core.Entry{EntryID: core.EntryID{Term: 1, Index: 2}, Kind: core.EntryCommand, Time: 3, Digest: 4, Data: []byte("data")}
	f.Add(AppendEntry(nil, &e))
	s := sample(core.KindInstallSnapshot)
	f.Add(AppendSnapshot(nil, &s.InstallSnapshot.Snapshot))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e core.Entry
		if rest, err := DecodeEntry(b, &e); err == nil {
			if again := append(AppendEntry(nil, &e), rest...); !bytes.Equal(again, b) || EntryBytes(&e) != len(b)-len(rest) {
				t.Fatalf("%x decodes to entry %+v and %x", b, e, rest)
			}
		}
		var s core.Snapshot
		if rest, err := DecodeSnapshot(b, &s); err == nil {
			if again := append(AppendSnapshot(nil, &s), rest...); !bytes.Equal(again, b) {
				t.Fatalf("%x decodes to snapshot %+v and %x", b, s, rest)
			}
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(AppendFrame(AppendFrame(nil, []byte("one")), nil), uint8(3))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		r := NewFrameReader(&stepper{stream, int(step) + 1}, 1<<16)
		var again []byte
		for {
			p, err := r.Next()
			if err != nil {
				if err == io.EOF && len(again) != len(stream) {
					t.Fatalf("%d of %d bytes were in frames", len(again), len(stream))
				}
				break
			}
			again = AppendFrame(again, p)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("frames of %x encode to %x", stream, again)
		}
	})
}

// stepper reads at most n bytes at a time.
type stepper struct {
	b []byte
	n int
}

func (s *stepper) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	k := copy(p[:min(len(p), s.n)], s.b)
	s.b = s.b[k:]
	return k, nil
}

func benchmarkMessage(dataBytes int) core.Message {
	m := core.Message{Kind: core.KindAppendEntries, Cluster: 1, From: 2, To: 3, Boot: 4, Term: 5}
	m.AppendEntries.Prev = core.EntryID{Term: 5, Index: 1000}
	m.AppendEntries.Entries = []core.Entry{{EntryID: core.EntryID{Term: 5, Index: 1001}, Kind: core.EntryCommand,
		Time: 77, Digest: 88, Data: make([]byte, dataBytes)}}
	return m
}

func BenchmarkAppendMessage(b *testing.B) {
	m := benchmarkMessage(32)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMessage(buf[:0], &m)
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	m := benchmarkMessage(32)
	buf := AppendMessage(nil, &m)
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeMessage(buf, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeResponse(b *testing.B) {
	m := sample(core.KindAppendEntriesResponse)
	buf := AppendMessage(nil, &m)
	for b.Loop() {
		if err := DecodeMessage(buf, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFrameReader(b *testing.B) {
	f := NewFrameReader(&endless{AppendFrame(nil, make([]byte, 150)), 0}, 1000)
	for b.Loop() {
		if _, err := f.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
