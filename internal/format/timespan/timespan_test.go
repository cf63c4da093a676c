package timespan

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "90s": 90 * time.Second, "15min": 15 * time.Minute, "15m": 15 * time.Minute,
		"1h 30min": 90 * time.Minute, "1h30min": 90 * time.Minute, " 2 hours ": 2 * time.Hour, "1min 5": 65 * time.Second, "0": 0,
		"1000h": longest,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "s", "-1s", "1.5h", "5 days", "infinity", "1001h", "1h 1000h", "99999999999s"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v; want an error", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for want, d := range map[string]time.Duration{"15min": 15 * time.Minute, "90s": 90 * time.Second, "60min": time.Hour, "0s": 0} {
		if got := Format(d); got != want {
			t.Errorf("Format(%v) = %q; want %q", d, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1h 30min")
	f.Add("999999999999 hours")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(Format(d)); err != nil || again != d || d < 0 {
			t.Errorf("Parse(%q) = %v; written as %q and read again: %v, %v", text, d, Format(d), again, err)
		}
	})
}
