package core_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
)

var update = flag.Bool("update", false, "write what the scripts in testdata put out into them")

// TestScripts runs the scripts of testdata, each with a cluster of its own.
// Their language is described in testdata/README.md.
func TestScripts(t *testing.T) {
	n := 0
	err := filepath.WalkDir("testdata", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".txt" {
			return err
		}
		n++
		short := strings.TrimSuffix(filepath.ToSlash(name), ".txt")
		t.Run(strings.TrimPrefix(short, "testdata/"), func(t *testing.T) { runScript(t, name) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatal("no scripts")
	}
}

// TestScriptsKeepTheirForm: what is not output is written back as it was.
func TestScriptsKeepTheirForm(t *testing.T) {
	const text = "# prose\ncluster 3\n\ncheck\n----\n1 2 3: as recorded\n\n\n# the end\n"
	if got := formatScript(parseScript(text)); got != text {
		t.Fatalf("%q has become %q", text, got)
	}
	b := parseScript(text)[1]
	if out, _, err := b.run(&scriptCluster{}); err == nil || len(out) > 0 || b.line != 4 {
		t.Fatalf("%v, %v in line %d: there is no cluster", out, err, b.line)
	}
}

// runScript goes through the blocks of a script. Of those whose output is not
// the recorded one it shows the first, and goes on all the same: what is unsafe
// may show only later.
func runScript(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := parseScript(string(text))
	c := &scriptCluster{}
	failed := false
	for i := range blocks {
		b := &blocks[i]
		got, line, err := b.run(c)
		for _, complaint := range c.complaints {
			t.Errorf("%s:%d: %s", name, b.line, complaint)
		}
		c.complaints = nil
		if err != nil {
			t.Fatalf("%s:%d: %s: %v\nUntil then:\n%s", name, b.line+line, b.input[line], err, strings.Join(got, "\n"))
		}
		if *update {
			b.output = got
		} else if !failed && !slices.Equal(got, b.output) {
			failed = true
			t.Errorf("%s:%d: this is not what was recorded (- recorded, + now):\n%s\nIf each line of it is right: go test ./core -run '%s' -update",
				name, b.line, difference(b.output, got), t.Name())
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(name, []byte(formatScript(blocks)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// block is some lines of prose and commands, what they put out, and the empty
// lines after that.
type block struct {
	line   int // of the first line of input, from 1 on
	input  []string
	output []string
	empty  int
}

const separator = "----"

func parseScript(text string) []block {
	var blocks []block
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); {
		b := block{line: i + 1}
		for ; i < len(lines) && lines[i] != "" && lines[i] != separator; i++ {
			b.input = append(b.input, lines[i])
		}
		if i < len(lines) && lines[i] == separator {
			for i++; i < len(lines) && lines[i] != ""; i++ {
				b.output = append(b.output, lines[i])
			}
		}
		for ; i < len(lines) && lines[i] == ""; i++ {
			b.empty++
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func formatScript(blocks []block) string {
	var w strings.Builder
	for _, b := range blocks {
		for _, line := range b.input {
			w.WriteString(line + "\n")
		}
		if len(b.output) > 0 {
			w.WriteString(separator + "\n")
		}
		for _, line := range b.output {
			w.WriteString(line + "\n")
		}
		w.WriteString(strings.Repeat("\n", b.empty))
	}
	return w.String()
}

// run does what the block says. After an error, line is which of its lines it
// was, and output is what there was until then.
func (b *block) run(c *scriptCluster) (output []string, line int, err error) {
	defer func() {
		output = c.output
		c.output = nil
		switch failed := recover().(type) {
		case nil:
		case scriptError:
			err = failed
		default:
			panic(fmt.Sprintf("%v\nin line %d: %s\n%s", failed, b.line+line, b.input[line], strings.Join(output, "\n")))
		}
	}()
	for i, text := range b.input {
		line = i
		if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
			c.runCommand(strings.Fields(text))
		}
	}
	return nil, 0, nil
}

// difference is the two with what they have in common at both ends shown only
// in part.
func difference(recorded, now []string) string {
	head := 0
	for head < len(recorded) && head < len(now) && recorded[head] == now[head] {
		head++
	}
	tail := 0
	for tail < min(len(recorded), len(now))-head && recorded[len(recorded)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	var w strings.Builder
	lines := func(mark string, lines []string) {
		for _, line := range lines {
			w.WriteString(mark + line + "\n")
		}
	}
	const around = 3
	lines("  ", recorded[max(0, head-around):head])
	lines("- ", recorded[head:len(recorded)-tail])
	lines("+ ", now[head:len(now)-tail])
	lines("  ", now[len(now)-tail:][:min(around, tail)])
	return w.String()
}

// scriptError is what is wrong with a script, or with what it shows.
type scriptError string

func (e scriptError) Error() string { return string(e) }

func fail(format string, args ...any) { panic(scriptError(fmt.Sprintf(format, args...))) }

// arguments are those of one command: words, and options of the form
// key=value. Whoever asks for one takes it; at the end none may be left.
type arguments struct {
	command string
	words   []string
	options [][2]string
}

func (a *arguments) word(what string) string {
	if len(a.words) == 0 {
		fail("%s of what? %s is missing", a.command, what)
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
}

// flag says whether the word is there.
func (a *arguments) flag(word string) bool {
	i := slices.Index(a.words, word)
	if i >= 0 {
		a.words = slices.Delete(a.words, i, i+1)
	}
	return i >= 0
}

func (a *arguments) option(key string) (value string, ok bool) {
	i := slices.IndexFunc(a.options, func(o [2]string) bool { return o[0] == key })
	if i < 0 {
		return "", false
	}
	value = a.options[i][1]
	a.options = slices.Delete(a.options, i, i+1)
	return value, true
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		fail("%q is not a number", s)
	}
	return n
}

// entryID reads index@term, as entries are printed.
func entryID(s string) core.EntryID {
	index, term, ok := strings.Cut(s, "@")
	if !ok {
		fail("%q is not index@term", s)
	}
	return core.EntryID{Term: core.Term(number(term)), Index: core.Index(number(index))}
}

func (a *arguments) number(key string, otherwise uint64) uint64 {
	if v, ok := a.option(key); ok {
		return number(v)
	}
	return otherwise
}

// id is the next word as a replica.
func (a *arguments) id() core.ReplicaID { return core.ReplicaID(number(a.word("replica"))) }

// count is the next word as a number, if there is one.
func (a *arguments) count(otherwise int) int {
	if len(a.words) == 0 {
		return otherwise
	}
	return int(number(a.word("number")))
}

func idList(s string) (ids []core.ReplicaID) {
	for _, v := range strings.Split(s, ",") {
		ids = append(ids, core.ReplicaID(number(v)))
	}
	return ids
}

// ids are the replicas that the remaining words name; without words, all.
func (a *arguments) ids(c *scriptCluster) (ids []core.ReplicaID) {
	if len(a.words) == 0 {
		return c.running()
	}
	for len(a.words) > 0 {
		ids = append(ids, idList(a.word("replica"))...)
	}
	return ids
}

func (a *arguments) label() string {
	if v, ok := a.option("as"); ok {
		return v
	}
	return a.command
}

// filter chooses among messages: from=, to=, kind=, and no more than n=.
type filter struct {
	from, to []core.ReplicaID
	kinds    []string
	n        int
}

func (a *arguments) filter() filter {
	f := filter{n: -1}
	if v, ok := a.option("from"); ok {
		f.from = idList(v)
	}
	if v, ok := a.option("to"); ok {
		f.to = idList(v)
	}
	if v, ok := a.option("kind"); ok {
		f.kinds = strings.Split(v, ",")
		for _, k := range f.kinds {
			if !slices.Contains(messageNames(), k) {
				fail("there is no message %q", k)
			}
		}
	}
	if v, ok := a.option("n"); ok {
		f.n = int(number(v))
	}
	return f
}

// messageNames are what messages may be called.
func messageNames() []string {
	var names []string
	for kind := core.KindRequestVote; kind <= core.KindTimeoutNow; kind++ {
		names = append(names, kind.String())
	}
	return append(names, "PreVote", "PreVoteResponse")
}

func (f *filter) matches(m *core.Message) bool {
	return (f.from == nil || slices.Contains(f.from, m.From)) && (f.to == nil || slices.Contains(f.to, m.To)) &&
		(f.kinds == nil || slices.Contains(f.kinds, m.Name()))
}

// take splits what the filter chooses from the rest.
func (f filter) take(messages []core.Message) (taken, rest []core.Message) {
	for i := range messages {
		if f.n != 0 && f.matches(&messages[i]) {
			taken = append(taken, messages[i])
			f.n--
		} else {
			rest = append(rest, messages[i])
		}
	}
	return taken, rest
}

func (c *scriptCluster) runCommand(words []string) {
	c.mode = showAll
	switch words[0] {
	case "quietly":
		c.mode, words = showNothing, words[1:]
	case "briefly":
		c.mode, words = showState, words[1:]
	}
	if len(words) == 0 {
		fail("there is no command")
	}
	a := &arguments{command: words[0]}
	for _, w := range words[1:] {
		if key, value, ok := strings.Cut(w, "="); ok {
			a.options = append(a.options, [2]string{key, value})
		} else {
			a.words = append(a.words, w)
		}
	}
	command, known := commands[a.command]
	if !known {
		fail("there is no command %q", a.command)
	}
	if a.command != "cluster" && c.replicas == nil {
		fail("the first command has to be cluster")
	}
	command(c, a)
	if len(a.words) > 0 || len(a.options) > 0 {
		fail("%s does not know what to do with %v %v", a.command, a.words, a.options)
	}
}

var commands = map[string]func(c *scriptCluster, a *arguments){
	"cluster": func(c *scriptCluster, a *arguments) { c.found(a) },
	"watch": func(c *scriptCluster, a *arguments) {
		c.watch = nil
		if len(a.words) > 0 {
			c.watch = a.ids(c)
		}
	},
	"join": func(c *scriptCluster, a *arguments) {
		for _, id := range a.ids(c) {
			c.add(id, core.Configuration{})
		}
	},
	"jitter":  func(c *scriptCluster, a *arguments) { c.replica(a.id()).jitter = uint32(a.count(0)) },
	"restart": func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).restart) },
	"crash": func(c *scriptCluster, a *arguments) {
		keep := -1
		if v, ok := a.option("keep"); ok {
			keep = int(number(v))
		}
		eachID(c, a, func(c *scriptCluster, id core.ReplicaID) { c.crash(id, keep) })
	},

	"tick": func(c *scriptCluster, a *arguments) {
		ids := c.running()
		if len(a.words) == 2 {
			ids = idList(a.word("replica"))
		}
		n := a.count(1)
		for _, id := range ids {
			c.tick(id, n)
		}
	},
	"run": func(c *scriptCluster, a *arguments) {
		for range a.count(1) {
			for _, id := range c.running() {
				c.tick(id, 1)
			}
			c.deliverAll()
		}
	},
	"elect": func(c *scriptCluster, a *arguments) { c.elect(a.id()) },

	"deliver": func(c *scriptCluster, a *arguments) {
		backwards := a.flag("backwards")
		taken, rest := a.filter().take(c.flight)
		c.flight = rest
		if backwards {
			slices.Reverse(taken)
		}
		for i := range taken {
			c.receive(&taken[i])
		}
	},
	"stabilize": func(c *scriptCluster, a *arguments) { c.deliverAll() },
	"drop":      func(c *scriptCluster, a *arguments) { _, c.flight = a.filter().take(c.flight) },
	"duplicate": func(c *scriptCluster, a *arguments) {
		taken, _ := a.filter().take(c.flight)
		c.flight = append(c.flight, taken...)
	},
	"hold": func(c *scriptCluster, a *arguments) {
		taken, rest := a.filter().take(c.flight)
		c.late, c.flight = append(c.late, taken...), rest
	},
	"release": func(c *scriptCluster, a *arguments) {
		taken, rest := a.filter().take(c.late)
		c.late, c.flight = rest, append(c.flight, taken...)
	},
	"flight": func(c *scriptCluster, a *arguments) {
		for i := range c.flight {
			c.print("%d->%d %s", c.flight[i].From, c.flight[i].To, &c.flight[i])
		}
		for i := range c.late {
			c.print("held back: %d->%d %s", c.late[i].From, c.late[i].To, &c.late[i])
		}
	},
	"cut": func(c *scriptCluster, a *arguments) { c.cut(a.filter()) },
	"partition": func(c *scriptCluster, a *arguments) {
		// Each word is one side; who is in none is with all others that are in none.
		c.cuts = nil
		for len(a.words) > 0 {
			side := idList(a.word("side"))
			var others []core.ReplicaID
			for _, h := range c.replicas {
				if !slices.Contains(side, h.id) {
					others = append(others, h.id)
				}
			}
			c.cut(filter{from: side, to: others, n: -1})
			c.cut(filter{from: others, to: side, n: -1})
		}
	},
	"heal": func(c *scriptCluster, a *arguments) { c.cuts = nil },

	"propose": func(c *scriptCluster, a *arguments) {
		id, size := a.id(), int(a.number("size", 0))
		in := core.Input{Kind: core.InputPropose}
		for len(a.words) > 0 {
			data := a.word("data")
			data += strings.Repeat(".", max(0, size-len(data)))
			in.Proposals = append(in.Proposals, core.Proposal{Tag: c.tag(data), Data: []byte(data)})
		}
		c.do(id, in, fmt.Sprintf("%d is proposed to", id))
	},
	"read": func(c *scriptCluster, a *arguments) {
		id := a.id()
		in := core.Input{Kind: core.InputRead, Tag: c.tag(a.label()), Lease: a.flag("lease"),
			LeaseDriftPPM: uint32(a.number("drift", 0))}
		c.reads = append(c.reads, scriptRead{tag: in.Tag, least: core.Index(len(c.committed)), maybeStale: a.flag("maybe-stale")})
		c.do(id, in, fmt.Sprintf("%d is to read", id))
	},
	"change": func(c *scriptCluster, a *arguments) {
		id := a.id()
		in := core.Input{Kind: core.InputChange, Tag: c.tag(a.label())}
		if v, ok := a.option("if"); ok {
			in.Change.If, in.Change.IfSet = entryID(v), true
		}
		address, _ := a.option("address")
		priority := uint8(a.number("priority", 0))
		for _, o := range a.options {
			kind := confchange.AddLearner
			for kind.String() != o[0] {
				if kind++; kind > confchange.Update {
					fail("there is no operation %q", o[0])
				}
			}
			for _, member := range idList(o[1]) {
				op := core.Operation{Kind: kind, ID: member}
				if kind == confchange.AddLearner || kind == confchange.AddVoter || kind == confchange.Update {
					op.Address, op.Priority = address, priority
				}
				in.Change.Operations = append(in.Change.Operations, op)
			}
		}
		a.options = nil
		c.do(id, in, fmt.Sprintf("%d is to change members", id))
	},
	"transfer": func(c *scriptCluster, a *arguments) {
		id := a.id()
		c.do(id, core.Input{Kind: core.InputTransfer, Tag: c.tag(a.label()), Target: core.ReplicaID(a.count(0))},
			fmt.Sprintf("%d is to hand over", id))
	},
	"campaign": func(c *scriptCluster, a *arguments) {
		id := a.id()
		c.do(id, core.Input{Kind: core.InputCampaign, Tag: c.tag(a.label())}, fmt.Sprintf("%d is to stand", id))
	},
	"resign": func(c *scriptCluster, a *arguments) {
		id := a.id()
		c.do(id, core.Input{Kind: core.InputResign, Tag: c.tag(a.label())}, fmt.Sprintf("%d is to resign", id))
	},

	"stall": func(c *scriptCluster, a *arguments) { stall(c, a, true) },
	"free":  func(c *scriptCluster, a *arguments) { stall(c, a, false) },
	"persist": func(c *scriptCluster, a *arguments) {
		h := c.replica(a.id())
		for n := a.count(len(h.writes)); n > 0 && len(h.writes) > 0; n-- {
			c.header = fmt.Sprintf("%d has written to its disk", h.id)
			c.persist(h)
			c.settle(h)
		}
	},
	"apply": func(c *scriptCluster, a *arguments) {
		h := c.replica(a.id())
		for n := a.count(1); n > 0 && len(h.pages) > 0; n-- {
			c.header = fmt.Sprintf("%d has applied a page", h.id)
			c.apply(h)
			c.settle(h)
		}
	},
	"snapshot": func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).takeSnapshot) },

	"status":        func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showStatus) },
	"log":           func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showLog) },
	"configuration": func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showConfiguration) },
	"progress":      func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showProgress) },
	"machine":       func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showMachine) },
	"disk":          func(c *scriptCluster, a *arguments) { eachID(c, a, (*scriptCluster).showDisk) },
	"check":         func(c *scriptCluster, a *arguments) { c.check() },
}

func eachID(c *scriptCluster, a *arguments, f func(*scriptCluster, core.ReplicaID)) {
	for _, id := range a.ids(c) {
		f(c, id)
	}
}

// stall has the disk or the state machine of a replica wait for the script, or
// not any longer.
func stall(c *scriptCluster, a *arguments, on bool) {
	what := a.word("disk or machine")
	for _, id := range a.ids(c) {
		h := c.replica(id)
		c.header = fmt.Sprintf("%d has its %s back", id, what)
		switch what {
		case "disk":
			h.diskStalled = on
		case "machine":
			h.machineStalled = on
		default:
			fail("%s what? disk or machine", a.command)
		}
		c.settle(h)
	}
}
