package sys_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

func TestClone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	err = sys.Clone(dst, src)
	if errors.Is(err, sys.ErrCannotClone) {
		t.Skip("this file system does not share blocks")
	}
	if got, readErr := os.ReadFile(dst.Name()); err != nil || readErr != nil || string(got) != "content" {
		t.Errorf("Clone = %v; the copy is %q, %v", err, got, readErr)
	}
	if err := sys.Clone(src, dst); err == nil || errors.Is(err, sys.ErrCannotClone) {
		t.Errorf("Clone to a file that is open for reading = %v; want another error", err)
	}
}
