package etcmerge

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/fsverity"
)

// largeEtc returns an /etc of 3,000 files in 150 directories, of which every
// seventh has another content in another version.
func largeEtc(version int) *composefs.Node {
	root := &composefs.Node{Mode: composefs.TypeDir | 0o755}
	for i := range 3000 {
		text := fmt.Sprintf("%d %d\n", i, version*(i%7/6))
		data := []byte(strings.Repeat(text, 300))
		n := &composefs.Node{Mode: composefs.TypeRegular | 0o644, Nlink: 1, Size: uint64(len(data)), Digest: fsverity.Sum(digest.SHA512, data)}
		place(root, fmt.Sprintf("d%02d/e%d/f%d", i%50, i%3, i), n)
	}
	return root
}

// BenchmarkFinalize is what finalize does with 50 local changes, from the old
// upper directory to the new one on disk, without the one sync.
func BenchmarkFinalize(b *testing.B) {
	dir := b.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	base, new := largeEtc(0), largeEtc(1)
	local := clone(base)
	for i := range 50 {
		data := []byte(strings.Repeat(fmt.Sprintf("mine %d\n", i), 400))
		place(local, fmt.Sprintf("d%02d/e%d/f%d", i%50, i%3, i*3), &composefs.Node{Mode: composefs.TypeRegular | 0o600, Inline: data, Size: uint64(len(data))})
	}
	if err := WriteUpper(root, "old", local, base, noObjects); err != nil {
		b.Fatal(err)
	}
	upper, err := root.Open("old")
	if err != nil {
		b.Fatal(err)
	}
	defer upper.Close()
	open := LocalOpener(upper, nil)
	for n := 0; b.Loop(); n++ {
		local, err := ReadUpper(upper, base, digest.SHA512)
		if err != nil {
			b.Fatal(err)
		}
		result, err := Rebase(base, local, new, Options{Open: open})
		if err != nil {
			b.Fatal(err)
		}
		tree, err := ToUpper(result.Tree, new, open)
		if err != nil {
			b.Fatal(err)
		}
		if err := writeTree(upper, fmt.Sprintf("../new%d", n), tree, open); err != nil {
			b.Fatal(err)
		}
	}
}
