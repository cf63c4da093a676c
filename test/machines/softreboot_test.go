package machines

import (
	"context"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

const v1 = "127.0.0.1:5000/os:v1"

// TestSoftReboot updates a machine to a system that does not get to boot-complete.target
// after a soft reboot, and then to one that does. Where the kernel is another one, it refuses.
func TestSoftReboot(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v1", "v2", "sid")
	m.Do(ctx, t, keepJournal)
	m.Do(ctx, t, `systemctl start test-registry
useradd --uid 4242 alice && echo tower > /etc/hostname && echo data > /var/lib/data && echo marker > /run/marker`)
	contains(t, "apply --plan", m.Do(ctx, t, "sysupdate-image apply --plan --soft-reboot=required "+v2+" 2>&1"),
		"No soft reboot: this can only be checked after all layers are downloaded")
	contains(t, "apply of another kernel", m.Fails(ctx, t, 1, "sysupdate-image apply --soft-reboot=required "+sid),
		"no soft reboot can continue with this image: its kernel or initramfs differs from the running one", "--soft-reboot=auto")
	nothingStaged(ctx, t, m)
	contains(t, "apply --plan", m.Fails(ctx, t, 1, "sysupdate-image apply --plan --soft-reboot=required "+sid), "its kernel or initramfs differs")
	m.Fails(ctx, t, 1, "test -e /run/sysupdate-image/soft-reboot.json")

	failsAfterSoftReboot(ctx, t, m)
	m.Do(ctx, t, "systemctl start test-registry && echo marker > /run/marker")
	contains(t, "apply", m.Do(ctx, t, "sysupdate-image apply --soft-reboot=required "+v1),
		"takes effect at the next reboot or soft reboot, deployment ")
	m.Do(ctx, t, "echo late > /etc/late.conf && test ! -d /run/nextroot/usr")
	softReboots(ctx, t, m)
}

// softReboots restarts user space, which is that of version 1 then.
func softReboots(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	const kernel = "cat /proc/sys/kernel/random/boot_id"
	before := m.Do(ctx, t, kernel)
	if err := m.SoftReboot(ctx); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("after the soft reboot version %s runs; want 1\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b | tail -n 150"))
	}
	if after := m.Do(ctx, t, kernel); after != before {
		t.Errorf("the kernel was started again: its boot is %s, before it was %s", after, before)
	}
	m.Do(ctx, t, `set -e
test "$(cat /run/marker)" = marker
test "$(cat /etc/hostname)" = tower && test "$(cat /etc/late.conf)" = late && id alice
test "$(cat /var/lib/data)" = data && echo more > /var/lib/data && useradd bob
touch /var/lib/dpkg/status`)
	m.Do(ctx, t, "test -e /usr/share/test-machine/only-in-1")
	contains(t, "mounts", m.Do(ctx, t, "findmnt --noheadings --list --output TARGET,OPTIONS,PROPAGATION --submounts /"), "/sysroot ")
	contains(t, "/sysroot", m.Do(ctx, t, "findmnt --noheadings --output OPTIONS,PROPAGATION /sysroot"), "ro,nosuid,nodev,noexec", "shared")
	contains(t, "/var", m.Do(ctx, t, "findmnt --noheadings --output OPTIONS /var"), "rw,relatime")
	if out := m.Do(ctx, t, "findmnt --noheadings --list --output TARGET | grep nextroot || true"); out != "" {
		t.Errorf("mounts are left:\n%s", out)
	}
	contains(t, "the journal", m.Do(ctx, t, "journalctl --no-pager --output=cat -b -t sysupdate-image-finalize"),
		" boots next", "the soft reboot continues with deployment ", "was staged, and runs")
	status := m.Do(ctx, t, "sysupdate-image status")
	contains(t, "status", status, "booted", "(1)", "rollback")
	nothingStaged(ctx, t, m)
	if out := m.Do(ctx, t, "mount "+esp+" /mnt && ls /mnt/loader/entries; umount /mnt"); strings.Contains(out, "+") {
		t.Errorf("an entry is still on trial:\n%s", out)
	}
}

// failsAfterSoftReboot soft-reboots into version 2, where a unit fails. The machine then
// reboots, and by that boots what the loader has first, which is that version on trial.
func failsAfterSoftReboot(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `set -e
cat > /etc/systemd/system/test-broken.service <<EOF
[Unit]
Description=Service that fails after a soft reboot
ConditionPathExists=/run/marker
ConditionPathExists=!/usr/share/test-machine/only-in-1
Before=boot-complete.target
[Service]
Type=oneshot
ExecStart=/usr/bin/false
[Install]
RequiredBy=boot-complete.target
EOF
systemctl --quiet enable test-broken.service
# This boot is a complete one, as after an update. That says nothing of what comes after it.
systemctl start test-registry boot-complete.target`)
	if err := m.RebootBy(ctx, "sysupdate-image apply --reboot --soft-reboot=auto "+v2); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Errorf("after a soft reboot that failed, version %s runs; want 2", got)
	}
	contains(t, "the journal", messages(ctx, t, m, -1, msgBootFailed), "test-broken.service", "did not boot completely")
	contains(t, "the journal", m.Do(ctx, t, "journalctl --no-pager --output=cat -b -1 -t sysupdate-image-health"), "rebooting; tries left: 3")
	m.Do(ctx, t, `test "$(cat /var/lib/data)" = data && id alice`)
	// Its boots are counted by its own record, as those of each image.
	contains(t, "the blessing", m.Do(ctx, t, "systemctl start sysupdate-image-bless.service && systemctl show --property=ExecStart sysupdate-image-bless.service"),
		"finalize bless", "status=0")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "(2)")
}
