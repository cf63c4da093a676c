package update

import (
	"testing"
)

// FuzzConfig: what update.toml says is within its bounds, and what it does not say
// comes from the other file.
func FuzzConfig(f *testing.F) {
	f.Add("keep = 1\nrequire = \"signed\"\nallow-downgrade = false\n")
	f.Add("keep = 10000000000000000000")
	f.Add("[keep]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(text)
		if err != nil {
			return
		}
		if c.Keep != nil && (*c.Keep < 0 || *c.Keep > maxKeep) {
			t.Errorf("parseConfig(%q): keep = %d", text, *c.Keep)
		}
		if r := c.require(); r != "" && r != requireSigned && r != requireSealed {
			t.Errorf("parseConfig(%q): require = %q", text, r)
		}
		keep := 7
		if got := c.under(config{Keep: &keep}); c.Keep == nil && *got.Keep != keep || c.Keep != nil && *got.Keep != *c.Keep {
			t.Errorf("parseConfig(%q) under keep = %d gives %d", text, keep, *got.Keep)
		}
	})
}
