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

With --failed it shows the boots that failed, the newest first: which unit or check, with its
exit status, and the last 200 lines of the journal of that boot. Only root can read them.

A deployment is marked with ● if it is booted and with → if it boots next.`

func (s *session) statusCommand() *cobra.Command {
	var asJSON, failed bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is booted and what boots next",
		Long:  aboutStatus,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if failed {
				return s.showFailed(asJSON)
			}
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
	cmd.Flags().BoolVar(&failed, "failed", false, "show the failed boots alone: what failed, and the end of the journal")
	return cmd
}

func (s *session) showFailed(asJSON bool) error {
	failed, err := status.FailedOf(s.machine())
	if err != nil {
		return err
	}
	if asJSON {
		return s.PrintJSON(failed.JSON())
	}
	_, err = fmt.Fprint(s.Out, failed.Text())
	return err
}
