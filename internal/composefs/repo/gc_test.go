package repo

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// eachObjectOf reads images that are lists of digests.
func eachObjectOf(_ context.Context, image *os.File, visit func(digest.Digest)) error {
	data, err := io.ReadAll(image)
	if err != nil {
		return err
	}
	for _, s := range strings.Fields(string(data)) {
		d, err := digest.Parse(s)
		if err != nil {
			return err
		}
		visit(d)
	}
	return nil
}

// A world is a repository with something of everything.
type world struct {
	r    *Repository
	live []digest.Digest // objects to be kept
	dead []digest.Digest
	kept string // image
	keep Roots
	ctx  context.Context
}

// newWorld makes this:
//
//	tag → manifest → layer → object 1      (and image "referred" by its digest)
//	image "kept" → object 2
//	image "dropped" → object 2, object 3
//	stream "dropped" → object 1, object 4
//	object 5
//	a tag that leads nowhere, and what a killed program has left
func newWorld(t *testing.T, r *Repository) world {
	t.Helper()
	var objects []digest.Digest
	for i := range 6 {
		objects = append(objects, put(t, r, strings.Repeat("x", 100+i)))
	}
	text := func(ds ...digest.Digest) string {
		var b strings.Builder
		for _, d := range ds {
			b.WriteString(d.String() + "\n")
		}
		return b.String()
	}
	parse := func(id string) digest.Digest {
		d, err := digest.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	referred := parse(putImage(t, r, text(objects[1])))
	kept := putImage(t, r, text(objects[2]))
	dropped := parse(putImage(t, r, text(objects[2], objects[3])))
	layer := putStream(t, r, "oci-layer-1", objects[1:2], nil)
	manifest := putStream(t, r, "oci-manifest-1", nil, map[string]digest.Digest{"x": layer, "composefs.image": referred})
	stream := putStream(t, r, "oci-layer-dropped", []digest.Digest{objects[1], objects[4]}, nil)
	if err := errors.Join(
		r.SetRef("os:1", "oci-manifest-1"),
		r.root.Symlink("../../oci-manifest-2", ociRefs+"/nowhere"),
		r.root.Symlink("../objects/00/00", tempPrefix+"left"),
	); err != nil {
		t.Fatal(err)
	}
	return world{
		r:    r,
		live: []digest.Digest{objects[1], objects[2], referred, parse(kept), layer, manifest},
		dead: []digest.Digest{objects[0], objects[3], objects[4], objects[5], dropped, stream},
		kept: kept,
		keep: Roots{Images: []string{kept}, EachObject: eachObjectOf},
		ctx:  t.Context(),
	}
}

// check says what is not as it is after GC.
func (w world) check(t *testing.T, when string) {
	t.Helper()
	for _, d := range w.live {
		if !w.r.HasObject(d) {
			t.Errorf("%s: object %.8s is gone", when, d)
		}
	}
	for _, d := range w.dead {
		if hasFile(w.r, d) {
			t.Errorf("%s: object %.8s is still there", when, d)
		}
	}
	images, err := w.r.Images()
	if err != nil || len(images) != 2 || !slices.Contains(images, w.kept) {
		t.Errorf("%s: images are %.8v, %v; want two with %.8s", when, images, err, w.kept)
	}
	streams, err := w.r.Streams()
	if want := []string{"oci-layer-1", "oci-manifest-1"}; err != nil || !slices.Equal(streams, want) {
		t.Errorf("%s: streams are %v, %v; want %v", when, streams, err, want)
	}
	if left, err := readNames(w.r.dir, "."); err != nil || slices.Contains(left, tempPrefix+"left") {
		t.Errorf("%s: there are %v, %v; want nothing left over", when, left, err)
	}
}

func lock(t *testing.T, r *Repository) {
	t.Helper()
	unlock, err := r.Lock(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unlock() })
}

func TestGC(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		w := newWorld(t, r)
		before := list(t, r)
		dry, err := r.GC(t.Context(), w.keep, true)
		if err != nil {
			t.Fatal(err)
		}
		if after := list(t, r); !slices.Equal(before, after) {
			t.Errorf("a dry run has made %v of %v", after, before)
		}
		if _, err := r.GC(t.Context(), w.keep, false); err == nil {
			t.Error("GC without a lock gives no error")
		}
		lock(t, r)
		report, err := r.GC(t.Context(), w.keep, false)
		if err != nil {
			t.Fatal(err)
		}
		w.check(t, "after GC")
		if report.Objects != len(w.dead) || report.KeptObjects != len(w.live) || len(report.Images) != 1 ||
			!slices.Equal(report.Streams, []string{"oci-layer-dropped"}) || !slices.Equal(report.Refs, []string{ociRefs + "/nowhere"}) {
			t.Errorf("GC = %+v; want %d objects of %d, an image, a stream and a ref", report, len(w.dead), len(w.live)+len(w.dead))
		}
		if report.Bytes < 100+103+104+105 || dry.Bytes != report.Bytes || dry.Objects != report.Objects {
			t.Errorf("GC removes %d objects, %d bytes; the dry run says %d, %d", report.Objects, report.Bytes, dry.Objects, dry.Bytes)
		}
	})
}

