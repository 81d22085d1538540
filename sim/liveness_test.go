package sim

import (
	"math/bits"
	"math/rand"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
)

// voters is a configuration of the replicas 1 to n.
func voters(n int) core.Configuration {
	var c core.Configuration
	for i := range n {
		c.Voters = append(c.Voters, core.ReplicaID(i+1))
	}
	return c
}

// stand is a cluster of which those in up run, and whose logs end in these
// terms and indexes.
func stand(up uint64, ends ...core.EntryID) []standing {
	conf := voters(len(ends))
	s := make([]standing, len(ends))
	for i := range s {
		s[i] = standing{ID: core.ReplicaID(i + 1), Up: up>>i&1 != 0, Last: ends[i], Configuration: conf}
	}
	return s
}

// alike is n log ends that are the same.
func alike(n int) []core.EntryID {
	ends := make([]core.EntryID, n)
	for i := range ends {
		ends[i] = end(1, 1)
	}
	return ends
}

func end(term core.Term, index core.Index) core.EntryID {
	return core.EntryID{Term: term, Index: index}
}

// cut takes the links between two sides away, both ways.
func (l links) cut(a, b uint64) links {
	for i := range l {
		if a>>i&1 != 0 {
			l[i] &^= b
		}
		if b>>i&1 != 0 {
			l[i] &^= a
		}
	}
	return l
}

// oneWay takes the links from a to b away.
func (l links) oneWay(a, b uint64) links {
	for i := range l {
		if a>>i&1 != 0 {
			l[i] &^= b
		}
	}
	return l
}

