package erofs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// counting counts the bytes that are read.
type counting struct {
	*bytes.Reader
	bytes int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.bytes += n
	return n, err
}

// below wants one path and what is in it, and of the directories on the way only
// that they are there.
func below(path string) Part {
	first, rest, more := strings.Cut(path, "/")
	return func(name string) Part {
		switch {
		case name != first:
			return nil
		case more:
			return below(rest)
		}
		return All
	}
}

// withDirs is a tree with a large /usr and two directories in /etc, one with
// whiteouts.
func withDirs(t *testing.T) *tree.Node {
	var d strings.Builder
	d.WriteString("/ 0 40755 2 0 0 0 1.0 - - -\n/etc 0 40755 2 0 0 0 1.0 - - -\n" +
		"/etc/a 0 40755 2 0 0 0 1.0 - - -\n/etc/a/f 1 100644 2 0 0 0 1.0 - x -\n" +
		"/etc/a/g 0 20644 1 0 0 0 1.0 - - -\n" +
		"/etc/b 0 40755 2 0 0 0 1.0 - - -\n/etc/b/f 0 @120000 - - - - 0.0 /etc/a/f - -\n/usr 0 40755 2 0 0 0 1.0 - - -\n")
	for i := range 4000 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		d.WriteString("/usr/" + name[:min(len(name), 200)] + strings.Repeat("y", i/1000) + " 0 100644 1 0 0 0 1.0 - - - user.a=" + name[:min(len(name), 90)] + "\n")
	}
	return cornerTree(t, d.String())
}

func TestReadPart(t *testing.T) {
	for _, opts := range []Options{{Version: V0}, {Version: V1}, {Version: V2}} {
		image := write(t, withDirs(t), opts)
		whole := read1(t, image)
		src := &counting{Reader: bytes.NewReader(image)}
		root, err := ReadPart(src, int64(len(image)), below("etc/a"))
		if err != nil {
			t.Fatal(err)
		}
		if src.bytes > len(image)/2 {
			t.Errorf("%+v: read %d of %d bytes", opts, src.bytes, len(image))
		}
		if got, want := dump(t, root.Lookup("etc/a")), dump(t, whole.Lookup("etc/a")); got != want {
			t.Errorf("%+v: etc/a: %s", opts, firstDifference(got, want))
		}
		for path, want := range map[string]bool{"etc": true, "etc/a/f": true, "etc/b": false, "usr": false} {
			if n := root.Lookup(path); n == nil || (n.Type() != 0) != want || len(n.Entries()) > 2 {
				t.Errorf("%+v: %s is %+v; want it read: %v", opts, path, n, want)
			}
		}
		if all, err := ReadPart(bytes.NewReader(image), int64(len(image)), All); err != nil || dump(t, all) != dump(t, whole) {
			t.Errorf("%+v: ReadPart of all is not Read: %v", opts, err)
		}
	}
}

// read1 is read without the homes of files with several names, which a part does
// not have.
func read1(t *testing.T, image []byte) *tree.Node {
	root := read(t, image)
	root.Walk(func(_ string, n *tree.Node) { n.SetHome(nil, "") })
	return root
}
