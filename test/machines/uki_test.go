package machines

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestUKI updates from a kernel with an initramfs and arguments of the boot entry
// to a sealed image, in which all of that is one file. Its first boot fails, and the second is
// good. Both kinds find the root by the label on the command line or by the partition's type.
func TestUKI(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "uki")
	m.Do(ctx, t, `set -e
echo tower > /etc/hostname
mount `+esp+` /mnt
sed -i 's/^options /options administrator=1 /' /mnt/loader/entries/*.conf
umount /mnt`)
	m.Do(ctx, t, keepJournal+" && systemctl --quiet enable systemd-boot-update.service")
	loaderIs(ctx, t, m, "257")
	// A distribution's kernel, which is not that of User Mode Linux.
	m.Do(ctx, t, "mkdir /run/image && sysupdate-image image mount booted /run/image && test -x /run/image/usr/bin/sysupdate-image && umount /run/image")
	failsOnce(ctx, t, m, "sysupdate-image apply "+uki)
	proves(ctx, t, m, "uki")
	blessed(ctx, t, m)
	updatesLoader(ctx, t, m, "no")

	cmdline := m.Do(ctx, t, "cat /proc/cmdline")
	contains(t, "the command line of the sealed image", cmdline, "root=LABEL=root", "composefs=", "test.addon=1")
	if strings.Contains(cmdline, "administrator=1") {
		t.Errorf("a sealed image has an argument that it was not sealed with: %s", cmdline)
	}
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower`)
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --json"), `"bootType": "Uki"`)
	contains(t, "boot entries", m.Do(ctx, t, "mount "+esp+" /mnt && cat /mnt/loader/entries/*; ls /mnt/loader/entries; umount /mnt"),
		".efi\n", "/vmlinuz\n")
	contains(t, "what the loader lists", m.Do(ctx, t, "bootctl --no-pager list --json=short"), `"type":"type1"`)
}

// TestUKIAndBack updates from a sealed image to one with a kernel of its own, and rolls back,
// with a newer boot loader.
func TestUKIAndBack(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "uki", "sid")
	m.Do(ctx, t, `set -e