func TestCanStandStill(t *testing.T) {
	type situation struct {
		name  string
		stand []standing
		links links
		want  bool
	}
	joint := func(s []standing, in, out core.Configuration) []standing {
		for i := range s {
			s[i].Configuration = core.Configuration{Voters: in.Voters, Outgoing: out.Voters}
		}
		return s
	}
	ids := func(ids ...core.ReplicaID) core.Configuration { return core.Configuration{Voters: ids} }
	learner := stand(0b111, alike(3)...)
	for i := range learner {
		learner[i].Configuration = core.Configuration{Voters: []core.ReplicaID{1, 2}, Learners: []core.ReplicaID{3}}
	}
	learner[1].Up = false
	// The last entry of replica 1 removes it from a cluster of two, and replica 2
	// lacks that entry: nobody else can lead.
	removed := stand(0b11, end(1, 2), end(1, 1))
	removed[0].Configuration = core.Configuration{Voters: []core.ReplicaID{2}}
	removedMay := append([]standing(nil), removed...)
	removedMay[0].MayStand = true
	for _, s := range []situation{
		{"two, one has just removed itself", removedMay, allLinks(2), false},
		{"two, one knows that it is removed", removed, allLinks(2), true},
		{"one, up", stand(0b1, alike(1)...), allLinks(1), false},
		{"one, down", stand(0b0, alike(1)...), allLinks(1), true},
		{"two, both up", stand(0b11, alike(2)...), allLinks(2), false},
		{"two, one down", stand(0b01, alike(2)...), allLinks(2), true},
		{"two, cut", stand(0b11, alike(2)...), allLinks(2).cut(0b01, 0b10), true},
		{"two, one deaf", stand(0b11, alike(2)...), allLinks(2).oneWay(0b01, 0b10), true},
		{"three, all up", stand(0b111, alike(3)...), allLinks(3), false},
		{"three, one down", stand(0b101, alike(3)...), allLinks(3), false},
		{"three, two down", stand(0b100, alike(3)...), allLinks(3), true},
		{"three, one isolated", stand(0b111, alike(3)...), allLinks(3).cut(0b001, 0b110), false},
		{"three, a bridge", stand(0b111, alike(3)...), allLinks(3).cut(0b001, 0b100), false},
		{"three, a bridge that is down", stand(0b101, alike(3)...), allLinks(3).cut(0b001, 0b100), true},
		{"three, a ring of one-way links", stand(0b111, alike(3)...), links{0b010, 0b100, 0b001}, true},
		{"three, one is heard by nobody", stand(0b111, alike(3)...), allLinks(3).oneWay(0b001, 0b110), false},
		{"three, the best log is down", stand(0b011, end(1, 5), end(1, 4), end(2, 9)), allLinks(3), false},
		{"three, the only good log is cut off from the others",
			stand(0b111, end(2, 3), end(1, 9), end(1, 9)), allLinks(3).cut(0b001, 0b110), false},
		{"three, a bridge with a bad log", stand(0b111, end(2, 3), end(1, 9), end(2, 3)), allLinks(3).cut(0b001, 0b100), false},
		{"three, one down and the better log alone",
			stand(0b011, end(2, 3), end(1, 9), end(2, 3)), allLinks(3).cut(0b001, 0b010), true},
		{"three, the worse log can hear, the better can not",
			stand(0b011, end(2, 3), end(1, 9), end(1, 1)), allLinks(3).oneWay(0b010, 0b001), true},
		{"four, half down", stand(0b0011, alike(4)...), allLinks(4), true},
		{"four, two sides", stand(0b1111, alike(4)...), allLinks(4).cut(0b0011, 0b1100), true},
		{"four, one down", stand(0b0111, alike(4)...), allLinks(4), false},
		{"four, a chain", stand(0b1111, alike(4)...), links{0b0010, 0b0101, 0b1010, 0b0100}, false},
		{"four, a chain, and the ends have the best logs",
			stand(0b1111, end(2, 1), end(1, 1), end(1, 1), end(2, 1)), links{0b0010, 0b0101, 0b1010, 0b0100}, true},
		{"five, a minority down", stand(0b00111, alike(5)...), allLinks(5), false},
		{"five, a majority down", stand(0b00011, alike(5)...), allLinks(5), true},
		{"five, all logs different", stand(0b11111, end(1, 1), end(1, 2), end(2, 1), end(2, 2), end(3, 1)), allLinks(5), false},
		{"five, the three worst logs cut off", stand(0b11111, end(1, 1), end(1, 2), end(2, 1), end(2, 2), end(3, 1)),
			allLinks(5).cut(0b00111, 0b11000), false},
		{"five, a ring both ways", stand(0b11111, alike(5)...), links{0b10010, 0b00101, 0b01010, 0b10100, 0b01001}, false},
		{"five, a ring both ways, and one down in it",
			stand(0b01111, alike(5)...), links{0b10010, 0b00101, 0b01010, 0b10100, 0b01001}, false},
		{"five, a ring both ways, and each second log better",
			stand(0b01111, end(1, 1), end(1, 2), end(1, 1), end(1, 2), end(1, 1)),
			links{0b10010, 0b00101, 0b01010, 0b10100, 0b01001}, false},
		{"six, half cut off", stand(0b111111, alike(6)...), allLinks(6).cut(0b000111, 0b111000), true},
		{"six, four left", stand(0b001111, alike(6)...), allLinks(6), false},
		{"seven, four left", stand(0b1010101, alike(7)...), allLinks(7), false},
		{"seven, three left", stand(0b0010101, alike(7)...), allLinks(7), true},
		{"a learner does not count", learner, allLinks(3), true},
		{"joint, both majorities", joint(stand(0b1111, alike(4)...), ids(1, 2, 3), ids(2, 3, 4)), allLinks(4), false},
		{"joint, one majority", joint(stand(0b0111, alike(4)...), ids(1, 2), ids(3, 4)), allLinks(4), true},
		{"joint, overlapping majorities", joint(stand(0b0110, alike(4)...), ids(1, 2, 3), ids(2, 3, 4)), allLinks(4), false},
	} {
		t.Run(s.name, func(t *testing.T) {
			if got := canStandStill(s.stand, s.links); got != s.want {
				t.Errorf("canStandStill = %t, want %t", got, s.want)
			}
		})
	}
}

