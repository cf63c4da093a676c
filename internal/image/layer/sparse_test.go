package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// sparseFiles writes files with holes, and returns their contents.
func sparseFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	contents := make(map[string][]byte)
	for name, f := range map[string]struct {
		size     int64
		segments []int64 // of 4096 bytes
	}{
		"hole": {1 << 20, nil}, "end": {1<<20 + 5, []int64{1 << 19}}, "start": {1 << 20, []int64{0}}, "last": {1<<20 + 10, []int64{1 << 20}},
		"many": {4 << 20, []int64{0, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 2 << 20, 3 << 20}},
	} {
		content := make([]byte, f.size)
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range f.segments {
			copy(content[at:], bytes.Repeat([]byte{'a'}, 4096))
			if _, err := file.WriteAt(content[at:min(at+4096, f.size)], at); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(file.Truncate(f.size), file.Close()); err != nil {
			t.Fatal(err)
		}
		contents[name] = content
	}
	if err := os.WriteFile(filepath.Join(dir, "small"), []byte("small"), 0o644); err != nil {
		t.Fatal(err)
	}
	return contents
}

// TestSparse takes the archives that tar(1) makes of files with holes, in all formats that
// there are.
func TestSparse(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar(1) is not installed")
	}
	dir := t.TempDir()
	contents := sparseFiles(t, dir)
	for _, format := range [][]string{
		{"--format=gnu"}, {"--format=oldgnu"}, {"--format=posix", "--sparse-version=0.0"}, {"--format=posix", "--sparse-version=0.1"}, {"--format=posix", "--sparse-version=1.0"},
	} {
		args := append(append([]string{"-S", "--hole-detection=raw"}, format...), "--sort=name", "-C", dir, "-c", ".")
		cmd := exec.CommandContext(t.Context(), program, args...)
		archive, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		if len(archive) > 200<<10 {
			t.Errorf("%q: the archive has %d bytes: nothing in it is sparse", format, len(archive))
		}
		checkSame(t, strings.Join(format, " "), archive)
		checkSparse(t, format, archive, contents)
	}
}

func checkSparse(t *testing.T, format []string, archive []byte, contents map[string][]byte) {
	t.Helper()
	stored, open, err := splitBytes(t, archive)
	if err != nil {
		t.Errorf("%q: %v", format, err)
		return
	}
	stream := open()
	defer stream.Close()
	var fromStore, measured Merger
	if err := fromStore.apply(t.Context(), stream, inMemory{stored}); err != nil {
		t.Errorf("%q: %v", format, err)
		return
	}
	var numbers []string
	kept := make(map[string]*bytes.Buffer)
	if err := measured.Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, func(path string, _ *tree.Node) io.Writer {
		numbers = append(numbers, path[1:])
		kept[path[1:]] = new(bytes.Buffer)
		return kept[path[1:]]
	}); err != nil {
		t.Errorf("%q, not stored: %v", format, err)
		return
	}
	again := make(map[int]io.Writer)
	for i := range numbers {
		again[i] = new(bytes.Buffer)
	}
	if err := Contents(t.Context(), bytes.NewReader(archive), again); err != nil {
		t.Errorf("%q: Contents: %v", format, err)
	}
	for i, name := range numbers {
		want := contents[name]
		d := verity.Sum(digest.SHA256, want)
		for _, root := range []*tree.Node{fromStore.Root, measured.Root} {
			if n := root.Entry(name); n == nil || n.Size != uint64(len(want)) || n.Digest != d {
				t.Errorf("%q: %s is %+v; want %d bytes and digest %s", format, name, n, len(want), d)
			}
		}
		if got, ok := stored.objects[d]; !ok || !bytes.Equal(got, want) || !bytes.Equal(kept[name].Bytes(), want) || !bytes.Equal(again[i].(*bytes.Buffer).Bytes(), want) {
			t.Errorf("%q: content of %s: it is among the objects: %v; want the same as in the file, kept and read again", format, name, ok)
		}
	}
	if len(numbers) != len(contents) || string(fromStore.Root.Entry("small").Inline) != "small" {
		t.Errorf("%q: large files are %q; want those of %d", format, numbers, len(contents))
	}
}

