package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// service is a user who may own a directory in /etc.
const service = 1000

// makeFiles makes n empty files in a new directory. They belong to a user, as the
// directory does if owns is set.
func makeFiles(t *testing.T, dir string, n, user int, owns bool) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "first")
	if err := errors.Join(os.WriteFile(first, nil, 0o644), os.Chown(first, user, user)); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < n; i++ {
		// Names of one file are as many entries as files, and are made sooner.
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Link(first, name); err != nil {
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(name, user, user); err != nil {
				t.Fatal(err)
			}
			first = name
		}
	}
	if owns {
		if err := os.Chown(dir, user, user); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyLocalFiles: a service that fills its directory does not hold up an update, and
// everybody else keeps what they changed.
func TestManyLocalFiles(t *testing.T) {
	if testing.Short() {
		t.Skipf("%v are made only without -short, as in make check", limits.EtcFiles)
	}
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir, root := upperIn(t)
		most := int(limits.EtcFiles.Value)
		at := func(name string) string { return filepath.Join(dir, "upper", name) }
		makeFiles(t, at("a.many/below"), 10, service, true)
		makeFiles(t, at("a.many"), most, service, true)
		makeFiles(t, at("b.shared"), most+1, service, false)
		makeFiles(t, at("c.few"), 10, service, true)
		makeFiles(t, at("d.other/below"), 100, service+1, true)
		makeFiles(t, at("e.root"), most+1, 0, true)
		have := readLimited(t, root)
		const why = ": local changes in this directory are not carried over (local file count limit: at most 50000 files)"
		if got, want := strings.Join(Skipped(have), "\n"), "/a.many"+why+"\n/b.shared"+why; got != want {
			t.Errorf("warnings:\n%s\nwant\n%s", got, want)
		}
		for name, want := range map[string]int{
			"a.many": 0, "b.shared": 0, "c.few": 10, "d.other/below": 100, "e.root": most + 1,
		} {
			if got := len(have.Lookup(name).Entries()); got != want {
				t.Errorf("%s has %d files; want %d", name, got, want)
			}
		}
	})
}

// readLimited reads the directory upper as that of a machine.
func readLimited(t *testing.T, root *os.Root) *tree.Node {
	t.Helper()
	f, err := root.Open("upper")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	have, err := ReadDir(t.Context(), f, digest.SHA512, nil)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// TestManyLocalFilesInAll: many directories of one user are as bad as a large one.
func TestManyLocalFilesInAll(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir, root := upperIn(t)
		mine := filepath.Join(dir, "upper/mine")
		for i := range 6 {
			makeFiles(t, filepath.Join(mine, fmt.Sprint(i)), int(limits.EtcFiles.Value)/5, service, false)
		}
		if err := os.Chown(mine, service, service); err != nil {
			t.Fatal(err)
		}
		f, err := root.Open("upper")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if warnings := Skipped(readLimited(t, root)); len(warnings) != 2 || !strings.HasPrefix(warnings[0], "/mine/4: ") {
			t.Errorf("warnings: %q; want those for 4 and 5", warnings)
		}
		if trees, _, err := ReadDirs(t.Context(), digest.SHA512, f); err != nil || len(Skipped(trees[0])) != 0 {
			t.Errorf("directories that somebody names have a limit: %v, %v", Skipped(trees[0]), err)
		}
	})
}

// TestSkippedIsUnchanged: a directory that was not read hides nothing that the image has
// there, whichever way /etc is kept.
func TestSkippedIsUnchanged(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		dir, root := upperIn(t)
		makeFiles(t, filepath.Join(dir, "upper/a/rules"), int(limits.EtcFiles.Value)+1, service, true)
		base := imageWith("default")
		filled, opaque := readLimited(t, root), readLimited(t, root)
		FillSkipped(filled, base)
		opaque.Lookup("a/rules").SetXattr(opaqueAttr, "y")
		over, err := FromUpper(opaque, base)
		if err != nil {
			t.Fatal(err)
		}
		for name, local := range map[string]*tree.Node{"a full copy": filled, "an overlay": over} {
			if got := SkippedDirs(local); !slices.Equal(got, []string{"/a/rules"}) {
				t.Errorf("%s: not read: %v; want /a/rules", name, got)
			}
			result, err := Rebase(t.Context(), base, local, imageWith("default", "more"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			rules := result.Tree.Lookup("a/rules")
			if rules == nil || rules.Entry("default") == nil || rules.Entry("more") == nil || len(rules.Entries()) != 2 {
				t.Errorf("%s: the new image's files are missing: %v", name, rules)
			}
		}
	})
}

// imageWith returns an /etc with empty files in a/rules.
func imageWith(names ...string) *tree.Node {
	etc, a, rules := emptyDir(), emptyDir(), emptyDir()
	etc.Set("a", a)
	a.Set("rules", rules)
	for _, name := range names {
		rules.Set(name, &tree.Node{Mode: tree.TypeRegular | 0o644, Nlink: 1})
	}
	return etc
}

func emptyDir() *tree.Node { return &tree.Node{Mode: tree.TypeDir | 0o755} }
