package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

func (s *session) bootOldCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "boot-old",
		Short: "Boot the old system beside an image by default",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			m, err := s.openToSwitch()
			if err != nil {
				return err
			}
			what := "The old system boots by default"
			if undo {
				what = "The image boots by default"
			}
			if err := errors.Join(install.BootOld(m, !undo), m.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.Out, what)
			return err
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "boot the image by default")
	return cmd
}
