package sim

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/digest"
	"github.com/seaworthy-raft/seaworthy/netsim"
	"github.com/seaworthy-raft/seaworthy/replica"
	"github.com/seaworthy-raft/seaworthy/wire"
)

// A run is named by the hash of its trace: a few fixed words for each thing
// that happens, folded in order. Nothing is rendered unless somebody listens.
// What follows from the rest, as that a message left and was lost on its way, is
// told to who listens and is in no hash.

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
	TraceAttempt                   // a client sent a request
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

	// Told only, and in no hash.
	TraceSend    // a message left, and will arrive
	TraceHeld    // a message left, and a clog holds it
	TraceRelease // a clog let go of a message
	TraceLost    // a message, request or answer will not arrive
	traceKinds
)

// traceFields names the words of each kind, as the JSON has them. An empty
// name is a word that is not used.
var traceFields = [traceKinds]struct {
	name   string
	fields [4]string
}{
	TraceTick:     {"tick", [4]string{"ticks", "jitter"}},
	TraceDeliver:  {"deliver", [4]string{"from"}},
	TraceDamaged:  {"damaged", [4]string{"from", "bytes"}},
	TraceUnheard:  {"unheard", [4]string{"from", "bytes"}},
	TraceSubmit:   {"submit", [4]string{"write", "entries", "last", "term"}},
	TraceDurable:  {"durable", [4]string{"write"}},
	TraceTask:     {"task", [4]string{"task", "index", "work", "digest"}},
	TraceRole:     {"role", [4]string{"role", "term", "leader", "commit"}},
	TraceStart:    {"start", [4]string{"boot", "last", "term", "snapshot"}},
	TraceDown:     {"down", [4]string{"why", "lost"}},
	TracePause:    {"pause", [4]string{"paused"}},
	TraceFault:    {"fault", [4]string{"fault", "slot", "", "nanos"}},
	TraceFaultEnd: {"fault-end", [4]string{"fault", "slot"}},
	TraceCall:     {"call", [4]string{"client", "operation", "read"}},
	TraceAttempt:  {"attempt", [4]string{"client", "operation", "attempt"}},
	TraceRequest:  {"request", [4]string{"client", "operation", "read"}},
	TraceAnswer:   {"answer", [4]string{"client", "operation", "answer", "index"}},
	TraceReturn:   {"return", [4]string{"client", "operation", "outcome", "index"}},
	TraceGiveUp:   {"give-up", [4]string{"client", "operation", "attempts"}},
	TraceCut:      {"cut", [4]string{"client", "operation"}},
	TraceMembers:  {"members", [4]string{"index", "voters", "outgoing", "learners"}},
	TraceTold:     {"told", [4]string{"event", "about"}},
	TraceAsk:      {"ask", [4]string{"request", "tag", "target"}},
	TraceAnswered: {"answered", [4]string{"request", "tag", "answer", "what"}},
	TracePhase:    {"phase", [4]string{"phase"}},
	TraceFailure:  {"failure", [4]string{"verdict"}},
	TraceDirected: {"directed", [4]string{"line", "do", "replicas", "peers"}},
	TraceSend:     {"send", [4]string{"to"}},
	TraceHeld:     {"held", [4]string{"to"}},
	TraceRelease:  {"release", [4]string{"to"}},
	TraceLost:     {"lost", [4]string{"to"}},
}

// forProgramsOnly are fields that tell a person nothing: JSON has them, and text
// does not.
func forProgramsOnly(field string) bool { return field == "slot" || field == "tag" || field == "nanos" }

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
	// Lasts says of a fault that it goes on until its TraceFaultEnd.
	Lasts bool
	// Message is the one that was sent, held, released, lost, delivered or
	// unheard, or nil. It is borrowed for the call.
	Message *core.Message
	// Detail says what the words do not: whom a fault hits and how, what a client
	// asks for, when a message arrives or why it is lost.
	Detail string
}

