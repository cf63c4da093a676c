package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

const aboutImageInspect = `Say what IMAGE is: where it comes from, which system it is, whether and as which
deployment it boots, and what it weighs.` + aboutIMAGE

func (s *session) imageInspectCommand() *cobra.Command {
	var f imageFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Say what an image is",
		Long:  aboutImageInspect,
		Example: `  sysupdate-image image inspect registry.example.org/os:stable
  sysupdate-image image inspect --json oci:./os:stable`,
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withImage(cmd.Context(), args[0], &f, 0, func(img *source.Image) error {
				i, err := inspect.Image(cmd.Context(), img)
				if err != nil {
					return err
				}
				if asJSON {
					return s.PrintJSON(i)
				}
				return s.PrintInspection(i)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	f.add(cmd)
	return cmd
}
