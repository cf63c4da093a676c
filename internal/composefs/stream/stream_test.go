package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func sum(t testing.TB, alg digest.Algorithm, b byte) digest.Digest {
	t.Helper()
	d, err := digest.FromBytes(alg, bytes.Repeat([]byte{b}, alg.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sample returns a stream with a bit of everything.
func sample(t testing.TB, alg digest.Algorithm) []byte {
	t.Helper()
	w := NewWriter(alg, OCILayer)
	w.Inline([]byte("head"))
	w.Inline([]byte("er"))
	w.External(sum(t, alg, 1), 5)
	w.External(sum(t, alg, 2), 6)
	w.Inline([]byte("tail"))
	w.External(sum(t, alg, 1), 5)
	w.Reference("sha256:b", sum(t, alg, 9))
	w.Reference("config:a", sum(t, alg, 8))
	w.Reference("again", sum(t, alg, 9))
	return finish(t, w)
}

func finish(t testing.TB, w *Writer) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := w.Finish(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// oldHeader returns the same file with the header as bootc up to 1.15 wrote it.
func oldHeader(file []byte) []byte {
	old := slices.Clone(file)
	copy(old[0:], file[16:32])
	copy(old[16:], file[12:14])
	copy(old[18:], file[0:12])
	copy(old[30:], file[14:16])
	return old
}

func open(data []byte) (*Reader, error) {
	return Open(bytes.NewReader(data), int64(len(data)))
}

// show returns what a Reader gives as a text.
func show(r *Reader) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %d\n", r.Algorithm(), r.ContentType(), r.Size())
	refs := r.NamedRefs()
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&out, "%s %.2s\n", name, refs[name])
	}
	fmt.Fprintf(&out, "objects")
	for d := range r.ObjectRefs() {
		fmt.Fprintf(&out, " %.2s", d)
	}
	fmt.Fprintf(&out, "\nstreams")
	for d := range r.StreamRefs() {
		fmt.Fprintf(&out, " %.2s", d)
	}
	out.WriteString("\n")
	for {
		c, err := r.Next()
		switch {
		case err == io.EOF:
			return out.String()
		case err != nil:
			return out.String() + "error: " + err.Error()
		case c.Object.IsZero():
			fmt.Fprintf(&out, "%q\n", c.Inline)
		default:
			fmt.Fprintf(&out, "%.2s\n", c.Object)
		}
	}
}

func TestRead(t *testing.T) {
	const want = ` ocilayer 26
again 09
config:a 08
sha256:b 09
objects 01 02
streams 09 08
"header"
01
02
"tail"
01
`
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		file := sample(t, alg)
		for name, data := range map[string][]byte{"new": file, "old": oldHeader(file)} {
			r, err := open(data)
			if err != nil {
				t.Errorf("%v, %s header: %v", alg, name, err)
				continue
			}
			if got := show(r); got != alg.String()+want {
				t.Errorf("%v, %s header: read\n%s; want\n%s", alg, name, got, alg.String()+want)
			}
			r.Close()
		}
	}
}

// TestHeader shows where composefs-rs finds what it looks for.
func TestHeader(t *testing.T) {
	file := sample(t, digest.SHA512)
	if got, want := string(file[:16]), "SplitStream\x00\x00\x00\x02\x0c"; got != want {
		t.Errorf("header begins with %q; want %q", got, want)
	}
	words := make([]uint64, 12)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(file[16+8*i:])
	}
	want := []uint64{32, 112, 112, 240, 240, 368} // info, two streams, two objects
	if !slices.Equal(words[:6], want) {
		t.Errorf("sections are at %d; want %d", words[:6], want)
	}
	if end := uint64(len(file)); words[7] != end || words[8] != 368 || words[9] != words[6] {
		t.Errorf("named references at %d, stream at %d of %d bytes; want one after the other", words[8:10], words[6:8], end)
	}
	if got := string(file[96:104]); got != "ocilayer" {
		t.Errorf("content type is %q; want ocilayer", got)
	}
}

