package oci

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/types"
)

func TestLayersAtOnce(t *testing.T) {
	want := archives(t)
	for _, ref := range []string{
		newRegistry(t).push(t, newImage(t, "amd64", want, nil), "os", "v1"),
		"oci:" + writeLayout(t, newImage(t, "amd64", want, nil), "v1"),
	} {
		im := mustOpen(t, ref, options(t))
		var all sync.WaitGroup
		for n := range want {
			all.Go(func() {
				if data, err := readLayer(t, im, n); err != nil || !bytes.Equal(data, want[n]) {
					t.Errorf("%s layer %d: %d bytes, %v; want %d", ref, n, len(data), err, len(want[n]))
				}
			})
		}
		all.Wait()
	}
}

func TestProgress(t *testing.T) {
	im := mustOpen(t, "oci:"+writeLayout(t, newImage(t, "amd64", archives(t), nil), "v1"), options(t))
	var total int64
	r, err := im.OpenLayer(t.Context(), im.Layers[0], func(n int64) { total += n })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if total != im.Layers[0].Size {
		t.Errorf("progress of %d bytes; want %d", total, im.Layers[0].Size)
	}
}

func TestBadLayers(t *testing.T) {
	want := tarOf(t, "usr/large", random(3<<20))
	flipped := bytes.Clone(gzipped(t, want))
	flipped[len(flipped)/2] ^= 1
	blob := gzipped(t, want)
	tests := []struct {
		name string
		blob []byte
		size int64 // that the manifest says
		want string
	}{
		{"flipped bit", flipped, int64(len(blob)), "wrong digest"},
		{"truncated", blob[:len(blob)/2], int64(len(blob)), "is truncated"},
		{"empty", nil, int64(len(blob)), "is truncated"},
		{"longer", append(bytes.Clone(blob), "more"...), int64(len(blob)), "is longer"},
		{"other size in manifest", blob, int64(len(blob)) - 1, "is longer"},
	}
	for _, tt := range tests {
		im := newImage(t, "amd64", [][]byte{want}, func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0].Size = tt.size })
		layout := writeLayout(t, im, "v1")
		r := newRegistry(t)
		ref := r.push(t, im, "os", "v1")
		write(t, filepath.Join(layout, "blobs/sha256", im.lastLayer(t).Encoded()), tt.blob)
		r.replace(im.lastLayer(t), tt.blob)
		for _, ref := range []string{ref, "oci:" + layout} {
			got := mustOpen(t, ref, options(t))
			if data, err := readLayer(t, got, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: %d bytes, error %v; want one with %q", tt.name, ref, len(data), err, tt.want)
			}
		}
	}
}

func TestBadArchives(t *testing.T) {
	want := tarOf(t, "usr/large", random(1<<20))
	cut := gzipped(t, want)
	tests := []struct {
		name string
		blob []byte
		want string // "" if it is right
	}{
		{"right", gzipped(t, want), ""},
		{"right, plain", want, ""},
		{"right, in two members", append(gzipped(t, want[:5000]), gzipped(t, want[5000:])...), ""},
		{"right, with more after the end", append(gzipped(t, want), make([]byte, 300000)...), ""},
		{"right, zstd with a skippable frame", append(zstded(t, want), "\x50\x2a\x4d\x18\x04\x00\x00\x00more"...), ""},
		{"right, zstd that begins with one", append([]byte("\x5f\x2a\x4d\x18\x04\x00\x00\x00more"), zstded(t, want)...), ""},
		{"wrong diff_id", gzipped(t, append(bytes.Clone(want), 0)), "wrong diff_id"},
		{"wrong diff_id, zstd", zstded(t, want[1:]), "wrong diff_id"},
		{"wrong diff_id, plain", want[:len(want)-512], "wrong diff_id"},
		{"empty", nil, "wrong diff_id"},
		{"gzip that ends early", cut[:len(cut)/2], "cannot inflate"},
		{"zstd that ends early", zstded(t, want)[:1000], "cannot inflate"},
		{"bzip2", []byte("BZh91AY&SY"), "compressed with bzip2"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), "compressed with xz"},
	}
	for _, tt := range tests {
		layer := imgspec.Descriptor{
			MediaType: imgspec.MediaTypeImageLayerGzip,
			Digest:    godigest.FromBytes(tt.blob),
			Size:      int64(len(tt.blob)),
		}
		im := newImage(t, "amd64", [][]byte{want}, func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0] = layer })
		im.blobs[layer.Digest] = tt.blob
		dir := writeLayout(t, im, "v1")
		for _, decoder := range []Gzip{GzipBuiltIn, GzipLibrary} {
			got := mustOpen(t, "oci:"+dir, options(t))
			got.UseGzip(decoder)
			data, err := readLayer(t, got, 0)
			if tt.want == "" && (err != nil || !bytes.Equal(data, want)) {
				t.Errorf("%s, %s: %d bytes, %v; want %d", tt.name, decoder, len(data), err, len(want))
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s, %s: %d bytes, error %v; want one with %q", tt.name, decoder, len(data), err, tt.want)
			}
		}
	}
}

