package linearizability

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/kv"
)

// KV is the model of package kv, written from the comments on kv.Command and
// kv.Reply alone: a list of cells, a map that finds them by key, and a sorted
// list of the keys. Inputs are encoded commands, also for queries; outputs are
// encoded replies.
//
// Of sessions it knows what a client can see: a session is used only after it
// was registered and until it is closed, ids and serials grow, and no serial
// takes effect twice. So registrations belong into the history. That a session
// expires is never wrong here; a reply that says so (kv.Status.Unknown) leaves
// the outcome open, and is recorded with History.GiveUp.
//
// A state is a version of one shared store: it knows its parent and what
// changed since, and the store goes from one version to any other by undoing
// and redoing. So a state costs what its command changed, never a copy of the
// whole, and stays good for ever.
type KV struct{ group bool }

// unseen stands for the version of a cell whose writer has not been told it.
// It occurs only in the model of a group, where revisions go to other groups
// too and a version can only be learnt when somebody reads it.
const unseen = math.MaxUint64

// sessionClosed is the last serial of a session that takes no more.
const sessionClosed = math.MaxUint64

// cell is what one key holds.
type cell struct {
	value   []byte
	version uint64 // 0: there is no such key
	floor   uint64 // if the version is unseen: it is greater than this
}

type cellChange struct {
	slot          int32
	before, after cell
}

// kvState is one version of a store.
type kvState struct {
	store  *kvStore
	parent *kvState // nil: the empty store
	depth  int

	revision uint64 // of the store; in a group, the greatest heard of
	newest   uint64 // the session registered last

	changes []cellChange
	// session, unless 0, has gone on from one serial to another. Both are stored
	// plus one; 0 is a session that is not registered.
	session          uint64
	serialBefore     uint64
	serialAfter      uint64
	digest           uint64 // of all cells and sessions; see hash
	digestIsComputed bool
}

// kvStore holds the cells as they are in the version at, plus the changes under
// way.
type kvStore struct {
	group bool
	at    *kvState

	slots   map[string]int32
	keys    []string // by slot; a slot once given is never taken back
	keyHash []uint64 // by slot, 0: not computed
	cells   []cell   // by slot
	sorted  []int32  // all slots, by key
	serials map[uint64]uint64

	// One step.
	command kv.Command
	got     kv.Reply
	want    kv.Reply // without Items
	items   []kvItem
	about   int32 // the slot that want.Version speaks of, or aboutWrite
	changes []cellChange
	fresh   uint64 // the version of what this step writes

	path     []*kvState
	nodeSlab []kvState
	slab     []cellChange
}

// aboutWrite: want.Version is that of the writes of this step.
const aboutWrite = -1

// kvItem is an item of the reply that the model expects.
type kvItem struct {
	slot int32
	cell cell
}

// Init is the empty store.
func (m KV) Init() any {
	s := &kvStore{
		group:   m.group,
		slots:   make(map[string]int32),
		serials: make(map[uint64]uint64),
	}
	s.at = &kvState{store: s, digestIsComputed: true}
	return s.at
}

