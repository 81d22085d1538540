package campaign

import "testing"

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{99_999: "99,999", 100_000: "100k", 9_999_999: "9999k", 12_345_678: "12M", 1 << 40: "1099G"} {
		if got := short(n); got != want || len(got) > 7 {
			t.Errorf("short(%d) = %s, want %s", n, got, want)
		}
	}
	for _, tt := range []struct {
		n, total uint64
		want     string
	}{{0, 0, "-"}, {0, 5, "0.0%"}, {5, 5, "100.0%"}, {1, 3, "33.3%"}, {1999, 2000, "99.9%"}, {1, 100_000, "<0.1%"}} {
		if got := share(tt.n, tt.total); got != tt.want {
			t.Errorf("share(%d, %d) = %s, want %s", tt.n, tt.total, got, tt.want)
		}
	}
	for n, want := range map[uint64]string{1_500_000_000: "1.5 s", 150e9: "2.5 min", 2 * 3600e9: "2.0 h", 1000 * 3600e9: "1,000 h"} {
		if got := spanText(n); got != want {
			t.Errorf("spanText(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for word, want := range map[string]string{"": "''", "out/seed-1": "out/seed-1", "my out": "'my out'", "it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := ShellQuote(word); got != want {
			t.Errorf("ShellQuote(%q) = %s, want %s", word, got, want)
		}
	}
}
