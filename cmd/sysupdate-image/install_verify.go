package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install/verify"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutVerify = `Read back what was installed, and say whether it would boot. TARGET is a disk, the image
of one in a file (raw), or a directory where a physical root is mounted.

Of a disk: the partition table and the types of the partitions, whether the installation came
to an end, the boot loader that firmware finds by itself, the boot entries and their files,
and how the root is found. Of both: the kernel is compared with its digest, the deployment that
boots next is looked at, and the repository is checked as by repo fsck, every object of it.

Nothing is changed. File systems are mounted read-only, and journals are not replayed. The
kernel must have fs-verity to read the objects of a repository that is protected by it.

A warning is about something to fix that does not keep the disk from booting: a backup of the
partition table that is not at the end of a larger disk, or a missing origin.

The exit code is 0 if it would boot, and 1 if not, or if something could not be checked.`

func (s *session) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check whether an installed disk would boot",
		Long:  aboutVerify,
		Example: `  sysupdate-image install verify /dev/sdb
  sysupdate-image install verify disk.raw`,
		Args: needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.sysroot != "" {
				return usageError{fmt.Errorf("install verify: --sysroot cannot be used here; name the directory")}
			}
			report, err := verify.Run(cmd.Context(), s.host, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				err = s.PrintJSON(report)
			} else {
				err = s.PrintVerify(report)
			}
			if n := report.Problems(); err == nil && n > 0 {
				err = fmt.Errorf("%s would not boot: %s", args[0], ui.Count(n, "problem"))
			}
			if n := report.Unknowns(); err == nil && n > 0 {
				err = fmt.Errorf("cannot tell whether %s would boot: %s could not be checked", args[0], ui.Count(n, "thing"))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
