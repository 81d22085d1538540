package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/campaign/bugbank"
)

// Mistakes end with exit code 2 and say where to look; what is wrong with the
// bank ends with 1.
func TestExitCodes(t *testing.T) {
	atRoot := filepath.Join("..", "..")
	nowhere := t.TempDir()
	torn := t.TempDir()
	if err := os.MkdirAll(filepath.Join(torn, bugbank.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(torn, bugbank.Dir, "manifest.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, args string
		code      int
		says      string
	}{
		{atRoot, "--help", 0, ""},
		{atRoot, "nonsense", campaign.ExitUsage, "unknown command"},
		{atRoot, "hunt --nonsense", campaign.ExitUsage, "unknown flag: --nonsense"},
		{atRoot, "hunt --bases one", campaign.ExitUsage, "invalid argument"},
		{atRoot, "hunt --bases 1,1 B040", campaign.ExitUsage, "two hunts from base 1"},
		{atRoot, "hunt --bases 18446744073709551615 B040", campaign.ExitUsage, "beyond the largest seed"},
		{atRoot, "hunt --seeds 10 --bases 18446744073709551610 B040", campaign.ExitUsage, "beyond the largest seed"},
		{atRoot, "hunt --seeds 0", campaign.ExitUsage, "nothing would be hunted"},
		{atRoot, "hunt --seeds -1", campaign.ExitUsage, "invalid argument"},
		{atRoot, "hunt --jobs 100000000000", campaign.ExitUsage, "at most 1024"},
		{atRoot, "hunt --jobs -1", campaign.ExitUsage, "-1 workers"},
		{atRoot, "hunt --parallel 100000000000", campaign.ExitUsage, "rows at the same time: 100000000000"},
		{atRoot, "hunt --parallel -1", campaign.ExitUsage, "rows at the same time: -1"},
		{atRoot, "hunt --cpu -1s", campaign.ExitUsage, "not negative"},
		{atRoot, "hunt --cpu 0", campaign.ExitUsage, "nothing would be hunted"},
		{atRoot, "hunt --limit -1s", campaign.ExitUsage, "not negative"},
		{atRoot, "hunt B999999", campaign.ExitUsage, `no row "B999999"`},
		{atRoot, "check B999999", campaign.ExitUsage, `no row "B999999"`},
		{atRoot, "build", campaign.ExitUsage, "accepts 1 arg"},
		{atRoot, "build B040 B041", campaign.ExitUsage, "accepts 1 arg"},
		{atRoot, "table", campaign.ExitUsage, "requires at least 1 arg"},
		{atRoot, "table " + filepath.Join(nowhere, "finds"), campaign.ExitUsage, "finds"},
		{atRoot, "replay " + filepath.Join(nowhere, "seed-1"), campaign.ExitUsage, "seed-1"},
		{nowhere, "check", campaign.ExitUsage, "at the root of the module"},
		{torn, "check", exitFailed, "manifest.json"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Chdir(c.dir)
			var stderr strings.Builder
			code := run(t.Context(), strings.Fields(c.args), &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("exit code %d, want %d; it says %q", code, c.code, stderr.String())
			}
			if hint := strings.Contains(stderr.String(), "--help shows what there is"); hint != (c.code == campaign.ExitUsage) {
				t.Errorf("it says %q", stderr.String())
			}
		})
	}
}
