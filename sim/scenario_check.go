package sim

import (
	"cmp"
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
	quorums "github.com/seaworthy-raft/seaworthy/core/quorum"
	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/netsim"
)

// What a scenario may say. One that is drawn keeps to all of this; one that is
// read from a file need not, and a world made of it would panic, or compute
// with numbers that do not fit.

const (
	// machinesMax keeps the id of the last replica a bit of one word.
	machinesMax = 63
	// clientsMax is as many as the uint8 of an event names.
	clientsMax = 1 << 8

	// A tick of tickNanosMin has an eighth of the shortest election timeout be
	// some nanoseconds.
	tickNanosMin = 1_000
	// delayMax bounds what one thing may take: an hour. With that, a timeout may
	// be multiplied by what it is multiplied by.
	delayMax uint64 = netsim.DelayMax
	// waitMax bounds what may never come within a run: 36 years.
	waitMax uint64 = 1 << 60
	// faultNanosMax is a thousand hours.
	faultNanosMax = 1_000 * delayMax

	// A clock that stood still, or went many times as fast, would have no ticks
	// to count, or too many for 64 bits.
	rateMin, rateMax = clockExact / 1_000, clockExact * 100

	// A device is slow by all of these at once, and by a fault on top.
	nanosPerByteMax = 1_000
	slowFactorMax   = 1_000

	// weightsMax bounds the sum of weights: those of kv are multiplied by 16.
	weightsMax    = 1 << 27
	valueBytesMax = 1 << 20
	hugeBytesMax  = 1 << 26
)

// Check says what no world can be made of: the first field that is out of its
// range, by its name in JSON. Every scenario that is drawn passes.
func (s *Scenario) Check() error {
	return cmp.Or(
		s.checkCluster(),
		s.checkClocks(),
		s.Links.check(),
		s.Disk.check("disk"),
		s.Applier.check("applier"),
		s.Traffic.check(),
		s.Operator.check(),
		s.checkFaults(),
		s.checkSchedule(),
	)
}

func (s *Scenario) checkCluster() error {
	if err := cmp.Or(
		within("replicas", s.Replicas, 1, quorums.VotersMax),
		within("spares", s.Spares, 0, machinesMax-s.Replicas),
		within("priorities: their number", len(s.Priorities), 0, s.Replicas),
		within("tick_nanos", s.TickNanos, tickNanosMin, delayMax),
	); err != nil {
		return err
	}
	// What core.New refuses, no replica could start with.
	c := core.Config{ID: 1, ElectionTicks: s.ElectionTicks, HeartbeatTicks: s.HeartbeatTicks, Limits: core.DefaultLimits()}
	if _, err := core.New(c, core.State{}); err != nil {
		return fmt.Errorf("election_ticks and heartbeat_ticks: %w", err)
	}
	c.Limits = core.Limits(s.Limits)
	if _, err := core.New(c, core.State{}); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	return cmp.Or(
		within("election_ticks times tick_nanos", s.electionNanos(), 0, delayMax),
		within("batch_nanos", s.BatchNanos, 0, delayMax),
		within("save_nanos", s.SaveNanos, 0, delayMax),
		within("restore_nanos", s.RestoreNanos, 0, delayMax),
		within("huge_bytes", s.HugeBytes, 0, hugeBytesMax),
		within("slow_disk.replica", s.SlowDisk.Replica, 0, s.Replicas),
		within("slow_disk.sync_nanos", s.SlowDisk.SyncNanos, 0, delayMax),
	)
}

func (s *Scenario) checkClocks() error {
	err := cmp.Or(
		within("drift_ppm", s.DriftPPM, 0, clockExact-rateMin),
		within("rates_ppm: their number", len(s.Rates), 0, s.Replicas+s.Spares),
	)
	for i, rate := range s.Rates {
		err = cmp.Or(err, within(fmt.Sprintf("rates_ppm[%d]", i), rate, rateMin, rateMax))
	}
	return err
}

