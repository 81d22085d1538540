// Package seaworthy_test holds what the house has agreed on, as tests: who may
// import whom, and what the deterministic packages may not do. Each complaint
// names the place and says what to write instead.
package seaworthy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seaworthy-raft/seaworthy"

// importTable says which room of the house may import which: in "a < b", b may
// import a and all that a may import. What is not written is not allowed. A
// new room gets its line in the change that makes it.
const importTable = `
core/digest < core/ids < core/quorum < core/progress < core/confchange < core < replica, wire
replica < replica/storagetest
core/digest < kv, internal/choice
internal/choice < vfs, netsim
vfs < vfs/osfs
wire, vfs < wal
kv < linearizability
replica, wire, wal, kv, netsim, linearizability < sim
sim < campaign < simtest, cmd/simrun
campaign < campaign/bugbank < cmd/bugbank
replica, wal, vfs/osfs < server
server, kv < kvserver < cmd/kvd
kv, wire < client < cmd/kvctl
client, linearizability < nemesis
`

// foreign says who may import which module from outside; a package of the
// standard library is everybody's, but see forbidden.
var foreign = map[string][]string{
	"github.com/google/btree":           {"kv"},
	"github.com/anishathalye/porcupine": {"linearizability"},
	"github.com/spf13/cobra":            {"cmd/simrun", "cmd/bugbank"},
	"golang.org/x/term":                 {"cmd/simrun"},
	"pgregory.net/rapid":                {"simtest"},
}

// kvForModels are the files of kv that linearizability may use names of: the
// models are written a second time, so that one mistake is not made in both.
var kvForModels = []string{"command.go", "reply.go"}

// deterministic are the packages in which one seed makes one run, each with
// all the packages below it, save the ones that notDeterministic names.
var deterministic = []string{"core", "replica", "kv", "wire", "wal", "vfs", "netsim", "sim", "internal/choice"}

var notDeterministic = []string{"vfs/osfs"}

// forbidden are the imports that let the machine into a run, each with what to
// do instead. A name stands for the packages below it too.
var forbidden = map[string]string{
	"time":         "count ticks, or take virtual nanoseconds as a uint64 argument",
	"net":          "hand the message to the driver; packets are netsim's or the server's",
	"os":           "take an io.Reader or io.Writer, or go through the storage interface",
	"sync":         "give the state one owner; whoever needs goroutines is a driver (campaign, server)",
	"math/rand":    "draw from a stream of internal/choice, so that the decision is on the tape",
	"crypto/rand":  "draw from a stream of internal/choice, so that the decision is on the tape",
	"hash/maphash": "use core/digest: its digests are alike in every process",
	"runtime":      "nothing in a run may depend on the machine; measure in campaign",
	"syscall":      "leave the operating system to the drivers",
	"unsafe":       "write it without: addresses differ between runs",
	"log":          "put it in the trace or return it as an error",
	"context":      "return when told so by a step or a tick; a driver may have a context",
	"math":         "compute with integers (math/bits is allowed)",
}

// exempt lifts one rule from one file, with the reason.
var exempt = map[[2]string]string{
	{"sim/run.go", "import runtime/debug"}: "the stack of a panic is shown to people and never compared",
}

// exemptBelow are forbidden's packages that are harmless all the same.
var exemptBelow = []string{"math/bits"}

// mapComment excuses a range over a map, on its line or the one above.
const mapComment = "// order does not show: "

func TestImportsPointOneWay(t *testing.T) {
	h := readHouse(t)
	for _, c := range checkImports(h.files, parseTable(importTable)) {
		t.Error(c)
	}
}

func TestCoreNeedsNothingButTheStandardLibrary(t *testing.T) {
	h := readHouse(t)
	for _, f := range h.files {
		if f.room != "core" && !strings.HasPrefix(f.room, "core/") {
			continue
		}
		for _, imp := range f.imports {
			if !isStd(imp.path) && !strings.HasPrefix(imp.path, module+"/core/") && imp.path != module+"/core" {
				t.Errorf("%s: core imports %s; it may import the standard library and its own parts only: hand the result in as an input", imp.at, imp.path)
			}
		}
	}
}

