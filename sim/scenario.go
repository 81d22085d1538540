package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// Scenario is everything about a run that is decided before it begins. It is
// plain data: what is printed before a run is what is run. All durations are
// in nanoseconds of virtual time.
//
// Scenarios are drawn in the manner of swarm testing: each leaves out a random
// half of the faults and of the operations, so that in some runs the others
// can show what they do undisturbed.
type Scenario struct {
	Name string `json:"name,omitempty"`

	// The cluster.
	Replicas int `json:"replicas"` // that found it, all of them voters
	// Spares are replicas that the operator may have added, one after another.
	Spares int `json:"spares,omitempty"`
	// Priorities are those of the founding voters; empty: all have none.
	Priorities     []uint8       `json:"priorities,omitempty"`
	TickNanos      uint64        `json:"tick_nanos"`
	ElectionTicks  uint32        `json:"election_ticks"` // the least timeout; at most twice that
	HeartbeatTicks uint32        `json:"heartbeat_ticks"`
	Limits         LimitScenario `json:"limits"`
	SnapshotBytes  uint64        `json:"snapshot_bytes"` // applied between two snapshots; zero: never
	// BatchNanos is how long a replica gathers proposals before it passes them
	// on together; zero: not at all.
	BatchNanos uint64 `json:"batch_nanos"`

	// The machines below it.
	Links     LinkScenario `json:"links"`
	Disk      DiskScenario `json:"disk"`
	Applier   DiskScenario `json:"applier"`    // the state machine: per task and per byte
	SaveNanos uint64       `json:"save_nanos"` // what it takes to save a snapshot
	// RestoreNanos is what it takes to restore one, beside what Applier says, and
	// HugeBytes are added to what the state machine writes of each.
	RestoreNanos uint64 `json:"restore_nanos,omitempty"`
	HugeBytes    uint64 `json:"huge_bytes,omitempty"`
	// SlowDisk is slow for ever, and moves.
	SlowDisk SlowDiskScenario `json:"slow_disk,omitzero"`
	DriftPPM uint32           `json:"drift_ppm"` // clocks differ from true time by up to this many parts per million
	// Rates, unless empty, are how fast the clocks of the first replicas go, in
	// millionths of true time, whatever DriftPPM says.
	Rates []uint64 `json:"rates_ppm,omitempty"`

	// The clients.
	Traffic TrafficScenario `json:"traffic"`

	// LeaseDriftPPM is the bound on clocks that reads by lease rely on. It is
	// true: they are on only where no fault touches the clocks.
	LeaseDriftPPM uint32 `json:"lease_drift_ppm,omitempty"`

	// Who changes members and hands over leadership.
	Operator OperatorScenario `json:"operator"`

	// What goes wrong, and for how long.
	FaultNanos uint64          `json:"fault_nanos"`
	Faults     FaultSet        `json:"faults"`
	Nemesis    NemesisScenario `json:"nemesis"`
	// Schedule is what goes wrong by hand (see Step).
	Schedule []Step `json:"schedule,omitempty"`
	// LeaveDown, after the faults, leaves this many replicas down for good: at
	// most a minority.
	LeaveDown int `json:"leave_down"`
	// LeaveCut, after the faults, leaves a partition of this shape in force, if
	// the cluster can go on under it; empty: none.
	LeaveCut string `json:"leave_cut,omitempty"`
	// Small runs are judged without the help of log indexes too.
	Small bool `json:"small"`
}

// LimitScenario is core.Limits under names for files.
type LimitScenario struct {
	EntryBytes       uint64 `json:"entry_bytes"`
	MessageBytes     uint64 `json:"message_bytes"`
	InflightMessages uint32 `json:"inflight_messages"`
	InflightBytes    uint64 `json:"inflight_bytes"`
	UnappliedBytes   uint64 `json:"unapplied_bytes"`
	ApplyBytes       uint64 `json:"apply_bytes"`
	TrailingBytes    uint64 `json:"trailing_bytes"`
	ChunkBytes       uint32 `json:"chunk_bytes"`
	Reads            uint32 `json:"reads"`
}

// LinkScenario is the network as it is without faults, and how likely the
// faults of single packets are, per 10,000 packets.
type LinkScenario struct {
	BaseNanosMin   uint64 `json:"base_nanos_min"` // each link draws its own base latency
	BaseNanosMax   uint64 `json:"base_nanos_max"`
	JitterNanos    uint64 `json:"jitter_nanos"`     // and each packet up to this on top
	Ordered        bool   `json:"ordered"`          // jitter makes no packet overtake another
	BytesPerSecond uint64 `json:"bytes_per_second"` // zero: no limit
	QueueBytes     uint64 `json:"queue_bytes"`
	Loss           uint32 `json:"loss_per_10000"`
	Duplicate      uint32 `json:"duplicate_per_10000"`
	Reorder        uint32 `json:"reorder_per_10000"`
	ReorderNanos   uint64 `json:"reorder_nanos"` // how much later at most
	Straggle       uint32 `json:"straggle_per_10000"`
	StraggleNanos  uint64 `json:"straggle_nanos"`
	Corrupt        uint32 `json:"corrupt_per_10000"`
	// The connections of clients, per 10,000 pieces of data.
	ClientCut        uint32 `json:"client_cut_per_10000"`
	ClientDelay      uint32 `json:"client_delay_per_10000"`
	ClientDelayNanos uint64 `json:"client_delay_nanos"`
}

// DiskScenario is how long a device takes.
type DiskScenario struct {
	BaseNanos    uint64 `json:"base_nanos"`
	NanosPerByte uint64 `json:"nanos_per_byte"`
	// Slow, per 10,000, is how likely one operation takes up to SlowFactor times
	// as long.
	Slow       uint32 `json:"slow_per_10000"`
	SlowFactor uint64 `json:"slow_factor"`
}

// SlowDiskScenario is one disk that is slow from beginning to end, also when all
// faults are over: a cluster has to go on with it.
type SlowDiskScenario struct {
	Replica   int    `json:"replica"`    // its id; zero: none
	SyncNanos uint64 `json:"sync_nanos"` // the least time that each sync takes
}

// TrafficScenario is what the clients do.
type TrafficScenario struct {
	Clients       int    `json:"clients"`
	RatePerSecond uint64 `json:"rate_per_second"` // operations of all clients together
	OperationsMax int    `json:"operations_max"`  // of all clients together; zero: no limit
	// UnknownMax of unknown outcome, and clients begin no more: each of them
	// doubles the work of a judge who does not know log indexes. Zero: no limit.
	UnknownMax   int    `json:"unknown_max"`
	TimeoutNanos uint64 `json:"timeout_nanos"` // how long a client waits for one answer
	RetriesMax   int    `json:"retries_max"`
	// The following are out of 100.
	FollowerReads int `json:"follower_reads_percent"`        // reads that go to any replica, not to the leader
	LeaseReads    int `json:"lease_reads_percent,omitempty"` // reads that may rest on a lease
	Barriers      int `json:"barriers_percent,omitempty"`    // of the other reads, those that wait for a barrier

	// The workload kv; another one may read them as it likes.
	Keys         int      `json:"keys"`
	ValueBytes   int      `json:"value_bytes"`      // the longest
	Sessions     int      `json:"sessions_percent"` // clients with a session, out of 100
	ReadsInLog   int      `json:"reads_in_log_percent"`
	Operations   []uint32 `json:"operations"` // weights, by kvOperations
	SessionsMax  uint64   `json:"sessions_max"`
	SessionTicks uint64   `json:"session_ticks"`
}

// OperatorScenario is what the operator asks for, and how often.
type OperatorScenario struct {
	EveryNanos uint64 `json:"every_nanos,omitempty"` // about, between two requests; zero: none
	// Requests are weights, by askKind.
	Requests []uint32 `json:"requests,omitempty"`
	// The following are out of 100.
	Ambush      int `json:"ambush_percent,omitempty"`      // requests that wait for the worst moment
	Repeat      int `json:"repeat_percent,omitempty"`      // that are made again at once, perhaps elsewhere
	Anywhere    int `json:"anywhere_percent,omitempty"`    // that go to any replica, not to the leader
	Conditional int `json:"conditional_percent,omitempty"` // changes that name the configuration they are made for
	Retire      int `json:"retire_percent,omitempty"`      // removed replicas that are taken away for good
}

// NemesisScenario is how often and how long.
type NemesisScenario struct {
	EveryNanos    uint64 `json:"every_nanos"`     // about, between two moves
	DurationNanos uint64 `json:"duration_nanos"`  // the longest fault; most are shorter
	Cascade       int    `json:"cascade_percent"` // moves out of 100 that are followed by others at once
	Ambush        int    `json:"ambush_percent"`  // moves out of 100 that wait for the worst moment
}

// electionNanos is the least election timeout.
func (s *Scenario) electionNanos() uint64 { return uint64(s.ElectionTicks) * s.TickNanos }

// heartbeatNanos is the time between two heartbeats.
func (s *Scenario) heartbeatNanos() uint64 { return uint64(s.HeartbeatTicks) * s.TickNanos }

// FaultSet is a set of kinds of faults.
type FaultSet uint64

// With is the set and these.
func (f FaultSet) With(kinds ...FaultKind) FaultSet {
	for _, k := range kinds {
		f |= 1 << k
	}
	return f
}

// Has says whether k is in the set.
func (f FaultSet) Has(k FaultKind) bool { return f>>k&1 != 0 }

// Names are the names of its members, in the order of FaultNames.
func (f FaultSet) Names() []string {
	names := []string{}
	for k := range FaultCount {
		if f.Has(k) {
			names = append(names, FaultNames[k])
		}
	}
	return names
}

// MarshalJSON writes the names.
func (f FaultSet) MarshalJSON() ([]byte, error) { return json.Marshal(f.Names()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *FaultSet) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	*f = 0
next:
	for _, n := range names {
		for k := range FaultCount {
			if FaultNames[k] == n {
				*f = f.With(k)
				continue next
			}
		}
		return fmt.Errorf("sim: no fault %q", n)
	}
	return nil
}

// Focus says which features a run must have, by the letters of the table of
// bugs: what a bug needs, so that runs that can not show it are not tried.
type Focus uint32

const (
	focusDuplicate Focus = 1 << iota // D
	focusReorder                     // R
	focusLoss                        // L
	focusPartition                   // P
	focusOneWay                      // A
	focusCrash                       // C
	focusPower                       // U
	focusClock                       // K
	focusPause                       // Z
	focusDevices                     // Y
	focusSnapshot                    // S
	focusValues                      // V
	focusTraffic                     // X
	focusEven                        // Q
	focusLiveness                    // H: always on
	focusMembers                     // M
	focusTransfer                    // G
	focusErrors                      // E
)

const focusLetters = "DRLPACUKZYSVXQHMGE"

// focusLettersIdle are those of the catalogue of bugs whose features are not
// simulated. They change nothing: what needs them can not be found, and what
// needs others as well can.
const focusLettersIdle = "TBN"

// ParseFocus reads letters, in capitals and in any order. It names the first
// one that stands for nothing.
func ParseFocus(letters string) (Focus, error) {
	f := Focus(0)
	for _, c := range letters {
		if i := strings.IndexRune(focusLetters, c); i >= 0 {
			f |= 1 << i
		} else if !strings.ContainsRune(focusLettersIdle, c) {
			return 0, fmt.Errorf("focus %q: there is no feature %q; the letters are %s", letters, c, focusLetters+focusLettersIdle)
		}
	}
	return f, nil
}

func (f Focus) has(g Focus) bool { return f&g != 0 }

// focusFaults are the faults that a letter switches on.
func (f Focus) faults() FaultSet {
	var s FaultSet
	for _, l := range [...]struct {
		letter Focus
		kinds  []FaultKind
	}{
		{focusDuplicate, []FaultKind{FaultDuplicate}},
		{focusReorder, []FaultKind{FaultReorder, FaultStraggle}},
		{focusLoss, []FaultKind{FaultLoss, FaultClientCut}},
		{focusPartition, []FaultKind{FaultSplit, FaultIsolate, FaultDepose}},
		{focusOneWay, []FaultKind{FaultOneWay, FaultBridge, FaultRing, FaultMatrix}},
		{focusCrash, []FaultKind{FaultCrash}},
		{focusPower, []FaultKind{FaultPowerOne, FaultPowerMinority, FaultPowerMajority, FaultPowerAll}},
		{focusClock, []FaultKind{FaultClockFast, FaultClockSlow, FaultClockStop, FaultClockJump, FaultClockLeap}},
		{focusPause, []FaultKind{FaultPause}},
		{focusErrors, []FaultKind{FaultDiskFail, FaultSaveFail, FaultRestoreFail}},
		{focusDevices, []FaultKind{FaultDiskSlow, FaultDiskStall, FaultApplySlow, FaultApplyStall}},
	} {
		if f.has(l.letter) {
			s = s.With(l.kinds...)
		}
	}
	return s
}

// draw draws one value of a scenario after another. Each has its own stream,
// so that a new value moves no other, and each is harmless at 0.
type draw struct{ source *choice.Source }

func (d draw) stream(what string) choice.Stream { return d.source.Stream("scenario/"+what, 0, 0) }

func (d draw) chance(what string, num, den uint32) bool {
	return d.source.Chance(d.stream(what), num, den)
}

func (d draw) between(what string, lo, hi uint64) uint64 {
	return d.source.ChooseRange(d.stream(what), lo, max(lo, hi))
}

// magnitude draws from lo to hi with every doubling equally likely.
func (d draw) magnitude(what string, lo, hi uint64) uint64 {
	return d.source.ChooseLog(d.stream(what), max(lo, 1), max(lo, hi, 1))
}

// tight is usual, or, num times out of den, something from lo to hi.
func (d draw) tight(what string, num, den uint32, usual, lo, hi uint64) uint64 {
	if !d.chance(what+"/tight", num, den) {
		return usual
	}
	return d.magnitude(what, lo, hi)
}

func (d draw) pick(what string, w *choice.Weights) int { return d.source.Pick(d.stream(what), w) }

// of draws one of a few values, each equally likely.
func of[T any](d draw, what string, values ...T) T {
	return values[d.source.Choose(d.stream(what), len(values))]
}

var (
	sizes       = [...]int{3, 5, 4, 2, 1, 7, 6}
	sizeWeights = choice.NewWeights(44, 18, 14, 8, 5, 5, 6)
	evenWeights = choice.NewWeights(0, 0, 60, 30, 0, 0, 10)
)

// Draw draws a scenario. With a focus the features it names are on, others are
// mostly off, and the run is short and rough.
func Draw(source *choice.Source, focus Focus) Scenario {
	d := draw{source}
	s := Scenario{}
	d.cluster(&s, focus)
	d.devices(&s, focus)
	d.links(&s, focus)
	d.traffic(&s, focus)
	d.sizes(&s)
	d.faults(&s, focus)
	d.leases(&s, focus)
	d.operator(&s, focus)
	d.length(&s, focus)
	return s
}

func (d draw) cluster(s *Scenario, focus Focus) {
	s.Replicas = sizes[d.pick("replicas", sizeWeights)]
	if focus.has(focusEven) {
		s.Replicas = sizes[d.pick("replicas/even", evenWeights)]
	} else if focus != 0 && s.Replicas < 3 {
		s.Replicas = 3
	}
	s.TickNanos = 1e6 * uint64(of(d, "tick", 10, 5, 7, 12, 20, 15))
	s.ElectionTicks = uint32(d.between("election", 10, 40))
	if focus != 0 {
		s.TickNanos = 1e6 * uint64(of(d, "tick/focus", 5, 7, 10))
		s.ElectionTicks = uint32(d.between("election/focus", 10, 20))
	}
	// Timeouts as they are set where ticks are short.
	if d.chance("election/long", 1, 8) {
		s.ElectionTicks = uint32(d.between("election/long/ticks", 30, 60))
	}
	s.HeartbeatTicks = uint32(d.between("heartbeat", 1, uint64(s.ElectionTicks/3)))

	l := LimitScenario(core.DefaultLimits())
	big := uint32(1)
	if focus.has(focusValues) {
		big = 2
	}
	l.MessageBytes = d.tight("limit/message", big, 3, l.MessageBytes, 64, 8<<10)
	l.InflightMessages = uint32(d.tight("limit/inflight", 1, 3, uint64(l.InflightMessages), 1, 16))
	l.InflightBytes = d.tight("limit/inflight-bytes", 1, 4, l.InflightBytes, 256, 64<<10)
	l.UnappliedBytes = d.tight("limit/uncommitted", big, 6, l.UnappliedBytes, 512, 64<<10)
	l.ApplyBytes = d.tight("limit/apply", big, 3, l.ApplyBytes, 64, 8<<10)
	l.TrailingBytes = d.tight("limit/trailing", 1, 3, 0, 64, 16<<10)
	l.ChunkBytes = uint32(d.tight("limit/chunk", 1, 2, 64<<10, 128, 4<<10))
	l.Reads = uint32(d.tight("limit/reads", 1, 6, uint64(l.Reads), 1, 16))
	s.Limits = l

	s.SnapshotBytes = d.magnitude("snapshot", 256, 128<<10)
	if focus.has(focusSnapshot) {
		s.SnapshotBytes = d.magnitude("snapshot/focus", 128, 4<<10)
		if d.chance("limit/trailing/none", 1, 2) {
			s.Limits.TrailingBytes = 0
		}
	} else if d.chance("snapshot/never", 1, 16) {
		s.SnapshotBytes = 0
	}
	if d.chance("batch", 1, 6) {
		s.BatchNanos = d.magnitude("batch/nanos", 50e3, s.heartbeatNanos()/2)
	}
}

func (d draw) devices(s *Scenario, focus Focus) {
	timeout := s.electionNanos()
	s.Disk.BaseNanos = d.tight("disk", 7, 8, 0, 20e3, timeout/16)
	s.Disk.NanosPerByte = d.tight("disk/bytes", 1, 4, 0, 1, 50)
	s.Disk.Slow = uint32(d.tight("disk/slow", 1, 3, 0, 1, 500))
	s.Disk.SlowFactor = d.magnitude("disk/factor", 2, 64)
	apply := uint32(2)
	if focus.has(focusDevices) {
		apply = 4
	}
	s.Applier.BaseNanos = d.tight("apply", apply, 5, 0, 10e3, timeout/8)
	s.Applier.NanosPerByte = d.tight("apply/bytes", 1, 4, 0, 1, 50)
	s.Applier.Slow = uint32(d.tight("apply/slow", 1, 4, 0, 1, 500))
	s.Applier.SlowFactor = d.magnitude("apply/factor", 2, 64)
	s.SaveNanos = d.tight("save", 3, 4, 0, 100e3, timeout*2)
	s.DriftPPM = uint32(d.tight("drift", 1, 2, 0, 10, 20_000))
	if d.chance("save/slow", 1, 8) {
		s.SaveNanos = d.magnitude("save/slow/nanos", timeout*2, timeout*64)
	}
	s.RestoreNanos = d.tight("restore", 1, 4, 0, 100e3, timeout*8)
	s.HugeBytes = d.tight("huge", 1, 16, 0, 64<<10, 1<<20)
	if d.chance("slow-disk", 1, 8) && s.Replicas >= 3 {
		s.SlowDisk.Replica = 1 + int(d.between("slow-disk/replica", 0, uint64(s.Replicas-1)))
		s.SlowDisk.SyncNanos = d.between("slow-disk/nanos", timeout*11/10, timeout*3)
		// It may be in every majority, and takes one window with each sync: clients
		// that ask for more than that would be owed more and more.
		l := &s.Limits
		l.MessageBytes = max(l.MessageBytes, 16<<10)
		l.InflightMessages, l.InflightBytes = max(l.InflightMessages, 64), max(l.InflightBytes, 1<<20)
	}
}

