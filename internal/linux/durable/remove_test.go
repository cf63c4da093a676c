package durable_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// nest makes name in root, with so many directories in one another below it, and a file
// in the innermost.
func nest(t *testing.T, root *os.Root, name string, depth int) {
	t.Helper()
	if err := root.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := root.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		if err := sys.Mkdirat(dir, "d", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := sys.Openat(dir, "d", os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close()
		dir = next
	}
	defer dir.Close()
	if err := sys.Mknodat(dir, "file", syscall.S_IFREG|0o644, 0); err != nil {
		t.Fatal(err)
	}
}

// openTmpfs returns an empty directory in memory. Call it inside ns.Run.
func openTmpfs(t *testing.T) *os.Root {
	t.Helper()
	dir := ns.Dir(t)
	mountTmpfs(t, nil, dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func mountTmpfs(t *testing.T, dir *os.File, name string) {
	t.Helper()
	mount, err := sys.Detached("tmpfs", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	if err := sys.Attach(mount, dir, name); err != nil {
		t.Fatal(err)
	}
}

// A watched FS calls before ahead of each removal in a tree.
type watched struct {
	durable.FS
	before func(n int)
}

func (w watched) RemoveTree(ctx context.Context, name string, step durable.Step) error {
	n := 0
	return w.FS.RemoveTree(ctx, name, func(describe func() string, do func() error) error {
		n++
		w.before(n)
		return step(describe, do)
	})
}

// descriptors returns how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestRemoveDeep removes a tree deeper than any path and than descriptors would do for.
// It stops on the way and goes on the next time.
func TestRemoveDeep(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		const depth, most = 40_000, 64
		root := openTmpfs(t)
		nest(t, root, "deep", depth)
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		why := errors.New("enough")
		start, highest, removals := descriptors(t), 0, 0
		fsys := watched{durable.OS(root), func(n int) {
			if removals++; removals%1000 == 1 {
				highest = max(highest, descriptors(t)-start)
			}
			if n == depth/2 {
				stop(why)
			}
		}}
		if err := durable.RemoveAll(durable.Until(ctx, fsys), "deep"); !errors.Is(err, why) || removals != depth/2 {
			t.Errorf("RemoveAll until step %d = %v after %d; want %v", depth/2, err, removals, why)
		}
		if err := durable.RemoveAll(durable.Until(t.Context(), fsys), "deep"); err != nil {
			t.Fatalf("RemoveAll = %v", err)
		}
		if want := depth + 2; removals != want {
			t.Errorf("%d removals; want %d", removals, want)
		}
		if highest > most {
			t.Errorf("%d descriptors; want at most %d", highest, most)
		}
		if left := descriptors(t) - start; left > 0 {
			t.Errorf("%d descriptors are left", left)
		}
		if _, err := root.Lstat("deep"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Lstat = %v; want fs.ErrNotExist", err)
		}
	})
}

// TestRemoveProtected: of what chattr(1) protects only what is removed loses that.
func TestRemoveProtected(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		root := seed(t)
		protect := func(name string, on bool) error {
			f, err := root.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			return sys.SetProtection(f, sys.Protection{Immutable: on})
		}
		for _, name := range []string{"d/e/f", "d/e", "d", "."} {
			t.Cleanup(func() { _ = protect(name, false) }) // most are gone
			if err := protect(name, true); err != nil {
				t.Skipf("this file system cannot keep the attribute: %v", err)
			}
		}
		if err := durable.RemoveAll(durable.OS(root), "d"); !errors.Is(err, syscall.EPERM) {
			t.Errorf("RemoveAll in a directory that is protected = %v; want %v", err, syscall.EPERM)
		}
		if err := protect(".", false); err != nil {
			t.Fatalf("it was not left alone: %v", err)
		}
		if err := durable.RemoveAll(durable.OS(root), "d"); err != nil {
			t.Errorf("RemoveAll = %v", err)
		}
	})
}

// TestRemoveProtectedOrder: a file loses its protection before its directory does.
func TestRemoveProtectedOrder(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		root := seed(t)
		f, err := root.Open("d/e")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		t.Cleanup(func() { _ = sys.SetProtection(f, sys.Protection{}) })
		if err := sys.SetProtection(f, sys.Protection{Append: true}); err != nil {
			t.Skipf("this file system cannot keep the attribute: %v", err)
		}
		trace := durabletest.Trace(durable.OS(root))
		if err := durable.RemoveAll(trace, "d"); err != nil {
			t.Errorf("RemoveAll = %v", err)
		}
		want := "unprotect d/e/f\nunprotect d/e\nremove d/e/f\nremove d/e\nremove d/link\nremove d\nsync .\n"
		if got := trace.String(); got != want {
			t.Errorf("RemoveAll does\n%s; want\n%s", got, want)
		}
	})
}

// TestRemoveMounted: what is mounted in the tree is not entered.
func TestRemoveMounted(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		root := openTmpfs(t)
		if err := root.MkdirAll("d/mount", 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := root.Open("d")
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		mountTmpfs(t, dir, "mount")
		if err := root.WriteFile("d/mount/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := durable.RemoveAll(durable.OS(root), "d"); !errors.Is(err, syscall.EXDEV) {
			t.Errorf("RemoveAll = %v; want %v", err, syscall.EXDEV)
		}
		if _, err := root.Lstat("d/mount/file"); err != nil {
			t.Errorf("the file in the mount: %v", err)
		}
	})
}
