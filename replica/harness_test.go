package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
)

// ledger is a state machine that knows everything that was ever applied to it.
type ledger struct {
	index    uint64
	time     uint64
	commands [][]byte
	digest   uint64
	// observe sees every command that is applied.
	observe func(index uint64, command []byte)
}

func (l *ledger) Apply(index, time uint64, command, reply []byte) []byte {
	if index <= l.index || time < l.time {
		panic(fmt.Sprintf("ledger: entry %d at %d applied after %d at %d", index, time, l.index, l.time))
	}
	l.index, l.time = index, time
	l.commands = append(l.commands, command)
	l.digest = digest.Bytes(digest.Word(l.digest, index), command)
	if l.observe != nil {
		l.observe(index, command)
	}
	return append(append(reply, "ok "...), command...)
}

// Query answers with the number of commands applied and the query.
func (l *ledger) Query(query, reply []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(reply, uint64(len(l.commands))), query...)
}

func (l *ledger) Digest() uint64 { return l.digest }

func (l *ledger) Snapshot() io.WriterTo {
	return &ledgerSnapshot{ledger{index: l.index, time: l.time, digest: l.digest,
		commands: l.commands[:len(l.commands):len(l.commands)]}}
}

type ledgerSnapshot struct{ ledger }

func (s *ledgerSnapshot) WriteTo(w io.Writer) (int64, error) {
	var b []byte
	le := binary.LittleEndian
	b = le.AppendUint64(b, s.index)
	b = le.AppendUint64(b, s.time)
	b = le.AppendUint64(b, s.digest)
	for _, c := range s.commands {
		b = append(le.AppendUint32(b, uint32(len(c))), c...)
	}
	n, err := w.Write(b)
	return int64(n), err
}

func (l *ledger) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(b) < 24 {
		return io.ErrUnexpectedEOF
	}
	le := binary.LittleEndian
	*l = ledger{index: le.Uint64(b), time: le.Uint64(b[8:]), digest: le.Uint64(b[16:]), observe: l.observe}
	for b = b[24:]; len(b) > 0; {
		n := int(le.Uint32(b))
		l.commands = append(l.commands, b[4:4+n])
		b = b[4+n:]
	}
	return nil
}

// outcome is an answer that was given.
type outcome struct {
	Answer
	reply string
}

// host is one replica with its disk and its state machine. Nothing
// happens by itself; a test completes writes and runs tasks when it likes.
type host struct {
	t       testing.TB
	id      core.ReplicaID
	disk    *Memory
	sm      *ledger
	replica *Replica

	sent    []core.Message
	writes  []*Write // submitted and not completed
	tasks   []*Task
	saves   []*Task
	answers map[uint64]outcome // proposals by tag, reads by ^tag
	members core.Configuration
	events  []core.Event
	// What SaveFailed was told.
	saveErrs []error
	retries  []uint64
	// onSend, when set, gets messages instead of sent.
	onSend func(m *core.Message)
	// appendErr, when set, fails appends.
	appendErr error
}

func testConfig(id core.ReplicaID) core.Config {
	l := core.DefaultLimits()
	l.InflightMessages = 16
	l.TrailingBytes = 200
	l.ChunkBytes = 64
	l.ApplyBytes = 400
	return core.Config{ID: id, Cluster: 7, ElectionTicks: 10, HeartbeatTicks: 2, Jitter: uint32(id), Limits: l}
}

func founding(n int) core.Configuration {
	c := core.Configuration{}
	for i := range n {
		c.Voters = append(c.Voters, core.ReplicaID(i+1))
	}
	return c
}

func newHost(t testing.TB, id core.ReplicaID, members int, o Options) *host {
	n := &host{t: t, id: id, disk: NewMemory(founding(members)), answers: map[uint64]outcome{}}
	n.start(o)
	return n
}

// start makes a new incarnation, on whatever the disk holds.
func (n *host) start(o Options) {
	n.t.Helper()
	n.sent, n.writes, n.tasks, n.saves = nil, nil, nil, nil
	var observe func(uint64, []byte)
	if n.sm != nil {
		observe = n.sm.observe
	}
	n.sm = &ledger{observe: observe}
	r, err := New(testConfig(n.id), o, n.disk, n)
	if err != nil {
		n.t.Fatalf("start of replica %d: %v", n.id, err)
	}
	n.replica = r
}

func (n *host) Send(m *core.Message) {
	n.checkPromises(m)
	if n.onSend != nil {
		n.onSend(m)
		return
	}
	c := *m
	c.AppendEntries.Entries = slices.Clone(m.AppendEntries.Entries)
	c.InstallSnapshot.Data = slices.Clone(m.InstallSnapshot.Data)
	n.sent = append(n.sent, c)
}

