package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/limits"
)

// image makes a directory with the links that images have, and outside of it a
// secret.
func image(t *testing.T) *Root {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	at := func(name string) string { return filepath.Join(root, name) }
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600),
		os.MkdirAll(at("usr/lib"), 0o755),
		os.Mkdir(at("etc"), 0o755),
		os.WriteFile(at("usr/lib/os-release"), []byte("image"), 0o644),
		os.Symlink("/usr/lib", at("lib")),
		os.Symlink("/lib/os-release", at("etc/os-release")),
		os.Symlink("../../secret", at("etc/relative")),
		os.Symlink(filepath.Join(dir, "secret"), at("etc/absolute")),
		os.Symlink("loop", at("etc/loop")),
		os.Symlink("/proc/self/root", at("etc/magic")),
		syscall.Mkfifo(at("etc/fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	r, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// read returns what is in a file that Open opens.
func read(r *Root, name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, limits.Text)
}

func TestReadFile(t *testing.T) {
	r := image(t)
	tests := []struct {
		name string
		want string
		err  error
	}{
		{"usr/lib/os-release", "image", nil},
		{"/usr/lib/os-release", "image", nil},
		{"etc/os-release", "image", nil},
		{"/lib/os-release", "image", nil},
		{"../../lib/os-release", "image", nil},
		{"etc/relative", "", fs.ErrNotExist},
		{"etc/absolute", "", fs.ErrNotExist},
		{"../secret", "", fs.ErrNotExist},
		{"etc/loop", "", syscall.ELOOP},
		{"etc/magic", "", fs.ErrNotExist},
		{"etc", "", syscall.EISDIR},
		{"usr/lib/os-release/x", "", syscall.ENOTDIR},
	}
	for _, tt := range tests {
		got, err := read(r, tt.name)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ReadFile(%q) = %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestMagicLinks shows that /proc in a root does not lead out of it.
func TestMagicLinks(t *testing.T) {
	r, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := read(r, "proc/self/root/etc/passwd"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("ReadFile through a magic link = %v; want ELOOP", err)
	}
}

// TestOpenFIFO would wait for ever for somebody to write.
func TestOpenFIFO(t *testing.T) {
	r := image(t)
	if _, err := r.Open("etc/fifo"); err == nil {
		t.Error("Open of a FIFO gives no error")
	}
	if info, err := r.Lstat("etc/fifo"); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("Lstat of a FIFO = %v, %v; want a FIFO", info, err)
	}
}

func TestLinks(t *testing.T) {
	r := image(t)
	if got, err := r.Readlink("lib"); got != "/usr/lib" || err != nil {
		t.Errorf("Readlink(lib) = %q, %v; want /usr/lib", got, err)
	}
	if _, err := r.Readlink("usr"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Readlink of a directory = %v; want EINVAL", err)
	}
	if info, err := r.Lstat("lib"); err != nil || info.Name() != "lib" || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("Lstat(lib) = %v, %v; want a link", info, err)
	}
	if info, err := r.Stat("lib"); err != nil || info.Name() != "lib" || !info.IsDir() {
		t.Errorf("Stat(lib) = %v, %v; want a directory", info, err)
	}
	below, err := r.OpenRoot("lib")
	if err != nil {
		t.Fatal(err)
	}
	defer below.Close()
	if got, err := read(below, "/os-release"); string(got) != "image" || err != nil {
		t.Errorf("ReadFile(/os-release) below lib = %q, %v; want image", got, err)
	}
}

func TestReadDir(t *testing.T) {
	r := image(t)
	entries, err := r.ReadDir("/etc")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Type().String()[:1]+" "+e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Type() != e.Type() || info.Name() != e.Name() {
			t.Errorf("Info of %v = %v, %v; want the same type", e, info, err)
		}
	}
	want := []string{"L absolute", "p fifo", "L loop", "L magic", "L os-release", "L relative"}
	if !slices.Equal(got, want) {
		t.Errorf("ReadDir = %q; want %q", got, want)
	}
}

func TestFS(t *testing.T) {
	r := image(t)
	for _, name := range []string{"etc/fifo", "etc/loop", "etc/magic", "etc/absolute", "etc/relative"} {
		if err := os.Remove(filepath.Join(r.File().Name(), name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := fstest.TestFS(r.FS(), "usr/lib/os-release", "etc/os-release", "lib"); err != nil {
		t.Error(err)
	}
	if _, err := bounded.ReadFile(r.FS(), "/etc/os-release", limits.Text); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("ReadFile of an absolute name = %v; want fs.ErrInvalid", err)
	}
}

func TestNotADirectory(t *testing.T) {
	r := image(t)
	if _, err := r.OpenRoot("usr/lib/os-release"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("OpenRoot of a file = %v; want ENOTDIR", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing = %v; want fs.ErrNotExist", err)
	}
}
