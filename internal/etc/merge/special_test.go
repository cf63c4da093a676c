package merge

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// largestXattr is the largest value that the kernel takes, XATTR_SIZE_MAX.
const largestXattr = 65536

// mountLarge mounts an ext4 that keeps such values, in inodes of their own.
func mountLarge(t *testing.T, dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "ext4")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	if out, err := exec.Command(mkfs, "-q", "-O", "ea_inode", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no loop devices here: %v: %s", err, out)
	}
}

// Values as large as the kernel takes them survive, in an upper directory and in
// a full copy.
func TestLargestXattrs(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir := ns.Dir(t)
		mountLarge(t, dir)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		for _, name := range []string{"upper", "work", "etc"} {
			if err := root.Mkdir(name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		base := parseTree(t, "f = \"1\"\nd/g = \"1\"")
		if err := WriteDir(t.Context(), root, "base", base, noObjects); err != nil {
			t.Fatal(err)
		}
		etc := filepath.Join(dir, "etc")
		options := "lowerdir=" + dir + "/base,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
		if err := syscall.Mount("overlay", etc, "overlay", 0, options); err != nil {
			t.Fatal(err)
		}
		value := bytes.Repeat([]byte("0123456789abcdef"), largestXattr/16)
		for _, name := range []string{"f", "d"} {
			for _, attr := range []string{"user.large", "trusted.large"} {
				if err := syscall.Setxattr(filepath.Join(etc, name), attr, value, 0); err != nil {
					t.Fatalf("setxattr %s on %s: %v", attr, name, err)
				}
			}
		}
		if err := syscall.Unmount(etc, 0); err != nil {
			t.Fatal(err)
		}
		upper, err := root.Open("upper")
		if err != nil {
			t.Fatal(err)
		}
		defer upper.Close()
		local, err := readUpper(upper, base, digest.SHA512)
		if err != nil {
			t.Fatal(err)
		}
		next := parseTree(t, "f = \"2\"\nd/g = \"2\"\nd/h = \"2\"")
		open := LocalOpener(upper, noObjects)
		result := mustRebase(t, base, local, next, Options{Open: open})
		if err := WriteUpper(t.Context(), root, "upper2", result.Tree, next, open); err != nil {
			t.Fatalf("WriteUpper = %v", err)
		}
		if err := WriteDir(t.Context(), root, "bind", result.Tree, open); err != nil {
			t.Fatalf("WriteDir = %v", err)
		}
		for _, name := range []string{"upper2/f", "upper2/d", "bind/f", "bind/d"} {
			for _, attr := range []string{"user.large", "trusted.large"} {
				got := make([]byte, largestXattr+1)
				n, err := syscall.Getxattr(filepath.Join(dir, name), attr, got)
				if err != nil || !bytes.Equal(got[:max(n, 0)], value) {
					t.Errorf("%s of %s: %d bytes, %v; want the %d that were set", attr, name, n, err, largestXattr)
				}
			}
		}
	})
}

// An edit that came after a deployment was staged is in what finalize reads: the
// upper directory of an overlay that is still mounted.
func TestReadUpperWhileMounted(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t, parseTree(t, `a = "1"`))
		m.mount("")
		for i, content := range []string{"first", "second", strings.Repeat("third", 1000)} {
			if err := os.WriteFile(m.path("etc/a"), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			n := m.local().Entry("a")
			data, err := compare{t.Context(), LocalOpener(m.open("upper"), nil)}.read(n)
			if err != nil || string(data) != content {
				t.Errorf("edit %d: readUpper finds %.20q, %v; want %.20q", i, data, err, content)
			}
		}
	})
}

// Part of an image that was not read is an error, and never an empty file.
func TestNotReadIsNotWritten(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		_, root := openTemp(t)
		node := parseTree(t, `a = "1"`)
		node.Set("b", &tree.Node{})
		if err := WriteDir(t.Context(), root, "etc", node, noObjects); err == nil || !strings.Contains(err.Error(), errNotRead.Error()) {
			t.Errorf("WriteDir = %v; want %v", err, errNotRead)
		}
		if _, err := Rebase(t.Context(), parseTree(t, `b = "1"`), node, parseTree(t, ""), Options{Open: noObjects}); err == nil {
			t.Error("Rebase gives no error")
		}
	})
}

// What chattr(1) protects in a full copy of /etc is protected in the next one,
// can be replaced there, and removed; an overlay has it by another way.
func TestProtectionSurvives(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t, parseTree(t, "resolv.conf = \"1\"\nlog = \"1\"\nd/f = \"1\""))
		t.Cleanup(func() { _ = exec.Command("chattr", "-R", "-ia", m.dir).Run() })
		for name, attr := range map[string]string{"resolv.conf": "+i", "log": "+a", "d": "+i"} {
			if out, err := exec.Command("chattr", attr, m.path("base/"+name)).CombinedOutput(); err != nil {
				t.Skipf("this file system cannot keep the attribute: %v: %s", err, out)
			}
		}
		local := m.tree("base")
		open := LocalOpener(m.open("base"), nil)
		result := mustRebase(t, m.base, local, m.base, Options{Open: open})
		for range 2 { // the second time over the first
			if err := WriteDir(t.Context(), m.root, "next", result.Tree, open); err != nil {
				t.Fatalf("WriteDir = %v", err)
			}
		}
		checkSame(t, "the full copy", m.tree("next"), local)
		if err := os.Remove(m.path("next/d/f")); !errors.Is(err, syscall.EPERM) {
			t.Errorf("removing from an immutable directory = %v; want %v", err, syscall.EPERM)
		}
		if err := WriteUpper(t.Context(), m.root, "upper", result.Tree, m.base, open); err != nil {
			t.Fatalf("WriteUpper = %v", err)
		}
		m.mount("")
		checkSame(t, "the overlay", m.tree("etc"), local)
		if err := os.WriteFile(m.path("etc/resolv.conf"), nil, 0o644); !errors.Is(err, syscall.EPERM) {
			t.Errorf("writing an immutable file = %v; want %v", err, syscall.EPERM)
		}
		if err := durable.RemoveAll(durable.OS(m.root), "next"); err != nil {
			t.Errorf("RemoveAll = %v", err)
		}
		if left := m.names(""); slices.Contains(left, "next") {
			t.Errorf("left: %q", left)
		}
	})
}
