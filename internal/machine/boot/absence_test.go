package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// there reports whether there is something of a name on a partition.
func there(p *Partition, name string) bool {
	found, err := p.exists(name)
	return found && err == nil
}

// hasFile does so for a file with content.
func hasFile(p *Partition, name string) bool {
	found, err := p.isFile(name)
	return found && err == nil
}

// loop makes a link that leads to itself: what is below it can be looked at by nobody.
func loop(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(filepath.Base(path), path)); err != nil {
		t.Fatal(err)
	}
}

// What cannot be looked at is not taken for missing.
func TestNotSeeingIsNotAbsence(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"file": "x", "empty": ""})
	loop(t, dir, "loop")
	p := open(t, dir, nil)
	for name, want := range map[string]bool{
		"file": true, "empty": false, "none": false, "file/below": false, "none/below": false, strings.Repeat("x", 300): false, ".": false,
	} {
		if found, err := p.isFile(name); found != want || err != nil {
			t.Errorf("isFile(%s) = %v, %v; want %v", name, found, err, want)
		}
	}
	if found, err := p.isFile("loop"); found || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("isFile(loop) = %v, %v; want ELOOP", found, err)
	}
	if found, err := p.exists("loop/below"); found || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("exists(loop/below) = %v, %v; want ELOOP", found, err)
	}
	if found, err := p.Has(`\x\..\..\FILE\..\file`); !found || err != nil {
		t.Errorf("Has by an odd path = %v, %v; want true", found, err)
	}
}

// A kernel that cannot be looked at is neither written anew nor taken for unused.
func TestKernelOutOfSight(t *testing.T) {
	dir := t.TempDir()
	digest, _, err := writeKernel(open(t, dir, nil), "kernel", "initrd")
	if err != nil {
		t.Fatal(err)
	}
	loop(t, dir, kernelsDir+"/"+digest+"/vmlinuz")
	before := tree(t, dir)
	if _, created, err := writeKernel(open(t, dir, nil), "kernel", "initrd"); created || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("WriteKernel = %v, %v; want ELOOP", created, err)
	}
	if after := tree(t, dir); !slices.Equal(after, before) {
		t.Errorf("WriteKernel has changed %q to %q", before, after)
	}
}

// As long as an entry cannot be read, all kernels stay: it may name any.
func TestPruneBesideUnreadableEntry(t *testing.T) {
	for _, name := range []string{entriesDir + "/other.conf", bootcStaged + "/other.conf"} {
		dir := machineWith(t, "sysupdate-image-000001-a.conf=a")
		p := open(t, dir, nil)
		put(t, dir, map[string]string{kernelsDir + "/unnamed/vmlinuz": "x", name: strings.Repeat("x", 1<<20)})
		if err := prune(p, "", "a"); err != nil || !hasFile(p, kernelsDir+"/unnamed/vmlinuz") {
			t.Errorf("%s: prune: %v; the kernel is there: %v", name, err, hasFile(p, kernelsDir+"/unnamed/vmlinuz"))
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := prune(p, "", "a"); err != nil || hasFile(p, kernelsDir+"/unnamed/vmlinuz") {
			t.Errorf("%s is gone: prune: %v; the kernel is there: %v", name, err, hasFile(p, kernelsDir+"/unnamed/vmlinuz"))
		}
	}
}

// The loader's variables decide what is taken for the boot partition, and whether boots
// are counted.
func TestVariablesOutOfSight(t *testing.T) {
	for _, name := range []string{"LoaderFeatures", "LoaderDevicePartUUID"} {
		m := fakeMachine(t)
		loop(t, m.root.Name(), bootcount.VariableFile(name))
		if p, err := m.findBoot("/sysroot"); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("%s: findBoot = %v, %v; want ELOOP", name, p, err)
		}
	}
	m := fakeMachine(t, "link sys/devices/vda/vda1/slaves slaves")
	if lower, err := m.beneath("vda1", 0); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("beneath = %q, %v; want ELOOP", lower, err)
	}
}

// Whatever case and form a path has, it is that of the file that FAT has by it.
func TestEntryNamesOddPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/sysupdate-image/d/x.dtb": true, `\SYSUPDATE-IMAGE\D\x.dtb`: true, "//sysupdate-image/./d//x.dtb": true,
		"/x/../sysupdate-image/d/x.dtb": true, "/../sysupdate-image/d/x.dtb": true,
		"/sysupdate-image/dd/x.dtb": false, "/x/sysupdate-image/d/x.dtb": false, "/sysupdate-image/d/../e/x.dtb": false,
	} {
		for _, key := range []string{bootentry.DeviceTree, bootentry.Overlays} {
			f := EntryFile{Entry: bootentry.Entry{Linux: "/k", Other: []bootentry.KeyValue{{Key: key, Value: path}}}}
			if got := f.names("sysupdate-image/d"); got != want {
				t.Errorf("%s %s names sysupdate-image/d: %v; want %v", key, path, got, want)
			}
		}
	}
}

func TestIsInKernel(t *testing.T) {
	for path, want := range map[string]bool{
		"/sysupdate-image/d/dtb/x": true, `\Sysupdate-Image\d\dtb\x`: true, "/EFI/Linux/bootc_composefs-d/dtb/x": true, "/efi/linux/BOOTC_composefs-d/dtb/x": true,
		"/EFI/Linux/x.dtb": false, "/sysupdate-image": false, "/sysupdate-image/../x": false, "/dtb/sysupdate-image/x": false,
	} {
		if got := IsInKernel(path); got != want {
			t.Errorf("IsInKernel(%s) = %v; want %v", path, got, want)
		}
	}
}

// An entry that cannot be read may name any kernel, also one that is not there yet.
func TestWriteKernelBesideUnreadableEntry(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, nil)
	large := filepath.Join(dir, entriesDir, "large.conf")
	if err := errors.Join(os.MkdirAll(filepath.Dir(large), 0o755), os.WriteFile(large, make([]byte, 70_000), 0o644)); err != nil {
		t.Fatal(err)
	}
	digest, created, err := writeKernel(p, "kernel", "initrd")
	if err != nil || !created {
		t.Fatalf("WriteKernel = %v, %v; want it created", created, err)
	}
	if _, created, err := writeKernel(p, "kernel", "initrd"); err != nil || created {
		t.Errorf("WriteKernel again = %v, %v; want it found", created, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, kernelsDir, digest, initrdFile)); err != nil || string(text) != "initrd" {
		t.Errorf("initrd is %q, %v", text, err)
	}
}
