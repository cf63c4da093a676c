package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
)

// moduleSets are the values of --modules.
var moduleSets = []string{"generic", "host"}

func (s *session) initramfsBuildCommand() *cobra.Command {
	var opts assemble.Options
	var set string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build a standalone initramfs",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !slices.Contains(moduleSets, set) {
				return usageError{fmt.Errorf("--modules %s: want %s", set, strings.Join(moduleSets, " or "))}
			}
			if set == "host" {
				opts.Machine = "/"
			}
			if opts.Root == "" {
				return usageError{errors.New("--root: the directory name is empty")}
			}
			if opts.Modified, err = sourceDate(); err != nil {
				return err
			}
			report, err := assemble.File(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return s.PrintInitramfs(report)
		},
	}
	cmd.Flags().StringVar(&opts.KernelDir, "kernel-dir", "",
		"use the kernel modules in `DIR` (default: the only directory in ROOTFS/usr/lib/modules)")
	cmd.Flags().StringVar(&opts.Root, "root", "/", "use the program and configuration of the system in `ROOTFS`")
	cmd.Flags().StringVar(&set, "modules", "generic", "which modules to add: `generic|host`")
	cmd.Flags().StringVarP(&opts.Out, "output", "o", "", "write to `FILE` (default: DIR/initramfs.img)")
	must(cmd.MarkFlagDirname("kernel-dir"))
	must(cmd.MarkFlagDirname("root"))
	completeFiles(cmd, "output")
	completeValues(cmd, "modules", moduleSets...)
	return cmd
}

// sourceDate returns the time that builds are to use, see
// https://reproducible-builds.org/specs/source-date-epoch/.
func sourceDate() (time.Time, error) {
	text, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok {
		return time.Unix(0, 0), nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: want seconds since 1970, up to 32 bits", text)
	}
	return time.Unix(int64(seconds), 0), nil
}
