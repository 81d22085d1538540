package sim

import "fmt"

// What the code around a state machine may get wrong. None of it says anything
// about the cluster, and most of it would look like a violation that it is not.

// misuse ends a run that can not be one.
func (w *world) misuse(what, detail string) { w.fail(Misuse, what, detail) }

// checkWorkload asks the workload once for everything that it has to have.
func (w *world) checkWorkload() {
	if w.workload == nil {
		w.misuse("Workload", "Options.Workload returns nil")
		return
	}
	if w.model = w.workload.Model(); w.model == nil {
		w.misuse("Workload", fmt.Sprintf("%T.Model returns nil", w.workload))
	}
}

// checkOperation looks at what client c asks for.
func (c *client) checkOperation(o *Operation, probe bool) {
	w := c.w
	what := ""
	switch {
	case o.Once && o.Read:
		what = "says Once of a read; Once is about commands, a read may always be asked again"
	case o.Once && w.sessions == nil:
		what = fmt.Sprintf("says Once, but %T is no sim.Sessions: without it the simulator can not tell "+
			"a command that was carried out twice from one whose repeat had no effect", w.workload)
	case probe && o.Read:
		what = "is a read, but was asked for as a probe: a probe goes through the log"
	case !o.Read && uint64(len(o.Bytes)) > w.scenario.Limits.EntryBytes:
		what = fmt.Sprintf("has %d bytes; an entry has at most %d (limits.entry_bytes)", len(o.Bytes), w.scenario.Limits.EntryBytes)
	default:
		return
	}
	w.misuse("Operation", fmt.Sprintf("operation %d, of client %d (%T), %s", w.history.Len(), c.index, c.caller, what))
}
