package lint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// Options say how to check an image that has a name.
type Options struct {
	Source oci.Options     // how to read a container image
	Bootc  bool            // see Image
	Skip   map[string]bool // rules to leave out, see Choose
}

// Name checks the image called name: a directory, an OCI layout or a reference to a container
// image.
func Name(ctx context.Context, name string, o Options) (Report, error) {
	reference := name
	if isLayout(name) {
		reference = "oci:" + name
	}
	// Any other file has no end that is known, and reading it may wait forever.
	if info, err := os.Stat(reference); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return Report{}, fmt.Errorf("%s: %s", name, wanted)
	}
	img := Image{Bootc: o.Bootc, Now: time.Now(), Arch: runtime.GOARCH}
	from, err := source.Open(ctx, reference, source.Options{
		Source: o.Source, Shallow: true, NoMounts: true, Contents: Contents,
		AfterLayer: func(l oci.Layer, root *tree.Node) {
			img.Layers = append(img.Layers, Layer{Digest: l.Digest.String(), Secrets: SecretsIn(root)})
		},
	})
	if err != nil {
		return Report{}, err
	}
	defer from.Close()
	if !from.Raw() {
		return Report{}, fmt.Errorf("%s: %s, not a %s", reference, wanted, from.Kind)
	}
	img.Root, img.Open = from.Root, from.Open
	if from.OCI != nil && from.OCI.Config.Architecture != "" {
		img.Arch = from.OCI.Config.Architecture
	}
	img.Running = from.Kind == source.Directory && filepath.Clean(name) == "/"
	report, err := Run(ctx, img, o.Skip)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return report, err
}

// wanted says what can be checked.
const wanted = "want a directory, an OCI layout or a reference"

// isLayout reports whether a directory is an OCI layout.
func isLayout(name string) bool {
	if strings.Contains(name, ":") {
		return false // a layout with a tag is a reference
	}
	for _, file := range []string{"oci-layout", "index.json"} {
		if info, err := os.Stat(filepath.Join(name, file)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// Names returns the names of all rules.
func Names() (names []string) {
	for _, r := range Rules {
		names = append(names, r.Name)
	}
	return names
}

// Choose returns which of the names are those of rules, and those of none.
func Choose(names []string) (rules map[string]bool, unknown []string) {
	known, rules := Names(), make(map[string]bool)
	for _, name := range names {
		if slices.Contains(known, name) {
			rules[name] = true
		} else {
			unknown = append(unknown, name)
		}
	}
	return rules, unknown
}
