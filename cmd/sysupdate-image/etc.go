package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
)

func (s *session) etcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etc",
		Short: "Show, undo and merge local changes to /etc",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.etcDiffCommand(), s.etcResetCommand(), s.etcReportCommand(), s.etcMergeCommand())
	return cmd
}

func cleanEtcPaths(command string, args []string) ([]string, error) {
	paths, err := edit.Clean(args)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", command, err)}
	}
	return paths, nil
}
