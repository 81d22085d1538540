package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
)

// scriptCluster is a world for scripts: some replicas, each with a disk and a
// state machine, and the messages between them. Nothing moves but by a command,
// except that disks and state machines do what they are asked at once unless
// they are stalled.
type scriptCluster struct {
	replicas []*scriptReplica
	flight   []core.Message
	late     []core.Message // held back by the script
	cuts     []filter
	config   core.Config

	tags  []string // labels; a tag is its place, from 1 on
	reads []scriptRead

	// What has been seen so far, for checkSafety.
	committed []core.Entry // by index-1; of an index below a snapshot only the digest may be known
	leaders   map[core.Term]core.ReplicaID
	named     map[core.EntryID]uint64 // the digest that goes with the name
	// complaints are what is wrong and does not end the script.
	complaints []string

	output []string
	mode   showMode
	watch  []core.ReplicaID // whose state showState shows; empty: everyone's
	header string           // not printed yet
}

// scriptReplica is a host. The disk survives a crash; raft and machine do not.
type scriptReplica struct {
	id     core.ReplicaID
	raft   *core.Raft // nil: down
	out    core.Ready
	boot   core.Boot
	jitter uint32
	wants  bool // jitter

	disk        scriptDisk
	writes      []scriptWrite // not durable yet
	diskStalled bool

	machine        []string // the commands applied
	applied        core.Index
	pages          []scriptPage // handed over, and not applied yet
	machineStalled bool

	answers []core.ReadReady
	checked core.Index // its entries up to here have been compared
}

// scriptDisk is what is durable.
type scriptDisk struct {
	hard       core.HardState
	base       core.EntryID
	baseDigest uint64
	baseTime   uint64
	entries    []core.Entry
	snapshots  []scriptSnapshot // the latest one last; there is always one
	incoming   scriptSnapshot
}

type scriptSnapshot struct {
	core.Snapshot
	data []byte
}

// scriptWrite is one write on its way to the disk, and the messages that wait
// for it.
type scriptWrite struct {
	ready core.Ready // its first part
	taken *scriptSnapshot
	held  []core.Message
}

type scriptPage struct {
	restore *core.Snapshot
	entries []core.Entry
}

type scriptRead struct {
	tag        uint64
	least      core.Index // whoever reads must see that much
	maybeStale bool
}

type showMode uint8

const (
	showAll showMode = iota
	showState
	showNothing
)

// found starts a cluster of n voters.
func (c *scriptCluster) found(a *arguments) {
	n := a.count(3)
	*c = scriptCluster{output: c.output, mode: c.mode, leaders: map[core.Term]core.ReplicaID{}, named: map[core.EntryID]uint64{}}
	limits := core.DefaultLimits()
	limits.TrailingBytes = a.number("trailing", 0)
	limits.EntryBytes = a.number("entry", limits.EntryBytes)
	limits.MessageBytes = a.number("message", limits.MessageBytes)
	limits.InflightMessages = uint32(a.number("inflight", 16))
	limits.InflightBytes = a.number("inflight-bytes", limits.InflightBytes)
	limits.UnappliedBytes = a.number("unapplied", limits.UnappliedBytes)
	limits.ApplyBytes = a.number("page", limits.ApplyBytes)
	limits.ChunkBytes = uint32(a.number("chunk", uint64(limits.ChunkBytes)))
	limits.Reads = uint32(a.number("reads", uint64(limits.Reads)))
	c.config = core.Config{Cluster: 1, Limits: limits,
		ElectionTicks: uint32(a.number("election", 10)), HeartbeatTicks: uint32(a.number("heartbeat", 2))}
	var founding core.Configuration
	for i := range n {
		founding.Voters = append(founding.Voters, core.ReplicaID(i+1))
	}
	for _, id := range founding.Voters {
		c.add(id, founding)
	}
}

// add starts a replica on an empty disk.
func (c *scriptCluster) add(id core.ReplicaID, founding core.Configuration) {
	h := &scriptReplica{id: id, jitter: uint32(id)}
	h.disk.snapshots = []scriptSnapshot{{Snapshot: core.Snapshot{Configuration: founding}}}
	c.replicas = append(c.replicas, h)
	c.start(h)
}

