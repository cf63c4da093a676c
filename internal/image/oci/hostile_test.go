package oci

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// TestEndlessAnswers has a registry that says something, and does not end, wherever it
// is asked: little of it is read, and the error names the limit.
func TestEndlessAnswers(t *testing.T) {
	tests := map[string]struct {
		at         string // in the path
		status     int
		compressed bool
		want       limits.Limit
	}{
		"ping":              {"/v2/", 404, false, limits.Answer},
		"ping, gzip":        {"/v2/", 500, true, limits.Answer},
		"no manifest":       {"/manifests/", 404, false, limits.Answer},
		"no access":         {"/manifests/", 401, false, limits.Answer},
		"no manifest, gzip": {"/manifests/", 404, true, limits.Answer},
		"manifest":          {"/manifests/", 200, false, limits.Manifest},
		"manifest, gzip":    {"/manifests/", 200, true, limits.Manifest},
		"no token":          {"/token", 403, false, limits.Answer},
		"token":             {"/token", 200, false, limits.Token},
		"no configuration":  {"/blobs/", 404, false, limits.Answer},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
			var asked atomic.Int32
			r.answer(func(w http.ResponseWriter, req *http.Request) bool {
				if tt.at == "/token" && req.URL.Path != "/token" {
					w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", r.URL+"/token"))
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				if !strings.Contains(req.URL.Path, tt.at) {
					return false
				}
				asked.Add(1)
				endless(w, tt.status, tt.compressed)
				return true
			})
			before := allocated()
			_, err := tryOpen(t, ref, options(t))
			if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != tt.want {
				t.Errorf("error %v; want that of %s", err, tt.want.Name)
			}
			if n := asked.Load(); n > 2 { // 401 is asked once more, with a new token
				t.Errorf("it was asked for that %d times; want twice at most", n)
			}
			// The test's registry allocates too.
			if took := allocated() - before; took > 128<<20 {
				t.Errorf("%d MiB were allocated; want a few times %v", took>>20, limits.Answer)
			}
		})
	}
}

// TestLargeConfig has a configuration that is as large as its manifest says, which is too
// large: it is not asked for.
func TestLargeConfig(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[1:2], func(_ *imgspec.Manifest, config *imgspec.Image) {
		config.Author = strings.Repeat("x", int(limits.Config.Value))
	})
	r := newRegistry(t)
	_, err := tryOpen(t, r.push(t, im, "os", "v1"), options(t))
	if exceeded, ok := errors.AsType[*limits.Error](err); !ok || exceeded.Limit != limits.Config {
		t.Errorf("Open = %v; want %v", err, limits.Config.Exceeded())
	}
	if n := r.got("os", godigest.FromBytes(im.config)); n != 0 {
		t.Errorf("it was asked for %d times; want never", n)
	}
}

func endless(w http.ResponseWriter, status int, compressed bool) {
	piece := make([]byte, 64<<10)
	if compressed {
		w.Header().Set("Content-Encoding", "gzip")
		var member bytes.Buffer
		z := gzip.NewWriter(&member)
		for range 1 << 10 {
			z.Write(piece)
		}
		z.Close()
		piece = member.Bytes()
	}
	w.WriteHeader(status)
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// allocated returns how many bytes this process has allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestSlow has a layer that comes byte by byte: it is asked for again, and given up.
func TestSlow(t *testing.T) {
	r := newRegistry(t)
	im := newImage(t, "amd64", archives(t)[:1], nil)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	got.retry.slow = 200 * time.Millisecond
	var asked atomic.Int32
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		asked.Add(1)
		for req.Context().Err() == nil {
			w.Write([]byte{0})
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		return true
	})
	_, err := readLayer(t, got, 0)
	if err == nil || !strings.Contains(err.Error(), "does not answer in time: less than 4 KiB per second for 200ms") {
		t.Errorf("error %v; want that it comes too slowly", err)
	}
	if n := int(asked.Load()); n != got.retry.attempts {
		t.Errorf("asked %d times; want %d", n, got.retry.attempts)
	}
}

// TestPace shows that the time in which nobody waits for a layer does not count.
func TestPace(t *testing.T) {
	least := limits.Rate.Value
	for _, tt := range []struct {
		bytes int64
		want  bool
	}{{10*least - 1, true}, {10 * least, false}} {
		var p pace
		p.add(int(tt.bytes), 9*time.Second)
		if p.tooSlow(10 * time.Second) {
			t.Error("too slow before the window has ended")
		}
		p.add(0, time.Second)
		if got := p.tooSlow(10 * time.Second); got != tt.want {
			t.Errorf("%d bytes in 10 seconds are too slow: %v; want %v", tt.bytes, got, tt.want)
		}
		if p != (pace{}) {
			t.Errorf("after a window: %+v; want another one", p)
		}
	}
}

