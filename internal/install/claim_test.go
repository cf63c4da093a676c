package install

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A run that has given its file its name does not remove that of the next run.
func TestDropOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "disk"+partial)
	f, err := claim(path)
	if err != nil {
		t.Fatal(err)
	}
	first := &Target{File: filepath.Join(dir, "disk"), Format: Formats[0], disk: path, own: f}
	if _, err := claim(path); !errors.Is(err, ErrWritten) {
		t.Errorf("claimed twice: %v; want ErrWritten", err)
	}
	if err := first.publish(path); err != nil {
		t.Fatal(err)
	}
	second, err := claim(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.drop()
	for _, name := range []string{path, first.File} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
