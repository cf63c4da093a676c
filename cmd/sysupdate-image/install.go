package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

const aboutInstall = `Put an image on a file system that was just made, so that the machine boots it.

ROOT is where the new root file system is mounted: ext4 or btrfs with fs-verity
(mkfs.ext4 -O verity). It is found at boot by the type that the Discoverable Partitions
Specification has for its partition; where it has another type, is a subvolume, or is on
another disk than DIR, root=UUID=... and rootflags=... are added. --karg root=... wins.
DIR is where the EFI system partition is mounted. systemd-boot is taken from the
image, from /usr/lib/systemd/boot/efi.

With --reuse, layers that another repository has are not fetched but taken from there:
on the machine that runs, /sysroot/composefs has those of its own deployments.`

func (s *session) installCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put an image on new file systems",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.toFilesystemCommand())
	return cmd
}

func (s *session) toFilesystemCommand() *cobra.Command {
	var o install.Options
	var source sourceFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:               "to-filesystem ROOT --esp DIR --image REF",
		Short:             "Install on file systems that are mounted",
		Long:              aboutInstall,
		Example:           "  sysupdate-image install to-filesystem /mnt --esp /mnt/efi --image registry.example.org/os:stable",
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.ESP == "" || o.Image == "" {
				return usageError{fmt.Errorf("install to-filesystem: --esp and --image are needed")}
			}
			if s.sysroot != "" {
				return usageError{fmt.Errorf("install to-filesystem: ROOT says where, --sysroot is for the other commands")}
			}
			o.Root, o.Source = args[0], source.options()
			s.changing = true
			result, err := install.ToFilesystem(cmd.Context(), o, s.Reporter(quiet), s.Warn)
			if err != nil {
				return err
			}
			return s.PrintResult(result, quiet)
		},
	}
	cmd.Flags().StringVar(&o.ESP, "esp", "", "the EFI system partition is mounted at `DIR`")
	cmd.Flags().StringVar(&o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&o.Track, "track", "", "follow `REF` for updates, if it is not the one installed from")
	cmd.Flags().StringArrayVar(&o.Kargs, "karg", nil, "add `ARG` to the kernel command line (may be repeated)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing but the result")
	addReuseFlag(cmd, &o.Reuse)
	must(cmd.MarkFlagDirname("esp"))
	source.add(cmd)
	return cmd
}