// start lets a replica begin with what is on its disk. A log that does not
// reach the snapshot, or contradicts it, is left behind.
func (c *scriptCluster) start(h *scriptReplica) {
	d := &h.disk
	latest := d.latest()
	held := latest.EntryID == d.base
	for i := range d.entries {
		held = held || d.entries[i].EntryID == latest.EntryID
	}
	if !held {
		d.base, d.baseDigest, d.baseTime, d.entries = latest.EntryID, latest.Digest, latest.Time, nil
	}
	d.incoming = scriptSnapshot{}
	h.boot++
	cfg := c.config
	cfg.ID, cfg.Boot, cfg.Jitter = h.id, h.boot, h.jitter
	raft, err := core.New(cfg, core.State{HardState: d.hard, Snapshot: latest.Snapshot,
		Base: d.base, BaseDigest: d.baseDigest, BaseTime: d.baseTime, Entries: slices.Clone(d.entries)})
	if err != nil {
		fail("replica %d: %v", h.id, err)
	}
	h.raft, h.applied, h.checked = raft, latest.Index, 0
	h.machine = commandsIn(latest.data)
}

func (c *scriptCluster) restart(id core.ReplicaID) {
	h := c.replica(id)
	if h.raft != nil {
		c.crash(id, len(h.writes))
	}
	c.start(h)
	st := h.raft.Status()
	c.print("%d starts with term %d, vote %d, log up to %v, commit %d", id, st.Term, st.Vote, st.Last, st.Commit)
	c.checkSafety(h)
}

// crash stops a replica. Of the writes that are not durable the disk keeps the
// first few, or none.
func (c *scriptCluster) crash(id core.ReplicaID, keep int) {
	h := c.replica(id)
	for i := 0; i < keep && i < len(h.writes); i++ {
		h.disk.write(&h.writes[i])
	}
	*h = scriptReplica{id: id, boot: h.boot, jitter: h.jitter, disk: h.disk}
}

func (c *scriptCluster) replica(id core.ReplicaID) *scriptReplica {
	for _, h := range c.replicas {
		if h.id == id {
			return h
		}
	}
	fail("there is no replica %d", id)
	return nil
}

func (c *scriptCluster) running() (ids []core.ReplicaID) {
	for _, h := range c.replicas {
		if h.raft != nil {
			ids = append(ids, h.id)
		}
	}
	return ids
}

func (c *scriptCluster) tag(label string) uint64 {
	c.tags = append(c.tags, label)
	return uint64(len(c.tags))
}

func (c *scriptCluster) label(tag uint64) string { return c.tags[tag-1] }

// do gives a replica one input, and then does what its disk and its state
// machine have to do.
func (c *scriptCluster) do(id core.ReplicaID, in core.Input, header string) {
	h := c.replica(id)
	if h.raft == nil {
		fail("replica %d is down", id)
	}
	c.header = header
	c.step(h, in)
	c.settle(h)
}

// step is one input and the duties that follow, but for those that take time.
func (c *scriptCluster) step(h *scriptReplica, in core.Input) {
	if in.Kind == core.InputTick && h.wants {
		in.Jitter, in.JitterSet = h.jitter, true
	}
	before := h.raft.Status()
	if err := h.raft.Step(&in, &h.out); err != nil {
		fail("replica %d: %v (halted: %v)", h.id, err, h.raft.Halted())
	}
	if err := h.raft.CheckInvariants(); err != nil {
		fail("replica %d: %v", h.id, err)
	}
	out := &h.out
	h.wants = out.WantJitter
	c.showStep(h, &before)
	c.checkSafety(h)

	messages := c.ready(h, out.Messages)
	if held := c.ready(h, out.Held); out.WriteSet || out.ChunkSet || len(out.Released) > 0 {
		h.writes = append(h.writes, newWrite(out, held))
	} else if n := len(h.writes); n > 0 {
		h.writes[n-1].held = append(h.writes[n-1].held, held...)
	} else {
		messages = append(messages, held...)
	}
	c.send(h, messages)
	if out.RestoreSet {
		s := out.Restore
		h.pages = append(h.pages, scriptPage{restore: &s})
	}
	if len(out.Committed) > 0 {
		h.pages = append(h.pages, scriptPage{entries: out.Committed})
	}
	h.answers = append(h.answers, out.Reads...)
	for _, r := range out.Reads {
		c.checkRead(r)
	}
	c.answerReads(h)
}

