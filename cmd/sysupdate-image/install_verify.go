package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install/verify"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

func (s *session) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check whether an installed disk would boot",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.sysroot != "" {
				return usageError{fmt.Errorf("install verify: --sysroot cannot be used here; name the directory")}
			}
			report, err := verify.Run(cmd.Context(), s.host, args[0], s.Watcher(cmd.Context()))
			if err != nil {
				return err
			}
			if asJSON {
				err = s.PrintJSON(report)
			} else {
				err = s.PrintVerify(report)
			}
			return cmp.Or(err, ui.VerifyVerdict(report, args[0]))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