// TestGzipDecoder has the option count before what is asked for later, and refuses others.
func TestGzipDecoder(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[:1], nil)
	ref := "oci:" + writeLayout(t, im, "v1")
	for _, tt := range []struct{ option, later, want Gzip }{
		{"", "", ""}, {"", GzipLibrary, GzipLibrary}, {GzipBuiltIn, GzipLibrary, GzipBuiltIn}, {GzipLibrary, "", GzipLibrary},
	} {
		opts := options(t)
		opts.Gzip = tt.option
		img := mustOpen(t, ref, opts)
		img.UseGzip(tt.later)
		r, err := tt.want.open(bufio.NewReader(bytes.NewReader(gzipped(t, []byte("x")))))
		if err != nil {
			t.Fatal(err)
		}
		if _, library := r.(*gzipMembers); library != (tt.want == GzipLibrary) || img.options.Gzip != tt.want {
			t.Errorf("option %q, then %q: %T, %q", tt.option, tt.later, r, img.options.Gzip)
		}
	}
	opts := options(t)
	opts.Gzip = "pigz"
	if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), `invalid gzip decoder "pigz" in SYSUPDATE_IMAGE_GZIP: want "built-in" or "library"`) {
		t.Errorf("error %v; want that there is no such decoder", err)
	}
}

func TestBrokenTransfer(t *testing.T) {
	t.Parallel()
	want := [][]byte{tarOf(t, "usr/large", random(7<<20))}
	im := newImage(t, "amd64", want, nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	blob := im.blobs[layer]
	var connections int
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		// Each connection brings two megabytes more and no ranges.
		connections++
		w.Header().Set("Content-Length", "7000000")
		if connections == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		if n := connections * 2 << 20; n < len(blob) {
			w.Write(blob[:n])
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Content-Length")
		w.Write(blob)
		return true
	})
	data, err := readLayer(t, got, 0)
	if err != nil || !bytes.Equal(data, want[0]) {
		t.Errorf("%d bytes, %v; want %d", len(data), err, len(want[0]))
	}
	if connections < 3 {
		t.Errorf("%d connections; want several", connections)
	}
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if data, err := readLayer(t, got, 0); err == nil {
		t.Errorf("%d bytes and no error; want one", len(data))
	}
	if n := r.got("os", layer); n < 2 || n > 50 {
		t.Errorf("%d connections; want a few", n)
	}
}

func TestStalls(t *testing.T) {
	t.Parallel()
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	got.retry.stall = 50 * time.Millisecond
	layer := im.lastLayer(t)
	var stalled sync.Once
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		first := false
		stalled.Do(func() { first = true })
		if first {
			w.Write(im.blobs[layer][:1<<20])
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		}
		return first
	})
	if data, err := readLayer(t, got, 0); err != nil || !bytes.Equal(data, im.archives[0]) {
		t.Errorf("%d bytes, %v; want %d", len(data), err, len(im.archives[0]))
	}
}

// TestHangs has a registry that takes a request for a blob and never answers.
func TestHangs(t *testing.T) {
	t.Parallel()
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	got.retry.stall = 50 * time.Millisecond
	r.answer(func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.Contains(req.URL.Path, "/blobs/") {
			<-req.Context().Done()
			return true
		}
		return false
	})
	_, err := readLayer(t, got, 0)
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), r.host()+" does not answer in time: no answer for 150ms") {
		t.Errorf("error %v; want one that says that the registry does not answer", err)
	}
	if n := r.got("os", im.lastLayer(t)); n != got.retry.attempts {
		t.Errorf("%d requests; want %d", n, got.retry.attempts)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	config := types.BlobInfo{Digest: godigest.Digest(got.ConfigDigest), Size: int64(len(got.RawConfig))}
	if err := got.readConfig(ctx, config); err == nil || !strings.Contains(err.Error(), r.host()+" does not answer in time") {
		t.Errorf("configuration: error %v; want one that says that the registry does not answer", err)
	}
}

// TestTooMany has a registry that is asked too often: for some time, for longer
// than anybody waits, and with a time to wait that is too long.
func TestTooMany(t *testing.T) {
	tests := map[string]struct {
		body, after string
		answers     int32
		want        string // in the error; "" if there is none
	}{
		"for some time":              {`{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, "0", 6, ""},
		"for some time, in no words": {"", "0", 6, ""},
		"for long":                   {`{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, "0", 1000, "(asked too often); try again later"},
		"for long, in other words":   {"<html>", "0", 1000, "(asked too often); try again later"},
		"and that one waits":         {"", "60", 1000, "(asked too often); try again later"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im := newImage(t, "amd64", archives(t)[:1], nil)
			r := newRegistry(t)
			got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
			if tt.after == "60" {
				got.retry.stall = 100 * time.Millisecond
			}
			var answers atomic.Int32
			r.answer(func(w http.ResponseWriter, req *http.Request) bool {
				if !strings.Contains(req.URL.Path, "/blobs/") || answers.Add(1) > tt.answers {
					return false
				}
				w.Header().Set("Retry-After", tt.after)
				w.WriteHeader(http.StatusTooManyRequests)
				io.WriteString(w, tt.body)
				return true
			})
			data, err := readLayer(t, got, 0)
			if tt.want == "" && (err != nil || !bytes.Equal(data, im.archives[0])) {
				t.Errorf("%d bytes, %v; want %d", len(data), err, len(im.archives[0]))
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), r.host()+" "+tt.want)) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		<-req.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	reader, err := got.OpenLayer(ctx, got.Layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := io.ReadAll(reader); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want %v", err, context.Canceled)
	}
}

func TestCloseEarly(t *testing.T) {
	im := mustOpen(t, "oci:"+writeLayout(t, newImage(t, "amd64", archives(t), nil), "v1"), options(t))
	r, err := im.OpenLayer(t.Context(), im.Layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
}
