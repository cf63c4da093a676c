package dirstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// descriptors returns how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// down makes and enters directories called 0, 1 and so on.
func down(t *testing.T, s *Stack, depth int) {
	t.Helper()
	for i := range depth {
		name := fmt.Sprint(i)
		if err := sys.Mkdirat(s.Dir(), name, 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := sys.Openat(s.Dir(), name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err == nil {
			err = s.Enter(f, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestDeep goes deeper than any path can, and finds each directory again.
func TestDeep(t *testing.T) {
	const depth = 3000
	s := New(open(t, t.TempDir()))
	defer s.Close()
	before := descriptors(t)
	down(t, s, depth)
	if n := descriptors(t) - before; n > keepOpen+2 {
		t.Errorf("%d directories deep: %d descriptors; want %d at most", depth, n, keepOpen+2)
	}
	for i := depth - 1; i >= 0; i-- {
		if err := s.Leave(); err != nil {
			t.Fatalf("Leave %d = %v", i, err)
		}
		if _, err := sys.Statx(s.Dir(), fmt.Sprint(i)); err != nil {
			t.Fatalf("after Leave: %v", err)
		}
	}
	if n := descriptors(t) - before; n > 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

// TestMoved: the way back never leads into a directory that was not entered, and
// goes on above one that was moved away.
func TestMoved(t *testing.T) {
	dir := t.TempDir()
	s := New(open(t, dir))
	defer s.Close()
	const depth = keepOpen + 10
	down(t, s, depth)
	for range keepOpen {
		if err := s.Leave(); err != nil {
			t.Fatal(err)
		}
	}
	// "9" is the innermost now. Its parent "8" goes elsewhere, and another "8" comes.
	parent := filepath.Join(dir, "0/1/2/3/4/5/6/7")
	err := errors.Join(
		os.Rename(filepath.Join(parent, "8/9"), filepath.Join(dir, "9")),
		os.Rename(filepath.Join(parent, "8"), filepath.Join(dir, "8")),
		os.Mkdir(filepath.Join(parent, "8"), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Leave(); !errors.Is(err, fs.ErrNotExist) || s.Dir() != nil {
		t.Errorf("Leave to a directory that was moved = %v, Dir %v; want fs.ErrNotExist and nil", err, s.Dir())
	}
	if err := s.Leave(); err != nil {
		t.Fatalf("Leave to the one above = %v", err)
	}
	if _, err := sys.Statx(s.Dir(), "8"); err != nil {
		t.Errorf("it has no directory 8: %v", err)
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "c", "a"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f := open(t, dir)
	for range 2 {
		if names, err := Names(t.Context(), f); strings.Join(names, " ") != "a b c" || err != nil {
			t.Errorf("Names = %v, %v; want a b c", names, err)
		}
	}
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	if _, err := Names(ctx, f); !errors.Is(err, why) {
		t.Errorf("Names after the context has ended = %v; want %v", err, why)
	}
}

// TestWithin: whatever happens inside a directory, afterwards its parent is the innermost.
func TestWithin(t *testing.T) {
	at := t.TempDir()
	s := New(open(t, at))
	defer s.Close()
	before, want := s.Dir(), errors.New("stop")
	if err := sys.Mkdirat(before, "sub", 0o755); err != nil {
		t.Fatal(err)
	}
	sub, err := sys.Openat(before, "sub", os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Within(sub, "sub", func() error {
		if s.Dir() != sub {
			t.Error("the directory is not the innermost")
		}
		if err := os.Remove(filepath.Join(at, "sub")); err != nil {
			t.Error(err)
		}
		return want
	})
	if !errors.Is(err, want) || s.Dir() != before {
		t.Errorf("Within = %v, Dir is %v; want %v and the parent", err, s.Dir(), want)
	}
}
