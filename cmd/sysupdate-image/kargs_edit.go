package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsEditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Change kernel arguments in an editor",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := s.kargs("")
			if err != nil {
				return err
			}
			before, err := k.Editable()
			if err != nil {
				return err
			}
			after, err := editLines(cmd.Context(), "Kernel arguments, one on each line.", before)
			if err != nil {
				return err
			}
			add, remove, err := update.EditedKargs(before, after)
			if err != nil {
				return err
			}
			return s.changeKargs(cmd, add, remove, false)
		},
	}
}