// Step is Model.Step.
func (m KV) Step(state any, input, output []byte) (any, bool, error) {
	v := state.(*kvState)
	s := v.store
	c, got := &s.command, (*kv.Reply)(nil)
	if output != nil {
		got = &s.got
		if kv.DecodeReply(output, got) != nil {
			return nil, false, nil
		}
	}
	err := kv.DecodeCommand(input, c)
	if err == nil && len(input) > kv.CommandBytesMax/2 {
		err = c.Check() // which near the bound is stricter
	}
	if errors.Is(err, kv.ErrTooLarge) {
		s.want, s.items = kv.Reply{Status: kv.StatusTooLarge}, s.items[:0]
		return v, got == nil || s.matches(got), nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("input: %w", err)
	}
	if got != nil {
		switch {
		case got.Status == kv.StatusNotRead:
			s.want, s.items = kv.Reply{Status: kv.StatusNotRead}, s.items[:0]
			return v, (c.Session != 0 || !c.ReadOnly()) && s.matches(got), nil
		case got.Status.Unknown() && c.Op != kv.OpCloseSession:
			return nil, false, fmt.Errorf("the reply %q leaves the outcome open: record it with GiveUp", got.Status)
		}
	}

	s.goTo(v)
	s.changes = s.changes[:0]
	next := kvState{store: s, parent: v, depth: v.depth + 1, revision: v.revision, newest: v.newest}
	if ok, done := s.stepSession(c, got, &next); done {
		if ok && next.session != 0 {
			return s.commit(&next), true, nil
		}
		return v, ok, nil
	}
	if s.fresh = v.revision + 1; s.group {
		s.fresh = unseen
	}
	s.apply(c, got)
	if got != nil && !s.matches(got) {
		s.rollback()
		return nil, false, nil
	}
	switch {
	case len(s.changes) == 0 && (c.Session == 0 || got == nil):
		return v, true, nil // nothing that anybody could notice
	case s.group:
		next.revision = max(next.revision, s.learnt())
	case len(s.changes) > 0:
		next.revision++
	}
	return s.commit(&next), true, nil
}

// stepSession is the part of a step that concerns sessions. done says that
// there is no other part.
func (s *kvStore) stepSession(c *kv.Command, got *kv.Reply, next *kvState) (ok, done bool) {
	switch c.Op {
	case kv.OpRegister:
		if got == nil {
			return true, true // a session whose id nobody was told
		}
		if got.Session <= next.newest {
			return false, true
		}
		s.want, s.items = kv.Reply{Status: kv.StatusOK, Session: got.Session}, s.items[:0]
		next.newest = got.Session
		next.session, next.serialBefore, next.serialAfter = got.Session, s.serials[got.Session], 1
		return s.matches(got), true
	case kv.OpCloseSession:
		if got == nil {
			return true, true // it may have expired before
		}
		s.want, s.items = kv.Reply{Status: kv.StatusSessionUnknown}, s.items[:0]
		if got.Status != kv.StatusSessionUnknown {
			last := s.serials[c.Session]
			if last == 0 || last == sessionClosed {
				return false, true
			}
			s.want.Status = kv.StatusOK
			next.session, next.serialBefore, next.serialAfter = c.Session, last, sessionClosed
		}
		return s.matches(got), true
	}
	if c.Session != 0 {
		last := s.serials[c.Session]
		if last == sessionClosed || c.Serial < last || (last == 0 && !s.group) {
			return false, true
		}
		next.session, next.serialBefore, next.serialAfter = c.Session, last, c.Serial+1
	}
	return true, false
}

// apply does the command, and leaves in want and items what the machine has to
// answer. In a group, where a version may be unseen, what was really answered
// (got, or nil) decides whether it is the one that the command asks for.
func (s *kvStore) apply(c *kv.Command, got *kv.Reply) {
	s.want, s.items, s.about = kv.Reply{Status: kv.StatusOK}, s.items[:0], aboutWrite
	switch c.Op {
	case kv.OpGet:
		slot, x := s.find(c.Key)
		if x.version == 0 {
			s.want.Status = kv.StatusNotFound
			return
		}
		s.want.Version, s.want.Value, s.about = x.version, x.value, slot
	case kv.OpPut, kv.OpAppend, kv.OpIncrement:
		s.want.Status, s.want.Number = s.write(c.Op, c.Key, c.Value, c.Delta)
	case kv.OpDelete:
		if _, x := s.find(c.Key); x.version == 0 {
			s.want.Status = kv.StatusNotFound
			return
		}
		s.write(c.Op, c.Key, nil, 0)
	case kv.OpCompareAndSet:
		slot, x := s.find(c.Key)
		if !s.versionIs(x, c.Version, got != nil && got.Status == kv.StatusOK) {
			s.conflict(slot, x, 0)
			return
		}
		s.write(kv.OpPut, c.Key, c.Value, 0)
	case kv.OpPutIfAbsent:
		slot, x := s.find(c.Key)
		if x.version != 0 {
			s.conflict(slot, x, 0)
			return
		}
		s.write(kv.OpPut, c.Key, c.Value, 0)
	case kv.OpScan, kv.OpScanPrefix:
		s.scan(c)
	case kv.OpDeleteRange:
		for _, slot := range s.within(c) {
			if s.cells[slot].version != 0 {
				s.set(slot, cell{})
				s.want.Count++
			}
		}
	case kv.OpTxn:
		s.transaction(c, got)
	}
	if len(s.changes) > 0 {
		s.want.Version = s.fresh
	}
}

