package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsAddCommand() *cobra.Command {
	var asJSON bool
	var addon string
	cmd := &cobra.Command{
		Use:   "add ARG...",
		Short: "Add kernel arguments",
		Args:  needArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("addon") {
				if s.sysroot != "" || addon == "" {
					return usageError{errors.New("kargs add: --addon needs the name of a file and cannot be combined with --sysroot")}
				}
				cmdline, err := update.WriteAddon(addon, args)
				if err != nil {
					return err
				}
				return s.PrintAddon(addon, cmdline)
			}
			return s.changeKargs(cmd, args, nil, asJSON)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&addon, "addon", "", "change nothing, and write an addon for a sealed image to `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeFiles(cmd, "addon")
	return cmd
}
