// Package fat opens boot partitions, also on a kernel that has no FAT: then they are
// directories in memory, and mtools copy them to the partition or from it.
package fat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// Mountable reports whether the kernel has FAT.
func Mountable() bool {
	_, err := sys.HasMountOption("vfat", sys.MountFlag("ro"))
	return !errors.Is(err, sys.ErrNoSuchFileSystem)
}

// Programs returns those that are needed where the kernel has no FAT, or nothing is mounted.
func Programs(mounted bool) []string {
	if mounted && Mountable() {
		return nil
	}
	return []string{"mmd", "mcopy", "mdel"}
}

// A Partition is an open boot partition.
type Partition struct {
	*boot.Partition
	staged *os.File // a detached tmpfs; nil where the partition itself is mounted
	path   string
	keep   []*os.File // for programs: what keeps the path that of the partition
	close  []func() error
}

// Write opens a new boot partition to fill it. What was written is on it after Copy. Keep are
// files that programs have open which write to the partition.
func Write(path, name string, size int64, keep ...*os.File) (*Partition, error) {
	if !Mountable() {
		return Stage(path, name, size, keep...)
	}
	p, err := boot.Mount(path, true)
	if err != nil {
		return nil, err
	}
	return &Partition{Partition: p, path: path}, nil
}

// Read opens a boot partition, which is only read.
func Read(ctx context.Context, path string, size int64, keep ...*os.File) (*Partition, error) {
	if Mountable() {
		p, err := boot.Mount(path, false)
		if err != nil {
			return nil, err
		}
		return &Partition{Partition: p, path: path}, nil
	}
	if err := tools.Check(Programs(true)...); err != nil {
		return nil, fmt.Errorf("this kernel has no FAT, and %w", err)
	}
	f, err := Stage(path, path, size, keep...)
	if err != nil {
		return nil, err
	}
	if err := f.mtool("mcopy", "-s", "-n", "-m", "-Q", "-i", path, "::*", procPath(f.staged)).Run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read the boot partition: %w", err), f.CloseAll())
	}
	if err := f.FindGRUB(); err != nil {
		return nil, errors.Join(err, f.CloseAll())
	}
	return f, nil
}

// Stage is Write where the partition cannot be mounted, such as in a file. What is written to
// it is in memory before Copy.
func Stage(path, name string, size int64, keep ...*os.File) (*Partition, error) {
	options := []sys.MountOption{sys.MountString("size", fmt.Sprint(size)), sys.MountString("mode", "0755")}
	staged, err := sys.Detached("tmpfs", 0, options...)
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", staged.Fd()))
	if err != nil {
		return nil, errors.Join(err, staged.Close())
	}
	p, err := boot.OpenMount(name, dir)
	if err != nil {
		return nil, errors.Join(err, staged.Close())
	}
	return &Partition{Partition: p, staged: staged, path: path, keep: keep}, nil
}

// Until has Close call f in the end.
func (p *Partition) Until(f func() error) { p.close = append(p.close, f) }

// Close lets go of everything but what package boot has opened, which a machine closes.
func (p *Partition) Close() error {
	var errs []error
	if p.staged != nil {
		errs = append(errs, p.staged.Close())
	}
	for _, f := range p.close {
		errs = append(errs, f())
	}
	p.staged, p.close = nil, nil
	return errors.Join(errs...)
}

// CloseAll closes a partition that no machine was opened with.
func (p *Partition) CloseAll() error { return errors.Join(p.Partition.Close(), p.Close()) }

// Copy has mtools write what was written to the directory. The order is always the same,
// so that the same files give the same partition.
func (p *Partition) Copy(ctx context.Context) error {
	if p.staged == nil {
		return nil
	}
	from := procPath(p.staged)
	err := fs.WalkDir(p.Root().FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			return p.makeDir(ctx, name)
		case d.Type().IsRegular():
			return p.mtool("mcopy", "-Q", "-i", p.path, path.Join(from, name), "::/"+name).Run(ctx)
		}
		return fmt.Errorf("%s cannot be copied to FAT", name)
	})
	if err != nil {
		return fmt.Errorf("cannot fill the boot partition: %w", err)
	}
	return nil
}

// makeDir makes a directory on the partition, and gives it the size that package boot gives it.
func (p *Partition) makeDir(ctx context.Context, name string) error {
	if err := p.mtool("mmd", "-i", p.path, "::/"+name).Run(ctx); err != nil {
		return err
	}
	all := boot.GrownDirs()
	i := slices.IndexFunc(all, func(g boot.Grown) bool { return g.Dir == name })
	if i < 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "sysupdate-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	write, remove := []string{"-Q", "-i", p.path}, []string{"-i", p.path}
	for _, file := range all[i].Files {
		from := path.Join(dir, file)
		if err := os.WriteFile(from, nil, 0o644); err != nil {
			return err
		}
		write, remove = append(write, from), append(remove, "::/"+name+"/"+file)
	}
	if err := p.mtool("mcopy", append(write, "::/"+name)...).Run(ctx); err != nil {
		return err
	}
	return p.mtool("mdel", remove...).Run(ctx)
}

// mtool returns a command of mtools, which nobody's configuration changes.
func (p *Partition) mtool(name string, args ...string) tools.Command {
	return tools.Command{Name: name, Args: args, Env: []string{"MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1"}, Keep: p.keep}
}

// procPath is the path of an open file for programs that this one starts.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }
