package standalone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// handedOver are the mounts that the system takes over from the initramfs.
var handedOver = []string{"dev", "proc", "sys", "run"}

// checkMountPoints sees to it that everything can be handed over: nothing can be made in
// an image.
func checkMountPoints(dir string) error {
	for _, name := range handedOver {
		info, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the image has no directory /%s: %w", name, err)
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("/%s in the image is not a directory", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// handOver moves the mounts of the kernel's file systems to the new root.
func handOver(dir string) error {
	for _, name := range handedOver {
		if err := moveMount("/"+name, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("cannot hand over /%s: %w", name, err)
		}
	}
	return nil
}

func moveMount(from, to string) error {
	mount, err := os.Open(from)
	if err != nil {
		return err
	}
	defer mount.Close()
	where, err := os.Open(to)
	if err != nil {
		return err
	}
	defer where.Close()
	return sys.Attach(mount, where, "")
}

// openInitramfs opens the root directory if it is in memory, to be emptied later; nil if
// it is not. Nothing but an initramfs may ever be deleted.
func (p *program) openInitramfs() (*os.Root, error) {
	root, err := p.hooks.OpenRoot()
	if err != nil {
		return nil, err
	}
	inMemory, err := isInMemory(root)
	if err != nil || !inMemory {
		root.Close()
		return nil, err
	}
	return root, nil
}

func isInMemory(root *os.Root) (bool, error) {
	dir, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	st, err := sys.Statfs(dir)
	return st.Type == sys.RAMFS || st.Type == sys.TMPFS, err
}

// empty deletes the files of the initramfs, whose memory is then free. Mounts are not
// entered.
func empty(ctx context.Context, initramfs *os.Root) error {
	dir := durable.OS(initramfs)
	names, err := dir.ReadDir(".")
	if err != nil {
		return err
	}
	step := func(_ func() string, do func() error) error { return do() }
	var errs []error
	for _, name := range names {
		errs = append(errs, dir.RemoveTree(ctx, name, step))
	}
	return errors.Join(errs...)
}
