package core_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
)

// This file is how a scriptCluster looks from outside: what a step has done and
// the state of a replica, each in a line. Messages show themselves.

// check shows how far everyone is; that nobody contradicts is checked always.
func (c *scriptCluster) check() {
	var texts []string
	ids := map[string]string{}
	for _, id := range c.running() {
		st := c.replica(id).raft.Status()
		text := fmt.Sprintf("last %v, commit %d, applied %d", st.Last, st.Commit, st.Applied)
		if ids[text] == "" {
			texts = append(texts, text)
		} else {
			ids[text] += " "
		}
		ids[text] += fmt.Sprint(id)
	}
	for _, text := range texts {
		c.print("%s: %s", ids[text], text)
	}
}

func (c *scriptCluster) print(format string, args ...any) {
	if c.mode != showNothing {
		c.output = append(c.output, fmt.Sprintf(format, args...))
	}
}

// showState says what became of a replica, and showMessage what it sends.
func (c *scriptCluster) showState(h *scriptReplica, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch {
	case c.mode == showAll:
		c.showBelow(text)
	case len(c.watch) == 0 || slices.Contains(c.watch, h.id):
		c.print("%d %s", h.id, text)
	}
}

func (c *scriptCluster) showMessage(format string, args ...any) {
	if c.mode == showAll {
		c.showBelow(fmt.Sprintf(format, args...))
	}
}

// showBelow prints below the header of what is going on.
func (c *scriptCluster) showBelow(text string) {
	if c.header != "" {
		c.print("%s", c.header)
		c.header = ""
	}
	c.print("  %s", text)
}

// showStep says what a step has changed.
func (c *scriptCluster) showStep(h *scriptReplica, before *core.Status) {
	out, st := &h.out, h.raft.Status()
	if out.LeaderChanged {
		text := fmt.Sprintf("%v in term %d", st.Role, st.Term)
		if st.Role == core.RoleFollower && st.Leader != 0 {
			text = fmt.Sprintf("follower of %d in term %d", st.Leader, st.Term)
		}
		c.showState(h, "becomes %s", text)
	}
	if st.Vote != 0 && st.Vote != h.id && (st.Vote != before.Vote || st.Term != before.Term) {
		c.showState(h, "votes for %d in term %d", st.Vote, st.Term)
	}
	if out.Reset {
		c.showState(h, "replaces its log by the snapshot %v", out.Restore.EntryID)
	}
	if out.Truncate != 0 {
		c.showState(h, "drops its entries from %d on", out.Truncate)
	}
	if len(out.Entries) > 0 {
		c.showState(h, "appends %s", describeEntries(out.Entries))
	}
	for _, x := range out.Accepted {
		c.showState(h, "accepts %q as %v", c.label(x.Tag), x.ID)
	}
	if st.Commit > before.Commit {
		c.showState(h, "commits up to %d", st.Commit)
	}
	if out.Compact != 0 {
		c.showState(h, "compacts its log up to %d", out.Compact)
	}
	for _, x := range out.Refusals {
		text := fmt.Sprintf("refuses %q: %v", c.label(x.Tag), x.Reason)
		if x.Leader != 0 && x.Leader != h.id {
			text += fmt.Sprintf("; try %d", x.Leader)
		}
		c.showState(h, "%s", text)
	}
	for _, x := range out.Done {
		text := fmt.Sprintf("has done %q", c.label(x.Tag))
		if x.Leader != 0 {
			text += fmt.Sprintf(": %d leads", x.Leader)
		}
		c.showState(h, "%s", text)
	}
	for _, x := range out.Reads {
		by := "a round of contact"
		if x.Lease {
			by = "its lease"
		}
		c.showState(h, "may answer %q as of %d, by %s", c.label(x.Tag), x.Index, by)
	}
	for _, x := range out.Events {
		c.showState(h, "event: %v, replica %d", x.Kind, x.Replica)
	}
	if out.ConfigurationSet {
		c.showState(h, "has configuration %s", describeConfiguration(&out.Configuration))
	}
	if out.ChunkSet {
		c.showState(h, "takes bytes %d to %d of the snapshot %v", out.Chunk.Offset,
			out.Chunk.Offset+uint64(len(out.Chunk.Data)), out.Chunk.Snapshot.EntryID)
	}
}

func (c *scriptCluster) showStatus(id core.ReplicaID) {
	h := c.replica(id)
	if h.raft == nil {
		c.print("%d is down", id)
		return
	}
	st := h.raft.Status()
	text := ""
	if st.Successor != 0 {
		text += fmt.Sprintf(" successor=%d", st.Successor)
	}
	if st.ReadsWaiting > 0 {
		text += fmt.Sprintf(" reads=%d", st.ReadsWaiting)
	}
	if st.UnappliedBytes > 0 {
		text += fmt.Sprintf(" unapplied-bytes=%d", st.UnappliedBytes)
	}
	if st.DurableTerm != st.Term || st.DurableVote != st.Vote {
		text += fmt.Sprintf(" durable-term=%d durable-vote=%d", st.DurableTerm, st.DurableVote)
	}
	c.print("%d %v term=%d vote=%d leader=%d first=%d last=%v persisted=%d commit=%d applied=%d%s", id, st.Role,
		st.Term, st.Vote, st.Leader, st.First, st.Last, st.Persisted, st.Commit, st.Applied, text)
}

