package campaign

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// What a failing seed leaves in its folder:
//
//	summary.txt   the story, and the command that repeats it
//	repro.json    seed, code, scenario, tape
//	trace.jsonl   every event of the run, one JSON object a line
//	history.json  what the clients asked and were told
//	linear.html   the same as a picture, with faults, terms and leaders
const (
	summaryName = "summary.txt"
	traceName   = "trace.jsonl"
	historyName = "history.json"
	linearName  = "linear.html"
)

// leaveFolder runs a failing seed once more, this time to record it, and writes
// its folder. A run that comes out otherwise than before is nondeterministic,
// whatever else was wrong with it.
func (o *Options) leaveFolder(out *Outcome) error {
	name := "seed-" + seedText(out.Seed)
	if row := Overlay(); row != "" {
		name = row + "-" + name
	}
	so := o.simOptions(out.Seed)
	so.Source = choice.NewRecording(out.Seed)
	return o.record(out, so, filepath.Join(o.Dir, name))
}

// Leave does a failing run once more, as so describes it, and writes its folder
// dir: for runs that are not simply a seed's. The source must be one that
// records, fresh, and so must give the run that out is of.
func Leave(out *Outcome, so *sim.Options, dir string) error {
	var o Options
	o.setDefaults()
	return o.record(out, so, dir)
}

// record does the run that so describes, with a source that records, into the
// folder dir.
func (o *Options) record(out *Outcome, so *sim.Options, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	trace, err := os.Create(filepath.Join(dir, traceName))
	if err != nil {
		return err
	}
	lines := newTraceLines(trace)
	var notes notes
	so.Trace = func(e *sim.TraceEvent) {
		lines.add(e)
		notes.add(e)
	}
	so.KeepHistory = true
	r := o.guarded(so)
	if err := lines.close(); err != nil {
		return err
	}
	if again := OutcomeOf(r, so.Focus); out.Verdict != nondeterminism {
		if what := out.differs(again); what != "" {
			out.becomeNondeterministic(what)
		}
	}
	out.Folder = dir

	tape := r.Tape
	if tape == nil { // a panic out of the simulator has no result
		tape = so.Source.Tape()
	}
	repro := reproOf(out, so, r, tape)
	if err := repro.write(filepath.Join(dir, reproName)); err != nil {
		return err
	}
	beside := []string{reproName, traceName}
	if r.History != nil { // a run that panicked early has none
		if err := writeFile(filepath.Join(dir, historyName), func(w io.Writer) error { return r.History.Write(w, r.Model) }); err != nil {
			return err
		}
		beside = append(beside, historyName)
	}
	if r.History != nil && r.Model != nil && r.History.Len() > 0 {
		if err := writeFile(filepath.Join(dir, linearName), func(w io.Writer) error { return draw(w, r, &notes) }); err != nil {
			return err
		}
		beside = append(beside, linearName)
	}
	return os.WriteFile(filepath.Join(dir, summaryName), []byte(storyText(out, r, repro.Code, beside)), 0o644)
}

// draw draws the history: around what is wrong with it, or, if the run failed
// for another reason, its end.
func draw(w io.Writer, r *sim.Result, n *notes) error {
	judge := linearizability.NewChecker(r.Model)
	violation := linearizability.Violation{First: -1, Second: -1}
	if r.Verdict == sim.Linearizability {
		points, err := judge.Points(r.History)
		if err != nil {
			return fmt.Errorf("judging the history: %w", err)
		}
		violation = points.Violation
	}
	_, err := judge.Picture(w, r.History, violation, n.until(r.SimulatedNanos), linearizability.PictureStepsMax)
	return err
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// traceLines writes events as JSON lines. The first error ends the writing and
// is returned by close.
type traceLines struct {
	file io.WriteCloser
	buf  *bufio.Writer
	enc  *json.Encoder
	err  error
}

func newTraceLines(file io.WriteCloser) *traceLines {
	l := &traceLines{file: file, buf: bufio.NewWriterSize(file, 1<<16)}
	l.enc = json.NewEncoder(l.buf)
	return l
}

func (l *traceLines) add(e *sim.TraceEvent) {
	if l.err == nil {
		l.err = l.enc.Encode(e)
	}
}

func (l *traceLines) close() error {
	if err := l.buf.Flush(); l.err == nil {
		l.err = err
	}
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	if l.err != nil {
		return fmt.Errorf("writing the trace: %w", l.err)
	}
	return nil
}
