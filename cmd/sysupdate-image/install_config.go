package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

func (s *session) printConfigurationCommand() *cobra.Command {
	var o install.Options
	var source sourceFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "print-configuration",
		Short: "Print the installation settings of an image",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case s.sysroot != "":
				return usageError{errors.New("install print-configuration: --sysroot cannot be used here")}
			case o.Image == "" && cmd.Flags().Changed("image"):
				return usageError{errors.New("install print-configuration: --image: the reference is empty")}
			}
			o.Host, o.Source = s.host, source.options()
			config, err := install.Configuration(cmd.Context(), o, s.Reporter(cmd.Context(), false))
			if err != nil {
				return err
			}
			if config = config.Canonical(); !all {
				config = config.Public()
			}
			return s.PrintJSON(config)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "print kernel arguments too")
	cmd.Flags().StringVar(&o.Image, "image", "", "read the image `REF` instead of the running system")
	addReuseFlag(cmd, &o.Reuse)
	source.add(cmd)
	return cmd
}
