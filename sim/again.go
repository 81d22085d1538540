package sim

import "github.com/seaworthy-raft/seaworthy/core"

// PropertyStartsAgain is that whatever a run has brought a replica to accept, it
// could be started again from a disk that has kept everything.
const PropertyStartsAgain = "Can Start Again"

// checkStartsAgain tries it with every disk that is there at the end of a run,
// whether its process runs or not. The trial has a disk of its own.
func (w *world) checkStartsAgain() {
	for i := range w.hosts {
		h := &w.hosts[i]
		if !h.joined || h.retired || h.out {
			continue
		}
		opened, err := h.disk.memory.Clone().Open()
		if err == nil {
			config := h.config()
			config.Boot = opened.Boot
			_, err = core.New(config, opened.State)
		}
		if err != nil {
			w.failAt(Safety, i, PropertyStartsAgain, "it could not be started again: "+err.Error())
			return
		}
	}
}
