package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

// terminal is w as a file if it is one that a person looks at.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// styleFor is colored on a terminal, unless NO_COLOR (no-color.org) or
// TERM=dumb says otherwise.
func styleFor(w io.Writer) campaign.Style {
	_, tty := terminal(w)
	return campaign.Style{Color: tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// statusLine is one line at the bottom of a terminal that is written over and
// over. Elsewhere it is off, and silent.
type statusLine struct {
	file  *os.File
	on    bool
	shown bool
}

func newStatusLine(w io.Writer, quiet bool) *statusLine {
	f, tty := terminal(w)
	return &statusLine{file: f, on: tty && !quiet && os.Getenv("TERM") != "dumb"}
}

func (l *statusLine) show(text string) {
	if !l.on {
		return
	}
	// The line must not wrap, or it can not be written over: ?7l turns wrapping
	// off, ?7h on again.
	fmt.Fprintf(l.file, "\r\x1b[K\x1b[?7l%s\x1b[?7h", text)
	l.shown = true
}

func (l *statusLine) clear() {
	if l.shown {
		fmt.Fprint(l.file, "\r\x1b[K")
		l.shown = false
	}
}

// interruptible is done when the first signal comes, so that a command can end
// with what it has; a second one ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
