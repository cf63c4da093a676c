package inits

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"usr/lib/systemd/systemd": 0o755, "usr/bin/other": 0o755, "etc/passwd": 0o644} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, mode)); err != nil {
			t.Fatal(err)
		}
	}
	// Absolute links of an image lead within it.
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sbin"), 0o755), os.Symlink("/usr/lib/systemd/systemd", filepath.Join(dir, "sbin/init"))); err != nil {
		t.Fatal(err)
	}
	for cmdline, want := range map[string]string{
		"":                    "/usr/lib/systemd/systemd",
		"init=/usr/bin/other": "/usr/bin/other",
		"init=/sbin/init":     "/sbin/init",
		"-- init=/x":          "/usr/lib/systemd/systemd",
		"init=/bin/none":      "error: the image has no program to start: there is no /bin/none",
		"init=/etc/passwd":    "error: the image has no program to start: /etc/passwd is not a program",
		"init=sh":             "error: the image has no program to start: init=sh is not an absolute path",
	} {
		got, err := Find(dir, kcmdline.Parse(cmdline))
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("Find with %q = %s; want %s", cmdline, got, want)
		}
	}
}
