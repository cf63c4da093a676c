package machines

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestInitramfs updates to images whose initramfs others than dracut have made. Each finds
// the root by its partition type, as there is no root= in its entry, and proves itself.
func TestInitramfs(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "initramfs_tools")
	m.Do(ctx, t, localChanges)
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:initramfs_tools")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	proved(ctx, t, m)
	asWithDracut(ctx, t, m)
	if got, want := version(ctx, t, m), "initramfs-tools"; got != want {
		t.Fatalf("version %s runs; want %s\n%s", got, want, m.Do(ctx, t, "sysupdate-image status"))
	}
}

// TestGivenInitramfs boots with each initramfs that SYSUPDATE_INITRAMFS names, files
// separated by colons. They are for the kernel of image v1. This is for tools that no
// Debian has.
func TestGivenInitramfs(t *testing.T) {
	files := filepath.SplitList(os.Getenv("SYSUPDATE_INITRAMFS"))
	if len(files) == 0 {
		t.Skip("SYSUPDATE_INITRAMFS names no initramfs to boot with")
	}
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "v1")
	m.Do(ctx, t, localChanges)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WriteFile(ctx, "/run/initramfs.img", data); err != nil {
			t.Fatal(err)
		}
		m.Do(ctx, t, "initramfs=/run/initramfs.img\n"+useInitramfs)
		reboot(ctx, t, m)
		t.Log(file)
		bootedWell(ctx, t, m)
	}
}

// TestInitramfsMatrix boots with each initramfs on each kernel and file system: a standalone
// one, dracut's with systemd, and initramfs-tools'. mkinitcpio is in no Debian: see
// TestGivenInitramfs.
func TestInitramfsMatrix(t *testing.T) {
	ctx := needLong(t)
	for name, install := range map[string]func(context.Context) (string, error){
		"ext4": disks.Installed, "btrfs": disks.InstalledOnBtrfs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, err := install(ctx)
			if err != nil {
				t.Fatal(err)
			}
			m := vm.Boot(ctx, t, ownDisk(ctx, t, disk, "initramfs_tools", "sid", "sid_initramfs_tools"))
			settled(ctx, t, m)
			m.Do(ctx, t, localChanges)
			m.Do(ctx, t, "systemctl start test-registry")
			contains(t, "the root", m.Do(ctx, t, "findmnt --noheadings --output FSTYPE /sysroot"), name)

			const build = "sysupdate-image initramfs build -o /run/initramfs.img"
			bootWith(ctx, t, m, build, "/run/initramfs.img")
			m.Do(ctx, t, isStandalone)
			bootWith(ctx, t, m, "", "/usr/lib/test-machine/dracut.img")
			bootImage(ctx, t, m, "initramfs_tools")
			bootImage(ctx, t, m, "sid") // by dracut
			contains(t, "the timeline", m.Do(ctx, t, "sysupdate-image boot-timeline"), "kernel", "sysroot.mount", "prepare the root", "boot-complete.target")
			bootWith(ctx, t, m, build, "/run/initramfs.img")
			m.Do(ctx, t, isStandalone)
			bootImage(ctx, t, m, "sid_initramfs_tools")
		})
	}
}

// bootWith boots what is running with an initramfs that a command makes.
func bootWith(ctx context.Context, t *testing.T, m *vm.Machine, command, file string) {
	t.Helper()
	m.Do(ctx, t, command+"\nsysupdate-image rm rollback || true") // one entry is left to change
	m.Do(ctx, t, "initramfs="+file+"\n"+useInitramfs)
	reboot(ctx, t, m)
	bootedWell(ctx, t, m)
	t.Logf("%s with %s on %s: %s", m.Do(ctx, t, "uname -r"), file, t.Name(), untilSystem(ctx, t, m))
}

// bootImage updates to an image and boots it.
func bootImage(ctx context.Context, t *testing.T, m *vm.Machine, image string) {
	t.Helper()
	m.Do(ctx, t, "sysupdate-image apply 127.0.0.1:5000/os:"+image)
	reboot(ctx, t, m)
	bootedWell(ctx, t, m)
	t.Logf("%s with image %s on %s: %s", m.Do(ctx, t, "uname -r"), image, t.Name(), untilSystem(ctx, t, m))
}

const localChanges = "echo tower > /etc/hostname && echo data > /var/lib/data && sync"

// bootedWell fails the test unless a PC has booted as with dracut's initramfs.
func bootedWell(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	settled(ctx, t, m)
	blessed(ctx, t, m)
	asWithDracut(ctx, t, m)
}

// asWithDracut fails the test unless the file systems are those that dracut's initramfs mounts.
func asWithDracut(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
	contains(t, "/sysroot", m.Do(ctx, t, "findmnt --noheadings --output OPTIONS /sysroot"), "ro,nosuid,nodev,noexec")
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower && test "$(cat /var/lib/data)" = data`)
	contains(t, "the root partition", m.Do(ctx, t, "readlink /run/systemd/volatile-root"), "/dev/block/")
}