// transaction: conditions, then reads, then writes. See kv.Command.
func (s *kvStore) transaction(c *kv.Command, got *kv.Reply) {
	for i := range c.Conditions {
		cond := &c.Conditions[i]
		slot, x := s.find(cond.Key)
		var holds bool
		switch cond.Kind {
		case kv.ConditionVersion:
			failed := got != nil && got.Status == kv.StatusConflict && got.Failed == uint32(i)
			holds = s.versionIs(x, cond.Version, got != nil && !failed)
		case kv.ConditionValue:
			holds = x.version != 0 && bytes.Equal(x.value, cond.Value)
		case kv.ConditionExists:
			holds = x.version != 0
		case kv.ConditionAbsent:
			holds = x.version == 0
		}
		if !holds {
			s.conflict(slot, x, i)
			return
		}
	}
	size := replySizeMax
	for _, key := range c.Reads {
		slot := s.slot(key)
		s.items = append(s.items, kvItem{slot, s.cells[slot]})
		size += s.itemSize(slot)
	}
	if size > kv.ReplyBytesMax {
		s.want.Status, s.items = kv.StatusReplyTooLarge, s.items[:0]
		return
	}
	for i := range c.Writes {
		w := &c.Writes[i]
		if status, _ := s.write(w.Op, w.Key, w.Value, w.Delta); status != kv.StatusOK {
			s.rollback()
			s.want, s.items = kv.Reply{Status: status, Failed: uint32(i)}, s.items[:0]
			return
		}
	}
}

// replySizeMax and itemSizeMax are what a reply and an item count for, beside
// keys and values, when the machine decides whether a reply is too large.
const (
	replySizeMax = 64
	itemSizeMax  = 24
)

func (s *kvStore) itemSize(slot int32) int {
	return itemSizeMax + len(s.keys[slot]) + len(s.cells[slot].value)
}

// scan collects the items of a range until the limit or the size is reached.
func (s *kvStore) scan(c *kv.Command) {
	limit := int(min(c.Limit, kv.ScanItemsMax))
	if limit == 0 {
		limit = kv.ScanItemsMax
	}
	size := replySizeMax
	found := s.within(c)
	for i := range found {
		slot := found[i]
		if c.Reverse {
			slot = found[len(found)-1-i]
		}
		if s.cells[slot].version == 0 {
			continue
		}
		size += s.itemSize(slot)
		if len(s.items) == limit || size > kv.ReplyBytesMax {
			s.want.More = true
			return
		}
		s.items = append(s.items, kvItem{slot, s.cells[slot]})
	}
}

// within is the slots of the range of c, by key. Some may be empty.
func (s *kvStore) within(c *kv.Command) []int32 {
	var end []byte // nil: no bound
	if c.Op == kv.OpScanPrefix {
		end = prefixEnd(c.Key)
	} else if len(c.End) > 0 {
		end = c.End
	}
	lo, hi := s.position(c.Key), len(s.sorted)
	if end != nil {
		hi = s.position(end)
	}
	return s.sorted[lo:max(lo, hi)]
}

// prefixEnd is the first key after all those that begin with prefix, nil if
// there is none.
func prefixEnd(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xff {
			end := bytes.Clone(prefix[:n])
			end[n-1]++
			return end
		}
	}
	return nil
}