// checkPromises fails the test if a message says more than is durable.
func (n *host) checkPromises(m *core.Message) {
	d := n.disk.Durable()
	if m.Term > d.HardState.Term && m.Kind != core.KindRequestVote {
		n.t.Fatalf("replica %d speaks of term %d, durable is %d: %v", n.id, m.Term, d.HardState.Term, m.Kind)
	}
	match := core.Index(0)
	switch m.Kind {
	case core.KindRequestVote:
		if v := m.RequestVote; !v.Pre && !keeps(d.HardState, v.For, n.id) {
			n.t.Fatalf("replica %d is a candidate of term %d, durable is %+v", n.id, v.For, d.HardState)
		}
	case core.KindRequestVoteResponse:
		if v := m.RequestVoteResponse; v.Granted && !v.Pre && !keeps(d.HardState, v.For, m.To) {
			n.t.Fatalf("replica %d votes for %d in term %d, durable is %+v", n.id, m.To, v.For, d.HardState)
		}
	case core.KindAppendEntriesResponse:
		match = m.AppendEntriesResponse.Match
	case core.KindInstallSnapshotResponse:
		match = m.InstallSnapshotResponse.Match
	}
	if m.Term < d.HardState.Term {
		return // to a leader of the past
	}
	if match > d.Last.Index {
		n.t.Fatalf("replica %d says that it holds %d, durable is up to %v", n.id, match, d.Last)
	}
	if id, chain, ok := n.disk.DurableEntry(match); match > 0 && ok {
		if term, own, known := n.replica.Core().Position(match); known && (term != id.Term || own != chain) {
			n.t.Fatalf("replica %d says that it holds %d@%d, durable is %v", n.id, match, term, id)
		}
	}
}

// keeps says whether a vote in a term can not be given to another any more.
func keeps(h core.HardState, term core.Term, vote core.ReplicaID) bool {
	return h.Term > term || h.Term == term && h.Vote == vote
}

func (n *host) Submit(w *Write) {
	if err := n.disk.Append(w); err != nil && n.appendErr == nil {
		n.appendErr = err
	}
	n.writes = append(n.writes, w)
}

func (n *host) Apply(t *Task) {
	if t.Kind == TaskSave {
		n.saves = append(n.saves, t)
	} else {
		n.tasks = append(n.tasks, t)
	}
}

func (n *host) Answer(a *Answer) {
	key := a.Tag
	if a.Read {
		key = ^key
	}
	if was, twice := n.answers[key]; twice {
		n.t.Fatalf("tag %d answered twice: %+v, then %+v", a.Tag, was, *a)
	}
	o := outcome{Answer: *a, reply: string(a.Reply)}
	o.Reply = nil
	n.answers[key] = o
}

func (n *host) Members(c *core.Configuration) { n.members = *c }

func (n *host) Event(e core.Event) { n.events = append(n.events, e) }

func (n *host) SaveFailed(err error, retryTicks uint64) {
	n.saveErrs = append(n.saveErrs, err)
	n.retries = append(n.retries, retryTicks)
}

func (n *host) read(tag uint64) (outcome, bool) {
	o, ok := n.answers[^tag]
	return o, ok
}

// sync completes the first k outstanding writes.
func (n *host) sync(k int) {
	if n.appendErr != nil {
		n.t.Fatalf("replica %d: append: %v", n.id, n.appendErr)
	}
	if k == 0 {
		return
	}
	seq := n.writes[k-1].Seq
	if err := n.disk.Sync(seq); err != nil {
		n.t.Fatal(err)
	}
	n.writes = slices.Delete(n.writes, 0, k)
	n.replica.Completed(seq, nil)
}

// run does the first task.
func (n *host) run() {
	t := n.tasks[0]
	n.tasks = slices.Delete(n.tasks, 0, 1)
	t.Run(n.sm)
	n.replica.Applied(t)
}

// save does the first save.
func (n *host) save() {
	t := n.saves[0]
	n.saves = slices.Delete(n.saves, 0, 1)
	t.Run(n.sm)
	n.replica.Applied(t)
}

