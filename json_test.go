package seaworthy_test

import (
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/campaign/bugbank"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// jsonRoots are all objects that are written for others to read. What is not
// exported keeps to the same by its own tests.
var jsonRoots = []any{
	sim.Scenario{}, campaign.Repro{},
	campaign.ScenarioLine{}, campaign.SeedLine{}, campaign.SummaryLine{},
	campaign.ConnectivitySummary{}, campaign.LeaseSummary{}, campaign.LeaseLine{},
	bugbank.Find{}, bugbank.Row{},
}

var (
	snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	// perUnit is a rate at the end of a name: its two units belong together.
	perUnit = regexp.MustCompile(`_?[a-z]+_per_(second|byte|10000)$`)

	// Each kind of quantity has one unit, spelled one way; jsonNoUnit are other
	// spellings.
	jsonUnits  = []string{"nanos", "ticks", "seconds", "bytes", "percent", "ppm"}
	jsonNoUnit = []string{"ns", "ms", "millis", "sec", "secs", "pct", "kb", "mb"}
)

// TestJSONNames: every field that is written has a name in snake_case with its
// unit last, and stands in docs/json.md. So a field of a new kind can not bring
// another convention.
func TestJSONNames(t *testing.T) {
	page, err := os.ReadFile("docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	for _, root := range jsonRoots {
		for _, complaint := range jsonComplaints(reflect.TypeOf(root), string(page), seen) {
			t.Error(complaint)
		}
	}
}

func jsonComplaints(typ reflect.Type, page string, seen map[reflect.Type]bool) (out []string) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Array || typ.Kind() == reflect.Map {
		if marshals(typ) {
			return nil
		}
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] || marshals(typ) {
		return nil
	}
	seen[typ] = true
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		complain := func(what string) { out = append(out, typ.String()+"."+f.Name+": "+what) }
		switch {
		case name == "-":
			continue
		case name == "" && f.Anonymous:
		case name == "":
			complain("it has no name in JSON: give it a tag in snake_case, or \"-\"")
		case !snakeCase.MatchString(name):
			complain("its name " + name + " is not in snake_case")
		case !unitLast(name):
			complain("its name " + name + " does not end with its unit (one of " + strings.Join(jsonUnits, ", ") + "), and after it only min or max")
		case !strings.Contains(page, "`"+name+"`"):
			complain("its name " + name + " is not in docs/json.md: say there what it means")
		}
		out = append(out, jsonComplaints(f.Type, page, seen)...)
	}
	return out
}

// marshals says whether a type writes itself.
func marshals(typ reflect.Type) bool {
	for _, m := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if typ.Implements(m) || reflect.PointerTo(typ).Implements(m) {
			return true
		}
	}
	return false
}

// unitLast says whether the words of a name that are units stand at its end.
func unitLast(name string) bool {
	words := strings.Split(perUnit.ReplaceAllString(name, ""), "_")
	if last := words[len(words)-1]; len(words) > 1 && (last == "min" || last == "max") {
		words = words[:len(words)-1]
	}
	for i, w := range words {
		if slices.Contains(jsonNoUnit, w) || slices.Contains(jsonUnits, w) && i < len(words)-1 {
			return false
		}
	}
	return true
}

// TestJSONNamesFire breaks each rule once.
func TestJSONNamesFire(t *testing.T) {
	type inner struct {
		FaultSeconds int `json:"seconds_of_faults"`
	}
	for _, c := range []struct {
		value any
		says  string // "" means silence
	}{
		{struct {
			EntryBytes int
		}{}, "no name in JSON"},
		{struct {
			EntryBytes int `json:"EntryBytes"`
		}{}, "not in snake_case"},
		{struct {
			Wait int `json:"nanos_wait"`
		}{}, "does not end with its unit"},
		{struct {
			Wait int `json:"wait_ms"`
		}{}, "does not end with its unit"},
		{struct {
			Wait int `json:"max_nanos_wait"`
		}{}, "does not end with its unit"},
		{struct {
			Deep []map[string]*inner `json:"deep"`
		}{}, "inner.FaultSeconds"},
		{struct {
			Wait int `json:"wait_nanos"`
		}{}, "not in docs/json.md"},
		{struct {
			Wait int          `json:"wait_nanos_max"`
			Rate int          `json:"bytes_per_second"`
			Set  sim.FaultSet `json:"deep"`
			None int          `json:"-"`
		}{}, ""},
	} {
		page := "`deep` `wait_nanos_max` `bytes_per_second` `nanos_wait` `EntryBytes`"
		text := strings.Join(jsonComplaints(reflect.TypeOf(c.value), page, map[reflect.Type]bool{}), "\n")
		if (text == "") != (c.says == "") || !strings.Contains(text, c.says) {
			t.Errorf("%+v: %q, want %q", c.value, text, c.says)
		}
	}
}
