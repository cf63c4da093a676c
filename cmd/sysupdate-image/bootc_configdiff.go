package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
)

func (s *session) configDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "config-diff",
		Short:   "List local changes to /etc, as bootc config-diff",
		GroupID: bootcGroup,
		Args:    needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := edit.Open(cmd.Context(), s.machine(), false)
			if err != nil {
				return err
			}
			defer e.Close()
			changes, err := e.Changes(cmd.Context())
			if err != nil {
				return err
			}
			for _, text := range e.Warnings() {
				s.Warn(text)
			}
			return s.PrintConfigDiff(changes)
		},
	}
}
