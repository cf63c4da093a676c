package oci

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/types"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// maxSignatures is how many signatures of an image are read.
const maxSignatures = 128

// withSignatures returns the image with a manifest in a form in which its signatures can
// be read, if the policy may want some. done is called after that.
//
// The library has no form for an image whose signatures somebody else has read but a
// directory, so one is made.
func (i *Image) withSignatures(ctx context.Context, sys *types.SystemContext, raw []byte, here *image.UnparsedImage) (_ types.UnparsedImage, done func(), err error) {
	source, ok := i.source.(*registrySource)
	policy, err := loadPolicy(sys)
	if !ok || err != nil || policy == nil || acceptsAnything(policy, i.Reference.image) {
		return here, func() {}, nil // checkPolicy tells of an error
	}
	signatures, err := source.endpoints[0].signatures(ctx, sys, godigest.FromBytes(raw))
	if err != nil {
		return nil, nil, err
	}
	dir, err := newTempDir(i.tempParent)
	if err != nil {
		return nil, nil, err
	}
	done = func() { dir.Close() }
	if err = writeSigned(dir.path, raw, signatures); err == nil {
		here, err = openSigned(ctx, sys, dir.path)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return image.UnparsedInstanceWithReference(here, i.Reference.image), done, nil
}

func openSigned(ctx context.Context, sys *types.SystemContext, dir string) (*image.UnparsedImage, error) {
	ref, err := directory.NewReference(dir)
	if err != nil {
		return nil, err
	}
	source, err := ref.NewImageSource(ctx, sys) // of a directory: there is nothing to close
	if err != nil {
		return nil, err
	}
	return image.UnparsedInstance(source, nil), nil
}

// writeSigned makes dir a directory as the library's transport of that name has it.
func writeSigned(dir string, raw []byte, signatures [][]byte) error {
	files := map[string][]byte{"manifest.json": raw}
	for n, s := range signatures {
		files[fmt.Sprintf("signature-%d", n+1)] = s
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// signatures reads the signatures of a manifest: those beside it in the registry, as
// sigstore has them, and those of containers-registries.d(5). They are what the library
// takes for files of a directory.
func (e *endpoint) signatures(ctx context.Context, sys *types.SystemContext, manifest godigest.Digest) ([][]byte, error) {
	found, err := e.attached(ctx, manifest)
	if err != nil {
		return nil, fmt.Errorf("signatures of %s: %w", manifest, err)
	}
	aside, err := e.aside(ctx, sys, manifest, maxSignatures-len(found))
	if err != nil {
		return nil, fmt.Errorf("signatures of %s: %w", manifest, err)
	}
	return append(found, aside...), nil
}

// attached reads the signatures in the image with a tag that stands for the manifest.
func (e *endpoint) attached(ctx context.Context, signed godigest.Digest) (found [][]byte, err error) {
	raw, _, err := e.manifest(ctx, strings.Replace(signed.String(), ":", "-", 1)+".sig")
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m imgspec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	for _, l := range m.Layers[:min(len(m.Layers), maxSignatures)] {
		payload, err := e.small(ctx, l.Digest)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(struct {
			MIMEType    string            `json:"mimeType"`
			Payload     []byte            `json:"payload"`
			Annotations map[string]string `json:"annotations"`
		}{l.MediaType, payload, l.Annotations})
		if err != nil {
			return nil, err
		}
		found = append(found, append([]byte("\x00sigstore-json\n"), text...))
	}
	return found, nil
}

// small reads a signature.
func (e *endpoint) small(ctx context.Context, d godigest.Digest) ([]byte, error) {
	return e.whole(ctx, d, limits.Signature)
}

// whole reads a blob that is no layer, up to a limit.
func (e *endpoint) whole(ctx context.Context, d godigest.Digest, limit limits.Limit) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d, err)
	}
	body, _, err := e.blob(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := bounded.ReadAll(body, limit)
	if err != nil {
		return nil, err
	}
	return data, sameDigest("blob", data, d)
}

// aside reads the signatures in a place that is not the registry.
func (e *endpoint) aside(ctx context.Context, sys *types.SystemContext, signed godigest.Digest, most int) (found [][]byte, err error) {
	ref, err := docker.NewReference(e.name)
	if err != nil {
		return nil, err
	}
	if err := checkRegistriesD(sys.RootForImplicitAbsolutePaths); err != nil {
		return nil, fmt.Errorf("cannot read registries.d: %w", err)
	}
	base, err := docker.SignatureStorageBaseURL(sys, ref, false)
	if err != nil {
		return nil, err
	}
	for n := range most {
		at := *base
		at.Path = fmt.Sprintf("%s@%s=%s/signature-%d", base.Path, signed.Algorithm(), signed.Encoded(), n+1)
		data, err := e.readURL(ctx, &at)
		if errors.Is(err, os.ErrNotExist) || hasStatus(err, http.StatusNotFound) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at.Redacted(), err)
		}
		found = append(found, data)
	}
	return found, nil
}

func (e *endpoint) readURL(ctx context.Context, at *url.URL) ([]byte, error) {
	if at.Scheme == "file" {
		return bounded.ReadPath(at.Path, limits.Signature)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", e.agent)
	// Where they are an administrator has said: they are asked for without credentials,
	// and verified, so that TLS is not needed.
	client := http.Client{CheckRedirect: checkRedirect, Transport: newTransport("", &tls.Config{}, true, func() bool { return false })}
	defer client.CloseIdleConnections()
	resp, err := success(client.Do(request))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return bounded.ReadAll(resp.Body, limits.Signature)
}
