package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// check returns the flaws of the repository, sorted and with how many there are
// of each.
func check(t *testing.T, r *Repository) (*Check, string) {
	t.Helper()
	c, err := r.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[Flaw]int)
	for _, p := range c.Problems {
		count[p.Flaw]++
	}
	var flaws []string
	for flaw, n := range count {
		flaws = append(flaws, fmt.Sprintf("%s %d", flaw, n))
	}
	slices.Sort(flaws)
	return c, strings.Join(flaws, ", ")
}

// whole fills a repository with an image, a layer and names for both.
func whole(t *testing.T, r *Repository) (object digest.Digest, image string) {
	t.Helper()
	object = put(t, r, strings.Repeat("content ", 1000))
	if _, err := r.PutStream("oci-layer-test", newStream(r, []digest.Digest{object}, nil)); err != nil {
		t.Fatal(err)
	}
	if err := r.SetRef("tag", "oci-layer-test"); err != nil {
		t.Fatal(err)
	}
	image = putImage(t, r, "image")
	if err := r.SetImageRef("name", image); err != nil {
		t.Fatal(err)
	}
	return object, image
}

func TestCheck(t *testing.T) {
	object := func(d digest.Digest) string { return objectsDir + "/" + d.ObjectPath() }
	tests := []struct {
		name   string
		damage func(r *Repository, object, image string) error
		flaws  string
		left   string // after repair
	}{
		{"nothing", func(*Repository, string, string) error { return nil }, "", ""},
		{"mode of an object", func(r *Repository, o, _ string) error { return r.root.Chmod(o, 0o600) }, "wrong mode 1", ""},
		{"mode of the repository", func(r *Repository, _, _ string) error { return r.root.Chmod(".", 0o755) }, "wrong mode 1", ""},
		{"mode of a directory", func(r *Repository, _, _ string) error { return r.root.Chmod(imagesDir, 0o777) }, "wrong mode 1", ""},
		{"leftover", func(r *Repository, _, _ string) error { return r.root.Symlink("x", tempName()) }, "leftover 1", ""},
		{"missing object", func(r *Repository, o, _ string) error { return r.root.Remove(o) }, "incomplete stream 1", ""},
		{"missing image", func(r *Repository, _, i string) error { return r.root.Remove(i) }, "missing image 1", ""},
		{"link of an image", func(r *Repository, o, _ string) error {
			d, err := digest.Parse(strings.Repeat("ab", r.algorithm.Size()))
			return errors.Join(err, r.root.Symlink("../"+o, imagesDir+"/"+d.String()))
		}, "wrong link 1", ""},
		{"no stream", func(r *Repository, o, _ string) error { return r.root.Symlink("../"+o, streamsDir+"/odd") }, "damaged stream 1", ""},
		{"truncated", func(r *Repository, o, _ string) error { return replace(r, o, "content ") }, "damaged object 1, incomplete stream 1", "damaged object 1"},
		{"replaced", func(r *Repository, o, _ string) error { return replace(r, o, strings.Repeat("different", 1000)) },
			"damaged object 1, incomplete stream 1", "damaged object 1"},
		{"a tebibyte of nothing", func(r *Repository, o, _ string) error {
			err := replace(r, o, "content ")
			return errors.Join(err, os.Truncate(filepath.Join(r.dir.Name(), o), 1<<40))
		}, "damaged object 1, incomplete stream 1", "damaged object 1"},
		{"symbolic link", func(r *Repository, o, _ string) error { return errors.Join(r.root.Remove(o), r.root.Symlink("x", o)) },
			"damaged object 1, incomplete stream 1", "damaged object 1"},
		{"copied", func(r *Repository, o, _ string) error { return replace(r, o, strings.Repeat("content ", 1000)) }, "unprotected object 1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, r *Repository) {
				d, image := whole(t, r)
				id, err := digest.Parse(image)
				if err != nil {
					t.Fatal(err)
				}
				if err := tt.damage(r, object(d), object(id)); err != nil {
					t.Fatal(err)
				}
				want := tt.flaws
				if r.insecure && strings.HasPrefix(want, "unprotected") {
					want = ""
				}
				c, got := check(t, r)
				if got != want {
					t.Errorf("Check finds %q: %v; want %q", got, c.Problems, want)
				}
				repairAll(t, r, c.Problems)
				if _, got := check(t, r); got != tt.left {
					t.Errorf("after repair, Check finds %q; want %q", got, tt.left)
				}
			})
		})
	}
}

