package inspect

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// A Comparison is how two images differ.
type Comparison struct {
	Packages []packages.ManagerDiff `json:"packages"`
	Files    []diff.Change          `json:"files"`
	Unknown  []string               `json:"unknown,omitempty"` // files that could not be compared
	Notes    []string               `json:"notes,omitempty"`
}

// Compare returns how the image before became the image after. Both are compared in
// the given form, or in the one that boots where only one of them can still be brought
// into a form; aspects in ignore are left out.
func Compare(
	ctx context.Context, before, after *source.Image, form canonical.Form, ignore map[diff.Aspect]bool,
) (Comparison, error) {
	oldTree, err := Tree(ctx, before, formBeside(form, before, after))
	if err != nil {
		return Comparison{}, err
	}
	newTree, err := Tree(ctx, after, formBeside(form, after, before))
	if err != nil {
		return Comparison{}, err
	}
	d := diff.Trees(oldTree, newTree, ignore)
	c := Comparison{Packages: []packages.ManagerDiff{}, Files: d.Changes, Unknown: d.Unknown}
	if c.Files == nil {
		c.Files = []diff.Change{}
	}
	diffs, notes := packages.Compare(before.FS(), after.FS(), [2]string{before.Name, after.Name})
	c.Packages, c.Notes = append(c.Packages, diffs...), notes
	return c, nil
}

// formBeside returns the form in which a raw image is compared with another: one
// that is made already most likely has the form that boots.
func formBeside(form canonical.Form, img, other *source.Image) canonical.Form {
	if img.Raw() && !other.Raw() && img.Root.Entry("boot") != nil && img.Root.Entry("sysroot") != nil {
		form.Boot = true
	}
	return form
}

// Tree returns the tree of an image in a form. A directory that is no system, without
// /usr, is taken as it is.
func Tree(ctx context.Context, img *source.Image, form canonical.Form) (*tree.Node, error) {
	if img.Kind == source.Directory && img.Root.Entry("usr") == nil && !form.Boot {
		return img.Root, nil
	}
	return img.Canonical(ctx, form)
}
