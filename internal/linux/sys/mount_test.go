package sys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

func TestMounts(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		dir := ns.Dir(t)
		tmpfs := detached(t, "tmpfs", 0, sys.MountString("mode", "0750"))
		if err := sys.Attach(tmpfs, open(t, dir), ""); err != nil {
			t.Fatalf("Attach: %v", err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("Stat = %v, %v; want mode 0750", info.Mode(), err)
		}
		write(t, dir+"/file", true)

		clone, err := sys.CloneTree(open(t, dir), "")
		if err != nil {
			t.Fatalf("CloneTree: %v", err)
		}
		if err := sys.SetMountAttr(clone, sys.ReadOnly, 0); err != nil {
			t.Fatalf("SetMountAttr: %v", err)
		}
		wantReadOnly(t, clone, true)
		wantReadOnly(t, tmpfs, false)
		if err := os.Mkdir(dir+"/clone", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := sys.Attach(clone, tmpfs, "clone"); err != nil {
			t.Fatalf("Attach: %v", err)
		}
		write(t, dir+"/clone/file", false)
		if err := sys.Unmount(dir); err != nil {
			t.Errorf("Unmount: %v", err)
		}
		if _, err := os.Stat(dir + "/file"); err == nil {
			t.Error("the tmpfs is still there after Unmount")
		}
	})
}

func TestAttachBeneath(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		dir := ns.Dir(t)
		below, above := detached(t, "tmpfs", 0), detached(t, "tmpfs", 0)
		if err := sys.Attach(above, open(t, dir), ""); err != nil {
			t.Fatalf("Attach: %v", err)
		}
		write(t, dir+"/above", true)
		if err := sys.AttachBeneath(below, above, ""); errors.Is(err, sys.ErrInvalid) {
			t.Skipf("before Linux 6.5: %v", err)
		} else if err != nil {
			t.Fatalf("AttachBeneath: %v", err)
		}
		if _, err := os.Stat(dir + "/above"); err != nil {
			t.Errorf("what was above is hidden: %v", err)
		}
		if err := sys.Unmount(dir); err != nil {
			t.Fatalf("Unmount: %v", err)
		}
		write(t, dir+"/below", true)
		if names, _ := filepath.Glob(dir + "/*"); len(names) != 1 {
			t.Errorf("found %v; want the mount that was beneath", names)
		}
	})
}

func TestReconfigure(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		tmpfs := detached(t, "tmpfs", 0, sys.MountFlag("ro"))
		wantReadOnly(t, tmpfs, true)
		if err := sys.Reconfigure(tmpfs, sys.MountFlag("rw")); err != nil {
			t.Fatalf("Reconfigure: %v", err)
		}
		wantReadOnly(t, tmpfs, false)
	})
}

func TestMountErrorsNameWhatTheKernelSays(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		_, err := sys.Detached("tmpfs", 0, sys.MountString("size", "banana"))
		const want = "fsconfig size=banana: invalid argument (e tmpfs: Bad value for 'size')"
		if err == nil || err.Error() != want {
			t.Errorf("Detached = %v; want %s", err, want)
		}
		_, err = sys.Detached("nonesuch", 0)
		if !errors.Is(err, sys.ErrNoSuchFileSystem) || !strings.Contains(err.Error(), "nonesuch") {
			t.Errorf("Detached = %v; want one with ErrNoSuchFileSystem and the name", err)
		}
		ok, err := sys.HasMountOption("tmpfs", sys.MountString("size", "1M"))
		if err != nil || !ok {
			t.Errorf("HasMountOption(size) = %v, %v; want true", ok, err)
		}
		ok, err = sys.HasMountOption("tmpfs", sys.MountFlag("banana"))
		if err != nil || ok {
			t.Errorf("HasMountOption(banana) = %v, %v; want false", ok, err)
		}
	})
}

func TestLoopDevice(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		name := filepath.Join(ns.Dir(t), "file")
		if err := os.WriteFile(name, []byte(strings.Repeat("block\n", 4096)), 0o644); err != nil {
			t.Fatal(err)
		}
		device, err := sys.LoopDevice(open(t, name))
		if errors.Is(err, os.ErrNotExist) {
			t.Skipf("no loop devices here: %v", err)
		}
		if err != nil {
			t.Fatalf("LoopDevice: %v", err)
		}
		defer device.Close()
		buf := make([]byte, 6)
		if _, err := device.ReadAt(buf, 6); err != nil || string(buf) != "block\n" {
			t.Errorf("ReadAt = %q, %v; want a line of the file", buf, err)
		}
		if f, err := os.OpenFile(device.Name(), os.O_WRONLY, 0); err == nil {
			defer f.Close()
			if _, err := f.WriteString("B"); err == nil {
				t.Errorf("%s can be written", device.Name())
			}
		}
	})
}

func detached(t *testing.T, fstype string, attr sys.MountAttr, options ...sys.MountOption) *os.File {
	t.Helper()
	f, err := sys.Detached(fstype, attr, options...)
	if err != nil {
		t.Fatalf("Detached(%s, %v): %v", fstype, options, err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t *testing.T, name string, want bool) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o644); (err == nil) != want {
		t.Errorf("WriteFile(%s) = %v; want success: %v", name, err, want)
	}
}

func wantReadOnly(t *testing.T, f *os.File, want bool) {
	t.Helper()
	if got, err := sys.Statfs(f); err != nil || got.ReadOnly != want {
		t.Errorf("Statfs(%s).ReadOnly = %v, %v; want %v", f.Name(), got.ReadOnly, err, want)
	}
}
