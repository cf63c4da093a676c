package standalone

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// tmpfs mounts one with files.
func tmpfs(t *testing.T, dir string, files ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSwitchRoot makes an initramfs the root directory, and switches from it.
func TestSwitchRoot(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		const dir = "/run/initramfs" // in the namespace's own tmpfs
		tmpfs(t, dir, "init", "usr/lib/modules/x/kernel/m.ko")
		if err := syscall.Chroot(dir); err != nil {
			t.Fatal(err)
		}
		tmpfs(t, "/sysroot", "physical") // beneath the new root
		tmpfs(t, "/sysroot", "usr/lib/systemd/systemd", "dev/x", "proc/x", "sys/x", "run/x")
		for _, name := range handedOver {
			tmpfs(t, "/"+name, "is-"+name)
		}
		initramfs, err := os.OpenRoot("/")
		if err != nil {
			t.Fatal(err)
		}
		p := program{hooks: Hooks{OpenRoot: func() (*os.Root, error) { return os.OpenRoot("/") }}}
		if err := p.switchRoot(t.Context(), "/sysroot"); err != nil {
			t.Fatal(err)
		}
		for _, name := range handedOver {
			if _, err := os.Stat("/" + name + "/is-" + name); err != nil {
				t.Errorf("not handed over: %v", err)
			}
		}
		if _, err := os.Stat("/usr/lib/systemd/systemd"); err != nil {
			t.Errorf("in the new root: %v", err)
		}
		left, err := fs.ReadDir(initramfs.FS(), ".")
		if len(left) > 0 || err != nil {
			t.Errorf("left in the initramfs: %v, %v", left, err)
		}
	})
}

// TestNotInitramfs: what is not in memory is never emptied.
func TestNotInitramfs(t *testing.T) {
	disk, err := os.OpenRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if inMemory, err := isInMemory(disk); inMemory || err != nil {
		t.Skipf("the checkout itself is in memory: %v, %v", inMemory, err)
	}
	p := program{hooks: Hooks{OpenRoot: func() (*os.Root, error) { return os.OpenRoot(".") }}}
	if got, err := p.openInitramfs(); got != nil || err != nil {
		t.Errorf("openInitramfs = %v, %v; want nothing to delete", got, err)
	}
}

func TestMountPoints(t *testing.T) {
	dir := t.TempDir()
	for _, name := range handedOver {
		want := "the image has no directory /" + name
		if err := checkMountPoints(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checkMountPoints = %v; want %q", err, want)
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkMountPoints(dir); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "proc")), os.Symlink("sys", filepath.Join(dir, "proc"))); err != nil {
		t.Fatal(err)
	}
	if err := checkMountPoints(dir); err == nil || !strings.Contains(err.Error(), "/proc in the image is not a directory") {
		t.Errorf("checkMountPoints = %v; want that a link will not do", err)
	}
}

// TestRunElsewhere: only the kernel may start the program.
func TestRunElsewhere(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"-q", "--"}, {"-v", "--", "x"}} {
		if err := Run(t.Context(), args, Hooks{}); !errors.Is(err, ErrNotInit) {
			t.Errorf("Run(%q) = %v; want %v", args, err, ErrNotInit)
		}
	}
}
