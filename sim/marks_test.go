package sim

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// Marks are called what they are called in summaries, kept runs and manifests:
// briefly, once, and with a line that says what happened.
func TestMarkNames(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	row := regexp.MustCompile(`^B\d{3}$`)
	names, abouts := map[string]Mark{}, map[string]Mark{}
	for m := Mark(0); m < MarkCount; m++ {
		if !name.MatchString(m.String()) {
			t.Errorf("mark %d is called %q", m, m)
		}
		if other, ok := names[m.String()]; ok {
			t.Errorf("marks %d and %d are both called %q", other, m, m)
		}
		if other, ok := abouts[m.About()]; ok || m.About() == "" || strings.Contains(m.About(), "\n") {
			t.Errorf("mark %v is about %q, as is %v", m, m.About(), other)
		}
		names[m.String()], abouts[m.About()] = m, m
		for _, r := range strings.Fields(markTable[m].rows) {
			if !row.MatchString(r) {
				t.Errorf("mark %v is of the row %q", m, r)
			}
		}
		if got, ok := MarkNamed(m.String()); !ok || got != m {
			t.Errorf("MarkNamed(%q) = %v, %t", m, got, ok)
		}
	}
	if MarkCount < 40 {
		t.Errorf("%d marks, want at least 40", MarkCount)
	}
	if _, ok := MarkNamed("no such mark"); ok || MarkCount.String() != "invalid" {
		t.Error("there is a mark that is none")
	}
}

// The trigger of every row of the catalogue in the layers that exist has a
// mark: without it a campaign that finds nothing says nothing about that bug.
func TestMarkRows(t *testing.T) {
	rows := strings.Fields(`
		B004 B005 B006 B008 B010 B013
		B015 B016 B017 B019 B020 B021 B025 B030
		B034 B035 B036 B037 B040 B041 B043 B045 B047 B048 B054 B058 B059 B060
		B065 B067 B068 B069 B071 B072 B073 B074
		B079 B083 B084 B085 B086 B090 B095 B097
		B099 B103 B104 B105
		B106 B107 B108 B109 B114 B115 B119 B124 B126 B128
		B129 B131
		B136 B137 B139 B141 B142
		B145 B149 B150 B152 B153 B157 B158
		B160 B161 B163 B164 B166 B168 B171 B175 B177 B178
		B181 B184 B185
		B204 B205 B206 B210
		B211 B213 B215 B218
		B226 B228`)
	covered := map[string]bool{}
	for m := range markTable {
		for _, r := range strings.Fields(markTable[m].rows) {
			covered[r] = true
		}
	}
	for _, r := range rows {
		if !covered[r] {
			t.Errorf("no mark is the trigger of row %s", r)
		}
		delete(covered, r)
	}
	for r := range covered {
		t.Errorf("a mark is the trigger of row %s, which is not of these layers", r)
	}
}

func TestMarksJSON(t *testing.T) {
	var m Marks
	m[MarkTwoLeaders], m[MarkCount-1] = 3, 1<<32-1
	b, err := json.Marshal(struct{ Marks Marks }{m})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), `{"Marks":{"leader-elected":0,"leader-again":0,`) || !strings.Contains(string(b), `"two-leaders":3,`) {
		t.Errorf("marks are written as %.120s", b)
	}
	var back struct{ Marks Marks }
	if err := json.Unmarshal(b, &back); err != nil || back.Marks != m {
		t.Errorf("read back: %v, %v", back.Marks, err)
	}
	if err := json.Unmarshal([]byte(`{"two-leaders":1,"three-leaders":1}`), &m); err == nil || !strings.Contains(err.Error(), "three-leaders") {
		t.Errorf("a mark that does not exist: %v", err)
	}
}

func TestMarksAdd(t *testing.T) {
	a, b := Marks{1, 2}, Marks{0, 3, 1<<32 - 2}
	a.Add(&b)
	a.Add(&b)
	if want := (Marks{1, 8, 1<<32 - 1}); a != want {
		t.Errorf("sum %v, want %v", a, want)
	}
}
