package lint

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
)

// TestMend: what to do fits what was found.
func TestMend(t *testing.T) {
	for name, tt := range map[string]struct {
		make              func(i *image)
		want, wantNeither string
	}{
		"setuid in /usr": {func(i *image) {
			i.file("usr/lib/games/run", "ELF").Mode = tree.TypeRegular | setuid | 0o755
			i.node("usr/lib/games").UID = 5
		}, "Have root alone own", "Move the program below /usr"},
		"no kernel at all": {func(i *image) { i.remove("usr/lib/modules/6.12.1") }, "Have the kernel and its initramfs", "other kernels"},
		"two kernels":      {func(i *image) { i.file("usr/lib/modules/6.13/vmlinuz", "another") }, "other kernels", "Have the kernel"},
		"a machine-id": {func(i *image) { i.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n") },
			`Add ": > /etc/machine-id" to the RUN that makes it.`, "RUN :"},
	} {
		i := cleanImage(t)
		tt.make(i)
		found := ""
		for _, f := range lintImage(t, i).Findings {
			found += f.Mend + "\n"
		}
		if !strings.Contains(found, tt.want) || strings.Contains(found, tt.wantNeither) {
			t.Errorf("%s: %q; want %q", name, found, tt.want)
		}
	}
}

// TestUpdateKeys: each key of update.toml is suggested for one that is near it.
func TestUpdateKeys(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[updateconfig.Config]()) {
		if key := f.Tag.Get("toml"); key != "" && suggest(key+"x", updateKeys) != fmt.Sprintf(" (did you mean %s?)", key) {
			t.Errorf("%s is not suggested", key)
		}
	}
}

func TestDescribeAll(t *testing.T) {
	i := cleanImage(t)
	i.file("var/x/a/one", "")
	i.file("var/x/two", "")
	i.dir("var/y/a/b")
	for name, want := range map[string]string{
		"var/x": "a directory with 2 files in it", "var/x/a": "a directory with one file in it", "var/y": "a directory with 2 directories in it",
		"var/y/a": "a directory with one directory in it", "var/y/a/b": "a directory", "var/x/two": "a file",
	} {
		if got := describeAll(i.node(name)); got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
}
