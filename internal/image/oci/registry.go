package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	godigest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// A registrySource reads an image from a registry, or from a mirror that
// containers-registries.conf(5) has for it. As a types.ImageSource it has no
// signatures: a policy that wants some is asked with the library's own source.
type registrySource struct {
	image     types.ImageReference
	endpoints []*endpoint // the one that has the image first
	retry     retry
}

func newRegistrySource(sys *types.SystemContext, ref Reference, again retry) (*registrySource, error) {
	if err := checkRegistriesConf(sys.RootForImplicitAbsolutePaths); err != nil {
		return nil, fmt.Errorf("cannot read registries.conf: %w", err)
	}
	named := ref.image.DockerReference()
	registry, err := sysregistriesv2.FindRegistry(sys, named.String())
	if err != nil {
		return nil, fmt.Errorf("cannot read registries.conf: %w", err)
	}
	if registry == nil {
		registry = &sysregistriesv2.Registry{Prefix: named.String(), Endpoint: sysregistriesv2.Endpoint{Location: named.String()}}
	}
	if registry.Blocked {
		return nil, fmt.Errorf("registries.conf(5) blocks %s", registry.Prefix)
	}
	sources, err := registry.PullSourcesFromReference(named)
	if err != nil {
		return nil, err
	}
	s := &registrySource{image: ref.image, retry: again}
	for _, source := range sources {
		e, err := newEndpoint(sys, source)
		if err != nil {
			return nil, err
		}
		s.endpoints = append(s.endpoints, e)
	}
	return s, nil
}

func (s *registrySource) Reference() types.ImageReference { return s.image }

func (s *registrySource) Close() error {
	for _, e := range s.endpoints {
		e.client.CloseIdleConnections()
	}
	return nil
}

// GetManifest reads the manifest that the reference names, or one with a digest.
// It asks one endpoint after the other, and from then on the one that had it.
func (s *registrySource) GetManifest(ctx context.Context, instance *godigest.Digest) (raw []byte, mediaType string, err error) {
	var before []error
	for n, e := range s.endpoints {
		name := nameOf(e, instance)
		raw, mediaType, err = s.manifest(ctx, e, name)
		if err == nil {
			s.endpoints = s.endpoints[n:]
			return raw, mediaType, nil
		}
		if n < len(s.endpoints)-1 && ctx.Err() == nil {
			before = append(before, fmt.Errorf("mirror %s: %w", e.host, err))
			continue
		}
		break
	}
	if len(before) > 0 {
		err = fmt.Errorf("%w (%v)", err, errors.Join(before...))
	}
	return nil, "", err
}

func nameOf(e *endpoint, instance *godigest.Digest) string {
	if instance != nil {
		return instance.String()
	}
	switch named := e.name.(type) {
	case reference.Digested:
		return named.Digest().String()
	case reference.Tagged:
		return named.Tag()
	}
	return "latest"
}

// manifest asks again as long as the registry says that it may help.
func (s *registrySource) manifest(ctx context.Context, e *endpoint, name string) ([]byte, string, error) {
	for failures := 1; ; failures++ {
		raw, mediaType, err := e.manifest(ctx, name)
		var status *statusError
		if err == nil || !errors.As(err, &status) || !status.temporary() || s.retry.enough(failures, err) {
			return raw, mediaType, err
		}
		if !s.retry.wait(ctx, failures, err) {
			return nil, "", context.Cause(ctx)
		}
	}
}

// GetBlob opens a blob.
func (s *registrySource) GetBlob(ctx context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	body, _, err := s.open(ctx, info, 0)
	return body, -1, err
}

// open opens a blob at an offset or before, where start is. What a mirror does not
// have, the registry may.
func (s *registrySource) open(ctx context.Context, info types.BlobInfo, offset int64) (body io.ReadCloser, start int64, err error) {
	for _, e := range s.endpoints {
		body, start, err = e.blob(ctx, info.Digest, offset)
		if err == nil || !hasStatus(err, http.StatusNotFound) {
			break
		}
	}
	return body, start, err
}

func (s *registrySource) HasThreadSafeGetBlob() bool { return true }

func (s *registrySource) GetSignatures(context.Context, *godigest.Digest) ([][]byte, error) {
	return nil, nil
}

func (s *registrySource) LayerInfosForCopy(context.Context, *godigest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}
