package sys

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestMakeNames(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"Mkdirat d", func() error { return Mkdirat(dir, "d", 0o700) }},
		{"Symlinkat l", func() error { return Symlinkat("nowhere", dir, "l") }},
		{"Linkat l d/m", func() error { return Linkat(dir, "l", dir, "d/m") }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s = %v", step.name, err)
		}
		if err := step.do(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s once more = %v; want %v", step.name, err, fs.ErrExist)
		}
	}
	if got, err := Readlink(dir, "d/m"); got != "nowhere" {
		t.Errorf("d/m points to %q, %v; want nowhere", got, err)
	}
	if s, err := Statx(dir, "l"); err != nil || s.Nlink != 2 {
		t.Errorf("l has %d names, %v; want 2", s.Nlink, err)
	}
	if s, err := Statx(dir, "d"); err != nil || s.Mode&0o777 != 0o700 {
		t.Errorf("d has mode %o, %v; want 0700", s.Mode, err)
	}
}
