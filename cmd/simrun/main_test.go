package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

// asCommand makes the test program be simrun.
const asCommand = "SIMRUN_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"simrun": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"same":  sameFields,
			"usage": usage,
		},
	})
}

// usage runs simrun and wants exit code 2:
//
//	usage ARG...
func usage(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("simrun", args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != campaign.ExitUsage {
		ts.Fatalf("simrun %v ended with %v, want exit code %d", args, err, campaign.ExitUsage)
	}
}

// sameFields compares the last lines of two files as JSON objects:
//
//	same FILE FILE FIELD...
//
// each field must be there in both, with the same value.
func sameFields(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: same FILE FILE FIELD...")
	}
	last := func(name string) map[string]any {
		lines := bytes.Split(bytes.TrimSpace([]byte(ts.ReadFile(name))), []byte("\n"))
		var fields map[string]any
		if err := json.Unmarshal(lines[len(lines)-1], &fields); err != nil {
			ts.Fatalf("last line of %s: %v", name, err)
		}
		return fields
	}
	a, b := last(args[0]), last(args[1])
	for _, field := range args[2:] {
		x, ok1 := a[field]
		y, ok2 := b[field]
		if !ok1 || !ok2 {
			ts.Fatalf("no field %s", field)
		}
		if (x == y) == neg {
			ts.Fatalf("field %s: %v and %v", field, x, y)
		}
	}
}

// TestInterrupt: the first Ctrl-C ends a campaign with its summary.
func TestInterrupt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "hunt", "--json", "--out", t.TempDir())
	cmd.Env = append(os.Environ(), asCommand+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("no first line")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var last []byte
	for lines.Scan() {
		last = append(last[:0], lines.Bytes()...)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("ended with %v, want exit code 130", err)
	}
	var s campaign.SummaryLine
	if err := json.Unmarshal(last, &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "summary" || !s.Interrupted || s.Seeds == 0 || s.ExitCode != 130 {
		t.Errorf("last line %s", last)
	}
}
