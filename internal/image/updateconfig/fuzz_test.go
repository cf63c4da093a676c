package updateconfig

import (
	"io/fs"
	"testing"
	"time"
)

// FuzzConfig: what update.toml says is within its bounds, and what it does not say
// comes from the other file.
func FuzzConfig(f *testing.F) {
	f.Add("keep = 1\nrequire = \"signed\"\nallow-downgrade = false\n")
	f.Add("keep = 10000000000000000000")
	f.Add("[keep]\n")
	f.Add("boot-timeout = \"1h 30min\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if c.Keep != nil && (*c.Keep < 0 || *c.Keep > MaxKeep) {
			t.Errorf("Parse(%q): keep = %d", text, *c.Keep)
		}
		if c.Require != nil && *c.Require != Signed && *c.Require != Sealed {
			t.Errorf("Parse(%q): require = %q", text, *c.Require)
		}
		keep := 7
		if got := c.under(Config{Keep: &keep}); c.Keep == nil && *got.Keep != keep || c.Keep != nil && *got.Keep != *c.Keep {
			t.Errorf("Parse(%q) under keep = %d gives %d", text, keep, *got.Keep)
		}
		if limits, warnings := LoadLimits(onlyIn(Etc, text)); len(warnings) > 0 || limits.Boot < time.Second || limits.Check > maxTime {
			t.Errorf("Parse takes %q, but LoadLimits = %+v, %v", text, limits, warnings)
		}
	})
}

// onlyIn returns a function that reads the one file that there is.
func onlyIn(name, text string) func(string) ([]byte, error) {
	return func(other string) ([]byte, error) {
		if other != name {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

// FuzzLimits: whatever a file has, there are limits to use.
func FuzzLimits(f *testing.F) {
	f.Add("boot-timeout = \"30s\"\ncheck-timeout = \"1h 1s\"\n")
	f.Add("boot-timeout = 30\n")
	f.Fuzz(func(t *testing.T, text string) {
		limits, _ := LoadLimits(onlyIn(Usr, text))
		for _, d := range []time.Duration{limits.Boot, limits.Check} {
			if d < time.Second || d > maxTime {
				t.Errorf("LoadLimits of %q = %+v", text, limits)
			}
		}
	})
}
