package core

import (
	"runtime"
	"testing"
	"weak"

	"pgregory.net/rapid"
)

// The tests of this file see that a step does not look at more than it must, by
// what it would stumble over: entries and configurations out of order where a
// search never gets, and memory that must stay where it is, or go.

// Hints are found by a search; a walk from the end would stop at an entry that
// is out of order.
func TestHintIsSearchedFor(t *testing.T) {
	l := &raftLog{base: EntryID{Term: 1, Index: 100}}
	for i := range Index(1000) {
		l.append(Entry{EntryID: EntryID{Term: 2 + Term(i/100), Index: 101 + i}}, 20)
	}
	l.entries[995].Term = 0 // out of order: nobody must stop here
	for _, tt := range []struct{ id, want EntryID }{
		{EntryID{Term: 2, Index: 1100}, EntryID{Term: 2, Index: 200}},
		{EntryID{Term: 4, Index: 5000}, EntryID{Term: 4, Index: 400}},
		{EntryID{Term: 1, Index: 1100}, EntryID{Term: 1, Index: 100}},
		{EntryID{Term: 0, Index: 1100}, EntryID{Term: 1, Index: 100}},
		{EntryID{Term: 3, Index: 150}, EntryID{Term: 2, Index: 150}},
		{EntryID{Term: 9, Index: 50}, EntryID{Term: 9, Index: 50}},
	} {
		if got := l.conflict(tt.id); got != tt.want {
			t.Errorf("hint for %v: %v, want %v", tt.id, got, tt.want)
		}
	}
}

func TestHintIsTheOneThatAWalkFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &raftLog{base: EntryID{Term: 1, Index: 7}}
		term := Term(1)
		for i := range Index(rapid.IntRange(0, 30).Draw(t, "entries")) {
			term += Term(rapid.IntRange(0, 2).Draw(t, "terms"))
			l.append(Entry{EntryID: EntryID{Term: term, Index: 8 + i}}, term)
		}
		id := EntryID{Term: Term(rapid.Uint64Range(0, uint64(term)+2).Draw(t, "term")), Index: Index(rapid.Uint64Range(7, 50).Draw(t, "index"))}
		i := min(id.Index, l.lastIndex())
		for i > l.base.Index && l.at(i).Term > id.Term {
			i--
		}
		want, _, _ := l.position(i)
		if got := l.conflict(id); got != (EntryID{Term: want, Index: i}) {
			t.Fatalf("hint for %v: %v, want %d@%d", id, got, i, want)
		}
	})
}

// After many changes a commit looks at those that it commits, and at no others:
// the second of a thousand configurations, which claims to be among them, is
// never seen.
func TestCommitLooksAtNoConfigurationOfThePast(t *testing.T) {
	r := benchConfigurations(1000)
	r.log.base.Index = 20000
	r.log.commitIndex = 9975
	// Out of order, with a member that the next one has not.
	r.configurations[1] = Configuration{EntryID: EntryID{Term: 1, Index: 9995}, Voters: []ReplicaID{1, 2, 3, 9}}
	r.configurations[998].Learners = []ReplicaID{4}
	r.configurations[999].Voters = []ReplicaID{1, 2, 3, 4}
	r.configurations[999].Learners = nil
	var out Ready
	r.commitTo(10000, &out)
	if len(out.Events) != 1 || out.Events[0] != (Event{EventPromoted, 4}) {
		t.Errorf("events %v, want that 4 is promoted and nothing else", out.Events)
	}
	if r.mayStand() {
		t.Error("a configuration of the past lets the replica stand for election")
	}
	r.configurations[997].Index = 0 // out of order: a walk from the end would stop
	if c := r.configurationAt(3005); c.Index != 3000 {
		t.Errorf("at 3005 the configuration of %d counted, want that of 3000", c.Index)
	}
}

func TestConfigurationsAreForgottenByTheirNumber(t *testing.T) {
	r := benchConfigurations(100)
	kept := &r.configurations[10]
	r.compactConfigurations(115)
	if &r.configurations[0] != kept || kept.Index != 110 {
		t.Fatalf("ten are forgotten, and the other ninety moved: %d", r.configurations[0].Index)
	}
	kept = &r.configurations[60]
	r.compactConfigurations(715)
	if &r.configurations[0] == kept || r.configurations[0].Index != 710 || len(r.configurations) != 30 {
		t.Fatalf("sixty are forgotten, and the other thirty stay where they were: %d", r.configurations[0].Index)
	}
}

