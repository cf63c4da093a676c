// Package machines tests what only a whole machine can show: booting, shutting
// down, and a disk that is full, broken or without power.
package machines

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// need skips a test where machines are not wanted or cannot be made. Waiting for a
// machine ends when it makes no progress (vm.ErrStuck), not after some time.
func need(t testing.TB) context.Context {
	t.Helper()
	if os.Getenv("SYSUPDATE_VM_TESTS") == "" {
		t.Skip("machines boot only with SYSUPDATE_VM_TESTS=1, as in make machines")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can unpack a Debian")
	}
	return t.Context()
}

// needLong is need for a test that takes longer than CI has time for.
func needLong(t *testing.T) context.Context {
	t.Helper()
	if os.Getenv("SYSUPDATE_VM_TESTS") != "long" {
		t.Skip("a test of half an hour runs only with SYSUPDATE_VM_TESTS=long, as in make machines-long")
	}
	return need(t)
}

// booted returns a machine of a kind that image v1 was installed on, once all of its
// units have started, with a registry that has these images. Its disk is its own, for
// as long as the test runs.
//
// A test asks for a PC if firmware or boot loader have a part in it, and for a UML if
// not, which boots in a fraction of the time.
func booted(ctx context.Context, t *testing.T, kind vm.Kind, images ...string) (*vm.Machine, vm.Config) {
	t.Helper()
	installer, err := disks.NewInstaller(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := disks.Registry(ctx, images...)
	if err != nil {
		t.Fatal(err)
	}
	from, err := installer.Boot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := installer.Installed(dir, filepath.Join(dir, "disk"), registry)
	if err := installer.Own(ctx, cfg.Disks[0].Path, from.Disk, "qcow2"); err != nil {
		t.Fatal(err)
	}
	first := cfg
	first.Saved = from.Saved
	m := vm.Boot(ctx, t, first)
	settled(ctx, t, m)
	return m, cfg
}

// installed describes a PC that image v1 was just installed on and that has not booted
// yet; see booted.
func installed(ctx context.Context, t *testing.T, images ...string) vm.Config {
	t.Helper()
	disk, err := disks.Installed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ownDisk(ctx, t, disk, images...)
}

// ownDisk is installed for a disk that something was installed on.
func ownDisk(ctx context.Context, t *testing.T, disk string, images ...string) vm.Config {
	t.Helper()
	installer, err := disks.NewInstaller(ctx, vm.PC)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := disks.Registry(ctx, images...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := installer.Installed(dir, filepath.Join(dir, "disk"), registry)
	if err := installer.Own(ctx, cfg.Disks[0].Path, disk, "raw"); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// contains fails the test unless text has all parts.
func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not say %q:\n%s", what, part, text)
		}
	}
}

// version returns what /etc/os-release says the machine runs.
func version(ctx context.Context, t *testing.T, m *vm.Machine) string {
	t.Helper()
	return m.Do(ctx, t, ". /etc/os-release && echo $IMAGE_VERSION")
}

// settled fails the test unless every unit of the boot started.
func settled(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	state, err := m.WaitSettled(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if state != "running" {
		t.Errorf("the machine is %s; want running\n%s", state, m.Do(ctx, t, "systemctl --no-pager --failed"))
	}
}

func reboot(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	if err := m.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
}

// blessed fails the test unless the boot was marked as good by our program.
func blessed(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "the blessing", m.Do(ctx, t, "systemctl start systemd-bless-boot.service && systemctl show --property=ExecStart systemd-bless-boot.service"),
		"finalize bless", "status=0")
}
