package linearizability

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-raft/seaworthy/kv"
)

// foresight is what the known replies of a history tell, before any search,
// about the order of its operations. It keeps Whole from trying what they leave
// no room for, and changes no verdict: what it rules out could not be part of an
// order that explains all replies.
//
// Every known command that changed something was told its revision, so no other
// can have made it. Each other revision, up to the last that anybody was told,
// is the work of one unknown operation: a hole, to be filled. Who can fill it?
//
//   - Only who was called before anybody had been told of that revision or a
//     later one.
//   - If a key was seen with this version: only who may have written to it what
//     was seen.
//   - If a key was seen, by somebody who had to know of this revision, with an
//     earlier version: nobody who would have written to it.
//   - If only one operation can fill a hole, it fills no other.
//
// And two things that put a search at a dead end are said at once: what a
// revision wrote must be what was later seen of it; and who saw a key with some
// version must come before whoever changes it next.
type foresight struct {
	ops       []Operation
	last      uint64     // the greatest revision that anybody was told
	revisions []revision // from 0 to last
	only      []bool     // by OpID: this one fills a hole that no other can
}

// revision is one state of the store, and the change that led to it.
type revision struct {
	taken   bool   // a known command made it
	told    uint64 // the first event by which it, or a later one, had been told
	seen    []sight
	kept    []string // keys seen with an earlier version at this revision or later
	fillers []OpID   // if not taken: who can have made it
}

// sight is a key seen with some version.
type sight struct {
	by         OpID
	key, value string
	hasValue   bool
}

// foresee reads the history.
func (m KV) foresee(ops []Operation) *foresight {
	f := &foresight{ops: ops, only: make([]bool, len(ops))}
	f.collect()
	f.fill()
	return f
}

// eachKnown calls use with all operations that got a reply that can be read.
func (f *foresight) eachKnown(use func(id OpID, c *kv.Command, r *kv.Reply)) {
	var c kv.Command
	var r kv.Reply
	for i := range f.ops {
		op := &f.ops[i]
		if op.Outcome == OutcomeKnown && kv.DecodeCommand(op.Input, &c) == nil && kv.DecodeReply(op.Output, &r) == nil {
			use(OpID(i), &c, &r)
		}
	}
}

// changed says whether the reply tells the revision of the command's own
// writes.
func changed(c *kv.Command, r *kv.Reply) bool {
	return r.Status == kv.StatusOK && !c.ReadOnly() && r.Version != 0
}

// versions calls use with each key and version, not 0, of which the reply says
// that it was there before the command.
func versions(id OpID, c *kv.Command, r *kv.Reply, use func(s sight, version uint64)) {
	see := func(key, value []byte, hasValue bool, version uint64) {
		if version != 0 {
			use(sight{id, string(key), string(value), hasValue}, version)
		}
	}
	for i := range r.Items {
		see(r.Items[i].Key, r.Items[i].Value, true, r.Items[i].Version)
	}
	switch {
	case r.Status == kv.StatusOK && c.Op == kv.OpGet:
		see(c.Key, r.Value, true, r.Version)
	case r.Status == kv.StatusOK && c.Op == kv.OpCompareAndSet:
		see(c.Key, nil, false, c.Version)
	case r.Status == kv.StatusConflict && c.Op != kv.OpTxn:
		see(c.Key, r.Value, true, r.Version)
	case r.Status == kv.StatusConflict && int(r.Failed) < len(c.Conditions):
		see(c.Conditions[r.Failed].Key, r.Value, true, r.Version)
	case r.Status == kv.StatusOK && c.Op == kv.OpTxn:
		for i := range c.Conditions {
			if cond := &c.Conditions[i]; cond.Kind == kv.ConditionVersion {
				see(cond.Key, nil, false, cond.Version)
			}
		}
	}
}

// collect reads what the replies tell about revisions.
func (f *foresight) collect() {
	honest := func(version uint64) bool { return version <= uint64(len(f.ops)) }
	told := make([]uint64, 2*len(f.ops)+1) // by event: the greatest revision told so far
	f.eachKnown(func(id OpID, c *kv.Command, r *kv.Reply) {
		at := &told[f.ops[id].Return.Event]
		versions(id, c, r, func(_ sight, version uint64) {
			if honest(version) {
				*at = max(*at, version)
			}
		})
		if changed(c, r) && honest(r.Version) {
			*at = max(*at, r.Version)
		}
		f.last = max(f.last, *at)
	})
	f.revisions = make([]revision, f.last+1)
	for i := range f.revisions {
		f.revisions[i].told = math.MaxUint64
	}
	for event := 1; event < len(told); event++ {
		if v := told[event]; v > told[event-1] {
			for ; v > 0 && f.revisions[v].told == math.MaxUint64; v-- {
				f.revisions[v].told = uint64(event)
			}
		} else {
			told[event] = told[event-1]
		}
	}
	f.eachKnown(func(id OpID, c *kv.Command, r *kv.Reply) {
		known := told[f.ops[id].Call.Event] // of the state that it saw, at least
		if changed(c, r) && honest(r.Version) {
			f.revisions[r.Version].taken = true
			known = r.Version - 1
		}
		versions(id, c, r, func(_ sight, version uint64) {
			if honest(version) {
				known = max(known, version)
			}
		})
		versions(id, c, r, func(s sight, version uint64) {
			if !honest(version) {
				return
			}
			f.revisions[version].seen = append(f.revisions[version].seen, s)
			for v := version + 1; v <= known; v++ {
				f.revisions[v].kept = append(f.revisions[v].kept, s.key)
			}
		})
	})
}

