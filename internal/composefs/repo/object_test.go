package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// sizes are on both sides of where an ObjectWriter begins a file.
var sizes = []int{0, 1, 65, 4096, objectBuffer - 1, objectBuffer, objectBuffer + 1, 3*objectBuffer + 5}

func TestObjects(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		for _, size := range sizes {
			data := strings.Repeat("x", size)
			want := verity.Sum(r.Algorithm(), []byte(data))
			if r.HasObject(want) {
				t.Errorf("HasObject of %d bytes before = true; want false", size)
			}
			if _, err := r.OpenObject(want); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("OpenObject before = %v; want fs.ErrNotExist", err)
			}
			if got := put(t, r, data); got != want || !r.HasObject(want) {
				t.Errorf("object of %d bytes = %v; want %v", size, got, want)
			}
			if got := get(t, r, want); got != data {
				t.Errorf("object of %d bytes has %d", size, len(got))
			}
			info, err := r.root.Lstat("objects/" + want.ObjectPath())
			if err != nil || info.Mode() != 0o644 {
				t.Errorf("object of %d bytes has mode %v, %v; want 0644", size, info.Mode(), err)
			}
		}
	})
}

// TestObjectInPieces writes the same content by calls of different sizes.
func TestObjectInPieces(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	data := []byte(strings.Repeat("0123456789", objectBuffer/4))
	want := verity.Sum(r.Algorithm(), data)
	for _, piece := range []int{1000, objectBuffer / 2, objectBuffer, objectBuffer * 2, len(data)} {
		w, err := r.NewObject()
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			if n, err := w.Write(rest[:min(piece, len(rest))]); n != min(piece, len(rest)) || err != nil {
				t.Fatalf("Write of %d bytes = %d, %v", piece, n, err)
			}
		}
		if got, err := w.Commit(); got != want || err != nil {
			t.Errorf("object in pieces of %d bytes = %v, %v; want %v", piece, got, err, want)
		}
		if _, err := w.Commit(); err == nil {
			t.Error("second Commit gives no error")
		}
	}
}

func TestAbort(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	w, err := r.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 2*objectBuffer)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Abort gives no error")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort gives no error")
	}
	if names, err := readNames(r.objects, "."); err != nil || len(names) != 0 {
		t.Errorf("after Abort there are %v, %v; want no objects", names, err)
	}
}

// TestHeal shows that what a crash may leave in the place of an object is not
// taken for it.
func TestHeal(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		for _, size := range []int{100, 3 * objectBuffer} {
			data := strings.Repeat("x", size)
			d := verity.Sum(r.Algorithm(), []byte(data))
			name := "objects/" + d.ObjectPath()
			if err := r.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := r.root.WriteFile(name, []byte(data[:50]), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := put(t, r, data); got != d {
				t.Errorf("object = %v; want %v", got, d)
			}
			if got := get(t, r, d); got != data {
				t.Errorf("object of %d bytes has %d", size, len(got))
			}
			if names, err := filepath.Glob(filepath.Join(r.dir.Name(), ".new-*")); err != nil || len(names) > 0 {
				t.Errorf("left over: %v, %v", names, err)
			}
		}
	})
}

// TestUnprotected shows that with fs-verity a file without it is no object, even
// if its content is right.
func TestUnprotected(t *testing.T) {
	r := newRepository(t, Options{RequireVerity: true})
	d := put(t, r, "hello")
	name := filepath.Join(r.dir.Name(), "objects", d.ObjectPath())
	if err := errors.Join(os.Remove(name), os.WriteFile(name, []byte("hello"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenObject(d); !errors.Is(err, ErrDamaged) || r.HasObject(d) {
		t.Errorf("OpenObject without fs-verity = %v; want ErrDamaged", err)
	}
	put(t, r, "hello")
	if !r.HasObject(d) {
		t.Error("HasObject after writing again = false; want true")
	}
}

// TestVerityWriter opens an object for writing, as a fork would, while it is
// being completed.
func TestVerityWriter(t *testing.T) {
	r := newRepository(t, Options{RequireVerity: true})
	w, err := r.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	data := strings.Repeat("x", 2*objectBuffer)
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(fdPath(t, w.file.File), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if d, err := w.Commit(); err != nil || get(t, r, d) != data {
		t.Errorf("Commit beside a writer = %v, %v", d, err)
	}
}

func TestParallel(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for _, size := range sizes {
					d, err := r.PutObject(make([]byte, size))
					if err != nil || !r.HasObject(d) {
						t.Errorf("PutObject(%d bytes) = %v, %v", size, d, err)
					}
				}
			})
		}
		group.Wait()
	})
}