// couldStandStill is canStandStill written again, without a thought: look for
// a set of replicas that are a majority, and in it for one that could lead the
// others.
func couldStandStill(s []standing, l links) bool {
	n := len(s)
	for set := 1; set < 1<<n; set++ {
		if 2*bits.OnesCount(uint(set)) <= n {
			continue
		}
	next:
		for c := range s {
			if set>>c&1 == 0 {
				continue
			}
			for v := range s {
				if set>>v&1 == 0 {
					continue
				}
				a, b := s[c].Last, s[v].Last
				worse := a.Term < b.Term || a.Term == b.Term && a.Index < b.Index
				heard := v == c || l[c]&(1<<v) != 0 && l[v]&(1<<c) != 0
				if !s[v].Up || worse || !heard {
					continue next
				}
			}
			return false
		}
	}
	return true
}

// Every cluster of up to four: who is up, every matrix of links, and logs of
// every order; compared with the plain version.
func TestCanStandStillExhaustive(t *testing.T) {
	ends := []core.EntryID{end(1, 1), end(1, 2), end(2, 1)}
	cases := 0
	for n := 1; n <= 4; n++ {
		logs := 1
		if n <= 3 {
			for range n {
				logs *= len(ends)
			}
		}
		for log := range logs {
			of := make([]core.EntryID, n)
			for i, rest := 0, log; i < n; i++ {
				of[i] = ends[rest%len(ends)]
				rest /= len(ends)
			}
			for up := range uint64(1) << n {
				s := stand(up, of...)
				for matrix := range uint64(1) << (n * (n - 1)) {
					l := make(links, n)
					bit := 0
					for i := range n {
						for j := range n {
							if i != j {
								l[i] |= matrix >> bit & 1 << j
								bit++
							}
						}
					}
					cases++
					if got, want := canStandStill(s, l), couldStandStill(s, l); got != want {
						t.Fatalf("canStandStill(%+v, %b) = %t, want %t", s, l, got, want)
					}
				}
			}
		}
	}
	t.Logf("%d clusters", cases)
}

// Every set of replicas up, and every order of logs, in clusters of five to
// seven that are not cut: it stands still exactly if no majority is up.
func TestCanStandStillMajority(t *testing.T) {
	for n := 5; n <= 7; n++ {
		ends := make([]core.EntryID, n)
		l := allLinks(n)
		orders := 1
		for range n {
			orders *= 3
		}
		for order := range orders {
			for i, rest := 0, order; i < n; i++ {
				ends[i] = end(core.Term(1+rest%3), core.Index(9-rest%3))
				rest /= 3
			}
			for up := range uint64(1) << n {
				s := stand(up, ends...)
				if got, want := canStandStill(s, l), 2*bits.OnesCount64(up) <= n; got != want {
					t.Fatalf("canStandStill(%+v) = %t, want %t", s, got, want)
				}
			}
		}
	}
}

// In clusters of up to seven: compared with the plain version; and one more
// replica up, one more link, or one log brought up to date with another's,
// never makes it more legitimate to stand still.
func TestCanStandStillMonotone(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	still := 0
	const rounds = 30_000
	for range rounds {
		n := 1 + random.Intn(7)
		ends := make([]core.EntryID, n)
		for i := range ends {
			ends[i] = end(core.Term(1+random.Intn(2)), core.Index(1+random.Intn(3)))
		}
		s := stand(random.Uint64(), ends...)
		l := make(links, n)
		for i := range l {
			l[i] = random.Uint64() | random.Uint64()&random.Uint64()
		}
		before := canStandStill(s, l)
		if want := couldStandStill(s, l); before != want {
			t.Fatalf("canStandStill(%+v, %b) = %t, want %t", s, l, before, want)
		}
		if before {
			still++
			continue
		}
		i, j := random.Intn(n), random.Intn(n)
		up := s[i].Up
		s[i].Up = true
		if canStandStill(s, l) {
			t.Fatalf("replica %d more up, and it may stand still: %+v, %b", i+1, s, l)
		}
		s[i].Up = up
		row := l[i]
		l[i] |= 1 << j
		if canStandStill(s, l) {
			t.Fatalf("a link more from %d to %d, and it may stand still: %+v, %b", i+1, j+1, s, l)
		}
		l[i] = row
		// A follower that catches up with one who could lead.
		lead := bits.TrailingZeros64(electable(s, l))
		if s[lead].Last.UpToDate(s[i].Last) {
			s[i].Last = s[lead].Last
			if canStandStill(s, l) {
				t.Fatalf("replica %d has caught up, and it may stand still: %+v, %b", i+1, s, l)
			}
		}
	}
	if still < rounds/10 || still > rounds*9/10 {
		t.Errorf("%d of %d clusters may stand still: the draw proves little", still, rounds)
	}
}

