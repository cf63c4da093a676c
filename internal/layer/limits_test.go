package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/splitstream"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
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
	repo, err := store.Init(t.TempDir()+"/repo", store.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	stream := splitstream.NewWriter(repo.Algorithm(), splitstream.OCILayer)
	archive := &counter{r: newEndless(t)}
	err = split(t.Context(), archive, func() (object, error) { return repo.NewObject() }, stream)
	if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != limits.Files {
		t.Errorf("error %v; want that of too many files", err)
	}
	if entries := archive.n / blockSize; entries < limits.Files.Value || entries > limits.Files.Value+2*inputSize/blockSize {
		t.Errorf("%d entries were read; want %d", entries, limits.Files.Value)
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