func (d draw) links(s *Scenario, focus Focus) {
	l := &s.Links
	timeout := s.electionNanos()
	l.BaseNanosMin = d.magnitude("link/base", 50e3, timeout/16)
	l.BaseNanosMax = d.magnitude("link/spread", l.BaseNanosMin, max(l.BaseNanosMin, timeout/10))
	l.JitterNanos = d.tight("link/jitter", 2, 3, 0, 10e3, timeout/16)
	l.Ordered = d.chance("link/ordered", 1, 3)
	l.ClientCut = uint32(d.magnitude("client/cut", 5, 500))
	l.ClientDelay = uint32(d.magnitude("client/delay", 5, 500))
	l.ClientDelayNanos = d.magnitude("client/delay/nanos", 1e6, timeout*16)
	if d.chance("link/limited", 1, 6) {
		l.BytesPerSecond = d.magnitude("link/bandwidth", 256<<10, 64<<20)
		l.QueueBytes = d.magnitude("link/queue", 32<<10, 1<<20)
	}
	most := uint64(1500)
	if focus != 0 {
		most = 3000
	}
	l.Loss = uint32(d.magnitude("link/loss", 10, most))
	l.Duplicate = uint32(d.magnitude("link/duplicate", 10, most))
	l.Reorder = uint32(d.magnitude("link/reorder", 10, most))
	l.ReorderNanos = d.magnitude("link/reorder/nanos", timeout/32, timeout*2)
	if focus.has(focusReorder) {
		l.ReorderNanos = d.magnitude("link/reorder/focus", timeout/8, timeout*4)
	}
	l.Straggle = uint32(d.magnitude("link/straggle", 5, most/10))
	l.StraggleNanos = d.magnitude("link/straggle/nanos", timeout, 20e9)
	if focus != 0 {
		l.StraggleNanos = d.magnitude("link/straggle/focus", timeout, timeout*16)
	}
	l.Corrupt = uint32(d.magnitude("link/corrupt", 5, most/10))
}

func (d draw) traffic(s *Scenario, focus Focus) {
	t := &s.Traffic
	timeout := s.electionNanos()
	t.Clients = int(d.between("clients", 1, 16))
	t.RatePerSecond = d.magnitude("rate", 5, 400)
	if focus != 0 {
		t.Clients = int(d.between("clients/focus", 2, 12))
		t.RatePerSecond = d.magnitude("rate/focus", 50, 400)
	}
	t.TimeoutNanos = d.magnitude("timeout", timeout, timeout*16)
	t.RetriesMax = int(d.between("retries", 0, 6))
	t.FollowerReads = of(d, "follower-reads", 0, 20, 50, 100)
	t.Keys = int(d.magnitude("keys", 1, 200))
	t.ValueBytes = int(d.magnitude("value", 8, 4<<10))
	if focus.has(focusValues) {
		t.ValueBytes = int(d.magnitude("value/focus", 256, 8<<10))
	}
	t.Sessions = of(d, "sessions", 50, 100, 80, 20, 0)
	t.ReadsInLog = of(d, "reads-in-log", 20, 0, 100)
	t.Operations = make([]uint32, len(kvOperations))
	for i := range t.Operations {
		weight := uint32(of(d, "operation/"+kvOperations[i].String(), 1, 0, 2, 0, 4, 0, 8, 1))
		t.Operations[i] = weight
	}
	// Something to see and something to see it by are always there.
	t.Operations[0] = max(t.Operations[0], 4)
	t.Operations[1] = max(t.Operations[1], 2)
	if focus.has(focusTraffic) {
		t.Operations[1] = max(t.Operations[1], 8)
		t.ReadsInLog = min(t.ReadsInLog, 20)
		t.Sessions = max(t.Sessions, 20)
	}
	t.SessionsMax = d.tight("sessions/max", 1, 4, 1024, max(1, uint64(t.Clients)/2), uint64(t.Clients)+2)
	t.SessionTicks = d.tight("sessions/ticks", 1, 3, 1<<30, uint64(s.ElectionTicks)*2, uint64(s.ElectionTicks)*128)
}

