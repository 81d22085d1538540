package kv

import (
	"bytes"
	"strings"
	"testing"
)

// restored is a store like s that was made from its snapshot.
func (s *store) restored() *store {
	s.t.Helper()
	m := New(s.Limits())
	if err := m.Restore(bytes.NewReader(stream(s.t, s.Snapshot()))); err != nil {
		s.t.Fatal(err)
	}
	return &store{Machine: m, t: s.t, at: s.at, tick: s.tick}
}

func (s *store) register() uint64 {
	s.t.Helper()
	return s.do(Command{Op: OpRegister}).Session
}

func increment(session, serial uint64) Command {
	return Command{Op: OpIncrement, Session: session, Serial: serial, Key: []byte("n"), Delta: 1}
}

func TestRetryIsAnsweredNotAppliedAgain(t *testing.T) {
	s := newStore(t, DefaultLimits())
	id := s.register()
	equal(t, "first", s.do(increment(id, 1)).Number, 1)
	r := s.do(increment(id, 1))
	equal(t, "retry", r.Number, 1)
	equal(t, "retry's version", r.Version, 1)
	equal(t, "event", s.Events(), EventRetryAnswered)
	equal(t, "second", s.do(increment(id, 2)).Number, 2)
	equal(t, "old serial", s.do(increment(id, 1)).Status, StatusSerialOld)
	equal(t, "after a gap", s.do(increment(id, 9)).Number, 3)
	equal(t, "event", s.Events(), EventSerialGap|EventChanged)
	r = s.do(increment(id, 5))
	equal(t, "given up", r.Status, StatusSerialOld)
	equal(t, "unknown", r.Status.Unknown(), true)
	equal(t, "n", s.get("n"), "3@3")
}

// A retry must get the result of the first time, also when that was a failure
// and would be none now.
func TestRetryOfAFailureFailsTheSameWay(t *testing.T) {
	s := newStore(t, DefaultLimits())
	id := s.register()
	c := Command{Op: OpPutIfAbsent, Session: id, Serial: 1, Key: []byte("k"), Value: []byte("mine")}
	s.put("k", "theirs")
	equal(t, "first", s.do(c).Status, StatusConflict)
	s.do(Command{Op: OpDelete, Key: []byte("k")})
	r := s.do(c)
	equal(t, "retry", r.Status, StatusConflict)
	equal(t, "value then", string(r.Value), "theirs")
	equal(t, "k", s.get("k"), "")
}

func TestRetryAcrossARestoreIsNotAppliedAgain(t *testing.T) {
	s := newStore(t, DefaultLimits())
	id := s.register()
	s.do(increment(id, 1))
	s = s.restored()
	equal(t, "retry", s.do(increment(id, 1)).Number, 1)
	equal(t, "n", s.get("n"), "1@1")
}

func TestSessionsOfOthersAreUnknown(t *testing.T) {
	s := newStore(t, DefaultLimits())
	id := s.register()
	r := s.do(increment(id+1, 1))
	equal(t, "never registered", r.Status, StatusSessionUnknown)
	equal(t, "unknown", r.Status.Unknown(), true)
	equal(t, "close", s.do(Command{Op: OpCloseSession, Session: id}).Status, StatusOK)
	equal(t, "closed", s.do(increment(id, 1)).Status, StatusSessionUnknown)
	equal(t, "close again", s.do(Command{Op: OpCloseSession, Session: id}).Status, StatusSessionUnknown)
	equal(t, "n", s.get("n"), "")
	equal(t, "sessions", s.Sessions(), 0)
}

func TestSessionExpiresByLogTime(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 9, SessionBytesMax: 1 << 20, SessionTicks: 10})
	a, b := s.register(), s.register()
	s.tick = 10
	equal(t, "in time", s.do(increment(a, 1)).Status, StatusOK)
	s.tick = 11
	equal(t, "too late", s.do(increment(b, 1)).Status, StatusSessionUnknown)
	equal(t, "event", s.Events(), EventSessionExpired|EventSessionUnknown)
	s.tick = 20
	equal(t, "a retry keeps it alive", s.do(increment(a, 1)).Number, 1)
	s.tick = 30
	equal(t, "also this one", s.do(increment(a, 1)).Number, 1)
	s.tick = 41
	equal(t, "expired retry", s.do(increment(a, 1)).Status, StatusSessionUnknown)
	equal(t, "n", s.get("n"), "1@1")
}

// A replica that was restored expires the same sessions at the same entries as
// one that was not: so time stamps are part of a snapshot.
func TestExpiryAcrossARestore(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 9, SessionBytesMax: 1 << 20, SessionTicks: 10})
	a, b := s.register(), s.register()
	s.tick = 6
	s.do(increment(b, 1))
	s.tick = 9
	s.put("k", "v")
	other := s.restored()
	for tick := uint64(9); tick < 20; tick++ {
		s.tick, other.tick = tick, tick
		s.put("k", "v")
		other.put("k", "v")
		want := 2
		if tick > 10 {
			want--
		}
		if tick > 16 {
			want--
		}
		equal(t, "sessions", s.Sessions(), want)
		equal(t, "sessions of the restored", other.Sessions(), want)
		equal(t, "digest", other.Digest(), s.Digest())
	}
	equal(t, "a", other.do(increment(a, 1)).Status, StatusSessionUnknown)
}

