package update

import (
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	files := map[string]string{}
	read := func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return []byte(text), nil
	}
	tests := []struct {
		etc, usr string
		want     int
		err      string
	}{
		{"", "", 0, ""},
		{"", "keep = 2", 2, ""},
		{"keep = 0", "keep = 2", 0, ""},
		{"# nothing", "keep = 2", 2, ""},
		{"keeep = 1", "", 0, `/etc/sysupdate-image/update.toml: unknown key "keeep"`},
		{"", "[x]\nkeep = 1", 0, `/usr/lib/sysupdate-image/update.toml: unknown key "x`},
		{"keep = -1", "", 0, "keep = -1: want 0 to"},
		{`keep = "1"`, "", 0, "keep"},
		{"keep", "", 0, "update.toml"},
		{"require = \"sealed\"", "keep = 2\nallow-downgrade = false", 2, ""},
		{"require = \"\"", "", 0, `require = "": want "signed" or "sealed"`},
		{"require = true", "", 0, "require"},
		{"allow-downgrade = \"no\"", "", 0, "allow-downgrade"},
	}
	for _, tt := range tests {
		files = map[string]string{configEtc: tt.etc, configUsr: tt.usr}
		maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
		c, err := loadConfig(read)
		if tt.err == "" && (err != nil || c.keep() != tt.want) {
			t.Errorf("configuration %q, %q: keep = %d, %v; want %d", tt.etc, tt.usr, c.keep(), err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("configuration %q, %q: %v; want an error with %q", tt.etc, tt.usr, err, tt.err)
		}
	}
}
