package initramfs

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// write writes an archive with one file of each type.
func write(modified time.Time, content []byte) ([]byte, error) {
	var out bytes.Buffer
	w := NewWriter(&out, modified)
	w.Dir("usr", 0o755)
	w.File("usr/file", 0o644, content)
	w.Symlink("init", "usr/file")
	w.Device("console", 0o600, 5, 1)
	err := w.Close()
	return out.Bytes(), err
}

func TestWriter(t *testing.T) {
	for _, content := range []string{"", "a", "four", "hello"} {
		data, err := write(time.Unix(0, 0), []byte(content))
		if err != nil || len(data)%4 != 0 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		found, err := Find(t.Context(), bytes.NewReader(data), "usr/file", "usr", "init")
		if err != nil || len(found) != 1 || string(found["usr/file"]) != content {
			t.Errorf("Find = %q, %v; want %q", found, err, content)
		}
	}
}

// TestWriterTool has cpio(1) list an archive.
func TestWriterTool(t *testing.T) {
	data, err := write(time.Unix(86400, 0), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "--quiet", "-tvn")
	cmd.Stdin = bytes.NewReader(data)
	cmd.Env = append(cmd.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	want := `drwxr-xr-x   2 0        0               0 Jan  2  1970 usr
-rw-r--r--   1 0        0               5 Jan  2  1970 usr/file
lrwxrwxrwx   1 0        0               8 Jan  2  1970 init -> usr/file
crw-------   1 0        0          5,   1 Jan  2  1970 console
`
	if err != nil || string(out) != want {
		t.Errorf("cpio: %v\n%s; want\n%s", err, out, want)
	}
}

func TestWriterErrors(t *testing.T) {
	if _, err := write(time.Unix(1<<33, 0), nil); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("time that does not fit: %v", err)
	}
	full := errors.New("full")
	w := NewWriter(failing{full}, time.Unix(0, 0))
	w.File("a", 0o644, nil)
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("Close = %v; want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
