package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/docker/distribution/registry/api/errcode"
	registryerrors "github.com/docker/distribution/registry/api/v2"
	"go.podman.io/image/v5/docker"
	ociarchive "go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/oci/layout"
)

// ErrNotFound is in the chain of errors that say that a reference names no
// image.
var ErrNotFound = errors.New("no such image")

// explain puts what a person needs to know before what the library says.
func explain(ref Reference, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if isNotFound(err) {
		return fmt.Errorf("%w: %s: %w", ErrNotFound, ref, err)
	}
	if errors.Is(err, layout.ErrMoreThanOneImage) {
		return fmt.Errorf("%s has several images, name one of them: %s", ref, strings.Join(imagesIn(ref), ", "))
	}
	if registry := ref.registry(); registry != "" {
		return explainRegistry(registry, ref, err)
	}
	return fmt.Errorf("cannot read %s: %w", ref, err)
}

// imagesIn returns the references of the images in the OCI layout that ref names.
func imagesIn(ref Reference) (names []string) {
	list, err := layout.List(strings.TrimSuffix(ref.image.StringWithinTransport(), ":"))
	if err != nil {
		return nil
	}
	for _, image := range list {
		names = append(names, Reference{image: image.Reference}.String())
	}
	return names
}

func explainRegistry(registry string, ref Reference, err error) error {
	var (
		dns       *net.DNSError
		network   net.Error
		authority x509.UnknownAuthorityError
		notTLS    tls.RecordHeaderError // some answer TLS with an error page, which has no header
	)
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("cannot find registry %s: %w", registry, err)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("registry %s does not answer: %w", registry, err)
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("registry %s does not answer in time: %w", registry, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("registry %s broke off the connection: %w", registry, err)
	case isTooMany(err):
		return fmt.Errorf("rate limited by registry %s (asked too often); try again later: %w", registry, err)
	case isUnauthorized(err):
		return fmt.Errorf("registry %s refuses access to %s, %s: %w", registry, ref, whyDenied(err), err)
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &notTLS):
		return fmt.Errorf("registry %s has no TLS, and %w: %w", registry, ErrPlainHTTP, err)
	case errors.As(err, &authority) && asked(err, registry) != registry:
		return fmt.Errorf("registry %s leads to %s, which has a certificate of an unknown authority: %w", registry, asked(err, registry), err)
	case errors.As(err, &authority):
		return fmt.Errorf("registry %s has a certificate of an unknown authority, see containers-certs.d(5): %w", registry, err)
	}
	return fmt.Errorf("cannot read %s: %w", ref, err)
}

// asked returns the host that was asked when err came about, which may be another one
// than the registry.
func asked(err error, registry string) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		if at, parseErr := url.Parse(failed.URL); parseErr == nil && at.Host != "" && registry != "docker.io" {
			return at.Host
		}
	}
	return registry
}

func isNotFound(err error) bool {
	if hasCode(err, registryerrors.ErrorCodeManifestUnknown, registryerrors.ErrorCodeNameUnknown) {
		return true
	}
	var (
		oci     layout.ImageNotFoundError
		archive ociarchive.ImageNotFoundError
		file    ociarchive.ArchiveFileNotFoundError
	)
	return errors.As(err, &oci) || errors.As(err, &archive) || errors.As(err, &file) ||
		errors.Is(err, fs.ErrNotExist) || hasStatus(err, http.StatusNotFound)
}

func isUnauthorized(err error) bool {
	var credentials docker.ErrUnauthorizedForCredentials
	return errors.As(err, &credentials) ||
		hasCode(err, errcode.ErrorCodeUnauthorized, errcode.ErrorCodeDenied) ||
		hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden)
}

// hasCode reports whether a registry gave one of codes as its reason.
func hasCode(err error, codes ...errcode.ErrorCode) bool {
	var own *statusError
	if errors.As(err, &own) {
		return slices.ContainsFunc(codes, func(c errcode.ErrorCode) bool { return c.Descriptor().Value == own.code })
	}
	var reason errcode.ErrorCoder
	return errors.As(err, &reason) && slices.Contains(codes, reason.ErrorCode())
}

// hasStatus reports whether a registry answered with an HTTP status.
func hasStatus(err error, status int) bool {
	var own *statusError
	if errors.As(err, &own) {
		return own.status == status
	}
	var answer docker.UnexpectedHTTPStatusError
	return errors.As(err, &answer) && answer.StatusCode == status
}

// isTemporary reports whether it may help to ask a registry once more.
func isTemporary(err error) bool {
	var own *statusError
	if errors.As(err, &own) {
		return own.temporary()
	}
	var answer docker.UnexpectedHTTPStatusError
	if errors.As(err, &answer) {
		return answer.StatusCode >= 500
	}
	var unverified *tls.CertificateVerificationError
	if errors.Is(err, errRedirects) || errors.Is(err, errPlainCredentials) || errors.Is(err, ErrPlainHTTP) || errors.As(err, &unverified) {
		return false
	}
	var network net.Error
	return isTooMany(err) || errors.As(err, &network)
}

// isTooMany reports whether a registry answered that it is asked too often, even after
// the library has waited as long as it was told to, a few times.
func isTooMany(err error) bool {
	return hasStatus(err, http.StatusTooManyRequests) || errors.Is(err, docker.ErrTooManyRequests) || hasCode(err, errcode.ErrorCodeTooManyRequests) ||
		// The library keeps to itself what it makes of an answer without a reason.
		strings.Contains(err.Error(), "StatusCode: 429,")
}
