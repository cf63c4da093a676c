package erofs

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	goerofs "github.com/erofs/go-erofs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// mkcomposefs returns the path of the original, which $MKCOMPOSEFS names, or is
// in the path, or hack/mkcomposefs gets from Debian; composefs-info is beside it.
func mkcomposefs(t *testing.T) string {
	t.Helper()
	name := os.Getenv("MKCOMPOSEFS")
	if name == "" {
		name = "mkcomposefs"
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("mkcomposefs is not installed, and there is no place to unpack it: %v", err)
	}
	cmd := exec.Command("../../../hack/mkcomposefs", filepath.Join(cache, "sysupdate-image", "mkcomposefs"))
	var why bytes.Buffer
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("mkcomposefs is not installed, and cannot be had from Debian sid: %v: %s", err, &why)
	}
	return strings.TrimSpace(string(out))
}

const seedVar = "SYSUPDATE_SEED" // repeats a run

// randomTrees returns how many trees a run has.
func randomTrees() int {
	return sample.Of(200)
}

// TestRandomTrees compares the images of random trees with those of the
// original, and reads them: our reader gives the dump again, and so does
// composefs-info; go-erofs and fsck.erofs find nothing wrong. Each run has other
// trees.
func TestRandomTrees(t *testing.T) {
	program := mkcomposefs(t)
	seed := newSeed(t)
	c := comparer{t: t, program: program, dir: t.TempDir()}
	for i := range randomTrees() {
		g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		tree := g.tree()
		if !c.compare(i, tree) {
			name := filepath.Join(os.TempDir(), fmt.Sprintf("tree-%d-%d.dump", seed, i))
			if err := os.WriteFile(name, []byte(dump(t, tree)), 0o644); err != nil {
				t.Error(err)
			}
			t.Fatalf("tree %d of %s=%d is in %s", i, seedVar, seed, name)
		}
	}
	t.Logf("%d names, %d images", c.names, c.images)
	if c.withoutFsck {
		t.Log("--- SKIP: fsck.erofs of each image: erofs-utils is not installed")
	}
}

// newSeed returns where the trees of a run begin.
func newSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVar); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d trees; to repeat the run, set %s=%d", randomTrees(), seedVar, seed)
	return seed
}

type comparer struct {
	t             *testing.T
	program, dir  string
	names, images int
	withoutFsck   bool
}

// compare compares all versions of the image of a tree, and reports whether they
// are the same.
func (c *comparer) compare(i int, root *tree.Node) bool {
	c.t.Helper()
	text := dump(c.t, root)
	c.names += strings.Count(text, "\n")
	if err := os.WriteFile(c.dir+"/dump", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	parsed, err := tree.ParseDump(strings.NewReader(text))
	if err != nil {
		c.t.Errorf("tree %d: %v", i, err)
		return false
	}
	ok := true
	for version, args := range map[int][]string{
		V0: {"--min-version=0", "--max-version=0"}, V1: {"--min-version=1"}, Auto: nil,
	} {
		c.images++
		image := c.dir + "/image"
		out, err := exec.Command(c.program, append(args, "--from-file", c.dir+"/dump", image)...).CombinedOutput()
		if err != nil {
			c.t.Errorf("tree %d: mkcomposefs %v: %v: %s", i, args, err, out)
			return false
		}
		want, err := os.ReadFile(image)
		if err != nil {
			c.t.Fatal(err)
		}
		got := write(c.t, parsed, Options{Version: version, Dialect: Mkcomposefs})
		if !bytes.Equal(got, want) {
			c.t.Errorf("tree %d: mkcomposefs %v makes another image", i, args)
			ok = false
			continue
		}
		ok = c.read(i, version, got, text) && ok
	}
	return ok
}

// read reads an image by all means.
func (c *comparer) read(i, version int, image []byte, want string) bool {
	c.t.Helper()
	ok := true
	if got := dump(c.t, read(c.t, image)); got != want {
		c.t.Errorf("tree %d, version %d: the image reads as\n%s", i, version, firstDifference(got, want))
		ok = false
	}
	if err := c.walk(image, strings.Count(want, "\n")+256-len(stub.FindAllString(want, -1))); err != nil {
		c.t.Errorf("tree %d, version %d: go-erofs: %v", i, version, err)
		ok = false
	}
	fsck, err := exec.LookPath("fsck.erofs")
	if err != nil {
		c.withoutFsck = true
	} else {
		if out, err := exec.Command(fsck, c.dir+"/image").CombinedOutput(); err != nil {
			c.t.Errorf("tree %d, version %d: fsck.erofs: %v\n%s", i, version, err, out)
			ok = false
		}
	}
	out, err := exec.Command(filepath.Join(filepath.Dir(c.program), "composefs-info"), "dump", c.dir+"/image").Output()
	if err != nil {
		c.t.Errorf("tree %d, version %d: composefs-info dump: %v", i, version, err)
		return false
	}
	theirs, err := tree.ParseDump(bytes.NewReader(out))
	if err != nil {
		c.t.Errorf("tree %d, version %d: dump of composefs-info: %v", i, version, err)
		return false
	}
	ours, err := tree.ParseDump(strings.NewReader(want))
	if err != nil {
		c.t.Fatal(err)
	}
	forgive(theirs, ours)
	if got := dump(c.t, theirs); got != want {
		c.t.Errorf("tree %d, version %d: composefs-info dumps\n%s", i, version, firstDifference(got, want))
		ok = false
	}
	return ok
}

// walk has go-erofs read all names in an image, which has so many.
func (c *comparer) walk(image []byte, want int) error {
	fsys, err := goerofs.Open(bytes.NewReader(image))
	if err != nil {
		return err
	}
	got := 0
	err = fs.WalkDir(fsys, ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		got++
		_, err = e.Info()
		return err
	})
	if err == nil && got != want {
		err = fmt.Errorf("%d names; want %d", got, want)
	}
	return err
}

// stub matches the line in a dump of a file whose name every image has in its root.
var stub = regexp.MustCompile("(?m)^/[0-9a-f]{2} ")

// forgive undoes in a dump of composefs-info 1.0.8 what is its own: it leaves the
// mark on a directory with whiteouts that mkcomposefs has put there, loses an ACL
// of no bytes, and reads a payload path on behind its end, if no padding follows.
func forgive(theirs, ours *tree.Node) {
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		if v, ok := ours.Xattr(name); ok && v == "" {
			theirs.SetXattr(name, "")
		}
	}
	for _, e := range theirs.Entries() {
		n := ours.Entry(e.Name)
		if n == nil {
			continue
		}
		forgive(e.Node, n)
		switch {
		case e.Node.IsWhiteout():
			theirs.KeepXattrs(func(name string) bool {
				_, own := ours.Xattr(name)
				return own || name != "trusted.overlay.opaque" && name != "user.overlay.opaque"
			})
		case len("/"+n.Payload())%4 == 0 && strings.HasPrefix(e.Node.Payload(), n.Payload()):
			e.Node.SetPayload(n.Payload())
		}
	}
}
