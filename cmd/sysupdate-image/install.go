package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

func (s *session) installCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install an image on a disk or on new file systems",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.toDiskCommand(), s.toImageCommand(), s.toFilesystemCommand(), s.toExistingRootCommand(), s.bootOldCommand(), s.removeOldCommand(), s.resetCommand())
	cmd.AddCommand(s.printConfigurationCommand(), s.verifyCommand())
	return cmd
}

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

// addKargFlags adds --karg and --karg-delete.
func addKargFlags(cmd *cobra.Command, o *install.Options) {
	cmd.Flags().StringArrayVar(&o.Kargs, "karg", nil, "add `ARG` to the kernel command line (can be repeated)")
	cmd.Flags().StringArrayVar(&o.Delete, "karg-delete", nil, "leave out kernel argument `ARG` of the image, or all that begin with ARG= (can be repeated)")
}

// addLoaderFlag adds --bootloader.
func addLoaderFlag(cmd *cobra.Command, kind *string) {
	cmd.Flags().StringVar(kind, "bootloader", "", "boot loader: `systemd-boot|grub|none`")
	completeValues(cmd, "bootloader", install.Loaders...)
}

// checkLoaderFlag refuses a boot loader that is not known, and takes bootc's name of one.
func checkLoaderFlag(kind *string) error {
	if *kind == "systemd" {
		*kind = install.Loaders[0]
	}
	if *kind != "" && !slices.Contains(install.Loaders, *kind) {
		return usageError{fmt.Errorf("--bootloader %s: want %s", *kind, strings.Join(install.Loaders, ", "))}
	}
	return nil
}

// bootcNames are what bootc calls flags of install, which have other names here.
var bootcNames = map[string]string{"source-imgref": "image", "target-imgref": "track"}

// takeBootcNames has a command take bootc's names of flags too.
func takeBootcNames(cmd *cobra.Command) {
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(cmp.Or(bootcNames[name], name))
	})
}

func addKeysFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "root-ssh-authorized-keys", "", "let the SSH keys in `FILE` log in as root")
}
