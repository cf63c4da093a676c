package disks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// An Installer is a machine that boots into an image's tree on a plain ext4, as a
// container would run it, without anything of ours having prepared its root. It
// brings the image along: it is the OCI layout /image in it.
type Installer struct {
	kind                 vm.Kind
	disk, kernel, initrd string
	kvm                  bool
}

// NewInstaller makes the installer that runs image v1.
func NewInstaller(ctx context.Context, kind vm.Kind) (Installer, error) {
	return InstallerOf(ctx, kind, "v1")
}

// InstallerOf makes the installer that runs an image, a machine of a kind.
func InstallerOf(ctx context.Context, kind vm.Kind, image string) (Installer, error) {
	i := Installer{kind: kind}
	var dir, uml string
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		dir, err = installerDir(ctx, image)
		return err
	})
	if kind == vm.UML {
		group.Go(func() (err error) {
			uml, err = UML(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Installer{}, err
	}
	i.disk, i.kernel, i.initrd = filepath.Join(dir, "root.ext4"), uml, ""
	if kind == vm.UML {
		return i, nil // it has no modules that an initramfs would have to load
	}
	i.kernel, i.initrd = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initramfs.img")
	var err error
	i.kvm, err = kvm(ctx, i.kernel)
	return i, err
}

// installerDir returns the directory with the files of an installer.
func installerDir(ctx context.Context, image string) (string, error) {
	layout, err := Image(ctx, image)
	if err != nil {
		return "", err
	}
	return cached(ctx, "installer", keyOf("2", filepath.Base(layout)), func(ctx context.Context, dir string) error {
		return installerBuild(ctx, layout, image, dir)
	})
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
	if err := copyOnly(ctx, dir, tree, "vmlinuz", "usr/lib/modules/*/vmlinuz"); err != nil {
		return err
	}
	// A standalone initramfs boots nothing but images.
	if err := copyOnly(ctx, dir, tree, "initramfs.img", "usr/lib/test-machine/dracut.img", "usr/lib/modules/*/initramfs.img"); err != nil {
		return err
	}
	return makeExt4(ctx, filepath.Join(dir, "root.ext4"), tree, "3G")
}

// copyOnly copies what the first pattern that matches something in tree names to dir.
func copyOnly(ctx context.Context, dir, tree, name string, patterns ...string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil {
			return err
		}
		switch len(files) {
		case 0:
			continue
		case 1:
			return run(ctx, "cp", files[0], filepath.Join(dir, name))
		}
		return fmt.Errorf("image has %d files %s; want one", len(files), pattern)
	}
	return fmt.Errorf("image has no file %s", patterns[0])
}

// Config returns the machine with further disks. What it writes to its own root is
// forgotten when it is off.
func (i Installer) Config(dir string, others ...vm.Disk) vm.Config {
	// Where the host is busy, no tick may come while the kernel of a PC waits for one.
	device := "/dev/disk/by-id/virtio-installer no_timer_check"
	if i.kind == vm.UML {
		device = "/dev/ubda"
	}
	root := vm.Disk{Path: i.disk, Serial: "installer", Forget: true}
	return vm.Config{
		Kind: i.kind, Dir: dir,
		Kernel: i.kernel, Initrd: i.initrd, KVM: i.kvm,
		Cmdline: "root=" + device + " rw console=ttyS0 systemd.show_status=true",
		Disks:   append([]vm.Disk{root}, others...),
	}
}

// Installed describes a machine that an image was installed on, with a disk of its own
// and with a registry.
func (i Installer) Installed(dir, disk, registry string) vm.Config {
	cfg := vm.Config{Kind: i.kind, Dir: dir, CPUs: 1, KVM: i.kvm, Disks: []vm.Disk{
		{Path: disk, Serial: "root"}, {Path: registry, Serial: "registry", ReadOnly: true},
	}}
	if i.kind == vm.UML {
		cfg.Kernel = i.kernel
	} else {
		cfg.Disks[0].Format = "qcow2"
	}
	return cfg
}

// Own makes disk what a machine of this kind can write to, with the content of another
// disk in a format.
func (i Installer) Own(ctx context.Context, disk, from, format string) error {
	if i.kind == vm.UML {
		return vm.Copy(ctx, disk, from)
	}
	return vm.Overlay(ctx, disk, from, format)
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
