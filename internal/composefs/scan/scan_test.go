package scan

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func scan(t *testing.T, dir string, opts Options) (*Tree, error) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if opts.Algorithm == 0 {
		opts.Algorithm = digest.SHA256
	}
	return Scan(t.Context(), f, opts)
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("large ", 100)
	mtime := time.Unix(1_234_567_890, 987_654_321)
	at := func(name string) string { return filepath.Join(dir, name) }
	check(t,
		os.Mkdir(at("d"), 0o750),
		os.WriteFile(at("d/empty"), nil, 0o600),
		os.WriteFile(at("d/small"), []byte("small"), 0o644),
		os.WriteFile(at("large"), []byte(large), 0o644),
		os.Chmod(at("large"), 0o644|os.ModeSetuid),
		os.Link(at("large"), at("d/linked")),
		os.Symlink("../nowhere", at("d/link")),
		syscall.Mkfifo(at("pipe"), 0o644),
		syscall.Mknod(at("socket"), syscall.S_IFSOCK|0o600, 0),
		os.Chtimes(at("large"), mtime, mtime),
	)
	root, err := scan(t, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{
		"d": tree.TypeDir | 0o750, "d/empty": tree.TypeRegular | 0o600, "d/small": tree.TypeRegular | 0o644,
		"large": tree.TypeRegular | 0o4644, "d/link": tree.TypeSymlink | 0o777,
		"pipe": tree.TypeFIFO | 0o644, "socket": tree.TypeSocket | 0o600,
	} {
		if n := root.Root.Lookup(path); n == nil || n.Mode != want {
			t.Errorf("Scan: %s is %+v; want mode %o", path, n, want)
		}
	}
	n := root.Root.Lookup("large")
	if want := verity.Sum(digest.SHA256, []byte(large)); n.Digest != want || n.Size != uint64(len(large)) || n.Inline != nil {
		t.Errorf("Scan: large has digest %s, size %d; want %s", n.Digest, n.Size, want)
	}
	if n != root.Root.Lookup("d/linked") || n.Nlink != 2 {
		t.Errorf("Scan: two names of a file are two files, or Nlink = %d; want 2", n.Nlink)
	}
	if want := (tree.Time{Sec: 1_234_567_890, Nsec: 987_654_321}); n.Mtime != want {
		t.Errorf("Scan: time is %v; want %v", n.Mtime, want)
	}
	if n := root.Root.Lookup("d/small"); string(n.Inline) != "small" || !n.Digest.IsZero() {
		t.Errorf("Scan: small content is %q, digest %s; want it inline", n.Inline, n.Digest)
	}
	if n := root.Root.Lookup("d/link"); n.Target != "../nowhere" {
		t.Errorf("Scan: link to %q; want ../nowhere", n.Target)
	}
	for path, want := range map[string]string{"large": large, "d/small": "small", "d/empty": ""} {
		if got := read(t, root, path); got != want {
			t.Errorf("content of %s is %q; want %q", path, got, want)
		}
	}
}

// TestShallow: a tree without digests has all but these and extended attributes, and its
// contents can be read.
func TestShallow(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.Mkdir(at("d"), 0o750), os.WriteFile(at("d/small"), []byte("small"), 0o644),
		os.WriteFile(at("large"), bytes.Repeat([]byte("x"), 1000), 0o600), os.Symlink("d", at("link")))
	files, err := scan(t, dir, Options{Shallow: true, NoMounts: true})
	check(t, err)
	if n := files.Root.Lookup("large"); n == nil || !n.Digest.IsZero() || n.Size != 1000 || n.Mode != tree.TypeRegular|0o600 {
		t.Errorf("Scan: large is %+v; want it without a digest", n)
	}
	if got := read(t, files, "d/small"); got != "small" {
		t.Errorf("content of d/small is %q; want small", got)
	}
	if got := read(t, files, "large"); len(got) != 1000 {
		t.Errorf("content of large has %d bytes; want 1000", len(got))
	}
	if n := files.Root.Lookup("link"); n == nil || n.Target != "d" {
		t.Errorf("Scan: link is %+v; want one to d", n)
	}
}

