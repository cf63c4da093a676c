package canonical

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// A Variant is a way to compute the digest of an image.
type Variant struct {
	Version        int  // of the image format
	UserXattrs     bool // see Form
	OwnNanoseconds bool // see Form
}

// String returns "V1" or, for instance, "V1 with user.* attributes".
func (v Variant) String() string {
	s := fmt.Sprintf("V%d", v.Version)
	if v.UserXattrs {
		s += " with user.* attributes"
	}
	if v.OwnNanoseconds {
		s += " as before composefs-rs 0.9.3"
	}
	return s
}

// Variants are the ways in which images have been sealed, the usual one first.
// Builders with bootc before 1.16.4 made V2, and composefs-rs can be told to
// keep user.* attributes.
var Variants = []Variant{{Version: erofs.V1}, {Version: erofs.V2}, {Version: erofs.V1, UserXattrs: true}, {Version: erofs.V2, UserXattrs: true}}

// oldVariants are those of composefs-rs before 0.9.3, where that makes a
// difference; V2 has no nanoseconds.
var oldVariants = []Variant{{Version: erofs.V1, OwnNanoseconds: true}, {Version: erofs.V1, UserXattrs: true, OwnNanoseconds: true}}

// A Computed is a variant and the digest that it gives.
type Computed struct {
	Variant
	Digest digest.Digest
}

// A Match is an image in the variant that has the digest that was wanted.
type Match struct {
	Variant
	Root    *tree.Node // in its canonical form: erofs.Write with Options makes the image
	Options erofs.Options
}

// Find computes the digest of an image in all variants until one gives want, the
// digest that the image was sealed with: a kernel command line in a signed UKI
// has it, and the machine boots nothing else. raw and content are as for Tree;
// with boot it is the form that boots.
//
// If no variant gives it, the error is a *Mismatch.
func Find(ctx context.Context, raw *tree.Node, content func(*tree.Node) ([]byte, error), boot bool, want digest.Digest) (*Match, error) {
	var m Match
	var form *Form
	var tried []Computed
	for _, v := range variantsOf(raw, boot) {
		if f := (Form{boot, v.UserXattrs, v.OwnNanoseconds}); form == nil || f != *form {
			root, err := Tree(ctx, raw, content, f)
			if err != nil {
				return nil, err
			}
			m.Root, form = root, &f
		}
		m.Variant, m.Options = v, erofs.Options{Version: v.Version, Algorithm: want.Algorithm()}
		d, err := erofs.Digest(ctx, m.Root, m.Options)
		if err != nil {
			return nil, err
		}
		if d == want {
			return &m, nil
		}
		tried = append(tried, Computed{v, d})
	}
	return nil, &Mismatch{Want: want, Tried: tried, Boot: boot}
}

// A Mismatch reports that an image does not have the expected digest in any variant.
type Mismatch struct {
	Image string // its name, for the message; Find leaves it empty
	Want  digest.Digest
	Tried []Computed
	Boot  bool // the form that boots was compared
}

// Error returns several lines: the expected digest and the computed ones.
func (m *Mismatch) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has another digest\n  expected  %s", cmp.Or(m.Image, "the image"), m.Want)
	for _, c := range m.Tried {
		fmt.Fprintf(&b, "\n  computed  %s  %s", c.Digest, c.Variant)
	}
	return b.String()
}

// variantsOf returns the variants that differ for a tree.
func variantsOf(raw *tree.Node, boot bool) []Variant {
	all := Variants
	if boot && hasOwnNanoseconds(raw) {
		all = append(slices.Clone(all), oldVariants...)
	}
	if hasUserXattrs(raw) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return v.UserXattrs })
}

func hasOwnNanoseconds(raw *tree.Node) bool {
	usr := raw.Entry("usr")
	return usr != nil && slices.ContainsFunc(emptied, func(name string) bool {
		dir := raw.Entry(name)
		return dir != nil && dir.Mtime.Nsec != usr.Mtime.Nsec
	})
}

func hasUserXattrs(root *tree.Node) (found bool) {
	root.Walk(func(_ string, n *tree.Node) {
		for _, x := range n.Xattrs() {
			found = found || strings.HasPrefix(x.Name, "user.")
		}
	})
	return found
}

// refPrefix begins the names under which configurations in a repository refer to
// the image that boots; see docs/formats/composefs.md, section 3.
const refPrefix = "composefs.image.boot"

// What follows it for other variants than V2 without user.* attributes.
const (
	refV1         = ".v1"
	refUserXattrs = ".xattrs=keep-user-xattrs"
)

// Ref returns the name under which a configuration refers to the image that boots
// in the variant.
func (v Variant) Ref() string {
	ref := refPrefix
	if v.Version != erofs.V2 {
		ref += refV1
	}
	if v.UserXattrs {
		ref += refUserXattrs
	}
	return ref
}

// ParseRef returns the variant that Ref names.
func ParseRef(ref string) (v Variant, ok bool) {
	for _, v := range Variants {
		if v.Ref() == ref {
			return v, true
		}
	}
	return Variant{}, false
}
