package oci

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.podman.io/image/v5/pkg/tlsclientconfig"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// maxHeaders bounds the headers of an answer, in bytes.
const maxHeaders = 256 << 10

// newTransport returns the transport for requests to a host and to where it redirects. If
// insecure, its certificate is not verified, but those of other hosts are, and TLS is
// optional, except for credentials as long as plain returns false.
func newTransport(host string, config *tls.Config, insecure bool, plain func() bool) http.RoundTripper {
	var transport http.RoundTripper = httpTransport(config)
	if insecure {
		unverified := config.Clone()
		unverified.InsecureSkipVerify = true
		transport = &byHost{host, httpTransport(unverified), transport}
	}
	return &capped{&guarded{transport, insecure, plain}}
}

func httpTransport(config *tls.Config) *http.Transport {
	t := tlsclientconfig.NewTransport()
	t.TLSClientConfig = config
	// Bodies are not to be inflated here.
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = maxHeaders
	return t
}

// byHost asks one host in one way, and all others in another.
type byHost struct {
	host         string
	this, others http.RoundTripper
}

func (b *byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		return b.this.RoundTrip(r)
	}
	return b.others.RoundTrip(r)
}

// errPlainCredentials says that somebody who listens would have got credentials.
var errPlainCredentials = errors.New("credentials are not sent without TLS")

// errRedirects says that redirects lead nowhere.
var errRedirects = errors.New("too many redirects")

const maxRedirects = 10

// checkRedirect lets credentials follow to the same port of the same host alone: on
// another one, or a host whose name ends in the same, may be anybody.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errRedirects
	}
	if r.URL.Host != via[0].URL.Host {
		r.Header.Del("Authorization")
	}
	return nil
}

// ErrPlainHTTP reports that a registry was not asked without TLS, since others could read
// and change what it answers.
var ErrPlainHTTP = errors.New("plain HTTP is refused")

// guarded refuses to ask without TLS, or to send credentials without, wherever
// redirects lead and whatever a registry says where tokens come from.
type guarded struct {
	http.RoundTripper
	insecure bool        // plain HTTP is allowed, without credentials
	plain    func() bool // and with them
}

func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !g.insecure {
		return nil, fmt.Errorf("%w to %s", ErrPlainHTTP, r.URL.Host)
	}
	secret := r.Header.Get("Authorization") != "" || r.Method == http.MethodPost || r.URL.User != nil
	if secret && r.URL.Scheme != "https" && !g.plain() {
		return nil, fmt.Errorf("%w to %s", errPlainCredentials, r.URL.Host)
	}
	return g.RoundTripper.RoundTrip(r)
}

// capped bounds what is read of any answer that is not a blob.
type capped struct{ http.RoundTripper }

func (b *capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil || isBlob(r) && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent) {
		return resp, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{limits.Answer.Reader(resp.Body), resp.Body}
	return resp, nil
}

// blobKey is that of a context in which a blob is asked for: where redirects lead,
// its URL does not tell.
type blobKey struct{}

func isBlob(r *http.Request) bool { return r.Context().Value(blobKey{}) != nil }