func read(t *testing.T, tree *Tree, path string) string {
	t.Helper()
	r, err := tree.Open(tree.Root.Lookup(path))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestXattrs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	check(t, os.WriteFile(file, nil, 0o644))
	long := bytes.Repeat([]byte{0, 0xff}, 400)
	if err := syscall.Setxattr(file, "user.long", long, 0); err == syscall.ENOTSUP {
		t.Skipf("the file system of %s has no extended attributes of users", dir)
	}
	check(t, syscall.Setxattr(dir, "user.root", nil, 0))
	tree, err := scan(t, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := tree.Root.Lookup("f").Xattr("user.long"); v != string(long) {
		t.Errorf("user.long is %q; want %q", v, long)
	}
	if v, ok := tree.Root.Xattr("user.root"); !ok || v != "" {
		t.Errorf("user.root of / is %q, %v; want it empty", v, ok)
	}
}

func TestStore(t *testing.T) {
	repo, err := repo.Init(filepath.Join(t.TempDir(), "repo"), repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	dir := t.TempDir()
	large := strings.Repeat("x", 1<<20)
	check(t, os.WriteFile(filepath.Join(dir, "large"), []byte(large), 0o644))
	tree, err := scan(t, dir, Options{Repository: repo})
	if err != nil {
		t.Fatal(err)
	}
	d := tree.Root.Lookup("large").Digest
	if !repo.HasObject(d) || d != verity.Sum(digest.SHA512, []byte(large)) {
		t.Errorf("object %s is not in the repository", d)
	}
}

// TestSalt: a file that fs-verity protects with a salt has the digest of its content,
// which is not what the kernel has for it.
func TestSalt(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("large ", 100)
	check(t, os.WriteFile(filepath.Join(dir, "large"), []byte(large), 0o644))
	f, err := os.Open(filepath.Join(dir, "large"))
	check(t, err)
	defer f.Close()
	switch err := enableSalted(f, []byte("salt")); err {
	case nil:
	case syscall.ENOTTY, syscall.EOPNOTSUPP:
		t.Skip("this file system has no fs-verity")
	default:
		t.Fatal(err)
	}
	want := verity.Sum(digest.SHA256, []byte(large))
	if salted, err := verity.Measure(f); err != nil || salted == want {
		t.Fatalf("the kernel has digest %v, %v; want another than %v", salted, err, want)
	}
	tree, err := scan(t, dir, Options{})
	check(t, err)
	if n := tree.Root.Lookup("large"); n.Digest != want {
		t.Errorf("Scan: large has digest %s; want %s", n.Digest, want)
	}
}

// enableSalted protects a file with sha256, blocks of 4 KiB and a salt.
func enableSalted(f *os.File, salt []byte) error {
	const enableVerity = 0x40806685 // FS_IOC_ENABLE_VERITY
	arg := struct {                 // fsverity_enable_arg
		version, algorithm, blockSize uint32
		saltSize                      uint32
		salt                          *byte
		_                             [13]uint64
	}{version: 1, algorithm: 1, blockSize: 4096, saltSize: uint32(len(salt)), salt: &salt[0]}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), enableVerity, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return errno
	}
	return nil
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 { // more than may wait to be hashed
		name := filepath.Join(dir, strings.Repeat("d", i+1))
		check(t, os.WriteFile(name, bytes.Repeat([]byte("x"), 100), 0o000))
	}
	if os.Geteuid() != 0 {
		if _, err := scan(t, dir, Options{}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Scan of what may not be read: %v", err)
		}
	}
	f, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := refuseVirtual(f); err != nil {
		t.Errorf("refuseVirtual(/) = %v", err)
	}
	proc, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	if err := refuseVirtual(proc); err == nil || !strings.Contains(err.Error(), "proc is mounted at /proc") {
		t.Errorf("refuseVirtual(/proc) = %v", err)
	}
}

// TestDeep: a scan takes few descriptors, and refuses what is too deep for an image.
func TestDeep(t *testing.T) {
	dir := t.TempDir()
	var before syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	check(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 250, Max: before.Max}))
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
	deep := strings.Repeat("d/", 1900)
	check(t,
		os.MkdirAll(filepath.Join(dir, deep), 0o755),
		os.WriteFile(filepath.Join(dir, deep, "f"), bytes.Repeat([]byte("x"), 1000), 0o644),
		os.WriteFile(filepath.Join(dir, "z"), []byte("last"), 0o644),
	)
	tree, err := scan(t, dir, Options{})
	check(t, err)
	if got := read(t, tree, deep+"f"); len(got) != 1000 || tree.Root.Lookup("z") == nil {
		t.Errorf("f has %d bytes, z is %v; want 1000 and a file", len(got), tree.Root.Lookup("z"))
	}
	root, err := os.OpenRoot(filepath.Join(dir, deep))
	check(t, err)
	defer root.Close()
	check(t, root.MkdirAll(strings.Repeat("e/", 200), 0o755))
	if _, err := scan(t, dir, Options{}); err == nil || !strings.Contains(err.Error(), "path of more than 4095 bytes") {
		t.Errorf("Scan of a path that no image can have = %v", err)
	}
}
