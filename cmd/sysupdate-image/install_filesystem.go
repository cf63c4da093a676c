package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

func (s *session) toFilesystemCommand() *cobra.Command {
	var o install.Options
	var source sourceFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:               "to-filesystem ROOT --esp DIR --image REF",
		Short:             "Install on mounted file systems",
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.ESP == "" || o.Image == "" {
				return usageError{fmt.Errorf("install to-filesystem: --esp and --image are required")}
			}
			if err := checkLoaderFlag(&o.Loader); err != nil {
				return err
			}
			if s.sysroot != "" {
				return usageError{fmt.Errorf("install to-filesystem: --sysroot cannot be used here; ROOT is where to install")}
			}
			o.Host, o.Root, o.Source = s.host, args[0], source.options()
			s.changes()
			result, err := install.ToFilesystem(cmd.Context(), o, s.Reporter(cmd.Context(), quiet), s.WarnOf)
			if err != nil {
				return err
			}
			return s.PrintResult(result, quiet)
		},
	}
	cmd.Flags().StringVar(&o.ESP, "esp", "", "`DIR` where the EFI system partition is mounted")
	cmd.Flags().StringVar(&o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&o.Track, "track", "", "follow `REF` for updates instead of the installed one")
	addKargFlags(cmd, &o)
	addLoaderFlag(cmd, &o.Loader)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only the result")
	addKeysFlag(cmd, &o.Keys)
	addReuseFlag(cmd, &o.Reuse)
	must(cmd.MarkFlagDirname("esp"))
	source.add(cmd)
	takeBootcNames(cmd)
	return cmd
}