// An interrupt while the last image is read, or just after, removes nothing.
func TestGCInterrupted(t *testing.T) {
	w := newWorld(t, newRepository(t, Options{Insecure: true}))
	lock(t, w.r)
	ctx, cancel := context.WithCancel(t.Context())
	w.keep.EachObject = func(ctx context.Context, image *os.File, visit func(digest.Digest)) error {
		defer cancel()
		return eachObjectOf(ctx, image, visit)
	}
	before := list(t, w.r)
	if _, err := w.r.GC(ctx, w.keep, false); !errors.Is(err, context.Canceled) {
		t.Errorf("GC: %v; want context.Canceled", err)
	}
	if after := list(t, w.r); !slices.Equal(before, after) {
		t.Errorf("GC has made %v of %v", after, before)
	}
}

// TestGCRefuses shows that GC removes nothing if it cannot know what is live.
func TestGCRefuses(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx    context.Context
		change func(*testing.T, *world)
	}{
		"no such image":  {t.Context(), func(_ *testing.T, w *world) { w.keep.Images = []string{strings.Repeat("0", 128)} }},
		"nobody to read": {t.Context(), func(_ *testing.T, w *world) { w.keep.EachObject = nil }},
		"no such stream": {t.Context(), func(_ *testing.T, w *world) { w.keep.Streams = []string{"none"} }},
		"damaged stream": {t.Context(), func(t *testing.T, w *world) {
			if err := w.r.root.WriteFile("objects/"+w.live[4].ObjectPath(), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		"odd ref": {t.Context(), func(t *testing.T, w *world) {
			if err := w.r.root.Symlink("../../../meta.json", ociRefs+"/odd"); err != nil {
				t.Fatal(err)
			}
		}},
		"cancelled": {cancelled, func(*testing.T, *world) {}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newRepository(t, Options{Insecure: true}))
			tt.change(t, &w)
			lock(t, w.r)
			before := list(t, w.r)
			if _, err := w.r.GC(tt.ctx, w.keep, false); err == nil {
				t.Error("GC gives no error")
			}
			if after := list(t, w.r); !slices.Equal(before, after) {
				t.Errorf("GC has made %v of %v", after, before)
			}
		})
	}
}

// TestGCUnreadable shows that all objects stay if an image that stays does not say
// which ones it needs, and that the rest goes.
func TestGCUnreadable(t *testing.T) {
	tests := map[string]func(*testing.T, *world){
		"cannot be read": func(_ *testing.T, w *world) {
			w.keep.EachObject = func(context.Context, *os.File, func(digest.Digest)) error { return errors.New("broken") }
		},
		"is no file": func(t *testing.T, w *world) {
			name := "objects/" + w.live[3].ObjectPath()
			if err := errors.Join(w.r.root.Remove(name), w.r.root.Symlink("x", name)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newRepository(t, Options{Insecure: true}))
			change(t, &w)
			lock(t, w.r)
			report, err := w.r.GC(t.Context(), w.keep, false)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(report.Unreadable, w.kept) || report.Objects != 0 || report.KeptObjects != len(w.live)+len(w.dead) || len(report.Images) != 1 {
				t.Errorf("GC = %+v; want that it cannot read %.8s, and no objects", report, w.kept)
			}
			for _, d := range w.dead {
				if !hasFile(w.r, d) {
					t.Errorf("object %.8s is gone", d)
				}
			}
		})
	}
}

// TestGCLeavesOthers shows that GC removes only what it knows.
func TestGCLeavesOthers(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	w := newWorld(t, r)
	others := []string{"objects/note", "images/note", "streams/note", "bootc/storage/x"}
	for _, name := range others {
		if err := errors.Join(r.root.MkdirAll("bootc/storage", 0o755), r.root.WriteFile(name, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	lock(t, r)
	if _, err := r.GC(t.Context(), w.keep, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range others {
		if _, err := r.root.Lstat(name); err != nil {
			t.Errorf("after GC: %v", err)
		}
	}
}

// TestGCImageRef shows that a ref of composefs-rs keeps an image and what is in
// it.
func TestGCImageRef(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	object := put(t, r, "hello")
	id := putImage(t, r, object.String())
	if err := errors.Join(r.root.MkdirAll("images/refs/system", 0o755), r.root.Symlink("../../"+id, "images/refs/system/a")); err != nil {
		t.Fatal(err)
	}
	lock(t, r)
	report, err := r.GC(t.Context(), Roots{EachObject: eachObjectOf}, false)
	if err != nil || report.Objects != 0 || !hasImage(r, id) || !r.HasObject(object) {
		t.Errorf("GC = %+v, %v; want everything kept", report, err)
	}
}

// hasImage reports whether an image can be used.
func hasImage(r *Repository, id string) bool {
	found, err := r.HasImage(id)
	return found && err == nil
}

// hasFile reports whether there is a file for an object.
func hasFile(r *Repository, d digest.Digest) bool {
	found, err := r.exists(d)
	return found && err == nil
}
