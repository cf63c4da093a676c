package merge

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// stepped calls replace as WriteDir does, with all changes as steps of fsys.
func stepped(dir string, fsys durable.FS, content string) error {
	write := func(temp string) error {
		if err := fsys.Mkdir(temp, 0o755); err != nil {
			return err
		}
		f, err := fsys.Create(temp+"/f", 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(content))
		return errors.Join(err, f.Close())
	}
	// Three renames stand for the one call that the kernel has for this. The
	// directory that comes and goes makes a step of them, to be stopped at.
	exchange := func(a, b string) error {
		if err := fsys.Mkdir("exchange", 0o755); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, "exchange")); err != nil {
			return err
		}
		x, y, z := filepath.Join(dir, a), filepath.Join(dir, b), filepath.Join(dir, "exchange")
		return errors.Join(os.Rename(x, z), os.Rename(y, x), os.Rename(z, y))
	}
	return replace(fsys, "upper", write, exchange)
}

func openTemp(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func TestReplaceSteps(t *testing.T) {
	dir, root := openTemp(t)
	for _, want := range []string{`mkdir upper.tmp
create upper.tmp/f
write upper.tmp/f
syncfs
rename upper.tmp upper
sync upper
sync .
`, `mkdir upper.tmp
create upper.tmp/f
write upper.tmp/f
syncfs
mkdir exchange
sync .
remove upper.tmp/f
remove upper.tmp
sync .
`} {
		trace := durabletest.Trace(durable.OS(root))
		if err := stepped(dir, trace, "new"); err != nil {
			t.Fatalf("replace = %v", err)
		}
		if got := trace.String(); got != want {
			t.Errorf("steps:\n%swant:\n%s", got, want)
		}
	}
}

func TestReplaceStopped(t *testing.T) {
	for _, old := range []string{"", "old"} {
		for n := 0; ; n++ {
			dir, root := openTemp(t)
			if old != "" {
				if err := stepped(dir, durable.OS(root), old); err != nil {
					t.Fatal(err)
				}
			}
			err := stepped(dir, durabletest.CrashAfter(durable.OS(root), n), "new")
			got, _ := root.ReadFile("upper/f")
			if string(got) != old && string(got) != "new" {
				t.Errorf("after %d steps: found %q; want %q or new", n, got, old)
			}
			if err := stepped(dir, durable.OS(root), "new"); err != nil {
				t.Errorf("after %d steps: cannot try again: %v", n, err)
			}
			if got, _ := root.ReadFile("upper/f"); string(got) != "new" {
				t.Errorf("after %d steps and another try: found %q; want new", n, got)
			}
			if left, _ := filepath.Glob(dir + "/*"); len(left) != 1 {
				t.Errorf("after %d steps and another try: %q; want nothing but upper", n, left)
			}
			if err == nil {
				break
			}
		}
	}
}

// An unreadable content leaves the old directory and nothing else.
func TestWriteDirError(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		dir, root := openTemp(t)
		if err := WriteDir(t.Context(), root, "upper", parseTree(t, ""), nil); err != nil {
			t.Fatalf("WriteDir = %v", err)
		}
		node := parseTree(t, "")
		node.Set("x", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 100})
		if err := WriteDir(t.Context(), root, "upper", node, noObjects); err == nil {
			t.Error("WriteDir without content = nil; want an error")
		}
		if left, _ := filepath.Glob(dir + "/*"); len(left) != 1 {
			t.Errorf("left behind: %q; want only upper", left)
		}
	})
}
