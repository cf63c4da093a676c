package inspect

import (
	"context"
	"errors"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

// Digest returns the fs-verity digest of the composefs image that an image in a form makes.
func Digest(ctx context.Context, img *source.Image, form canonical.Form, opts erofs.Options) (digest.Digest, error) {
	if !img.ID.IsZero() {
		return img.ID, nil
	}
	root, err := img.Canonical(ctx, form)
	if err != nil {
		return digest.Digest{}, err
	}
	if img.Kind == source.Dump {
		opts.Dialect = erofs.Mkcomposefs
	}
	return erofs.Digest(ctx, root, opts)
}

// BootDigest returns the deployment id that an image will have, and writes the composefs dump of
// its canonical tree to the file dump, unless that is "".
func BootDigest(ctx context.Context, img *source.Image, dump string) (digest.Digest, error) {
	form := canonical.Form{Boot: true}
	id, err := Digest(ctx, img, form, erofs.Options{Version: erofs.V1, Algorithm: digest.SHA512})
	if err != nil || dump == "" {
		return id, err
	}
	root, err := Tree(ctx, img, form)
	if err != nil {
		return id, err
	}
	file, err := os.Create(dump)
	if err != nil {
		return id, err
	}
	return id, errors.Join(tree.WriteDump(file, root), file.Close())
}

// Expect returns in which of the forms that have been sealed the image has a digest, for
// people. If it has it in none, the error is a *canonical.Mismatch.
func Expect(ctx context.Context, img *source.Image, boot bool, want digest.Digest) (string, error) {
	way, err := findWay(ctx, img, boot, want)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) {
		other.Image, other.Boot = img.Name, boot && img.Raw()
	}
	return way, err
}

// inOrder describes, after a variant, how the layers were merged.
const inOrder = " with whiteouts that also remove files of their own layer"

// findWay returns how an image has a digest, for people.
func findWay(ctx context.Context, img *source.Image, boot bool, want digest.Digest) (string, error) {
	v, err := findVariant(ctx, img, boot, want)
	if other := (*canonical.Mismatch)(nil); len(img.Late) == 0 || !errors.As(err, &other) {
		return v.String(), err
	}
	again, openErr := img.InOrder(ctx)
	if openErr != nil {
		return "", err // composefs-rs cannot have sealed it so
	}
	defer again.Close()
	if v, orderErr := findVariant(ctx, again, boot, want); orderErr == nil {
		return v.String() + inOrder, nil
	}
	return "", err
}

// findVariant is canonical.Find for images that are canonical already, too.
func findVariant(ctx context.Context, img *source.Image, boot bool, want digest.Digest) (canonical.Variant, error) {
	if img.Raw() {
		m, err := canonical.Find(ctx, img.Root, img.Content, boot, want)
		if err != nil {
			return canonical.Variant{}, err
		}
		return m.Variant, nil
	}
	if !img.ID.IsZero() {
		v := canonical.Variant{Version: img.Version}
		if img.ID == want {
			return v, nil
		}
		return v, &canonical.Mismatch{Want: want, Tried: []canonical.Computed{{Variant: v, Digest: img.ID}}}
	}
	other := &canonical.Mismatch{Want: want}
	for _, version := range []int{erofs.V1, erofs.V2, erofs.V0} {
		v := canonical.Variant{Version: version}
		opts := erofs.Options{Version: version, Algorithm: want.Algorithm(), Dialect: erofs.Mkcomposefs}
		d, err := erofs.Digest(ctx, img.Root, opts)
		if err != nil || d == want {
			return v, err
		}
		other.Tried = append(other.Tried, canonical.Computed{Variant: v, Digest: d})
	}
	return canonical.Variant{}, other
}