// A round begins with all reads that wait for one at once: they stay where they
// are.
func TestRoundTakesReadsAsTheyAre(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	for tag := range uint64(10) {
		c.step(l, Input{Kind: InputRead, Tag: tag})
	}
	if out, next := len(r.lead.reads.out.tags), len(r.lead.reads.next.tags); out != 1 || next != 9 {
		t.Fatalf("%d reads share the first round, %d wait for the next", out, next)
	}
	first := &r.lead.reads.next.tags[0]
	round := r.lead.reads.round
	for r.lead.reads.round == round {
		m := c.flight[0]
		c.flight = c.flight[1:]
		c.step(m.To, Input{Kind: InputMessage, Message: &m})
	}
	if &r.lead.reads.out.tags[0] != first || len(r.reads) != 1 {
		t.Fatal("the reads of the next round were moved")
	}
	c.deliver()
	if len(r.reads) != 10 || r.lead.reads.len() != 0 {
		t.Fatalf("%d reads of 10 are confirmed", len(r.reads))
	}

	f := l%3 + 1
	for tag := range uint64(10) {
		c.step(f, Input{Kind: InputRead, Tag: tag})
	}
	fr := c.replicas[f]
	first = &fr.follower.reads.next[0]
	counter := fr.follower.reads.counter
	for fr.follower.reads.counter == counter {
		m := c.flight[0]
		c.flight = c.flight[1:]
		c.step(m.To, Input{Kind: InputMessage, Message: &m})
	}
	if &fr.follower.reads.sent[0] != first || len(fr.reads) != 1 {
		t.Fatal("the reads of the next request were moved")
	}
}

// Of each follower at most one request waits for a round: its latest, as it
// waits for no answer to another.
func TestOneRequestOfEachFollowerWaits(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	from := l%3 + 1
	ask := func(boot Boot, counter uint64) {
		m := Message{Kind: KindReadIndex, Cluster: 7, From: from, To: l, Boot: boot, Term: r.term}
		m.ReadIndex.ID = ReadID{Replica: from, Boot: boot, Counter: counter}
		c.step(l, Input{Kind: InputMessage, Message: &m})
	}
	for _, counter := range []uint64{5, 5, 4, 6, 7, 6, 7, 5} {
		ask(1, counter)
	}
	ask(2, 1) // of a later boot
	ask(1, 8)
	var answers []ReadID
	c.cut = func(m *Message) bool {
		if m.Kind == KindReadIndexResponse && m.ReadIndexResponse.Refused == RefusedNone {
			answers = append(answers, m.ReadIndexResponse.ID)
		}
		return m.Kind == KindReadIndexResponse // its addressee has not asked
	}
	c.deliver()
	if len(answers) != 2 || answers[0] != (ReadID{Replica: from, Boot: 1, Counter: 5}) || answers[1] != (ReadID{Replica: from, Boot: 2, Counter: 1}) {
		t.Fatalf("answers to %v", answers)
	}
	ask(1, 5) // the answer may have been lost
	ask(1, 5)
	c.deliver()
	if len(answers) != 3 {
		t.Fatalf("a request that comes again, twice: %d answers, want one more than 2", len(answers))
	}
}

// A compaction moves the entries that stay only if it drops as many.
func TestCompactionMovesNoMoreThanItDrops(t *testing.T) {
	l := &raftLog{}
	for i := range Index(100) {
		l.append(Entry{EntryID: EntryID{Term: 1, Index: 1 + i}, Data: []byte("data")}, 1)
	}
	l.commitIndex, l.handedIndex, l.appliedIndex = 90, 65, 55
	all := l.entries
	l.compact(20)
	if &l.entries[0] != &all[20] {
		t.Fatal("twenty are dropped, and the other eighty moved")
	}
	if all[0].Data != nil || all[19].Data != nil || all[20].Data == nil {
		t.Fatal("the slots of the dropped entries are not empty, or others are")
	}
	l.compact(40)
	if &l.entries[0] != &all[40] || l.vacant != 40 {
		t.Fatal("forty are dropped by now, and the other sixty moved")
	}
	l.compact(51)
	if &l.entries[0] == &all[51] || l.vacant != 0 || l.at(52).Index != 52 {
		t.Fatal("51 are dropped by now, and the other 49 have not moved")
	}
	page, _ := l.page(56, 65, 1<<20)
	l.compact(60) // by a snapshot from the leader, while the page is applied
	for i := range page {
		if page[i].Index != Index(56+i) || page[i].Data == nil {
			t.Fatalf("a page that is being applied has changed: %+v", page[i])
		}
	}
}

