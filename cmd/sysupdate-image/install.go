package main

import (
	"github.com/spf13/cobra"
)

func (s *session) installCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install an image on a disk or on new file systems",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.toDiskCommand(), s.toImageCommand(), s.toFilesystemCommand(), s.toExistingRootCommand())
	cmd.AddCommand(s.bootOldCommand(), s.removeOldCommand(), s.resetCommand())
	cmd.AddCommand(s.addESPCommand(), s.removeESPCommand(), s.updateESPsCommand())
	cmd.AddCommand(s.printConfigurationCommand(), s.verifyCommand())
	return cmd
}
