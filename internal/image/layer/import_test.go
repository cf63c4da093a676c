package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func newRepository(t testing.TB) *repo.Repository {
	t.Helper()
	repo, err := repo.Init(filepath.Join(t.TempDir(), "composefs"), repo.Options{Algorithm: digest.SHA512, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	return repo
}

const diffID = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestImport(t *testing.T) {
	repo := newRepository(t)
	archive := sample(newBuilder(t), tar.FormatPAX)
	d, err := Import(t.Context(), bytes.NewReader(archive), repo, diffID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repo.StreamDigest(StreamName(diffID)); err != nil || got != d {
		t.Errorf("StreamDigest = %v, %v; want %v", got, err, d)
	}
	stream, err := repo.OpenStream(StreamName(diffID))
	if err != nil {
		t.Fatal(err)
	}
	content := stream.Content(func(d digest.Digest) (io.ReadCloser, error) { return repo.OpenObject(d) })
	if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, archive) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(archive))
	}
	content.Close()
	stream.Close()
	var m Merger
	if err := m.ApplyStored(t.Context(), repo, diffID); err != nil {
		t.Fatal(err)
	}
	file := m.Root.Lookup("usr/300000")
	if file == nil || file.Size != 300000 || !repo.HasObject(file.Digest) {
		t.Errorf("/usr/300000 is %+v; want 300000 bytes and an object that is there", file)
	}
}

func TestApplyStored(t *testing.T) {
	repo := newRepository(t)
	if err := new(Merger).ApplyStored(t.Context(), repo, diffID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no stream: error %v; want %v", err, fs.ErrNotExist)
	}
	w := stream.NewWriter(digest.SHA512, stream.OCIConfig)
	if _, err := repo.PutStream(StreamName(diffID), w); err != nil {
		t.Fatal(err)
	}
	if err := new(Merger).ApplyStored(t.Context(), repo, diffID); err == nil || !strings.Contains(err.Error(), "want a layer") {
		t.Errorf("another content: error %v; want one that says so", err)
	}
}

// TestImportFails leaves no stream behind, and does not trip over what it has
// left when it is tried again.
func TestImportFails(t *testing.T) {
	repo := newRepository(t)
	archive := sample(newBuilder(t), tar.FormatPAX)
	wrong := errors.New("wrong diff_id")
	tar := io.MultiReader(bytes.NewReader(archive), iotest.ErrReader(wrong))
	if _, err := Import(t.Context(), tar, repo, diffID); !errors.Is(err, wrong) {
		t.Errorf("Import: %v; want %v", err, wrong)
	}
	if repo.HasStream(StreamName(diffID)) {
		t.Error("the stream is there; want none")
	}
	if _, err := Import(t.Context(), bytes.NewReader(archive), repo, diffID); err != nil {
		t.Errorf("second Import: %v", err)
	}
}

func TestCheckStored(t *testing.T) {
	repo := newRepository(t)
	archive := sample(newBuilder(t), tar.FormatPAX)
	right := godigest.FromBytes(archive)
	for _, id := range []godigest.Digest{right, diffID} {
		if _, err := Import(t.Context(), bytes.NewReader(archive), repo, id); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(name, id godigest.Digest) error {
		stream, err := repo.OpenStream(StreamName(name))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		return CheckStored(t.Context(), repo, stream, id)
	}
	if err := stored(right, right); err != nil {
		t.Error(err)
	}
	if err := stored(diffID, diffID); err == nil || !strings.Contains(err.Error(), "wrong diff_id: "+right.String()) {
		t.Errorf("another archive: error %v; want one that has its diff_id", err)
	}
	if err := stored(right, "sha256:1"); err == nil {
		t.Error("no digest: no error")
	}
}

func TestApplyCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	entries := 0
	err := new(Merger).apply(ctx, streamFunc(func() (stream.Chunk, error) {
		entries++
		cancel()
		return stream.Chunk{Inline: newBuilder(t).file("a", "").end()[:blockSize]}, nil
	}), nil)
	if !errors.Is(err, context.Canceled) || entries != 1 {
		t.Errorf("Apply, canceled at the first of endless entries: %v after %d; want context.Canceled after 1", err, entries)
	}
}

type streamFunc func() (stream.Chunk, error)

func (f streamFunc) Next() (stream.Chunk, error) { return f() }
