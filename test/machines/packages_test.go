package machines

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// packages have tests that need a file system with fs-verity, or a kernel that
// the host may not have.
var packages = []string{"internal/linux/sys", "internal/composefs/verity", "internal/composefs/repo", "internal/composefs/scan", "prepare-root"}

// TestPackages runs the tests of packages in a machine, as root, on an ext4 and on
// a btrfs with fs-verity. The machine is not one that was installed by us, which
// sysupdate-image has to say too.
func TestPackages(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	m := vm.Boot(ctx, t, installer.Config(t.TempDir(),
		vm.Disk{Path: testDisk(t), Serial: "ext4"}, vm.Disk{Path: btrfsDisk(t), Serial: "btrfs"}))
	m.Do(ctx, t, `for fs in ext4 btrfs; do mkdir -p /srv/$fs && mount -t $fs /dev/disk/by-id/virtio-$fs /srv/$fs && mkdir /srv/$fs/tmp; done`)
	t.Logf("kernel %s", m.Do(ctx, t, "uname -r"))
	for _, pkg := range packages {
		t.Run(pkg, func(t *testing.T) { testIn(ctx, t, m, pkg, "/srv/ext4/tmp") })
	}
	for _, pkg := range []string{"internal/composefs/verity", "internal/composefs/repo"} {
		t.Run("btrfs/"+pkg, func(t *testing.T) { testIn(ctx, t, m, pkg, "/srv/btrfs/tmp") })
	}

	const asNobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	for _, as := range []string{"", asNobody} {
		contains(t, "status", m.Do(ctx, t, as+"sysupdate-image status"), "not booted from an image")
	}
	m.Fails(ctx, t, 1, "sysupdate-image apply oci:/image:v1")
	m.Fails(ctx, t, 1, "sysupdate-image rollback")
}

// testIn runs the tests of a package with their temporary files in dir.
func testIn(ctx context.Context, t *testing.T, m *vm.Machine, pkg, dir string) {
	t.Helper()
	result, err := m.Run(ctx, "cd /srv/ext4/"+pkg+" && TMPDIR="+dir+" ./run.test -test.v -test.timeout 10m")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(result.Stdout) {
		if strings.Contains(line, "--- SKIP") || strings.Contains(line, "--- FAIL") {
			t.Log(strings.TrimSpace(line))
		}
		if strings.Contains(line, "has no fs-verity") {
			t.Errorf("a test is skipped where there is fs-verity: %s", strings.TrimSpace(line))
		}
	}
	if result.Exit != 0 {
		t.Errorf("exit status %d\n%s%s", result.Exit, result.Stdout, result.Stderr)
	}
}

// testDisk returns an ext4 with the packages' test programs and test data.
func testDisk(t *testing.T) string {
	t.Helper()
	repository, err := disks.Repository()
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	for _, pkg := range packages {
		dir := filepath.Join(tree, pkg)
		command(t, "go", "test", "-c", "-trimpath", "-o", filepath.Join(dir, "run.test"), "./"+path.Join("../..", pkg))
		data := filepath.Join(repository, pkg, "testdata")
		if _, err := os.Stat(data); err == nil {
			command(t, "cp", "-r", data, dir)
		}
	}
	disk := filepath.Join(t.TempDir(), "tests.ext4")
	command(t, "mkfs.ext4", "-q", "-b", "4096", "-O", "verity", "-d", tree, disk, "1G")
	return disk
}

// btrfsDisk returns an empty btrfs, all of which have fs-verity.
func btrfsDisk(t *testing.T) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "tests.btrfs")
	command(t, "truncate", "-s", "1G", disk)
	command(t, "mkfs.btrfs", "-q", disk)
	return disk
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
