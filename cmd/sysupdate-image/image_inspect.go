package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) imageInspectCommand() *cobra.Command {
	var f imageFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "inspect IMAGE",
		Short:             "Describe an image",
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd)
	return cmd
}
