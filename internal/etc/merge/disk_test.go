package merge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A machine is a directory with what an overlay of /etc consists of.
type machine struct {
	t    *testing.T
	dir  string
	root *os.Root
	base *tree.Node
}

// newMachine returns a machine whose image has the tree base.
func newMachine(t *testing.T, base *tree.Node) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), base: base}
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m.root = root
	for _, name := range []string{"upper", "work", "etc"} {
		if err := root.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteDir(t.Context(), root, "base", base, noObjects); err != nil {
		t.Fatalf("WriteDir = %v", err)
	}
	return m
}

// mount mounts the overlay and unmounts it when the test ends.
func (m *machine) mount(options string) {
	m.t.Helper()
	data := "lowerdir=" + m.dir + "/base,upperdir=" + m.dir + "/upper,workdir=" + m.dir + "/work" + options
	if err := syscall.Mount("overlay", m.path("etc"), "overlay", 0, data); err != nil {
		m.t.Fatalf("mount overlay: %v", err)
	}
	m.t.Cleanup(func() { syscall.Unmount(m.path("etc"), syscall.MNT_DETACH) })
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) open(name string) *os.File {
	m.t.Helper()
	f, err := os.Open(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	return f
}

// tree returns the tree of a directory as it is on disk.
func (m *machine) tree(name string) *tree.Node {
	m.t.Helper()
	n, err := ReadDir(m.t.Context(), m.open(name), digest.SHA256, nil)
	if err != nil {
		m.t.Fatalf("ReadDir(%s) = %v", name, err)
	}
	return n
}

// readUpper returns the tree that one sees through an overlay whose upper
// directory is dir and whose lower directory is base.
func readUpper(dir *os.File, base *tree.Node, alg digest.Algorithm) (*tree.Node, error) {
	upper, err := ReadDir(context.Background(), dir, alg, nil)
	if err != nil {
		return nil, err
	}
	return FromUpper(upper, base)
}

// local returns what readUpper finds.
func (m *machine) local() *tree.Node {
	m.t.Helper()
	n, err := readUpper(m.open("upper"), m.base, digest.SHA256)
	if err != nil {
		m.t.Fatalf("readUpper = %v", err)
	}
	return n
}

// The kernel must show the trees that the upper directories are made for, and
// readUpper must see what the kernel shows.
func TestUpperOnDisk(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, c := range rebaseCases(t) {
			t.Run(c.name, func(t *testing.T) {
				m := newMachine(t, c.base)
				if err := WriteUpper(t.Context(), m.root, "upper", c.local, c.base, noObjects); err != nil {
					t.Fatalf("WriteUpper = %v", err)
				}
				m.mount("")
				checkSame(t, "what the kernel shows", m.tree("etc"), c.local)
				checkTimes(t, m.tree("upper"), c.local)
				checkSame(t, "what readUpper finds", m.local(), c.local)
				if got, want := len(m.names("")), 4; got != want {
					t.Errorf("%d names beside the upper directory: %q; want %d", got, m.names(""), want)
				}
			})
		}
	})
}

func (m *machine) names(dir string) []string {
	m.t.Helper()
	entries, err := os.ReadDir(m.path(dir))
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// checkTimes fails the test if a file in got has another time than in want.
func checkTimes(t *testing.T, got, want *tree.Node) {
	t.Helper()
	got.Walk(func(path string, n *tree.Node) {
		if w := want.Lookup(path); w != nil && n.Mtime != w.Mtime {
			t.Errorf("time of %s = %v; want %v", path, n.Mtime, w.Mtime)
		}
	})
}

// A full copy of /etc, as bootc keeps it, is written and read back.
func TestDirOnDisk(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, c := range rebaseCases(t) {
			t.Run(c.name, func(t *testing.T) {
				merged := mustRebase(t, c.base, c.local, c.new, c.opts).Tree
				m := newMachine(t, merged)
				got := m.tree("base")
				checkSame(t, "what is on disk", got, merged)
				checkTimes(t, got, merged)
				inlineContents(t, got, LocalOpener(m.open("base"), nil))
				if g, w := formatTree(t, got), formatTree(t, merged); g != w {
					t.Errorf("on disk:\n%swant:\n%s", g, w)
				}
			})
		}
	})
}

// inlineContents reads all contents into the tree.
func inlineContents(t *testing.T, root *tree.Node, open Opener) {
	t.Helper()
	root.Walk(func(path string, n *tree.Node) {
		if !n.IsRegular() || diff.Size(n) == 0 {
			return
		}
		data, err := compare{t.Context(), open}.read(n)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		n.Inline = data
	})
}

// largeValue is as large as ext4 takes it without a feature of its own.
var largeValue = bytes.Repeat([]byte("0123456789abcdef"), 3000/16)

