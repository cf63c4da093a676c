package repo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const sharedLayer = "oci-layer-sha256:0123"

func anyStream(*stream.Reader) error { return nil }

func TestCopyStream(t *testing.T) {
	for name, opts := range kinds {
		t.Run(name, func(t *testing.T) {
			from, to := newRepository(t, opts), newRepository(t, opts)
			objects := []digest.Digest{put(t, from, strings.Repeat("a", 100)), put(t, from, strings.Repeat("b", 3*objectBuffer))}
			want := putStream(t, from, sharedLayer, objects, nil)
			put(t, to, strings.Repeat("a", 100)) // which need not be copied
			if err := to.CopyStream(t.Context(), from, sharedLayer, anyStream); err != nil {
				t.Fatal(err)
			}
			if d, err := to.StreamDigest(sharedLayer); err != nil || d != want {
				t.Errorf("StreamDigest = %v, %v; want %v", d, err, want)
			}
			check, err := to.Check(t.Context(), nil)
			if err != nil || len(check.Problems) > 0 || check.Objects != 3 {
				t.Errorf("Check finds %d objects, %v, %v; want 3 and no problems", check.Objects, check.Problems, err)
			}
			if get(t, to, objects[1]) != strings.Repeat("b", 3*objectBuffer) {
				t.Error("the copy has another content")
			}
		})
	}
}

// TestCopyStreamRefuses: what the other repository has may be damaged.
func TestCopyStreamRefuses(t *testing.T) {
	opts := Options{Insecure: true}
	from, to := newRepository(t, opts), newRepository(t, opts)
	object := put(t, from, strings.Repeat("a", 100))
	putStream(t, from, sharedLayer, []digest.Digest{object}, nil)
	name := filepath.Join(from.dir.Name(), "objects", object.ObjectPath())
	if err := os.WriteFile(name, []byte(strings.Repeat("b", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := to.CopyStream(t.Context(), from, sharedLayer, anyStream); !errors.Is(err, ErrDamaged) || to.HasStream(sharedLayer) {
		t.Errorf("CopyStream of a damaged one = %v, has it: %v; want ErrDamaged", err, to.HasStream(sharedLayer))
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := to.CopyStream(t.Context(), from, sharedLayer, anyStream); err == nil || to.HasStream(sharedLayer) {
		t.Errorf("CopyStream of one that lacks an object = %v", err)
	}
	if err := to.CopyStream(t.Context(), from, "oci-layer-sha256:no", anyStream); err == nil {
		t.Error("CopyStream of nothing gives no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := to.CopyStream(ctx, from, sharedLayer, anyStream); !errors.Is(err, context.Canceled) {
		t.Errorf("CopyStream that is cancelled = %v", err)
	}
	other := newRepository(t, Options{Insecure: true, Algorithm: digest.SHA256})
	if err := other.CopyStream(t.Context(), from, sharedLayer, anyStream); err == nil || !strings.Contains(err.Error(), "digests") {
		t.Errorf("CopyStream to a repository with other digests = %v", err)
	}
}

// TestCopyStreamSwapped: what is checked is what is entered, whatever the owner of the
// other repository makes of the name and the contents meanwhile.
func TestCopyStreamSwapped(t *testing.T) {
	from, to := newRepository(t, Options{Insecure: true}), newRepository(t, Options{Insecure: true})
	object := put(t, from, strings.Repeat("a", 100))
	want := putStream(t, from, sharedLayer, []digest.Digest{object}, nil)
	checked := func(s *stream.Reader) error {
		putStream(t, from, sharedLayer, nil, nil)
		for _, d := range []digest.Digest{object, want} {
			name := filepath.Join(from.dir.Name(), "objects", d.ObjectPath())
			if err := os.WriteFile(name, []byte(strings.Repeat("b", 100)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := slices.Collect(s.ObjectRefs()); !slices.Equal(got, []digest.Digest{object}) || get(t, to, object) != strings.Repeat("a", 100) {
			t.Errorf("the stream to be checked has objects %v", got)
		}
		return nil
	}
	if err := to.CopyStream(t.Context(), from, sharedLayer, checked); err != nil {
		t.Fatal(err)
	}
	if d, err := to.StreamDigest(sharedLayer); err != nil || d != want {
		t.Errorf("StreamDigest = %v, %v; want %v", d, err, want)
	}
	if c, flaws := check(t, to); flaws != "" {
		t.Errorf("Check finds %v", c.Problems)
	}
	putStream(t, from, "oci-layer-sha256:other", nil, nil)
	refused := errors.New("refused")
	err := to.CopyStream(t.Context(), from, "oci-layer-sha256:other", func(*stream.Reader) error { return refused })
	if !errors.Is(err, refused) || to.HasStream("oci-layer-sha256:other") {
		t.Errorf("CopyStream of what is refused = %v, and it is there: %v", err, to.HasStream("oci-layer-sha256:other"))
	}
}

// TestCopyStreamShares: where the file system can, a copy takes no room.
func TestCopyStreamShares(t *testing.T) {
	const size = 32 << 20
	for name, opts := range kinds {
		t.Run(name, func(t *testing.T) {
			from, to := newRepository(t, opts), newRepository(t, opts)
			object := put(t, from, strings.Repeat("0123456789abcde\n", size/16))
			putStream(t, from, sharedLayer, []digest.Digest{object}, nil)
			needClone(t, from, object)
			before := free(t, to)
			if err := to.CopyStream(t.Context(), from, sharedLayer, anyStream); err != nil {
				t.Fatal(err)
			}
			if used := before - free(t, to); used > size/4 {
				t.Errorf("the copy of %d bytes takes %d", size, used)
			}
		})
	}
}

func needClone(t *testing.T, r *Repository, d digest.Digest) {
	t.Helper()
	f, err := r.OpenObject(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	to, err := r.temps.create()
	if err != nil {
		t.Fatal(err)
	}
	defer to.drop()
	switch err := sys.Clone(to.File, f); {
	case errors.Is(err, sys.ErrCannotClone):
		t.Skip("this file system does not share blocks")
	case err != nil:
		t.Fatal(err)
	}
}

func free(t *testing.T, r *Repository) int64 {
	t.Helper()
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	n, _, err := sys.Space(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
