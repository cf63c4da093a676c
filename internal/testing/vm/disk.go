package vm

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// A Disk is a virtio block device of a machine.
type Disk struct {
	Path string
	// Format is QEMU's name for it: "raw" (also when empty) or "qcow2".
	Format string
	// Serial names the disk: it is /dev/disk/by-id/virtio-SERIAL in the machine.
	// It has 20 characters at most.
	Serial   string
	ReadOnly bool
	// Forget throws away what was written when the machine is off.
	Forget bool
	// Late leaves the disk out until Plug adds it. Of a PC only.
	Late bool
	// Log is an empty file for QEMU's blklogwrites driver to log every write and
	// flush of the disk in.
	Log string
}

// CreateDisk makes an empty disk of a format and a size that qemu-img(1) understands,
// such as "raw" and "4G". It takes room only as it is filled.
func CreateDisk(ctx context.Context, path, format, size string) error {
	return qemuImg(ctx, "create", "-q", "-f", format, path, size)
}

// Overlay makes path a qcow2 disk that begins with the content of base, in a format, and
// keeps what changes. base must not change any more.
func Overlay(ctx context.Context, path, base, format string) error {
	base, err := filepath.Abs(base)
	if err != nil {
		return err
	}
	return qemuImg(ctx, "create", "-q", "-f", "qcow2", "-F", format, "-b", base, path)
}

// Copy makes path a raw file, with holes, that has the content of another one.
func Copy(ctx context.Context, path, disk string) error {
	out, err := exec.CommandContext(ctx, "cp", "--reflink=auto", "--sparse=always", disk, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot copy disk: cp: %w\n%s", err, out)
	}
	return nil
}

// Raw makes path a raw file, with holes, that has the content of a qcow2 disk.
func Raw(ctx context.Context, path, disk string) error {
	return qemuImg(ctx, "convert", "-q", "-f", "qcow2", "-O", "raw", disk, path)
}

func qemuImg(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "qemu-img", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make disk: qemu-img %s: %w\n%s", args[0], err, out)
	}
	return nil
}
