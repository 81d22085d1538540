package sim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
)

// What is drawn may be run: from any seed, with any focus, and the scenarios
// that are written down in the code.
func TestCheckPassesWhatIsDrawn(t *testing.T) {
	for _, focus := range []string{"", focusLetters, "Q", "M", "S", "V", "Y", "A", "K", "G"} {
		for seed := range uint64(1000) {
			s := Draw(choice.New(seed), focusOf(focus))
			if err := s.Check(); err != nil {
				t.Fatalf("focus %q, seed %d: %v\n%v", focus, seed, err, &s)
			}
		}
	}
	s := Bench()
	if err := s.Check(); err != nil {
		t.Errorf("bench: %v", err)
	}
	for _, c := range ConnectivityCases() {
		for seed := uint64(1); seed <= 100; seed++ {
			run := c.RunOf(seed)
			s := run.Scenario()
			if err := s.Check(); err != nil {
				t.Fatalf("case %s, seed %d: %v", c.Name, seed, err)
			}
		}
	}
}

// checked is a field that Check knows, set through JSON as a file would, to what
// is just allowed and to what is just not.
type checked struct {
	field   string
	allowed []string
	refused []string
}

var checkedFields = []checked{
	{"replicas", []string{"1", "32"}, []string{"-1", "0", "33", "70", "300"}},
	{"spares", []string{"0", "60"}, []string{"-9", "61"}},
	{"priorities", []string{"[1,2,3]"}, []string{"[1,2,3,4]"}},
	{"tick_nanos", []string{"1000", "360000000000"}, []string{"0", "7", "3600000000001"}},
	{"election_ticks", []string{"9", "360000"}, []string{"0", "8", "1048577", "400000"}},
	{"heartbeat_ticks", []string{"1", "3"}, []string{"0", "4"}},
	{"limits.message_bytes", []string{"1", "267386880"}, []string{"0", "267386881", "18446744073709551615"}},
	{"limits.inflight_messages", []string{"1", "4096"}, []string{"0", "4097"}},
	{"limits.reads", []string{"1"}, []string{"0"}},
	{"batch_nanos", []string{"3600000000000"}, []string{"3600000000001"}},
	{"save_nanos", []string{"3600000000000"}, []string{"3600000000001"}},
	{"restore_nanos", []string{"0", "3600000000000"}, []string{"3600000000001"}},
	{"huge_bytes", []string{"0", "1048576"}, []string{"67108865"}},
	{"slow_disk.replica", []string{"0", "3"}, []string{"-1", "4"}},
	{"slow_disk.sync_nanos", []string{"0", "3600000000000"}, []string{"3600000000001"}},
	{"drift_ppm", []string{"999000"}, []string{"999001", "1000000"}},
	{"rates_ppm", []string{"[1000,100000000]"}, []string{"[0]", "[1000000,100000001]", "[1000,1000,1000,1000,1000,1000,1000]"}},
	{"links.base_nanos_min", []string{"0", "2000000"}, []string{"2000001"}},
	{"links.base_nanos_max", []string{"500000", "3600000000000"}, []string{"3600000000001"}},
	{"links.jitter_nanos", []string{"3600000000000"}, []string{"3600000000001"}},
	{"links.bytes_per_second", []string{"1", "1099511627776"}, []string{"1099511627777"}},
	{"links.queue_bytes", []string{"1", "18446744073709551615"}, nil},
	{"links.loss_per_10000", []string{"10000"}, []string{"10001", "4294967295"}},
	{"links.duplicate_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.reorder_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.reorder_nanos", []string{"0", "3600000000000"}, []string{"3600000000001"}},
	{"links.straggle_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.straggle_nanos", []string{"0", "3600000000000"}, []string{"3600000000001"}},
	{"links.corrupt_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.client_cut_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.client_delay_per_10000", []string{"10000"}, []string{"10001"}},
	{"links.client_delay_nanos", []string{"0", "3600000000000"}, []string{"3600000000001"}},
	{"disk.base_nanos", []string{"3600000000000"}, []string{"3600000000001"}},
	{"disk.nanos_per_byte", []string{"1000"}, []string{"1001"}},
	{"disk.slow_per_10000", []string{"10000"}, []string{"10001"}},
	{"disk.slow_factor", []string{"0", "1000"}, []string{"1001"}},
	{"applier.base_nanos", []string{"3600000000000"}, []string{"3600000000001"}},
	{"traffic.clients", []string{"1", "256"}, []string{"-1", "0", "257"}},
	{"traffic.rate_per_second", []string{"0", "18446744073709551615"}, nil},
	{"traffic.operations_max", []string{"0"}, []string{"-1"}},
	{"traffic.unknown_max", []string{"0"}, []string{"-1"}},
	{"traffic.timeout_nanos", []string{"0", "1152921504606846976"}, []string{"1152921504606846977"}},
	{"traffic.retries_max", []string{"0", "1000000"}, []string{"-1"}},
	{"traffic.follower_reads_percent", []string{"100"}, []string{"-1", "101"}},
	{"traffic.lease_reads_percent", []string{"100"}, []string{"-1", "101"}},
	{"traffic.barriers_percent", []string{"100"}, []string{"-1", "101"}},
	{"traffic.keys", []string{"0", "256"}, []string{"-1", "257"}},
	{"traffic.value_bytes", []string{"0", "1048576"}, []string{"-1", "1048577"}},
	{"traffic.sessions_percent", []string{"100"}, []string{"-1", "101"}},
	{"traffic.sessions_max", []string{"0", "18446744073709551615"}, nil},
	{"traffic.session_ticks", []string{"0", "18446744073709551615"}, nil},
	{"traffic.reads_in_log_percent", []string{"100"}, []string{"-1", "101"}},
	{"traffic.operations", []string{"[]", "[134217728]"}, []string{"[134217728,1]", "[4294967295]"}},
	{"lease_drift_ppm", []string{"4294967295"}, nil},
	{"operator.every_nanos", []string{"1152921504606846976"}, []string{"1152921504606846977"}},
	{"operator.requests", []string{"[0,134217728]"}, []string{"[134217728,1]", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"}},
	{"operator.ambush_percent", []string{"100"}, []string{"-1", "101"}},
	{"operator.repeat_percent", []string{"99"}, []string{"-1", "100"}},
	{"operator.anywhere_percent", []string{"100"}, []string{"-1", "101"}},
	{"operator.conditional_percent", []string{"100"}, []string{"-1", "101"}},
	{"operator.retire_percent", []string{"100"}, []string{"-1", "101"}},
	{"fault_nanos", []string{"0", "3600000000000000"}, []string{"3600000000000001"}},
	{"nemesis.every_nanos", []string{"0", "1152921504606846976"}, []string{"1152921504606846977"}},
	{"nemesis.duration_nanos", []string{"0", "1152921504606846976"}, []string{"1152921504606846977"}},
	{"nemesis.cascade_percent", []string{"100"}, []string{"-1", "101"}},
	{"nemesis.ambush_percent", []string{"100"}, []string{"-1", "101"}},
	{"leave_down", []string{"0", "1"}, []string{"-1", "2"}},
	{"leave_cut", []string{`""`, `"ring"`}, []string{`"circle"`}},
}

// with is a scenario that has every kind of trouble, with one field set.
func (c *checked) with(t *testing.T, value string) Scenario {
	t.Helper()
	s := Bench()
	s.Spares, s.Priorities = 3, []uint8{2}
	s.SnapshotBytes, s.BatchNanos, s.LeaseDriftPPM = 1024, 1e6, 1000
	s.Traffic.LeaseReads, s.Traffic.Barriers = 20, 20
	s.Applier = s.Disk
	s.Operator = OperatorScenario{EveryNanos: 100e6, Requests: []uint32{askCount - 1: 1}, Ambush: 20, Repeat: 20, Anywhere: 20, Retire: 50}
	for k := range s.Operator.Requests {
		s.Operator.Requests[k] = 1
	}
	s.Nemesis.EveryNanos, s.Nemesis.DurationNanos = 100e6, 200e6
	names := strings.Split(c.field, ".")
	text := `{"` + strings.Join(names, `":{"`) + `":` + value + strings.Repeat("}", len(names))
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// What Check refuses, it refuses by name.
func TestCheckNamesTheField(t *testing.T) {
	for _, c := range checkedFields {
		for _, value := range c.refused {
			s := c.with(t, value)
			name := c.field
			if strings.HasPrefix(name, "limits.") {
				name = "limits" // core says more
			}
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s of %s: %v", c.field, value, err)
			}
		}
	}
}

// What Check lets through, a world can be made of: it may do badly, but nothing
// panics.
func TestWhatCheckPassesDoesNotPanic(t *testing.T) {
	for _, c := range checkedFields {
		for _, value := range c.allowed {
			s := c.with(t, value)
			if err := s.Check(); err != nil {
				t.Errorf("%s of %s: %v", c.field, value, err)
				continue
			}
			for seed := range uint64(2) {
				r := Run(&Options{Seed: seed, Scenario: &s, MaxNanos: 2e9, MaxDecisions: 20_000, Until: 100_000})
				if r.Verdict == Panic {
					t.Errorf("%s of %s, seed %d: %s", c.field, value, seed, r.Failure.Detail)
				}
			}
		}
	}
}