// emit adds what happened to the hash, and tells whoever listens.
func (w *world) emit(kind TraceKind, replica int, a, b, c, d uint64) {
	w.fold(kind, replica, a, b, c, d)
	if w.listens(kind) {
		w.tell(TraceEvent{Kind: kind, Replica: replica, Words: [4]uint64{a, b, c, d}})
	}
}

// emitWith is emit with what the words do not say, which is asked for only if
// somebody listens.
func (w *world) emitWith(kind TraceKind, replica int, a, b, c, d uint64, detail func() string) {
	w.fold(kind, replica, a, b, c, d)
	if w.listens(kind) {
		w.tell(TraceEvent{Kind: kind, Replica: replica, Words: [4]uint64{a, b, c, d}, Detail: detail()})
	}
}

// emitFault is emit for a fault, which goes on until its end if it lasts.
func (w *world) emitFault(replica int, a, b, c, d uint64, lasts bool, what string) {
	w.fold(TraceFault, replica, a, b, c, d)
	w.tell(TraceEvent{Kind: TraceFault, Replica: replica, Words: [4]uint64{a, b, c, d}, Lasts: lasts, Detail: what})
}

func (w *world) fold(kind TraceKind, replica int, a, b, c, d uint64) {
	h := digest.Word(w.hash, uint64(kind)|uint64(uint8(replica))<<8|w.now<<16)
	h = digest.Word(h, a)
	h = digest.Word(h, b)
	h = digest.Word(h, c)
	w.hash = digest.Word(h, d)
}

// listens says whether anybody wants to hear of such an event.
func (w *world) listens(kind TraceKind) bool { return w.sink != nil || storyKinds>>kind&1 != 0 }

// tell tells whoever listens, and keeps what belongs to the story.
func (w *world) tell(e TraceEvent) {
	e.Step, e.At = w.steps, w.now
	if e.Replica >= 0 {
		e.Tick = w.hosts[e.Replica].clock.delivered
	}
	if storyKinds>>e.Kind&1 != 0 {
		w.story.add(&e)
	}
	if w.sink != nil {
		w.heard = e
		w.sink(&w.heard)
	}
}

// tellSent tells what becomes of a message that a replica sends, by the last
// word of the network.
func (w *world) tellSent(from int, m *core.Message, arrivals []netsim.Delivery) {
	e := TraceEvent{Kind: TraceSend, Replica: from, Words: [4]uint64{uint64(m.To)}, Message: m}
	switch {
	case len(arrivals) > 0:
		e.Detail = arrivalsText(arrivals)
	case w.network.Holds():
		e.Kind = TraceHeld
	default:
		e.Kind, e.Detail = TraceLost, w.network.Lost().String()
	}
	w.tell(e)
}

// tellReleased tells that a clog let go of a packet.
func (w *world) tellReleased(r *netsim.Released) {
	p := &w.packets.slots[r.Handle]
	e := TraceEvent{
		Kind: TraceRelease, Replica: int(p.from), Words: [4]uint64{uint64(r.To) + 1},
		Detail: arrivalsText([]netsim.Delivery{r.Delivery}),
	}
	if wire.DecodeMessage(p.bytes, &w.shown) == nil {
		e.Message = &w.shown
	}
	w.tell(e)
}

// emitUnheard is emit for a packet that arrives where nobody listens.
func (w *world) emitUnheard(at int, p *packet) {
	w.fold(TraceUnheard, at, uint64(p.from)+1, uint64(len(p.bytes)), 0, 0)
	if w.sink == nil {
		return
	}
	if p.kind == packetRequest {
		w.tellLost(at, fmt.Sprintf("request of c%d, which finds nobody there", p.from))
		return
	}
	e := TraceEvent{Kind: TraceUnheard, Replica: at, Words: [4]uint64{uint64(p.from) + 1, uint64(len(p.bytes))}}
	if wire.DecodeMessage(p.bytes, &w.shown) == nil {
		e.Message = &w.shown
	}
	w.tell(e)
}

