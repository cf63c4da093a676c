package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

func (s *session) etcDiffCommand() *cobra.Command {
	var asJSON, names bool
	cmd := &cobra.Command{
		Use:               "diff [PATH...]",
		Short:             "Show local changes to /etc",
		ValidArgsFunction: s.completeEtc,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := cleanEtcPaths("etc diff", args)
			if err != nil {
				return err
			}
			e, err := edit.Open(cmd.Context(), s.machine(), len(paths) > 0)
			if err != nil {
				return err
			}
			defer e.Close()
			changes, err := e.Changes(cmd.Context(), paths...)
			if err != nil {
				return err
			}
			for _, text := range e.Warnings() {
				s.Warn(text)
			}
			if asJSON {
				return s.PrintJSON(ui.NewEtcChanges(e.Side, changes))
			}
			return s.PrintEtcChanges(changes, names)
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "list the files without their contents")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
