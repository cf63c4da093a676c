package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) imageDumpCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		algorithm string
	}
	cmd := &cobra.Command{
		Use:               "dump IMAGE",
		Short:             "Print the files of an image as a composefs dump",
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			alg, err := parseAlgorithm(f.algorithm)
			if err != nil {
				return err
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, alg, func(img *source.Image) error {
				root, err := inspect.Tree(cmd.Context(), img, f.form())
				if err != nil {
					return err
				}
				return tree.WriteDump(s.Out, root)
			})
		},
	}
	addAlgorithm(cmd, &f.algorithm, "sha512", "algorithm of digests that must be computed: `sha256|sha512`")
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}
