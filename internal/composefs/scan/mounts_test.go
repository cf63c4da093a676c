package scan

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestMountPoints: what is mounted in a directory is read, and named; or it is left out,
// and there is an empty directory.
func TestMountPoints(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		dir := ns.Dir(t)
		at := func(name string) string { return filepath.Join(dir, name) }
		check(t, os.MkdirAll(at("root/d/e"), 0o700), os.Mkdir(at("other"), 0o750),
			os.WriteFile(at("other/f"), []byte("other"), 0o600), os.WriteFile(at("root/file"), nil, 0o600),
			syscall.Mount(at("other"), at("root/d/e"), "", syscall.MS_BIND, ""),
			syscall.Mount(at("other/f"), at("root/file"), "", syscall.MS_BIND, ""))
		var named []string
		files, err := scan(t, at("root"), Options{Mounted: func(path string) { named = append(named, path) }})
		check(t, err)
		slices.Sort(named)
		if want := []string{"d/e", "file"}; !slices.Equal(named, want) {
			t.Errorf("mount points %q; want %q", named, want)
		}
		if got := read(t, files, "d/e/f"); got != "other" {
			t.Errorf("the file in the mount has %q; want other", got)
		}
		files, err = scan(t, at("root"), Options{NoMounts: true})
		check(t, err)
		if n := files.Root.Lookup("d/e"); n == nil || n.Mode != tree.TypeDir|0o755 || len(n.Entries()) > 0 {
			t.Errorf("without mounts, d/e is %+v; want an empty directory", n)
		}
		if n := files.Root.Lookup("file"); n != nil {
			t.Errorf("without mounts, file is %+v; want nothing", n)
		}
	})
}
