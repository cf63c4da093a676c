package layout

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "1": 1 << 20, "2K": 2048, "3m": 3 << 20, "20G": 20 << 30, "1T": 1 << 40} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-1G", "G", "1.5G", "1P", "9999999999T"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d; want an error", text, got)
		}
	}
}
