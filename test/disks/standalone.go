package disks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
)

// Standalone makes a standalone initramfs in dir for Debian's kernel. It returns the two.
func Standalone(ctx context.Context, dir string) (kernel, initramfs string, err error) {
	files, err := Kernel(ctx)
	if err != nil {
		return "", "", err
	}
	version, err := kernelVersion(filepath.Join(files, "vmlinuz"))
	if err != nil {
		return "", "", err
	}
	modules := filepath.Join(dir, version)
	if err := os.Symlink(files, modules); err != nil {
		return "", "", err
	}
	return standaloneFor(ctx, modules, dir)
}

// StandaloneOld is Standalone for a kernel that is too old to mount images.
func StandaloneOld(ctx context.Context, dir string) (kernel, initramfs string, err error) {
	files, err := Image(ctx, "old_kernel")
	if err != nil {
		return "", "", err
	}
	found, err := filepath.Glob(filepath.Join(files, "*/vmlinuz"))
	if err != nil || len(found) != 1 {
		return "", "", fmt.Errorf("%s has %d kernels: %w", files, len(found), err)
	}
	return standaloneFor(ctx, filepath.Dir(found[0]), dir)
}

// standaloneFor makes an initramfs in dir for the kernel in a directory with its modules.
func standaloneFor(ctx context.Context, modules, dir string) (kernel, initramfs string, err error) {
	repository, err := Repository()
	if err != nil {
		return "", "", err
	}
	root := filepath.Join(dir, "root")
	libexec := filepath.Join(root, "usr/lib/sysupdate-image")
	if err := os.MkdirAll(libexec, 0o755); err != nil {
		return "", "", err
	}
	if err := run(ctx, "make", "--silent", "-C", repository, "init", "OUT="+libexec); err != nil {
		return "", "", err
	}
	initramfs = filepath.Join(dir, "initramfs.img")
	_, err = assemble.File(ctx, assemble.Options{KernelDir: modules, Root: root, Out: initramfs})
	return filepath.Join(modules, "vmlinuz"), initramfs, err
}

// kernelVersion returns the release of a kernel; see "The Real-Mode Kernel Header" in the
// x86 boot protocol.
func kernelVersion(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	at := make([]byte, 2)
	if _, err := f.ReadAt(at, 0x20e); err != nil {
		return "", err
	}
	text := make([]byte, 128)
	if _, err := f.ReadAt(text, int64(at[0])|int64(at[1])<<8+0x200); err != nil {
		return "", err
	}
	var version string
	if _, err := fmt.Sscan(string(text), &version); err != nil {
		return "", fmt.Errorf("%s has no version: %w", name, err)
	}
	return version, nil
}
