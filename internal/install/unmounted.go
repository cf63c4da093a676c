package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// unmounted is the suffix of the directory beside a disk image with what goes on it, where
// nothing can be mounted.
const unmounted = ".d"

// fillUnmounted is fill where there are no loop devices, or no right to mount: the root is a
// directory, of which mkfs makes a file system, and each file system is a file before it goes
// to the disk.
func (p DiskPlan) fillUnmounted(ctx context.Context, d *device.Disk, table partition.Table, r update.Reporter, warn func(error)) (result DiskResult, err error) {
	dir := d.Path + unmounted
	if err := os.RemoveAll(dir); err != nil { // of a run that was killed
		return DiskResult{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return DiskResult{}, err
	}
	r.Step("Making file systems")
	parts, err := p.makeFiles(ctx, dir)
	if err != nil {
		return DiskResult{}, err
	}
	if result, err = p.installIn(ctx, dir, parts, r, warn); err != nil {
		return result, err
	}
	r.Step("Copying file systems to " + p.Disk)
	for i, part := range p.Layout.Partitions {
		if !isTree(part.Role) {
			continue
		}
		if err := mkfsOf(part, filepath.Join(dir, string(part.Role)), parts[i].Path).Run(ctx); err != nil {
			return DiskResult{}, fmt.Errorf("cannot make the %s file system of %s: %w", part.FileSystem, part.Role, err)
		}
	}
	for i, n := range table.Numbers() {
		part, _ := table.Partition(n)
		if err := copyTo(ctx, d, part.Start, parts[i].Path); err != nil {
			return DiskResult{}, err
		}
	}
	return result, nil
}

// isTree reports whether the file system of a partition is made of a directory, as large as what
// goes there.
func isTree(role layout.Role) bool { return role == layout.Root || role == layout.Var }

// makeFiles makes a file for each partition, and the file systems that are filled later.
func (p DiskPlan) makeFiles(ctx context.Context, dir string) ([]device.Part, error) {
	var parts []device.Part
	for i, part := range p.Layout.Partitions {
		name := filepath.Join(dir, fmt.Sprintf("partition-%d", i+1))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, part.Size)); err != nil {
			return nil, err
		}
		if !isTree(part.Role) && part.FileSystem != "" {
			if err := mkfs(part, name).Run(ctx); err != nil {
				return nil, fmt.Errorf("cannot make the %s file system of %s: %w", part.FileSystem, part.Role, err)
			}
		}
		parts = append(parts, device.Part{Path: name})
	}
	return parts, nil
}

// installIn installs in directories of dir. mkfs cannot enable fs-verity, so that the repository
// must not count on it, whatever the file system of the directory can do.
func (p DiskPlan) installIn(ctx context.Context, dir string, parts []device.Part, r update.Reporter, warn func(error)) (DiskResult, error) {
	root, err := makeTree(dir, layout.Root)
	if err != nil {
		return DiskResult{}, err
	}
	defer root.Close()
	ofVar, err := makeTree(dir, layout.Var)
	if err != nil {
		return DiskResult{}, err
	}
	defer ofVar.Close()
	repository, err := repo.Init(filepath.Join(root.Name(), deployment.RepositoryDir), repo.Options{Insecure: true})
	if err != nil {
		return DiskResult{}, err
	}
	result, err := p.install(ctx, trees{root, ofVar}, parts, r, warn)
	if errors.Is(err, syscall.EINVAL) && isAlone() {
		err = fmt.Errorf("%w: %w", err, ErrOwner)
	}
	return result, errors.Join(err, repository.Close())
}

// makeTree makes the directory that a file system is made of.
func makeTree(dir string, role layout.Role) (*os.File, error) {
	name := filepath.Join(dir, string(role))
	if err := os.MkdirAll(name, 0o755); err != nil {
		return nil, err
	}
	return os.Open(name)
}

// mkfsOf returns the command that makes a file system with what is in a directory.
func mkfsOf(part layout.Partition, tree, path string) tools.Command {
	c := mkfs(part, path)
	flag := map[string]string{"ext4": "-d", "btrfs": "--rootdir"}[part.FileSystem]
	c.Args = append([]string{flag, tree}, c.Args...)
	return c
}

// fillable are the file systems that mkfs can fill.
var fillable = []string{"ext4", "btrfs"}

// copyTo copies a file with its holes to an offset of the disk, which has nothing there yet.
func copyTo(ctx context.Context, d *device.Disk, offset int64, name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if err := sys.CopyData(ctx, d, offset, from, info.Size()); err != nil {
		return err
	}
	return os.Remove(name) // so that only one at a time takes twice its room
}
