package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestKexec updates to an image with another kernel, which the running one starts. A kernel
// that is locked down refuses.
func TestKexec(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, cfg := booted(ctx, t, vm.PC, "v1", "sid")
	m.Do(ctx, t, keepJournal)
	refusesKexec(ctx, t, m)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	kexecs(ctx, t, m, cfg)
}

// kexecs has the running kernel start that of image sid. The image stays on trial, and
// after a power cut the boot loader boots the same.
func kexecs(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) {
	t.Helper()
	const kernel = "uname --kernel-release"
	before := m.Do(ctx, t, kernel)
	m.Do(ctx, t, "systemctl start test-registry && echo late > /etc/late.conf")
	if err := m.RebootBy(ctx, "sysupdate-image apply --kexec "+sid); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "sid" {
		t.Fatalf("after kexec version %s runs; want sid\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	if after := m.Do(ctx, t, kernel); after == before {
		t.Errorf("kernel %s runs, as before", after)
	}
	contains(t, "the kernel's loader", m.Do(ctx, t, "cat /proc/sys/kernel/bootloader_type"), "20")
	contains(t, "the command line", m.Do(ctx, t, "cat /proc/cmdline"), "composefs=")
	m.Do(ctx, t, `test "$(cat /etc/late.conf)" = late`)
	contains(t, "the blessing", m.Do(ctx, t, "systemctl start sysupdate-image-bless.service && journalctl --no-pager --output=cat -b -t sysupdate-image-finalize"),
		"stays on trial until the boot loader has booted it")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "on trial: ", "another kernel started this one (kexec)")
	m.Do(ctx, t, "sync")
	m.Kill()
	m = vm.Boot(ctx, t, cfg)
	proves(ctx, t, m, "sid")
}

// refusesKexec locks the running kernel down, which does not trust the signature of any other
// then.
func refusesKexec(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "echo integrity > /sys/kernel/security/lockdown && systemctl start test-registry")
	contains(t, "apply --kexec", m.Fails(ctx, t, 1, "sysupdate-image apply --kexec "+sid),
		"the running kernel cannot start the image's kernel: the running kernel is locked down (integrity) and does not trust the signature of the new one")
	nothingStaged(ctx, t, m)
}