func TestDeterminismRules(t *testing.T) {
	h := readHouse(t)
	complaints, used, err := h.checkDeterminism()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range complaints {
		t.Error(c)
	}
	for key, why := range exempt {
		if _, err := os.Stat(filepath.FromSlash(key[0])); err == nil && !used[key] {
			t.Errorf("deps_test.go: %s is exempt from %q (%s), but does not need it: delete the line", key[0], key[1], why)
		}
	}
}

func TestModelsUseOnlyCommandsAndReplies(t *testing.T) {
	h := readHouse(t)
	allowed := map[string]bool{}
	found := false
	for _, f := range h.files {
		if f.room != "kv" {
			continue
		}
		found = true
		if slices.Contains(kvForModels, path.Base(f.name)) {
			for _, d := range f.syntax.Decls {
				for _, name := range declared(d) {
					allowed[name] = true
				}
			}
		}
	}
	if !found {
		t.Skip("there is no kv yet")
	}
	for _, f := range h.files {
		if f.room != "linearizability" {
			continue
		}
		for _, c := range checkKVNames(h.fset, f.syntax, allowed) {
			t.Error(c)
		}
	}
}

// checkKVNames complains of names of package kv that no file of kvForModels
// declares.
func checkKVNames(fset *token.FileSet, file *ast.File, allowed map[string]bool) []string {
	local := ""
	for _, imp := range file.Imports {
		if imp.Path.Value == strconv.Quote(module+"/kv") {
			local = "kv"
			if imp.Name != nil {
				local = imp.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil && !allowed[sel.Sel.Name] {
			out = append(out, fmt.Sprintf("%s: a model uses kv.%s; it may use the names of kv/%s only: write it a second time, naively",
				fset.Position(sel.Pos()), sel.Sel.Name, strings.Join(kvForModels, ", kv/")))
		}
		return true
	})
	return out
}

func declared(d ast.Decl) []string {
	var out []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			out = append(out, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				out = append(out, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					out = append(out, n.Name)
				}
			}
		}
	}
	return out
}

// house is every non-test file of the module, parsed.
type house struct {
	fset  *token.FileSet
	files []source
}

// source is one file: its name with slashes, relative to the module, and the
// room (directory) it stands in.
type source struct {
	name, room string
	syntax     *ast.File
	imports    []imported
}

type imported struct {
	path string
	at   string // file:line
}

func readHouse(t *testing.T) *house {
	t.Helper()
	h := &house{fset: token.NewFileSet()}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return h.add(filepath.ToSlash(name), string(text))
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) add(name, text string) error {
	syntax, err := parser.ParseFile(h.fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	f := source{name: name, room: path.Dir(name), syntax: syntax}
	for _, imp := range syntax.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		at := h.fset.Position(imp.Pos())
		f.imports = append(f.imports, imported{path: p, at: fmt.Sprintf("%s:%d", at.Filename, at.Line)})
	}
	h.files = append(h.files, f)
	return nil
}

// table is the import table, closed: for each room, all that it may import.
type table map[string]map[string]bool

// parseTable reads lines of the form "a, b < c < d, e".
func parseTable(text string) table {
	direct := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var below []string
		for _, step := range strings.Split(line, "<") {
			var here []string
			for _, room := range strings.Split(step, ",") {
				room = strings.TrimSpace(room)
				here = append(here, room)
				direct[room] = append(direct[room], below...)
			}
			below = here
		}
	}
	tab := table{}
	var close func(room string, into map[string]bool)
	close = func(room string, into map[string]bool) {
		for _, b := range direct[room] {
			if !into[b] {
				into[b] = true
				close(b, into)
			}
		}
	}
	for room := range direct {
		tab[room] = map[string]bool{}
		close(room, tab[room])
	}
	return tab
}

