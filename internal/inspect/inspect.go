package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// An Inspection is what is known of an image; what is not is left out.
type Inspection struct {
	Name string      `json:"name"`
	Kind source.Kind `json:"kind"`

	ManifestDigest string            `json:"manifestDigest,omitempty"`
	ConfigDigest   string            `json:"configDigest,omitempty"`
	Architecture   string            `json:"architecture,omitempty"`
	Created        *time.Time        `json:"created,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Layers         []Layer           `json:"layers,omitempty"`

	Digest        string `json:"digest,omitempty"` // of a composefs image
	FormatVersion *int   `json:"formatVersion,omitempty"`
	ImageSize     int64  `json:"imageSize,omitempty"`

	System     string `json:"system,omitempty"`
	Version    string `json:"version,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	Deployment string `json:"deployment,omitempty"` // id, V1 and sha512
	NotBooting string `json:"notBooting,omitempty"` // why it does not boot

	KernelArguments []string       `json:"kernelArguments,omitempty"`
	Packages        []PackageCount `json:"packages,omitempty"`
	Notes           []string       `json:"notes,omitempty"` // what could not be told, and why
	Tree            TreeCount      `json:"tree"`
}

// A Layer is a layer of a container image.
type Layer struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"` // bytes
}

// A PackageCount is how many packages the database of a package manager lists.
type PackageCount struct {
	Manager string `json:"manager"`
	Count   int    `json:"count"`
	Unread  bool   `json:"unread,omitempty"` // the list has a form that is not read
}

// A TreeCount is how many files of each type a tree has.
type TreeCount struct {
	Files       int    `json:"files"`
	Directories int    `json:"directories"`
	Symlinks    int    `json:"symlinks"`
	Others      int    `json:"others"`
	Objects     int    `json:"objects"` // different contents
	Bytes       uint64 `json:"bytes"`   // of different contents
}

// Image reads what manifest, configuration and files of an image say.
func Image(ctx context.Context, img *source.Image) (Inspection, error) {
	i := Inspection{Name: img.Name, Kind: img.Kind, Tree: describeTree(img.Root)}
	if !img.ID.IsZero() {
		i.Digest, i.FormatVersion, i.ImageSize = img.ID.String(), &img.Version, img.Size
	}
	arch := i.addContainer(img)
	if k, err := system.FindKernel(img.Root); err == nil {
		i.Kernel = k.String()
	} else if img.Raw() {
		i.NotBooting = err.Error()
	}
	if err := i.addSystem(img, arch); err != nil && !errors.Is(err, source.ErrNoContent) {
		return i, err
	}
	return i, i.addDeployment(ctx, img)
}

// addContainer adds what manifest and configuration say, and returns the
// architecture.
func (i *Inspection) addContainer(img *source.Image) string {
	if img.OCI == nil {
		return ""
	}
	c := img.OCI
	i.ManifestDigest, i.ConfigDigest = c.ManifestDigest, c.ConfigDigest
	i.Architecture, i.Created, i.Labels = c.Config.Architecture, c.Config.Created, c.Config.Config.Labels
	for _, l := range c.Layers {
		i.Layers = append(i.Layers, Layer{l.Digest.String(), l.DiffID.String(), l.MediaType, l.Size})
	}
	return i.Architecture
}

// addSystem adds what files in the image say.
func (i *Inspection) addSystem(img *source.Image, arch string) (err error) {
	if img.Root.Lookup("usr/lib/os-release") != nil {
		if i.System, i.Version, err = system.Titles(img.FS()); err != nil {
			return err
		}
	}
	if i.KernelArguments, err = kargs.Load(img.FS(), arch); err != nil {
		return err
	}
	i.addPackages(img)
	return nil
}

// addPackages adds how many packages the image has, or why that is not known.
func (i *Inspection) addPackages(img *source.Image) {
	lists, err := packages.Of(img.FS())
	for _, l := range lists {
		i.Packages = append(i.Packages, PackageCount{l.Manager, len(l.Packages), l.Unread})
	}
	if err != nil && !errors.Is(err, source.ErrNoContent) {
		i.Notes = append(i.Notes, err.Error())
	}
}

// addDeployment adds the id as which an image boots, if it can.
func (i *Inspection) addDeployment(ctx context.Context, img *source.Image) error {
	if !img.Raw() || i.NotBooting != "" {
		return nil
	}
	root, err := img.Canonical(ctx, canonical.Form{Boot: true})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		i.NotBooting = err.Error()
		return nil
	}
	d, err := erofs.Digest(ctx, root, erofs.Options{Version: erofs.V1, Algorithm: digest.SHA512})
	if err != nil {
		return err
	}
	// A repository with other digests gives other ids.
	if source.AlgorithmOf(root) != digest.SHA256 {
		i.Deployment = d.String()
	}
	return nil
}

func describeTree(root *tree.Node) (t TreeCount) {
	seen := make(map[*tree.Node]bool)
	objects := make(map[digest.Digest]bool)
	root.Walk(func(_ string, n *tree.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		switch {
		case n.IsDir():
			t.Directories++
		case n.IsSymlink():
			t.Symlinks++
		case n.IsRegular():
			t.Files++
			if n.Digest.IsZero() || !objects[n.Digest] {
				t.Bytes += n.Size
			}
			if !n.Digest.IsZero() {
				objects[n.Digest] = true
			}
		default:
			t.Others++
		}
	})
	t.Objects = len(objects)
	return t
}
