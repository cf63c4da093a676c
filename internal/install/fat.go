package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A fat is a boot partition that is mounted, or a directory that mtools copy to one.
type fat struct {
	*boot.Partition
	staged *os.File // a detached tmpfs; nil where the partition itself is mounted
	path   string   // of the partition
}

// openFAT opens a boot partition of the plan. Where the kernel has no FAT, it is a
// directory in memory until copy.
func (p DiskPlan) openFAT(role layout.Role, parts []device.Part) (*fat, error) {
	planned, n, _ := p.Layout.Of(role)
	f := &fat{path: parts[n-1].Path}
	name := fmt.Sprintf("%s (%s)", f.path, role)
	var err error
	if mountsFAT() {
		f.Partition, err = boot.Mount(f.path, true)
		return f, err
	}
	size := sys.MountString("size", fmt.Sprint(planned.Size))
	if f.staged, err = sys.Detached("tmpfs", 0, size, sys.MountString("mode", "0755")); err != nil {
		return nil, err
	}
	mount, err := os.Open(ownPath(f.staged))
	if err != nil {
		return nil, errors.Join(err, f.staged.Close())
	}
	if f.Partition, err = boot.OpenMount(name, mount); err != nil {
		return nil, errors.Join(err, f.staged.Close())
	}
	return f, nil
}

// Close lets go of the partition; a second time it does nothing.
func (f *fat) Close() error {
	if f.staged == nil {
		return nil // the machine closes the partition
	}
	err := f.staged.Close()
	f.staged = nil
	return err
}

// closeAll closes a partition that no machine was opened with.
func (f *fat) closeAll() error { return errors.Join(f.Partition.Close(), f.Close()) }

// copy has mtools write what was written to the directory. The order is always the same,
// so that the same files give the same partition.
func (f *fat) copy(ctx context.Context) error {
	if f.staged == nil {
		return nil
	}
	source := procPath(f.staged)
	err := fs.WalkDir(f.Root().FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			return mtool("mmd", "-i", f.path, "::/"+name).Run(ctx)
		case d.Type().IsRegular():
			return mtool("mcopy", "-Q", "-i", f.path, path.Join(source, name), "::/"+name).Run(ctx)
		}
		return fmt.Errorf("%s cannot be copied to FAT", name)
	})
	if err != nil {
		return fmt.Errorf("cannot fill the boot partition: %w", err)
	}
	return nil
}

// mtool returns a command of mtools, which nobody's configuration changes.
func mtool(name string, args ...string) tools.Command {
	return tools.Command{Name: name, Args: args, Env: []string{"MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1"}}
}
