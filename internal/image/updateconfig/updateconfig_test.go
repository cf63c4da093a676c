package updateconfig

import (
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"
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
		{"reboot = \"kexec\"", "bless-after-kexec = true\nkeep = 1", 1, ""},
		{"reboot = \"soft\"", "", 0, `reboot = "soft": want "firmware", "kexec" or "soft-reboot"`},
		{"bless-after-kexec = \"yes\"", "", 0, "bless-after-kexec"},
		{"gzip = \"library\"", "gzip = \"built-in\"\nkeep = 1", 1, ""},
		{"gzip = \"pigz\"", "", 0, `gzip = "pigz": want "built-in" or "library"`},
		{"boot-timeout = \"20min\"", "check-timeout = \"1h 30min\"\nkeep = 1", 1, ""},
		{"boot-timeout = 20", "", 0, "boot-timeout"},
		{"boot-timeout = \"0\"", "", 0, `boot-timeout = "0": want 1s to 24h`},
		{"", "check-timeout = \"25h\"", 0, `/usr/lib/sysupdate-image/update.toml: check-timeout = "25h": want 1s to 24h`},
		{"check-timeout = \"soon\"", "", 0, `check-timeout: invalid time span "soon"`},
	}
	for _, tt := range tests {
		files = map[string]string{Etc: tt.etc, Usr: tt.usr}
		maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
		c, err := Load(read)
		if tt.err == "" && (err != nil || keep(c) != tt.want) {
			t.Errorf("configuration %q, %q: keep = %d, %v; want %d", tt.etc, tt.usr, keep(c), err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("configuration %q, %q: %v; want an error with %q", tt.etc, tt.usr, err, tt.err)
		}
	}
}

// keep returns how many deployments c keeps, 0 by default.
func keep(c Config) int {
	if c.Keep == nil {
		return 0
	}
	return *c.Keep
}

// A boot has limits whatever is in the files, and hears what is wrong with them.
func TestLoadLimits(t *testing.T) {
	const minute = time.Minute
	for _, tt := range []struct {
		etc, usr    string
		boot, check time.Duration
		warning     string
	}{
		{"", "", 15 * minute, 2 * minute, ""},
		{"boot-timeout = \"5min\"", "boot-timeout = \"6min\"\ncheck-timeout = \"30\"", 5 * minute, 30 * time.Second, ""},
		{"keeep = 1\nboot-timeout = \"5min\"", "", 5 * minute, 2 * minute, ""}, // apply complains of it
		{"boot-timeout = \"never\"\ncheck-timeout = \"1s\"", "boot-timeout = \"6min\"", 6 * minute, time.Second, "/etc/sysupdate-image/update.toml: boot-timeout"},
		{"boot-timeout = 300", "check-timeout = \"1s\"", 15 * minute, time.Second, "/etc/sysupdate-image/update.toml: toml: "},
		{"boot-timeout", "", 15 * minute, 2 * minute, "/etc/sysupdate-image/update.toml"},
		{strings.Repeat("# long\n", 20_000), "", 15 * minute, 2 * minute, "TOML size"},
	} {
		files := map[string]string{Etc: tt.etc, Usr: tt.usr}
		got, warnings := LoadLimits(func(name string) ([]byte, error) { return []byte(files[name]), nil })
		if want := (Limits{tt.boot, tt.check}); got != want {
			t.Errorf("limits of %.60q, %q are %+v; want %+v", tt.etc, tt.usr, got, want)
		}
		text := fmt.Sprint(warnings)
		if tt.warning == "" && len(warnings) > 0 || !strings.Contains(text, tt.warning) {
			t.Errorf("limits of %.60q, %q: warnings %s; want %q", tt.etc, tt.usr, text, tt.warning)
		}
	}
	_, warnings := LoadLimits(func(string) ([]byte, error) { return nil, fs.ErrPermission })
	if len(warnings) != 2 {
		t.Errorf("files that cannot be read: warnings %v; want two", warnings)
	}
}
