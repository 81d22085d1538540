package bugbank

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// HuntOptions says how a hunt is done.
type HuntOptions struct {
	Base uint64
	// Seeds is the budget; 0 is the row's.
	Seeds uint64
	// Jobs is the number of workers; 0 is one per core.
	Jobs int
	// Focus makes every scenario have what the row needs.
	Focus bool
	// Dir is where the finds leave their folders.
	Dir string
	// CPU is after how much time of all cores a hunt gives up between two seeds;
	// 0 is no bound.
	CPU time.Duration
	// Limit bounds the time of one hunt, because a bug may well be one that never
	// comes to an end; 0 is no bound.
	Limit time.Duration
}

// Find is what came of a hunt.
type Find struct {
	Row  string `json:"row"`
	Base uint64 `json:"base"`
	// Found says whether a seed failed. Seeds is then how many it took, the
	// failing one included; otherwise how many were run. Unknown is how many of
	// them the checker gave up: it has seen nothing there, and the hunt goes on.
	Found      bool    `json:"found"`
	Seeds      uint64  `json:"seeds"`
	Unknown    uint64  `json:"unknown,omitempty"`
	Seed       uint64  `json:"seed,omitempty"`
	Check      Check   `json:"check"`
	Detail     string  `json:"detail,omitempty"`
	TraceHash  string  `json:"trace_hash,omitempty"`
	ExitCode   int     `json:"exit_code"`
	Folder     string  `json:"folder,omitempty"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Deliveries uint64  `json:"deliveries"`
}

// Hunt runs a program made by Build over seeds until one fails.
func (r *Row) Hunt(ctx context.Context, program string, o HuntOptions) (*Find, error) {
	if o.Seeds == 0 {
		o.Seeds = r.Seeds
	}
	if o.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Limit)
		defer cancel()
	}
	f := &Find{Row: r.Row, Base: o.Base}
	for piece := o.firstPiece(); ; piece = o.nextPiece(f, piece) {
		unknown := f.Unknown
		if err := r.huntPiece(ctx, program, &o, f, piece); err != nil {
			return nil, fmt.Errorf("%s: hunt from %d: %w", r.Row, o.Base, err)
		}
		cut := o.CPU > 0 && f.CPUSeconds < o.CPU.Seconds() || o.CPU == 0 && f.Unknown != unknown
		if f.Found || f.Seeds >= o.Seeds || !cut {
			return f, nil
		}
	}
}

// pieceSeeds is how many seeds the first piece of a hunt has that is bound by
// CPU time. How much that was is known when a program has ended, so such a hunt
// is done in pieces.
const pieceSeeds = 16

func (o *HuntOptions) firstPiece() uint64 {
	if o.CPU == 0 {
		return o.Seeds
	}
	return min(o.Seeds, pieceSeeds)
}

// nextPiece is about half of what there is time for, and not so many more than
// before that a few quick seeds could mislead it.
func (o *HuntOptions) nextPiece(f *Find, before uint64) uint64 {
	if o.CPU == 0 {
		return o.Seeds - f.Seeds
	}
	left := o.CPU.Seconds() - f.CPUSeconds
	per := f.CPUSeconds / float64(f.Seeds)
	n := 4 * before
	if per > 0 {
		n = min(n, uint64(left/per/2))
	}
	return min(max(n, pieceSeeds), o.Seeds-f.Seeds)
}

// huntPiece goes on with a hunt for some seeds.
func (r *Row) huntPiece(ctx context.Context, program string, o *HuntOptions, f *Find, seeds uint64) error {
	args := []string{
		"hunt", "--json", "--failures", "1", "--out", o.Dir,
		"--base", fmt.Sprint(o.Base + f.Seeds), "--seeds", fmt.Sprint(seeds), "--jobs", strconv.Itoa(o.Jobs),
	}
	if focus := r.focus(); o.Focus && focus != "" {
		args = append(args, "--focus", focus)
	}
	lines := &lastLines{}
	code, err := runProgram(ctx, program, args, lines)
	if err != nil {
		return err
	}
	s := lines.summary
	if s == nil || s.Seeds == 0 {
		return fmt.Errorf("it ended with exit code %d and no summary", code)
	}
	f.Seeds += s.Seeds
	f.CPUSeconds += s.CPUSeconds
	f.Deliveries += s.Deliveries
	f.ExitCode = code
	switch l := lines.failure; {
	case l == nil:
	case l.Verdict == sim.Unknown.String():
		f.Unknown++
	default:
		f.Found = true
		f.Seed, f.Detail, f.TraceHash, f.Folder = l.Seed, l.Detail, l.TraceHash, l.Folder
		f.Check = Check{l.Verdict, l.Property}
		if l.ExitCode != code {
			return fmt.Errorf("the failing seed %d says exit code %d, the hunt ended with %d", l.Seed, l.ExitCode, code)
		}
	}
	return nil
}

// Replay repeats a find from its folder, and complains unless the same run
// comes to the same end.
func (r *Row) Replay(ctx context.Context, program string, f *Find) error {
	if f.Folder == "" {
		return fmt.Errorf("%s: seed %d left no folder", r.Row, f.Seed)
	}
	lines := &lastLines{}
	code, err := runProgram(ctx, program, []string{"replay", "--json", f.Folder}, lines)
	if err != nil {
		return fmt.Errorf("%s: replay of %s: %w", r.Row, f.Folder, err)
	}
	l := lines.run
	switch {
	case l == nil:
		return fmt.Errorf("%s: replay of %s ended with exit code %d and no outcome", r.Row, f.Folder, code)
	case l.TraceHash != f.TraceHash:
		return fmt.Errorf("%s: replay of %s has trace hash %s, want %s", r.Row, f.Folder, l.TraceHash, f.TraceHash)
	case (Check{l.Verdict, l.Property}) != f.Check:
		return fmt.Errorf("%s: replay of %s: %s %s, want %s %s", r.Row, f.Folder, l.Verdict, l.Property, f.Check.Verdict, f.Check.Property)
	case code != f.ExitCode:
		return fmt.Errorf("%s: replay of %s ended with exit code %d, the hunt with %d", r.Row, f.Folder, code, f.ExitCode)
	}
	return nil
}

// runProgram runs a simrun and returns its exit code. An error means that it
// could not be run to an end of its own.
func runProgram(ctx context.Context, program string, args []string, lines *lastLines) (int, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	// What a bug makes of memory is its own; a limit keeps the machine alive.
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=1GiB")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	readErr := lines.read(out)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return 0, fmt.Errorf("stopped before its end: %w", context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	code := cmd.ProcessState.ExitCode()
	if readErr != nil {
		return code, fmt.Errorf("exit code %d: %w\n%s", code, readErr, tail(stderr.Bytes()))
	}
	if code == campaign.ExitUsage || code < 0 || lines.summary == nil && lines.run == nil {
		return code, fmt.Errorf("exit code %d\n%s", code, tail(stderr.Bytes()))
	}
	return code, nil
}

func tail(b []byte) []byte {
	const most = 4 << 10
	return b[max(len(b)-most, 0):]
}

// lastLines keeps of a stream of JSON lines what matters.
type lastLines struct {
	run, failure *campaign.SeedLine
	summary      *campaign.SummaryLine
}

func (l *lastLines) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if e := l.line(line); e != nil {
				// The program must not block on a full pipe.
				_, _ = io.Copy(io.Discard, in)
				return e
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (l *lastLines) line(text []byte) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("no JSON line: %q: %w", tail(text), err)
	}
	switch head.Type {
	case "run":
		l.run = &campaign.SeedLine{}
		if err := json.Unmarshal(text, l.run); err != nil {
			return err
		}
		if l.failure == nil && l.run.ExitCode != campaign.ExitPassed {
			l.failure = l.run
		}
	case "summary":
		l.summary = &campaign.SummaryLine{}
		return json.Unmarshal(text, l.summary)
	}
	return nil
}
