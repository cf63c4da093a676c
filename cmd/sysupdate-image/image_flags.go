package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// formFlags choose the form of a tree.
type formFlags struct {
	boot, userXattrs bool
}

func (f *formFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.boot, "boot", false,
		"use the form that boots: empty /boot and /sysroot, SELinux labels from the image's policy")
	cmd.Flags().BoolVar(&f.userXattrs, "user-xattrs", false, "keep user.* attributes")
}

func (f *formFlags) form() canonical.Form {
	return canonical.Form{Boot: f.boot, UserXattrs: f.userXattrs}
}

// imageFlags tell where images are and how to read them.
type imageFlags struct {
	repository, architecture string
	source                   sourceFlags
}

func (f *imageFlags) add(cmd *cobra.Command) {
	addRepositoryFlag(cmd, &f.repository)
	addArchFlag(cmd, &f.architecture)
	f.source.add(cmd)
}

func addArchFlag(cmd *cobra.Command, arch *string) {
	cmd.Flags().StringVar(arch, "arch", "",
		"read container images for `ARCH` instead of this machine's, such as amd64, arm64 or arm/v7")
	completeValues(cmd, "arch", oci.Architectures...)
}

// options returns how to read container images.
func (f *imageFlags) options() (oci.Options, error) {
	opts := f.source.options()
	if f.architecture == "" {
		return opts, nil
	}
	var err error
	if opts.Architecture, opts.Variant, err = oci.ParseArchitecture(f.architecture); err != nil {
		return opts, usageError{fmt.Errorf("--arch %s: %w", f.architecture, err)}
	}
	return opts, nil
}

func addRepositoryFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "repo", "", "use the repository in `DIR` instead of this machine's")
	must(cmd.MarkFlagDirname("repo"))
}
