package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// checkSame splits an archive, puts it together again, and compares.
func checkSame(t *testing.T, name string, archive []byte) *memory {
	t.Helper()
	m, open, err := splitBytes(t, archive)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	r := open()
	defer r.Close()
	content := r.Content(m.openObject)
	defer content.Close()
	got, err := io.ReadAll(content)
	if err != nil || !bytes.Equal(got, archive) {
		t.Errorf("%s: %d bytes that are the same: %v, %v; want %d", name, len(got), bytes.Equal(got, archive), err, len(archive))
	}
	return m
}

// sample adds files of all kinds and of sizes around the blocks' and the limit
// of inline content.
func sample(b *builder, format tar.Format) []byte {
	b.dir("usr")
	for _, size := range []int{0, 1, 63, 64, 65, 511, 512, 513, 1024, 300000} {
		b.add(tar.Header{Format: format, Name: fmt.Sprintf("usr/%d", size)}, strings.Repeat("x", size))
	}
	long := "usr/" + strings.Repeat("long", 10) + "/"
	b.dir(long).add(tar.Header{Format: format, Name: long + strings.Repeat("long", 20)}, "x")
	return b.symlink("usr/s", "0").link("usr/h", "usr/65").end()
}

func TestGoArchives(t *testing.T) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		m := checkSame(t, format.String(), sample(newBuilder(t), format))
		if m == nil {
			continue
		}
		for _, size := range []int{65, 511, 512, 513, 1024, 300000} {
			if m.sizes()[size] != 1 {
				t.Errorf("%v: %d objects of %d bytes; want 1", format, m.sizes()[size], size)
			}
		}
		if len(m.objects) != 6 {
			t.Errorf("%v: %d objects; want 6", format, len(m.objects))
		}
	}
}

// TestGNUTar takes the archives that tar(1) makes of a directory, and expects
// the same tree of all of them.
func TestGNUTar(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar(1) is not installed")
	}
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("long", 10))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"a": 0, "b": 10, "c": 1000, "d": 100000} {
		if err := os.WriteFile(filepath.Join(long, name), bytes.Repeat([]byte(name), size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(long, "c"), filepath.Join(long, "h")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(strings.Repeat("target/", 30), filepath.Join(long, "s")); err != nil {
		t.Fatal(err)
	}
	var want string
	for _, format := range []string{"gnu", "oldgnu", "pax", "posix"} {
		cmd := exec.CommandContext(t.Context(), program, "--format="+format, "--sort=name", "-C", dir, "-c", ".")
		archive, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		checkSame(t, format, archive)
		root, err := applyBytes(t, archive)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		got := list(root)
		if want == "" {
			want = got
		}
		if got != want || strings.Count(got, "\n") != 8 || !strings.Contains(got, "1000 bytes (2 links)") {
			t.Errorf("%s: tree is\n%swant\n%s", format, got, want)
		}
	}
}

// TestSmallReads has a reader that gives a byte at a time.
func TestSmallReads(t *testing.T) {
	archive := sample(newBuilder(t), tar.FormatPAX)
	m := &memory{objects: map[digest.Digest][]byte{}}
	w := stream.NewWriter(digest.SHA256, stream.OCILayer)
	if err := split(t.Context(), iotest.OneByteReader(bytes.NewReader(archive)), m.newObject, w); err != nil || len(m.objects) != 6 {
		t.Errorf("split: %d objects, %v; want 6", len(m.objects), err)
	}
}

// TestReaderFails has a reader that says at the very end, instead of io.EOF,
// that all was wrong.
func TestReaderFails(t *testing.T) {
	wrong := errors.New("wrong digest")
	archive := sample(newBuilder(t), tar.FormatPAX)
	for _, n := range []int{0, 100, 512, 100000, len(archive) - 100000, len(archive) - 600, len(archive)} {
		r := io.MultiReader(bytes.NewReader(archive[:n]), iotest.ErrReader(wrong))
		m := &memory{objects: map[digest.Digest][]byte{}}
		w := stream.NewWriter(digest.SHA256, stream.OCILayer)
		if err := split(t.Context(), r, m.newObject, w); !errors.Is(err, wrong) || m.open != 0 {
			t.Errorf("after %d bytes: error %v, %d objects open; want %v and 0", n, err, m.open, wrong)
		}
	}
}

// A failing object fails when it is written, or committed.
type failing struct {
	memoryObject
	write, commit error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.write != nil {
		return 0, f.write
	}
	return f.memoryObject.Write(p)
}

func (f *failing) Commit() (digest.Digest, error) {
	if f.commit != nil {
		f.Abort()
		return digest.Digest{}, f.commit
	}
	return f.memoryObject.Commit()
}

func TestStoreFails(t *testing.T) {
	full := errors.New("no space left on device")
	b := newBuilder(t)
	for i := range 100 {
		b.file(fmt.Sprint(i), strings.Repeat("x", 1000+i))
	}
	archive := b.end()
	for _, tt := range []struct {
		name                string
		open, write, commit error
	}{{"open", full, nil, nil}, {"write", nil, full, nil}, {"commit", nil, nil, full}} {
		m := &memory{objects: map[digest.Digest][]byte{}}
		n := 0
		newObject := func() (object, error) {
			o, err := m.newObject()
			if n++; n != 50 {
				return o, err
			}
			if tt.open != nil {
				o.Abort()
				return nil, tt.open
			}
			return &failing{memoryObject{to: m}, tt.write, tt.commit}, nil
		}
		w := stream.NewWriter(digest.SHA256, stream.OCILayer)
		if err := split(t.Context(), bytes.NewReader(archive), newObject, w); !errors.Is(err, full) || m.open != 0 {
			t.Errorf("%s: error %v, %d objects open; want %v and 0", tt.name, err, m.open, full)
		}
	}
}

func TestSplitCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &memory{objects: map[digest.Digest][]byte{}}
	w := stream.NewWriter(digest.SHA256, stream.OCILayer)
	if err := split(ctx, bytes.NewReader(nil), m.newObject, w); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want %v", err, context.Canceled)
	}
}

