// Package machines tests what only a whole machine can show: booting, shutting
// down, and a disk that is full, broken or without power.
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

// need skips a test where machines are not wanted or cannot be made, and returns
// a context that ends in time for the test to say what went wrong.
func need(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	if os.Getenv("SYSUPDATE_VM_TESTS") == "" {
		t.Skip("machines boot only with SYSUPDATE_VM_TESTS=1, as in make machines")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can unpack a Debian")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// needLong is need for a test that takes longer than CI has time for.
func needLong(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	if os.Getenv("SYSUPDATE_VM_TESTS") != "long" {
		t.Skip("a test of half an hour runs only with SYSUPDATE_VM_TESTS=long, as in make machines-long")
	}
	return need(t, limit)
}

// installed describes a machine that image v1 was just installed on, with a
// registry that has the images of most tests. Its disk is its own, for as long
// as the test runs.
func installed(ctx context.Context, t *testing.T) vm.Config {
	t.Helper()
	return installedWith(ctx, t, "v1", "v2", "broken", "sid")
}

// installedWith is installed with a registry that has these images.
func installedWith(ctx context.Context, t *testing.T, images ...string) vm.Config {
	t.Helper()
	disk, err := disks.Installed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := disks.Registry(ctx, images...)
	if err != nil {
		t.Fatal(err)
	}
	installer, err := disks.NewInstaller(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own := filepath.Join(dir, "disk.qcow2")
	if err := vm.Overlay(ctx, own, disk); err != nil {
		t.Fatal(err)
	}
	return vm.Config{Dir: dir, CPUs: 1, KVM: installer.KVM(), Disks: []vm.Disk{
		{Path: own, Format: "qcow2", Serial: "root"},
		{Path: registry, Serial: "registry", ReadOnly: true},
	}}
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
