package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func (s *session) containerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "container",
		Short: "Check and describe images with the command line of bootc",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.containerLintCommand(), s.containerInspectCommand(), s.computeDigestCommand())
	return cmd
}

func addRootFS(cmd *cobra.Command, dir *string, verb string) {
	cmd.Flags().StringVar(dir, "rootfs", "/", verb+" the system in `DIR`")
	must(cmd.MarkFlagDirname("rootfs"))
}

// checkDirectory refuses a name that is not that of a directory, and is called so in the error.
func checkDirectory(name, called string) error {
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: not a directory", called)
	}
	return err
}
