package prepareroot

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

func TestRootOfImage(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for name, kernel := range kernels(t) {
			t.Run(name, func(t *testing.T) { testRootOfImage(t, kernel) })
		}
	})
}

func testRootOfImage(t *testing.T, kernel Kernel) {
	m := newMachine(t)
	// As in an initramfs, the physical root is a mount, and systemd has made all
	// mounts shared.
	if err := syscall.Mount(m.sysroot, m.sysroot, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	before := len(strings.Split(mountTable(t), "\n"))
	if warnings, err := m.apply(Plan(m.input(rootconfig.Config{})), kernel); err != nil || len(warnings) > 0 {
		t.Fatalf("Apply = %v, warnings %q", err, warnings)
	}
	all := mounted(t)
	root, _ := mountplan.At(all, m.sysroot)
	if id, ok := deployment.FromMountSource(root.What); !ok || id != m.target.ID {
		t.Errorf("mount source %q; want one that names deployment %s", root.What, m.target.ID.Short())
	}
	// The image in place of the physical root, then sysroot, etc and var.
	if got, want := len(all)+1, before+3; got != want {
		t.Errorf("%d mounts; want %d:\n%s", got-1, want-1, mountTable(t))
	}
	wantMissing(t, buildDir)

	wantFile(t, m.path("usr/tool"), toolText)
	wantFile(t, m.path("etc/default.conf"), "default\n")
	wantFile(t, m.path("var/lib/seed"), "from the image\n")
	wantNoWrite(t, m.path("usr/new"))
	wantNoWrite(t, m.path("usr/tool"))
	wantNoWrite(t, m.path("sysroot/new"))
	wantMissing(t, m.path("state"))
	mustWrite(t, m.path("etc/default.conf"), "local\n")
	mustWrite(t, m.path("var/lib/data"), "data\n")
	if err := os.Remove(m.path("etc/removed.conf")); err != nil {
		t.Error(err)
	}

	// What was written is in the upper directories alone, and nothing else is.
	upper := m.path("sysroot/" + m.target.ID.EtcUpper())
	wantFile(t, upper+"/default.conf", "local\n")
	wantFile(t, m.path("sysroot/"+deployment.SharedVar+"/lib/data"), "data\n")
	if entries, _ := os.ReadDir(upper); len(entries) != 2 {
		t.Errorf("the upper directory of /etc has %v; want the changed and the removed file", entries)
	}
	wantEtcAttributes(t, upper)
	wantEtcAttributes(t, m.path("etc"))
}

// wantEtcAttributes compares a directory with the image's /etc.
func wantEtcAttributes(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Error(err)
		return
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Mode != syscall.S_IFDIR|0o2751 || st.Gid != 7 {
		t.Errorf("%s has mode %#o and group %d; want 042751 and 7", name, st.Mode, st.Gid)
	}
	value := make([]byte, 16)
	n, err := syscall.Getxattr(name, "user.note", value)
	if err != nil || string(value[:n]) != "kept" {
		t.Errorf("Getxattr(%s, user.note) = %q, %v; want that of the image", name, value[:max(n, 0)], err)
	}
}

func TestLocalChangesLast(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t)
		for boot, want := range []string{"default\n", "changed\n"} {
			where := ns.Dir(t)
			in := m.input(rootconfig.Config{})
			in.Where = where
			k, err := ProbeKernel()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.apply(Plan(in), k); err != nil {
				t.Fatalf("boot %d: Apply = %v", boot, err)
			}
			wantFile(t, where+"/etc/default.conf", want)
			mustWrite(t, where+"/etc/default.conf", "changed\n")
			if err := syscall.Unmount(where, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestModes(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, mode := range []rootconfig.Mode{rootconfig.None, rootconfig.Bind, rootconfig.Overlay, rootconfig.Transient} {
			for _, transientRoot := range []bool{false, true} {
				name := string(mode)
				if transientRoot {
					name += ", transient root"
				}
				t.Run(name, func(t *testing.T) { testMode(t, mode, transientRoot) })
			}
		}
	})
}

func testMode(t *testing.T, mode rootconfig.Mode, transientRoot bool) {
	m := newMachine(t)
	m.mkdir(m.target.ID.EtcDir())
	mustWrite(t, m.path(m.target.ID.EtcDir()+"/copy.conf"), "a copy\n")
	k, err := ProbeKernel()
	if err != nil {
		t.Fatal(err)
	}
	in := m.input(rootconfig.Config{RootTransient: transientRoot, Etc: mode, Var: mode})
	in.Where = ns.Dir(t)
	if _, err := m.apply(Plan(in), k); err != nil {
		t.Fatalf("Apply = %v", err)
	}
	kept := m.path(deployment.SharedVar + "/new")
	changed := filepath.Join(in.Where, "var/new")
	if mode == rootconfig.None && !transientRoot {
		wantNoWrite(t, changed)
	} else {
		mustWrite(t, changed, "new\n")
		wantFile(t, changed, "new\n")
	}
	if mode == rootconfig.Bind || mode == rootconfig.Overlay {
		wantFile(t, kept, "new\n")
	} else {
		wantMissing(t, kept)
	}
	if mode == rootconfig.Bind {
		wantFile(t, filepath.Join(in.Where, "etc/copy.conf"), "a copy\n")
	} else {
		wantFile(t, filepath.Join(in.Where, "etc/default.conf"), "default\n")
	}
	root, _ := mountplan.At(mounted(t), in.Where)
	if id, ok := deployment.FromMountSource(root.What); !ok || id != m.target.ID {
		t.Errorf("mount source %q; want one that names deployment %s", root.What, m.target.ID.Short())
	}
	wantFlags(t, in.Where)
	if transientRoot {
		mustWrite(t, filepath.Join(in.Where, "usr/new"), "in memory\n")
	} else {
		wantNoWrite(t, filepath.Join(in.Where, "usr/new"))
	}
}

// wantFlags checks that nothing can be run or opened as a device by way of /sysroot,
// and all of it by way of the other mounts of a root.
func wantFlags(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"/sysroot", "/etc", "/var", ""} {
		m, ok := mountplan.At(mounted(t), root+dir)
		for _, flag := range []string{"nosuid", "nodev", "noexec"} {
			if got := slices.Contains(m.Options, flag); ok && got != (dir == "/sysroot") {
				t.Errorf("the mount at %s has %s: %v", cmp.Or(dir, "/"), flag, got)
			}
		}
	}
}

