package layer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// A memory keeps objects in memory.
type memory struct {
	mu      sync.Mutex
	objects map[digest.Digest][]byte
	open    int // objects neither committed nor aborted
}

type memoryObject struct {
	bytes.Buffer
	to *memory
}

func (m *memory) newObject() (object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	return &memoryObject{to: m}, nil
}

func (o *memoryObject) Commit() (digest.Digest, error) {
	d := verity.Sum(digest.SHA256, o.Bytes())
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	o.to.objects[d] = o.Bytes()
	o.to.open--
	return d, nil
}

func (o *memoryObject) Abort() {
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	o.to.open--
}

func (m *memory) openObject(d digest.Digest) (io.ReadCloser, error) {
	data, ok := m.objects[d]
	if !ok {
		return nil, fmt.Errorf("no object %s", d)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// inMemory are the objects of a memory for sparse files.
type inMemory struct{ *memory }

func (m inMemory) open(d digest.Digest) (io.ReadCloser, error) { return m.openObject(d) }
func (m inMemory) create() (object, error)                     { return m.newObject() }

// splitBytes splits an archive and returns a function that opens its stream.
func splitBytes(t testing.TB, archive []byte) (*memory, func() *stream.Reader, error) {
	t.Helper()
	m := &memory{objects: map[digest.Digest][]byte{}}
	w := stream.NewWriter(digest.SHA256, stream.OCILayer)
	err := split(t.Context(), bytes.NewReader(archive), m.newObject, w)
	if m.open != 0 {
		t.Errorf("%d objects are neither committed nor aborted", m.open)
	}
	if err != nil {
		return nil, nil, err
	}
	var file bytes.Buffer
	if err := w.Finish(&file); err != nil {
		t.Fatal(err)
	}
	return m, func() *stream.Reader {
		r, err := stream.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, nil
}

// applyBytes merges archives, one above the other, and sees to it that they make
// the same tree without being stored.
func applyBytes(t testing.TB, archives ...[]byte) (*tree.Node, error) {
	t.Helper()
	root, err := applyStored(t, archives...)
	compareMeasured(t, root, err, archives...)
	return root, err
}

func applyStored(t testing.TB, archives ...[]byte) (*tree.Node, error) {
	t.Helper()
	var m Merger
	for _, archive := range archives {
		objects, open, err := splitBytes(t, archive)
		if err != nil {
			return nil, err
		}
		r := open()
		defer r.Close()
		if err := m.apply(t.Context(), r, inMemory{objects}); err != nil {
			return nil, err
		}
	}
	return m.Root, nil
}

// A builder writes archives with archive/tar.
type builder struct {
	t   testing.TB
	buf bytes.Buffer
	*tar.Writer
}

func newBuilder(t testing.TB) *builder {
	b := &builder{t: t}
	b.Writer = tar.NewWriter(&b.buf)
	return b
}

func (b *builder) add(h tar.Header, content string) *builder {
	b.t.Helper()
	if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
		h.Mode = 0o644
	}
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
	}
	if h.Size == 0 {
		h.Size = int64(len(content))
	}
	if err := b.WriteHeader(&h); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Write([]byte(content)); err != nil {
		b.t.Fatal(err)
	}
	return b
}

func (b *builder) dir(name string) *builder {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, "")
}

func (b *builder) file(name, content string) *builder {
	return b.add(tar.Header{Name: name}, content)
}

func (b *builder) symlink(name, target string) *builder {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}, "")
}

func (b *builder) link(name, target string) *builder {
	return b.add(tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}, "")
}

// end returns the archive.
func (b *builder) end() []byte {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.buf.Bytes()
}

// list describes the files of a tree, one a line, in order.
func list(root *tree.Node) string {
	root.CountLinks()
	var out bytes.Buffer
	root.Walk(func(path string, n *tree.Node) {
		fmt.Fprintf(&out, "%s %o", path, n.Mode)
		switch {
		case n.IsSymlink():
			fmt.Fprintf(&out, " -> %s", n.Target)
		case n.IsRegular() && n.Digest.IsZero():
			fmt.Fprintf(&out, " %q", n.Inline)
		case n.IsRegular():
			fmt.Fprintf(&out, " %d bytes", n.Size)
		case n.Rdev != 0:
			fmt.Fprintf(&out, " device %#x", n.Rdev)
		}
		if !n.IsDir() && n.Nlink > 1 {
			fmt.Fprintf(&out, " (%d links)", n.Nlink)
		}
		out.WriteByte('\n')
	})
	return out.String()
}

// sizes returns the objects by their sizes.
func (m *memory) sizes() map[int]int {
	sizes := map[int]int{}
	for data := range maps.Values(m.objects) {
		sizes[len(data)]++
	}
	return sizes
}
