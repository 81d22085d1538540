package netsim

// Fault is a kind of fault. It counts when it hit a packet, not when it was
// put in place.
type Fault uint8

const (
	FaultLoss       Fault = iota // lost by a rule
	FaultDuplicate               // delivered twice
	FaultReorder                 // delayed, so that others may overtake
	FaultStraggler               // delayed beyond reason
	FaultCorruption              // damaged
	FaultPartition               // lost, because the partition has no such link
	FaultClog                    // held back
	FaultBandwidth               // had to wait for those before it
	FaultOverflow                // dropped, because the queue or the clog was full
	FaultConnDelay               // data on a connection, delayed
	FaultConnCut                 // a connection, cut
	faults
)

var faultNames = [faults]string{
	"loss", "duplicate", "reorder", "straggler", "corruption", "partition",
	"clog", "bandwidth", "overflow", "connection delay", "connection cut",
}

func (f Fault) String() string { return faultNames[f] }

// Counts says how often each kind has hit. Index it by Fault.
type Counts [faults]uint64

// faultOf is under what a fate is counted.
var faultOf = [...]Fault{
	Lost:       FaultLoss,
	Duplicated: FaultDuplicate,
	Reordered:  FaultReorder,
	Straggling: FaultStraggler,
	Corrupted:  FaultCorruption,
}
