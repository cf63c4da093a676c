package machines

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// A User Mode Linux stands for every machine whose loader counts nothing: only the initramfs
// does.

// TestCounter updates such a machine to an image that never gets to boot-complete.target. The
// initramfs goes back to the old one after three boots, which stays the next from then on and
// knows what was wrong.
func TestCounter(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "broken")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken")
	began := time.Now()
	startReboot(ctx, t, m)
	boots := waitFor(ctx, t, m, imageVersion, "1")
	if boots != 3 {
		t.Errorf("back in version 1 after %d boots of version 3; want 3", boots)
	}
	settled(ctx, t, m)
	t.Logf("back in version 1 after %d boots and %.0f s", boots+1, time.Since(began).Seconds())
	contains(t, "the console", m.Console(), "has used up its 3 boots: booting ")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed 3 times", "test-broken.service")
	failedHere(ctx, t, m)

	// The loader has a new first entry; a timer leaves the image alone.
	contains(t, "apply", m.Fails(ctx, t, 1, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken"), "failed to boot here")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	contains(t, "the command line", m.Do(ctx, t, "cat /proc/cmdline"), "composefs="+m.Do(ctx, t, bootedID))
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted")
	failedHere(ctx, t, m)
}

// failedHere wants the history and the journal to tell of version 3 that it was staged, failed
// in three boots, and was undone once.
func failedHere(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	history := m.Do(ctx, t, "sysupdate-image history")
	t.Log(history)
	for text, n := range map[string]int{"  staged 3 (": 1, "  3 (": 3, ") failed to boot\n": 3, "  fell back to 1 (": 1, ", from 3 (": 1} {
		if got := strings.Count(history+"\n", text); got != n {
			t.Errorf("the history has %q %d times, want %d", text, got, n)
		}
	}
	if i := strings.Index(history, "fell back"); i < strings.LastIndex(history, "failed to boot") {
		t.Error("the history has falling back before the last failure")
	}
}

const (
	imageVersion = ". /etc/os-release && echo $IMAGE_VERSION"
	isBlessed    = "until systemctl is-active sysupdate-image-bless.service; do sleep 1; done; sync"
	bootedID     = "findmnt --noheadings --output SOURCE / | sed 's/.*://'"
)

// TestCounterFixed boots a kernel with a command line that nothing in the machine can change,
// and that names an update whose image is gone. It comes up with the old one, each time.
func TestCounterFixed(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	cfg, id := published(ctx, t)
	initrd, options, err := vm.Entry(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Initrd, cfg.Cmdline = initrd, strings.Join(options, " ")
	debugfs(ctx, t, cfg.Disks[0].Path, "unlink /composefs/images/"+id)
	began := time.Now()
	m := vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	t.Logf("an image that is gone: %d boots, %.0f s", strings.Count(m.Console(), "Linux version"), time.Since(began).Seconds())
	contains(t, "the console", m.Console(), "the repository has no image", "Boots left until deployment", "has used up its 3 boots: booting ")
	for range 2 {
		if got := version(ctx, t, m); got != "1" {
			t.Fatalf("version %s runs; want 1", got)
		}
		contains(t, "the command line", m.Do(ctx, t, "cat /proc/cmdline"), "composefs="+id)
		contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed", "it failed in the initramfs: cannot mount ", "the repository has no image")
		reboot(ctx, t, m)
		settled(ctx, t, m)
	}
}

// TestCounterPowerCuts cuts the power at each stage of the boots of an update, which then has
// no boots left; and of one that has proved itself, which stays.
func TestCounterPowerCuts(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	cfg, _ := published(ctx, t)
	stages := []string{"Run /init as init process", "sysupdate-image-init: starting", "Reached target slices.target", "Reached target local-fs.target"}
	began := time.Now()
	for _, stage := range stages {
		m := vm.Launch(ctx, t, cfg)
		if err := m.WaitConsole(ctx, stage); err != nil {
			t.Fatal(err)
		}
		m.Kill()
	}
	// The first cut came before anything was counted.
	m := vm.Boot(ctx, t, cfg)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("with no boots left, version %s runs; want 1", got)
	}
	settled(ctx, t, m)
	t.Logf("power cuts: %d boots, %.0f s", len(stages)+1, time.Since(began).Seconds())
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "it left the initramfs, but did not get as far")

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --force "+v2)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, isBlessed)
	m.Kill()
	for i := range 5 {
		m := vm.Launch(ctx, t, cfg)
		if err := m.WaitConsole(ctx, stages[i%len(stages)]); err != nil {
			t.Fatal(err)
		}
		m.Kill()
	}
	m = vm.Boot(ctx, t, cfg)
	if got := version(ctx, t, m); got != "2" {
		t.Errorf("after five power cuts of a good deployment version %s runs; want 2", got)
	}
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted")
}