func TestNewSessionEvictsTheLeastRecentlyActive(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 3, SessionBytesMax: 1 << 20, SessionTicks: 1000})
	a, b, c := s.register(), s.register(), s.register()
	s.tick = 1
	s.do(increment(a, 1))
	d := s.register() // b goes: as old as c, with the lower id
	equal(t, "event", s.Events(), EventSessionEvicted|EventSessionRegistered)
	s.tick = 2
	equal(t, "b", s.do(increment(b, 1)).Status, StatusSessionUnknown)
	for _, id := range []uint64{c, d, a} {
		equal(t, "the others", s.do(increment(id, 2)).Status, StatusOK)
	}
	equal(t, "sessions", s.Sessions(), 3)
}

func TestRepliesEvictTheLeastRecentlyActive(t *testing.T) {
	s := newStore(t, Limits{SessionsMax: 9, SessionBytesMax: 250, SessionTicks: 1000})
	s.put("k", strings.Repeat("x", 100))
	get := func(id, serial uint64) *Reply {
		return s.do(Command{Op: OpGet, Key: []byte("k"), Session: id, Serial: serial})
	}
	a, b, c, d := s.register(), s.register(), s.register(), s.register()
	get(a, 1)
	get(b, 1)
	s.tick = 1
	get(c, 1)
	equal(t, "event", s.Events(), EventSessionEvicted)
	equal(t, "sessions", s.Sessions(), 3)
	equal(t, "a, the oldest", get(a, 1).Status, StatusSessionUnknown)
	equal(t, "retry of b", get(b, 1).Status, StatusOK)
	equal(t, "event", s.Events(), EventRetryAnswered)
	equal(t, "d, which takes the room of b", get(d, 1).Status, StatusOK)
	equal(t, "c, as old as b with a higher id", get(c, 1).Status, StatusOK)
	equal(t, "b", get(b, 1).Status, StatusSessionUnknown)
	// One reply beyond the bound stays, alone.
	s.put("k", strings.Repeat("x", 1000))
	equal(t, "large", len(get(d, 2).Value), 1000)
	equal(t, "sessions", s.Sessions(), 1)
	equal(t, "retry of large", len(get(d, 2).Value), 1000)
	s.restored()
}

// Two replicas that differ in anything that a later reply may depend on must
// not pass for equal.
func TestDigestCoversAllThatLaterRepliesDependOn(t *testing.T) {
	limits := Limits{SessionsMax: 5, SessionBytesMax: 1000, SessionTicks: 1000}
	put := func(k, v string) Command { return Command{Op: OpPut, Key: []byte(k), Value: []byte(v)} }
	type at struct {
		tick uint64
		Command
	}
	register := at{1, Command{Op: OpRegister}}
	states := map[string][]at{
		"empty":                   {},
		"later":                   {{1, Command{Op: OpGet}}},
		"key":                     {{1, put("k", "v")}},
		"other key":               {{1, put("l", "v")}},
		"other value":             {{1, put("k", "w")}},
		"key and value moved":     {{1, put("kv", "")}},
		"other version":           {{1, put("k", "v")}, {1, put("k", "v")}},
		"other revision":          {{1, put("k", "v")}, {1, put("l", "v")}, {1, Command{Op: OpDelete, Key: []byte("l")}}},
		"session":                 {register},
		"other id":                {{1, Command{Op: OpGet}}, register},
		"two sessions":            {register, register},
		"serial":                  {register, {1, Command{Op: OpGet, Session: 1, Serial: 1}}},
		"other serial":            {register, {1, Command{Op: OpGet, Session: 1, Serial: 2}}},
		"other reply":             {register, {1, Command{Op: OpScan, Session: 1, Serial: 1, Limit: 1}}},
		"log time 2":              {register, {2, Command{Op: OpGet}}},
		"active at 2":             {register, {2, Command{Op: OpGet, Session: 1, Serial: 1}}},
		"active at 1, log time 2": {register, {1, Command{Op: OpGet, Session: 1, Serial: 1}}, {2, Command{Op: OpGet}}},
	}
	seen := map[uint64]string{}
	note := func(name string, s *store) {
		if other := seen[s.Digest()]; other != "" {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[s.Digest()] = name
	}
	for name, commands := range states {
		s := newStore(t, limits)
		for _, c := range commands {
			s.tick = c.tick
			s.do(c.Command)
		}
		note(name, s)
	}
	for i := range 3 {
		l := limits
		*[]*uint64{&l.SessionsMax, &l.SessionBytesMax, &l.SessionTicks}[i]++
		note("other limits", newStore(t, l))
	}
	// A command that changes nothing changes no digest.
	s := newStore(t, limits)
	before := s.Digest()
	s.do(Command{Op: OpGet})
	equal(t, "digest after a read", s.Digest(), before)
}