// editing is what people and programs do to /etc.
func (m *machine) editing() []struct {
	name string
	do   func() error
} {
	etc := m.path("etc") + "/"
	return []struct {
		name string
		do   func() error
	}{
		{"write", func() error { return os.WriteFile(etc+"a", []byte(strings.Repeat("mine", 99)), 0o644) }},
		{"append", func() error {
			f, err := os.OpenFile(etc+"big", os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
				err = errors.Join(err, f.Close())
			}
			return err
		}},
		{"chmod", func() error { return os.Chmod(etc+"big2", 0o600) }},
		{"chmod setuid", func() error { return syscall.Chmod(etc+"s", 0o4755) }},
		{"chown directory", func() error { return os.Chown(etc+"own", 3, 4) }},
		{"remove", func() error { return os.Remove(etc + "gone") }},
		{"remove directory", func() error { return os.RemoveAll(etc + "dir") }},
		{"make it again", func() error { return os.Mkdir(etc+"dir", 0o700) }},
		{"file in it", func() error { return os.WriteFile(etc+"dir/new", nil, 0o600) }},
		{"file to directory", func() error { return errors.Join(os.Remove(etc+"f"), os.MkdirAll(etc+"f/g", 0o755)) }},
		{"directory to link", func() error { return errors.Join(os.RemoveAll(etc+"d"), os.Symlink("/srv", etc+"d")) }},
		{"rename file", func() error { return os.Rename(etc+"big3", etc+"big4") }},
		{"rename directory", func() error { return tolerate(os.Rename(etc+"move/x", etc+"moved"), syscall.EXDEV) }},
		{"write below it", func() error { return tolerate(os.WriteFile(etc+"moved/mine", nil, 0o644), syscall.ENOENT) }},
		{"rename in place", func() error { return tolerate(os.Rename(etc+"same/x", etc+"same/y"), syscall.EXDEV) }},
		{"link", func() error { return os.Link(etc+"link", etc+"link2") }},
		{"link elsewhere", func() error { return os.Link(etc+"link", etc+"own/link3") }},
		{"write one of two names", func() error { return os.WriteFile(etc+"two", []byte("mine"), 0o644) }},
		{"fifo", func() error { return syscall.Mkfifo(etc+"fifo", 0o620) }},
		{"device", func() error { return syscall.Mknod(etc+"null", syscall.S_IFCHR|0o666, 0x103) }},
		{"xattr", func() error { return syscall.Setxattr(etc+"x", "user.large", largeValue, 0) }},
		{"trusted xattr", func() error { return syscall.Setxattr(etc+"x", "trusted.mine", []byte("1"), 0) }},
		{"xattr of a link", func() error {
			dir := m.open("etc")
			return errors.Join(os.Symlink("x", etc+"l"), sys.Setxattr(dir, "l", "trusted.mine", []byte("2")))
		}},
		{"acl", func() error { return exec.Command("setfacl", "-m", "u:77:rw,d:u:78:r", etc+"own").Run() }},
		{"touch", func() error { return os.Chtimes(etc+"touched", m.now(), m.now()) }},
		{"dangling link", func() error { return os.Symlink("nowhere", etc+"dangling") }},
		{"long name", func() error { return os.WriteFile(etc+strings.Repeat("n", 255), nil, 0o644) }},
	}
}

const editedImage = `
a = "1"
big = "BIG"
big2 = "BIG"
big3 = "BIG"
big5 = "BIG"
s = "1" mode=0755
own/f = "1"
gone = "1"
dir/old = "1"
dir/s/old = "1"
f = "1"
d/x = "1"
move/x/y = "BIG"
move/x/z/y = "1"
same/x/y = "BIG"
same/x/z = "1"
link = "1"
two = "1"
two2 == two
x = "1"
touched = "1"
quiet/a/b/c = "BIG"
`

// What readUpper finds must be what the kernel shows after all sorts of edits,
// whatever overlayfs is configured to write into the upper directory.
func TestReadUpperAfterEditing(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, options := range []string{"", ",redirect_dir=on", ",redirect_dir=on,metacopy=on", ",xino=on,metacopy=off"} {
			t.Run(strings.NewReplacer(",", " ", "=", " ").Replace("with"+options), func(t *testing.T) {
				big := strings.Repeat("default ", 999)
				m := newMachine(t, parseTree(t, strings.ReplaceAll(editedImage, "BIG", big)))
				m.mount(options)
				for _, step := range m.editing() {
					if err := step.do(); err != nil {
						t.Fatalf("%s: %v", step.name, err)
					}
				}
				seen := m.tree("etc")
				local := m.local()
				objects := LocalOpener(m.open("upper"), nil)
				same, err := compare{t.Context(), objects}.sameTree(local, seen)
				if err != nil {
					t.Fatal(err)
				}
				if !same {
					changes, err := Diff(t.Context(), seen, local, objects)
					t.Errorf("readUpper finds otherwise than the kernel shows: %v, %v", changes, err)
				}
				if local.Entry("link") != local.Lookup("own/link3") || local.Entry("link2") != local.Entry("link") {
					t.Error("readUpper does not find three names of one file")
				}
				if local.Entry("quiet") != m.base.Entry("quiet") {
					t.Error("readUpper copied a directory that nobody changed")
				}
				rewrite(t, m, local, seen)
			})
		}
	})
}

