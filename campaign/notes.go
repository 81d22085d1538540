package campaign

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// notes gathers from a trace what is drawn below the clients of a picture: a
// row of faults, and one per replica with its terms as leader, its time down
// and its pauses.
type notes struct {
	done []linearizability.Annotation
	open []openNote
}

// openNote is a span whose end has not come yet. There are few at a time.
type openNote struct {
	key  noteKey
	note linearizability.Annotation
}

type noteKey struct {
	kind    sim.TraceKind
	replica int
	a, b    uint64
}

// Colors of spans, pale enough to read text on.
const (
	colorLeader    = "#c6e8c6"
	colorCandidate = "#fff0b8"
	colorDown      = "#d8d8d8"
	colorPaused    = "#d9d2ee"
	colorFault     = "#f6d5b5"
)

// tagFaults is the row of faults.
const tagFaults = "faults"

func (n *notes) add(e *sim.TraceEvent) {
	w := &e.Words
	role := noteKey{kind: sim.TraceRole, replica: e.Replica}
	down := noteKey{kind: sim.TraceDown, replica: e.Replica}
	paused := noteKey{kind: sim.TracePause, replica: e.Replica}
	fault := noteKey{kind: sim.TraceFault, replica: e.Replica, a: w[0], b: w[1]}
	switch e.Kind {
	case sim.TraceRole:
		n.end(role, e.At)
		switch {
		case w[0] >= uint64(len(roleGlyphs)):
		case roleGlyphs[w[0]] == glyphLeader:
			n.begin(role, e, fmt.Sprintf("leader of term %d", w[1]), colorLeader)
		case roleGlyphs[w[0]] == glyphCandidate:
			n.begin(role, e, fmt.Sprintf("candidate in term %d", w[1]), colorCandidate)
		}
	case sim.TraceDown:
		n.end(role, e.At)
		n.end(paused, e.At)
		n.begin(down, e, "down", colorDown)
	case sim.TraceStart:
		n.end(down, e.At)
	case sim.TracePause:
		n.end(paused, e.At)
		if w[0] != 0 {
			n.begin(paused, e, "paused", colorPaused)
		}
	case sim.TraceFault:
		n.end(fault, e.At)
		text := "fault"
		if w[0] < uint64(len(sim.FaultNames)) {
			text = sim.FaultNames[w[0]]
		}
		if e.Detail != "" {
			text += ": " + e.Detail
		}
		if !e.Lasts { // it is over at once, as a crash is
			n.done = append(n.done, linearizability.Annotation{Tag: tagFaults, Start: e.At, Text: text, Color: colorFault})
			return
		}
		n.begin(fault, e, text, colorFault)
	case sim.TraceFaultEnd:
		n.end(fault, e.At)
	}
}

func (n *notes) begin(key noteKey, e *sim.TraceEvent, text, color string) {
	tag := tagFaults
	if key.kind != sim.TraceFault {
		tag = fmt.Sprintf("r%d", e.Replica+1)
	}
	n.open = append(n.open, openNote{key, linearizability.Annotation{Tag: tag, Start: e.At, Text: text, Color: color}})
}

func (n *notes) end(key noteKey, at uint64) {
	for i := range n.open {
		if n.open[i].key == key {
			note := n.open[i].note
			note.End = at
			n.done = append(n.done, note)
			n.open = append(n.open[:i], n.open[i+1:]...)
			return
		}
	}
}

// until are all notes, where what has not ended ends now.
func (n *notes) until(now uint64) []linearizability.Annotation {
	all := n.done
	for _, o := range n.open {
		o.note.End = now
		all = append(all, o.note)
	}
	return all
}
