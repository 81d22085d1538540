package campaign

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seaworthy-raft/seaworthy/sim"
)

// Style says how text for people is to look. The zero Style is plain.
type Style struct {
	Color bool
}

func (s Style) paint(code, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) good(text string) string  { return s.paint("32", text) }
func (s Style) bad(text string) string   { return s.paint("1;31", text) }
func (s Style) warn(text string) string  { return s.paint("33", text) }
func (s Style) faint(text string) string { return s.paint("2", text) }

// WriteText writes an outcome that is not a pass, in a few lines: what, where,
// and the command that repeats it.
func (o *Outcome) WriteText(w io.Writer, st Style) error {
	var b strings.Builder
	o.headline(&b, st)
	if o.Folder != "" {
		fmt.Fprintf(&b, "  written to %s\n", o.Folder)
	}
	for _, missing := range o.NotWritten {
		fmt.Fprintf(&b, "  %s\n", st.warn("not written: "+missing))
	}
	fmt.Fprintf(&b, "  %s\n", o.Repeat())
	_, err := io.WriteString(w, b.String())
	return err
}

// headline says what was wrong and where.
func (o *Outcome) headline(b *strings.Builder, st Style) {
	fmt.Fprintf(b, "seed %d  %s", o.Seed, st.bad(o.Verdict))
	f := o.Failure
	if f == nil {
		b.WriteByte('\n')
		return
	}
	fmt.Fprintf(b, ": %s\n", f.Property)
	if m := meaning(f.Property); m != "" {
		fmt.Fprintf(b, "  %s\n", m)
	}
	fmt.Fprintf(b, "  %s\n", strings.ReplaceAll(firstLines(f.Detail, 6), "\n", "\n  "))
	if at := whereText(f); at != "" {
		fmt.Fprintf(b, "  %s\n", st.faint(at))
	}
}

// Repeat is the one command that does the run again.
func (o *Outcome) Repeat() string { return o.repeat("") }

// repeat adds flags of simrun replay, if there are any.
func (o *Outcome) repeat(flags string) string {
	var command string
	switch {
	case o.Command != "":
		return o.Command
	case o.Folder != "" && Overlay() != "":
		command = "go run ./cmd/bugbank replay " + ShellQuote(o.Folder)
		if flags != "" {
			flags = "-- " + flags
		}
	case o.Folder != "":
		command = "go run ./cmd/simrun replay " + ShellQuote(o.Folder)
	default:
		command = fmt.Sprintf("go run ./cmd/simrun run --seed %d", o.Seed)
		if o.Focus != "" {
			command += " --focus " + o.Focus
		}
	}
	return strings.TrimSpace(command + " " + flags)
}

// ShellQuote makes a word that a shell takes as it is.
func ShellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:=@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = append(lines[:n], fmt.Sprintf("(%d lines more)", len(lines)-n))
	}
	return strings.Join(lines, "\n")
}

func whereText(f *sim.Failure) string {
	if f.Step == 0 && f.At == 0 {
		return ""
	}
	if f.To != 0 && f.To < f.At { // what clients saw is judged when all is over
		return fmt.Sprintf("from %s to %s; judged at the end, at %s", nanosText(f.From), nanosText(f.To), nanosText(f.At))
	}
	at := fmt.Sprintf("at step %d, %s", f.Step, nanosText(f.At))
	if f.Replica >= 0 {
		at += fmt.Sprintf(", replica %d, its tick %d", f.Replica+1, f.Tick)
	}
	return at
}

// nanosText is virtual time for people: seconds and milliseconds.
func nanosText(n uint64) string {
	return fmt.Sprintf("%d.%03d s", n/1e9, n%1e9/1e6)
}

// contents say what is in the files of a folder.
var contents = map[string]string{
	reproName:   "seed, code, scenario and tape: what replay reads",
	traceName:   "every event, one a line",
	historyName: "what the clients asked and were told",
	linearName:  "the same as a picture",
}

// storyText is summary.txt: what someone wants to know who has never seen this
// run, in the order in which they want it.
func storyText(o *Outcome, r *sim.Result, code Code, beside []string) string {
	var b strings.Builder
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintf(&b, "\n%s\n  %s\n", title, strings.ReplaceAll(text, "\n", "\n  "))
		}
	}
	fmt.Fprintf(&b, "seed %d: %s", o.Seed, o.Verdict)
	if f := o.Failure; f != nil {
		fmt.Fprintf(&b, ": %s\n", f.Property)
		if m := meaning(f.Property); m != "" {
			fmt.Fprintf(&b, "%s\n", m)
		}
		section("What", f.Detail)
		section("Where", whereText(f))
	} else {
		b.WriteByte('\n')
	}
	repeat := o.repeat("")
	if watch := o.repeat("--trace"); watch != repeat {
		repeat += "\n" + watch
	}
	section("Repeat it", repeat)
	section("What came before it", strings.Join(o.Story, "\n"))
	section("Scenario", r.Scenario.String())
	section("The run", fmt.Sprintf("%d steps, %d deliveries in %s\n%d operations, %d acknowledged, %d of unknown outcome\n%d changes of leader, %d snapshots installed, %d losses of unsynced writes",
		o.Steps, o.Deliveries, nanosText(o.SimulatedNanos),
		o.Operations, o.Acknowledged, o.UnknownOps, o.LeaderChanges, o.SnapshotsInstalled, o.UnsyncedLost))
	made := "commit " + code.Commit
	if code.Overlay != "" {
		made += ", overlay " + code.Overlay
	}
	section("Made by", fmt.Sprintf("%s, %s, %s\ntrace hash %s", made, code.Go, code.Arch, hashText(o.TraceHash)))
	for i, name := range beside {
		beside[i] = fmt.Sprintf("%-13s %s", name, contents[name])
	}
	section("Beside this file", strings.Join(beside, "\n"))
	return b.String()
}

