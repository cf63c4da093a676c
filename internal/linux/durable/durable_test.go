package durable_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// seed returns a directory with the file "a" and the full directory "d".
func seed(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := errors.Join(
		root.WriteFile("a", []byte("old"), 0o600),
		root.MkdirAll("d/e", 0o700),
		root.WriteFile("d/e/f", nil, 0o600),
		root.Symlink("../a", "d/link"),
	); err != nil {
		t.Fatal(err)
	}
	return root
}

// content returns what a file has, "none" if it does not exist.
func content(t *testing.T, root *os.Root, name string) string {
	t.Helper()
	data, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

var changes = []struct {
	name     string
	do       func(durable.FS) error
	trace    string
	file     string // to look at
	old, new string // what it may have
}{
	{
		"WriteFile", func(f durable.FS) error { return durable.WriteFile(f, "a", []byte("new")) },
		"create a.tmp\nwrite a.tmp\nsync a.tmp\nrename a.tmp a\nsync a\nsync .\n",
		"a", "old", "new",
	},
	{
		"WriteFile of a new file", func(f durable.FS) error { return durable.WriteFile(f, "d/n", []byte("new")) },
		"create d/n.tmp\nwrite d/n.tmp\nsync d/n.tmp\nrename d/n.tmp d/n\nsync d/n\nsync d\n",
		"d/n", "none", "new",
	},
	{
		"Symlink", func(f durable.FS) error { return durable.Symlink(f, "a", "l") },
		"symlink a l.tmp\nrename l.tmp l\nsync .\n",
		"l", "none", "old",
	},
	{
		"MkdirAll", func(f durable.FS) error { return durable.MkdirAll(f, "d/x/y", 0o755) },
		"sync .\nmkdir d/x\nsync d\nmkdir d/x/y\nsync d/x\n",
		"a", "old", "old",
	},
	{
		"Remove", func(f durable.FS) error { return durable.Remove(f, "a") },
		"remove a\nsync .\n",
		"a", "old", "none",
	},
	{
		"RemoveAll", func(f durable.FS) error { return durable.RemoveAll(f, "d") },
		"remove d/e/f\nremove d/e\nremove d/link\nremove d\nsync .\n",
		"a", "old", "old", // which d/link points to
	},
	{
		"Syncfs", durable.Syncfs,
		"syncfs\n",
		"a", "old", "old",
	},
}

func TestOrder(t *testing.T) {
	for _, c := range changes {
		root := seed(t)
		trace := durabletest.Trace(durable.OS(root))
		if err := c.do(trace); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := trace.String(); got != c.trace {
			t.Errorf("%s does\n%s; want\n%s", c.name, got, c.trace)
		}
		if got := content(t, root, c.file); got != c.new {
			t.Errorf("%s: %s has %q; want %q", c.name, c.file, got, c.new)
		}
	}
}

// TestCrash stops each change after every step and then makes it once more.
func TestCrash(t *testing.T) {
	for _, c := range changes {
		for n := 0; ; n++ {
			root := seed(t)
			err := c.do(durabletest.CrashAfter(durable.OS(root), n))
			if err != nil && !errors.Is(err, durabletest.ErrCrashed) {
				t.Errorf("%s: after %d steps: %v; want ErrCrashed", c.name, n, err)
			}
			if got := content(t, root, c.file); got != c.old && got != c.new {
				t.Errorf("%s: after %d steps: found %q", c.name, n, got)
			}
			if err := c.do(durable.OS(root)); err != nil {
				t.Errorf("%s: after %d steps: cannot try again: %v", c.name, n, err)
			}
			if got := content(t, root, c.file); got != c.new {
				t.Errorf("%s: after %d steps and another try: found %q; want %q", c.name, n, got, c.new)
			}
			if err == nil {
				break
			}
		}
	}
}

// TestRename needs a file that is there only before, so it is told apart.
func TestRename(t *testing.T) {
	root := seed(t)
	trace := durabletest.Trace(durable.OS(root))
	if err := durable.Rename(trace, "a", "d/a"); err != nil {
		t.Fatal(err)
	}
	if got, want := trace.String(), "rename a d/a\nsync d/a\nsync d\n"; got != want {
		t.Errorf("Rename does\n%s; want\n%s", got, want)
	}
	if err := durable.Rename(trace, "none", "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Rename of nothing = %v; want fs.ErrNotExist", err)
	}
}

func TestWriteError(t *testing.T) {
	root := seed(t)
	broken := errors.New("broken")
	err := durable.Write(durable.OS(root), "a", 0o644, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("Write = %v; want the writer's error", err)
	}
	if got := content(t, root, "a"); got != "old" {
		t.Errorf("after an error a has %q; want old", got)
	}
	if got := content(t, root, "a.tmp"); got != "none" {
		t.Errorf("after an error a.tmp has %q; want none", got)
	}
}

// TestLeftover shows that a name left over is not written through.
func TestLeftover(t *testing.T) {
	root := seed(t)
	if err := root.Symlink("d/e/f", "a.tmp"); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(durable.OS(root), "a", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root, "d/e/f"); got != "" {
		t.Errorf("the target of a link left over has %q; want nothing", got)
	}
	if got := content(t, root, "a"); got != "new" {
		t.Errorf("a has %q; want new", got)
	}
}

func TestOutside(t *testing.T) {
	root := seed(t)
	if err := durable.WriteFile(durable.OS(root), "../a", nil); err == nil {
		t.Error("WriteFile outside the directory gives no error")
	}
	if err := durable.MkdirAll(durable.OS(root), "a/b", 0o755); err == nil {
		t.Error("MkdirAll below a file gives no error")
	}
}

// TestUntil: the removal of a directory stops when the context has ended, and goes on
// the next time.
func TestUntil(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.MkdirAll("d/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	if err := durable.RemoveAll(durable.Until(ctx, durable.OS(root)), "d"); !errors.Is(err, why) {
		t.Errorf("RemoveAll after the context has ended = %v; want %v", err, why)
	}
	if _, err := root.Lstat("d/sub"); err != nil {
		t.Errorf("it went on: %v", err)
	}
	if err := durable.RemoveAll(durable.Until(t.Context(), durable.OS(root)), "d"); err != nil {
		t.Errorf("RemoveAll = %v", err)
	}
}
