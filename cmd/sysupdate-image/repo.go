package main

import (
	"github.com/spf13/cobra"
)

func (s *session) repoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Maintain the repository",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.repoImagesCommand(), s.repoGCCommand(), s.repoFsckCommand(), s.repoProtectCommand())
	return cmd
}
