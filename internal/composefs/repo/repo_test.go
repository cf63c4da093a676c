package repo

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// kinds are the options of the repositories that tests run in. Those with
// fs-verity are skipped where there is none: run them in a VM.
var kinds = map[string]Options{
	"insecure sha512": {Insecure: true},
	"insecure sha256": {Insecure: true, Algorithm: digest.SHA256},
	"verity sha512":   {RequireVerity: true},
	"verity sha256":   {RequireVerity: true, Algorithm: digest.SHA256},
}

func eachKind(t *testing.T, f func(t *testing.T, r *Repository)) {
	for name, opts := range kinds {
		t.Run(name, func(t *testing.T) { f(t, newRepository(t, opts)) })
	}
}

func newRepository(t *testing.T, opts Options) *Repository {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "composefs")
	r, err := Init(dir, opts)
	if errors.Is(err, verity.ErrNotSupported) {
		t.Skip("this file system has no fs-verity")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// reopen opens the repository as another program does.
func reopen(t *testing.T, r *Repository) *Repository {
	t.Helper()
	again, err := Open(r.dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

func put(t *testing.T, r *Repository, data string) digest.Digest {
	t.Helper()
	d, err := r.PutObject([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func get(t *testing.T, r *Repository, d digest.Digest) string {
	t.Helper()
	f, err := r.OpenObject(d)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func putImage(t *testing.T, r *Repository, data string) string {
	t.Helper()
	d, err := r.PutImage(func(w io.Writer) error {
		_, err := io.WriteString(w, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// newStream returns a stream of objects that refers to other streams.
func newStream(r *Repository, objects []digest.Digest, refs map[string]digest.Digest) *stream.Writer {
	w := stream.NewWriter(r.Algorithm(), stream.OCILayer)
	w.Inline([]byte("inline"))
	for _, d := range objects {
		w.External(d, 1)
	}
	for name, d := range refs {
		w.Reference(name, d)
	}
	return w
}

func putStream(t *testing.T, r *Repository, name string, objects []digest.Digest, refs map[string]digest.Digest) digest.Digest {
	t.Helper()
	d, err := r.PutStream(name, newStream(r, objects, refs))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "composefs")
	if _, err := Open(dir); !errors.Is(err, ErrNotARepository) {
		t.Errorf("Open of nothing = %v; want ErrNotARepository", err)
	}
	for range 2 {
		r, err := Init(dir, Options{Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Insecure() || r.Algorithm() != digest.SHA512 || r.FormatVersion() != 1 {
			t.Errorf("repository is insecure %v, %v, V%d; want true, sha512, V1", r.Insecure(), r.Algorithm(), r.FormatVersion())
		}
		r.Close()
	}
	got, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	want := `{
  "version": 1,
  "algorithm": "fsverity-sha512-12",
  "features": {
    "compatible": [],
    "read-only-compatible": [
      "v1_erofs"
    ],
    "incompatible": []
  },
  "erofs_formats": {
    "default": 1
  }
}
`
	if err != nil || string(got) != want {
		t.Errorf("meta.json = %s, %v; want %s", got, err, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("repository has mode %v, %v; want 0700", info.Mode(), err)
	}
	if _, err := Init(dir, Options{Algorithm: digest.SHA256}); err == nil {
		t.Error("Init with another algorithm gives no error")
	}
	if _, err := Init(dir, Options{RequireVerity: true}); err == nil {
		t.Error("Init of an insecure repository that requires fs-verity gives no error")
	}
}

// TestInitAgain shows that what an interrupted Init has left is completed.
func TestInitAgain(t *testing.T) {
	for _, left := range [][]string{{}, {"objects"}, {"objects", "images", "streams"}} {
		dir := t.TempDir()
		for _, name := range left {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(dir); !errors.Is(err, ErrNotARepository) {
			t.Errorf("Open with %v = %v; want ErrNotARepository", left, err)
		}
		r, err := Init(dir, Options{Insecure: true})
		if err != nil {
			t.Errorf("Init with %v: %v", left, err)
			continue
		}
		put(t, r, "hello")
		r.Close()
	}
}

// TestOpenWritesNothing compares the directory before and after.
func TestOpenWritesNothing(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	before := list(t, r)
	again, err := Open(r.dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if after := list(t, r); !slices.Equal(before, after) {
		t.Errorf("Open has made %v of %v", after, before)
	}
}

// list returns all paths in a repository.
func list(t *testing.T, r *Repository) (paths []string) {
	t.Helper()
	err := fs.WalkDir(r.root.FS(), ".", func(p string, _ fs.DirEntry, err error) error {
		paths = append(paths, p)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return paths
}

// TestOpenOld opens a repository from before meta.json, and completes it
// without making something else of it.
func TestOpenOld(t *testing.T) {
	r := newRepository(t, Options{Insecure: true, Algorithm: digest.SHA256})
	put(t, r, "hello")
	dir := r.dir.Name()
	if err := r.root.Remove("meta.json"); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(string) (*Repository, error){
		Open,
		func(dir string) (*Repository, error) { return Init(dir, Options{}) },
		Open,
	} {
		old, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if old.Algorithm() != digest.SHA256 || old.FormatVersion() != 2 || !old.Insecure() {
			t.Errorf("old repository is %v, V%d, insecure %v; want sha256, V2, true",
				old.Algorithm(), old.FormatVersion(), old.Insecure())
		}
		old.Close()
	}
	if _, err := os.Stat(filepath.Join(dir, "meta.json")); err != nil {
		t.Errorf("Init of an old repository: %v; want meta.json", err)
	}
}

// TestOnlyMetadata: composefs-rs makes a repository with its metadata and nothing
// else.
func TestOnlyMetadata(t *testing.T) {
	dir := t.TempDir()
	data := `{"version":1,"algorithm":"fsverity-sha256-12","features":{},"erofs_formats":{"default":2}}`
	if err := os.WriteFile(filepath.Join(dir, "meta.json"), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNotARepository) || !strings.Contains(err.Error(), "yet") {
		t.Errorf("Open = %v; want an error that it has nothing yet", err)
	}
	r, err := Init(dir, Options{Algorithm: digest.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Algorithm() != digest.SHA256 || r.FormatVersion() != 2 {
		t.Errorf("the repository is %v, V%d; want what its metadata says", r.Algorithm(), r.FormatVersion())
	}
	id := putImage(t, r, "image")
	if !hasImage(r, id) {
		t.Error("an image that was put into it is not there")
	}
}

func TestReadOnlyFeature(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	d := put(t, r, "hello")
	data := `{"version":1,"algorithm":"fsverity-sha512-12","features":{"read-only-compatible":["v1_erofs","new"]}}`
	if err := r.root.WriteFile("meta.json", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(r.dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := get(t, r, d); got != "hello" {
		t.Errorf("object = %q; want hello", got)
	}
	if _, err := r.PutObject(nil); err == nil || !strings.Contains(err.Error(), `"new"`) {
		t.Errorf("PutObject = %v; want an error that names the feature", err)
	}
}

func TestImages(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		id := putImage(t, r, strings.Repeat("image", 100000))
		if again := putImage(t, r, strings.Repeat("image", 100000)); again != id {
			t.Errorf("the same image again has the id %s; want %s", again, id)
		}
		target, err := r.root.Readlink("images/" + id)
		if want := "../objects/" + id[:2] + "/" + id[2:]; err != nil || target != want {
			t.Errorf("image links to %q, %v; want %q", target, err, want)
		}
		if got, err := r.Images(); err != nil || !slices.Equal(got, []string{id}) {
			t.Errorf("Images() = %v, %v; want %s", got, err, id)
		}
		f, err := r.OpenImage(id)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		none := strings.Repeat("0", len(id))
		if _, err := r.OpenImage(none); !errors.Is(err, fs.ErrNotExist) || hasImage(r, none) {
			t.Errorf("OpenImage of none = %v; want fs.ErrNotExist", err)
		}
		if err := r.root.Symlink(target, "images/"+none); err != nil {
			t.Fatal(err)
		}
		if _, err := r.OpenImage(none); !errors.Is(err, ErrDamaged) {
			t.Errorf("OpenImage of a link to another = %v; want ErrDamaged", err)
		}
		for range 2 {
			if err := r.RemoveImage(id); err != nil || hasImage(r, id) {
				t.Errorf("RemoveImage = %v; want it to be gone", err)
			}
		}
		if _, err := r.OpenImage("../meta.json"); err == nil {
			t.Error("OpenImage of a path gives no error")
		}
	})
}

func TestImageError(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	before := list(t, r)
	broken := errors.New("broken")
	_, err := r.PutImage(func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 2*objectBuffer)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("PutImage = %v; want the writer's error", err)
	}
	if after := list(t, r); !slices.Equal(before, after) {
		t.Errorf("after an error there are %v; want %v", after, before)
	}
}

func TestStreams(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		const name = "oci-layer-sha256:0123"
		object := put(t, r, "content")
		if _, err := r.OpenStream(name); !errors.Is(err, fs.ErrNotExist) || r.HasStream(name) {
			t.Errorf("OpenStream of nothing = %v; want fs.ErrNotExist", err)
		}
		d := putStream(t, r, name, []digest.Digest{object}, nil)
		if got, err := r.StreamDigest(name); got != d || err != nil || !r.HasStream(name) {
			t.Errorf("StreamDigest = %v, %v; want %v", got, err, d)
		}
		s, err := r.OpenStream(name)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		content, err := io.ReadAll(s.Content(func(d digest.Digest) (io.ReadCloser, error) { return r.OpenObject(d) }))
		if string(content) != "inlinecontent" || err != nil {
			t.Errorf("stream has %q, %v; want inlinecontent", content, err)
		}
		if got, err := r.Streams(); err != nil || !slices.Equal(got, []string{name}) {
			t.Errorf("Streams() = %v, %v; want %s", got, err, name)
		}
		putStream(t, r, name, nil, nil)
		if got, err := r.StreamDigest(name); got == d || err != nil {
			t.Errorf("StreamDigest after a change = %v, %v; want another", got, err)
		}
		for _, bad := range []string{"", "refs", "a/b", "..", ".new-x", strings.Repeat("x", 256)} {
			if _, err := r.PutStream(bad, newStream(r, nil, nil)); err == nil {
				t.Errorf("PutStream(%.20q) gives no error", bad)
			}
		}
		if err := r.RemoveStream(name); err != nil || r.HasStream(name) {
			t.Errorf("RemoveStream = %v; want it to be gone", err)
		}
	})
}

func TestRefs(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	putStream(t, r, "oci-manifest-sha256:1", nil, nil)
	const ref = "localhost/100%2F:latest"
	if err := r.SetRef(ref, "oci-manifest-sha256:1"); err != nil {
		t.Fatal(err)
	}
	target, err := r.root.Readlink("streams/refs/oci/localhost%2F100%252F:latest")
	if want := "../../oci-manifest-sha256:1"; err != nil || target != want {
		t.Errorf("ref links to %q, %v; want %q", target, err, want)
	}
	if refs, err := r.Refs(); err != nil || len(refs) != 1 || refs[ref] != "oci-manifest-sha256:1" {
		t.Errorf("Refs() = %v, %v; want %s", refs, err, ref)
	}
	if err := r.SetRef(ref, "oci-manifest-sha256:2"); err == nil {
		t.Error("SetRef of a stream that is not there gives no error")
	}
	for range 2 {
		if err := r.RemoveRef(ref); err != nil {
			t.Error(err)
		}
	}
	if refs, err := r.Refs(); err != nil || len(refs) != 0 {
		t.Errorf("Refs() = %v, %v; want none", refs, err)
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("../objects/ab/" + strings.Repeat("0", 62))
	f.Fuzz(func(t *testing.T, target string) {
		if d, err := parseLink(target); err == nil && objectLink(d) != target {
			t.Errorf("parseLink(%q) = %v, which links to %q", target, d, objectLink(d))
		}
	})
}

// FuzzRefName: a tag can be had again from the name of its file.
func FuzzRefName(f *testing.F) {
	f.Add("localhost/os:1")
	f.Add("a%2Fb%25%")
	f.Add("..")
	f.Fuzz(func(t *testing.T, tag string) {
		name, err := encodeRef(tag)
		if err != nil {
			return
		}
		if strings.Contains(name, "/") || name == "." || name == ".." || name == "" {
			t.Errorf("encodeRef(%q) = %q, which is no name of a file", tag, name)
		}
		if got := decodeRef(name); got != tag {
			t.Errorf("decodeRef(encodeRef(%q)) = %q", tag, got)
		}
	})
}
