package machines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestStandalone builds a standalone initramfs in a machine and boots with it. The firmware
// and the boot loader start it, once without root=, when it finds the root by its type, and is
// blessed; and once with root=UUID=. BenchmarkEarlyBoot has how long each initramfs takes.
func TestStandalone(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "v1")
	m.Do(ctx, t, "initramfs=/run/initramfs.img\nsysupdate-image initramfs build -o $initramfs\n"+useInitramfs)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	t.Logf("from /init to the system's systemd: %s", untilSystem(ctx, t, m))
	timeline := m.Do(ctx, t, "sysupdate-image boot-timeline")
	contains(t, "the timeline", timeline, "kernel", "find the root", "mount the root", "prepare the root")
	t.Log(m.Do(ctx, t, "dmesg | grep sysupdate-image-init"), timeline)
	m.Do(ctx, t, isStandalone)
	m.Do(ctx, t, "systemctl is-active boot-complete.target && ! ls /boot/loader/entries | grep '[+]'")
	contains(t, "the command line", m.Do(ctx, t, "grep -c root= /proc/cmdline || true"), "0")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "booted")
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")

	m.Do(ctx, t, `sed -i "s|^options |options root=UUID=$(findmnt --noheadings --output UUID /sysroot) |" /boot/loader/entries/*.conf`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, isStandalone+" && grep root=UUID= /proc/cmdline")
}

// useInitramfs puts $initramfs in the place of the one that boots, and has the boot loader
// count the next boots.
const useInitramfs = `set -e
ls -l $initramfs
cp $initramfs /boot$(sed -n 's/^initrd *//p' /boot/loader/entries/*.conf)
for entry in /boot/loader/entries/*.conf; do mv $entry ${entry%.conf}+3.conf; done
sync`

// isStandalone fails unless the initramfs had no systemd, and handed over what it should.
const isStandalone = `set -e
test "$(dmesg | grep -c 'systemd.*running in system mode')" = 1
test "$(sysupdate-image boot-timeline | grep -c 'prepare the root')" = 1
test -b "$(readlink /run/systemd/volatile-root)"
test ! -e /run/initramfs
if dmesg | grep 'sysupdate-image-init: cannot'; then exit 1; fi
test "$(cat /proc/sys/kernel/modprobe)" != /init
findmnt /sysroot`

// untilSystem returns the time from the start of the initramfs's first program to the
// system's systemd.
func untilSystem(ctx context.Context, t *testing.T, m *vm.Machine) time.Duration {
	t.Helper()
	log := m.Do(ctx, t, `dmesg | grep -e 'Run /init as' -e 'systemd\[1\]: systemd .* running in system mode'`)
	var times []float64
	for _, match := range regexp.MustCompile(`(?m)^\[ *([0-9.]+)\]`).FindAllStringSubmatch(log, -1) {
		seconds, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, seconds)
	}
	if len(times) < 2 || !strings.Contains(log, "Run /init") {
		t.Fatalf("the kernel's log has no times to compare:\n%s", log)
	}
	return time.Duration((times[len(times)-1] - times[0]) * float64(time.Second)).Round(time.Millisecond)
}

// TestStandaloneFails boots machines that cannot start. Each shows why, and switches itself
// off as it was told to.
func TestStandaloneFails(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	kernel, initramfs, err := disks.Standalone(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const uuid = "01234567-89ab-cdef-0123-456789abcdef"
	ext4 := plainDisk(t, "mkfs.ext4", "-q", "-U", uuid)
	luks := plainDisk(t, "sh", "-c", `printf 'LUKS\272\276\0\2' | dd of=$0 conv=notrunc`)
	one := vm.Disk{Path: ext4, Serial: "one", Forget: true}
	late := vm.Disk{Path: ext4, Serial: "late", Forget: true, Late: true}
	for _, tt := range []struct {
		name, cmdline, want string
		disks               []vm.Disk
	}{
		{"no root device", "root=LABEL=none rootwait=5", "no device has LABEL=none after 5s; found: /dev/vda (ext4)", []vm.Disk{one}},
		{"two with one UUID", "root=UUID=" + uuid, "cannot choose the root: /dev/vda and /dev/vdb have UUID=" + uuid, []vm.Disk{one, {Path: ext4, Serial: "two", Forget: true}}},
		{"LUKS", "root=/dev/vda", "/dev/vda holds LUKS encryption, which a standalone initramfs does not support", []vm.Disk{{Path: luks, Serial: "luks"}}},
		{"a shell is asked for", "rd.break", "rd.break needs a shell, but a standalone initramfs has none", nil},
		{"nothing to boot", "composefs=nonsense root=/dev/vda", "cannot find what to boot", []vm.Disk{one}},
		// It is found, but holds no deployment.
		{"late", "root=UUID=" + uuid, "no repository on the physical root", []vm.Disk{late}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(tt.cmdline, "composefs") {
				tt.cmdline += " composefs=" + strings.Repeat("a", 64)
			}
			m := vm.Launch(ctx, t, vm.Config{
				Kind: vm.PC, Kernel: kernel, Initrd: initramfs, MemoryMiB: 128, Disks: tt.disks,
				Cmdline: "console=ttyS0 no_timer_check panic=1 sysupdate-image.on-failure=poweroff " + tt.cmdline,
			})
			if len(tt.disks) > 0 && tt.disks[0].Late {
				if err := errors.Join(m.WaitConsole(ctx, "Run /init"), pause(ctx, 20*time.Second), m.Plug(ctx, 0, tt.disks[0])); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.WaitOff(ctx); err != nil {
				t.Fatal(err)
			}
			contains(t, "the console", m.Console(), "This system cannot start:", tt.want, "The machine is switched off in 5 seconds.")
			// An emulated machine on a busy host can panic before that, and starts again.
			if _, since, _ := strings.Cut(m.Console(), "Run /init"); strings.Contains(since, "Kernel panic") {
				t.Error("/init has ended")
			}
		})
	}
}

// TestOldKernel boots Debian 12's kernel, which cannot mount images, and says so.
func TestOldKernel(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	kernel, initramfs, err := disks.StandaloneOld(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("a", 64)
	root := t.TempDir()
	for _, dir := range []string{"composefs/images", "state/deploy/" + id} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := vm.Launch(ctx, t, vm.Config{
		Kind: vm.PC, Kernel: kernel, Initrd: initramfs, MemoryMiB: 256,
		Disks:   []vm.Disk{{Path: plainDisk(t, "mkfs.ext4", "-q", "-d", root), Serial: "root", Forget: true}},
		Cmdline: "console=ttyS0 no_timer_check panic=1 sysupdate-image.on-failure=poweroff root=/dev/vda composefs=" + id,
	})
	if err := m.WaitOff(ctx); err != nil {
		t.Fatal(err)
	}
	contains(t, "the console", m.Console(),
		"cannot prepare the root of deployment aaaaaaaaaaaa: this kernel cannot mount composefs images: its overlayfs has no fs-verity, which came with Linux 6.6 (this is 6.1.")
}

// plainDisk makes a small disk that holds what a program writes to it.
func plainDisk(t *testing.T, program ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 32<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program[0], append(program[1:], name)...).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%v: %w\n%s", program, err, out))
	}
	return name
}

// pause waits for a disk to be late.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
