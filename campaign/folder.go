package campaign

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seaworthy-raft/seaworthy/internal/choice"
	"github.com/seaworthy-raft/seaworthy/linearizability"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// What a failing seed leaves in its folder, in the order in which it is written:
// what is smallest and needed most comes first.
//
//	repro.json    seed, code, scenario, tape
//	summary.txt   the story, and the command that repeats it
//	history.json  what the clients asked and were told
//	linear.html   the same as a picture, with faults, terms and leaders
//	trace.jsonl   every event of the run, one JSON object a line
const (
	summaryName = "summary.txt"
	traceName   = "trace.jsonl"
	historyName = "history.json"
	linearName  = "linear.html"
)

// CheckDir says whether folders of failures could be written below dir, before
// anything has failed. It leaves nothing behind, no folder either.
func CheckDir(dir string) error {
	if dir == "" {
		return nil
	}
	// The topmost folder that is missing goes again.
	missing := ""
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		missing = d
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".writable-"); err == nil {
			_, err = f.WriteString("as large as what is needed least\n")
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	for d := filepath.Clean(dir); missing != ""; d = filepath.Dir(d) {
		if os.Remove(d) != nil || d == missing { // somebody else may have put something there
			break
		}
	}
	if err != nil {
		return fmt.Errorf("what a failing seed leaves can not be written to %s: %w", dir, err)
	}
	return nil
}

// leaveFolder runs a failing seed once more, this time to record it, and writes
// its folder. A run that comes out otherwise than before is nondeterministic,
// whatever else was wrong with it. What could not be written is said in out.
func (o *Options) leaveFolder(out *Outcome) {
	name := "seed-" + seedText(out.Seed)
	if row := Overlay(); row != "" {
		name = row + "-" + name
	}
	so := o.simOptions(out.Seed)
	so.Source = choice.NewRecording(out.Seed)
	o.record(out, so, filepath.Join(o.Dir, name))
}

// Leave does a failing run once more, as so describes it, and writes its folder
// dir: for runs that are not simply a seed's. The source must be one that
// records, fresh, and so must give the run that out is of. What could not be
// written is said in out.
func Leave(out *Outcome, so *sim.Options, dir string) {
	var o Options
	o.setDefaults()
	o.record(out, so, dir)
}

// record does the run that so describes, with a source that records, into the
// folder dir: a run to know what there is to write, and at last one more for the
// trace, which may be larger than the disk.
func (o *Options) record(out *Outcome, so *sim.Options, dir string) {
	var notes notes
	so.Trace, so.KeepHistory = notes.add, true
	r := o.guarded(so)
	if again := OutcomeOf(r, so.Focus); out.Verdict != nondeterminism {
		if what := out.differs(again); what != "" {
			out.becomeNondeterministic(what)
		}
	}

	tape := r.Tape
	if tape == nil { // a panic out of the simulator has no result
		tape = so.Source.Tape()
	}
	repro := reproOf(out, so, r, tape)
	f := folder{dir: dir, create: o.create}
	if f.write(reproName, repro.write) {
		out.Folder = dir
	}
	has := r.History != nil // a run that panicked early has none
	drawn := has && r.Model != nil && r.History.Len() > 0
	beside := []string{reproName}
	if has {
		beside = append(beside, historyName)
	}
	if drawn {
		beside = append(beside, linearName)
	}
	beside = append(beside, traceName)
	f.write(summaryName, func(w io.Writer) error {
		_, err := io.WriteString(w, storyText(out, r, repro.Code, beside))
		return err
	})
	if has {
		f.write(historyName, func(w io.Writer) error { return r.History.Write(w, r.Model) })
	}
	if drawn {
		f.write(linearName, func(w io.Writer) error { return draw(w, r, &notes) })
	}
	f.write(traceName, func(w io.Writer) error {
		again := *so
		if again.KeepHistory = false; tape != nil {
			again.Source = choice.Replay(tape)
		} else {
			again.Source = choice.New(out.Seed)
		}
		lines := newTraceLines(w)
		again.Trace = lines.add
		o.guarded(&again)
		return lines.flush()
	})
	out.NotWritten = f.failed
}

// folder writes files, each whole or not at all.
type folder struct {
	dir    string
	create func(name string) (io.WriteCloser, error)
	failed []string // what could not be written, and why
}

// createFile is how files are made where the disk is a real one.
func createFile(name string) (io.WriteCloser, error) { return os.Create(name) }

// write makes a file and reports whether that went well. If not, nothing of it
// stays: the space is needed for the others, and an older file of that name is
// worth more.
func (f *folder) write(name string, content func(io.Writer) error) bool {
	err := f.tryWrite(name, content)
	if err != nil {
		f.failed = append(f.failed, fmt.Sprintf("%s: %v", name, err))
	}
	return err == nil
}

func (f *folder) tryWrite(name string, content func(io.Writer) error) (err error) {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	name = filepath.Join(f.dir, name)
	part := name + ".part"
	file, err := f.create(part)
	if err != nil {
		return err
	}
	defer func() {
		// A model may say what it likes of the operations that it describes.
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		err = errors.Join(err, file.Close())
		if err == nil {
			err = os.Rename(part, name)
		}
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	return content(file)
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
	marks := n.until(r.SimulatedNanos)
	if f := r.Failure; f != nil && violation.First < 0 {
		marks = append(marks, linearizability.Annotation{
			Tag: "violation", Start: f.To, Text: f.Property, Details: f.Detail, Color: linearizability.ColorViolation, Always: true,
		})
	}
	_, err := judge.Picture(w, r.History, violation, marks, linearizability.PictureStepsMax)
	return err
}

// traceLines writes events as JSON lines. The first error ends the writing and
// is returned by flush.
type traceLines struct {
	buf *bufio.Writer
	enc *json.Encoder
	err error
}

func newTraceLines(w io.Writer) *traceLines {
	l := &traceLines{buf: bufio.NewWriterSize(w, 1<<16)}
	l.enc = json.NewEncoder(l.buf)
	return l
}

func (l *traceLines) add(e *sim.TraceEvent) {
	if l.err == nil {
		l.err = l.enc.Encode(e)
	}
}

func (l *traceLines) flush() error {
	if l.err == nil {
		l.err = l.buf.Flush()
	}
	return l.err
}