// How much of the log stays behind a snapshot is counted on, not walked; it must
// be what a walk backward finds.
func TestCompactionKeepsWhatAWalkFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Raft{cfg: Config{ID: 1, Limits: DefaultLimits()}, configurations: make([]Configuration, 1)}
		r.cfg.Limits.TrailingBytes = rapid.Uint64Range(0, 2000).Draw(t, "trailing")
		r.cfg.Limits.UnappliedBytes = rapid.Uint64Range(1, 3000).Draw(t, "unapplied")
		l := &r.log
		for range 30 {
			for range rapid.IntRange(0, 8).Draw(t, "entries") {
				data := make([]byte, rapid.IntRange(0, 300).Draw(t, "bytes"))
				l.append(Entry{EntryID: EntryID{Term: 1, Index: l.lastIndex() + 1}, Data: data}, 1)
			}
			applied := Index(rapid.Uint64Range(uint64(l.appliedIndex), uint64(l.lastIndex())).Draw(t, "applied"))
			l.forgetUnapplied(applied)
			l.appliedIndex, l.commitIndex = applied, applied
			r.snapshot.Index = Index(rapid.Uint64Range(uint64(r.snapshot.Index), uint64(applied)).Draw(t, "snapshot"))

			want, bytes := r.snapshot.Index, uint64(0)
			for ; want > l.base.Index; want-- {
				if bytes += l.at(want).Bytes(); bytes > r.cfg.Limits.TrailingBytes {
					break
				}
			}
			want = max(want, l.base.Index)
			var out Ready
			r.compact(&out)
			if l.base.Index != want {
				t.Fatalf("the log begins after %d, want %d", l.base.Index, want)
			}
			covered := uint64(0)
			for i := l.base.Index + 1; i <= r.snapshot.Index; i++ {
				covered += l.at(i).Bytes()
			}
			if l.coveredBytes != covered {
				t.Fatalf("%d bytes are covered, counted %d", covered, l.coveredBytes)
			}
		}
	})
}

// What is compacted is let go, also if it has been sent to followers in one
// large burst.
func TestCompactedDataIsLetGo(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	var out Ready
	step := func(in Input) {
		t.Helper()
		if err := r.Step(&in, &out); err != nil {
			t.Fatal(err)
		}
		for len(out.Committed) > 0 {
			n := len(out.Committed)
			next := Input{Kind: InputApplied, Applied: out.Committed[n-1].Index}
			if err := r.Step(&next, &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	answer := func(match Index) {
		m := Message{Kind: KindAppendEntriesResponse, Cluster: 7, From: l%3 + 1, To: l, Boot: 1, Term: r.term}
		m.AppendEntriesResponse.Match = match
		step(Input{Kind: InputMessage, Message: &m})
	}
	// Sixty commands of 100 KiB reach a peer's window in one step.
	r.cfg.Limits.InflightBytes = 1 << 40
	p := r.peer(l%3 + 1)
	p.Window = r.newProgress(p.ID).Window
	matched := p.Match
	p.BecomeProbe(0)
	p.ProbeSent = true
	var commands []weak.Pointer[byte]
	for tag := range uint64(60) {
		data := make([]byte, 100<<10)
		commands = append(commands, weak.Make(&data[0]))
		step(Input{Kind: InputPropose, Proposals: []Proposal{{tag, data}}})
		step(Input{Kind: InputPersisted, Persisted: Persisted{out.Mark, out.HardState.Term, out.HardState.Vote}})
	}
	p.BecomeReplicate()
	step(Input{Kind: InputTick, Ticks: 1})
	answer(matched)
	burst := 0
	for i := range out.Messages {
		if len(out.Messages[i].AppendEntries.Entries) > 0 {
			burst++
		}
	}
	if burst < 10 {
		t.Fatalf("%d messages in the burst", burst)
	}
	answer(r.log.lastIndex())
	if r.log.appliedIndex != r.log.lastIndex() {
		t.Fatalf("%+v", r.Status())
	}
	// A few more stay behind the snapshot.
	i := r.log.appliedIndex
	term, chain, _ := r.log.position(i)
	step(Input{Kind: InputPropose, Proposals: []Proposal{{1, []byte("x")}}})
	step(Input{Kind: InputSnapshotTaken, Snapshot: Snapshot{EntryID: EntryID{Term: term, Index: i}, Digest: chain,
		Time: r.PositionTime(i), Size: 1, Sum: 1, Configuration: r.Configuration()}})
	step(Input{Kind: InputTick, Ticks: 1})
	if cap(out.Messages) < burst {
		t.Fatal("the memory of the burst is gone, and so is the test")
	}
	runtime.GC()
	runtime.GC()
	kept := 0
	for _, c := range commands {
		if c.Value() != nil {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d commands that are compacted are kept alive", kept, len(commands))
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(&out)
}
