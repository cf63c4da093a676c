package main

import (
	"github.com/spf13/cobra"
)

func (s *session) initramfsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "initramfs",
		Short: "Build an initramfs that needs no other tool",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.initramfsBuildCommand())
	return cmd
}