// sizes keeps apart what would make a run that can only crawl: a state so large
// that it takes a hundred pieces to send.
func (d draw) sizes(s *Scenario) {
	t := &s.Traffic
	state := uint64(t.Keys+8*t.Clients)*uint64(t.ValueBytes) + s.HugeBytes
	s.Limits.ChunkBytes = max(s.Limits.ChunkBytes, uint32(state/64))
}

// clockFaults are those that no bound on clocks survives.
const clockFaults FaultSet = 1<<FaultClockFast | 1<<FaultClockSlow | 1<<FaultClockStop | 1<<FaultClockJump |
	1<<FaultClockLeap

// leases has clients read by lease, with a bound on clocks that is true, and as
// close as can be in half of the runs. Such a run goes without faults of
// clocks.
func (d draw) leases(s *Scenario, focus Focus) {
	t := &s.Traffic
	t.Barriers = of(d, "barriers", 0, 0, 0, 30)
	oneIn := uint32(4)
	if focus.has(focusTraffic) {
		oneIn = 2
	}
	if focus.has(focusClock) || !d.chance("leases", 1, oneIn) {
		return
	}
	s.Faults &^= clockFaults
	t.LeaseReads = of(d, "leases/reads", 50, 100, 20)
	if focus.has(focusTraffic) {
		t.FollowerReads = min(t.FollowerReads, 20) // only leaders have leases
	}
	if d.chance("leases/drift", 1, 2) {
		s.DriftPPM = uint32(d.magnitude("leases/drift/ppm", 5000, 45_000))
	}
	s.LeaseDriftPPM = trueDriftPPM(s.DriftPPM) + uint32(of(d, "leases/slack", 0, 0, 1000, 50_000))
}

// trueDriftPPM is by how much, in parts per million, one clock goes faster than
// another at most when each is off by up to ppm.
func trueDriftPPM(ppm uint32) uint32 {
	p := uint64(ppm)
	return uint32((2*p*clockExact + clockExact - p - 1) / (clockExact - p))
}

// askKinds groups what the operator asks for: those of M, and those of G.
var (
	memberAsks = [...]askKind{askAddVoter, askAddLearner, askPromote, askDemote, askRemove, askRemoveLeader,
		askReplace, askShuffle, askUpdate, askWrong}
	transferAsks = [...]askKind{askTransfer, askCampaign, askResign}
)

func (d draw) operator(s *Scenario, focus Focus) {
	timeout := s.electionNanos()
	o := &s.Operator
	members := d.chance("members", 3, 4)
	transfers := d.chance("transfers", 1, 2)
	if focus != 0 {
		members = focus.has(focusMembers) || d.chance("members/focus", 1, 8)
		transfers = focus.has(focusTransfer) || d.chance("transfers/focus", 1, 8)
	}
	if d.chance("priorities", 1, 6) {
		for i := range s.Replicas {
			s.Priorities = append(s.Priorities, uint8(d.source.Choose(d.source.Stream("scenario/priority", uint64(i), 0), 4)))
		}
	}
	if !members && !transfers {
		return
	}
	o.Requests = make([]uint32, askCount)
	draw := func(kinds []askKind, first uint32) {
		for i, k := range kinds {
			o.Requests[k] = uint32(of(d, "request/"+k.String(), 2, 0, 4, 1, 0, 8))
			if i == 0 {
				o.Requests[k] = max(o.Requests[k], first)
			}
		}
	}
	if members {
		s.Spares = of(d, "spares", 2, 4, 1, 3, 6, 5, 0)
		draw(memberAsks[:], 2)
		o.Requests[askWrong] = min(o.Requests[askWrong], 1)
	}
	if transfers {
		draw(transferAsks[:], 4)
		if !focus.has(focusTransfer) {
			o.Requests[askResign] = min(o.Requests[askResign], 2)
		}
	}
	o.EveryNanos = d.magnitude("operator/every", timeout/2, timeout*32)
	if focus.has(focusMembers | focusTransfer) {
		o.EveryNanos = d.magnitude("operator/every/focus", timeout/4, timeout*4)
	}
	o.Ambush = of(d, "operator/ambush", 0, 20, 50)
	o.Repeat = of(d, "operator/repeat", 0, 10, 40)
	o.Anywhere = of(d, "operator/anywhere", 0, 10, 30)
	o.Conditional = of(d, "operator/conditional", 0, 50, 100)
	o.Retire = of(d, "operator/retire", 0, 50, 100)
}

// smallOperations is how many operations a small run has, with some room for
// the probes at its end.
const smallOperations = 280

// smallUnknown is how many of them may end without an answer.
const smallUnknown = 12