// A sink forgets what is written to it.
type sink struct{ n int64 }

func (s *sink) Write(p []byte) (int, error) { s.n += int64(len(p)); return len(p), nil }
func (s *sink) Commit() (digest.Digest, error) {
	return digest.FromBytes(digest.SHA256, make([]byte, 32))
}
func (s *sink) Abort() {}

// TestMemory reads one file of 1 GB, and allocates next to nothing.
func TestMemory(t *testing.T) {
	const size = 1 << 30
	h := raw(func(h []byte) { copy(h[124:], fmt.Sprintf("%011o", size)) })
	archive := io.MultiReader(bytes.NewReader(h), io.LimitReader(zeros{}, size+2*blockSize))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := stream.NewWriter(digest.SHA256, stream.OCILayer)
	if err := split(t.Context(), archive, func() (object, error) { return &sink{}, nil }, w); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("%d bytes allocated; want less than 16 MB", got)
	}
}

// seeds are small archives of all kinds.
func seeds(f *testing.F) [][]byte {
	var all [][]byte
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		all = append(all, sample(newBuilder(f), format)[:8192])
	}
	return append(all,
		newBuilder(f).dir("a").file("a/.wh.b", "").file("a/.wh..wh..opq", "").symlink("s", "a").link("h", "s").end(),
		newBuilder(f).dir("a").file("a/b", "x").dir("a/d").link("a/d/c", "a/b").file("a/d", "").end(),
		append(pax('x', record("mtime", "1.5")+record("SCHILY.xattr.user.x", "y")), raw(func([]byte) {})...),
		append(append(pax('x', record("GNU.sparse.map", "1,1,5,1")+record("GNU.sparse.size", "9")), raw(func(h []byte) { copy(h[124:], "00000000002") })...), append([]byte("ab"), make([]byte, 510)...)...),
		append(append(pax('x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.realsize", "99")), raw(func(h []byte) { copy(h[124:], "00000001001") })...),
			append(append([]byte("1\n9\n1\n"), make([]byte, 506)...), append([]byte("b"), make([]byte, 511)...)...)...),
		append(pax('L', "name\x00"), raw(func(h []byte) { copy(h[257:], "ustar  \x00") })...))
}

// sumAll makes the checksums of an archive right: a fuzzer does not find them.
func sumAll(archive []byte) {
	for i := 0; i+blockSize <= len(archive); i += blockSize {
		if block := archive[i : i+blockSize]; block[257] == 'u' || block[148] == '0' {
			sum(block)
		}
	}
}

// FuzzLayer: whatever is accepted can be had again byte for byte, and makes the
// tree that Measure makes of it.
func FuzzLayer(f *testing.F) {
	for _, archive := range seeds(f) {
		f.Add(archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		sumAll(archive)
		if _, _, err := splitBytes(t, archive); err != nil {
			return
		}
		checkSame(t, "fuzz", archive)
		_, _ = mergeBytes(t, Merger{expanded: limits.Sparse.Value - 1<<20}, archive)
	})
}

// FuzzMerge merges two layers, without storing them, which is fast. The tree can
// be written as a dump and read again.
func FuzzMerge(f *testing.F) {
	for _, lower := range seeds(f) {
		for _, upper := range seeds(f) {
			f.Add(lower, upper)
		}
	}
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		m := Merger{expanded: limits.Sparse.Value - 1<<20} // holes take long
		for _, archive := range [][]byte{lower, upper} {
			sumAll(archive)
			if err := m.Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, nil); err != nil {
				return
			}
		}
		root := m.Root
		root.CountLinks()
		var dump bytes.Buffer
		if err := tree.WriteDump(&dump, root); err != nil {
			t.Fatalf("cannot write the tree: %v", err)
		}
		text := dump.String()
		again, err := tree.ParseDump(&dump)
		if err != nil {
			t.Fatalf("cannot read the tree again: %v\n%s", err, text)
		}
		if got, want := list(again), list(root); got != want {
			t.Errorf("tree is\n%swant\n%s", got, want)
		}
	})
}