// replace puts a file without fs-verity in the place of another.
func replace(r *Repository, name, content string) error {
	return errors.Join(r.root.Remove(name), r.root.WriteFile(name, []byte(content), objectPerm), r.root.Chmod(name, objectPerm))
}

func repairAll(t *testing.T, r *Repository, problems []Problem) {
	t.Helper()
	if len(problems) > 0 && problems[0].Flaw != DamagedObject {
		if err := r.Repair(problems[0]); err == nil {
			t.Errorf("Repair without a lock repaired %v", problems[0])
		}
	}
	unlock, err := r.Lock(true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for _, p := range problems {
		err := r.Repair(p)
		if p.Flaw == DamagedObject && !errors.Is(err, ErrBeyondRepair) || p.Flaw != DamagedObject && err != nil {
			t.Errorf("Repair(%v) = %v", p, err)
		}
	}
	refs, err := r.DanglingRefs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range refs {
		if err := r.Repair(p); err != nil {
			t.Errorf("Repair(%v) = %v", p, err)
		}
	}
}

func TestCheckCounts(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	d, _ := whole(t, r)
	c, _ := check(t, r)
	if c.Objects != 3 || c.Images != 1 || c.Streams != 1 || c.Refs != 2 || !c.HasGood(d) || c.Bytes < 8000 {
		t.Errorf("Check = %+v; want 3 objects, an image, a stream and 2 refs", c)
	}
}

func TestFindImage(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	id := putImage(t, r, "image")
	for _, prefix := range []string{id, id[:6]} {
		if got, err := r.FindImage(prefix); got != id || err != nil {
			t.Errorf("FindImage(%q) = %q, %v; want %q", prefix, got, err, id)
		}
	}
	for _, prefix := range []string{"", "zz", id + "0"} {
		if got, err := r.FindImage(prefix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("FindImage(%q) = %q, %v; want %v", prefix, got, err, fs.ErrNotExist)
		}
	}
	first := make(map[byte]bool)
	for n := 0; !first[id[0]]; n++ { // until two begin alike
		first[putImage(t, r, fmt.Sprint(n))[0]] = true
	}
	if got, err := r.FindImage(id[:1]); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("FindImage(%q) = %q, %v; want an error: there are several", id[:1], got, err)
	}
}

// TestCheckCancelled: reading a large object ends, too.
func TestCheckCancelled(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	d := put(t, r, strings.Repeat("x", 4<<20))
	f, err := r.OpenObject(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := checker{repo: r, Check: &Check{}}
	if got, err := c.measure(ctx, f, d); !errors.Is(err, context.Canceled) {
		t.Errorf("measure, cancelled, = %v, %v; want context.Canceled", got, err)
	}
	if found, err := r.Check(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Check, cancelled, = %+v, %v; want context.Canceled", found, err)
	}
}

// A watched counts what it is told of a check.
type watched struct {
	objects      int
	bytes, total int64
	done         bool
	mu           sync.Mutex
}

func (w *watched) Checking(objects int, bytes int64) { w.objects, w.total = objects, bytes }

func (w *watched) Checked(bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += bytes
}

func (w *watched) CheckDone() { w.done = true }

func TestCheckIsWatched(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	whole(t, r)
	w := &watched{}
	c, err := r.Check(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if w.objects != c.Objects || w.total != c.Bytes || w.bytes != c.Bytes || !w.done || c.Bytes == 0 {
		t.Errorf("told of %d objects, %d of %d bytes, done %v; want %d objects, %d bytes", w.objects, w.bytes, w.total, w.done, c.Objects, c.Bytes)
	}
}
