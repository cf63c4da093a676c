package erofs

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func TestXXH32(t *testing.T) {
	tests := []struct {
		in   string
		seed uint32
		want uint32
	}{ // from xxhsum -H0, and the specification
		{"", 0, 0x02cc5d05},
		{"a", 0, 0x550d7456},
		{"abc", 0, 0x32d153ff},
		{"Nobody inspects the spammish repetition", 0, 0xe2293b2f},
	}
	for _, tt := range tests {
		if got := xxh32(tt.in, tt.seed); got != tt.want {
			t.Errorf("xxh32(%q, %d) = %#x; want %#x", tt.in, tt.seed, got, tt.want)
		}
	}
}

// A limitedWriter fails after some bytes.
type limitedWriter struct{ left int }

var errFull = errors.New("full")

func (w *limitedWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, errFull
	}
	w.left -= len(b)
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	for _, left := range []int{0, 4096, 100_000} {
		err := Write(t.Context(), &limitedWriter{left}, cornerTree(t, string(largeDump(2000, digest.SHA512))), Options{Version: V1})
		if !errors.Is(err, errFull) {
			t.Errorf("Write to a writer for %d bytes: %v; want %v", left, err, errFull)
		}
	}
}

func newDir() *tree.Node { return &tree.Node{Mode: tree.TypeDir | 0o755} }

func TestWriteRefuses(t *testing.T) {
	file := func(change func(n *tree.Node)) *tree.Node {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644}
		change(n)
		root := newDir()
		root.Set("f", n)
		return root
	}
	loop, twice, slash, deep := newDir(), newDir(), newDir(), newDir()
	loop.Set("d", loop)
	sub := newDir()
	twice.Set("a", sub)
	twice.Set("b", sub)
	slash.Set("a/b", newDir())
	for d, i := deep, 0; i < 3000; i++ {
		next := newDir()
		d.Set("dd", next)
		d = next
	}
	tests := []struct {
		root    *tree.Node
		version int
		want    string
	}{
		{&tree.Node{Mode: tree.TypeRegular}, V1, "the root is not a directory"},
		{loop, V1, "second name"},
		{twice, V2, `"/b": the directory has a second name`},
		{slash, V1, "has a slash"},
		{deep, V1, "path of 4098 bytes"},
		{newDir(), 3, "no format version 3"},
		{file(func(n *tree.Node) { n.Mode = 0o644 }), V1, "has no file type"},
		{file(func(n *tree.Node) { n.Size = 1<<53 + 1 }), V1, "at most 8 PiB"},
		{file(func(n *tree.Node) { n.Size, n.Inline = 1, []byte("ab") }), V1, "size is 1, but"},
		{file(func(n *tree.Node) { n.Mtime.Nsec = 1e9 }), V1, "nanoseconds"},
		{file(func(n *tree.Node) { n.SetXattr("user.a", strings.Repeat("a", 65536)) }), V1, "65536 bytes"},
		{file(func(n *tree.Node) {
			for _, c := range "abcde" {
				n.SetXattr("user."+string(c), strings.Repeat("a", 65535))
			}
		}), V1, "more extended attributes"},
	}
	for _, tt := range tests {
		err := Write(t.Context(), io.Discard, tt.root, Options{Version: tt.version})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Write(V%d) error = %v; want one with %q", tt.version, err, tt.want)
		}
	}
}
