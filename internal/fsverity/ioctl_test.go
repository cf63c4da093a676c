package fsverity

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
)

func TestEnable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("hello world"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Measure(f); !errors.Is(err, ErrNotEnabled) && !errors.Is(err, ErrNotSupported) {
		t.Errorf("Measure of an ordinary file = %v; want ErrNotEnabled or ErrNotSupported", err)
	}
	err = Enable(f, digest.SHA512)
	if errors.Is(err, ErrNotSupported) {
		t.Skipf("the file system of %s has no fs-verity: %v", path, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Enable(f, digest.SHA512); err != nil {
		t.Errorf("second Enable = %v; want none", err)
	}
	want := Sum(digest.SHA512, []byte("hello world"))
	if got, err := Measure(f); err != nil || got != want {
		t.Errorf("Measure = %v, %v; want %v as computed here", got, err, want)
	}
}

// TestEnableBusy shows that a writer is told apart.
func TestEnableBusy(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	err = Enable(reader, digest.SHA256)
	if errors.Is(err, ErrNotSupported) {
		t.Skipf("the file system of %s has no fs-verity: %v", f.Name(), err)
	}
	if !errors.Is(err, ErrOpenForWriting) {
		t.Errorf("Enable while a writer is there = %v; want ErrOpenForWriting", err)
	}
}