// settle has the disk and the state machine do what they are asked, and ends
// what goes on under one header.
func (c *scriptCluster) settle(h *scriptReplica) {
	defer func() { c.header = "" }()
	for h.raft != nil {
		switch {
		case len(h.pages) > 0 && !h.machineStalled:
			c.apply(h)
		case len(h.writes) > 0 && !h.diskStalled:
			c.persist(h)
		default:
			return
		}
	}
}

// ready copies messages, and gives those with snapshots their bytes.
func (c *scriptCluster) ready(h *scriptReplica, messages []core.Message) []core.Message {
	messages = slices.Clone(messages)
	for i := range messages {
		m := &messages[i]
		m.AppendEntries.Entries = slices.Clone(m.AppendEntries.Entries)
		if s := &m.InstallSnapshot; m.Kind == core.KindInstallSnapshot {
			j := slices.IndexFunc(h.disk.snapshots, func(have scriptSnapshot) bool { return have.Same(&s.Snapshot) })
			if j < 0 {
				fail("replica %d sends a snapshot that it does not have: %v", h.id, s.Snapshot.EntryID)
			}
			s.Data = h.disk.snapshots[j].data[s.Offset:][:s.Length]
		}
	}
	return messages
}

// send shows messages, those that differ only in their receiver as one, and
// has them in flight unless their way is cut.
func (c *scriptCluster) send(h *scriptReplica, messages []core.Message) {
	var texts []string
	receivers := map[string]string{}
	for i := range messages {
		m := &messages[i]
		text := m.String()
		lost := slices.ContainsFunc(c.cuts, func(f filter) bool { return f.matches(m) })
		if lost {
			text += " (lost)"
		} else {
			c.flight = append(c.flight, *m)
		}
		if to, ok := receivers[text]; ok {
			receivers[text] = fmt.Sprintf("%s,%d", to, m.To)
		} else {
			receivers[text] = fmt.Sprint(m.To)
			texts = append(texts, text)
		}
	}
	for _, text := range texts {
		c.showMessage("-> %s %s", receivers[text], text)
	}
}

// receive delivers a message, if there is anyone to receive it.
func (c *scriptCluster) receive(m *core.Message) {
	i := slices.IndexFunc(c.replicas, func(h *scriptReplica) bool { return h.id == m.To && h.raft != nil })
	if i < 0 {
		return
	}
	c.do(m.To, core.Input{Kind: core.InputMessage, Message: m}, fmt.Sprintf("%d receives %s from %d", m.To, m.Name(), m.From))
}

func (c *scriptCluster) deliverAll() {
	for n := 0; len(c.flight) > 0; n++ {
		if n > 10000 {
			fail("messages without end")
		}
		m := c.flight[0]
		c.flight = c.flight[1:]
		c.receive(&m)
	}
}

// cut loses what the filter chooses, from now on and what is on its way.
func (c *scriptCluster) cut(f filter) {
	c.cuts = append(c.cuts, f)
	_, c.flight = f.take(c.flight)
}

// tick lets ticks pass one by one. One before the next deadline does nothing.
func (c *scriptCluster) tick(id core.ReplicaID, n int) {
	for i := range n {
		h := c.replica(id)
		if h.raft == nil {
			fail("replica %d is down", id)
		}
		next := h.raft.NextDeadline()
		sent, shown := len(c.flight), len(c.output)
		header := fmt.Sprintf("%d ticks", id)
		if n > 1 {
			header = fmt.Sprintf("%d ticks (%d)", id, i+1)
		}
		c.do(id, core.Input{Kind: core.InputTick, Ticks: 1}, header)
		if next > 1 && (len(c.flight) != sent || len(c.output) != shown) {
			fail("replica %d was to do nothing for %d ticks:\n%s", id, next, strings.Join(c.output[shown:], "\n"))
		}
	}
}

// elect is for the beginning of a script: everyone forgets whoever leads, and
// id stands.
func (c *scriptCluster) elect(id core.ReplicaID) {
	for _, other := range c.running() {
		c.tick(other, int(c.config.ElectionTicks))
	}
	c.flight = nil
	c.do(id, core.Input{Kind: core.InputCampaign, Tag: c.tag("campaign")}, fmt.Sprintf("%d is to stand", id))
	c.deliverAll()
	if c.replica(id).raft.Status().Role != core.RoleLeader {
		fail("replica %d was not elected", id)
	}
}

