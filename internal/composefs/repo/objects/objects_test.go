package objects_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo/objects"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// objectsDir returns a directory of objects, and where in it the object of content is to be.
func objectsDir(t *testing.T, content []byte) (dir *os.File, d digest.Digest, name string) {
	t.Helper()
	d, _, err := verity.SumReader(digest.SHA512, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	name = filepath.Join(at, d.ObjectPath())
	if err := os.Mkdir(path.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, err = os.Open(at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir, d, name
}

func TestVerifyOrSum(t *testing.T) {
	want := bytes.Repeat([]byte("object"), 2000)
	dir, d, name := objectsDir(t, want)
	for _, content := range [][]byte{want, append([]byte("other "), want[6:]...)} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := objects.Open(dir, d)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		err = objects.VerifyOrSum(f, d)
		if !bytes.Equal(content, want) {
			if !errors.Is(err, objects.ErrDamaged) {
				t.Errorf("changed content: %v; want ErrDamaged", err)
			}
			continue
		}
		if got, readErr := io.ReadAll(f); err != nil || readErr != nil || !bytes.Equal(got, want) {
			t.Errorf("VerifyOrSum: %v; then %d bytes are read, %v; want %d", err, len(got), readErr, len(want))
		}
	}
}

func TestOpenOdd(t *testing.T) {
	dir, d, name := objectsDir(t, []byte("x"))
	if _, err := objects.Open(dir, d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing object: %v; want fs.ErrNotExist", err)
	}
	for what, make := range map[string]func() error{
		"directory": func() error { return os.Mkdir(name, 0o755) },
		"link":      func() error { return os.Symlink("/etc/passwd", name) },
		"FIFO":      func() error { return syscall.Mkfifo(name, 0o644) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if f, err := objects.Open(dir, d); !errors.Is(err, objects.ErrDamaged) {
			f.Close()
			t.Errorf("%s: %v; want ErrDamaged", what, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}
