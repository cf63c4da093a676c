package main

import (
	"github.com/spf13/cobra"
)

func (s *session) kargsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "list [DEPLOYMENT]",
		Short:             "List kernel arguments, and where they come from",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := s.kargs(first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(k)
			}
			for _, text := range k.Hidden {
				s.Say("Note: " + text)
			}
			return s.PrintKargs(k)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
