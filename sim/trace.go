package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/replica"
)

// A run is named by the hash of its trace: a few fixed words for each thing
// that happens, folded in order. Nothing is rendered unless somebody listens.

// TraceKind says what happened, and what the four words of a TraceEvent mean.
type TraceKind uint8

const (
	TraceTick     TraceKind = iota // ticks delivered to a replica
	TraceDeliver                   // a message arrived
	TraceDamaged                   // a damaged packet arrived and was dropped
	TraceUnheard                   // a packet arrived at a replica that is down
	TraceSubmit                    // a write was appended
	TraceDurable                   // writes became durable
	TraceTask                      // the state machine did a piece of work
	TraceRole                      // role, term or leader changed
	TraceStart                     // a replica started
	TraceDown                      // a replica went down
	TracePause                     // a process stopped for a while, or went on
	TraceFault                     // a fault began
	TraceFaultEnd                  // a fault ended
	TraceCall                      // a client began an operation
	TraceSend                      // a client sent a request
	TraceRequest                   // a request arrived at a replica
	TraceAnswer                    // a replica answered
	TraceReturn                    // a client got an answer that ends the operation
	TraceGiveUp                    // a client gave up
	TraceCut                       // a client heard that its connection was cut
	TraceMembers                   // the latest configuration in a replica's log is another one
	TraceTold                      // a replica told of something that an operator would like to know
	TraceAsk                       // a request of the operator arrived
	TraceAnswered                  // a replica answered one
	TracePhase                     // the run entered its next phase
	TraceFailure                   // a violation was found
	TraceDirected                  // a step of the schedule was done, or ended
	traceKinds
)

// traceFields names the words of each kind, as the JSON has them. An empty
// name is a word that is not used.
var traceFields = [traceKinds]struct {
	name   string
	fields [4]string
}{
	TraceTick:     {"tick", [4]string{"ticks", "jitter"}},
	TraceDeliver:  {"deliver", [4]string{"from", "message", "term", "sum"}},
	TraceDamaged:  {"damaged", [4]string{"from", "bytes"}},
	TraceUnheard:  {"unheard", [4]string{"from", "bytes"}},
	TraceSubmit:   {"submit", [4]string{"write", "entries", "last", "term"}},
	TraceDurable:  {"durable", [4]string{"write", "last", "term"}},
	TraceTask:     {"task", [4]string{"task", "index", "work", "digest"}},
	TraceRole:     {"role", [4]string{"role", "term", "leader", "commit"}},
	TraceStart:    {"start", [4]string{"boot", "last", "term", "snapshot"}},
	TraceDown:     {"down", [4]string{"why", "lost", "nanos"}},
	TracePause:    {"pause", [4]string{"paused", "nanos"}},
	TraceFault:    {"fault", [4]string{"fault", "slot", "what", "nanos"}},
	TraceFaultEnd: {"fault-end", [4]string{"fault", "slot"}},
	TraceCall:     {"call", [4]string{"client", "operation", "read", "bytes"}},
	TraceSend:     {"send", [4]string{"client", "operation", "attempt"}},
	TraceRequest:  {"request", [4]string{"client", "operation", "read", "index"}},
	TraceAnswer:   {"answer", [4]string{"client", "operation", "answer", "index"}},
	TraceReturn:   {"return", [4]string{"client", "operation", "outcome", "index"}},
	TraceGiveUp:   {"give-up", [4]string{"client", "operation", "attempts"}},
	TraceCut:      {"cut", [4]string{"client", "operation"}},
	TraceMembers:  {"members", [4]string{"index", "voters", "outgoing", "learners"}},
	TraceTold:     {"told", [4]string{"event", "about"}},
	TraceAsk:      {"ask", [4]string{"request", "tag", "target", "operations"}},
	TraceAnswered: {"answered", [4]string{"request", "tag", "answer", "what"}},
	TracePhase:    {"phase", [4]string{"phase"}},
	TraceFailure:  {"failure", [4]string{"verdict"}},
	TraceDirected: {"directed", [4]string{"line", "do", "replicas", "peers"}},
}

func (k TraceKind) String() string {
	if k < traceKinds {
		return traceFields[k].name
	}
	return "unknown"
}

// TraceEvent is one thing that happened.
type TraceEvent struct {
	Step    uint64 // the number of the event in which it happened
	At      uint64 // virtual time, nanoseconds
	Tick    uint64 // ticks by the clock of the replica
	Replica int    // position, from 0; -1: none
	Kind    TraceKind
	Words   [4]uint64
}