// write does one of the four plain writes. Unless the status is StatusOK it
// changes nothing.
func (s *kvStore) write(op kv.Op, key, value []byte, delta int64) (kv.Status, int64) {
	slot := s.slot(key)
	x := s.cells[slot]
	switch op {
	case kv.OpDelete:
		if x.version != 0 {
			s.set(slot, cell{})
		}
		return kv.StatusOK, 0
	case kv.OpAppend:
		if len(x.value)+len(value) > kv.ValueBytesMax {
			return kv.StatusTooLarge, 0
		}
		// Clipped, so that no other version's value is ever written over.
		value = append(slices.Clip(x.value), value...)
	case kv.OpIncrement:
		var n int64
		if x.version != 0 {
			var err error
			if n, err = strconv.ParseInt(string(x.value), 10, 64); err != nil || len(x.value) > 20 {
				return kv.StatusNotNumber, 0
			}
		}
		if sum := n + delta; (sum > n) != (delta > 0) && delta != 0 {
			return kv.StatusOverflow, 0
		}
		delta += n
		value = strconv.AppendInt(nil, delta, 10)
	}
	s.set(slot, cell{value: value, version: s.fresh, floor: s.at.revision})
	return kv.StatusOK, delta
}

func (s *kvStore) conflict(slot int32, x cell, failed int) {
	s.want = kv.Reply{Status: kv.StatusConflict, Version: x.version, Value: x.value, Failed: uint32(failed)}
	s.about = slot
}

// versionIs says whether a cell has that version; if its own is unseen, whether
// it was told so.
func (s *kvStore) versionIs(x cell, version uint64, told bool) bool {
	if x.version == unseen {
		return told && version > x.floor
	}
	return x.version == version
}

// matches says whether got is the reply that the model wants, and in a group
// learns from it the versions that it did not know.
func (s *kvStore) matches(got *kv.Reply) bool {
	w := &s.want
	if got.Status != w.Status || got.Number != w.Number || got.Session != w.Session ||
		got.Count != w.Count || got.Failed != w.Failed || got.More != w.More ||
		len(got.Items) != len(s.items) || !bytes.Equal(got.Value, w.Value) {
		return false
	}
	for i := range s.items {
		it, g := &s.items[i], &got.Items[i]
		if string(g.Key) != s.keys[it.slot] || !bytes.Equal(g.Value, it.cell.value) ||
			!s.sees(it.slot, it.cell, g.Version) {
			return false
		}
	}
	if w.Version != unseen {
		return got.Version == w.Version
	}
	if s.about != aboutWrite {
		return s.sees(s.about, s.cells[s.about], got.Version)
	}
	if got.Version <= s.at.revision || got.Version == unseen {
		return false
	}
	for i := range s.changes {
		ch := &s.changes[i]
		if ch.after.version == unseen {
			ch.after.version = got.Version
		}
		s.cells[ch.slot] = ch.after
	}
	return true
}

// sees says whether a reader of x may be told version.
func (s *kvStore) sees(slot int32, x cell, version uint64) bool {
	if x.version != unseen {
		return version == x.version
	}
	if version <= x.floor || version == unseen {
		return false
	}
	for i := range s.changes {
		if s.changes[i].slot == slot {
			return true // and by now overwritten
		}
	}
	s.set(slot, cell{value: x.value, version: version})
	return true
}

// learnt is the greatest version among the changes.
func (s *kvStore) learnt() uint64 {
	var v uint64
	for i := range s.changes {
		if after := s.changes[i].after.version; after != unseen {
			v = max(v, after)
		}
	}
	return v
}

// find is the cell of key: empty, with slot -1, if there never was one.
func (s *kvStore) find(key []byte) (int32, cell) {
	slot, ok := s.slots[string(key)]
	if !ok {
		return -1, cell{}
	}
	return slot, s.cells[slot]
}

// slot is that of key, a new one if it has none.
func (s *kvStore) slot(key []byte) int32 {
	if slot, ok := s.slots[string(key)]; ok {
		return slot
	}
	slot := int32(len(s.keys))
	k := string(key)
	s.slots[k] = slot
	at := s.position(key)
	s.keys = append(s.keys, k)
	s.keyHash = append(s.keyHash, 0)
	s.cells = append(s.cells, cell{})
	s.sorted = slices.Insert(s.sorted, at, slot)
	return slot
}