// settle completes and runs whatever there is.
func (n *host) settle() {
	for len(n.writes)+len(n.tasks)+len(n.saves) > 0 {
		n.sync(len(n.writes))
		if len(n.tasks) > 0 {
			n.run()
		}
		if len(n.saves) > 0 {
			n.save()
		}
	}
	if h := n.replica.Halted(); h != nil {
		n.t.Fatalf("replica %d: %v", n.id, h)
	}
	if err := n.replica.Core().CheckInvariants(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *host) tick() { n.replica.Tick(1, uint32(n.id)*3, n.replica.WantJitter()) }

// take returns what was sent, and forgets it.
func (n *host) take() []core.Message {
	s := n.sent
	n.sent = nil
	return s
}

// cluster is some hosts whose messages are delivered as a test says.
type cluster struct {
	t     testing.TB
	hosts []*host
	cut   func(m *core.Message) bool
}

func newCluster(t testing.TB, members int, o Options) *cluster {
	c := &cluster{t: t}
	for i := range members {
		c.hosts = append(c.hosts, newHost(t, core.ReplicaID(i+1), members, o))
	}
	return c
}

// settle delivers and completes until nothing is left.
func (c *cluster) settle() {
	c.t.Helper()
	for busy, rounds := true, 0; busy; rounds++ {
		if rounds > 10000 {
			c.t.Fatal("the cluster does not come to rest")
		}
		busy = false
		for _, n := range c.hosts {
			n.settle()
			for _, m := range n.take() {
				busy = true
				if c.cut != nil && c.cut(&m) {
					continue
				}
				if err := c.hosts[m.To-1].replica.Receive(&m); err != nil {
					c.t.Fatalf("replica %d: %v", m.To, err)
				}
			}
		}
	}
}

// ticks lets time pass on all hosts.
func (c *cluster) ticks(k int) {
	c.t.Helper()
	for range k {
		for _, n := range c.hosts {
			n.tick()
		}
		c.settle()
	}
}

// elect has host id lead.
func (c *cluster) elect(id core.ReplicaID) *host {
	c.t.Helper()
	n := c.hosts[id-1]
	for _, m := range c.hosts {
		if m != n {
			m.replica.Tick(10, 0, false) // long enough to have no leader
		}
	}
	for range 100 {
		n.tick()
		c.settle()
		if s := n.replica.Core().Status(); s.Role == core.RoleLeader && s.Commit == s.Last.Index {
			return n
		}
	}
	c.t.Fatalf("replica %d does not become leader", id)
	return nil
}

// walk drives a cluster by chance: messages are lost, repeated and reordered,
// disks and appliers lag, processes crash and power fails.
type walk struct {
	t       testing.TB
	rng     *rand.Rand
	hosts   []*host
	up      []bool
	flight  []core.Message
	options Options

	tag       uint64
	applied   map[uint64][]byte // command by index, on any replica
	answered  map[uint64]bool   // proposals answered as applied
	readFloor map[uint64]int    // how many were acknowledged when the read came in
	counts    map[string]int
}

func newWalk(t testing.TB, seed uint64, members int) *walk {
	w := &walk{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)),
		applied: map[uint64][]byte{}, answered: map[uint64]bool{},
		readFloor: map[uint64]int{}, counts: map[string]int{},
	}
	w.options.SnapshotBytes = uint64(200 + w.rng.IntN(2000))
	for i := range members {
		n := &host{t: t, id: core.ReplicaID(i + 1), disk: NewMemory(founding(members)), answers: map[uint64]outcome{}}
		n.sm = &ledger{observe: w.observe}
		n.onSend = w.send
		n.start(w.options)
		w.hosts = append(w.hosts, n)
		w.up = append(w.up, true)
	}
	return w
}

func (w *walk) observe(index uint64, command []byte) {
	if was, ok := w.applied[index]; ok && !bytes.Equal(was, command) {
		w.t.Fatalf("entry %d applied as %q and as %q", index, was, command)
	}
	w.applied[index] = command
}

func (w *walk) send(m *core.Message) {
	c := *m
	c.AppendEntries.Entries = slices.Clone(m.AppendEntries.Entries)
	c.InstallSnapshot.Data = slices.Clone(m.InstallSnapshot.Data)
	w.flight = append(w.flight, c)
	w.counts[fmt.Sprintf("sent %d", m.Kind)]++
}

func (w *walk) chance(num, den int) bool { return w.rng.IntN(den) < num }

