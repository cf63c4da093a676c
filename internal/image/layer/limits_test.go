package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// endless is an archive of one entry after the other, all of one name.
type endless struct {
	entry []byte
	at    int
}

func newEndless(t *testing.T) *endless {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "usr/file", Typeflag: tar.TypeReg, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	return &endless{entry: buf.Bytes()}
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.entry[e.at:])
	e.at = (e.at + n) % len(e.entry)
	return n, nil
}

// TestTooManyEntries stores an archive without end: it ends at the limit.
func TestTooManyEntries(t *testing.T) {
	notShort(t)
	repo, err := repo.Init(t.TempDir()+"/repo", repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	stream := stream.NewWriter(repo.Algorithm(), stream.OCILayer)
	archive := &counter{r: newEndless(t)}
	err = split(t.Context(), archive, func() (object, error) { return repo.NewObject() }, stream)
	if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != limits.Files {
		t.Errorf("error %v; want that of too many files", err)
	}
	if entries := archive.n / blockSize; entries < limits.Files.Value || entries > limits.Files.Value+2*inputSize/blockSize {
		t.Errorf("%d entries were read; want %d", entries, limits.Files.Value)
	}
}

// notShort skips a test that reads as many files as an image may have.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skipf("%v are read only without -short, as in make check", limits.Files)
	}
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TestTooManyDirectories: directories that are made count as well.
func TestTooManyDirectories(t *testing.T) {
	var deep bytes.Buffer
	name := strings.Repeat("x/", 2000) + "x"
	for i := range limits.Files.Value/2000 + 1 {
		deep.Write(newBuilder(t).file(fmt.Sprintf("%d/%s", i, name), "").buf.Bytes())
	}
	err := new(Merger).Measure(t.Context(), &deep, digest.SHA256, nil)
	if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != limits.Files {
		t.Errorf("error %v; want that of too many files", err)
	}
}

// TestFilesOfLayers: what layers replace does not count.
func TestFilesOfLayers(t *testing.T) {
	m := Merger{files: limits.Files.Value - 5}
	for range 3 {
		archive := newBuilder(t).file("a/b/c", "").file("a/d", "").end()
		if err := m.Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, nil); err != nil {
			t.Fatal(err)
		}
	}
	if m.files > 15 {
		t.Errorf("%d files are counted; want those that there are", m.files)
	}
}

// numbered is an archive of entries that are each another: the last digits of the name
// are a number.
type numbered struct {
	block   []byte // header of an entry
	digits  int    // where they are
	at, end int
	left    []byte
}

func newNumbered(t *testing.T, h tar.Header, end int) *numbered {
	t.Helper()
	h.Name += "/00000000"
	var buf bytes.Buffer
	if err := tar.NewWriter(&buf).WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	// Before it there may be extended headers.
	return &numbered{block: buf.Bytes(), digits: buf.Len() - blockSize + len(h.Name) - 8, end: end}
}

func (n *numbered) Read(p []byte) (int, error) {
	if len(n.left) == 0 {
		if n.at == n.end {
			return 0, io.EOF
		}
		copy(n.block[n.digits:], fmt.Sprintf("%08d", n.at))
		block := n.block[len(n.block)-blockSize:]
		copy(block[148:], "        ")
		sum := 0
		for _, b := range block {
			sum += int(b)
		}
		copy(block[148:], fmt.Sprintf("%06o\x00", sum))
		n.at++
		n.left = n.block
	}
	size := copy(p, n.left)
	n.left = n.left[size:]
	return size, nil
}

// TestTooManyFiles merges layers that have too many files together, or too long names,
// and measures what the tree takes until it is refused.
func TestTooManyFiles(t *testing.T) {
	tests := map[string]struct {
		header tar.Header
		files  int
		want   limits.Limit
		memory uint64 // MiB
	}{
		"files": {tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, 300_000, limits.Files, 512},
		"links": {tar.Header{Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("x", 4000), Mode: 0o777}, 30_000, limits.Names, 512},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.want == limits.Files {
				notShort(t)
			}
			defer debug.SetGCPercent(debug.SetGCPercent(100)) // as in the program, whatever GOGC is here
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var m Merger
			var err error
			n := 0
			for ; err == nil && n < 20; n++ {
				h := tt.header
				h.Name = fmt.Sprintf("layer%d", n)
				err = m.Measure(t.Context(), newNumbered(t, h, tt.files), digest.SHA256, nil)
			}
			runtime.ReadMemStats(&after)
			if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != tt.want {
				t.Errorf("error %v; want that of %s", err, tt.want.Name)
			}
			if took := (after.HeapInuse - min(before.HeapInuse, after.HeapInuse)) >> 20; took > tt.memory {
				t.Errorf("%d MiB in memory; want %d at most", took, tt.memory)
			} else {
				t.Logf("%d MiB in memory, layer %d refused", took, n)
			}
			runtime.KeepAlive(&m)
		})
	}
}
