package main

import (
	"github.com/spf13/cobra"
)

func (s *session) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build, inspect, compare and mount images",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.imageBuildCommand(), s.imageDigestCommand(), s.imageDumpCommand(), s.imageLsCommand(),
		s.imageInspectCommand(), s.imageDiffCommand(), s.imageMountCommand())
	return cmd
}
