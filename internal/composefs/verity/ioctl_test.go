package verity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
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
		t.Skip("this file system has no fs-verity")
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

// TestKernelDigests has the kernel compute what is computed here: for every size
// at which a tree gets a block or a level more, and by both algorithms.
func TestKernelDigests(t *testing.T) {
	dir := t.TempDir()
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for _, size := range append([]int{0}, sizes...) {
			path := filepath.Join(dir, fmt.Sprintf("%v-%d", alg, size))
			if err := os.WriteFile(path, content(size), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := enableAndMeasure(path, alg)
			if errors.Is(err, ErrNotSupported) {
				t.Skip("this file system has no fs-verity")
			}
			if want := Sum(alg, content(size)); err != nil || got != want {
				t.Errorf("%v of %d bytes: the kernel measures %v, %v; want %v as computed here", alg, size, got, err, want)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func enableAndMeasure(path string, alg digest.Algorithm) (digest.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return digest.Digest{}, err
	}
	defer f.Close()
	if err := Enable(f, alg); err != nil {
		return digest.Digest{}, err
	}
	return Measure(f)
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
		t.Skip("this file system has no fs-verity")
	}
	if !errors.Is(err, ErrOpenForWriting) {
		t.Errorf("Enable while a writer is there = %v; want ErrOpenForWriting", err)
	}
}
