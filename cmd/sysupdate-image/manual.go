package main

import (
	"io"

	"github.com/spf13/cobra"
)

// manualCommand prints the manual page, in the language of man(7); make install
// keeps it.
func (s *session) manualCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "manual",
		Short:  "Print the manual page, for man(1)",
		Hidden: true,
		Args:   needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.Copy(s.Out, manual(cmd.Root()))
			return err
		},
	}
}
