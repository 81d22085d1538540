package campaign

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// ViewOptions says how a run is to be shown.
type ViewOptions struct {
	JSON   bool // JSON lines instead of text
	Events bool // Event will be called
	Style  Style
}

// Viewer writes a run as it goes by: the scenario, then each event. As text,
// that is one line per event, with one column per replica.
type Viewer struct {
	options  ViewOptions
	w        *bufio.Writer
	replicas []seen
	err      error
}

// seen is what the events so far tell about one replica.
type seen struct {
	role          byte // a role glyph
	down, paused  bool
	term          uint64
	last, applied uint64
}

// Glyphs of roles, and of events.
const (
	glyphFollower     = 'f'
	glyphPreCandidate = 'p'
	glyphCandidate    = 'c'
	glyphLeader       = 'L'
	glyphDown         = 'x'
	glyphPaused       = 'z'
)

var roleGlyphs = [...]byte{glyphFollower, glyphPreCandidate, glyphCandidate, glyphLeader}

var eventGlyphs = map[sim.TraceKind]byte{
	sim.TraceDeliver: '<', sim.TraceDamaged: '%', sim.TraceUnheard: '-',
	sim.TraceSubmit: 'w', sim.TraceDurable: 's', sim.TraceTask: 'a',
	sim.TraceRole: '!', sim.TraceStart: '^', sim.TraceDown: 'v', sim.TracePause: 'z',
	sim.TraceFault: '#', sim.TraceFaultEnd: '~',
	sim.TraceRequest: '?', sim.TraceAnswer: '=', sim.TraceAttempt: '+',
	sim.TraceSend: '>', sim.TraceHeld: '|', sim.TraceRelease: '}', sim.TraceLost: '/',
	sim.TraceMembers: 'm', sim.TraceAsk: 'o', sim.TraceAnswered: 'o', sim.TraceTold: 'i',
	sim.TraceFailure: '*',
}

const legend = `  one column per replica: what happens to it, then its role
    roles   f follower  p pre-candidate  c candidate  L leader  x down  z paused
    events  > message leaves  / lost  | held by a clog  } let go by it
            < message arrives  % damaged, dropped  - arrives at one that is down
            + client sends a request  ? it arrives  = answer leaves
            w write submitted  s writes synced  a state machine at work
            ! role, term or leader changed  ^ start  v crash or power loss  z pause
            m other members  o the operator asks, or is answered  i told to it
            # fault begins  ~ fault ends  * violation
    then the term, the end of the log and what is applied, of that replica.
  Ticks are left out; --json has them.
`

// NewViewer returns a viewer that writes to w. It holds text back; End lets go
// of the rest.
func NewViewer(w io.Writer, o ViewOptions) *Viewer {
	return &Viewer{options: o, w: bufio.NewWriter(w)}
}

// ScenarioLine is the first line of one run with --json.
type ScenarioLine struct {
	Type     string        `json:"type"` // "scenario"
	Scenario *sim.Scenario `json:"scenario"`
}

// Begin shows the scenario.
func (v *Viewer) Begin(s *sim.Scenario) {
	v.replicas = make([]seen, s.Replicas+s.Spares)
	for i := range v.replicas {
		v.replicas[i] = seen{role: glyphFollower, down: true}
	}
	if v.options.JSON {
		v.keep(WriteLine(v.w, ScenarioLine{"scenario", s}))
		return
	}
	fmt.Fprintln(v.w, strings.TrimRight(s.String(), "\n"))
	if v.options.Events {
		fmt.Fprintf(v.w, "\n%s\n%8s %12s ", legend, "step", "seconds")
		for i := range v.replicas {
			fmt.Fprintf(v.w, " r%-2d", i+1)
		}
		fmt.Fprintf(v.w, " %5s %7s %7s  %s\n", "term", "last", "applied", "event")
	}
}

// Event shows one event.
func (v *Viewer) Event(e *sim.TraceEvent) {
	if v.options.JSON {
		v.keep(WriteLine(v.w, e))
		return
	}
	v.see(e)
	if e.Kind == sim.TraceTick {
		return
	}
	fmt.Fprintf(v.w, "%8d %5d.%06d ", e.Step, e.At/1e9, e.At%1e9/1e3)
	for i := range v.replicas {
		r := &v.replicas[i]
		if i == e.Replica {
			fmt.Fprintf(v.w, " %c%s ", v.eventGlyph(e), v.paintRole(r))
		} else {
			fmt.Fprintf(v.w, "  %s ", v.options.Style.faint(string(r.glyph())))
		}
	}
	if e.Replica >= 0 && e.Replica < len(v.replicas) {
		r := &v.replicas[e.Replica]
		fmt.Fprintf(v.w, " %5d %7d %7d  ", r.term, r.last, r.applied)
	} else {
		fmt.Fprintf(v.w, " %5s %7s %7s  ", "", "", "")
	}
	fmt.Fprintln(v.w, v.paintText(e))
}

// see brings what is known about a replica up to the event.
func (v *Viewer) see(e *sim.TraceEvent) {
	if e.Replica < 0 || e.Replica >= len(v.replicas) {
		return
	}
	r := &v.replicas[e.Replica]
	w := &e.Words
	switch e.Kind {
	case sim.TraceStart:
		*r = seen{role: glyphFollower, last: w[1], term: w[2], applied: w[3]}
	case sim.TraceDown:
		r.down = true
	case sim.TracePause:
		r.paused = w[0] != 0
	case sim.TraceRole:
		if w[0] < uint64(len(roleGlyphs)) {
			r.role = roleGlyphs[w[0]]
		}
		r.term = w[1]
	case sim.TraceSubmit:
		if w[1] > 0 {
			r.last = w[2]
		}
	case sim.TraceTask:
		switch replica.TaskKind(w[0]) {
		case replica.TaskApply, replica.TaskRestore:
			r.applied = w[1]
			r.last = max(r.last, r.applied)
		}
	}
}

func (r *seen) glyph() byte {
	switch {
	case r.down:
		return glyphDown
	case r.paused:
		return glyphPaused
	}
	return r.role
}

func (v *Viewer) paintRole(r *seen) string {
	text := string(r.glyph())
	switch r.glyph() {
	case glyphLeader:
		return v.options.Style.good(text)
	case glyphDown:
		return v.options.Style.bad(text)
	case glyphFollower:
		return text
	}
	return v.options.Style.warn(text)
}

func (v *Viewer) eventGlyph(e *sim.TraceEvent) byte {
	if g, ok := eventGlyphs[e.Kind]; ok {
		return g
	}
	return '.'
}

func (v *Viewer) paintText(e *sim.TraceEvent) string {
	text := e.Text()
	switch e.Kind {
	case sim.TraceFailure, sim.TraceDown, sim.TraceLost:
		return v.options.Style.bad(text)
	case sim.TraceRole:
		return v.options.Style.good(text)
	case sim.TraceFault, sim.TraceFaultEnd, sim.TracePause, sim.TracePhase, sim.TraceStart:
		return v.options.Style.warn(text)
	}
	return text
}

func (v *Viewer) keep(err error) {
	if v.err == nil {
		v.err = err
	}
}

// End writes what is left and returns the first error of all.
func (v *Viewer) End() error {
	v.keep(v.w.Flush())
	return v.err
}