func isStd(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// checkImports complains of each import that the table does not allow.
func checkImports(files []source, tab table) []string {
	var out []string
	for _, f := range files {
		allowed, known := tab[f.room]
		if !known {
			out = append(out, fmt.Sprintf("%s: %s is a new room; give it its line in importTable (deps_test.go)", f.name, f.room))
			continue
		}
		for _, imp := range f.imports {
			if isStd(imp.path) {
				continue
			}
			if room, ours := strings.CutPrefix(imp.path, module+"/"); ours {
				if !allowed[room] {
					out = append(out, fmt.Sprintf("%s: %s imports %s; the table allows %s: move the code to where both may see it, or hand the value in",
						imp.at, f.room, room, orNothing(allowed)))
				}
				continue
			}
			owner := ""
			for m := range foreign {
				if imp.path == m || strings.HasPrefix(imp.path, m+"/") {
					owner = m
				}
			}
			switch {
			case owner == "":
				out = append(out, fmt.Sprintf("%s: %s imports %s, a module that nobody may use yet: use the standard library, or give it a line in foreign (deps_test.go)", imp.at, f.room, imp.path))
			case !slices.Contains(foreign[owner], f.room):
				out = append(out, fmt.Sprintf("%s: %s imports %s, which is for %s only: call that package instead", imp.at, f.room, owner, strings.Join(foreign[owner], ", ")))
			}
		}
	}
	return out
}

func orNothing(rooms map[string]bool) string {
	if len(rooms) == 0 {
		return "the standard library only"
	}
	var names []string
	for r := range rooms {
		names = append(names, r)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func isDeterministic(room string) bool {
	within := func(list []string) bool {
		return slices.ContainsFunc(list, func(r string) bool { return room == r || strings.HasPrefix(room, r+"/") })
	}
	return within(deterministic) && !within(notDeterministic)
}

// checkDeterminism goes through the deterministic packages with their types.
// It also says which exemptions it met.
func (h *house) checkDeterminism() (complaints []string, used map[[2]string]bool, err error) {
	used = map[[2]string]bool{}
	byRoom := map[string][]source{}
	var rooms []string
	for _, f := range h.files {
		if !isDeterministic(f.room) {
			continue
		}
		if byRoom[f.room] == nil {
			rooms = append(rooms, f.room)
		}
		byRoom[f.room] = append(byRoom[f.room], f)
	}
	if len(rooms) == 0 {
		return nil, used, errors.New("no deterministic package found: is this the root of the module?")
	}
	imp, err := exportImporter(h.fset, rooms)
	if err != nil {
		return nil, used, err
	}
	for _, room := range rooms {
		c, err := checkRoom(h.fset, imp, room, byRoom[room], used)
		if err != nil {
			return nil, used, err
		}
		complaints = append(complaints, c...)
	}
	return complaints, used, nil
}

// exportImporter imports from the compiler's export data, which the go command
// has in its cache.
func exportImporter(fset *token.FileSet, rooms []string) (types.Importer, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export"}
	for _, r := range rooms {
		args = append(args, "./"+r)
	}
	cmd := exec.Command("go", args...)
	var errText strings.Builder
	cmd.Stderr = &errText
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %v\n%s", err, errText.String())
	}
	exports := map[string]string{}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	for {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(p string) (io.ReadCloser, error) {
		name, ok := exports[p]
		if !ok {
			return nil, fmt.Errorf("no export data for %s", p)
		}
		return os.Open(name)
	}), nil
}

// checkRoom applies the rules to one package.
func checkRoom(fset *token.FileSet, imp types.Importer, room string, files []source, used map[[2]string]bool) ([]string, error) {
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Uses:  map[*ast.Ident]types.Object{},
		Defs:  map[*ast.Ident]types.Object{},
	}
	var syntax []*ast.File
	for _, f := range files {
		syntax = append(syntax, f.syntax)
	}
	conf := types.Config{Importer: imp}
	pkg, err := conf.Check(module+"/"+room, fset, syntax, info)
	if err != nil {
		return nil, fmt.Errorf("%s does not compile: %w", room, err)
	}
	var all []string
	for _, f := range files {
		r := rules{fset: fset, info: info, pkg: pkg, file: f, used: used}
		r.comments()
		r.importsOf()
		ast.Inspect(f.syntax, r.visit)
		all = append(all, r.out...)
	}
	return all, nil
}

// rules looks at one file.
type rules struct {
	fset    *token.FileSet
	info    *types.Info
	pkg     *types.Package
	file    source
	used    map[[2]string]bool
	excused map[int]bool // lines whose range over a map is excused
	floats  map[int]bool // lines already complained of
	out     []string
}

func (r *rules) complain(pos token.Pos, rule, what, instead string) {
	key := [2]string{r.file.name, rule}
	if _, ok := exempt[key]; ok {
		r.used[key] = true
		return
	}
	r.out = append(r.out, fmt.Sprintf("%s:%d: %s; instead: %s", r.file.name, r.fset.Position(pos).Line, what, instead))
}

// comments notes the lines that carry mapComment with a reason after it.
func (r *rules) comments() {
	r.excused, r.floats = map[int]bool{}, map[int]bool{}
	for _, g := range r.file.syntax.Comments {
		for _, c := range g.List {
			if why, ok := strings.CutPrefix(c.Text, mapComment); ok && strings.TrimSpace(why) != "" {
				// The comment may run over several lines; its last one counts.
				r.excused[r.fset.Position(c.Pos()).Line] = true
				r.excused[r.fset.Position(g.End()).Line] = true
			}
		}
	}
}

func (r *rules) importsOf() {
	for _, spec := range r.file.syntax.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		if slices.Contains(exemptBelow, p) {
			continue
		}
		for name := p; name != "."; name = path.Dir(name) {
			if instead, bad := forbidden[name]; bad {
				r.complain(spec.Pos(), "import "+p, fmt.Sprintf("%s imports %s", r.file.room, p), instead)
				break
			}
		}
		if p == "C" {
			r.complain(spec.Pos(), "import C", r.file.room+" uses cgo", "write it in Go")
		}
	}
}

