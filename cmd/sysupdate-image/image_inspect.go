package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutImageInspect = `Say what IMAGE is: where it comes from, which system it is, whether and as which
deployment it boots, and what it weighs.` + aboutIMAGE

// inspection is what image inspect says. What is not known is left out.
type inspection struct {
	Name string      `json:"name"`
	Kind source.Kind `json:"kind"`

	ManifestDigest string            `json:"manifestDigest,omitempty"`
	ConfigDigest   string            `json:"configDigest,omitempty"`
	Architecture   string            `json:"architecture,omitempty"`
	Created        *time.Time        `json:"created,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Layers         []layerInfo       `json:"layers,omitempty"`

	Digest        string `json:"digest,omitempty"` // of a composefs image
	FormatVersion *int   `json:"formatVersion,omitempty"`
	ImageSize     int64  `json:"imageSize,omitempty"`

	System     string `json:"system,omitempty"`
	Version    string `json:"version,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	Deployment string `json:"deployment,omitempty"` // id, V1 and sha512
	NotBooting string `json:"notBooting,omitempty"` // why it does not boot

	KernelArguments []string         `json:"kernelArguments,omitempty"`
	Packages        []packageManager `json:"packages,omitempty"`
	Notes           []string         `json:"notes,omitempty"` // what could not be told, and why
	Tree            treeInfo         `json:"tree"`
}

type layerInfo struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"` // bytes
}

type packageManager struct {
	Manager string `json:"manager"`
	Count   int    `json:"count"`
	Unread  bool   `json:"unread,omitempty"` // the list has a form that is not read
}

type treeInfo struct {
	Files       int    `json:"files"`
	Directories int    `json:"directories"`
	Symlinks    int    `json:"symlinks"`
	Others      int    `json:"others"`
	Objects     int    `json:"objects"` // different contents
	Bytes       uint64 `json:"bytes"`   // of different contents
}

func (s *session) imageInspectCommand() *cobra.Command {
	var f imageFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Say what an image is",
		Long:  aboutImageInspect,
		Example: `  sysupdate-image image inspect registry.example.org/os:stable
  sysupdate-image image inspect --json oci:./os:stable`,
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withImage(cmd.Context(), args[0], &f, 0, func(img *source.Image) error {
				i, err := inspect(cmd.Context(), img)
				if err != nil {
					return err
				}
				if asJSON {
					return s.printJSON(i)
				}
				return s.printInspection(i)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	f.add(cmd)
	return cmd
}

func inspect(ctx context.Context, img *source.Image) (inspection, error) {
	i := inspection{Name: img.Name, Kind: img.Kind, Tree: describeTree(img.Root)}
	if !img.ID.IsZero() {
		i.Digest, i.FormatVersion, i.ImageSize = img.ID.String(), &img.Version, img.Size
	}
	arch := i.addContainer(img)
	if k, err := update.FindKernel(img.Root); err == nil {
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
func (i *inspection) addContainer(img *source.Image) string {
	if img.OCI == nil {
		return ""
	}
	c := img.OCI
	i.ManifestDigest, i.ConfigDigest = c.ManifestDigest, c.ConfigDigest
	i.Architecture, i.Created, i.Labels = c.Config.Architecture, c.Config.Created, c.Config.Config.Labels
	for _, l := range c.Layers {
		i.Layers = append(i.Layers, layerInfo{l.Digest.String(), l.DiffID.String(), l.MediaType, l.Size})
	}
	return i.Architecture
}

// addSystem adds what files in the image say.
func (i *inspection) addSystem(img *source.Image, arch string) (err error) {
	if img.Root.Lookup("usr/lib/os-release") != nil {
		if i.System, i.Version, err = update.Titles(img.FS()); err != nil {
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
func (i *inspection) addPackages(img *source.Image) {
	lists, err := packages.Of(img.FS())
	for _, l := range lists {
		i.Packages = append(i.Packages, packageManager{l.Manager, len(l.Packages), l.Unread})
	}
	if err != nil && !errors.Is(err, source.ErrNoContent) {
		i.Notes = append(i.Notes, err.Error())
	}
}

// addDeployment adds the id as which an image boots, if it can.
func (i *inspection) addDeployment(ctx context.Context, img *source.Image) error {
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

func describeTree(root *tree.Node) (t treeInfo) {
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

func (s *session) printInspection(i inspection) error {
	w := bufio.NewWriter(s.out)
	row := func(name string, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-18s%s\n", name+":", shown(value))
		}
	}
	row("Image", i.Name)
	row("Kind", string(i.Kind))
	system := i.System
	if i.Version != "" {
		system += " (" + i.Version + ")"
	}
	row("System", system)
	row("Kernel", i.Kernel)
	row("Kernel arguments", strings.Join(i.KernelArguments, " "))
	row("Deployment", i.Deployment)
	row("Does not boot", i.NotBooting)
	row("Manifest", i.ManifestDigest)
	row("Configuration", i.ConfigDigest)
	row("Architecture", i.Architecture)
	if i.Created != nil {
		row("Created", i.Created.UTC().Format(time.RFC3339))
	}
	row("Digest", i.Digest)
	if i.FormatVersion != nil {
		row("Format", fmt.Sprintf("V%d, %s", *i.FormatVersion, size(i.ImageSize)))
	}
	for _, p := range i.Packages {
		if p.Unread {
			row("Packages", "an "+p.Manager+" database of a form that is not read")
			continue
		}
		row("Packages", fmt.Sprintf("%d (%s)", p.Count, p.Manager))
	}
	for _, text := range i.Notes {
		row("Note", text)
	}
	t := i.Tree
	row("Files", fmt.Sprintf("%d, %d directories, %d symbolic links, %d others", t.Files, t.Directories, t.Symlinks, t.Others))
	row("Contents", fmt.Sprintf("%s in %s", size(int64(t.Bytes)), count(t.Objects, "object")))
	for _, l := range i.Layers {
		row("Layer", fmt.Sprintf("%s  %s", l.Digest, size(l.Size)))
	}
	return w.Flush()
}