// showLog prints a log in one line, with a bar behind what is committed.
func (c *scriptCluster) showLog(id core.ReplicaID) {
	h := c.replica(id)
	if h.raft == nil {
		c.print("%d is down", id)
		return
	}
	st := h.raft.Status()
	text := fmt.Sprintf("%d:", id)
	if term, _, _ := h.raft.Position(st.First - 1); st.First > 1 {
		text += fmt.Sprintf(" (up to %v)", core.EntryID{Term: term, Index: st.First - 1})
	}
	if st.Commit == st.First-1 {
		text += " |"
	}
	for i := st.First; i <= st.Last.Index; i++ {
		e, _ := h.raft.Entry(i)
		text += fmt.Sprintf(" %v %s", e.EntryID, describeData(&e))
		if i == st.Commit {
			text += " |"
		}
	}
	c.print("%s", text)
}

func (c *scriptCluster) showConfiguration(id core.ReplicaID) {
	if h := c.replica(id); h.raft != nil {
		members := h.raft.Configuration()
		c.print("%d: %s", id, describeConfiguration(&members))
	}
}

func (c *scriptCluster) showProgress(id core.ReplicaID) {
	c.replica(id).raft.Peers(func(p *progress.Progress) {
		if p.ID == id {
			c.print("%d itself: match=%d", p.ID, p.Match)
			return
		}
		text := fmt.Sprintf("%d %v: match=%d next=%d", p.ID, p.State, p.Match, p.Next)
		if n := p.Window.Len(); n > 0 {
			text += fmt.Sprintf(" inflight=%d bytes=%d", n, p.Window.Bytes())
		}
		if p.State == progress.Snapshot {
			text += fmt.Sprintf(" snapshot=%v offset=%d of %d", p.Stream.ID, p.Stream.Offset, p.Stream.Size)
		}
		if p.QuietTicks > 0 {
			text += fmt.Sprintf(" quiet=%d", p.QuietTicks)
		}
		if u := &p.CatchUp; *u != (progress.CatchUp{}) {
			text += fmt.Sprintf(" round-to=%d round-ticks=%d caught-up=%t", u.Target, u.Ticks, u.Done)
		}
		if p.Leaving {
			text += " leaving"
		}
		c.print("%s", text)
	})
}

func (c *scriptCluster) showMachine(id core.ReplicaID) {
	h := c.replica(id)
	c.print("%d has applied up to %d: %s", id, h.applied, h.describeMachine())
}

func (h *scriptReplica) describeMachine() string {
	if len(h.machine) == 0 {
		return "nothing"
	}
	return strings.Join(h.machine, " ")
}

func (c *scriptCluster) showDisk(id core.ReplicaID) {
	h := c.replica(id)
	text := fmt.Sprintf("%d: term=%d vote=%d commit=%d snapshot=%v log=%s", id, h.disk.hard.Term, h.disk.hard.Vote,
		h.disk.hard.Commit, h.disk.latest().EntryID, describeEntries(h.disk.entries))
	for i := range h.writes {
		w := &h.writes[i]
		text += fmt.Sprintf("; on its way: %s", w.describe())
	}
	c.print("%s", text)
}

func (w *scriptWrite) describe() string {
	var parts []string
	if w.ready.WriteSet {
		parts = append(parts, fmt.Sprintf("term=%d vote=%d", w.ready.HardState.Term, w.ready.HardState.Vote))
	}
	if w.ready.Truncate != 0 {
		parts = append(parts, fmt.Sprintf("truncate=%d", w.ready.Truncate))
	}
	if len(w.ready.Entries) > 0 {
		parts = append(parts, describeEntries(w.ready.Entries))
	}
	if w.ready.ChunkSet {
		parts = append(parts, "a chunk")
	}
	if w.taken != nil {
		parts = append(parts, fmt.Sprintf("snapshot %v", w.taken.EntryID))
	}
	for i := range w.held {
		parts = append(parts, fmt.Sprintf("then -> %d %s", w.held[i].To, w.held[i].Name()))
	}
	return strings.Join(parts, " ")
}

func describeEntries(entries []core.Entry) string {
	var texts []string
	for i := range entries {
		texts = append(texts, fmt.Sprintf("%v %s", entries[i].EntryID, describeData(&entries[i])))
	}
	return strings.Join(texts, ", ")
}

// describeData is what an entry holds; of a long command the beginning.
func describeData(e *core.Entry) string {
	switch e.Kind {
	case core.EntryNoop:
		return "no-op"
	case core.EntryConfiguration:
		members, err := confchange.Decode(e.Data)
		if err != nil {
			fail("entry %v: %v", e.EntryID, err)
		}
		return describeMembers(&members)
	}
	if text := strings.TrimRight(string(e.Data), "."); len(text) < len(e.Data) {
		return fmt.Sprintf("%s (%d bytes)", text, len(e.Data))
	}
	return string(e.Data)
}

func describeConfiguration(c *core.Configuration) string {
	return fmt.Sprintf("%d: %s", c.Index, describeMembers(c))
}

// describeMembers is {1 2 3} for the voters, {1 2 4}+{1 2 3} for a joint one,
// and the rest in words.
func describeMembers(c *core.Configuration) string {
	set := func(ids []core.ReplicaID) string { return "{" + strings.Trim(fmt.Sprint(ids), "[]") + "}" }
	text := set(c.Voters)
	if c.IsJoint() {
		text += "+" + set(c.Outgoing)
	}
	if len(c.Learners) > 0 {
		text += " learners " + set(c.Learners)
	}
	if len(c.Planned) > 0 {
		text += " planned"
		for _, op := range c.Planned {
			text += fmt.Sprintf(" %v %d", op.Kind, op.ID)
		}
	}
	for _, m := range c.Members {
		text += fmt.Sprintf(" [%d", m.ID)
		if m.Address != "" {
			text += " at " + m.Address
		}
		if m.Priority != 0 {
			text += fmt.Sprintf(" priority %d", m.Priority)
		}
		text += "]"
	}
	return text
}
