package oci

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	godigest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/types"
)

// withSignatures returns the image with a manifest from where its signatures can be
// read, if the policy may want some: of a registry that is the library's own
// source. done closes it.
func (i *Image) withSignatures(ctx context.Context, sys *types.SystemContext, raw []byte, here *image.UnparsedImage) (_ *image.UnparsedImage, done func(), err error) {
	policy, err := loadPolicy(sys)
	if i.Reference.registry() == "" || err != nil || policy == nil || acceptsAnything(policy, i.Reference.image) {
		return here, func() {}, nil // checkPolicy tells of an error
	}
	source, err := i.Reference.image.NewImageSource(ctx, i.signatureContext(sys))
	if err != nil {
		return nil, nil, err
	}
	digest := godigest.FromBytes(raw)
	return image.UnparsedInstance(source, &digest), func() { source.Close() }, nil
}

// signatureContext returns sys for the library's client, which is only asked for
// signatures: what our own client has found out of the registry still holds.
func (i *Image) signatureContext(sys *types.SystemContext) *types.SystemContext {
	source, ok := i.source.(*registrySource)
	if !ok {
		return sys
	}
	e := source.endpoints[0]
	own := *sys
	if !e.plain.Load() {
		own.DockerProxy = proxyButPlain(e.host, i.lookaside(sys))
	}
	if e.insecure && e.current.token != "" {
		// The library would not verify whom it asks for another one.
		own.DockerBearerRegistryToken, own.DockerAuthConfig = e.current.token, &types.DockerAuthConfig{}
	}
	return &own
}

// lookaside returns the host that registries.d names for signatures, if it does.
func (i *Image) lookaside(sys *types.SystemContext) string {
	at, err := docker.SignatureStorageBaseURL(sys, i.Reference.image, false)
	if err != nil || at == nil {
		return ""
	}
	return at.Host
}

// proxyButPlain returns the proxy for a URL as the environment has it. Plain HTTP is an
// error, but to the host of signatures that an administrator has named: they are
// verified, and the library asks for them without credentials.
func proxyButPlain(registry, lookaside string) func(*url.URL) (*url.URL, error) {
	return func(u *url.URL) (*url.URL, error) {
		if u.Scheme != "https" && (u.Host != lookaside || u.Host == registry) {
			return nil, fmt.Errorf("%w to %s", errPlain, u.Host)
		}
		return http.ProxyFromEnvironment(&http.Request{URL: u})
	}
}
