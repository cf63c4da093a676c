package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) containerInspectCommand() *cobra.Command {
	var rootfs, format string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "Describe the system in a directory, as bootc container inspect",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := formatOf(cmd, format, asJSON, formatHuman)
			if err != nil {
				return err
			}
			about, err := inspect.Directory(rootfs)
			if err != nil {
				return err
			}
			if format == formatHuman {
				return s.PrintContainer(about)
			}
			return s.printAs(format, about)
		},
	}
	addRootFS(cmd, &rootfs, "describe")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addFormatFlag(cmd, &format)
	exclude(cmd, [2]string{"json", "format"})
	return cmd
}
