package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	godigest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// An endpoint is a repository in a registry, or in a mirror of that: what the
// OCI distribution specification defines, as far as reading needs it. The
// library's own client reads answers into memory however long they are.
type endpoint struct {
	name     reference.Named
	host     string // of requests
	mirrored string // the registry, for a mirror that wants to know
	agent    string
	insecure bool
	client   *http.Client
	auth     credentials
	plain    atomic.Bool // it has no TLS

	mu      sync.Mutex // held while the following is asked for
	scheme  string     // "https" or "http"; empty before the first answer
	wants   challenge
	current bearer
}

func newEndpoint(sys *types.SystemContext, source sysregistriesv2.PullSource) (*endpoint, error) {
	domain := reference.Domain(source.Reference)
	e := &endpoint{
		name: source.Reference, host: domain, mirrored: source.Endpoint.NamespaceProxy, agent: sys.DockerRegistryUserAgent,
		insecure: source.Endpoint.Insecure || sys.DockerInsecureSkipTLSVerify == types.OptionalBoolTrue,
	}
	if domain == "docker.io" {
		e.host = "registry-1.docker.io"
	}
	var err error
	if e.auth, err = readCredentials(sys, source.Reference); err != nil {
		return nil, err
	}
	secure := &tls.Config{}
	dir, err := certificates(sys.RootForImplicitAbsolutePaths, domain)
	if err == nil && dir != "" {
		err = tlsclientconfig.SetupCertificates(dir, secure)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read certificates: %w", err)
	}
	e.client = &http.Client{CheckRedirect: checkRedirect, Transport: newTransport(e.host, secure, e.insecure, e.plain.Load)}
	return e, nil
}

// certificates returns the directory of a registry's certificates, see
// containers-certs.d(5), or "".
func certificates(root, domain string) (string, error) {
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name: "certs", Extension: "d", DoNotUseExtensionForConfigName: true, UserId: os.Getuid(), RootForImplicitAbsolutePaths: root,
	})
	if err != nil {
		return "", err
	}
	for _, dir := range append(paths.DropInDirectories, filepath.Join("/", root, "etc/docker/certs.d")) {
		dir = filepath.Join(dir, domain)
		_, err := os.Stat(dir)
		if err == nil {
			err = checkCertificates(dir)
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return "", nil
}

// get asks for something of the repository. Any status but those of success is an
// error.
func (e *endpoint) get(ctx context.Context, what string, headers http.Header) (*http.Response, error) {
	resp, err := e.ask(ctx, what, headers)
	return resp, e.auth.denied(err)
}

func (e *endpoint) ask(ctx context.Context, what string, headers http.Header) (*http.Response, error) {
	if err := e.connect(ctx); err != nil {
		return nil, err
	}
	resp, err := e.try(ctx, what, headers, challenge{})
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return success(resp, err)
	}
	// The token was for something else, or has expired.
	wants := challengeOf(resp)
	resp.Body.Close()
	resp, err = e.try(ctx, what, headers, wants)
	return success(resp, err)
}

func success(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, err
	}
	defer resp.Body.Close()
	return nil, newStatusError(resp)
}

// try asks once, with a new token if the last answer wanted one.
func (e *endpoint) try(ctx context.Context, what string, headers http.Header, wants challenge) (*http.Response, error) {
	request, err := e.request(ctx, e.scheme, "/v2/"+reference.Path(e.name)+"/"+what)
	if err != nil {
		return nil, err
	}
	for key, values := range headers {
		request.Header[key] = values
	}
	if err := e.authorize(request, wants); err != nil {
		return nil, err
	}
	return e.client.Do(request)
}

func (e *endpoint) request(ctx context.Context, scheme, path string) (*http.Request, error) {
	at := url.URL{Scheme: scheme, Host: e.host, Path: path}
	if e.mirrored != "" {
		at.RawQuery = url.Values{"ns": {e.mirrored}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err == nil {
		request.Header.Set("User-Agent", e.agent)
	}
	return request, err
}

// authorize puts into the request what the registry wants: by its first answer, or
// by the last.
func (e *endpoint) authorize(request *http.Request, wants challenge) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	renew := wants.scheme != ""
	if !renew {
		wants = e.wants
	}
	switch wants.scheme {
	case "basic":
		if e.auth.Username != "" {
			request.SetBasicAuth(e.auth.Username, e.auth.Password)
		}
	case "bearer":
		if renew || !e.current.valid() {
			scope := "repository:" + reference.Path(e.name) + ":pull"
			token, err := newBearer(request.Context(), e.client, e.agent, wants, scope, e.auth.DockerAuthConfig)
			if err != nil {
				return err
			}
			e.current = token
		}
		request.Header.Set("Authorization", "Bearer "+e.current.token)
	}
	return nil
}

// connect asks what the registry wants, unless that is known.
func (e *endpoint) connect(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scheme != "" {
		return nil
	}
	err := e.ping(ctx, "https")
	if err != nil && e.insecure && ctx.Err() == nil {
		err = e.ping(ctx, "http")
	}
	return err
}

func (e *endpoint) ping(ctx context.Context, scheme string) error {
	request, err := e.request(ctx, scheme, "/v2/")
	if err != nil {
		return err
	}
	resp, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return newStatusError(resp)
	}
	e.scheme, e.wants = scheme, challengeOf(resp)
	e.plain.Store(scheme == "http")
	return nil
}

// manifest reads the manifest that a tag or a digest names.
func (e *endpoint) manifest(ctx context.Context, name string) (raw []byte, mediaType string, err error) {
	resp, err := e.get(ctx, "manifests/"+name, http.Header{"Accept": manifest.DefaultRequestedManifestMIMETypes})
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	raw, err = io.ReadAll(limits.Manifest.Reader(resp.Body))
	mediaType, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
	return raw, strings.TrimSpace(mediaType), err
}

// blob opens a blob at an offset, or somewhere before: start is where.
func (e *endpoint) blob(ctx context.Context, d godigest.Digest, offset int64) (body io.ReadCloser, start int64, err error) {
	ctx = context.WithValue(ctx, blobKey{}, true)
	var headers http.Header
	if offset > 0 {
		headers = http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}}
	}
	resp, err := e.get(ctx, "blobs/"+d.String(), headers)
	var status *statusError
	if offset > 0 && errors.As(err, &status) && status.status == http.StatusRequestedRangeNotSatisfiable {
		resp, err = e.get(ctx, "blobs/"+d.String(), nil)
	}
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start < 0 || start > offset {
			resp.Body.Close()
			return nil, 0, fmt.Errorf("the registry gives the range %q from %d on", resp.Header.Get("Content-Range"), offset)
		}
	}
	return resp.Body, start, nil
}
