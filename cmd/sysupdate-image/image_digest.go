package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/imagesource"
)

const aboutImageDigest = `Print the fs-verity digest of the composefs image that IMAGE makes: with --boot the
deployment id, by which a kernel command line names it (composefs=). Of a composefs
image it is the digest of the file itself.

--expect HEX checks it, and where it is another, tries the other ways in which images
have been sealed: format versions 1 and 2, with and without user.* attributes. The one
that fits is printed behind the digest. If none does, the exit code is 1, and the error
says what was computed and how to see the difference.`

func (s *session) imageDigestCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		version, algorithm, expect string
	}
	cmd := &cobra.Command{
		Use:   "digest IMAGE",
		Short: "Print the digest by which an image is booted",
		Long:  aboutImageDigest,
		Example: `  sysupdate-image image digest --boot registry.example.org/os:stable
  sysupdate-image image digest --boot /mnt
  sysupdate-image image digest --boot --expect 4f2d... oci:./os:stable`,
		Args: needArgs(cobra.ExactArgs(1)),
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
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, alg, func(img *imagesource.Image) error {
				if !want.IsZero() {
					return s.expectDigest(img, f.boot, want)
				}
				return s.printDigest(img, f.form(), erofs.Options{Version: version, Algorithm: img.Algorithm})
			})
		},
	}
	cmd.Flags().StringVar(&f.version, "format-version", "1", "of the image: `0|1|2|auto`")
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "", "of the digests: `sha256|sha512` (default that of the repository, or sha512)")
	cmd.Flags().StringVar(&f.expect, "expect", "", "check that the digest is `HEX`, in one way or another")
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

func (s *session) printDigest(img *imagesource.Image, form canonical.Form, opts erofs.Options) error {
	d := img.ID
	if d.IsZero() {
		root, err := img.Canonical(form)
		if err != nil {
			return err
		}
		if img.Kind == imagesource.Dump {
			opts.Dialect = erofs.Mkcomposefs
		}
		if d, err = erofs.Digest(root, opts); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(s.out, d)
	return err
}

// expectDigest prints the digest and the way in which it is that of the image.
func (s *session) expectDigest(img *imagesource.Image, boot bool, want digest.Digest) error {
	tried, fits, err := findDigest(img, boot, want)
	if err != nil {
		return err
	}
	if !fits {
		return mismatch(img, boot, want, tried)
	}
	_, err = fmt.Fprintf(s.out, "%s  %s\n", want, tried[len(tried)-1].Variant)
	return err
}

// findDigest is canonical.Find for images that are canonical already, too.
func findDigest(img *imagesource.Image, boot bool, want digest.Digest) (tried []canonical.Computed, fits bool, err error) {
	if img.Raw() {
		return canonical.Find(img.Root, img.Content, boot, want)
	}
	if !img.ID.IsZero() {
		return []canonical.Computed{{Variant: canonical.Variant{Version: img.Version}, Digest: img.ID}}, img.ID == want, nil
	}
	for _, version := range []int{erofs.V1, erofs.V2, erofs.V0} {
		opts := erofs.Options{Version: version, Algorithm: want.Algorithm(), Dialect: erofs.Mkcomposefs}
		d, err := erofs.Digest(img.Root, opts)
		if err != nil {
			return tried, false, err
		}
		tried = append(tried, canonical.Computed{Variant: canonical.Variant{Version: version}, Digest: d})
		if d == want {
			return tried, true, nil
		}
	}
	return tried, false, nil
}

// mismatch says that no way to compute it gives the digest, and how to go on.
func mismatch(img *imagesource.Image, boot bool, want digest.Digest, tried []canonical.Computed) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has another digest\n  expected  %s", img.Name, want)
	for _, c := range tried {
		fmt.Fprintf(&b, "\n  computed  %s  %s", c.Digest, c.Variant)
	}
	flag := ""
	if boot && img.Raw() {
		flag = "--boot "
	}
	fmt.Fprintf(&b, "\nTo see the difference, have the program that computed the expected digest write down"+
		"\nits tree (composefs-rs: cfsctl create-dumpfile; or take its composefs image), then run"+
		"\n  sysupdate-image image diff %sTHEIRS %s", flag, img.Name)
	return fmt.Errorf("%s", b.String())
}