func TestOtherAlgorithm(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	d := verity.Sum(digest.SHA256, nil)
	if r.HasObject(d) || r.HasObject(digest.Digest{}) {
		t.Error("HasObject of another algorithm = true; want false")
	}
	if _, err := r.OpenObject(digest.Digest{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenObject of no digest = %v; want fs.ErrNotExist", err)
	}
}

// fdPath returns a path to an open file that need not have a name.
func fdPath(t *testing.T, f *os.File) string {
	t.Helper()
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd())
}

// TestDistrust replaces an object that has its size and, as far as the kernel
// tells without reading it, its digest.
func TestDistrust(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		content := strings.Repeat("content ", 1000)
		d := put(t, r, content)
		name := objectsDir + "/" + d.ObjectPath()
		before, err := r.root.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Distrust(d); err != nil || r.HasObject(d) {
			t.Errorf("Distrust = %v, and HasObject %v; want false", err, r.HasObject(d))
		}
		r = reopen(t, r) // another program
		if _, flaws := check(t, r); flaws != "" {
			t.Errorf("Check finds %q; want nothing: the content is right", flaws)
		}
		for _, replaced := range []bool{true, false} {
			if put(t, r, content) != d {
				t.Fatal("the digest has changed")
			}
			after, err := r.root.Stat(name)
			if err != nil || os.SameFile(before, after) == replaced {
				t.Errorf("object is the same file: %v, %v; want %v", !replaced, err, !replaced)
			}
			before = after
		}
		if err := r.DropObject(d); err != nil || r.HasObject(d) {
			t.Errorf("DropObject = %v, and it is there: %v", err, r.HasObject(d))
		}
		if err := r.DropObject(d); err != nil {
			t.Errorf("DropObject again = %v", err)
		}
	})
}

// TestDistrustStream: a layer whose file is damaged is not there, though it can be
// read. Setting its mode right does not make it good.
func TestDistrustStream(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		whole(t, r)
		d, err := r.StreamDigest("oci-layer-test")
		if err != nil {
			t.Fatal(err)
		}
		lock(t, r)
		name := objectsDir + "/" + d.ObjectPath()
		if err := errors.Join(r.Distrust(d), r.root.Chmod(name, 0o666|distrusted), r.Repair(Problem{Flaw: WrongMode, Path: name})); err != nil {
			t.Fatal(err)
		}
		if info, err := r.root.Stat(name); err != nil || info.Mode() != objectPerm|distrusted || r.HasStream("oci-layer-test") {
			t.Errorf("the file has mode %v, %v, and is there: %v", info.Mode(), err, r.HasStream("oci-layer-test"))
		}
		whole(t, r)
		if info, err := r.root.Stat(name); err != nil || info.Mode() != objectPerm || !r.HasStream("oci-layer-test") {
			t.Errorf("written again, the file has mode %v, %v, and is there: %v", info.Mode(), err, r.HasStream("oci-layer-test"))
		}
	})
}

// TestDistrustNothing: what is not there, or is no file, nobody trusts.
func TestDistrustNothing(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	d := put(t, r, "content")
	name := objectsDir + "/" + d.ObjectPath()
	if err := errors.Join(r.root.Remove(name), r.Distrust(d), r.root.Symlink("/dev/null", name), r.Distrust(d)); err != nil {
		t.Error(err)
	}
}

// TestUmask has a umask that leaves nothing to others.
func TestUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	eachKind(t, func(t *testing.T, r *Repository) {
		d := put(t, r, "content")
		info, err := r.root.Stat(objectsDir + "/" + d.ObjectPath())
		if err != nil || info.Mode() != objectPerm {
			t.Errorf("mode of an object is %v, %v; want %v", info.Mode(), err, os.FileMode(objectPerm))
		}
	})
}

// TestHoles: zeros take no room, wherever they are, and are what is read.
func TestHoles(t *testing.T) {
	zeros := make([]byte, 8*objectBuffer)
	eachKind(t, func(t *testing.T, r *Repository) {
		for name, parts := range map[string][][]byte{
			"all": {zeros}, "end": {[]byte("begin"), zeros}, "start": {zeros, []byte("end")}, "middle": {[]byte("begin"), zeros, []byte("end")},
			"in pieces": {zeros[:5], zeros[:objectBuffer+1], zeros, []byte("x"), zeros, zeros[:1]},
		} {
			w, err := r.NewObject()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parts {
				if _, err := w.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			content := bytes.Join(parts, nil)
			d, err := w.Commit()
			if want := verity.Sum(r.Algorithm(), content); err != nil || d != want || get(t, r, d) != string(content) {
				t.Errorf("%s: object %v, %v; want %v with the same content", name, d, err, want)
			}
			info, err := os.Stat(filepath.Join(r.dir.Name(), "objects", d.ObjectPath()))
			if err != nil {
				t.Fatal(err)
			}
			if room := info.Sys().(*syscall.Stat_t).Blocks * 512; room > 4*objectBuffer {
				t.Errorf("%s: %d bytes take %d on disk; want few", name, len(content), room)
			}
		}
	})
}