// TestCounterGood breaks the image of a deployment that has proved itself. After three failures
// in the initramfs the one before it is booted, and stays.
func TestCounterGood(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	cfg, id := published(ctx, t)
	m := vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	m.Do(ctx, t, isBlessed)
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	debugfs(ctx, t, cfg.Disks[0].Path, "unlink /composefs/images/"+id)
	began := time.Now()
	m = vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	t.Logf("an image that was good and is gone: %d boots, %.0f s", strings.Count(m.Console(), "Linux version"), time.Since(began).Seconds())
	contains(t, "the console", m.Console(), "After 3 failures deployment", "has failed 3 times in the initramfs")
	for range 2 {
		if got := version(ctx, t, m); got != "1" {
			t.Fatalf("version %s runs; want 1", got)
		}
		contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed", "it failed in the initramfs: cannot mount ", "the repository has no image")
		reboot(ctx, t, m)
		settled(ctx, t, m)
	}
	contains(t, "the command line", m.Do(ctx, t, "cat /proc/cmdline"), "composefs="+m.Do(ctx, t, bootedID))
}

// published returns a machine, switched off, that version 2 was published on, and the id of
// that deployment.
func published(ctx context.Context, t *testing.T) (vm.Config, string) {
	t.Helper()
	m, cfg := booted(ctx, t, vm.UML, "v2")
	m.Do(ctx, t, keepJournal)
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+v2)
	id := m.Do(ctx, t, `sed -n 's/.*"depl_id": *"\([0-9a-f]*\)".*/\1/p' /sysroot/state/sysupdate-image/staged.json`)
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	return cfg, id
}

// TestCounterKexec has a PC, whose kernel QEMU boots with a fixed command line, fall back from
// an update with another kernel: the kernel of the old deployment is loaded from its image.
func TestCounterKexec(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, cfg := booted(ctx, t, vm.PC, "sid")
	old := m.Do(ctx, t, "uname -r")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+sid)
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(cfg.Dir, "raw")
	if out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-O", "raw", cfg.Disks[0].Path, raw).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	cfg.Disks[0].Path, cfg.Disks[0].Format = raw, "raw"
	kernel, err := vm.EntryKernel(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	initrd, options, err := vm.Entry(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	options = slices.DeleteFunc(options, func(arg string) bool { return strings.HasPrefix(arg, "root=") })
	cfg.Kernel, cfg.Initrd, cfg.Cmdline = kernel, initrd, strings.Join(options, " ")+" root=/dev/vda2 init=/usr/bin/none"
	began := time.Now()
	m = vm.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	t.Logf("an init that does not exist, and another kernel: %d boots, %.0f s", strings.Count(m.Console(), "Linux version"), time.Since(began).Seconds())
	contains(t, "the console", m.Console(), "the image has no program to start", "takes its place, by its own kernel")
	if got := version(ctx, t, m); got != "1" {
		t.Errorf("version %s runs; want 1", got)
	}
	if got := m.Do(ctx, t, "uname -r"); got != old {
		t.Errorf("kernel %s runs; want %s", got, old)
	}
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed", "the image has no program to start")
}

// TestCounterOneShot breaks a deployment that has proved itself, on a PC that does not let one
// kernel start another. After three failures in the initramfs the boot loader is told to boot
// the one before, by its own kernel.
func TestCounterOneShot(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "sid")
	m.Do(ctx, t, keepJournal)
	old := m.Do(ctx, t, "uname -r")
	to(ctx, t, m, "sysupdate-image apply "+sid, "sid")
	m.Do(ctx, t, `set -e
mount `+esp+` /mnt
sed -i 's/^options /options lockdown=integrity /' /mnt/loader/entries/*.conf
umount /mnt
object=$(readlink -f /sysroot/composefs/images/$(`+bootedID+`))
`+damages)
	began, before := time.Now(), bootsOf(m)
	startReboot(ctx, t, m)
	waitBack(ctx, t, m)
	settled(ctx, t, m)
	t.Logf("a good image that is damaged, another kernel and no kexec: %d boots, %.0f s", bootsOf(m)-before, time.Since(began).Seconds())
	contains(t, "the console", m.Console(), "takes its place, by its own kernel")
	for range 2 {
		if got := m.Do(ctx, t, "uname -r"); got != old {
			t.Fatalf("kernel %s runs; want %s", got, old)
		}
		contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed", "it failed in the initramfs: ")
		reboot(ctx, t, m)
		settled(ctx, t, m)
	}
}
