package bounded

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

var small = limits.Limit{Name: "test size", Value: 10, Unit: limits.Bytes}

// disk makes a directory with what may be in place of a file.
func disk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("empty"), nil, 0o600),
		os.WriteFile(at("ten"), []byte("0123456789"), 0o600),
		os.WriteFile(at("eleven"), []byte("0123456789a"), 0o600),
		os.WriteFile(at("sparse"), nil, 0o600),
		os.Truncate(at("sparse"), 1<<40),
		os.Mkdir(at("directory"), 0o700),
		os.Symlink("ten", at("link")),
		os.Symlink("/dev/zero", at("out")),
		syscall.Mkfifo(at("fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRead(t *testing.T) {
	dir := disk(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ways := map[string]func(name string) ([]byte, error){
		"ReadFile": func(name string) ([]byte, error) { return ReadFile(os.DirFS(dir), name, small) },
		"Sub": func(name string) ([]byte, error) {
			return ReadFile(Sub(os.DirFS(filepath.Dir(dir)), filepath.Base(dir)), name, small)
		},
		"ReadRoot": func(name string) ([]byte, error) { return ReadRoot(root, name, small) },
		"ReadPath": func(name string) ([]byte, error) { return ReadPath(filepath.Join(dir, name), small) },
	}
	tests := []struct{ name, want, err string }{
		{"empty", "", ""},
		{"ten", "0123456789", ""},
		{"link", "0123456789", ""},
		{"eleven", "", "eleven: test size limit: at most 10 bytes"},
		{"sparse", "", "sparse: test size limit: at most 10 bytes"},
		{"directory", "", "directory: not a regular file"},
		{"fifo", "", "fifo: not a regular file (p"},
		{"out", "", "out"},
		{"none", "", "none: no such file"},
	}
	for how, read := range ways {
		for _, tt := range tests {
			began := time.Now()
			got, err := read(tt.name)
			if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s(%s) = %q, %v; want %q and an error with %q", how, tt.name, got, err, tt.want, tt.err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s(%s) took %v", how, tt.name, took)
			}
		}
		if _, err := read("none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of what is missing: %v; want fs.ErrNotExist", how, err)
		}
	}
}

// TestReadKernel: files of the kernel have content, whatever size they claim.
func TestReadKernel(t *testing.T) {
	for _, name := range []string{"/proc/self/mountinfo", "/proc/cmdline", "/sys/devices/system/cpu/online"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPath(name, limits.Kernel); err != nil || !bytes.Equal(got, want) {
			t.Errorf("ReadPath(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := ReadPath("/proc/self/mountinfo", small); err == nil || !strings.Contains(err.Error(), "/proc/self/mountinfo: test size limit") {
		t.Errorf("ReadPath of a long one = %q, %v; want the limit", got, err)
	}
}

// TestReadReplaced: a FIFO that takes the place of a file after a look at it must
// not have anybody wait.
func TestReadReplaced(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(disk(t), "fifo"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := ReadOpen(f, "f", small); !errors.Is(err, ErrNotRegular) {
		t.Errorf("ReadOpen of a FIFO = %q, %v; want %v", got, err, ErrNotRegular)
	}
}

func TestFound(t *testing.T) {
	dir := disk(t)
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ten": true, "none": false, "ten/below": false, strings.Repeat("x", 300): false} {
		_, err := os.Stat(filepath.Join(dir, name))
		if found, err := Found(err); found != want || err != nil {
			t.Errorf("Found of %s = %v, %v; want %v", name, found, err, want)
		}
	}
	_, loop := os.Stat(filepath.Join(dir, "loop"))
	for _, want := range []error{loop, syscall.EACCES, syscall.EIO, syscall.EPERM, fs.ErrClosed} {
		if found, err := Found(want); found || err != want {
			t.Errorf("Found(%v) = %v, %v; want the error", want, found, err)
		}
	}
}