mount `+esp+` /mnt
sed -i 's/^options /options administrator=1 /' /mnt/loader/entries/*.conf
umount /mnt
systemctl --quiet enable systemd-boot-update.service`)
	to(ctx, t, m, "sysupdate-image apply "+uki, "uki")
	m.Do(ctx, t, "echo castle > /etc/hostname")
	replaceLoader(ctx, t, m)
	to(ctx, t, m, "sysupdate-image apply "+sid, "sid")
	loaderIs(ctx, t, m, "26")
	t.Logf("kernel %s", m.Do(ctx, t, "uname -r"))
	blessed(ctx, t, m)
	contains(t, "the command line of the boot entry", m.Do(ctx, t, "cat /proc/cmdline"), "administrator=1", "console=ttyS0", "panic=0x1e")
	if got := m.Do(ctx, t, "cat /proc/sys/kernel/panic"); got != "30" {
		t.Errorf("a kernel on trial that panics reboots after %s seconds; want 30", got)
	}
	if got := m.Do(ctx, t, "mount "+esp+" /mnt && cat /mnt/loader/entries/*.conf; umount /mnt"); strings.Contains(got, "panic=") {
		t.Errorf("entries have what was for the trial:\n%s", got)
	}
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = castle`)
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")

	to(ctx, t, m, "sysupdate-image rollback", "uki")
	updatesLoader(ctx, t, m, "yes")
}

// updatesLoader fails the test unless the boot did or did not update the boot loader, "yes" or
// "no". Once it is marked as good, it may.
func updatesLoader(ctx context.Context, t *testing.T, m *vm.Machine, want string) {
	t.Helper()
	const result = "systemctl show --property=ConditionResult --value systemd-boot-update.service"
	if got := m.Do(ctx, t, result); got != want {
		t.Errorf("the boot updates the boot loader: %s; want %s", got, want)
	}
	if got := m.Do(ctx, t, "systemctl start systemd-boot-update.service; "+result); got != "yes" {
		t.Errorf("a good boot may update the boot loader: %s", got)
	}
}

// TestUKIFallback has a sealed image that never gets to boot-complete.target, and on trial
// replaces the boot loader by a newer one. The loader goes back to the image before all the
// same. Then the image is good, and blessed.
func TestUKIFallback(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "uki")
	loaderIs(ctx, t, m, "257")
	breakSealed(ctx, t, m, "")
	putLoader(ctx, t, m, "/etc/loader.efi")
	m.Do(ctx, t, `mkdir /etc/systemd/system/test-broken.service.d
cat > /etc/systemd/system/test-broken.service.d/loader.conf <<EOF
[Service]
ExecStartPre=/bin/sh -c "mount `+esp+` /mnt && `+loadersFrom("/etc/loader.efi")+` && umount /mnt"
EOF`)
	fallsBack(ctx, t, m)
	loaderIs(ctx, t, m, "26")

	m.Do(ctx, t, "rm -r /etc/systemd/system/test-broken.service*; systemctl daemon-reload")
	to(ctx, t, m, "sysupdate-image apply --force "+uki, "uki")
	blessed(ctx, t, m)
}

// fallsBack applies a sealed image that fails, and wants the machine back in version 1 after
// three boots of it.
func fallsBack(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	began := time.Now()
	m.Do(ctx, t, "sysupdate-image apply "+uki)
	startReboot(ctx, t, m)
	seen := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1")
	if seen == 0 {
		t.Error("the sealed image was never seen to run")
	}
	settled(ctx, t, m)
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "(uki)", "failed 3 times", "test-broken.service")
	t.Logf("back in version 1 after %s; %d boots of the sealed image were seen", time.Since(began).Round(time.Second), seen)
}

// putLoader writes Debian sid's systemd-boot to a file in the machine.
func putLoader(ctx context.Context, t *testing.T, m *vm.Machine, file string) {
	t.Helper()
	loaders, err := disks.Loader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := os.ReadFile(filepath.Join(loaders, "sid.efi"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFile(ctx, file, loader); err != nil {
		t.Fatal(err)
	}
}

// replaceLoader makes Debian sid's systemd-boot the machine's.
func replaceLoader(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	putLoader(ctx, t, m, "/run/loader.efi")
	m.Do(ctx, t, "mount "+esp+" /mnt && "+loadersFrom("/run/loader.efi")+" && umount /mnt")
}

// loadersFrom returns a command that replaces the loaders on the ESP, which is mounted at /mnt.
func loadersFrom(file string) string {
	return "cp " + file + " /mnt/EFI/systemd/systemd-bootx64.efi && cp " + file + " /mnt/EFI/BOOT/BOOTX64.EFI"
}

// loaderIs fails the test unless the loader that booted the machine has a version.
func loaderIs(ctx context.Context, t *testing.T, m *vm.Machine, version string) {
	t.Helper()
	contains(t, "LoaderInfo", m.Do(ctx, t, "cat /sys/firmware/efi/efivars/LoaderInfo-* | tr -d '\\000'"), "systemd-boot "+version)
}

// failsOnce runs a command that makes a sealed image boot, whose first boot fails, and
// waits for the second: the loader counts its boots by the entry, though the kernel is
// one file.
func failsOnce(ctx context.Context, t *testing.T, m *vm.Machine, command string) {
	t.Helper()
	breakSealed(ctx, t, m, "ConditionPathExists=!/var/lib/failed-once")
	m.Do(ctx, t, command)
	startReboot(ctx, t, m)
	waitFor(ctx, t, m, `cat /sys/firmware/efi/efivars/LoaderBootCountPath-* | tr -d '\000' | grep -ao '+.*' || true`, "+1-2.conf")
	contains(t, "the journal", messages(ctx, t, m, -1, msgBootFailed), "test-broken.service", "did not boot completely")
}

// breakSealed gives the machine a service that fails where the addon to the sealed image
// is, under one more condition.
func breakSealed(ctx context.Context, t *testing.T, m *vm.Machine, condition string) {
	t.Helper()
	m.Do(ctx, t, `set -e
cat > /etc/systemd/system/test-broken.service <<EOF
[Unit]
Description=Service that fails
ConditionKernelCommandLine=test.addon=1
`+condition+`
Before=boot-complete.target
[Service]
Type=oneshot
ExecStart=/usr/bin/mkdir -p /var/lib/failed-once
ExecStart=/usr/bin/false
[Install]
RequiredBy=boot-complete.target
EOF
systemctl --quiet enable test-broken.service
systemctl start test-registry`)
}

// to runs a command that makes another version boot, boots it, and waits until it
// has proved itself.
func to(ctx context.Context, t *testing.T, m *vm.Machine, command, want string) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry && "+command)
	reboot(ctx, t, m)
	proves(ctx, t, m, want)
}

// proves waits until the version that boots has proved itself.
func proves(ctx context.Context, t *testing.T, m *vm.Machine, want string) {
	t.Helper()
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != want {
		t.Fatalf("version %s runs; want %s\n%s", got, want, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	proved(ctx, t, m)
}

// proved waits until the loader does not count the boots of what runs any more.
func proved(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `for n in $(seq 100); do
  sysupdate-image status --json | grep -q '"state": "trying"' || exit 0
  sleep 0.3
done
exit 1`)
}