func TestWithinReach(t *testing.T) {
	s := stand(0b11101, alike(5)...)
	l := allLinks(5).oneWay(0b01000, 0b00001)
	if got, want := withinReach(s, l, 0), uint64(0b10101); got != want {
		t.Errorf("within reach of 1: %b, want %b", got, want)
	}
	if got, want := withinReach(s, l, 4), uint64(0b11101); got != want {
		t.Errorf("within reach of 5: %b, want %b", got, want)
	}
}

func TestRecoveryBound(t *testing.T) {
	p := pace{ElectionTicks: 10, TickNanos: 10e6, SlowestTickNanos: 11e6}
	if got, want := p.boundNanos(), uint64(30*2*10*11e6); got != want {
		t.Errorf("without anything owed: %d ns, want %d", got, want)
	}
	p.OwedBytes, p.BytesPerSecond = 5000, 1000
	if got, want := p.boundNanos(), uint64(30*2*10*11e6+5e9+1); got != want {
		t.Errorf("with 5 s owed: %d ns, want %d", got, want)
	}
	p.SlowestTickNanos = 0
	if got, want := p.boundNanos(), uint64(30*2*10*10e6+5e9+1); got != want {
		t.Errorf("a clock can not be slower than nothing: %d ns, want %d", got, want)
	}
	p.OwedBytes, p.BytesPerSecond = 1<<63, 1
	if got := p.boundNanos(); got != 1<<64-1 {
		t.Errorf("beyond all bounds: %d ns", got)
	}
	for nanos, want := range map[uint64]uint64{0: 0, 1: 1, 10e6: 1, 10e6 + 1: 2} {
		if got := p.ticks(nanos); got != want {
			t.Errorf("%d ns are %d ticks, want %d", nanos, got, want)
		}
	}
}

// A cluster recovers step by step, and what one leader reached does not count
// for the next.
func TestRecovery(t *testing.T) {
	w := settled(t, 3)
	l := allLinks(3)
	w.crash(0)
	w.restart(0)
	r := recovery{HealedAt: 100}
	observe := func(now uint64, answered bool, missing string, nanos uint64) {
		t.Helper()
		r.observe(w.c, l, now, answered, true)
		if got := r.missing(); got != missing || r.done() != (missing == "nothing") || r.nanos() != nanos {
			t.Fatalf("at %d: %s missing, done %t, after %d ns; want %s, after %d", now, got, r.done(), r.nanos(), missing, nanos)
		}
	}
	observe(110, false, "no leader", 0)
	w.elect(1, 2, 2)
	observe(120, false, "no write answered", 20)
	w.sync(1)
	w.replicate(1, 2)
	w.commit(1, 4)
	w.commit(2, 4)
	w.apply(1, 4)
	w.apply(2, 4)
	observe(130, true, "not converged", 30)
	// The third starts again, and then catches up.
	w.follow(1, 0)
	w.commit(0, 4)
	observe(140, true, "not converged", 30)
	w.apply(0, 4)
	observe(150, true, "nothing", 50)
	// Another leader: not converged before its no-op is everywhere.
	w.elect(2, 3, 1)
	observe(160, true, "not converged", 30)
	w.sync(2)
	w.follow(2, 1)
	w.follow(2, 0)
	w.commit(2, 5)
	for i := range 3 {
		w.commit(i, 5)
		w.apply(i, 5)
	}
	observe(170, true, "nothing", 70)
	w.silent()
	// One that is cut off from the leader need not converge.
	w.command(2, "d")
	w.sync(2)
	w.follow(2, 1)
	for _, i := range []int{2, 1} {
		w.commit(i, 6)
		w.apply(i, 6)
	}
	r.ConvergedAt = 0
	l = allLinks(3).oneWay(0b001, 0b100)
	observe(180, true, "nothing", 80)
}
