package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) imageDigestCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		version, algorithm, expect string
	}
	cmd := &cobra.Command{
		Use:               "digest IMAGE",
		Short:             "Print the fs-verity digest of an image",
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
				form := ""
				if want.IsZero() {
					want, err = inspect.Digest(cmd.Context(), img, f.form(), erofs.Options{Version: version, Algorithm: img.Algorithm})
				} else {
					form, err = inspect.Expect(cmd.Context(), img, f.boot, want)
				}
				if err != nil {
					return err
				}
				return s.PrintDigest(want, form)
			})
		},
	}
	cmd.Flags().StringVar(&f.version, "format-version", "1", "format version of the image: `0|1|2|auto`")
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "",
		"algorithm of the digests: `sha256|sha512` (default: the repository's, or sha512)")
	cmd.Flags().StringVar(&f.expect, "expect", "", "check that the digest is `HEX`, in any form")
	completeValues(cmd, "format-version", versionNames...)
	completeValues(cmd, "algorithm", algorithmNames...)
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}