// fill finds who can fill the holes.
func (f *foresight) fill() {
	var holes []*revision
	for v := range f.revisions {
		if r := &f.revisions[v]; v > 0 && !r.taken {
			holes = append(holes, r)
		}
	}
	var c kv.Command
	for i := range f.ops {
		op := &f.ops[i]
		if op.Outcome != OutcomeUnknown || f.never(op) || kv.DecodeCommand(op.Input, &c) != nil {
			continue
		}
		for _, h := range holes {
			if op.Call.Event < h.told && h.fits(&c) {
				h.fillers = append(h.fillers, OpID(i))
			}
		}
	}
	for again := true; again; {
		again = false
		for _, h := range holes {
			if len(h.fillers) != 1 || f.only[h.fillers[0]] {
				continue
			}
			id := h.fillers[0]
			f.only[id] = true
			again = true
			for _, other := range holes {
				if i := slices.Index(other.fillers, id); i >= 0 && other != h {
					other.fillers = slices.Delete(other.fillers, i, i+1)
				}
			}
		}
	}
}

// fits says whether c may have made this revision.
func (r *revision) fits(c *kv.Command) bool {
	for _, s := range r.seen {
		if !mayLeave(c, s) {
			return false
		}
	}
	for _, key := range r.kept {
		if touches(c, key) {
			return false
		}
	}
	return true
}

// mayLeave says whether c, in some state, writes what was seen.
func mayLeave(c *kv.Command, s sight) bool {
	may := func(op kv.Op, v []byte) bool {
		switch op {
		case kv.OpPut, kv.OpCompareAndSet, kv.OpPutIfAbsent:
			return !s.hasValue || string(v) == s.value
		case kv.OpAppend:
			return !s.hasValue || strings.HasSuffix(s.value, string(v))
		case kv.OpIncrement:
			_, err := strconv.ParseInt(s.value, 10, 64)
			return !s.hasValue || err == nil
		}
		return false
	}
	if c.Op != kv.OpTxn {
		return string(c.Key) == s.key && may(c.Op, c.Value)
	}
	for i := len(c.Writes) - 1; i >= 0; i-- {
		if w := &c.Writes[i]; string(w.Key) == s.key {
			return may(w.Op, w.Value)
		}
	}
	return false
}

// touches says whether c, if it changes anything and key exists, changes key.
func touches(c *kv.Command, key string) bool {
	switch c.Op {
	case kv.OpTxn:
		for i := range c.Writes {
			if string(c.Writes[i].Key) == key {
				return true
			}
		}
		return false
	case kv.OpDeleteRange:
		return key >= string(c.Key) && (len(c.End) == 0 || key < string(c.End))
	}
	return string(c.Key) == key
}

// never says whether an unknown operation has no effect that anybody could
// notice.
func (f *foresight) never(op *Operation) bool {
	var c kv.Command
	return kv.DecodeCommand(op.Input, &c) == nil &&
		(c.ReadOnly() || c.Op == kv.OpRegister || c.Op == kv.OpCloseSession)
}

// allows says whether id, with those before it that done tells, may lead to the
// state after.
func (f *foresight) allows(id OpID, done func(OpID) bool, after *kvState) bool {
	if len(after.changes) == 0 {
		return true
	}
	unknown := f.ops[id].Outcome == OutcomeUnknown
	for i := range after.changes {
		ch := &after.changes[i]
		was := ch.before.version
		if was == 0 || was == after.revision || was > f.last {
			continue
		}
		key := after.store.keys[ch.slot]
		for j := range f.revisions[was].seen {
			if s := &f.revisions[was].seen[j]; s.key == key && s.by != id && !done(s.by) {
				return false
			}
		}
	}
	if after.revision > f.last {
		return !unknown || !f.only[id]
	}
	r := &f.revisions[after.revision]
	return (!unknown || slices.Contains(r.fillers, id)) && r.agrees(after)
}

// agrees says whether a state has what was seen of its last change.
func (r *revision) agrees(state *kvState) bool {
	s := state.store
	s.goTo(state)
	for i := range r.seen {
		see := &r.seen[i]
		slot, ok := s.slots[see.key]
		if !ok || s.cells[slot].version != state.revision || (see.hasValue && string(s.cells[slot].value) != see.value) {
			return false
		}
	}
	return true
}
