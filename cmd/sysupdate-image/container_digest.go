package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) computeDigestCommand() *cobra.Command {
	var dump string
	cmd := &cobra.Command{
		Use:               "compute-composefs-digest [PATH]",
		Short:             "Print the deployment id of the system in a directory",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/target"
			if len(args) == 1 {
				path = args[0]
			}
			if err := checkDirectory(path, path); err != nil {
				return err
			}
			return s.withImage(cmd.Context(), path, &imageFlags{}, digest.SHA512, func(img *source.Image) error {
				id, err := inspect.BootDigest(cmd.Context(), img, dump)
				if err != nil {
					return err
				}
				return s.PrintDigest(id, "")
			})
		},
	}
	cmd.Flags().StringVar(&dump, "write-dumpfile-to", "", "write the composefs dump of it to `FILE`, too")
	completeFiles(cmd, "write-dumpfile-to")
	return cmd
}