func (r *rules) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		r.complain(n.Pos(), "go", "a goroutine starts here", "do it in the step that asks for it, or hand it to the driver and take its completion as an input")
	case *ast.SelectStmt:
		r.complain(n.Pos(), "select", "select picks at random between ready cases", "give events an order of their own")
	case *ast.RangeStmt:
		if tv, ok := r.info.Types[n.X]; ok && isMap(tv.Type) {
			line := r.fset.Position(n.Pos()).Line
			if !r.excused[line] && !r.excused[line-1] {
				r.complain(n.Pos(), "map", "range over a map, whose order differs between runs",
					"keep a slice, or sort the keys; where no order can show, say why in a comment `"+mapComment+"…`")
			}
		}
	case *ast.CallExpr:
		r.mapKeys(n)
	case *ast.AssignStmt:
		for _, lhs := range n.Lhs {
			r.assigned(lhs)
		}
	case *ast.IncDecStmt:
		r.assigned(n.X)
	case ast.Expr:
		r.float(n)
	}
	return true
}

// mapKeys finds the iterators of package maps, which range as a map does.
// Sorting them at once is the one good use.
func (r *rules) mapKeys(call *ast.CallExpr) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	obj, ok := r.info.Uses[sel.Sel].(*types.Func)
	if !ok || obj.Pkg() == nil {
		return
	}
	switch obj.Pkg().Path() + "." + obj.Name() {
	case "slices.Sorted", "slices.SortedFunc":
		for _, arg := range call.Args {
			if inner, ok := ast.Unparen(arg).(*ast.CallExpr); ok {
				line := r.fset.Position(inner.Pos()).Line
				r.excused[line] = true
			}
		}
	case "maps.All", "maps.Keys", "maps.Values":
		line := r.fset.Position(call.Pos()).Line
		if !r.excused[line] && !r.excused[line-1] {
			r.complain(call.Pos(), "map", "iterates over a map, whose order differs between runs", "slices.Sorted(maps.Keys(m))")
		}
	}
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// float finds values and types of floating point. One complaint a line is
// enough.
func (r *rules) float(e ast.Expr) {
	tv, ok := r.info.Types[e]
	if !ok || tv.Type == nil {
		return
	}
	b, ok := tv.Type.Underlying().(*types.Basic)
	if !ok || b.Info()&(types.IsFloat|types.IsComplex) == 0 {
		return
	}
	if b.Info()&types.IsUntyped != 0 && tv.Value != nil && constant.ToInt(tv.Value).Kind() == constant.Int {
		return // 2e9 as a way to write an integer
	}
	line := r.fset.Position(e.Pos()).Line
	if r.floats[line] {
		return
	}
	r.floats[line] = true
	r.complain(e.Pos(), "float", "floating point, which may round differently on another machine", "use integers: a fraction is a numerator and a denominator")
}

