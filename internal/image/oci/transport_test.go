package oci

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// An ear is a server to which a registry leads, and counts what it hears.
type ear struct {
	*httptest.Server
	asked, secrets atomic.Int32
}

func newEar(t *testing.T, tls bool) *ear {
	e := &ear{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		e.asked.Add(1)
		if req.Header.Get("Authorization") != "" {
			e.secrets.Add(1)
		}
		io.WriteString(w, `{"token": "x"}`)
	}))
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		e.StartTLS()
	} else {
		e.Start()
	}
	t.Cleanup(e.Close)
	return e
}

// TestLeads has registries, with and without TLS, that lead to others with whom the
// credentials would not be safe.
func TestLeads(t *testing.T) {
	const refused, unknown = "plain HTTP is refused", "which has a certificate of an unknown authority"
	tests := []struct {
		name                 string
		tls, known, insecure bool // of the registry: it has TLS, with a known certificate; --insecure-registry
		earTLS               bool
		leads                string // to the ear, by: realm, redirect
		anonymous            bool
		want                 string // in the error
		asked                int32  // of the ear, at most
	}{
		{"token over HTTP", true, true, false, false, "realm", false, refused, 0},
		{"token over HTTP, anonymous", true, true, false, false, "realm", true, refused, 0},
		{"token over HTTP, insecure", true, false, true, false, "realm", false, "credentials are not sent without TLS", 0},
		{"token of a stranger", true, true, false, true, "realm", false, unknown, 0},
		{"token of a stranger, insecure", true, false, true, true, "realm", false, unknown, 0},
		{"token of a stranger, no TLS", false, false, true, true, "realm", false, unknown, 0},
		{"redirect to HTTP", true, true, false, false, "redirect", false, refused, 0},
		{"redirect to HTTP, insecure", true, false, true, false, "redirect", false, "", 1},
		{"redirect to another port", false, false, true, false, "redirect", false, "", 1},
		{"redirect to a stranger, insecure", true, false, true, true, "redirect", false, unknown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEar(t, tt.earTLS)
			r := newRegistry(t)
			r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
			r.answer(func(w http.ResponseWriter, req *http.Request) bool {
				switch {
				case tt.leads == "redirect" && strings.Contains(req.URL.Path, "/manifests/"):
					http.Redirect(w, req, e.URL+"/moved", http.StatusTemporaryRedirect)
				case tt.leads == "redirect" && req.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
					w.WriteHeader(http.StatusUnauthorized)
				case tt.leads == "realm" && req.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", e.URL+"/token"))
					w.WriteHeader(http.StatusUnauthorized)
				default:
					return false
				}
				return true
			})
			opts, server := options(t), r.Server
			if tt.tls {
				server = httptest.NewTLSServer(r.Config.Handler)
				server.Config.ErrorLog = log.New(io.Discard, "", 0)
				defer server.Close()
			}
			host := server.Listener.Addr().String()
			opts.InsecureTLS = tt.insecure
			if tt.known {
				block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
				writeBelow(t, opts.Root, "etc/containers/certs.d/"+host+"/ca.crt", string(pem.EncodeToMemory(block)))
			}
			// The servers of tests share a certificate: another name is not in it.
			if tt.earTLS && tt.known {
				e.URL = strings.Replace(e.URL, "127.0.0.1", "localhost", 1)
				tt.want = "certificate is valid for example.com"
			}
			if !tt.anonymous {
				opts.AuthFile = filepath.Join(opts.Root, "auth.json")
				secret := base64.StdEncoding.EncodeToString([]byte("me:secret"))
				write(t, opts.AuthFile, []byte(`{"auths":{"`+host+`":{"auth":"`+secret+`"}}}`))
			}
			_, err := tryOpen(t, host+"/os:v1", opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
			if asked, secrets := e.asked.Load(), e.secrets.Load(); asked > tt.asked || secrets > 0 {
				t.Errorf("the other was asked %d times, %d with credentials; want %d and none", asked, secrets, tt.asked)
			}
		})
	}
}
