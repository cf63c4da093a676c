// Package packages tests what the packages bring besides the programs.
package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// The guards stop package tools and kernel-install on a system that was booted from an image,
// and nowhere else: not where another root is changed, and not where one is built.
func TestGuards(t *testing.T) {
	scripts, err := filepath.Abs("../../packaging/guard")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadDir(scripts); err != nil { // go test is to know that they matter here
		t.Fatal(err)
	}
	const plugin, guard = "05-sysupdate-image.install", "package-guard"
	const refused = "change its packages where the image is built"
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for name, tt := range map[string]struct {
			source  string // of the mount at /
			proc    bool
			command string
			code    int
			says    string
		}{
			"an image":                 {"composefs:01", true, guard, 1, refused},
			"dpkg, /":                  {"composefs:01", true, "DPKG_ROOT= " + guard, 1, refused},
			"dnf, /":                   {"composefs:01", true, guard + " /", 1, refused},
			"dpkg, another root":       {"composefs:01", true, "DPKG_ROOT=/mnt " + guard, 0, ""},
			"dnf, another root":        {"composefs:01", true, guard + " /mnt", 0, ""},
			"/usr is writable":         {"composefs:01", true, "mount -o remount,rw,bind /usr; " + guard, 0, "keeps what they change in /etc and /var"},
			"no image":                 {"overlay", true, guard, 0, ""},
			"no /proc":                 {"overlay", false, guard, 0, ""},
			"a kernel in an image":     {"composefs:01", true, plugin, 77, "nothing to do"},
			"a kernel in no image":     {"overlay", true, plugin, 0, ""},
			"a kernel without a /proc": {"overlay", false, plugin, 0, ""},
		} {
			dir := ns.Dir(t)
			script := `set -e
mkdir -p "$1/root" "$1/empty" "$1/lower/usr" "$1/lower/proc" "$1/lower/guard"
ln -s usr/bin usr/lib usr/lib64 "$1/lower"
cp "$3"/* "$1/lower/guard"
chmod +x "$1"/lower/guard/*
mount -t overlay "$2" -o "ro,lowerdir=$1/lower:$1/empty" "$1/root"
mount --bind /usr "$1/root/usr"
mount -o remount,ro,bind "$1/root/usr"
[ "$4" = false ] || mount --rbind /proc "$1/root/proc"
exec chroot "$1/root" env PATH="/guard:$PATH" sh -c "$5"`
			cmd := exec.Command("sh", "-c", script, "sh", dir, tt.source, scripts, map[bool]string{true: "true", false: "false"}[tt.proc], tt.command)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			code := cmd.ProcessState.ExitCode()
			if text := string(out); code != tt.code || tt.says == "" && text != "" || !strings.Contains(text, tt.says) {
				t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, out, tt.code, tt.says)
			}
		}
	})
}