// TestSparseSmall: what has no more than 64 bytes is kept in the image, and what the
// archive has of a file may be less where the file is large.
func TestSparseSmall(t *testing.T) {
	tests := []struct {
		segments, size, data string
		inline               string
		digest               string // content of a large file
	}{
		{"2,1,5,2", "8", "abc", "\x00\x00a\x00\x00bc\x00", ""},
		{"0,0", "0", "", "", ""},
		{"4,0", "4", "", "\x00\x00\x00\x00", ""},
		{"100,1", "101", "a", "", strings.Repeat("\x00", 100) + "a"},
	}
	for _, tt := range tests {
		head := pax('x', record("GNU.sparse.major", "0")+record("GNU.sparse.minor", "1")+record("GNU.sparse.name", "dir/name")+
			record("GNU.sparse.size", tt.size)+record("GNU.sparse.map", tt.segments))
		file := raw(func(h []byte) {
			copy(h, "GNUSparseFile.1/name")
			copy(h[124:], "0000000000"+string('0'+rune(len(tt.data))))
		})
		root, err := applyBytes(t, append(append(append(head, file...), tt.data...), make([]byte, padding(int64(len(tt.data))))...))
		if err != nil {
			t.Errorf("%s: %v", tt.segments, err)
			continue
		}
		n := root.Lookup("dir/name")
		var want digest.Digest
		if tt.digest != "" {
			want = verity.Sum(digest.SHA256, []byte(tt.digest))
		}
		if n == nil || string(n.Inline) != tt.inline || n.Digest != want || n.Size != uint64(len(tt.inline)+len(tt.digest)) {
			t.Errorf("%s: the file is %+v; want %q or %s", tt.segments, n, tt.inline, want)
		}
	}
}

// TestSparseCanceled: a hole as large as it may be takes a minute, which nobody has to wait for.
func TestSparseCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := sparse{size: limits.Sparse.Value}
	written := 0
	err := s.expand(ctx, writerFunc(func(p []byte) (int, error) {
		written += len(p)
		cancel()
		return len(p), nil
	}), strings.NewReader(""), 0)
	if !errors.Is(err, context.Canceled) || written > 1<<20 {
		t.Errorf("expand, canceled: %v after %d bytes", err, written)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSparseHoles: a layer of a few bytes makes no holes that take minutes, while those
// that go with their data, or are no larger than a GiB, are as in the layer.
func TestSparseHoles(t *testing.T) {
	tests := []struct {
		files [][2]int64 // size, and what the archive has of it
		ok    bool
	}{
		{[][2]int64{{holesFree, 0}}, true},
		{[][2]int64{{holesFree + limits.Holes.Value, 0}}, false},
		{[][2]int64{{holesFree / 2, 0}, {holesFree/2 + limits.Holes.Value, 0}}, false},
		{[][2]int64{{1 << 20, 1 << 20}, {holesFree + 1<<20, 512}}, true},
		{[][2]int64{{8 << 30, 40 << 20}}, true},
		{[][2]int64{{16 << 30, 40 << 20}}, false},
		{[][2]int64{{100, 512}}, true},
	}
	for _, tt := range tests {
		var m Merger
		var err error
		for _, f := range tt.files {
			if err == nil {
				err = m.countSparse(&entry{size: f[1], sparse: &sparse{size: f[0]}})
			}
		}
		exceeded, isLimit := errors.AsType[*limits.Error](err)
		if tt.ok && err != nil || !tt.ok && (!isLimit || exceeded.Limit != limits.Holes) {
			t.Errorf("%v: %v; want it accepted: %v", tt.files, err, tt.ok)
		}
	}
	// The whole way, and at once.
	head := pax('x', record("GNU.sparse.major", "0")+record("GNU.sparse.minor", "1")+
		record("GNU.sparse.size", fmt.Sprint(int64(16<<30)))+record("GNU.sparse.map", "0,0"))
	_, err := mergeBytes(t, Merger{}, append(head, raw(func([]byte) {})...))
	if err == nil || !strings.Contains(err.Error(), "sparse file holes limit: at most 200 times the data") {
		t.Errorf("a layer of 1 kB with a file of 16 GiB: %v; want the error of the limit", err)
	}
}

// TestSegments: the map of a sparse file has as many segments as it may have, and no more.
func TestSegments(t *testing.T) {
	var s sparse
	for i := range limits.Segments.Value {
		if err := s.add(i, 0); err != nil {
			t.Fatalf("segment %d: %v", i, err)
		}
	}
	if exceeded, ok := errors.AsType[*limits.Error](s.add(limits.Segments.Value, 0)); !ok || exceeded.Limit != limits.Segments {
		t.Errorf("one segment more: %v; want %v", exceeded, limits.Segments.Exceeded())
	}
}