// takeSnapshot has a state machine save what it has applied.
func (c *scriptCluster) takeSnapshot(id core.ReplicaID) {
	h := c.replica(id)
	members, known := h.raft.ConfigurationAt(h.applied)
	term, chain, ok := h.raft.Position(h.applied)
	if !known || !ok || h.applied <= h.disk.latest().Index {
		fail("replica %d has nothing new to take a snapshot of", id)
	}
	data := []byte(strings.Join(h.machine, "\n"))
	s := scriptSnapshot{core.Snapshot{EntryID: core.EntryID{Term: term, Index: h.applied}, Digest: chain,
		Time: h.raft.PositionTime(h.applied), Size: uint64(len(data)), Sum: digest.Bytes(0, data), Configuration: members}, data}
	h.writes = append(h.writes, scriptWrite{taken: &s})
	c.header = fmt.Sprintf("%d takes a snapshot at %v", id, s.EntryID)
	c.settle(h)
}

func commandsIn(data []byte) []string {
	if len(data) == 0 {
		return nil
	}
	return strings.Split(string(data), "\n")
}

// newWrite keeps what a step wants of the disk.
func newWrite(out *core.Ready, held []core.Message) scriptWrite {
	w := scriptWrite{held: held}
	w.ready.WriteSet, w.ready.HardState, w.ready.Mark = out.WriteSet, out.HardState, out.Mark
	w.ready.Reset, w.ready.Restore, w.ready.Truncate, w.ready.Compact = out.Reset, out.Restore, out.Truncate, out.Compact
	w.ready.Entries, w.ready.Released = slices.Clone(out.Entries), slices.Clone(out.Released)
	w.ready.ChunkSet, w.ready.Chunk = out.ChunkSet, out.Chunk
	w.ready.Chunk.Data = bytes.Clone(out.Chunk.Data)
	return w
}

// persist makes the oldest write durable, lets go of what waited for it and
// tells the core.
func (c *scriptCluster) persist(h *scriptReplica) {
	if len(h.writes) == 0 {
		return
	}
	w := h.writes[0]
	h.writes = h.writes[1:]
	err := h.disk.write(&w)
	c.send(h, w.held)
	if w.ready.WriteSet {
		c.step(h, core.Input{Kind: core.InputPersisted, Persisted: core.Persisted{
			Log: w.ready.Mark, Term: w.ready.HardState.Term, Vote: w.ready.HardState.Vote}})
	}
	switch {
	case w.taken != nil:
		c.step(h, core.Input{Kind: core.InputSnapshotTaken, Snapshot: w.taken.Snapshot})
	case err != nil:
		c.step(h, core.Input{Kind: core.InputSnapshotFailed, Snapshot: w.ready.Chunk.Snapshot})
	case w.ready.ChunkSet && w.ready.Chunk.Last:
		c.step(h, core.Input{Kind: core.InputSnapshotInstalled, Snapshot: w.ready.Chunk.Snapshot})
	}
}

var errSum = errors.New("these are not the bytes of the snapshot")

func (d *scriptDisk) latest() *scriptSnapshot { return &d.snapshots[len(d.snapshots)-1] }

func (d *scriptDisk) write(w *scriptWrite) error {
	r := &w.ready
	if r.WriteSet {
		d.hard = r.HardState
		if r.Reset {
			d.base, d.baseDigest, d.baseTime, d.entries = r.Restore.EntryID, r.Restore.Digest, r.Restore.Time, nil
		}
		if r.Truncate != 0 {
			d.entries = d.entries[:r.Truncate-d.base.Index-1]
		}
		d.entries = append(slices.Clip(d.entries), r.Entries...)
		if n := r.Compact - d.base.Index; r.Compact > d.base.Index {
			e := &d.entries[n-1]
			d.base, d.baseDigest, d.baseTime, d.entries = e.EntryID, e.Digest, e.Time, d.entries[n:]
		}
	}
	if w.taken != nil {
		d.snapshots = append(d.snapshots, *w.taken)
	}
	d.snapshots = slices.DeleteFunc(d.snapshots, func(s scriptSnapshot) bool {
		return slices.ContainsFunc(r.Released, func(gone core.Snapshot) bool { return gone.Same(&s.Snapshot) })
	})
	if r.ChunkSet {
		if r.Chunk.Offset == 0 {
			d.incoming = scriptSnapshot{Snapshot: r.Chunk.Snapshot}
		}
		d.incoming.data = append(d.incoming.data, r.Chunk.Data...)
		if r.Chunk.Last {
			if digest.Bytes(0, d.incoming.data) != r.Chunk.Snapshot.Sum {
				return errSum
			}
			d.snapshots = append(d.snapshots, d.incoming)
		}
	}
	return nil
}

