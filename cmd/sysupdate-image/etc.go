package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
)

const aboutEtc = `Show local changes to /etc, undo them, and report how an update merged them.

/etc starts as the image's. What was changed, added or deleted here stays that way when
the image is updated, file by file; everything else follows the new image. passwd, group,
shadow, gshadow, subuid and subgid are merged record by record. A file with only another
owner, mode or extended attribute still gets the image's new content.`

func (s *session) etcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etc",
		Short: "Show, undo and merge local changes to /etc",
		Long:  aboutEtc,
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