func (d draw) faults(s *Scenario, focus Focus) {
	oneIn := uint32(2)
	if focus != 0 {
		oneIn = 12
	}
	for k := range FaultCount {
		if d.chance("fault/"+FaultNames[k], 1, oneIn*mishapRarity(k)) {
			s.Faults = s.Faults.With(k)
		}
	}
	s.Faults |= focus.faults()
	if focus == 0 && d.chance("fault/none", 1, 40) {
		s.Faults = 0
	}
	n := &s.Nemesis
	timeout := s.electionNanos()
	n.EveryNanos = d.magnitude("nemesis/every", timeout, timeout*16)
	n.DurationNanos = d.magnitude("nemesis/duration", timeout, timeout*20)
	if focus != 0 {
		n.EveryNanos = d.magnitude("nemesis/every/focus", timeout/2, timeout*5)
		n.DurationNanos = d.magnitude("nemesis/duration/focus", timeout, timeout*8)
	}
	n.Cascade = of(d, "nemesis/cascade", 0, 15, 40)
	n.Ambush = of(d, "nemesis/ambush", 0, 30, 60)
	s.LeaveDown = 0
	if d.chance("leave-down", 1, 3) {
		s.LeaveDown = int(d.between("leave-down/number", 0, uint64(s.Replicas-1)/2))
	}
	// What stays cut makes elections long; only who asks for it gets it.
	if focus.has(focusOneWay) && d.chance("leave-cut", 1, 2) {
		shape := of(d, "leave-cut/shape", netsim.ShapeAny, netsim.ShapeOneWay, netsim.ShapeIsolate, netsim.ShapeTwoSides,
			netsim.ShapeBridge, netsim.ShapeRing, netsim.ShapeChain, netsim.ShapeStar)
		s.LeaveCut = shape.String()
	}
}

func (d draw) length(s *Scenario, focus Focus) {
	switch {
	case focus != 0:
		s.FaultNanos = d.between("length/focus", 2e9, 6e9)
	case d.chance("small", 1, 10):
		s.FaultNanos = d.between("length/small", 3e9, 15e9)
	default:
		s.FaultNanos = d.magnitude("length", 10e9, 150e9)
		return
	}
	if focus == 0 || d.chance("small/focus", 1, 10) {
		s.Small = true
		s.Traffic.Clients = min(s.Traffic.Clients, 4)
		s.Traffic.OperationsMax = smallOperations
		s.Traffic.UnknownMax = smallUnknown
	}
}

// Bench is the scenario that speed is measured by: three replicas, ticks of
// ten milliseconds, a hundred operations of clients per simulated second, and
// every kind of fault, but seldom enough for clients to get their answers.
func Bench() Scenario {
	s := Scenario{
		Name:           "bench",
		Replicas:       3,
		TickNanos:      10e6,
		ElectionTicks:  10,
		HeartbeatTicks: 3,
		Limits:         LimitScenario(core.DefaultLimits()),
		SnapshotBytes:  64 << 10,
		Links: LinkScenario{
			BaseNanosMin: 500e3, BaseNanosMax: 2e6, JitterNanos: 500e3,
			Loss: 20, Duplicate: 20, Reorder: 50, ReorderNanos: 10e6,
			Straggle: 2, StraggleNanos: 5e9, Corrupt: 5,
			ClientCut: 2, ClientDelay: 10, ClientDelayNanos: 50e6,
		},
		Disk:      DiskScenario{BaseNanos: 1e6, Slow: 20, SlowFactor: 16},
		SaveNanos: 5e6,
		DriftPPM:  100,
		Traffic: TrafficScenario{
			Clients: 8, RatePerSecond: 100, TimeoutNanos: 500e6, RetriesMax: 5,
			FollowerReads: 20, Keys: 100, ValueBytes: 256, Sessions: 50, ReadsInLog: 20,
			Operations:  []uint32{8, 8, 4, 2, 2, 2, 1, 1, 1, 1, 2, 1, 0},
			SessionsMax: 1024, SessionTicks: 1 << 30,
		},
		FaultNanos: 100e9,
		Faults:     (1<<FaultCount - 1) &^ (mishaps | losses),
		Nemesis:    NemesisScenario{EveryNanos: 5e9, DurationNanos: 1e9, Cascade: 10, Ambush: 30},
	}
	s.Limits.TrailingBytes = 16 << 10
	return s
}

