package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

const aboutImageDigest = `Print the fs-verity digest of the composefs image of IMAGE. With --boot it is the
deployment id, which a kernel command line names (composefs=). The digest of a composefs
image is that of the file itself.

--expect HEX checks the digest. If it differs, the other ways in which images have been
sealed are tried: format versions 1 and 2, with and without user.* attributes, and with
whiteouts that also remove files of their own layer. The one that matches is printed after
the digest. If none does, the exit code is 1, and the error shows the computed digests and
how to find the difference.` + aboutIMAGE

func (s *session) imageDigestCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		version, algorithm, expect string
	}
	cmd := &cobra.Command{
		Use:   "digest IMAGE",
		Short: "Print the fs-verity digest of an image",
		Long:  aboutImageDigest,
		Example: `  sysupdate-image image digest --boot registry.example.org/os:stable
  sysupdate-image image digest --boot --arch arm64 registry.example.org/os:stable
  sysupdate-image image digest --boot /mnt
  sysupdate-image image digest --boot --expect 4f2d... oci:./os:stable`,
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := parseVersion(f.version)
			if err != nil {
				return err
			}
			var alg digest.Algorithm
			if f.algorithm != "" {
				if alg, err = parseAlgorithm(f.algorithm); err != nil {
					return err
				}
			}
			var want digest.Digest
			if f.expect != "" {
				if want, err = digest.Parse(f.expect); err != nil {
					return usageError{fmt.Errorf("--expect: %w", err)}
				}
				alg = want.Algorithm()
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, alg, func(img *source.Image) error {
				if !want.IsZero() {
					return s.expectDigest(cmd.Context(), img, f.boot, want)
				}
				return s.printDigest(cmd.Context(), img, f.form(), erofs.Options{Version: version, Algorithm: img.Algorithm})
			})
		},
	}
	cmd.Flags().StringVar(&f.version, "format-version", "1", "format version of the image: `0|1|2|auto`")
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "", "algorithm of the digests: `sha256|sha512` (default: the repository's, or sha512)")
	cmd.Flags().StringVar(&f.expect, "expect", "", "check that the digest is `HEX`, in any form")
	completeValues(cmd, "format-version", versionNames...)
	completeValues(cmd, "algorithm", algorithmNames...)
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

func (s *session) printDigest(ctx context.Context, img *source.Image, form canonical.Form, opts erofs.Options) error {
	d := img.ID
	if d.IsZero() {
		root, err := img.Canonical(ctx, form)
		if err != nil {
			return err
		}
		if img.Kind == source.Dump {
			opts.Dialect = erofs.Mkcomposefs
		}
		if d, err = erofs.Digest(ctx, root, opts); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(s.Out, d)
	return err
}

// expectDigest prints the digest and the form in which the image has it.
func (s *session) expectDigest(ctx context.Context, img *source.Image, boot bool, want digest.Digest) error {
	way, err := findWay(ctx, img, boot, want)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) {
		other.Image, other.Boot = img.Name, boot && img.Raw()
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "%s  %s\n", want, way)
	return err
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
