package bugbank

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Patch is a unified diff, as `git diff` or `diff -u` writes it. It changes
// files that exist; it makes, renames and deletes none. Text before the first
// file is a comment.
type Patch struct {
	Files []FilePatch
}

// FilePatch changes one file.
type FilePatch struct {
	// Name is the file, with slashes, relative to the root of the module.
	Name  string
	hunks []hunk
}

// hunk replaces the lines before by the lines after, each with its newline if
// it has one.
type hunk struct {
	start         int // line of before's first in the old file, from 1
	before, after []string
	at            int // line of the patch, for complaints
}

// errPatch is the error, wrapped with what is wrong, for text that is no patch
// of the kind wanted.
var errPatch = errors.New("not a patch that can be used")

// ParsePatch reads a patch.
func ParsePatch(text []byte) (*Patch, error) {
	p := &parser{lines: splitLines(text)}
	for !p.done() {
		if !strings.HasPrefix(p.peek(), "--- ") || p.at+1 >= len(p.lines) || !strings.HasPrefix(p.lines[p.at+1], "+++ ") {
			p.at++
			continue
		}
		if err := p.file(); err != nil {
			return nil, fmt.Errorf("%w: line %d: %v", errPatch, p.at+1, err)
		}
	}
	if len(p.files) == 0 {
		return nil, fmt.Errorf("%w: it names no file", errPatch)
	}
	return &Patch{Files: p.files}, nil
}

// splitLines keeps each line's newline, so that a missing last one is seen.
func splitLines(text []byte) []string {
	var lines []string
	for line := range bytes.Lines(text) {
		lines = append(lines, string(line))
	}
	return lines
}

type parser struct {
	lines []string
	at    int
	files []FilePatch
}

func (p *parser) done() bool   { return p.at >= len(p.lines) }
func (p *parser) peek() string { return p.lines[p.at] }

func (p *parser) file() error {
	before, err := fileName(p.lines[p.at], "--- ", "a/")
	if err != nil {
		return err
	}
	after, err := fileName(p.lines[p.at+1], "+++ ", "b/")
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("it turns %s into %s; it must change one file in place", before, after)
	}
	p.at += 2
	f := FilePatch{Name: before}
	for !p.done() && strings.HasPrefix(p.peek(), "@@ ") {
		h, err := p.hunk()
		if err != nil {
			return err
		}
		f.hunks = append(f.hunks, h)
	}
	if len(f.hunks) == 0 {
		return fmt.Errorf("%s has no hunk", f.Name)
	}
	for _, other := range p.files {
		if other.Name == f.Name {
			return fmt.Errorf("%s stands here twice", f.Name)
		}
	}
	p.files = append(p.files, f)
	return nil
}

func fileName(line, mark, side string) (string, error) {
	name := strings.TrimPrefix(line, mark)
	name, _, _ = strings.Cut(name, "\t") // diff puts a date there
	name = strings.TrimPrefix(strings.TrimSpace(name), side)
	switch {
	case name == "/dev/null" || name == "dev/null":
		return "", errors.New("it makes or deletes a file; a bug is a change in one that exists")
	case name == "" || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../"):
		return "", fmt.Errorf("%q is no file of the module", name)
	}
	return name, nil
}

func (p *parser) hunk() (hunk, error) {
	h := hunk{at: p.at + 1}
	var beforeWant, afterWant int
	var err error
	if h.start, beforeWant, afterWant, err = hunkHead(p.peek()); err != nil {
		return h, err
	}
	p.at++
	changed := false
	var last []*[]string // where the last line went
	for len(h.before) < beforeWant || len(h.after) < afterWant {
		if p.done() {
			return h, errors.New("the hunk ends early")
		}
		line := p.peek()
		mark, text := line[0], line[1:]
		switch mark {
		case ' ':
			h.before, h.after = append(h.before, text), append(h.after, text)
			last = []*[]string{&h.before, &h.after}
		case '\n': // an editor took the blank of an empty context line
			h.before, h.after = append(h.before, line), append(h.after, line)
			last = []*[]string{&h.before, &h.after}
		case '-':
			h.before, changed = append(h.before, text), true
			last = []*[]string{&h.before}
		case '+':
			h.after, changed = append(h.after, text), true
			last = []*[]string{&h.after}
		case '\\':
			cutNewline(last)
		default:
			return h, fmt.Errorf("the hunk has a line that begins with %q", mark)
		}
		p.at++
	}
	if !p.done() && p.peek()[0] == '\\' {
		cutNewline(last)
		p.at++
	}
	switch {
	case len(h.before) != beforeWant || len(h.after) != afterWant:
		return h, errors.New("the hunk has other lines than its head counts")
	case !changed:
		return h, errors.New("the hunk changes nothing")
	case len(h.before) == 0:
		return h, errors.New("the hunk has no context, so nothing says where it belongs")
	}
	return h, nil
}

