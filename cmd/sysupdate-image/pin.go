package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) pinCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:               "pin [--name NAME] [DEPLOYMENT]",
		Short:             "Keep a deployment until it is unpinned",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("name") {
				if err := deployment.CheckPinName(name); err != nil {
					return usageError{fmt.Errorf("pin --name: %w", err)}
				}
			}
			return s.switchBoot(func(m *update.Machine) error {
				id, err := m.Pin(first(args), name)
				if err != nil {
					return err
				}
				return s.PrintPinned(id, name)
			})
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the pin: letters, digits, '.', '_' and '-'")
	must(cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions))
	return cmd
}
