package kv

// Query answers a command that is ReadOnly and carries no session from the
// state as it is, and appends the encoded reply to reply. It changes nothing.
// Who asks has made sure that the state is recent enough for the answer to be
// linearizable. The reply is the one that Apply would give to the same bytes
// now.
func (m *Machine) Query(query, reply []byte) []byte {
	m.begin()
	c := &m.command
	switch err := DecodeCommand(query, c); {
	case err != nil:
		m.refuse(err)
	case !c.ReadOnly() || c.Session != 0:
		m.reply.Status = StatusNotRead
	default:
		m.execute(c)
	}
	return AppendReply(reply, &m.reply)
}

func (m *Machine) get(key []byte) {
	r := m.find(key)
	if r == nil {
		m.reply.Status = StatusNotFound
		return
	}
	m.reply.Version, m.reply.Value = r.version, r.value
}

// scan answers OpScan and OpScanPrefix.
func (m *Machine) scan(c *Command) {
	from, end := c.Key, c.End
	if c.Op == OpScanPrefix {
		m.bound = prefixEnd(m.bound[:0], c.Key)
		end = m.bound
	}
	limit := int(c.Limit)
	if limit == 0 || limit > ScanItemsMax || limit < 0 { // below 0: int has 32 bits
		limit = ScanItemsMax
	}
	size := replyBytes
	visit := func(r *record) bool {
		it := Item{Key: r.key, Value: r.value, Version: r.version}
		size += it.bytes()
		if len(m.reply.Items) == limit || size > ReplyBytesMax {
			m.reply.More = true
			m.events |= EventScanCut
			return false
		}
		m.reply.Items = append(m.reply.Items, it)
		return true
	}
	if c.Reverse {
		m.descend(from, end, visit)
	} else {
		m.ascend(from, end, visit)
	}
}

// prefixEnd appends the first key behind all those that begin with prefix:
// nothing if there is none.
func prefixEnd(dst, prefix []byte) []byte {
	for len(prefix) > 0 && prefix[len(prefix)-1] == 0xff {
		prefix = prefix[:len(prefix)-1]
	}
	if len(prefix) == 0 {
		return dst
	}
	dst = append(dst, prefix...)
	dst[len(dst)-1]++
	return dst
}

// PrefixEnd is the first key that is greater than every key beginning with
// prefix: with it, a scan or a delete of a range covers exactly those. It is
// empty, which is no bound, if there is no such key.
func PrefixEnd(prefix []byte) []byte { return prefixEnd(nil, prefix) }