// WriteText writes the outcome of one run.
func (o *SingleOutcome) WriteText(w io.Writer, st Style) error {
	var b strings.Builder
	switch {
	case o.Failed() && o.Repro != nil:
		// The verdict comes last, where a screen ends.
		if len(o.Story) > 0 && !o.Watched {
			fmt.Fprintf(&b, "before it:\n  %s\n\n", strings.Join(o.Story, "\n  "))
		}
		o.headline(&b, st)
	case o.Failed():
		if err := o.Outcome.WriteText(&b, st); err != nil {
			return err
		}
	case o.Stopped:
		fmt.Fprintf(&b, "seed %d  %s so far\n", o.Seed, st.good(o.Verdict))
	default:
		fmt.Fprintf(&b, "seed %d  %s\n", o.Seed, st.good(o.Verdict))
	}
	fmt.Fprintf(&b, "  %s steps, %s deliveries in %s; %s operations, %s acknowledged\n",
		grouped(o.Steps), grouped(o.Deliveries), nanosText(o.SimulatedNanos), grouped(uint64(o.Operations)), grouped(uint64(o.Acknowledged)))
	if o.RecoveryBoundTicks > 0 {
		fmt.Fprintf(&b, "  recovered in %d of %d ticks\n", o.RecoveryTicks, o.RecoveryBoundTicks)
	}
	fmt.Fprintf(&b, "  trace hash %s\n", hashText(o.TraceHash))
	if o.Repro != nil && !o.Stopped {
		if o.Repeated() {
			fmt.Fprintf(&b, "  %s\n", st.good("repeats the recorded run exactly"))
		} else {
			fmt.Fprintf(&b, "  %s\n", st.warn("is not the recorded run, whose trace hash is "+o.Repro.TraceHash))
			if here, then := ThisCode(), o.Repro.Code; !here.exact(then) {
				fmt.Fprintf(&b, "  recorded by commit %s%s; this is commit %s%s\n", then.Commit, overlayText(then), here.Commit, overlayText(here))
			}
		}
	}
	if d := o.Result.Drift; d != nil {
		fmt.Fprintf(&b, "  drifts from its tape: %v\n", d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func overlayText(c Code) string {
	if c.Overlay == "" {
		return ""
	}
	return " with overlay " + c.Overlay
}

// ProgressText is one line about a campaign that is under way.
func (s *Summary) ProgressText(st Style) string {
	s.measure()
	text := grouped(s.Seeds)
	if s.Wanted > 0 {
		text += "/" + grouped(s.Wanted)
	}
	text += " seeds"
	if s.Failures > 0 {
		text += ", " + st.bad(fmt.Sprintf("%d failed", s.Failures))
	}
	text += fmt.Sprintf("  %s simulated, %sx real time  %s faults", spanText(s.SimulatedNanos), grouped(s.speed()), short(s.faults()))
	if s.For > 0 {
		text += fmt.Sprintf("  %s left", max(s.For-s.Real, 0).Round(time.Second))
	}
	return text
}

// speed is simulated time to real time.
func (s *Summary) speed() uint64 { return s.SimulatedNanos / max(uint64(s.Real), 1) }

func (s *Summary) faults() uint64 {
	var n uint64
	for _, f := range s.FaultHits {
		n += f
	}
	return n
}

// WriteText writes the summary: what is last on a screen of 24 lines when a
// campaign has ended.
func (s *Summary) WriteText(w io.Writer, st Style) error {
	var b strings.Builder
	how := st.good("all passed")
	switch {
	case s.Failures > 0:
		how = st.bad(fmt.Sprintf("%d failed", s.Failures))
	case s.Seeds == 0:
		how = st.warn("none finished")
	}
	if s.Interrupted {
		how += ", " + st.warn("interrupted")
	}
	focus := ""
	if s.Focus != "" {
		focus = ", focus " + s.Focus
	}
	fmt.Fprintf(&b, "%s from %d, %s%s: %s\n", counted(s.Seeds, "seed"), s.Base, counted(uint64(s.Jobs), "worker"), focus, how)

	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	var verdicts []string
	for _, v := range s.verdictsInOrder() {
		verdicts = append(verdicts, fmt.Sprintf("%s %s", v, grouped(s.Verdicts[v])))
	}
	row("verdicts", "%s", strings.Join(verdicts, ", "))
	row("simulated", "%s in %s on %s of CPU: %s times as fast as real", spanText(s.SimulatedNanos), spanText(uint64(s.Real)), spanText(uint64(s.CPU)), grouped(s.speed()))
	row("deliveries", "%s, in %s steps", grouped(s.Deliveries), grouped(s.Steps))
	row("operations", "%s; %s acknowledged, %s of unknown outcome", grouped(s.Operations), share(s.Acknowledged, s.Operations), share(s.UnknownOps, s.Operations))
	row("recovery", "median %d, 99%% within %d, longest %d ticks; nearest to its bound %d of %d",
		s.recovery.percentile(50), s.recovery.percentile(99), s.recovery.max, s.RecoveryNearest, s.RecoveryNearestBound)
	row("seeds with", "leader changed twice or more %s, snapshot installed %s, unsynced writes lost %s",
		share(s.LeaderChangedAgain, s.Seeds), share(s.SnapshotInstalled, s.Seeds), share(s.UnsyncedLost, s.Seeds))
	alike := ", the same run each time"
	if s.Twice == 0 || s.Verdicts[nondeterminism] > 0 {
		alike = ""
	}
	row("run twice", "%s%s", counted(s.Twice, "seed"), alike)
	row("trace hash", "%s", hashText(s.TraceHash()))

	row("faults", "%s", reachedText(sim.FaultNames[:], s.FaultHits[:], "hits"))
	row("marks", "%s", reachedText(sim.MarkNames[:], s.MarkHits[:], ""))
	if len(s.Failed) > 0 {
		b.WriteByte('\n')
		groups := Groups(s.Failed)
		b.WriteString(GroupsText(groups[:min(len(groups), groupsShown)], st))
		if n := len(groups) - groupsShown; n > 0 {
			fmt.Fprintf(&b, "and %s\n", counted(uint64(n), "more kind"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// groupsShown is how many kinds of failures a summary names, each with the command
// that repeats one, so that it stays within a screen of 24 lines. Each failure was
// told when it came.
const groupsShown = 4

// reachedText says how many of some counters are not zero, and names a few of
// those that are.
func reachedText(names []string, hits []uint64, unit string) string {
	const namedMax = 60 // characters
	total, reached := uint64(0), 0
	never, unnamed := "", 0
	for i, n := range hits {
		total += n
		switch {
		case n > 0:
			reached++
		case len(never)+len(names[i]) > namedMax:
			unnamed++
		default:
			never += ", " + names[i]
		}
	}
	text := fmt.Sprintf("%d of %d", reached, len(names))
	if unit != "" {
		text = fmt.Sprintf("%s %s, %s kinds", grouped(total), unit, text)
	}
	if never != "" {
		text += "; never " + never[2:]
	}
	if unnamed > 0 {
		text += fmt.Sprintf(" and %d more", unnamed)
	}
	return text
}

// WriteMarks writes how often each fault hit and each mark was reached, in two
// columns.
func (s *Summary) WriteMarks(w io.Writer, st Style) error {
	var b strings.Builder
	counts := func(title string, names []string, hits, seeds []uint64) {
		fmt.Fprintf(&b, "%s (hits, share of seeds)\n", title)
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = fmt.Sprintf("%-40s %7s %6s", name, short(hits[i]), share(seeds[i], s.Seeds))
			if hits[i] == 0 {
				cells[i] = st.warn(fmt.Sprintf("%-40s %7s %6s", name, "never", ""))
			}
		}
		// Down the left column first, then the right.
		half := (len(cells) + 1) / 2
		for i := range half {
			line := "  " + cells[i]
			if i+half < len(cells) {
				line += "   " + cells[i+half]
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		b.WriteByte('\n')
	}
	counts("faults", sim.FaultNames[:], s.FaultHits[:], s.FaultSeeds[:])
	counts("marks", sim.MarkNames[:], s.MarkHits[:], s.MarkSeeds[:])
	_, err := io.WriteString(w, b.String())
	return err
}

// counted is "1 seed" or "20,000 seeds".
func counted(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

// grouped is n with its digits in groups of three.
func grouped(n uint64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// short is n in at most seven characters.
func short(n uint64) string {
	switch {
	case n < 100_000:
		return grouped(n)
	case n < 10_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 10_000_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	}
	return fmt.Sprintf("%dG", n/1_000_000_000)
}

// share is n of total in percent, to a tenth, rounded down: 100% is all.
func share(n, total uint64) string {
	if total == 0 {
		return "-"
	}
	tenths := n * 1000 / total
	if n > 0 && tenths == 0 {
		return "<0.1%"
	}
	return fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
}

// spanText is a length of time in its largest useful unit.
func spanText(nanos uint64) string {
	d := time.Duration(min(nanos, 1<<63-1))
	switch {
	case d >= 100*time.Hour:
		return fmt.Sprintf("%s h", grouped(uint64(d/time.Hour)))
	case d >= time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