func (w *walk) step(faults bool) {
	i := w.rng.IntN(len(w.hosts))
	n := w.hosts[i]
	if !w.up[i] {
		if !faults || w.chance(1, 20) {
			n.start(w.options)
			w.up[i] = true
			if d, _ := n.replica.Recovery(); d != DropNone {
				w.counts[d.String()]++
			}
		}
		return
	}
	switch k := w.rng.IntN(100); {
	case k < 12:
		n.tick()
	case k < 45:
		w.deliver(faults)
	case k < 60:
		if len(n.writes) > 0 {
			n.sync(1 + w.rng.IntN(len(n.writes)))
		}
	case k < 72:
		if len(n.tasks) > 0 {
			kind := n.tasks[0].Kind
			w.counts[kind.String()]++
			n.run()
		}
	case k < 76:
		if len(n.saves) > 0 {
			w.counts["save"]++
			n.save()
		}
	case k < 88:
		if faults {
			w.propose(n)
		}
	case k < 92 && faults:
		w.tag++
		w.readFloor[w.tag] = len(w.answered)
		n.replica.Read(w.tag, binary.LittleEndian.AppendUint64(nil, w.tag))
	case k < 94 && faults && w.chance(1, 12):
		w.up[i] = false
		if w.chance(1, 2) {
			logs, hards := n.disk.Unsynced()
			if logs+hards > 0 {
				w.counts["power loss with unsynced writes"]++
			}
			n.disk.PowerLoss(w.rng.IntN(logs+1), w.rng.IntN(hards+1))
		}
	}
	if h := n.replica.Halted(); h != nil {
		w.t.Fatalf("replica %d: %v", n.id, h)
	}
	if err := n.replica.Core().CheckInvariants(); err != nil {
		w.t.Fatalf("replica %d: %v", n.id, err)
	}
	w.collect(n)
}

func (w *walk) propose(n *host) {
	w.tag++
	command := binary.LittleEndian.AppendUint64(nil, w.tag)
	command = append(command, make([]byte, w.rng.IntN(60))...)
	n.replica.Propose(w.tag, command)
}

func (w *walk) deliver(faults bool) {
	if len(w.flight) == 0 {
		return
	}
	j := w.rng.IntN(min(len(w.flight), 30))
	m := w.flight[j]
	if !faults || !w.chance(1, 20) {
		w.flight = slices.Delete(w.flight, j, j+1)
	}
	if faults && w.chance(1, 20) || !w.up[m.To-1] {
		return
	}
	to := w.hosts[m.To-1]
	if m.Kind == core.KindInstallSnapshot && faults && w.chance(1, 30) && len(m.InstallSnapshot.Data) > 0 {
		// A wrong byte that no checksum has caught.
		m.InstallSnapshot.Data = slices.Clone(m.InstallSnapshot.Data)
		m.InstallSnapshot.Data[w.rng.IntN(len(m.InstallSnapshot.Data))] ^= 1
		w.counts["snapshot bytes spoilt"]++
	}
	if err := to.replica.Receive(&m); err != nil {
		w.t.Fatalf("replica %d: message %d from %d: %v", to.id, m.Kind, m.From, err)
	}
}

// collect checks the answers that have come.
func (w *walk) collect(n *host) {
	for key, o := range n.answers {
		delete(n.answers, key)
		w.counts[fmt.Sprintf("read %t %v", o.Read, o.Kind)]++
		if o.Kind != AnswerApplied {
			continue
		}
		if o.Read {
			if got := binary.LittleEndian.Uint64([]byte(o.reply)); int(got) < w.readFloor[o.Tag] {
				w.t.Fatalf("read %d saw %d commands, %d were acknowledged before it", o.Tag, got, w.readFloor[o.Tag])
			}
			continue
		}
		w.answered[o.Tag] = true
		c := w.applied[uint64(o.Index)]
		if len(c) < 8 || binary.LittleEndian.Uint64(c) != o.Tag || o.reply != "ok "+string(c) {
			w.t.Fatalf("proposal %d answered with %q at %d, where %q was applied", o.Tag, o.reply, o.Index, c)
		}
	}
}

// finish lets all faults end and waits until the replicas agree.
func (w *walk) finish() {
	for range 200_000 {
		w.step(false)
		if w.rng.IntN(50) == 0 && w.agree() {
			return
		}
	}
	for i, n := range w.hosts {
		w.t.Logf("replica %d up %t: %+v, applied %d, %d writes, %d tasks out", n.id, w.up[i], n.replica.Core().Status(),
			n.sm.index, len(n.writes), len(n.tasks))
	}
	w.t.Fatal("no agreement after all faults have ended")
}

func (w *walk) agree() bool {
	for i, n := range w.hosts {
		if !w.up[i] {
			return false
		}
		if n.sm.index != w.hosts[0].sm.index || n.sm.digest != w.hosts[0].sm.digest {
			return false
		}
	}
	// Everything acknowledged is there, once.
	seen := map[uint64]int{}
	for _, c := range w.hosts[0].sm.commands {
		seen[binary.LittleEndian.Uint64(c)]++
	}
	for tag := range w.answered {
		if seen[tag] == 0 {
			return false
		}
	}
	for tag, times := range seen {
		if times > 1 {
			w.t.Fatalf("proposal %d applied %d times", tag, times)
		}
	}
	return true
}

var errTest = errors.New("test: disk on fire")