// TestRunningSystem prepares another root in a system that runs, whose physical root is
// mounted so that nothing in it can be run, and whose /var is in use.
func TestRunningSystem(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for name, kernel := range kernels(t) {
			for _, mode := range []rootconfig.Mode{rootconfig.Overlay, rootconfig.Bind} {
				t.Run(name+", "+string(mode), func(t *testing.T) { testRunningSystem(t, mode, kernel, 0) })
			}
			t.Run(name+", remounted", func(t *testing.T) {
				testRunningSystem(t, rootconfig.Bind, kernel, syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC)
			})
		}
	})
}

func testRunningSystem(t *testing.T, mode rootconfig.Mode, k Kernel, remount uintptr) {
	m := newMachine(t)
	m.mkdir(m.target.ID.EtcDir())
	in := m.input(rootconfig.Config{Etc: mode, Var: mode})
	running := ns.Dir(t)
	// As it was before the soft reboot.
	before := Plan(in)
	before[len(before)-1].Where = running
	if _, err := m.apply(before, k); err != nil {
		t.Fatalf("Apply = %v", err)
	}
	mustWrite(t, running+"/var/old", "old\n")
	if remount != 0 { // by somebody who wanted to write there
		if err := syscall.Mount("", running+"/sysroot", "", syscall.MS_REMOUNT|syscall.MS_BIND|remount, ""); err != nil {
			t.Fatal(err)
		}
	}

	in.Sysroot, in.Where = filepath.Join(running, "sysroot"), ns.Dir(t)
	var warnings []string
	if err := Apply(Plan(in), in.Sysroot, k, func(text string) { warnings = append(warnings, text) }); err != nil || len(warnings) > 0 {
		t.Fatalf("Apply = %v, warnings %q", err, warnings)
	}
	wantFlags(t, in.Where)
	wantFile(t, in.Where+"/usr/tool", toolText)
	mustWrite(t, in.Where+"/etc/new", "new\n")
	mustWrite(t, in.Where+"/var/new", "new\n")
	wantFile(t, in.Where+"/var/old", "old\n")
	wantNoWrite(t, in.Where+"/sysroot/new")
	if mode == rootconfig.Overlay { // copying a file up needs the work directory
		mustWrite(t, running+"/var/lib/seed", "changed\n")
	}
}

func TestReadOnlyPhysicalRoot(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		k, err := ProbeKernel()
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t)
		if err := syscall.Mount(m.sysroot, m.sysroot, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("", m.sysroot, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(Plan(m.input(rootconfig.Config{})), k); err != nil {
			t.Fatalf("Apply = %v", err)
		}
		mustWrite(t, m.path("etc/default.conf"), "local\n")
		wantNoWrite(t, m.path("sysroot/new"))
	})
}

func mounted(t *testing.T) []mountplan.Mounted {
	t.Helper()
	all, err := mountplan.ParseMountinfo(mountTable(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
