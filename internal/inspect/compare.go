package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// A Comparison is how two images differ.
type Comparison struct {
	Old      string                 `json:"old"` // what the images are called
	New      string                 `json:"new"`
	Packages []packages.ManagerDiff `json:"packages"`
	Files    []diff.Change          `json:"files"`
	// By scope and name, such as "system sshd.service".
	Units    []NamedChange `json:"units"`
	Accounts []NamedChange `json:"accounts"` // "user web" and "group web"
	// Kernel arguments that only one of them asks for.
	KernelArguments KernelArguments `json:"kernelArguments"`
	Sizes           Sizes           `json:"sizes"`
	Unknown         []string        `json:"unknown,omitempty"` // files that could not be compared
	Notes           []string        `json:"notes,omitempty"`
}

// KernelArguments are how what an image asks for changes.
type KernelArguments struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// Compare returns how the image before became the image after. Both are compared in
// the given form, or in the one that boots where only one of them can still be brought
// into a form; aspects in ignore are left out.
func Compare(
	ctx context.Context, before, after *source.Image, form canonical.Form, ignore diff.Aspects,
) (Comparison, error) {
	oldTree, err := Tree(ctx, before, formBeside(form, before, after))
	if err != nil {
		return Comparison{}, err
	}
	newTree, err := Tree(ctx, after, formBeside(form, after, before))
	if err != nil {
		return Comparison{}, err
	}
	d, err := diff.Trees(oldTree, newTree, diff.Options{Ignore: ignore})
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{
		Old: before.Name, New: after.Name, Packages: []packages.ManagerDiff{}, Files: d.Changes, Unknown: d.Unknown,
		Units: changesOf(unitsOf(oldTree), unitsOf(newTree)), Accounts: []NamedChange{},
		KernelArguments: KernelArguments{Added: []string{}, Removed: []string{}},
	}
	if c.Files == nil {
		c.Files = []diff.Change{}
	}
	p := packages.Compare(before.FS(), after.FS(), [2]string{before.Name, after.Name})
	c.Packages, c.Notes = append(c.Packages, p.Diffs...), p.Notes
	c.addContents(before, after)
	c.Sizes = compareSizes(oldTree, newTree, p.Old, p.New)
	return c, nil
}

// addContents compares what the contents of files say. What cannot be compared is noted.
func (c *Comparison) addContents(before, after *source.Image) {
	var accounts [2]map[string]string
	var arguments [2][]string
	var errs [2]error
	for i, img := range []*source.Image{before, after} {
		arch := ""
		if img.OCI != nil {
			arch = img.OCI.Config.Architecture
		}
		var err error
		if accounts[i], err = accountsOf(img.FS()); err == nil {
			arguments[i], err = kargs.Load(img.FS(), arch)
		}
		if err != nil {
			errs[i] = fmt.Errorf("cannot compare accounts and kernel arguments: %s: %w", img.Name, err)
		}
	}
	if err := cmp.Or(errs[0], errs[1]); err != nil {
		c.Notes = append(c.Notes, err.Error())
		return
	}
	c.Accounts = changesOf(accounts[0], accounts[1])
	c.KernelArguments.Removed = append(c.KernelArguments.Removed, without(arguments[0], arguments[1])...)
	c.KernelArguments.Added = append(c.KernelArguments.Added, without(arguments[1], arguments[0])...)
}

// without returns what of a is not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
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
