package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	disklayout "github.com/sysupdate-image/sysupdate-image/internal/install/layout"
)

// diskFlags are those that to-disk and to-image share.
type diskFlags struct {
	o                     install.DiskOptions
	source                sourceFlags
	esp, boot, root, seed string
	ofVar                 string
	plan, quiet, asJSON   bool
}

func (f *diskFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&f.o.Track, "track", "", "follow `REF` for updates instead of the installed one")
	addKargFlags(cmd, &f.o.Options)
	cmd.Flags().StringVar(&f.o.FileSystem, "filesystem", "", "file system of the root: `ext4|btrfs|xfs` (default: what the image wants, or ext4)")
	cmd.Flags().StringVar(&f.o.BlockSetup, "block-setup", "", "where file systems are: `direct|tpm2-luks`, on the partitions themselves or with the root encrypted (default: what the image wants, or direct)")
	addLoaderFlag(cmd, &f.o.Loader)
	cmd.Flags().StringVar(&f.root, "root-size", "", "`SIZE` of the root, such as 20G (default: the rest of the disk)")
	cmd.Flags().StringVar(&f.esp, "esp-size", "", "`SIZE` of the EFI system partition (default: an eighth of the disk, but 300M to 1G, and room for two kernels)")
	cmd.Flags().StringVar(&f.boot, "xbootldr-size", "", "`SIZE` of an extended boot loader partition for kernels (default: none)")
	cmd.Flags().StringVar(&f.ofVar, "var-size", "", "`SIZE` of a partition for /var (default: none, /var is on the root)")
	cmd.Flags().StringVar(&f.seed, "seed", "", "compute the UUIDs of disk, partitions and file systems from `UUID` (default: random)")
	cmd.Flags().BoolVar(&f.o.IgnoreConfig, "ignore-image-config", false, "do not read settings from the image; its layers are then read only once")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result, or the plan, as JSON")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result")
	addKeysFlag(cmd, &f.o.Keys)
	addReuseFlag(cmd, &f.o.Reuse)
	completeValues(cmd, "filesystem", disklayout.FileSystems...)
	completeValues(cmd, "block-setup", install.BlockSetups...)
	f.source.add(cmd)
	takeBootcNames(cmd)
}

// options returns what the flags say.
func (f *diskFlags) options(s *session, cmd *cobra.Command) (o install.DiskOptions, err error) {
	name := "install " + cmd.Name()
	if f.o.Image == "" {
		return o, usageError{fmt.Errorf("%s: --image is required", name)}
	}
	if s.sysroot != "" {
		return o, usageError{fmt.Errorf("%s: --sysroot cannot be used here", name)}
	}
	if err := checkLoaderFlag(&f.o.Loader); err != nil {
		return o, err
	}
	o = f.o
	o.Host, o.Source = s.host, f.source.options()
	for _, size := range []struct {
		flag, text string
		to         *int64
	}{{"root-size", f.root, &o.RootSize}, {"esp-size", f.esp, &o.ESPSize}, {"xbootldr-size", f.boot, &o.BootSize}, {"var-size", f.ofVar, &o.VarSize}} {
		if *size.to, err = disklayout.ParseSize(size.text); err != nil {
			return o, usageError{fmt.Errorf("--%s: %w", size.flag, err)}
		}
	}
	if f.seed == "" {
		o.Seed, err = disklayout.NewSeed()
		return o, err
	}
	if o.Seed, err = disklayout.ParseSeed(f.seed); err != nil {
		return o, usageError{fmt.Errorf("--seed: %w", err)}
	}
	return o, nil
}
