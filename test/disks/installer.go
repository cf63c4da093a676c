package disks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// An Installer is a machine that boots into an image's tree on a plain ext4, as a
// container would run it, without anything of ours having prepared its root. It
// brings the image along: it is the OCI layout /image in it.
type Installer struct {
	disk, kernel, initrd string
	kvm                  bool
}

// NewInstaller makes the installer that runs image v1.
func NewInstaller(ctx context.Context) (Installer, error) { return InstallerOf(ctx, "v1") }

// InstallerOf makes the installer that runs an image.
func InstallerOf(ctx context.Context, image string) (Installer, error) {
	layout, err := Image(ctx, image)
	if err != nil {
		return Installer{}, err
	}
	dir, err := cached(ctx, "installer", keyOf("1", filepath.Base(layout)), func(ctx context.Context, dir string) error {
		return installerBuild(ctx, layout, image, dir)
	})
	if err != nil {
		return Installer{}, err
	}
	i := Installer{disk: filepath.Join(dir, "root.ext4"), kernel: filepath.Join(dir, "vmlinuz"), initrd: filepath.Join(dir, "initramfs.img")}
	i.kvm, err = kvm(ctx, i.kernel)
	return i, err
}

func installerBuild(ctx context.Context, layout, tag, dir string) error {
	tree := filepath.Join(dir, "tree")
	defer os.RemoveAll(tree)
	if err := Unpack(ctx, layout, tag, tree); err != nil {
		return err
	}
	if err := run(ctx, "cp", "-r", layout, filepath.Join(tree, "image")); err != nil {
		return err
	}
	for _, name := range []string{"vmlinuz", "initramfs.img"} {
		files, err := filepath.Glob(filepath.Join(tree, "usr/lib/modules/*", name))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("image has %d files usr/lib/modules/*/%s; want one", len(files), name)
		}
		if err := run(ctx, "cp", files[0], dir); err != nil {
			return err
		}
	}
	return makeExt4(ctx, filepath.Join(dir, "root.ext4"), tree, "3G")
}

// Config returns the machine with further disks. What it writes to its own root
// is forgotten when it is off.
func (i Installer) Config(dir string, others ...vm.Disk) vm.Config {
	root := vm.Disk{Path: i.disk, Serial: "installer", Forget: true}
	return vm.Config{
		Dir:    dir,
		Kernel: i.kernel, Initrd: i.initrd, KVM: i.kvm,
		Cmdline: "root=/dev/disk/by-id/virtio-installer rw no_timer_check console=ttyS0 systemd.show_status=true",
		Disks:   append([]vm.Disk{root}, others...),
	}
}

// KVM reports whether the host's KVM can run the machines.
func (i Installer) KVM() bool { return i.kvm }

// kvm tries KVM once a boot of the host.
func kvm(ctx context.Context, kernel string) (bool, error) {
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return false, err
	}
	dir, err := cached(ctx, "kvm", keyOf(string(bootID)), func(ctx context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "works"), fmt.Append(nil, vm.TryKVM(ctx, kernel)), 0o644)
	})
	if err != nil {
		return false, err
	}
	answer, err := os.ReadFile(filepath.Join(dir, "works"))
	return string(answer) == "true", err
}
