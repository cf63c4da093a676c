package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

const aboutStatus = `Show which deployment is booted, which boots next, which others exist, and any problems:
failed boots and their reasons, boot entries that no boot loader can use, and what this
user cannot read. Any user can run it.

On a machine that was not booted from an image, status says so and exits with 0. The exit
code is 1 only if nothing can be shown.

A deployment is marked with ● if it is booted and with → if it boots next.`

func (s *session) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is booted and what boots next",
		Long:  aboutStatus,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			st, err := status.Of(s.machine())
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: org.containers.bootc/v1 with additions")
	return cmd
}
