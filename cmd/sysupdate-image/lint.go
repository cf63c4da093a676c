package main

import (
	"github.com/spf13/cobra"
)

func (s *session) lintCommand() *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:               "lint [IMAGE]",
		Short:             "Check whether an image will boot and update",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := first(args)
			if len(args) == 0 {
				name = "/"
			}
			return s.lint(cmd, name, f)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.asSARIF, "sarif", false, "print a SARIF log, which code hosts and editors can show")
	exclude(cmd, [2]string{"json", "sarif"}, [2]string{"list", "sarif"})
	f.imageFlags.source.add(cmd)
	addArchFlag(cmd, &f.architecture)
	return cmd
}
