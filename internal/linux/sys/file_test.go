package sys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func openDir(t *testing.T, path string) *os.File {
	t.Helper()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func TestUnlinkat(t *testing.T) {
	dir := openDir(t, t.TempDir())
	if err := Mknodat(dir, "a", syscall.S_IFREG|0o600, 0); err != nil {
		t.Fatal(err)
	}
	if err := Unlinkat(dir, "a"); err != nil {
		t.Error(err)
	}
	if err := Unlinkat(dir, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second Unlinkat = %v; want fs.ErrNotExist", err)
	}
}

func TestRmdirat(t *testing.T) {
	dir := openDir(t, t.TempDir())
	if err := errors.Join(Mkdirat(dir, "a", 0o700), Mknodat(dir, "b", syscall.S_IFREG|0o600, 0)); err != nil {
		t.Fatal(err)
	}
	if err := Rmdirat(dir, "a"); err != nil {
		t.Error(err)
	}
	if err := Rmdirat(dir, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second Rmdirat = %v; want fs.ErrNotExist", err)
	}
	if err := Rmdirat(dir, "b"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Rmdirat of a file = %v; want %v", err, syscall.ENOTDIR)
	}
}

// TestLongNames: names in errors do not grow with the depth of a tree, and lead back up.
func TestLongNames(t *testing.T) {
	null := openDir(t, os.DevNull)
	fd, err := syscall.Dup(int(null.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	dir := os.NewFile(uintptr(fd), strings.Repeat("/d", maxName))
	defer dir.Close()
	if got, want := nameOf(dir, "file"), elided+"/file"; got != want {
		t.Errorf("nameOf = %.40q; want %q", got, want)
	}
	for dir, want := range map[string]string{
		"/a/b": "/a", "/a": "/", "a/b": "a", "a": ".", elided + "/a": elided, elided: elided,
	} {
		if got := parentOf(dir); got != want {
			t.Errorf("parentOf(%q) = %q; want %q", dir, got, want)
		}
	}
}

func TestTmpfile(t *testing.T) {
	dir := openDir(t, t.TempDir())
	f, err := Tmpfile(dir, ".", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	again, err := Reopen(f, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	f.Close()
	if err := LinkFile(again, dir, "a"); err != nil {
		t.Fatal(err)
	}
	if err := LinkFile(again, dir, "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second LinkFile = %v; want fs.ErrExist", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir.Name(), "a")); string(got) != "hello" {
		t.Errorf("a = %q, %v; want hello", got, err)
	}
	if err := Syncfs(dir); err != nil {
		t.Error(err)
	}
	if err := LinkFile(f, dir, "b"); err == nil {
		t.Error("LinkFile of a closed file gives no error")
	}
}

func TestRenameat2(t *testing.T) {
	dir := openDir(t, t.TempDir())
	for _, name := range []string{"a", "b"} {
		if err := Mknodat(dir, name, syscall.S_IFREG|0o600, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := Renameat2(dir, "a", dir, "b", RenameNoReplace); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Renameat2 over a file = %v; want fs.ErrExist", err)
	}
	if err := Renameat2(dir, "a", dir, "b", RenameExchange); err != nil {
		t.Error(err)
	}
}

func TestStatx(t *testing.T) {
	dir := openDir(t, t.TempDir())
	if err := Mknodat(dir, "fifo", syscall.S_IFIFO|0o600, 0); err != nil {
		t.Fatal(err)
	}
	mtime := time.Unix(-5, 123456789)
	if err := Fchmodat(dir, "fifo", 0o4750); err != nil {
		t.Fatal(err)
	}
	if err := Utimensat(dir, "fifo", mtime); err != nil {
		t.Fatal(err)
	}
	if err := Fchownat(dir, "fifo", uint32(os.Getuid()), uint32(os.Getgid())); err != nil {
		t.Fatal(err)
	}
	s, err := Statx(dir, "fifo")
	if err != nil || s.Mode&syscall.S_IFMT != syscall.S_IFIFO || !s.Mtime.Equal(mtime) {
		t.Errorf("Statx = %+v, %v; want a FIFO of %v", s, err, mtime)
	}
	if d, err := Statx(dir, ""); err != nil || d.MountID != s.MountID || d.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("Statx of the directory = %+v, %v; want a directory on the same mount", d, err)
	}
	if err := os.Symlink("fifo", filepath.Join(dir.Name(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := Fchmodat(dir, "link", 0o600); err == nil {
		t.Error("Fchmodat of a symbolic link gives no error")
	}
	if target, err := Readlink(dir, "link"); target != "fifo" {
		t.Errorf("Readlink = %q, %v; want fifo", target, err)
	}
	if free, err := Statfs(dir); err != nil || free.Size == 0 || free.Available > free.Size {
		t.Errorf("Statfs = %+v, %v; want a size", free, err)
	}
}

// TestXattr needs user.* attributes, which every disk file system and tmpfs
// since Linux 6.6 have.
func TestXattr(t *testing.T) {
	dir := openDir(t, t.TempDir())
	if err := Mknodat(dir, "a", syscall.S_IFREG|0o600, 0); err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte{0, 'x'}, 1500) // more than the first try, binary
	err := Setxattr(dir, "a", "user.big", big)
	if errors.Is(err, syscall.ENOTSUP) {
		t.Skip("the file system has no user xattrs")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Setxattr(dir, "a", "user.empty", nil); err != nil {
		t.Fatal(err)
	}
	path, err := Openat(dir, "a", 0o10000000 /* O_PATH */, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer path.Close()
	for _, at := range []struct {
		dir  *os.File
		name string
	}{{dir, "a"}, {path, ""}} {
		names, err := Listxattr(at.dir, at.name)
		if err != nil || !slices.Contains(names, "user.big") || !slices.Contains(names, "user.empty") {
			t.Errorf("Listxattr(%q) = %q, %v; want user.big and user.empty", at.name, names, err)
		}
		if got, err := Getxattr(at.dir, at.name, "user.big"); err != nil || !bytes.Equal(got, big) {
			t.Errorf("Getxattr(%q) = %d bytes, %v; want %d", at.name, len(got), err, len(big))
		}
		if got, err := Getxattr(at.dir, at.name, "user.empty"); err != nil || len(got) != 0 {
			t.Errorf("Getxattr(%q, empty) = %q, %v; want nothing", at.name, got, err)
		}
		if _, err := Getxattr(at.dir, at.name, "user.none"); !errors.Is(err, ErrNoXattr) {
			t.Errorf("Getxattr(%q, none) = %v; want ErrNoXattr", at.name, err)
		}
	}
	if err := Removexattr(dir, "a", "user.big"); err != nil {
		t.Error(err)
	}
	if err := Setxattr(dir, "../a", "user.x", nil); err == nil {
		t.Error("Setxattr of a path gives no error")
	}
}

func TestOpenat2(t *testing.T) {
	dir := openDir(t, t.TempDir())
	if err := os.Symlink("/a", filepath.Join(dir.Name(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.Name(), "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Openat2(dir, "../../link", os.O_RDONLY, 0, ResolveInRoot)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Openat2(dir, "link", os.O_RDONLY, 0, ResolveBeneath); err == nil {
		t.Error("Openat2 of an absolute link beneath gives no error")
	}
}

func TestTryFlock(t *testing.T) {
	path := t.TempDir()
	a, b := openDir(t, path), openDir(t, path)
	tests := []struct {
		f         *os.File
		exclusive bool
		want      bool
	}{{a, false, true}, {b, false, true}, {b, true, false}}
	for _, tt := range tests {
		if got, err := TryFlock(tt.f, tt.exclusive); got != tt.want || err != nil {
			t.Errorf("TryFlock(exclusive %v) = %v, %v; want %v", tt.exclusive, got, err, tt.want)
		}
	}
	a.Close()
	if got, err := TryFlock(b, true); !got || err != nil {
		t.Errorf("TryFlock when the other is gone = %v, %v; want true", got, err)
	}
}