// position is where in sorted the first key not before key is.
func (s *kvStore) position(key []byte) int {
	lo, hi := 0, len(s.sorted)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if s.keys[s.sorted[mid]] < string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (s *kvStore) set(slot int32, x cell) {
	s.changes = append(s.changes, cellChange{slot: slot, before: s.cells[slot], after: x})
	s.cells[slot] = x
}

// rollback undoes the changes under way.
func (s *kvStore) rollback() {
	for i := len(s.changes) - 1; i >= 0; i-- {
		s.cells[s.changes[i].slot] = s.changes[i].before
	}
	s.changes = s.changes[:0]
}

// commit makes the changes under way, and what next says of sessions, a version
// of its own.
func (s *kvStore) commit(next *kvState) *kvState {
	const slabLen = 256
	if next.session != 0 {
		s.serials[next.session] = next.serialAfter
	}
	if n := len(s.changes); n > 0 {
		if len(s.slab)+n > cap(s.slab) {
			s.slab = make([]cellChange, 0, max(n, slabLen))
		}
		start := len(s.slab)
		s.slab = append(s.slab, s.changes...)
		next.changes = s.slab[start:len(s.slab):len(s.slab)]
		s.changes = s.changes[:0]
	}
	if len(s.nodeSlab) == cap(s.nodeSlab) {
		s.nodeSlab = make([]kvState, 0, slabLen)
	}
	s.nodeSlab = append(s.nodeSlab, *next)
	s.at = &s.nodeSlab[len(s.nodeSlab)-1]
	return s.at
}

// goTo makes the cells those of version v: back to the nearest common ancestor,
// and from there forward.
func (s *kvStore) goTo(v *kvState) {
	if s.at == v {
		return
	}
	a, b := s.at, v
	path := s.path[:0]
	for a != b {
		if a.depth < b.depth {
			path = append(path, b)
			b = b.parent
			continue
		}
		for i := len(a.changes) - 1; i >= 0; i-- {
			s.cells[a.changes[i].slot] = a.changes[i].before
		}
		if a.session != 0 {
			s.serials[a.session] = a.serialBefore
		}
		a = a.parent
	}
	for i := len(path) - 1; i >= 0; i-- {
		for j := range path[i].changes {
			s.cells[path[i].changes[j].slot] = path[i].changes[j].after
		}
		if path[i].session != 0 {
			s.serials[path[i].session] = path[i].serialAfter
		}
	}
	s.path = path
	s.at = v
}

// Equal compares digests of 64 bits. Should two different states ever share
// one, the search may miss an order, so that the error is a wrong Illegal.
func (m KV) Equal(a, b any) bool {
	return a == b || m.Hash(a) == m.Hash(b)
}

// Hash is Hasher.Hash.
func (m KV) Hash(state any) uint64 {
	v := state.(*kvState)
	return digest.Finish(digest.Word(digest.Word(v.store.hash(v), v.revision), v.newest))
}

// hash is the exclusive or of a word for each cell and each session. It is
// computed when asked for, which Points never does.
func (s *kvStore) hash(v *kvState) uint64 {
	path := s.path[:0]
	for ; !v.digestIsComputed; v = v.parent {
		path = append(path, v)
	}
	sum := v.digest
	for i := len(path) - 1; i >= 0; i-- {
		p := path[i]
		for j := range p.changes {
			ch := &p.changes[j]
			sum ^= s.cellHash(ch.slot, &ch.before) ^ s.cellHash(ch.slot, &ch.after)
		}
		if p.session != 0 {
			sum ^= sessionHash(p.session, p.serialBefore) ^ sessionHash(p.session, p.serialAfter)
		}
		p.digest, p.digestIsComputed = sum, true
	}
	s.path = path
	return sum
}

func (s *kvStore) cellHash(slot int32, x *cell) uint64 {
	if x.version == 0 {
		return 0
	}
	if s.keyHash[slot] == 0 {
		s.keyHash[slot] = digest.String(1, s.keys[slot])
	}
	h := digest.Word(s.keyHash[slot], x.version)
	if x.version == unseen {
		h = digest.Word(h, x.floor)
	}
	return digest.Finish(digest.Bytes(h, x.value))
}

func sessionHash(session, serial uint64) uint64 {
	if serial == 0 {
		return 0
	}
	return digest.Finish(digest.Word(digest.Word(2, session), serial))
}

// Spans is Grouper.Spans. Sessions belong to no group.
func (m KV) Spans(dst []Span, input []byte) ([]Span, error) {
	var c kv.Command
	if err := kv.DecodeCommand(input, &c); err != nil {
		if errors.Is(err, kv.ErrTooLarge) {
			return dst, nil
		}
		return dst, fmt.Errorf("input: %w", err)
	}
	one := func(key []byte) { dst = append(dst, Span{From: string(key), To: string(key) + "\x00"}) }
	switch c.Op {
	case kv.OpRegister, kv.OpCloseSession:
	case kv.OpScan, kv.OpDeleteRange:
		if len(c.End) == 0 || bytes.Compare(c.Key, c.End) < 0 {
			dst = append(dst, Span{From: string(c.Key), To: string(c.End)})
		}
	case kv.OpScanPrefix:
		dst = append(dst, Span{From: string(c.Key), To: string(prefixEnd(c.Key))})
	case kv.OpTxn:
		for _, key := range c.Reads {
			one(key)
		}
		for i := range c.Conditions {
			one(c.Conditions[i].Key)
		}
		for i := range c.Writes {
			one(c.Writes[i].Key)
		}
	default:
		one(c.Key)
	}
	return dst, nil
}

// Group is Grouper.Group: the same, except that revisions also go to other
// groups, so that all one can say of a new one is that it is greater than those
// before. Where a command's success hangs on a version that nobody has been
// told yet and its outcome is unknown, it is taken to fail.
func (m KV) Group() Model { return KV{group: true} }

// Describe is Describer.Describe.
func (m KV) Describe(input, output []byte) string {
	var c kv.Command
	var b strings.Builder
	if err := kv.DecodeCommand(input, &c); err != nil {
		fmt.Fprintf(&b, "%v", err)
	} else {
		describeCommand(&b, &c)
	}
	var r kv.Reply
	switch {
	case output == nil:
		b.WriteString(" -> ?")
	case kv.DecodeReply(output, &r) != nil:
		b.WriteString(" -> no reply that can be read")
	default:
		b.WriteString(" -> ")
		describeReply(&b, &r)
	}
	return b.String()
}

// DescribeState is Describer.DescribeState.
func (m KV) DescribeState(state any) string {
	const cellsMax = 16
	v := state.(*kvState)
	s := v.store
	s.goTo(v)
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d {", v.revision)
	n := 0
	for _, slot := range s.sorted {
		x := s.cells[slot]
		if x.version == 0 {
			continue
		}
		if n++; n > cellsMax {
			b.WriteString(", …")
			break
		}
		if n > 1 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%s%s", short(s.keys[slot]), short(string(x.value)), versionText(x.version))
	}
	b.WriteByte('}')
	return b.String()
}

// expected is what the model would have answered to input, in words.
func (m KV) expected(state any, input []byte) string {
	s := state.(*kvState).store
	if _, ok, err := m.Step(state, input, nil); err != nil {
		return err.Error()
	} else if !ok {
		return "nothing, since the session is closed or unknown or the serial old"
	}
	switch s.command.Op {
	case kv.OpRegister:
		return fmt.Sprintf("a session after %d", state.(*kvState).newest)
	case kv.OpCloseSession:
		return kv.StatusSessionUnknown.String()
	}
	r := s.want
	for i := range s.items {
		it := &s.items[i]
		r.Items = append(r.Items, kv.Item{Key: []byte(s.keys[it.slot]), Value: it.cell.value, Version: it.cell.version})
	}
	var b strings.Builder
	describeReply(&b, &r)
	return b.String()
}

func describeCommand(b *strings.Builder, c *kv.Command) {
	if c.Session != 0 {
		fmt.Fprintf(b, "s%d#%d ", c.Session, c.Serial)
	}
	b.WriteString(c.Op.String())
	key := short(string(c.Key))
	switch c.Op {
	case kv.OpGet, kv.OpDelete:
		fmt.Fprintf(b, " %s", key)
	case kv.OpPut, kv.OpAppend, kv.OpPutIfAbsent:
		fmt.Fprintf(b, " %s %s", key, short(string(c.Value)))
	case kv.OpIncrement:
		fmt.Fprintf(b, " %s %+d", key, c.Delta)
	case kv.OpCompareAndSet:
		fmt.Fprintf(b, " %s%s %s", key, versionText(c.Version), short(string(c.Value)))
	case kv.OpScan, kv.OpDeleteRange, kv.OpScanPrefix:
		fmt.Fprintf(b, " %s", key)
		if c.Op != kv.OpScanPrefix {
			b.WriteString("..")
			if len(c.End) > 0 {
				b.WriteString(short(string(c.End)))
			}
		}
		if c.Reverse {
			b.WriteString(" reverse")
		}
		if c.Limit != 0 {
			fmt.Fprintf(b, " limit %d", c.Limit)
		}
	case kv.OpTxn:
		describeTransaction(b, c)
	}
}

func describeTransaction(b *strings.Builder, c *kv.Command) {
	for i := range c.Conditions {
		cond := &c.Conditions[i]
		fmt.Fprintf(b, " if %s", short(string(cond.Key)))
		switch cond.Kind {
		case kv.ConditionVersion:
			b.WriteString(versionText(cond.Version))
		case kv.ConditionValue:
			fmt.Fprintf(b, "=%s", short(string(cond.Value)))
		default:
			fmt.Fprintf(b, " %s", cond.Kind)
		}
	}
	for i, key := range c.Reads {
		if i == 0 {
			b.WriteString(" read")
		}
		fmt.Fprintf(b, " %s", short(string(key)))
	}
	for i := range c.Writes {
		w := &c.Writes[i]
		fmt.Fprintf(b, "; %s %s", w.Op, short(string(w.Key)))
		switch w.Op {
		case kv.OpPut, kv.OpAppend:
			fmt.Fprintf(b, " %s", short(string(w.Value)))
		case kv.OpIncrement:
			fmt.Fprintf(b, " %+d", w.Delta)
		}
	}
}

func describeReply(b *strings.Builder, r *kv.Reply) {
	const itemsMax = 8
	b.WriteString(r.Status.String())
	if r.Failed != 0 {
		fmt.Fprintf(b, " at %d", r.Failed)
	}
	if len(r.Value) > 0 {
		fmt.Fprintf(b, " %s", short(string(r.Value)))
	}
	if r.Number != 0 {
		fmt.Fprintf(b, " =%d", r.Number)
	}
	if r.Session != 0 {
		fmt.Fprintf(b, " s%d", r.Session)
	}
	if r.Count != 0 {
		fmt.Fprintf(b, " count %d", r.Count)
	}
	for i := range r.Items {
		if i == itemsMax {
			fmt.Fprintf(b, " … %d more", len(r.Items)-itemsMax)
			break
		}
		it := &r.Items[i]
		fmt.Fprintf(b, " %s=%s%s", short(string(it.Key)), short(string(it.Value)), versionText(it.Version))
	}
	if r.More {
		b.WriteString(" …")
	}
	if r.Version != 0 {
		b.WriteString(versionText(r.Version))
	}
}

// versionText is "@12", and "@?" for a version not yet seen.
func versionText(version uint64) string {
	if version == unseen {
		return "@?"
	}
	return "@" + strconv.FormatUint(version, 10)
}

// short is s if it is short and plain, else a quoted beginning.
func short(s string) string {
	const bytesMax = 24
	tail := ""
	if len(s) > bytesMax {
		tail = fmt.Sprintf("…(%d bytes)", len(s))
		s = s[:bytesMax]
	}
	plain := s != ""
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' {
			plain = false
		}
	}
	if !plain {
		s = strconv.Quote(s)
	}
	return s + tail
}
