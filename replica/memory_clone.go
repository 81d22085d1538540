package replica

import "slices"

// Clone is a disk in the same state that shares nothing which either could
// change.
func (m *Memory) Clone() *Memory {
	c := *m
	c.durable.log = slices.Clone(m.durable.log)
	c.durable.snapshots = slices.Clone(m.durable.snapshots) // of which each is done
	c.unsynced = ring[memoryWrite]{}
	for i := range m.unsynced.len() {
		u := c.unsynced.push()
		*u = *m.unsynced.at(i)
		u.entries, u.released = slices.Clone(u.entries), slices.Clone(u.released)
	}
	if m.incoming != nil {
		incoming := *m.incoming
		incoming.data = slices.Clone(incoming.data)
		c.incoming = &incoming
	}
	return &c
}
