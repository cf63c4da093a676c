package machines

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// toDisk installs image v1 on a whole disk with one command, which is read back, and refuses to do it twice.
const toDisk = `
disk=/dev/disk/by-id/virtio-target
sysupdate-image install to-disk $disk --image oci:/image:v1 OPTIONS
sysupdate-image install verify $disk
! sysupdate-image install to-disk $disk --image oci:/image:v1`

// installDisk installs on a whole disk in a machine, and returns it.
func installDisk(ctx context.Context, t *testing.T, installer disks.Installer, options string) string {
	t.Helper()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	steps := []disks.Step{{Title: "install to-disk", Script: strings.ReplaceAll(toDisk, "OPTIONS", options)}}
	err := installer.Install(ctx, dir, disk, steps, func(_ disks.Step, r vm.Result) {
		contains(t, "the output", r.Stdout, "fs-verity: enabled while installing", "Deployed Debian", "fs-verity                       enabled, and required",
			"/virtio-target boots Debian", "is not empty: it has partition 1,", "a partition table (GPT)")
	})
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// bootDisk boots a disk that was installed. The test fails unless version 1 runs and
// fs-verity is required.
func bootDisk(ctx context.Context, t *testing.T, cfg vm.Config) (m *vm.Machine, cmdline string) {
	t.Helper()
	m = vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	if v := version(ctx, t, m); v != "1" {
		t.Errorf("version %q runs; want 1", v)
	}
	cmdline = m.Do(ctx, t, "cat /proc/cmdline")
	if strings.Contains(cmdline, "composefs=?") {
		t.Errorf("the kernel command line is %q; want one that requires fs-verity", cmdline)
	}
	return m, cmdline
}

// TestToDisk installs on a disk, and boots it.
func TestToDisk(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	disk := installDisk(ctx, t, installer, "")
	cfg := installer.Installed(t.TempDir(), disk, disk)
	cfg.Disks = cfg.Disks[:1]
	m, _ := bootDisk(ctx, t, cfg)
	contains(t, "the root", m.Do(ctx, t, "findmnt --noheadings --output FSTYPE,PARTLABEL /sysroot"), "ext4", "root")
}

// TestToImage makes disk images on the host, whose kernel may have neither fs-verity nor FAT:
// as root, with mounts, and as another user, without. Their first boot enables fs-verity, and the
// next one requires it, and so does an update.
func TestToImage(t *testing.T) {
	for name, tt := range map[string]struct {
		as         []string // the command that becomes another user
		fileSystem string
		says       string // on the kernel command line
		loader     string
	}{
		"root": {nil, "btrfs", "rootflags=subvol=/", deployment.SystemdBoot},
		"user": {[]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/nonexistent"}, "ext4", "composefs=?", deployment.SystemdBoot},
		// Nothing is on the disk but the entry, by which User Mode Linux boots.
		"without a loader": {nil, "ext4", "root=UUID=", deployment.NoLoader},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := needLong(t)
			installer, err := disks.NewInstaller(ctx, vm.UML)
			if err != nil {
				t.Fatal(err)
			}
			registry, err := disks.Registry(ctx, "v2")
			if err != nil {
				t.Fatal(err)
			}
			disk := makeImage(ctx, t, tt.as, "--filesystem", tt.fileSystem, "--bootloader", tt.loader)
			m := vm.Boot(ctx, t, installer.Installed(filepath.Dir(disk), disk, registry))
			settled(ctx, t, m)
			contains(t, "the root", m.Do(ctx, t, "findmnt --noheadings --output FSTYPE,PARTLABEL /sysroot; cat /proc/cmdline"), tt.fileSystem, tt.says)
			contains(t, "the loader", m.Do(ctx, t, "sysupdate-image status --verbose"), "Loader: "+tt.loader)
			contains(t, "the unit", m.Do(ctx, t, "journalctl --unit=sysupdate-image-protect.service"), "Enabled fs-verity for all files")
			reboot(ctx, t, m)
			settled(ctx, t, m)
			contains(t, "the unit", m.Do(ctx, t, "systemctl is-failed sysupdate-image-protect.service || :"), "inactive")
			requiresVerity(ctx, t, m)
			m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --insecure-registry 127.0.0.1:5000/os:v2")
			reboot(ctx, t, m)
			if v := version(ctx, t, m); v != "2" {
				t.Errorf("version %q runs after an update; want 2", v)
			}
			requiresVerity(ctx, t, m)
			contains(t, "the repository", m.Do(ctx, t, "sysupdate-image repo fsck"), "No problems")
		})
	}
}

// requiresVerity fails unless a machine has booted with fs-verity required.
func requiresVerity(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	if cmdline := m.Do(ctx, t, "cat /proc/cmdline"); !strings.Contains(cmdline, "composefs=") || strings.Contains(cmdline, "composefs=?") {
		t.Errorf("the kernel command line is %q; want one that requires fs-verity", cmdline)
	}
	if status := m.Do(ctx, t, "sysupdate-image status"); strings.Contains(status, "fs-verity") {
		t.Errorf("status says that fs-verity is not required:\n%s", status)
	}
}

// makeImage has the program make a disk image of version 1.
func makeImage(ctx context.Context, t *testing.T, as []string, options ...string) string {
	t.Helper()
	layout, err := disks.Image(ctx, "v1")
	if err != nil {
		t.Fatal(err)
	}
	repository, err := disks.Repository()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "to-image-") // that everybody reaches
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	disk := filepath.Join(dir, "disk.raw")
	install := append(as, dir+"/sysupdate-image", "install", "to-image", disk, "--image", "oci:"+dir+"/image:v1")
	for _, args := range [][]string{
		{"make", "--silent", "-C", repository, "OUT=" + dir, "sysupdate-image"},
		{"cp", "-r", layout, dir + "/image"},
		{"chmod", "-R", "a+rX", dir},
		{"chmod", "a+w", dir},
		append(install, options...),
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return disk
}

// TestToDiskFirmware has the firmware boot a disk whose kernels are on an extended boot
// loader partition, and the root is found by its type. The image has no /efi.
func TestToDiskFirmware(t *testing.T) {
	ctx := needLong(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	disk := installDisk(ctx, t, installer, "--xbootldr-size 512M --karg systemd.mask=efi.automount")
	m, cmdline := bootDisk(ctx, t, ownDisk(ctx, t, disk, "v2"))
	if strings.Contains(cmdline, "root=") {
		t.Errorf("the kernel command line is %q; want one without root=", cmdline)
	}
	contains(t, "the partitions", m.Do(ctx, t, "lsblk --noheadings --output PARTLABEL"), "esp", "xbootldr", "root")
	contains(t, "the loader", m.Do(ctx, t, "bootctl status --no-pager"), "on the Extended Boot Loader Partition")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --insecure-registry 127.0.0.1:5000/os:v2")
	reboot(ctx, t, m)
	if v := version(ctx, t, m); v != "2" {
		t.Errorf("version %q runs after an update; want 2", v)
	}
}
