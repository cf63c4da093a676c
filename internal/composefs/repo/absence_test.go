package repo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// outOfSight puts a link to itself in the place of a directory of the repository, whose
// content nobody can look at then.
func outOfSight(t *testing.T, r *Repository, name string) {
	t.Helper()
	path := filepath.Join(r.root.Name(), name)
	if err := errors.Join(os.Rename(path, path+".away"), os.Symlink(filepath.Base(path), path)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

// What gc cannot look at is not garbage.
func TestGCOutOfSight(t *testing.T) {
	for _, part := range []string{"images", "streams", "objects"} {
		r := newRepository(t, Options{Insecure: true})
		w := stream.NewWriter(r.Algorithm(), stream.OCILayer)
		object, err := r.PutObject([]byte("content"))
		if err != nil {
			t.Fatal(err)
		}
		w.External(object, 7)
		if _, err := r.PutStream("layer", w); err != nil {
			t.Fatal(err)
		}
		if err := r.SetRef("tag", "layer"); err != nil {
			t.Fatal(err)
		}
		if part == "objects" {
			part += "/" + object.String()[:2]
		}
		outOfSight(t, r, part)
		noObjects := func(context.Context, *os.File, func(digest.Digest)) error { return nil }
		_, err = r.GC(t.Context(), Roots{EachObject: noObjects}, false)
		if err == nil {
			t.Errorf("%s: gc has found nothing wrong", part)
		}
		path := filepath.Join(r.root.Name(), part)
		if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
			t.Fatal(err)
		}
		refs, err := r.Refs()
		if err != nil || refs["tag"] != "layer" || !r.HasStream("layer") || !r.HasObject(object) {
			t.Errorf("%s: afterwards there are tags %q, %v; stream %v, object %v", part, refs, err, r.HasStream("layer"), r.HasObject(object))
		}
	}
}

func TestHasImageOutOfSight(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	id := strings.Repeat("a", 128)
	if found, err := r.HasImage(id); found || err != nil {
		t.Errorf("HasImage = %v, %v; want false", found, err)
	}
	outOfSight(t, r, "images")
	if found, err := r.HasImage(id); found || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("HasImage = %v, %v; want ELOOP", found, err)
	}
}

func TestAboutDamaged(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	name := "sha256:" + strings.Repeat("a", 64)
	if _, err := r.About(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("About what is not there = %v; want fs.ErrNotExist", err)
	}
	object, err := r.PutObject([]byte(`{"annotations":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	w := stream.NewWriter(r.Algorithm(), stream.OCIManifest)
	w.External(object, 18)
	if _, err := r.PutStream(ManifestPrefix+name, w); err != nil {
		t.Fatal(err)
	}
	if a, err := r.About(name); !errors.Is(err, ErrDamaged) || a != (About{}) {
		t.Errorf("About what has another digest = %+v, %v; want ErrDamaged", a, err)
	}
}