// TestCredentialsNeedTLS has a registry with TLS that leads elsewhere: what knows
// who asks is not sent without TLS.
func TestCredentialsNeedTLS(t *testing.T) {
	var heard atomic.Bool
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			heard.Store(true)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer open.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/redirect" {
			http.Redirect(w, req, open.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer secure.Close()
	for _, plain := range []bool{false, true} {
		client := &http.Client{Transport: &guarded{secure.Client().Transport, true, func() bool { return plain }}}
		for _, at := range []string{secure.URL + "/redirect", open.URL} {
			heard.Store(false)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("me", "secret")
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			if heard.Load() != plain || errors.Is(err, errPlainCredentials) == plain {
				t.Errorf("%s, plain %v: credentials were sent: %v, error %v", at, plain, heard.Load(), err)
			}
		}
	}
}

func TestParseParams(t *testing.T) {
	tests := map[string]map[string]string{
		``:                      {},
		`realm="https://a/b,c"`: {"realm": "https://a/b,c"},
		`Realm="x", service=y,scope="repository:os:pull,push"`: {"realm": "x", "service": "y", "scope": "repository:os:pull,push"},
		`realm="a\"b\\c" , error = "no"`:                       {"realm": `a"b\c`, "error": "no"},
		`realm="without end`:                                   {"realm": "without end"},
		`nothing`:                                              {},
	}
	for text, want := range tests {
		if got := parseParams(text); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("parseParams(%q) = %v; want %v", text, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	tests := []struct {
		header      string
		least, most time.Duration
	}{
		{"", 0, 0}, {"soon", 0, 0}, {"-1", 0, 0}, {"0", 0, 0}, {"2", 2 * time.Second, 2 * time.Second},
		{"3600", maxAfter, maxAfter}, {"99999999999999999999", 0, 0},
		{date(20 * time.Second), 15 * time.Second, 20 * time.Second}, {date(-time.Hour), 0, 0}, {date(time.Hour), maxAfter, maxAfter},
	}
	for _, tt := range tests {
		if got := retryAfter(tt.header); got < tt.least || got > tt.most {
			t.Errorf("retryAfter(%q) = %v; want %v to %v", tt.header, got, tt.least, tt.most)
		}
	}
}

// TestRedirects has a blob that leads to itself: that is not asked again.
func TestRedirects(t *testing.T) {
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, newImage(t, "amd64", archives(t)[:1], nil), "os", "v1"), options(t))
	var asked atomic.Int32
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		asked.Add(1)
		http.Redirect(w, req, req.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	_, err := readLayer(t, got, 0)
	if !errors.Is(err, errRedirects) || asked.Load() != maxRedirects {
		t.Errorf("asked %d times, error %v; want %d and %v", asked.Load(), err, maxRedirects, errRedirects)
	}
}

// TestCancelFile stops while a layer in a file is read that has more after its end.
func TestCancelFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	b := &body{ctx: ctx, retry: retry{attempts: 1, stall: time.Minute, slow: time.Minute}, explain: func(err error) error { return err }}
	b.open = func(context.Context, int64) (io.ReadCloser, int64, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) {
			if read++; read == 3 {
				cancel()
			}
			return len(p), nil
		})), 0, nil
	}
	if _, err := io.Copy(io.Discard, b); !errors.Is(err, context.Canceled) || read != 3 {
		t.Errorf("error %v after %d reads; want %v after 3", err, read, context.Canceled)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestEndlessSignatures has a registry that does not end when it is asked for signatures.
func TestEndlessSignatures(t *testing.T) {
	for _, status := range []int{200, 401, 404} {
		r := newRegistry(t)
		ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
		r.answer(func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.HasSuffix(req.URL.Path, ".sig") {
				return false
			}
			endless(w, status, false)
			return true
		})
		opts := options(t)
		opts.InsecureTLS, opts.TempDir = true, t.TempDir()
		writeBelow(t, opts.Root, "etc/containers/policy.json", signedBy)
		before := allocated()
		_, err := tryOpen(t, ref, opts)
		if err == nil {
			t.Errorf("status %d: no error; want one", status)
		}
		if took := allocated() - before; took > 128<<20 {
			t.Errorf("status %d: %d MiB were allocated; want a few times %v", status, took>>20, limits.Answer)
		}
	}
}
