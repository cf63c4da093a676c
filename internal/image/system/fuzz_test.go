package system

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
		for name := range ParseRelease([]byte(text)) {
			if strings.ContainsAny(name, "=\n") || strings.HasPrefix(name, "#") {
				t.Errorf("ParseRelease(%q) has the name %q", text, name)
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
