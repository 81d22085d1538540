package sim

import (
	"errors"
	"io"
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Mishaps are what happens seldom: the nemesis has no hand in them, and they
// move no decision of its.
//
//	save-fail     no snapshot can be saved, here or anywhere, for a while. That
//	              costs nothing but room for the log.
//	restore-fail  a snapshot can not be read when it is to be restored. The
//	              process has to end with that, and say what it read; it starts
//	              again later, and then it can.
//	clock-leap    a clock goes forward by hours, as after a machine was suspended.

const mishaps FaultSet = 1<<FaultSaveFail | 1<<FaultRestoreFail | 1<<FaultClockLeap

// mishapRarity is how many times as rare as others a kind is in scenarios.
func mishapRarity(k FaultKind) uint32 {
	switch {
	case k == FaultClockLeap:
		return 2
	case losses.Has(k):
		return 4 // the rest of the run goes without a replica
	}
	return 1
}

// mishap begins one after another.
type mishap struct {
	w       *world
	moves   choice.Stream
	victims choice.Stream
	times   choice.Stream
	kinds   []FaultKind // the first is none
	stopped bool
}

func (m *mishap) begin(w *world) {
	m.w = w
	m.moves = w.stream("mishap/move", 0, 0)
	m.victims = w.stream("mishap/victim", 0, 0)
	m.times = w.stream("mishap/time", 0, 0)
	m.kinds = []FaultKind{FaultCount}
	for k := range FaultCount {
		if mishaps.Has(k) && w.scenario.Faults.Has(k) {
			m.kinds = append(m.kinds, k)
		}
	}
	if len(m.kinds) > 1 {
		w.queue.push(m.pause(), eventMishap, 0, 0)
	}
}

// pause is when the next one comes: half as often as the nemesis moves.
func (m *mishap) pause() uint64 {
	return m.w.now + m.w.scenario.Nemesis.EveryNanos/4*uint64(1+m.w.source.Choose(m.times, 16))
}

// move is what comes of an eventMishap.
func (m *mishap) move() {
	w := m.w
	if m.stopped {
		return
	}
	set := w.machines()
	v := nth(set, w.source.Choose(m.victims, bits.OnesCount64(set)))
	switch m.kinds[w.source.Choose(m.moves, len(m.kinds))] {
	case FaultSaveFail:
		m.failSaves(v)
	case FaultRestoreFail:
		m.failRestore(v)
	case FaultClockLeap:
		m.leap(v)
	}
	w.queue.push(m.pause(), eventMishap, 0, 0)
}

// while draws a time up to that of the longest faults.
func (m *mishap) while() uint64 {
	least := max(m.w.scenario.electionNanos(), 1)
	return m.w.source.ChooseLog(m.times, least, max(m.w.scenario.Nemesis.DurationNanos, least)*4)
}

// failSaves lets no snapshot be saved at one replica, or at all of them.
func (m *mishap) failSaves(v int) {
	w := m.w
	set := uint64(1) << v
	if w.source.Chance(m.victims, 1, 4) {
		set = 1<<len(w.hosts) - 1
	}
	nanos := m.while()
	for i := range w.hosts {
		if set>>i&1 != 0 {
			d := &w.hosts[i].disk
			d.savesFailUntil = max(d.savesFailUntil, w.now+nanos)
		}
	}
	w.fault(FaultSaveFail)
	w.emitFault(v, uint64(FaultSaveFail), 0, set, nanos, false, setText(set)+", for "+secondsText(nanos))
}

// failRestore has one replica start on a snapshot that it can not read.
func (m *mishap) failRestore(v int) {
	w := m.w
	h := &w.hosts[v]
	if h.replica == nil || h.disk.memory.Durable().Snapshot.Index == 0 {
		return
	}
	w.emitFault(v, uint64(FaultRestoreFail), 0, 1<<v, 0, false, replicaText(uint64(v)+1))
	h.disk.unreadable = true
	h.stop(downCrash, m.victims)
	w.queue.push(w.now+m.while(), eventStart, uint8(v), h.incarnation)
}

// leap puts the clock of a replica forward by one hour to a hundred.
func (m *mishap) leap(v int) {
	const hour = 3600e9
	w := m.w
	nanos := w.source.ChooseLog(m.times, hour, 100*hour)
	nanos = min(nanos, w.scenario.TickNanos<<29)
	w.fault(FaultClockLeap)
	w.mark(MarkClockLeap)
	w.emitFault(v, uint64(FaultClockLeap), 0, 1<<v, nanos, false, replicaText(uint64(v)+1)+", ahead by "+secondsText(nanos))
	w.hosts[v].jump(nanos)
}

// heal ends all of them.
func (m *mishap) heal() {
	m.stopped = true
	for i := range m.w.hosts {
		d := &m.w.hosts[i].disk
		d.savesFailUntil, d.unreadable = 0, false
	}
}

// storage is a disk as a replica sees it, with what may go wrong about
// snapshots.
type storage struct {
	replica.Storage
	h *host
}

var (
	errNoSpace    = errors.New("sim: no space left for a snapshot")
	errUnreadable = errors.New("sim: snapshot can not be read")
)

// SaveSnapshot implements replica.Storage.
func (s storage) SaveSnapshot(snap *core.Snapshot, src io.WriterTo) error {
	if s.h.w.now < s.h.disk.savesFailUntil {
		src = cutOff{}
	}
	return s.Storage.SaveSnapshot(snap, src)
}

// cutOff is a stream that ends too early, as there is no space for more.
type cutOff struct{}

func (cutOff) WriteTo(w io.Writer) (int64, error) {
	n, _ := w.Write(make([]byte, 10))
	return int64(n), errNoSpace
}

// OpenSnapshot implements replica.Storage.
func (s storage) OpenSnapshot(snap *core.Snapshot) (io.ReadCloser, error) {
	if s.h.disk.unreadable {
		return io.NopCloser(cannotRead{}), nil
	}
	return s.Storage.OpenSnapshot(snap)
}

// cannotRead is a stream that can not be read.
type cannotRead struct{}

func (cannotRead) Read([]byte) (int, error) { return 0, errUnreadable }

// tellUnreadable sees to it that a process whose snapshot could not be restored
// has halted, and says what the state machine made of that. It ends, and starts
// again later.
func (h *host) tellUnreadable(err error) {
	w := h.w
	if w.failure != nil {
		return
	}
	if e := h.replica.Halted(); e == nil || e.Reason != replica.HaltRestore || !errors.Is(e, err) {
		w.failAt(Safety, h.index, "Restore", "it goes on after a snapshot that could not be read, or does not say so")
		return
	}
	h.disk.unreadable = false
	w.fault(FaultRestoreFail)
	w.mark(MarkRestoreFailed)
	h.stop(downCrash, w.mishap.victims)
	w.queue.push(w.now+w.mishap.while(), eventStart, uint8(h.index), h.incarnation)
}

// hugeBytes is when a snapshot counts as huge.
const hugeBytes = 64 << 10

// huge is a snapshot with that many bytes before it that mean nothing.
type huge struct {
	io.WriterTo
	bytes uint64
}

// WriteTo implements io.WriterTo.
func (s huge) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(make([]byte, s.bytes))
	if err != nil {
		return int64(n), err
	}
	k, err := s.WriterTo.WriteTo(w)
	return int64(n) + k, err
}
