package inspect

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// A Comparison is how two images differ.
type Comparison struct {
	Packages []PackageDiff `json:"packages"`
	Files    []diff.Change `json:"files"`
	Unknown  []string      `json:"unknown,omitempty"` // files that could not be compared
	Notes    []string      `json:"notes,omitempty"`
}

// A PackageDiff is how the packages of one manager differ.
type PackageDiff struct {
	Manager string            `json:"manager"`
	Changes []packages.Change `json:"changes"`
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
	c := Comparison{Packages: []PackageDiff{}, Files: d.Changes, Unknown: d.Unknown}
	if c.Files == nil {
		c.Files = []diff.Change{}
	}
	c.addPackages(before, after)
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

// addPackages compares the packages, where both lists can be read.
func (c *Comparison) addPackages(oldImage, newImage *source.Image) {
	before, err := packages.Of(oldImage.FS())
	if err != nil {
		c.note("cannot compare packages: %s: %v", oldImage.Name, err)
		return
	}
	after, err := packages.Of(newImage.FS())
	if err != nil {
		c.note("cannot compare packages: %s: %v", newImage.Name, err)
		return
	}
	for _, manager := range []string{"dpkg", "pacman", "rpm"} {
		a, hasOld := listOf(before, manager)
		b, hasNew := listOf(after, manager)
		switch {
		case !hasOld && !hasNew:
		case a.Unread || b.Unread:
			c.note("cannot compare packages of %s: its database has an unsupported format", manager)
		default:
			if changes := packages.Diff(a.Packages, b.Packages); len(changes) > 0 {
				c.Packages = append(c.Packages, PackageDiff{manager, changes})
			}
		}
	}
}

func (c *Comparison) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

func listOf(lists []packages.List, manager string) (packages.List, bool) {
	for _, l := range lists {
		if l.Manager == manager {
			return l, true
		}
	}
	return packages.List{}, false
}