// apply has the state machine do the oldest page.
func (c *scriptCluster) apply(h *scriptReplica) {
	p := h.pages[0]
	h.pages = h.pages[1:]
	if p.restore != nil {
		i := slices.IndexFunc(h.disk.snapshots, func(s scriptSnapshot) bool { return s.Same(p.restore) })
		h.machine = commandsIn(h.disk.snapshots[i].data)
		h.applied = p.restore.Index
		c.showState(h, "loads the snapshot %v: %s", p.restore.EntryID, h.describeMachine())
	}
	for i := range p.entries {
		e := &p.entries[i]
		if e.Index != h.applied+1 {
			fail("replica %d is to apply %v after %d", h.id, e.EntryID, h.applied)
		}
		h.applied++
		if e.Kind == core.EntryCommand {
			h.machine = append(h.machine, string(e.Data))
		}
	}
	if h.machineStalled {
		c.showState(h, "has applied up to %d", h.applied)
	}
	c.step(h, core.Input{Kind: core.InputApplied, Applied: h.applied})
}

func (c *scriptCluster) answerReads(h *scriptReplica) {
	h.answers = slices.DeleteFunc(h.answers, func(r core.ReadReady) bool {
		if r.Index <= h.applied {
			c.showState(h, "answers %q with: %s", c.label(r.Tag), h.describeMachine())
		}
		return r.Index <= h.applied
	})
}

// checkRead: who reads sees everything that was committed anywhere before the
// read began.
func (c *scriptCluster) checkRead(r core.ReadReady) {
	for _, asked := range c.reads {
		if asked.tag == r.Tag && r.Index < asked.least && !asked.maybeStale {
			fail("the read %q is answered as of index %d, and %d was committed before it began", c.label(r.Tag), r.Index, asked.least)
		}
	}
}

// checkSafety compares a replica with all that was seen before (dissertation
// figure 3.2).
func (c *scriptCluster) checkSafety(h *scriptReplica) {
	st := h.raft.Status()
	// Log Matching: one name, one history.
	for i := range h.out.Entries {
		e := &h.out.Entries[i]
		if known, ok := c.named[e.EntryID]; ok && known != e.Digest {
			fail("replica %d has an entry %v that differs from another one of that name", h.id, e.EntryID)
		}
		c.named[e.EntryID] = e.Digest
	}
	// State Machine Safety: what is committed anywhere is committed everywhere.
	for i := max(h.checked+1, st.First-1, 1); i <= st.Commit; i++ {
		term, chain, _ := h.raft.Position(i)
		for core.Index(len(c.committed)) < i {
			c.committed = append(c.committed, core.Entry{})
		}
		seen := &c.committed[i-1]
		if seen.Index != 0 && seen.Digest != chain {
			e, _ := h.raft.Entry(i)
			fail("two entries are committed at index %d: %v %s, and at replica %d %v %s", i,
				seen.EntryID, describeData(seen), h.id, e.EntryID, describeData(&e))
		}
		if e, ok := h.raft.Entry(i); ok {
			*seen = e
		} else {
			seen.EntryID, seen.Digest = core.EntryID{Term: term, Index: i}, chain
		}
	}
	h.checked = st.Commit
	if st.Role != core.RoleLeader {
		return
	}
	switch leader := c.leaders[st.Term]; leader {
	case h.id:
	case 0:
		c.leaders[st.Term] = h.id
		// Leader Completeness: a leader has all that was committed before.
		for i := range c.committed {
			seen := &c.committed[i]
			if _, chain, ok := h.raft.Position(seen.Index); seen.Index > st.Last.Index || ok && chain != seen.Digest {
				// Nobody is harmed yet: what comes of it is worth seeing.
				c.complaints = append(c.complaints,
					fmt.Sprintf("replica %d leads term %d, and lacks the committed entry %v", h.id, st.Term, seen.EntryID))
				break
			}
		}
	default:
		fail("term %d has two leaders: replicas %d and %d", st.Term, leader, h.id)
	}
}
