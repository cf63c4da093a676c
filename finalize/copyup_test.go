package finalize

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// running makes a running system below dir: a read-only /sysroot, and an overlay
// at /var whose upper directory is the shared /var.
func running(t *testing.T, dir string) *os.Root {
	t.Helper()
	mount := func(what, where, fstype string, flags uintptr, options string) {
		t.Helper()
		if err := syscall.Mount(what, where, fstype, flags, options); err != nil {
			t.Fatalf("mount %s: %v", where, err)
		}
	}
	mount("tmpfs", dir, "tmpfs", 0, "")
	for _, name := range []string{
		"disk/state/os/default/var", "disk/state/work", "disk/composefs/objects", "disk/boot", "image/var/lib", "root/sysroot", "root/var", "root/proc/self", "root/etc",
	} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(dir+"/disk", dir+"/root/sysroot", "", syscall.MS_BIND, "")
	mount("", dir+"/root/sysroot", "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	mount("overlay", dir+"/root/var", "overlay", 0,
		"lowerdir="+dir+"/image/var,upperdir="+dir+"/disk/state/os/default/var,workdir="+dir+"/disk/state/work")
	root, err := os.OpenRoot(dir + "/root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestCopyUp(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir := ns.Dir(t)
		m := Machine{root: running(t, dir), log: journal.Log{Else: new(bytes.Buffer)}}
		image, upper := dir+"/image/var/lib/docker", dir+"/disk/state/os/default/var/lib/docker"
		seed(t, image)
		if err := os.WriteFile(dir+"/root/sysroot/x", nil, 0o644); err == nil {
			t.Fatal("/sysroot can be written to")
		}
		for range 2 {
			if err := CopyUp(m, []string{"/var/lib/docker", "/var/lib/containers/"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(m.log.Else.(*bytes.Buffer).String(), "is ready"); n != 2 {
			t.Errorf("two directories were readied %d times", n)
		}
		checkCopy(t, upper)
		if info, err := os.Stat(dir + "/disk/state/os/default/var/lib/containers"); err != nil || !info.IsDir() {
			t.Errorf("/var/lib/containers was not made: %v", err)
		}

		// What the image adds later does not show.
		if err := os.WriteFile(image+"/later", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := CopyUp(m, []string{"/var/lib/docker"}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(upper + "/later"); !os.IsNotExist(err) {
			t.Errorf("Lstat of a later file: %v; want it not to exist", err)
		}
	})
}

// A directory that the administrator has put elsewhere does not keep the others from
// being ready.
func TestCopyUpOthers(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir := ns.Dir(t)
		m := Machine{root: running(t, dir), log: journal.Log{Else: new(bytes.Buffer)}}
		if err := os.Symlink("/srv/docker", dir+"/root/var/lib/docker"); err != nil {
			t.Fatal(err)
		}
		err := CopyUp(m, []string{"/var/lib/docker", "/var/lib/containers", "/etc", "/var/lib/kubelet"})
		for _, want := range []string{"cannot prepare /var/lib/docker: ", "cannot prepare /etc: "} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v; want one with %q", err, want)
			}
		}
		for _, name := range []string{"containers", "kubelet"} {
			if info, err := os.Stat(dir + "/disk/state/os/default/var/lib/" + name); err != nil || !info.IsDir() {
				t.Errorf("/var/lib/%s was not made: %v", name, err)
			}
		}
	})
}

// seed makes a directory with what is easily lost when it is copied.
func seed(t *testing.T, dir string) {
	t.Helper()
	for _, err := range []error{
		os.MkdirAll(dir+"/sub/deep", 0o750),
		os.Chmod(dir, 0o711),
		os.WriteFile(dir+"/sub/deep/file", []byte("content"), 0o600),
		os.WriteFile(dir+"/sub/setuid", []byte("x"), 0o755),
		os.Chown(dir+"/sub/setuid", 1, 2),
		os.Chmod(dir+"/sub/setuid", 0o755|os.ModeSetuid),
		os.Symlink("/nowhere", dir+"/link"),
		syscall.Mkfifo(dir+"/fifo", 0o620),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkCopy(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]os.FileMode{
		"": os.ModeDir | 0o711, "/sub": os.ModeDir | 0o750, "/sub/deep/file": 0o600, "/sub/setuid": os.ModeSetuid | 0o755,
		"/link": os.ModeSymlink | 0o777, "/fifo": os.ModeNamedPipe | 0o600,
	} {
		info, err := os.Lstat(dir + name)
		if err != nil || info.Mode() != want {
			t.Errorf("upper directory has %q as %v, %v; want %v", name, info, err, want)
		}
	}
	if data, err := os.ReadFile(dir + "/sub/deep/file"); string(data) != "content" || err != nil {
		t.Errorf("upper file has %q, %v", data, err)
	}
	info, err := os.Lstat(dir + "/sub/setuid")
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 1 || st.Gid != 2 {
		t.Errorf("upper file belongs to %d:%d; want 1:2", st.Uid, st.Gid)
	}
}

func TestCopyUpRefuses(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := Machine{root: running(t, ns.Dir(t)), log: journal.Log{Else: new(bytes.Buffer)}}
		for _, dir := range []string{"/etc", "/var", "/var/../etc"} {
			if err := CopyUp(m, []string{dir}); err == nil || !strings.Contains(err.Error(), "not below /var") {
				t.Errorf("CopyUp(%q) error = %v; want one that says it is not below /var", dir, err)
			}
		}
	})
}