// emit adds what happened to the hash, and tells whoever listens.
func (w *world) emit(kind TraceKind, replica int, a, b, c, d uint64) {
	h := digest.Word(w.hash, uint64(kind)|uint64(uint8(replica))<<8|w.now<<16)
	h = digest.Word(h, a)
	h = digest.Word(h, b)
	h = digest.Word(h, c)
	w.hash = digest.Word(h, d)
	if w.sink != nil || storyKinds>>kind&1 != 0 {
		w.tell(kind, replica, [4]uint64{a, b, c, d})
	}
}

func (w *world) tell(kind TraceKind, replica int, words [4]uint64) {
	e := TraceEvent{Step: w.steps, At: w.now, Replica: replica, Kind: kind, Words: words}
	if replica >= 0 {
		e.Tick = w.hosts[replica].clock.delivered
	}
	if storyKinds>>kind&1 != 0 {
		w.story.add(&e)
	}
	if w.sink != nil {
		w.sink(&e)
	}
}

// word is the value of field i, for people.
func (e *TraceEvent) word(i int) any {
	v := e.Words[i]
	switch traceFields[e.Kind].fields[i] {
	case "from", "leader":
		if e.Kind == TraceRole && v == 0 {
			return "none"
		}
		return fmt.Sprintf("r%d", v)
	case "do":
		return nameOf(Actions[:], v)
	case "voters", "outgoing", "learners", "replicas", "peers":
		return setText(v)
	case "event":
		return core.EventKind(v).String()
	case "about":
		return fmt.Sprintf("r%d", v)
	case "request":
		return askKind(v).String()
	case "client":
		return fmt.Sprintf("c%d", v)
	case "message":
		return messageName(core.MessageKind(v))
	case "task":
		return replica.TaskKind(v).String()
	case "role":
		return nameOf([]string{"follower", "pre-candidate", "candidate", "leader"}, v)
	case "answer":
		return replica.AnswerKind(v).String()
	case "outcome":
		return nameOf([]string{"unknown", "known", "refused"}, v)
	case "fault":
		return nameOf(FaultNames[:], v)
	case "why":
		return nameOf(downNames[:], v)
	case "phase":
		return phase(v).String()
	case "verdict":
		return Verdict(v).String()
	case "read", "paused":
		return v != 0
	case "digest", "sum":
		return fmt.Sprintf("%016x", v)
	}
	return v
}

// setText is a set of replicas as their numbers.
func setText(set uint64) string {
	var b strings.Builder
	for i := range 64 {
		if set>>i&1 != 0 {
			if b.Len() > 0 {
				b.WriteByte('+')
			}
			fmt.Fprint(&b, i+1)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

func nameOf(names []string, v uint64) string {
	if v < uint64(len(names)) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprint(v)
}

// Render is the event as one line of text.
func (e *TraceEvent) Render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8d %3d.%09d ", e.Step, e.At/1e9, e.At%1e9)
	if e.Replica >= 0 {
		fmt.Fprintf(&b, "r%d @%-6d ", e.Replica+1, e.Tick)
	} else {
		b.WriteString("           ")
	}
	b.WriteString(e.Kind.String())
	for i, f := range traceFields[e.Kind].fields {
		if f != "" {
			fmt.Fprintf(&b, " %s=%v", f, e.word(i))
		}
	}
	return b.String()
}

// MarshalJSON is the event as one object, with its words under their names.
func (e *TraceEvent) MarshalJSON() ([]byte, error) {
	b := fmt.Appendf(nil, `{"step":%d,"at_nanos":%d`, e.Step, e.At)
	if e.Replica >= 0 {
		b = fmt.Appendf(b, `,"tick":%d,"replica":%d`, e.Tick, e.Replica+1)
	}
	b = fmt.Appendf(b, `,"kind":%q`, e.Kind.String())
	for i, f := range traceFields[e.Kind].fields {
		if f == "" {
			continue
		}
		v, err := json.Marshal(e.word(i))
		if err != nil {
			return nil, err
		}
		b = fmt.Appendf(b, `,%q:%s`, f, v)
	}
	return append(b, '}'), nil
}

// story keeps the last few events that people ask about first: faults,
// restarts, elections.
type story struct {
	events [storyEvents]TraceEvent
	next   int
}

const (
	storyEvents = 64
	storyKinds  = 1<<TraceRole | 1<<TraceStart | 1<<TraceDown | 1<<TracePause |
		1<<TraceFault | 1<<TraceFaultEnd | 1<<TraceMembers | 1<<TraceTold | 1<<TraceAsk | 1<<TraceAnswered |
		1<<TracePhase | 1<<TraceFailure | 1<<TraceDirected
)

func (s *story) add(e *TraceEvent) {
	s.events[s.next%storyEvents] = *e
	s.next++
}

// lines are the events in their order, as text.
func (s *story) lines() []string {
	var out []string
	for i := max(0, s.next-storyEvents); i < s.next; i++ {
		out = append(out, s.events[i%storyEvents].Render())
	}
	return out
}