// assigned finds state that would be left over for the next run in the same
// process.
func (r *rules) assigned(lhs ast.Expr) {
	for {
		switch x := lhs.(type) {
		case *ast.ParenExpr:
			lhs = x.X
		case *ast.SelectorExpr:
			lhs = x.X
		case *ast.IndexExpr:
			lhs = x.X
		case *ast.StarExpr:
			lhs = x.X
		case *ast.Ident:
			if v, ok := r.info.Uses[x].(*types.Var); ok && v.Parent() == r.pkg.Scope() {
				if fn := r.enclosing(x.Pos()); fn != "init" {
					r.complain(x.Pos(), "global "+x.Name, "package variable "+x.Name+" changes while the program runs", "make it a field of what owns it: two runs in one process must not meet")
				}
			}
			return
		default:
			return
		}
	}
}

func (r *rules) enclosing(pos token.Pos) string {
	for _, d := range r.file.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Pos() <= pos && pos < fn.End() {
			return fn.Name.Name
		}
	}
	return ""
}

// TestRulesFire breaks each rule once: a rule that can not fail is none.
func TestRulesFire(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             string // part of the one complaint; "" means silence
	}{
		{"clock", "core/x.go", "import \"time\"\nvar _ = time.Second", "core imports time"},
		{"network", "replica/x.go", "import \"net/netip\"\nvar _ netip.Addr", "replica imports net/netip"},
		{"files", "sim/x.go", "import \"os\"\nvar _ = os.Args", "sim imports os"},
		{"locks", "kv/x.go", "import \"sync/atomic\"\nvar _ atomic.Bool", "kv imports sync/atomic"},
		{"global numbers", "netsim/x.go", "import \"math/rand/v2\"\nvar _ = rand.N[int]", "draw from a stream of internal/choice"},
		{"secret numbers", "wire/x.go", "import \"crypto/rand\"\nvar _ = rand.Reader", "wire imports crypto/rand"},
		{"machine", "core/log/x.go", "import \"runtime\"\nvar _ = runtime.GOOS", "imports runtime"},
		{"addresses", "core/x.go", "import \"unsafe\"\nvar _ unsafe.Pointer", "core imports unsafe"},
		{"bits are fine", "core/x.go", "import \"math/bits\"\nvar _ = bits.Len", ""},
		{"other rooms", "campaign/x.go", "import \"time\"\nvar _ = time.Second", ""},
		{"goroutine", "sim/x.go", "func f() { go f() }", "a goroutine starts here"},
		{"select", "sim/x.go", "func f(c chan int) { select { case <-c: default: } }", "select picks at random"},
		{"literal", "core/x.go", "func f() bool { return 3 > 2.5 }", "floating point"},
		{"integer written so", "core/x.go", "const nanos = 2e9\nvar _ uint64 = nanos", ""},
		{"variable of it", "core/x.go", "func f() { x := 2e9; _ = x }", "floating point"},
		{"type", "core/x.go", "type share struct { of float64 }", "floating point"},
		{"named type", "core/x.go", "func f(n int) { g(n) }; func g[F ~float32|~int](x F) {}; var _ = g[ratio]; type ratio = float32", "floating point"},
		{"map", "kv/x.go", "func f(m map[int]int) (s []int) { for k := range m { s = append(s, k) }; return }", "range over a map"},
		{"named map", "kv/x.go", "type set map[int]bool\nfunc f(m set) (s []int) { for k := range m { s = append(s, k) }; return }", "range over a map"},
		{"excused map", "kv/x.go", "func f(m map[int]int) (n int) {\n\t// order does not show: a sum has none\n\tfor _, v := range m { n += v }\n\treturn\n}", ""},
		{"excuse without a reason", "kv/x.go", "func f(m map[int]int) (n int) {\n\t// order does not show:\n\tfor _, v := range m { n += v }\n\treturn\n}", "range over a map"},
		{"keys", "kv/x.go", "import \"maps\"\nfunc f(m map[int]int) int { for k := range maps.Keys(m) { return k }; return 0 }", "iterates over a map"},
		{"sorted keys", "kv/x.go", "import (\n\"maps\"\n\"slices\"\n)\nfunc f(m map[int]int) []int { return slices.Sorted(maps.Keys(m)) }", ""},
		{"slice", "kv/x.go", "func f(s []int) (n int) { for _, v := range s { n += v }; return }", ""},
		{"left over", "sim/x.go", "var runs int\nfunc f() { runs++ }", "package variable runs changes"},
		{"left over in a map", "sim/x.go", "var seen = map[int]bool{}\nfunc f() { seen[1] = true }", "package variable seen changes"},
		{"tables are fine", "sim/x.go", "var table [4]int\nfunc init() { table[1] = 2 }", ""},
	}
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "source", nil) // keeps what it has read
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &house{fset: fset}
			if err := h.add(tt.file, "package x\n"+tt.text+"\n"); err != nil {
				t.Fatal(err)
			}
			var got []string
			if isDeterministic(h.files[0].room) {
				var err error
				got, err = checkRoom(fset, imp, h.files[0].room, h.files, map[[2]string]bool{})
				if err != nil {
					t.Fatal(err)
				}
			}
			text := strings.Join(got, "\n")
			if tt.want == "" && text != "" {
				t.Errorf("complains without cause: %s", text)
			}
			if tt.want != "" && (len(got) != 1 || !strings.Contains(text, tt.want)) {
				t.Errorf("complaints: %q\nwant one with %q", got, tt.want)
			}
			if tt.want != "" && !strings.Contains(text, tt.file+":") {
				t.Errorf("complaint does not name the place: %s", text)
			}
		})
	}
}