// rewrite moves the changes to a new deployment of the same image, and looks
// at it through the kernel.
func rewrite(t *testing.T, m *machine, local, seen *tree.Node) {
	t.Helper()
	next := newMachine(t, m.base)
	open := LocalOpener(m.open("upper"), nil)
	result, err := Rebase(t.Context(), m.base, local, m.base, Options{Open: open})
	if err != nil {
		t.Fatalf("Rebase = %v", err)
	}
	for range 2 { // the second time over the first
		if err := WriteUpper(t.Context(), next.root, "upper", result.Tree, m.base, open); err != nil {
			t.Fatalf("WriteUpper = %v", err)
		}
	}
	next.mount("")
	changes, err := Diff(t.Context(), seen, next.tree("etc"), LocalOpener(m.open("etc"), nil))
	if err != nil || len(changes) != 0 {
		t.Errorf("the next deployment shows something else: %v, %v", changes, err)
	}
	if next.tree("upper").Entry("touched") != nil {
		t.Error("a file that was only touched is in the new upper directory")
	}
}

// now is any time but that of the image.
func (m *machine) now() time.Time { return time.Unix(1700000000, 0) }

// tolerate returns err unless it is one that the configuration explains.
func tolerate(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// chattr +i is kept by overlayfs as a note in the upper directory.
func TestImmutableSurvives(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t, parseTree(t, `resolv.conf = "1"`))
		m.mount("")
		if out, err := exec.Command("chattr", "+i", m.path("etc/resolv.conf")).CombinedOutput(); err != nil {
			t.Skipf("this file system cannot keep the attribute: %v: %s", err, out)
		}
		next := newMachine(t, m.base)
		open := LocalOpener(m.open("upper"), nil)
		result, err := Rebase(t.Context(), m.base, m.local(), m.base, Options{Open: open})
		if err != nil {
			t.Fatalf("Rebase = %v", err)
		}
		if err := WriteUpper(t.Context(), next.root, "upper", result.Tree, m.base, open); err != nil {
			t.Fatalf("WriteUpper = %v", err)
		}
		next.mount("")
		if err := os.WriteFile(next.path("etc/resolv.conf"), []byte("2"), 0o644); !errors.Is(err, syscall.EPERM) {
			t.Errorf("writing an immutable file = %v; want %v", err, syscall.EPERM)
		}
	})
}

// What is mounted below a bound /etc is no part of it.
func TestReadDirMountPoints(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := newMachine(t, parseTree(t, "a = \"1\"\nd/m/f = \"1\"\nhostname = \"old\""))
		if err := syscall.Mount("tmpfs", m.path("base/d/m"), "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer syscall.Unmount(m.path("base/d/m"), syscall.MNT_DETACH)
		if err := os.WriteFile(m.path("base/d/m/foreign"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(m.path("base/a"), m.path("base/hostname"), "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		defer syscall.Unmount(m.path("base/hostname"), syscall.MNT_DETACH)
		if got, want := formatTree(t, withoutTimes(m.tree("base"))), "a = \"1\"\nd/\n"; got != want {
			t.Errorf("ReadDir:\n%swant:\n%s", got, want)
		}
		n, err := ReadDir(t.Context(), m.open("base"), digest.SHA256, m.base.Lookup)
		if err != nil {
			t.Fatalf("ReadDir = %v", err)
		}
		checkSame(t, "with the default for mount points", n, m.base)
	})
}

func withoutTimes(n *tree.Node) *tree.Node {
	n.Walk(func(_ string, n *tree.Node) { n.Mtime = tree.Time{} })
	return n
}

// A file that is no longer what it was must not block the reader.
func TestLocalOpenerRefusesFIFO(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := newMachine(t, parseTree(t, `a = "`+strings.Repeat("x", 100)+`"`))
		n := m.tree("base").Entry("a")
		open := LocalOpener(m.open("base"), nil)
		if err := errors.Join(m.root.Remove("base/a"), syscall.Mkfifo(m.path("base/a"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if r, err := open(n); !errors.Is(err, ErrGone) {
			t.Errorf("opening a FIFO = %v, %v; want %v", r, err, ErrGone)
		}
	})
}
