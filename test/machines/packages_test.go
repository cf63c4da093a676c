package machines

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/vmtest"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// packages have tests that need a file system with fs-verity, or a kernel that
// the host may not have.
var packages = []string{"internal/sys", "internal/fsverity", "internal/store", "prepare-root"}

// TestPackages runs the tests of packages in a machine, as root, on an ext4 with
// fs-verity. The machine is not one that was installed by us, which sysupdate-image
// has to say too.
func TestPackages(t *testing.T) {
	ctx := need(t, 8*time.Minute)
	disk := testDisk(t)
	installer, err := disks.NewInstaller(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := vmtest.Boot(ctx, t, installer.Config(t.TempDir(), vmtest.Disk{Path: disk, Serial: "tests"}))
	m.Do(ctx, t, "mkdir -p /srv/tests && mount /dev/disk/by-id/virtio-tests /srv/tests && mkdir /srv/tests/tmp")
	for _, pkg := range packages {
		t.Run(pkg, func(t *testing.T) {
			result, err := m.Run(ctx, "cd /srv/tests/"+pkg+" && TMPDIR=/srv/tests/tmp ./run.test -test.v -test.timeout 3m")
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(result.Stdout) {
				if strings.Contains(line, "--- SKIP") || strings.Contains(line, "--- FAIL") {
					t.Log(strings.TrimSpace(line))
				}
			}
			if result.Exit != 0 {
				t.Errorf("exit status %d\n%s%s", result.Exit, result.Stdout, result.Stderr)
			}
		})
	}

	const asNobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	for _, as := range []string{"", asNobody} {
		contains(t, "status", m.Do(ctx, t, as+"sysupdate-image status"), "not booted from an image")
	}
	m.Fails(ctx, t, 1, "sysupdate-image apply oci:/image:v1")
	m.Fails(ctx, t, 1, "sysupdate-image rollback")
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

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
