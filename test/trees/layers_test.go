package trees

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

const (
	randomImages = 60
	seedVar      = "SYSUPDATE_SEED" // repeats a run
)

// TestRandomLayers merges the layers of random images, odd ones among them, by
// both programs: either both refuse an image, or its dump is the same.
func TestRandomLayers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVar); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d images; to repeat the run, set %s=%d", randomImages, seedVar, seed)
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	p.their("init", "--insecure", repo)
	merged, odd := 0, 0
	for i := range randomImages {
		g := layerMaker{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		var img ocitest.Image
		for n := range 1 + g.IntN(3) {
			img.Layers = append(img.Layers, g.layer(t, n == 0))
		}
		tag := fmt.Sprintf("image-%d", i)
		if err := ocitest.WriteLayout(filepath.Join(dir, "oci"), tag, img); err != nil {
			t.Fatal(err)
		}
		name := "oci:" + filepath.Join(dir, "oci") + ":" + tag
		ours, late, err := dumpInOrder(t, name)
		theirs, theirErr := p.dumpOf(repo, name, tag)
		switch {
		case (err == nil) != (theirErr == nil):
			t.Errorf("image %d: we say %v\n%s\nthey say %v\n%.1000s\n%s", i, err, ours, theirErr, theirs, strings.Join(g.made, "\n"))
		case err == nil && ours != theirs:
			t.Errorf("image %d: we make\n%sthey make\n%sof\n%s", i, ours, theirs, strings.Join(g.made, "\n"))
		case err == nil:
			merged++
			if proper := p.our("image", "dump", name) + "\n"; late == 0 && proper != theirs {
				t.Errorf("image %d: merged as the specification has it, it is\n%swant\n%sof\n%s", i, proper, theirs, strings.Join(g.made, "\n"))
			}
			if late > 0 {
				odd++
			}
		}
	}
	t.Logf("%d images have whiteouts that remove something of their own layer in the order of the archive", odd)
	t.Logf("%d images are the same, %d are refused", merged, randomImages-merged)
	if merged < randomImages/4 {
		t.Errorf("of %d images only %d can be merged", randomImages, merged)
	}
}

// dumpInOrder merges the layers of an image in the order of the archives, as cfsctl does
// it, and returns how many whiteouts make a difference otherwise.
func dumpInOrder(t *testing.T, name string) (dump string, late int, err error) {
	t.Helper()
	opts := source.Options{Source: oci.Options{TempDir: t.TempDir()}}
	img, err := source.Open(t.Context(), name, opts)
	if err == nil {
		late = len(img.Late)
		img.Close()
	}
	opts.InOrder = true
	if img, err = source.Open(t.Context(), name, opts); err != nil {
		return "", 0, err
	}
	defer img.Close()
	root, err := img.Canonical(t.Context(), canonical.Form{})
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	err = tree.WriteDump(&b, root)
	return b.String(), late, err
}

// dumpOf has cfsctl pull an image and write its files down.
func (p pair) dumpOf(repo, image, tag string) (string, error) {
	out, err := exec.Command(p.theirs, "--repo", repo, "oci", "pull", image, tag).CombinedOutput()
	if err == nil {
		out, err = exec.Command(p.theirs, "--repo", repo, "oci", "dump", tag).Output()
	}
	return string(out), err
}

// A layerMaker makes layers in which much happens in few places.
type layerMaker struct {
	*rand.Rand
	dirs, files []string // that were made, and may have been removed since
	made        []string // for messages
}

func (g *layerMaker) layer(t *testing.T, first bool) []byte {
	t.Helper()
	var headers []tar.Header
	content := make(map[string]string)
	add := func(h tar.Header, body string) {
		h.Format = tar.FormatPAX
		content[h.Name] = body
		headers = append(headers, h)
		g.made = append(g.made, fmt.Sprintf("%c %q -> %q", h.Typeflag, h.Name, h.Linkname))
	}
	g.made = append(g.made, "layer")
	if first {
		for _, name := range []string{"usr/", "boot/", "a/", "a/b/"} {
			add(g.header(tar.TypeDir, name), "")
			g.dirs = append(g.dirs, strings.TrimSuffix(name, "/"))
		}
	}
	for range g.IntN(12) {
		h, body := g.entry()
		if _, twice := content[h.Name]; !twice { // ocitest has contents by name
			add(h, body)
		}
	}
	archive, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// entry returns any entry of an archive.
func (g *layerMaker) entry() (tar.Header, string) {
	if g.IntN(60) == 0 {
		return g.refused(), ""
	}
	dir := g.pick(g.dirs...)
	name := dir + "/" + g.pick("a", "b", "c", "d", "ä ö")
	written := g.pick("", "", "", "./", "/") + name
	switch kind := g.IntN(16); kind {
	case 0:
		return g.header(tar.TypeReg, dir+"/.wh."+g.pick("a", "b", "c", "none")), ""
	case 1:
		return g.header(tar.TypeReg, dir+"/.wh..wh..opq"), ""
	case 2:
		return g.header(tar.TypeDir, g.pick("./", "a//", "a/./b/")), ""
	case 3, 4, 5:
		g.dirs = append(g.dirs, name)
		return g.header(tar.TypeDir, written+"/"), ""
	case 6, 7, 8:
		if len(g.files) > 0 {
			h := g.header(tar.TypeLink, written)
			h.Linkname = g.pick("", "", "./", "/") + g.pick(g.files...)
			return h, ""
		}
	}
	g.files = append(g.files, name)
	switch g.IntN(8) {
	case 0:
		h := g.header(tar.TypeSymlink, written)
		h.Linkname = g.pick("a", "../b", "/usr", strings.Repeat("long/", 50))
		return h, ""
	case 1:
		return g.header(tar.TypeFifo, written), ""
	case 2:
		h := g.header(tar.TypeChar, written)
		h.Devmajor, h.Devminor = 1, int64(g.IntN(2))
		return h, ""
	case 3:
		// Also a whiteout, but none with a second name: composefs-rs refuses that
		// since 0.9.4.
		return g.header(tar.TypeChar, dir+"/whiteout"), ""
	}
	return g.header(tar.TypeReg, written), strings.Repeat("x", []int{0, 1, 64, 65, 5000}[g.IntN(5)])
}

// refused returns an entry that makes no sense: it is not below a directory, or
// is a link to none or to a directory.
func (g *layerMaker) refused() tar.Header {
	h := g.header(tar.TypeLink, "a/refused")
	switch g.IntN(5) {
	case 0:
		return g.header(tar.TypeReg, "missing/a")
	case 1:
		return g.header(tar.TypeDir, "a/../b/")
	case 2:
		h.Linkname = "usr"
	case 3:
		h.Linkname = "none"
	case 4:
		return g.header(tar.TypeFifo, "a/.")
	}
	return h
}

func (g *layerMaker) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g *layerMaker) header(kind byte, name string) tar.Header {
	h := tar.Header{Typeflag: kind, Name: name, Mode: int64(g.IntN(0o10000)), Uid: g.IntN(3), ModTime: time.Unix(g.Int64N(1<<33), 0)}
	if g.IntN(4) == 0 {
		h.ModTime = h.ModTime.Add(time.Duration(g.IntN(1e9)))
		h.Gid = 1 << 31
	}
	if g.IntN(4) == 0 {
		h.PAXRecords = map[string]string{
			"SCHILY.xattr." + g.pick("user.a", "security.capability", "security.selinux", "trusted.overlay.opaque"): g.pick("", "value", "a=b\x00c"),
		}
	}
	return h
}
