// Package ocitest makes small container images for tests, valid ones and some that no
// builder would make.
package ocitest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// An Image says what image to make. The zero value of a field is what a
// builder would put there.
type Image struct {
	Layers       [][]byte // tar archives, lowest first
	Compression  string   // "gzip" (default), "zstd" or "none"
	Architecture string   // default: amd64
	Version      string   // label org.opencontainers.image.version
	Created      string   // RFC 3339; "none" leaves it out

	// Edit changes the blobs before they are written: what they are called
	// stays. Layers come first, then the configuration.
	Edit func(blobs [][]byte)
	// DiffIDs are put into the configuration in place of the layers' own.
	DiffIDs []string
}

// Media types of the OCI image specification.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// WriteLayout adds the image under a tag to the OCI layout in dir, which is made
// if it does not exist.
func WriteLayout(dir, tag string, img Image) error {
	blobs, layers, diffIDs, err := img.compress()
	if err != nil {
		return err
	}
	if img.DiffIDs != nil {
		diffIDs = img.DiffIDs
	}
	config := img.config(diffIDs)
	blobs = append(blobs, config)
	configDescriptor := describe(configType, config)
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": configDescriptor, "layers": layers,
	})
	names := append(layers, configDescriptor)
	if img.Edit != nil {
		img.Edit(blobs)
	}
	for i, b := range blobs {
		if err := writeBlob(dir, names[i].Digest, b); err != nil {
			return err
		}
	}
	d := describe(manifestType, manifest)
	if err := writeBlob(dir, d.Digest, manifest); err != nil {
		return err
	}
	d.Annotations = map[string]string{"org.opencontainers.image.ref.name": tag}
	return addToIndex(dir, tag, d)
}

func (img Image) compress() (blobs [][]byte, layers []descriptor, diffIDs []string, err error) {
	for _, archive := range img.Layers {
		blob, suffix, err := compress(archive, img.Compression)
		if err != nil {
			return nil, nil, nil, err
		}
		blobs = append(blobs, blob)
		layers = append(layers, describe(layerType+suffix, blob))
		diffIDs = append(diffIDs, digestOf(archive))
	}
	return blobs, layers, diffIDs, nil
}

func compress(data []byte, how string) (blob []byte, suffix string, err error) {
	var out bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "", "gzip":
		w, suffix = gzip.NewWriter(&out), "+gzip"
	case "zstd":
		suffix = "+zstd"
		if w, err = zstd.NewWriter(&out); err != nil {
			return nil, "", err
		}
	case "none":
		return data, "", nil
	default:
		return nil, "", fmt.Errorf("unknown compression %q", how)
	}
	_, err = w.Write(data)
	err = errors.Join(err, w.Close())
	return out.Bytes(), suffix, err
}

func (img Image) config(diffIDs []string) []byte {
	architecture, labels := img.Architecture, map[string]string{}
	if architecture == "" {
		architecture = "amd64"
	}
	if img.Version != "" {
		labels["org.opencontainers.image.version"] = img.Version
	}
	config := map[string]any{
		"created": "2026-01-02T03:04:05Z", "architecture": architecture, "os": "linux",
		"config": map[string]any{"Labels": labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}
	switch img.Created {
	case "":
	case "none":
		delete(config, "created")
	default:
		config["created"] = img.Created
	}
	return encode(config)
}

func addToIndex(dir, tag string, d descriptor) error {
	var index struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
	}
	index.SchemaVersion = 2
	file := filepath.Join(dir, "index.json")
	if old, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(old, &index); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var others []descriptor
	for _, m := range index.Manifests {
		if m.Annotations["org.opencontainers.image.ref.name"] != tag {
			others = append(others, m)
		}
	}
	index.Manifests = append(others, d)
	layout := encode(map[string]string{"imageLayoutVersion": "1.0.0"})
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "oci-layout"), layout, 0o644),
		os.WriteFile(file, encode(index), 0o644),
	)
}

func writeBlob(dir, name string, data []byte) error {
	file := filepath.Join(dir, "blobs", strings.Replace(name, ":", "/", 1))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func describe(mediaType string, data []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digestOf(data), Size: len(data)}
}

func digestOf(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// time0 is the modification time of everything.
var time0 = time.Unix(1_700_000_000, 0)

// Tar returns a tar archive with the given headers; the content of a regular
// file is what content has under its name.
func Tar(headers []tar.Header, content map[string]string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.ModTime.IsZero() {
			h.ModTime = time0
		}
		body := content[h.Name]
		if h.Typeflag == tar.TypeReg || h.Typeflag == 0 {
			h.Size = int64(len(body))
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(body)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// TarDir returns a tar archive of a directory. All of it has one time, and is owned by root,
// or if root reads it by whom it is owned there.
func TarDir(dir string) ([]byte, error) {
	var headers []tar.Header
	content := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		h, body, err := header(dir, path, d)
		headers, content[h.Name] = append(headers, h), body
		return err
	})
	if err != nil {
		return nil, err
	}
	return Tar(headers, content)
}

func header(dir, path string, d fs.DirEntry) (h tar.Header, body string, err error) {
	info, err := d.Info()
	if err != nil {
		return h, "", err
	}
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return h, "", err
	}
	h = tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Typeflag: tar.TypeReg}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		h.Uid, h.Gid = int(s.Uid), int(s.Gid)
	}
	switch {
	case d.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		h.Linkname, err = os.Readlink(path)
	default:
		var data []byte
		data, err = os.ReadFile(path)
		body = string(data)
	}
	return h, body, err
}