// cutNewline obeys "\ No newline at end of file".
func cutNewline(last []*[]string) {
	for _, l := range last {
		if n := len(*l); n > 0 {
			(*l)[n-1] = strings.TrimSuffix((*l)[n-1], "\n")
		}
	}
}

// hunkHead reads "@@ -12,7 +12,8 @@ func f()". A count that is left out is 1.
func hunkHead(line string) (start, before, after int, err error) {
	bad := fmt.Errorf("%q is no head of a hunk", strings.TrimSpace(line))
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[0] != "@@" || fields[3] != "@@" {
		return 0, 0, 0, bad
	}
	side := func(s, sign string) (start, count int, ok bool) {
		s, ok = strings.CutPrefix(s, sign)
		if !ok {
			return 0, 0, false
		}
		a, b, two := strings.Cut(s, ",")
		if !two {
			b = "1"
		}
		start, err1 := strconv.Atoi(a)
		count, err2 := strconv.Atoi(b)
		return start, count, err1 == nil && err2 == nil && start >= 0 && count >= 0
	}
	start, before, ok1 := side(fields[1], "-")
	_, after, ok2 := side(fields[2], "+")
	if !ok1 || !ok2 {
		return 0, 0, 0, bad
	}
	return start, before, after, nil
}

// Apply returns text with the patch in it. Every line that the patch expects
// must be there exactly. Its line numbers may be off, as they are after a
// change elsewhere in the file, but then there must be only one place where
// the lines stand.
func (f *FilePatch) Apply(text []byte) ([]byte, error) {
	old := splitLines(text)
	var out []string
	next := 0 // first line of old not yet in out
	for _, h := range f.hunks {
		// A patch's own earlier hunks do not move the numbers of the old file.
		at, err := h.find(old, next)
		if err != nil {
			return nil, fmt.Errorf("%s: hunk at line %d of the patch: %w", f.Name, h.at, err)
		}
		out = append(out, old[next:at]...)
		out = append(out, h.after...)
		next = at + len(h.before)
	}
	out = append(out, old[next:]...)
	return []byte(strings.Join(out, "")), nil
}

// find is the position in old, at least from, where the hunk belongs.
func (h *hunk) find(old []string, from int) (int, error) {
	if at := h.start - 1; at >= from && h.matches(old, at) {
		return at, nil
	}
	found := -1
	for at := 0; at+len(h.before) <= len(old); at++ {
		if !h.matches(old, at) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("its lines are not at line %d but stand at lines %d and %d: give it more context", h.start, found+1, at+1)
		}
		found = at
	}
	switch {
	case found < 0:
		return 0, fmt.Errorf("the file has changed: %s; make the patch again", h.nearest(old))
	case found < from:
		return 0, fmt.Errorf("its lines stand at line %d, before the end of the hunk above", found+1)
	}
	return found, nil
}

func (h *hunk) matches(old []string, at int) bool {
	if at < 0 || at+len(h.before) > len(old) {
		return false
	}
	for i, line := range h.before {
		if old[at+i] != line {
			return false
		}
	}
	return true
}

// nearest says what the best place lacks.
func (h *hunk) nearest(old []string) string {
	best, bestAt := -1, 0
	for at := range old {
		n := 0
		for n < len(h.before) && at+n < len(old) && old[at+n] == h.before[n] {
			n++
		}
		if n > best {
			best, bestAt = n, at
		}
	}
	if best <= 0 {
		return fmt.Sprintf("no line is %q", strings.TrimSuffix(h.before[0], "\n"))
	}
	got := "the end of the file"
	if bestAt+best < len(old) {
		got = strconv.Quote(strings.TrimSuffix(old[bestAt+best], "\n"))
	}
	return fmt.Sprintf("line %d should be %q and is %s", bestAt+best+1, strings.TrimSuffix(h.before[best], "\n"), got)
}
