package update

import (
	"strings"
	"testing"
)

// FuzzOSRelease: a name has no =, and a value that was quoted says what is
// between the quotes.
func FuzzOSRelease(f *testing.F) {
	f.Add("NAME=Debian\nPRETTY_NAME=\"Debian \\\"13\\\"\"\n# X=1\nVERSION_ID='13'\n")
	f.Add("A=\"\nB='\"\nC=\"\\\"")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range osRelease([]byte(text)) {
			if strings.ContainsAny(name, "=\n") || strings.HasPrefix(name, "#") {
				t.Errorf("osRelease(%q) has the name %q", text, name)
			}
		}
		if strings.ContainsAny(text, "\n\r") {
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(text) + `"`
		if got := unquote(quoted); got != text {
			t.Errorf("unquote(%q) = %q; want %q", quoted, got, text)
		}
	})
}

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