// tellLost tells that what goes between a client and a replica is lost.
func (w *world) tellLost(at int, what string) {
	w.tell(TraceEvent{Kind: TraceLost, Replica: at, Detail: what})
}

// arrivalsText says when a packet arrives, and in what state.
func arrivalsText(arrivals []netsim.Delivery) string {
	var b strings.Builder
	for i := range arrivals {
		d := &arrivals[i]
		if i > 0 {
			b.WriteString(" and ")
		}
		fmt.Fprintf(&b, "arrives at %d.%06d", d.At/1e9, d.At%1e9/1e3)
		if d.Damage.Mask != 0 {
			b.WriteString(" damaged")
		}
	}
	return b.String()
}

// word is the value of field i, for people.
func (e *TraceEvent) word(i int) any {
	v := e.Words[i]
	switch traceFields[e.Kind].fields[i] {
	case "from", "to", "leader", "target", "about":
		return replicaText(v)
	case "do":
		return nameOf(Actions[:], v)
	case "voters", "outgoing", "learners", "replicas", "peers":
		return setText(v)
	case "event":
		return core.EventKind(v).String()
	case "request":
		return askKind(v).String()
	case "client":
		return fmt.Sprintf("c%d", v)
	case "what":
		return e.whatAnswered()
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
	case "digest":
		return fmt.Sprintf("%016x", v)
	}
	return v
}

// whatAnswered is what the operator was answered: why not, who leads, or the
// index of the configuration.
func (e *TraceEvent) whatAnswered() any {
	v := e.Words[3]
	switch {
	case replica.AnswerKind(e.Words[2]) == replica.AnswerUnknown:
		return "none"
	case replica.AnswerKind(e.Words[2]) == replica.AnswerRefused:
		return core.RefusalReason(v).String()
	case askKind(e.Words[0]) >= askTransfer:
		return replicaText(v)
	}
	return v
}

func replicaText(id uint64) string {
	if id == 0 {
		return "none"
	}
	return fmt.Sprintf("r%d", id)
}

