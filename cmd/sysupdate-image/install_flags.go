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