// TestImportTableFires asks the table for imports it must refuse.
func TestImportTableFires(t *testing.T) {
	tests := []struct {
		file, imports string
		want          string // part of the one complaint; "" means silence
	}{
		{"core/raft.go", module + "/core/quorum", ""},
		{"core/raft.go", module + "/replica", "core imports replica"},
		{"core/raft.go", "github.com/google/btree", "core imports github.com/google/btree, which is for kv only"},
		{"core/ids/ids.go", module + "/core", "core/ids imports core"},
		{"kv/machine.go", module + "/core/digest", ""},
		{"kv/machine.go", module + "/core", "kv imports core"},
		{"netsim/link.go", module + "/wire", "netsim imports wire"},
		{"sim/world.go", module + "/server", "sim imports server"},
		{"server/server.go", module + "/sim", "server imports sim"},
		{"sim/checker.go", "github.com/anishathalye/porcupine", "for linearizability only"},
		{"cmd/simrun/main.go", module + "/campaign", ""},
		{"campaign/pool.go", module + "/cmd/simrun", "campaign imports cmd/simrun"},
		{"simtest/seeds.go", "pgregory.net/rapid", ""},
		{"attic/x.go", "fmt", "attic is a new room"},
		{"wire/x.go", "example.com/fast", "a module that nobody may use yet"},
	}
	tab := parseTable(importTable)
	for _, tt := range tests {
		h := &house{fset: token.NewFileSet()}
		if err := h.add(tt.file, fmt.Sprintf("package x\n\nimport _ %q\n", tt.imports)); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(checkImports(h.files, tab), "\n")
		if (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s importing %s: %q, want %q", tt.file, tt.imports, text, tt.want)
		}
	}
}

// TestModelNamesFire asks for the machine from a model.
func TestModelNamesFire(t *testing.T) {
	h := &house{fset: token.NewFileSet()}
	text := "package linearizability\nimport \"" + module + "/kv\"\nvar _ kv.Command\nvar _ = kv.NewMachine\n"
	if err := h.add("linearizability/model.go", text); err != nil {
		t.Fatal(err)
	}
	got := checkKVNames(h.fset, h.files[0].syntax, map[string]bool{"Command": true})
	if len(got) != 1 || !strings.Contains(got[0], "kv.NewMachine") {
		t.Errorf("complaints: %q, want one about kv.NewMachine", got)
	}
}
