package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

const aboutStatus = `Say which deployment is booted, which boots next, which others there are, and what is
wrong: boots that failed and why, entries that no boot loader can use, and what this
user may not read. Ordinary users see what they may.

A machine that was not booted from an image is no error: it is said, and the exit code
is 0. It is 1 only when nothing can be said at all.`

func (s *session) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what is booted and what boots next",
		Long:  aboutStatus,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			st, err := status.Of(s.sysroot)
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(st.JSON())
			}
			_, err = fmt.Fprint(s.Out, st.Text())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, in the form of org.containers.bootc/v1 with additions")
	return cmd
}
