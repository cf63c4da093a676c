package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	disklayout "github.com/sysupdate-image/sysupdate-image/internal/install/layout"
)

// diskFlags are those that to-disk and to-image share.
type diskFlags struct {
	o                     install.DiskOptions
	source                sourceFlags
	esp, boot, root, seed string
	plan, quiet, asJSON   bool
	ignore                bool
}

func (f *diskFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&f.o.Track, "track", "", "follow `REF` for updates instead of the installed one")
	addKargFlags(cmd, &f.o.Options)
	cmd.Flags().StringVar(&f.o.FileSystem, "filesystem", "", "file system of the root: `ext4|btrfs|xfs` (default: what the image wants, or ext4)")
	cmd.Flags().StringVar(&f.o.BlockSetup, "block-setup", "", "where file systems are: `direct`, on the partitions themselves")
	addLoaderFlag(cmd, &f.o.Loader)
	cmd.Flags().StringVar(&f.root, "root-size", "", "`SIZE` of the root, such as 20G (default: the rest of the disk)")
	cmd.Flags().StringVar(&f.esp, "esp-size", "", "`SIZE` of the EFI system partition (default: an eighth of the disk, but 300M to 1G, and room for two kernels)")
	cmd.Flags().StringVar(&f.boot, "xbootldr-size", "", "`SIZE` of an extended boot loader partition for kernels (default: none)")
	cmd.Flags().StringVar(&f.seed, "seed", "", "compute the UUIDs of disk, partitions and file systems from `UUID` (default: random)")
	cmd.Flags().BoolVar(&f.ignore, "ignore-image-config", false, "do not read settings from the image; its layers are then read only once")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result, or the plan, as JSON")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result")
	addKeysFlag(cmd, &f.o.Keys)
	addReuseFlag(cmd, &f.o.Reuse)
	completeValues(cmd, "filesystem", disklayout.FileSystems...)
	completeValues(cmd, "block-setup", install.Direct)
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
	}{{"root-size", f.root, &o.RootSize}, {"esp-size", f.esp, &o.ESPSize}, {"xbootldr-size", f.boot, &o.BootSize}} {
		if *size.to, err = parseSize(size.text); err != nil {
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

// parseSize reads a size such as 512M or 20G: with the powers of 1024 as units, M where
// there is none, as bootc has it. It is 0 for no text.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := text, int64(1<<20)
	for i, letter := range "KMGT" {
		if n, ok := strings.CutSuffix(strings.ToUpper(text), string(letter)); ok {
			number, unit = n, int64(1)<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<60/unit {
		return 0, fmt.Errorf("invalid size %q: want a number with K, M, G or T", text)
	}
	return n * unit, nil
}

func (s *session) toDiskCommand() *cobra.Command {
	var f diskFlags
	cmd := &cobra.Command{
		Use:   "to-disk DISK --image REF",
		Short: "Install on a whole disk",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(s, cmd)
			if err != nil {
				return err
			}
			o.Disk = args[0]
			return s.toDisk(cmd, o, &f, nil)
		},
	}
	cmd.Flags().BoolVar(&f.o.Wipe, "wipe", false, "overwrite what is on the disk")
	cmd.Flags().BoolVar(&f.o.Loopback, "via-loopback", false, "DISK is a file, the image of a disk")
	f.add(cmd)
	return cmd
}

// check refuses early what cannot succeed.
func (f *diskFlags) check(o install.DiskOptions, target *install.Target) error {
	if target != nil {
		target.Plan = f.plan
		if err := target.Check(o.Wipe); err != nil {
			return err
		}
	}
	if f.plan || target != nil {
		return nil
	}
	return install.CheckRights(o.Loopback)
}

// toDisk installs on a disk, or on the file that is to become one.
func (s *session) toDisk(cmd *cobra.Command, o install.DiskOptions, f *diskFlags, target *install.Target) error {
	ctx := cmd.Context()
	report := s.Reporter(ctx, f.quiet)
	if err := f.check(o, target); err != nil {
		return err
	}
	look := install.LookAt
	if f.ignore {
		look = install.GlanceAt
	}
	img, err := look(ctx, o.Options, report)
	if err == nil {
		err = img.Check()
	}
	if err != nil {
		return err
	}
	for _, w := range img.Warnings(o) {
		s.WarnOf(w)
	}
	if target != nil {
		defer target.Drop()
		if o, err = target.Begin(o, img); err != nil {
			return err
		}
	}
	plan, disk, err := install.PlanDisk(ctx, o, img)
	if err != nil {
		return err
	}
	defer disk.Close()
	if f.plan && f.asJSON {
		return s.PrintJSON(plan)
	}
	if f.plan {
		return s.PrintDiskPlan(plan)
	}
	if target == nil {
		s.unfinished.Store(&o.Disk)
	}
	result, err := plan.ToDisk(ctx, disk, report, s.WarnOf)
	if err == nil && target != nil {
		err = target.Finish(ctx, disk, report)
	}
	if err != nil {
		return err
	}
	if f.asJSON {
		return s.PrintJSON(result)
	}
	return s.PrintDiskResult(result, f.quiet)
}
