package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

const aboutToImage = `Install an image on a new disk image, which then boots in a virtual machine or is written to
a disk. It has what to-disk makes. Without --size it has room for three versions of the
image.

Until it is complete it is FILE.partial, which is locked: a second run on FILE is refused.
What a killed run has left there is replaced. A FILE that exists is refused unless --wipe is
given; a device, a directory or a symbolic link is refused in any case. Formats other
than raw are made by qemu-img; a vhd has a fixed size, as Azure wants it.

Root fills the file systems through loop devices and mounts. They are gone when the program
and those that it has started have ended; if it is killed, these are killed too. Where there
are no loop devices, as in a container, and for a user other than root, the files are
collected in FILE.partial.d, and mkfs and mtools fill the file systems. That takes three
times the room for a while, leaves fs-verity to an update on the new machine, and cannot
make XFS. A user other than root gets a user namespace (unshare(1)). If the
image has files in /var that are not owned by root, this takes lines in subuid(5) and subgid(5)
and the program newuidmap(1). SELinux labels need the real root.

With --seed the UUIDs of the disk, its partitions and file systems are always the same.
mtools, which are used where FAT is not mounted, give the boot partition the time of
SOURCE_DATE_EPOCH. The contents of the root file system are the same each time, but the image
is not, byte for byte.`

func (s *session) toImageCommand() *cobra.Command {
	var f diskFlags
	var target install.Target
	var size string
	cmd := &cobra.Command{
		Use:   "to-image FILE --image REF",
		Short: "Install on a new disk image",
		Long:  aboutToImage,
		Example: `  sysupdate-image install to-image disk.raw --image registry.example.org/os:stable
  sysupdate-image install to-image disk.qcow2 --format qcow2 --size 20G --image oci:./os:stable`,
		Args: needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(install.Formats, target.Format) {
				return usageError{fmt.Errorf("--format %s: want %s", target.Format, strings.Join(install.Formats, ", "))}
			}
			o, err := f.options(s, cmd)
			if err != nil {
				return err
			}
			if target.Size, err = parseSize(size); err != nil {
				return usageError{fmt.Errorf("--size: %w", err)}
			}
			target.File = args[0]
			if install.NeedsNamespace() && !f.plan {
				return install.InNamespace()
			}
			return s.toDisk(cmd, o, &f, &target)
		},
	}
	cmd.Flags().StringVar(&target.Format, "format", install.Formats[0], "format of the disk image: `raw|qcow2|vhd`")
	cmd.Flags().StringVar(&size, "size", "", "`SIZE` of the disk, such as 20G (default: room for three versions of the image)")
	cmd.Flags().BoolVar(&f.o.Wipe, "wipe", false, "replace FILE")
	f.add(cmd)
	completeValues(cmd, "format", install.Formats...)
	return cmd
}
