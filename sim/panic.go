package sim

import (
	"fmt"
	"path"
	"strings"
)

// PanicText says what a panic said and where it came from: one line for each
// call, the one that panicked first. stack is that of debug.Stack, taken where
// the panic was recovered; the calls that did the recovering are left out, so
// that a state machine finds itself at the top.
func PanicText(value any, stack []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", value)
	for _, call := range panicCalls(string(stack)) {
		fmt.Fprintln(&b, call)
	}
	return b.String()
}

// panicCalls are the calls of a stack, each with its file, from the one that
// panicked on.
func panicCalls(stack string) []string {
	lines := strings.Split(strings.TrimRight(stack, "\n"), "\n")
	var calls []string
	for i := 1; i+1 < len(lines); i += 2 { // the first line names the goroutine
		function, at := lines[i], strings.TrimSpace(lines[i+1])
		if strings.HasPrefix(function, "panic(") {
			calls = calls[:0] // all above is the recovery
			continue
		}
		if len(calls) == 0 && strings.HasPrefix(function, "runtime.") {
			continue // how the runtime panics
		}
		at, _, _ = strings.Cut(at, " +0x")
		if cut := strings.LastIndexByte(function, '('); cut > 0 {
			function = function[:cut]
		}
		calls = append(calls, fmt.Sprintf("  %s at %s", path.Base(function), at))
	}
	return calls
}

// working is the replica whose state machine is at work, or -1.
func (w *world) working() int {
	for i := range w.hosts {
		if w.hosts[i].machine.task != nil {
			return i
		}
	}
	return -1
}