// String is the scenario in a few dense lines, to be read before a run.
func (s *Scenario) String() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	l := &s.Limits
	p("cluster  %d replicas, tick %s, election %d to %d ticks, heartbeat %d",
		s.Replicas, nanos(s.TickNanos), s.ElectionTicks, 2*s.ElectionTicks, s.HeartbeatTicks)
	if s.BatchNanos != 0 {
		p(", proposals gathered for %s", nanos(s.BatchNanos))
	}
	if s.Spares != 0 {
		p(", %d spares", s.Spares)
	}
	if len(s.Priorities) != 0 {
		p(", priorities %v", s.Priorities)
	}
	p("\nlimits   message %d B, window %d of %d B, uncommitted %d B, page %d B, trailing %d B, chunk %d B, reads %d, snapshot every %d B",
		l.MessageBytes, l.InflightMessages, l.InflightBytes, l.UnappliedBytes, l.ApplyBytes,
		l.TrailingBytes, l.ChunkBytes, l.Reads, s.SnapshotBytes)
	p("\ndevices  disk %s, state machine %s, save %s, restore %s, drift %d ppm",
		s.Disk, s.Applier, nanos(s.SaveNanos), nanos(s.RestoreNanos), s.DriftPPM)
	if s.HugeBytes != 0 {
		p(", snapshots of %d B more", s.HugeBytes)
	}
	if s.SlowDisk.Replica != 0 {
		p(", disk of replica %d never below %s", s.SlowDisk.Replica, nanos(s.SlowDisk.SyncNanos))
	}
	if len(s.Rates) > 0 {
		p(", rates %d", s.Rates)
	}
	k := &s.Links
	p("\nlinks    %s to %s + %s", nanos(k.BaseNanosMin), nanos(k.BaseNanosMax), nanos(k.JitterNanos))
	if k.BytesPerSecond != 0 {
		p(", %d B/s, queue %d B", k.BytesPerSecond, k.QueueBytes)
	}
	for _, f := range [...]struct {
		kind FaultKind
		of   uint32
		most uint64
	}{
		{FaultLoss, k.Loss, 0}, {FaultDuplicate, k.Duplicate, 0}, {FaultReorder, k.Reorder, k.ReorderNanos},
		{FaultStraggle, k.Straggle, k.StraggleNanos}, {FaultCorrupt, k.Corrupt, 0},
		{FaultClientCut, k.ClientCut, 0}, {FaultClientDelay, k.ClientDelay, k.ClientDelayNanos},
	} {
		if !s.Faults.Has(f.kind) {
			continue
		}
		p(", %v %d.%02d %%", f.kind, f.of/100, f.of%100)
		if f.most != 0 {
			p(" to %s", nanos(f.most))
		}
	}
	t := &s.Traffic
	p("\nclients  %d, %d operations/s, timeout %s, %d retries, %d %% follower reads, %d keys, values to %d B, %d %% with sessions",
		t.Clients, t.RatePerSecond, nanos(t.TimeoutNanos), t.RetriesMax, t.FollowerReads, t.Keys, t.ValueBytes, t.Sessions)
	if t.OperationsMax != 0 {
		p(", at most %d operations", t.OperationsMax)
	}
	if t.LeaseReads != 0 {
		p(", %d %% of reads by lease within %d ppm", t.LeaseReads, s.LeaseDriftPPM)
	}
	if t.Barriers != 0 {
		p(", %d %% by barriers", t.Barriers)
	}
	p("\ntraffic ")
	for i, weight := range t.Operations {
		if weight != 0 && i < len(kvOperations) {
			p(" %v:%d", kvOperations[i], weight)
		}
	}
	if o := &s.Operator; o.EveryNanos != 0 {
		p("\noperator one request in %s, ambushes %d %%, repeats %d %%, anywhere %d %%, conditional %d %%, %d %% of the removed taken away:",
			nanos(o.EveryNanos), o.Ambush, o.Repeat, o.Anywhere, o.Conditional, o.Retire)
		for k, weight := range o.Requests {
			if weight != 0 {
				p(" %v:%d", askKind(k), weight)
			}
		}
	}
	n := &s.Nemesis
	p("\nfaults   for %s, one in %s, to %s each, cascades %d %%, ambushes %d %%, %d left down",
		nanos(s.FaultNanos), nanos(n.EveryNanos), nanos(n.DurationNanos), n.Cascade, n.Ambush, s.LeaveDown)
	if s.LeaveCut != "" {
		p(", left cut: %s", s.LeaveCut)
	}
	b.WriteByte(':')
	for k := range FaultCount {
		if s.Faults.Has(k) {
			p(" %v", k)
		}
	}
	for i := range s.Schedule {
		p("\n%-8s %v", [...]string{"schedule", ""}[min(i, 1)], &s.Schedule[i])
	}
	b.WriteByte('\n')
	return b.String()
}

func (d DiskScenario) String() string {
	s := nanos(d.BaseNanos)
	if d.NanosPerByte != 0 {
		s += fmt.Sprintf(" + %d ns/B", d.NanosPerByte)
	}
	if d.Slow != 0 {
		s += fmt.Sprintf(" (%d.%02d %% to %d times)", d.Slow/100, d.Slow%100, d.SlowFactor)
	}
	return s
}

// nanos is a duration for people.
func nanos(n uint64) string {
	switch {
	case n == 0:
		return "0"
	case n < 1e6:
		return fmt.Sprintf("%d.%dus", n/1e3, n/100%10)
	case n < 1e9:
		return fmt.Sprintf("%d.%dms", n/1e6, n/1e5%10)
	}
	return fmt.Sprintf("%d.%ds", n/1e9, n/1e8%10)
}