// setText is a set of replicas, given as bits by position.
func setText(set uint64) string {
	var b strings.Builder
	for i := range 64 {
		if set>>i&1 != 0 {
			if b.Len() > 0 {
				b.WriteByte('+')
			}
			fmt.Fprintf(&b, "r%d", i+1)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// linksText is which links are open: the sides, if everyone on a side hears
// everyone on it and nobody else, or else who reaches whom.
func linksText(m netsim.Matrix) string {
	var sides, links []string
	seen, parted := uint64(0), true
	for i, row := range m {
		if seen>>i&1 == 0 {
			sides = append(sides, setText(row))
		}
		for j := range m {
			if row>>j&1 != 0 && m[j] != row {
				parted = false
			}
		}
		seen |= row
		links = append(links, fmt.Sprintf("r%d to %s", i+1, setText(row&^(1<<i))))
	}
	if parted {
		return strings.Join(sides, " | ")
	}
	return strings.Join(links, ", ")
}

// refusalText is why a request was refused, and who may know better.
func refusalText(a *replica.Answer) string {
	if a.Kind != replica.AnswerRefused {
		return ""
	}
	text := a.Reason.String()
	if a.Leader != 0 {
		text += ", try " + replicaText(uint64(a.Leader))
	}
	return text
}

// changeText is what a change asks for.
func changeText(c *core.Change) string {
	var texts []string
	for _, op := range c.Operations {
		texts = append(texts, fmt.Sprintf("%v r%d", op.Kind, op.ID))
	}
	return strings.Join(texts, ", ")
}

// endsText is some replicas in their order.
func endsText(ends []netsim.End) string {
	var texts []string
	for _, e := range ends {
		texts = append(texts, fmt.Sprintf("r%d", e+1))
	}
	return strings.Join(texts, " ")
}

// secondsText is a length of virtual time.
func secondsText(nanos uint64) string { return fmt.Sprintf("%d.%03d s", nanos/1e9, nanos/1e6%1e3) }

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
		fmt.Fprintf(&b, "r%d @%-6d", e.Replica+1, e.Tick)
	} else {
		b.WriteString("          ")
	}
	b.WriteByte(' ')
	b.WriteString(e.Text())
	return b.String()
}

// has says whether field i, of that name, says anything: what clients lose goes
// to no replica.
func (e *TraceEvent) has(name string, i int) bool {
	return name != "" && (name != "to" || e.Words[i] != 0)
}

// Text is what Render has behind step, time and place.
func (e *TraceEvent) Text() string {
	b := []byte(e.Kind.String())
	for i, f := range traceFields[e.Kind].fields {
		if e.has(f, i) && !forProgramsOnly(f) {
			b = fmt.Appendf(b, " %s=%v", f, e.word(i))
		}
	}
	if e.Message != nil {
		b = e.Message.Append(append(b, ' '))
	}
	if e.Detail != "" {
		b = append(append(b, ": "...), strings.ReplaceAll(e.Detail, "\n", "; ")...)
	}
	return string(b)
}

// MarshalJSON is the event as one object, with its words under their names.
func (e *TraceEvent) MarshalJSON() ([]byte, error) {
	b := fmt.Appendf(nil, `{"step":%d,"at_nanos":%d`, e.Step, e.At)
	if e.Replica >= 0 {
		b = fmt.Appendf(b, `,"tick":%d,"replica":%d`, e.Tick, e.Replica+1)
	}
	b = fmt.Appendf(b, `,"kind":%q`, e.Kind.String())
	for i, f := range traceFields[e.Kind].fields {
		if !e.has(f, i) {
			continue
		}
		v, err := json.Marshal(e.word(i))
		if err != nil {
			return nil, err
		}
		b = fmt.Appendf(b, `,%q:%s`, f, v)
	}
	for _, text := range []struct {
		name  string
		value string
	}{{"message", e.messageName()}, {"text", e.messageText()}, {"detail", e.Detail}} {
		if text.value == "" {
			continue
		}
		v, err := json.Marshal(text.value)
		if err != nil {
			return nil, err
		}
		b = fmt.Appendf(b, `,%q:%s`, text.name, v)
	}
	return append(b, '}'), nil
}

func (e *TraceEvent) messageName() string {
	if e.Message == nil {
		return ""
	}
	return e.Message.Name()
}

func (e *TraceEvent) messageText() string {
	if e.Message == nil {
		return ""
	}
	return e.Message.String()
}

// story keeps the events that people ask about first: faults, restarts,
// elections. Of a run that has more than storyMax of them it keeps the last.
type story struct {
	events []TraceEvent
	next   int // the number of all so far
}

const (
	storyMax   = 4096
	storyKinds = 1<<TraceRole | 1<<TraceStart | 1<<TraceDown | 1<<TracePause |
		1<<TraceFault | 1<<TraceFaultEnd | 1<<TraceMembers | 1<<TraceTold | 1<<TraceAsk | 1<<TraceAnswered |
		1<<TracePhase | 1<<TraceFailure | 1<<TraceDirected

	// What is shown of it: so many events up to what is wrong, and after.
	storyBefore = 48
	storyAfter  = 16
)

func (s *story) add(e *TraceEvent) {
	if len(s.events) < storyMax {
		s.events = append(s.events, *e)
	} else {
		s.events[s.next%storyMax] = *e
	}
	s.next++
}

// lines are the last events up to the time at and the first after it, in their
// order, as text.
func (s *story) lines(at uint64) []string {
	first := max(0, s.next-storyMax)
	event := func(i int) *TraceEvent { return &s.events[i%storyMax] }
	after := first + sort.Search(s.next-first, func(i int) bool { return event(first+i).At > at })
	var out []string
	for i := max(first, after-storyBefore); i < min(s.next, after+storyAfter); i++ {
		out = append(out, event(i).Render())
	}
	return out
}
