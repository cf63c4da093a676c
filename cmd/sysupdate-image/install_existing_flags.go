package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

// alongside is what bootc calls it that the old system stays.
const alongside = "alongside"

type existingFlags struct {
	o                   install.ExistingOptions
	source              sourceFlags
	replace             string
	plan, quiet, asJSON bool
}

func (f *existingFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.replace, "replace", alongside, "what becomes of the old system: `alongside`, it stays")
	completeValues(cmd, "replace", alongside)
	cmd.Flags().StringVar(&f.o.ESP, "esp", "", "`DIR` where the EFI system partition is mounted (default: efi, boot/efi or boot in ROOT)")
	cmd.Flags().StringVar(&f.o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&f.o.Track, "track", "", "follow `REF` for updates instead of the installed one")
	addKargFlags(cmd, &f.o.Options)
	cmd.Flags().StringArrayVar(&f.o.KeepEtc, "keep-etc", nil, "take over `FILE` from /etc of the old system (can be repeated)")
	addLoaderFlag(cmd, &f.o.Loader)
	cmd.Flags().BoolVar(&f.o.IgnoreConfig, "ignore-image-config", false, "do not look for settings in the image, whose layers are read once then")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result, or the plan, as JSON")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result and the way back")
	addKeysFlag(cmd, &f.o.Keys)
	addReuseFlag(cmd, &f.o.Reuse)
	must(cmd.MarkFlagDirname("esp"))
	f.source.add(cmd)
	takeBootcNames(cmd)
}

// options returns what the flags say. Without the argument ROOT, it is where a container has the
// host's root.
func (f *existingFlags) options(s *session, root string) (o install.ExistingOptions, err error) {
	const name = "install to-existing-root"
	switch {
	case f.replace != alongside:
		return o, usageError{fmt.Errorf("%s: --replace %s: want %s; 'install remove-old' removes the old system later", name, f.replace, alongside)}
	case f.o.Image == "":
		return o, usageError{errors.New(name + ": --image is required")}
	case s.sysroot != "":
		return o, usageError{errors.New(name + ": --sysroot cannot be used here; ROOT is where to install")}
	}
	o = f.o
	o.Host, o.Source, o.Root = s.host, f.source.options(), cmp.Or(root, "/target")
	return o, checkLoaderFlag(&o.Loader)
}
