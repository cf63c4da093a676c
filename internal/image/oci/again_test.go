package oci

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTemporaryAnswers has a registry that cannot answer for a while, whatever it is asked
// for: a manifest and a configuration are asked for again, as a layer is.
func TestTemporaryAnswers(t *testing.T) {
	for _, at := range []string{"/manifests/", "/blobs/"} {
		for status, answers := range map[int]int32{500: 2, 502: 4, 503: 1000, 404: 1000} {
			t.Run(fmt.Sprint(at, status), func(t *testing.T) {
				t.Parallel()
				r := newRegistry(t)
				ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
				var asked atomic.Int32
				r.answer(func(w http.ResponseWriter, req *http.Request) bool {
					if !strings.Contains(req.URL.Path, at) || asked.Add(1) > answers {
						return false
					}
					w.WriteHeader(status)
					return true
				})
				_, err := tryOpen(t, ref, options(t))
				if n := asked.Load(); answers < 1000 && (err != nil || n != answers+1) {
					t.Errorf("Open = %v after %d requests; want it to ask until there is an answer, the %dth time", err, n, answers+1)
				}
				want := int32(patient.attempts)
				if status == 404 {
					want = 1
				}
				if n := asked.Load(); answers == 1000 && (err == nil || n != want) {
					t.Errorf("Open = %v after %d requests; want an error after %d", err, n, want)
				}
			})
		}
	}
}

// TestTokenExpires has a registry that takes each token once, although it said that one
// lasts: each of the layers is read, with a new one.
func TestTokenExpires(t *testing.T) {
	want := archives(t)
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", want, nil), "os", "v1")
	var given, spent atomic.Int32
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.URL.Path == "/token":
			fmt.Fprintf(w, `{"token": "%d", "expires_in": 3600}`, given.Add(1))
		case req.Header.Get("Authorization") == fmt.Sprintf("Bearer %d", spent.Load()+1):
			spent.Add(1)
			return false
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", r.URL+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}`)
		}
		return true
	})
	got := mustOpen(t, ref, options(t))
	for n := range want {
		if data, err := readLayer(t, got, n); err != nil || !bytes.Equal(data, want[n]) {
			t.Errorf("layer %d: %d bytes, %v; want %d", n, len(data), err, len(want[n]))
		}
	}
	if n := int(given.Load()); n < 2+len(want) {
		t.Errorf("%d tokens; want one for the manifest, the configuration and each layer", n)
	}
}