func (l *LinkScenario) check() error {
	return cmp.Or(
		within("links.base_nanos_max", l.BaseNanosMax, 0, delayMax),
		within("links.base_nanos_min", l.BaseNanosMin, 0, l.BaseNanosMax),
		within("links.jitter_nanos", l.JitterNanos, 0, delayMax),
		within("links.bytes_per_second", l.BytesPerSecond, 0, netsim.BandwidthMax),
		share("links.loss_per_10000", l.Loss),
		share("links.duplicate_per_10000", l.Duplicate),
		share("links.reorder_per_10000", l.Reorder),
		within("links.reorder_nanos", l.ReorderNanos, 0, delayMax),
		share("links.straggle_per_10000", l.Straggle),
		within("links.straggle_nanos", l.StraggleNanos, 0, delayMax),
		share("links.corrupt_per_10000", l.Corrupt),
		share("links.client_cut_per_10000", l.ClientCut),
		share("links.client_delay_per_10000", l.ClientDelay),
		within("links.client_delay_nanos", l.ClientDelayNanos, 0, delayMax),
	)
}

func (d *DiskScenario) check(name string) error {
	return cmp.Or(
		within(name+".base_nanos", d.BaseNanos, 0, delayMax),
		within(name+".nanos_per_byte", d.NanosPerByte, 0, nanosPerByteMax),
		share(name+".slow_per_10000", d.Slow),
		within(name+".slow_factor", d.SlowFactor, 0, slowFactorMax),
	)
}

func (t *TrafficScenario) check() error {
	return cmp.Or(
		within("traffic.clients", t.Clients, 1, clientsMax),
		atLeast0("traffic.operations_max", t.OperationsMax),
		atLeast0("traffic.unknown_max", t.UnknownMax),
		within("traffic.timeout_nanos", t.TimeoutNanos, 0, waitMax),
		atLeast0("traffic.retries_max", t.RetriesMax),
		percent("traffic.follower_reads_percent", t.FollowerReads),
		percent("traffic.lease_reads_percent", t.LeaseReads),
		percent("traffic.barriers_percent", t.Barriers),
		within("traffic.keys", t.Keys, 0, choice.AlternativesMax), // a client chooses one
		within("traffic.value_bytes", t.ValueBytes, 0, valueBytesMax),
		percent("traffic.sessions_percent", t.Sessions),
		percent("traffic.reads_in_log_percent", t.ReadsInLog),
		within("traffic.operations: their sum", sum(t.Operations), 0, weightsMax),
	)
}

func (o *OperatorScenario) check() error {
	return cmp.Or(
		within("operator.every_nanos", o.EveryNanos, 0, waitMax),
		within("operator.requests: their number", len(o.Requests), 0, int(askCount)),
		within("operator.requests: their sum", sum(o.Requests), 0, weightsMax),
		percent("operator.ambush_percent", o.Ambush),
		within("operator.repeat_percent", o.Repeat, 0, 99), // or it would never be done repeating
		percent("operator.anywhere_percent", o.Anywhere),
		percent("operator.conditional_percent", o.Conditional),
		percent("operator.retire_percent", o.Retire),
	)
}

func (s *Scenario) checkFaults() error {
	n := &s.Nemesis
	return cmp.Or(
		within("fault_nanos", s.FaultNanos, 0, faultNanosMax),
		within("nemesis.every_nanos", n.EveryNanos, 0, waitMax),
		within("nemesis.duration_nanos", n.DurationNanos, 0, waitMax),
		percent("nemesis.cascade_percent", n.Cascade),
		percent("nemesis.ambush_percent", n.Ambush),
		within("leave_down", s.LeaveDown, 0, (s.Replicas-1)/2),
		checkLeaveCut(s.LeaveCut),
	)
}

func checkLeaveCut(name string) error {
	if name == "" {
		return nil
	}
	names := ""
	for shape := range netsim.Shapes {
		if shape.String() == name {
			return nil
		}
		names += fmt.Sprintf(" %q", shape.String())
	}
	return fmt.Errorf("leave_cut is %q, want one of%s", name, names)
}

func within[T int | uint32 | uint64](field string, v, least, most T) error {
	if v < least || v > most {
		return fmt.Errorf("%s is %d, want %d to %d", field, v, least, most)
	}
	return nil
}

func atLeast0(field string, v int) error {
	if v < 0 {
		return fmt.Errorf("%s is %d, want at least 0", field, v)
	}
	return nil
}

// percent is for what is out of 100, and share for what is out of 10,000.
func percent(field string, v int) error { return within(field, v, 0, 100) }

func share(field string, v uint32) error { return within(field, v, 0, 10_000) }

func sum(weights []uint32) (n uint64) {
	for _, w := range weights {
		n += uint64(w)
	}
	return n
}
