package prepareroot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestRememberDevice mounts file systems from a loop device: one that has the device's
// number, and one that has a number of its own.
func TestRememberDevice(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, fstype := range []string{"ext4", "btrfs"} {
			t.Run(fstype, func(t *testing.T) {
				dir := ns.Dir(t)
				device := mountLoop(t, fstype, dir)
				major, minor, err := sys.BlockDevice(device)
				if err != nil {
					t.Fatal(err)
				}
				link := filepath.Join(t.TempDir(), "systemd/volatile-root")
				for range 2 { // one that is there stays
					if err := rememberDevice(dir, link); err != nil {
						t.Fatal(err)
					}
				}
				got, err := os.Readlink(link)
				if want := fmt.Sprintf("/dev/block/%d:%d", major, minor); got != want || err != nil {
					t.Errorf("the link leads to %s, %v; want %s", got, err, want)
				}
			})
		}
	})
}

func TestRememberNoDevice(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "volatile-root")
		if err := rememberDevice("/run", link); err != nil { // a tmpfs
			t.Error(err)
		}
		wantMissing(t, link)
	})
}

// mountLoop makes a file system and mounts it, read-only, from a loop device.
func mountLoop(t *testing.T, fstype, where string) (device string) {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs." + fstype)
	if err != nil {
		t.Skipf("there is no mkfs.%s", fstype)
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 200<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, "-q", name).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.%s: %v\n%s", fstype, err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := sys.LoopDevice(f)
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	t.Cleanup(func() { loop.Close() })
	err = syscall.Mount(loop.Name(), where, fstype, syscall.MS_RDONLY, "")
	if err != nil {
		if errors.Is(err, syscall.ENODEV) {
			t.Skipf("the kernel has no %s", fstype)
		}
		t.Fatal(err)
	}
	return loop.Name()
}
