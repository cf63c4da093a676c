package repo

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// protocols are what a repository does in several steps.
var protocols = []struct {
	name  string
	do    func(*Repository, world) error
	trace string
}{
	{"PutImage", func(r *Repository, _ world) error {
		_, err := r.PutImage(func(w io.Writer) error {
			_, err := io.WriteString(w, "")
			return err
		})
		return err
	}, `syncfs
symlink ../objects/OBJECT TEMP
rename TEMP images/DIGEST
sync images
`},
	{"PutStream", func(r *Repository, _ world) error {
		_, err := r.PutStream("oci-layer-1", newStream(r, []digest.Digest{}, nil))
		return err
	}, `syncfs
symlink ../objects/OBJECT TEMP
rename TEMP streams/oci-layer-1
sync streams
`},
	{"SetRef", func(r *Repository, _ world) error { return r.SetRef("os:2", "oci-manifest-1") },
		`sync .
sync streams
sync streams/refs
symlink ../../oci-manifest-1 TEMP
rename TEMP streams/refs/oci/os:2
sync streams/refs/oci
`},
	{"RemoveRef", func(r *Repository, _ world) error { return r.RemoveRef("os:1") },
		`remove streams/refs/oci/os:1
sync streams/refs/oci
`},
	{"RemoveImage", func(r *Repository, w world) error { return r.RemoveImage(w.kept) },
		`remove images/DIGEST
sync images
`},
	{"GC", collect,
		`remove streams/refs/oci/nowhere
remove images/DIGEST
remove streams/oci-layer-dropped
remove TEMP
remove objects/OBJECT
remove objects/OBJECT
remove objects/OBJECT
remove objects/OBJECT
remove objects/OBJECT
remove objects/OBJECT
`},
}

func collect(r *Repository, w world) error {
	unlock, err := r.Lock(true)
	if err != nil {
		return err
	}
	_, err = r.GC(w.ctx, w.keep, false)
	return errors.Join(err, unlock())
}

// plain replaces what differs from run to run.
func plain(trace string) string {
	for _, x := range [][2]string{
		{`\.new-\w+`, "TEMP"},
		{`\b[0-9a-f]{128}\b`, "DIGEST"},
		{`\b[0-9a-f]{2}/[0-9a-f]{126}\b`, "OBJECT"},
	} {
		trace = regexp.MustCompile(x[0]).ReplaceAllString(trace, x[1])
	}
	return trace
}

func TestOrder(t *testing.T) {
	for _, p := range protocols {
		w := newWorld(t, newRepository(t, Options{Insecure: true}))
		trace := durabletest.Trace(w.r.changes)
		w.r.changes = trace
		if err := p.do(w.r, w); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if got := plain(trace.String()); got != p.trace {
			t.Errorf("%s does\n%s; want\n%s", p.name, got, p.trace)
		}
	}
}

// TestCrash stops each protocol after every step. What is to be found then is
// whole, the protocol can be tried again, and GC completes and cleans up.
func TestCrash(t *testing.T) {
	for _, p := range protocols {
		for n := 0; ; n++ {
			w := newWorld(t, newRepository(t, Options{Insecure: true}))
			changes := w.r.changes
			w.r.changes = durabletest.CrashAfter(changes, n)
			crash := p.do(w.r, w)
			if crash != nil && !errors.Is(crash, durabletest.ErrCrashed) {
				t.Errorf("%s: after %d steps: %v; want ErrCrashed", p.name, n, crash)
			}
			w.r.changes = changes
			w.checkWhole(t, p.name)
			if err := p.do(w.r, w); err != nil {
				t.Errorf("%s: after %d steps: cannot try again: %v", p.name, n, err)
			}
			w.checkWhole(t, p.name)
			w.checkClean(t, p.name)
			if crash == nil {
				break
			}
		}
	}
}

// checkWhole opens everything that can be found.
func (w world) checkWhole(t *testing.T, name string) {
	t.Helper()
	images, err := w.r.Images()
	if err != nil {
		t.Error(err)
	}
	for _, id := range images {
		f, err := w.r.OpenImage(id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var objects []digest.Digest
		if err := eachObjectOf(t.Context(), f, func(d digest.Digest) { objects = append(objects, d) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.checkObjects(t, name, objects)
		f.Close()
	}
	streams, err := w.r.Streams()
	if err != nil {
		t.Error(err)
	}
	for _, stream := range streams {
		s, err := w.r.OpenStream(stream)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w.checkObjects(t, name, slices.Collect(s.ObjectRefs()))
		s.Close()
	}
	refs, err := w.r.Refs()
	if err != nil {
		t.Error(err)
	}
	for ref, stream := range refs {
		if ref != "nowhere" && !w.r.HasStream(stream) {
			t.Errorf("%s: %s leads to %s, which is not there", name, ref, stream)
		}
	}
}

func (w world) checkObjects(t *testing.T, name string, objects []digest.Digest) {
	t.Helper()
	for _, d := range objects {
		if !w.r.HasObject(d) {
			t.Errorf("%s: object %.8s is not there", name, d)
		}
	}
}

// checkClean collects garbage and looks for leftovers.
func (w world) checkClean(t *testing.T, name string) {
	t.Helper()
	if hasImage(w.r, w.kept) {
		w.keep.Images = []string{w.kept}
	} else {
		w.keep.Images = nil
	}
	if err := collect(w.r, w); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, p := range list(t, w.r) {
		if strings.Contains(p, tempPrefix) || strings.HasSuffix(p, durable.TempSuffix) {
			t.Errorf("%s: left over: %s", name, p)
		}
	}
	w.checkWhole(t, name)
}
