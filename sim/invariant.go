package sim

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// Invariants is a Workload that demands something of its replicas together,
// beside what every state machine has to keep: that they agree.
type Invariants interface {
	// Invariants returns them, once for each run.
	Invariants() []Invariant
}

// Invariant is something that must hold at any moment of a run.
type Invariant struct {
	// Name is what a violation is called; no two of a workload have the same.
	Name string
	// Check says what is wrong; nil: nothing. It is called after each event in
	// which a state machine has applied commands or was restored, or a replica
	// has started, gone down, or changed its role, and once at the end. What it
	// says must follow from v alone, and it must change nothing that it finds
	// there. v is borrowed for the call.
	Check func(v *View) error
}

// View is a cluster between two events.
type View struct {
	Nanos uint64 // virtual time
	// End says that the run is over: the faults are healed, and every replica
	// that could hear the leader has its state.
	End bool
	// Replicas are all that there are or have been, by their ids, from 1 on.
	Replicas []Observed
}

// Observed is one replica in a View.
type Observed struct {
	ID   core.ReplicaID
	Up   bool // its process runs
	Role core.Role
	Term core.Term
	// Applied is the index of the last command that its state machine has
	// applied or was restored from, and Machine that state machine, as
	// Workload.Machine made it; zero and nil while it is down.
	Applied core.Index
	Machine replica.StateMachine
}

// invariants are those of the workload, and what they are shown.
type invariants struct {
	all     []Invariant
	stirred bool // something that they are shown has changed
	view    View
}

// newInvariants asks the workload for its invariants.
func (w *world) newInvariants() {
	v, ok := w.workload.(Invariants)
	if !ok || w.checker.broken {
		return
	}
	all := v.Invariants()
	names := map[string]bool{}
	for i := range all {
		switch name := all[i].Name; {
		case name == "":
			w.misuse("Workload", fmt.Sprintf("invariant %d of %T has no name", i, w.workload))
		case names[name]:
			w.misuse("Workload", fmt.Sprintf("two invariants of %T are called %q", w.workload, name))
		case all[i].Check == nil:
			w.misuse("Workload", fmt.Sprintf("invariant %q of %T checks nothing", name, w.workload))
		default:
			names[name] = true
		}
	}
	w.invariants.all = all
}

// checkInvariants asks the invariants, if what they see has changed.
func (w *world) checkInvariants(end bool) {
	n := &w.invariants
	if !n.stirred && !end || len(n.all) == 0 || w.failure != nil {
		return
	}
	n.stirred = false
	n.view.Nanos, n.view.End = w.now, end
	n.view.Replicas = n.view.Replicas[:0]
	for i := range w.grown {
		h := &w.hosts[i]
		o := Observed{ID: h.id, Up: h.replica != nil}
		if o.Up {
			o.Role, o.Term = h.role.role, h.role.term
			o.Applied, o.Machine = h.machine.applied, h.machine.machine
		}
		n.view.Replicas = append(n.view.Replicas, o)
	}
	for i := range n.all {
		if err := n.all[i].Check(&n.view); err != nil {
			w.fail(Safety, n.all[i].Name, err.Error())
			return
		}
	}
}