func TestContentTypes(t *testing.T) {
	for c, want := range map[ContentType]string{
		OCIManifest: "ocimanif", OCIConfig: "ociconfg", OCILayer: "ocilayer", OCIBlob: "oci_blob",
	} {
		if c.String() != want {
			t.Errorf("content type %#x = %q; want %q", uint64(c), c, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	r, err := open(finish(t, NewWriter(digest.SHA256, OCIBlob)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, want := show(r), "sha256 oci_blob 0\nobjects\nstreams\n"; got != want {
		t.Errorf("empty stream reads as %q; want %q", got, want)
	}
}

// TestLongRun shows that memory is bounded on both sides.
func TestLongRun(t *testing.T) {
	w := NewWriter(digest.SHA256, OCILayer)
	for range 3 * maxRun / 512 {
		w.Inline(make([]byte, 512))
	}
	if cap(w.run) > 2*maxRun {
		t.Errorf("the Writer holds %d bytes; want at most %d", cap(w.run), 2*maxRun)
	}
	r, err := open(finish(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || len(c.Inline) > maxPiece || len(c.Inline) == 0 {
			t.Fatalf("Next = %d bytes, %v; want 1 to %d", len(c.Inline), err, maxPiece)
		}
		n += len(c.Inline)
	}
	if n != 3*maxRun {
		t.Errorf("read %d bytes; want %d", n, 3*maxRun)
	}
}

func TestContent(t *testing.T) {
	objects := map[digest.Digest]string{sum(t, digest.SHA256, 1): "first", sum(t, digest.SHA256, 2): "second"}
	openObject := func(d digest.Digest) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(objects[d])), nil
	}
	r, err := open(sample(t, digest.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := r.Content(openObject)
	defer c.Close()
	got, err := io.ReadAll(c)
	if want := "headerfirstsecondtailfirst"; string(got) != want || err != nil {
		t.Errorf("Content = %q, %v; want %q", got, err, want)
	}
	missing := errors.New("missing")
	r, err = open(sample(t, digest.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c = r.Content(func(digest.Digest) (io.ReadCloser, error) { return nil, missing })
	if got, err := io.ReadAll(c); string(got) != "header" || err != missing {
		t.Errorf("Content without objects = %q, %v; want the header and the error", got, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, use := range map[string]func(*Writer){
		"other algorithm": func(w *Writer) { w.External(sum(t, digest.SHA512, 1), 1) },
		"no digest":       func(w *Writer) { w.Reference("a", digest.Digest{}) },
		"NUL in a name":   func(w *Writer) { w.Reference("a\x00b", sum(t, digest.SHA256, 1)) },
		"negative size":   func(w *Writer) { w.External(sum(t, digest.SHA256, 1), -1) },
	} {
		w := NewWriter(digest.SHA256, OCILayer)
		use(w)
		if err := w.Finish(io.Discard); err == nil {
			t.Errorf("%s: Finish gives no error", name)
		}
	}
}

func TestDamaged(t *testing.T) {
	file := sample(t, digest.SHA256)
	change := func(at int, b ...byte) []byte {
		c := slices.Clone(file)
		copy(c[at:], b)
		return c
	}
	far := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"only a header":      file[:32],
		"no magic":           change(0, 'X'),
		"version 1":          change(11, 1),
		"algorithm 3":        change(14, 3),
		"64 KiB blocks":      change(15, 16),
		"info far away":      change(24, far...),
		"info ends at once":  change(24, 32),
		"refs far away":      change(32, far...),
		"refs backwards":     change(40, 0),
		"half a digest":      change(40, 113),
		"truncated":          file[:len(file)-9],
		"damaged stream":     change(len(file)-20, far...),
		"damaged references": change(246, far...),
	} {
		r, err := open(data)
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error = %v; want ErrFormat", name, err)
		}
	}
}

// TestHostileStream has streams that a careless reader would believe.
func TestHostileStream(t *testing.T) {
	for name, stream := range map[string][]byte{
		"object out of range": {9, 0, 0, 0, 0, 0, 0, 0},
		"largest object":      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"longest inline":      {0, 0, 0, 0, 0, 0, 0, 0x80},
		"half a number":       {1, 2, 3},
	} {
		w := NewWriter(digest.SHA256, OCILayer)
		w.write(stream)
		r, err := open(finish(t, w))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: Next = %v; want ErrFormat", name, err)
		}
		r.Close()
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(sample(f, digest.SHA256))
	f.Add(oldHeader(sample(f, digest.SHA512)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := open(data)
		if err != nil {
			return
		}
		defer r.Close()
		w := NewWriter(r.Algorithm(), r.ContentType())
		for name, d := range r.NamedRefs() {
			w.Reference(name, d)
		}
		var want, got bytes.Buffer
		if !copyStream(r, w, &want) {
			return
		}
		// What was accepted can be written and reads the same.
		again, err := open(finish(t, w))
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		defer again.Close()
		if !copyStream(again, NewWriter(r.Algorithm(), 0), &got) || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("read %q; wrote %q", got.Bytes(), want.Bytes())
		}
		if !maps.Equal(again.NamedRefs(), r.NamedRefs()) {
			t.Errorf("references are %v; want %v", again.NamedRefs(), r.NamedRefs())
		}
	})
}

// copyStream copies what is left of r to w, and to text with objects by their
// digests. It reports whether r was good to the end, which is at 1 MiB at last: a
// small file may well stand for gigabytes.
func copyStream(r *Reader, w *Writer, text *bytes.Buffer) bool {
	for text.Len() < 1<<20 {
		c, err := r.Next()
		if err != nil {
			return err == io.EOF
		}
		if c.Object.IsZero() {
			w.Inline(c.Inline)
			text.Write(c.Inline)
			continue
		}
		w.External(c.Object, 1)
		text.Write(c.Object.Bytes())
	}
	return false
}
