package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

type digestFlags struct {
	imageFlags
	formFlags
	version, algorithm, expect string
}

// options returns how to compute the digest, and which one is wanted: the zero value for any.
func (f *digestFlags) options() (o erofs.Options, want digest.Digest, err error) {
	if o.Version, err = parseVersion(f.version); err != nil {
		return o, want, err
	}
	if f.algorithm != "" {
		if o.Algorithm, err = parseAlgorithm(f.algorithm); err != nil {
			return o, want, err
		}
	}
	if f.expect != "" {
		if want, err = digest.Parse(f.expect); err != nil {
			return o, want, usageError{fmt.Errorf("--expect: %w", err)}
		}
		o.Algorithm = want.Algorithm()
	}
	return o, want, nil
}

func (s *session) imageDigestCommand() *cobra.Command {
	var f digestFlags
	cmd := &cobra.Command{
		Use:               "digest IMAGE",
		Short:             "Print the fs-verity digest of an image",
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, want, err := f.options()
			if err != nil {
				return err
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, opts.Algorithm, func(img *source.Image) error {
				if want.IsZero() {
					opts.Algorithm = img.Algorithm
					d, err := inspect.Digest(cmd.Context(), img, f.form(), opts)
					if err != nil {
						return err
					}
					return s.PrintDigest(d, "")
				}
				form, err := inspect.Expect(cmd.Context(), img, f.boot, want)
				if err != nil {
					return err
				}
				return s.PrintDigest(want, form)
			})
		},
	}
	addVersion(cmd, &f.version)
	addAlgorithm(cmd, &f.algorithm, "", "algorithm of the digests: `sha256|sha512` (default: the repository's, or sha512)")
	cmd.Flags().StringVar(&f.expect, "expect", "", "check that the digest is `HEX`, in any form")
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}
