package kv

import "bytes"

// transaction: conditions, then reads, then writes. All that can refuse the
// command as a whole comes before the first write, except a write that fails:
// then those before it are undone.
func (m *Machine) transaction(c *Command) {
	for i := range c.Conditions {
		cond := &c.Conditions[i]
		if r := m.find(cond.Key); !cond.holds(r) {
			m.conflict(r)
			m.reply.Failed = uint32(i)
			m.events |= EventTxnConflict
			return
		}
	}
	if !m.answerReads(c.Reads) {
		return
	}
	m.writeAll(c.Writes)
}

// holds judges the condition on its key's record, nil if there is none.
func (cond *Condition) holds(r *record) bool {
	switch cond.Kind {
	case ConditionVersion:
		return versionOf(r) == cond.Version
	case ConditionValue:
		return r != nil && bytes.Equal(r.value, cond.Value)
	case ConditionExists:
		return r != nil
	default: // ConditionAbsent: the decoder lets no other through
		return r == nil
	}
}

// answerReads says whether the reads fit into a reply.
func (m *Machine) answerReads(keys [][]byte) bool {
	size := replyBytes
	for _, key := range keys {
		it := Item{Key: key}
		if r := m.find(key); r != nil {
			it.Version = r.version
			// A write of this command may change the record in place only outside of
			// a transaction, so the value stays as it is until the reply is encoded.
			it.Value = r.value
		}
		if size += it.bytes(); size > ReplyBytesMax {
			m.reply.Items = m.reply.Items[:0]
			m.reply.Status = StatusReplyTooLarge
			return false
		}
		m.reply.Items = append(m.reply.Items, it)
	}
	return true
}

// writeAll does the writes, or none of them.
func (m *Machine) writeAll(writes []TxnWrite) {
	keySum := m.keySum
	m.inTxn = true
	for i := range writes {
		w := &writes[i]
		status := StatusOK
		switch w.Op {
		case OpPut:
			m.put(m.find(w.Key), w.Key, w.Value)
		case OpDelete:
			m.remove(w.Key)
		case OpAppend:
			status = m.append(w.Key, w.Value)
		case OpIncrement:
			_, status = m.increment(w.Key, w.Delta)
		}
		if status != StatusOK {
			if len(m.undo) > 0 {
				m.events |= EventTxnUndone
			}
			m.undoWrites()
			m.keySum = keySum
			m.changed = false
			m.reply.Items = m.reply.Items[:0]
			m.reply.Status, m.reply.Failed = status, uint32(i)
			break
		}
	}
	m.inTxn = false
	clear(m.undo)
	m.undo = m.undo[:0]
}

// undoWrites puts back what the writes replaced, the last one first.
func (m *Machine) undoWrites() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		u := &m.undo[i]
		if u.old != nil {
			m.records.ReplaceOrInsert(u.old)
			continue
		}
		m.lower.key = u.key
		m.records.Delete(&m.lower)
	}
}
