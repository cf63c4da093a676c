package machines

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

const (
	podman    = "127.0.0.1:5000/os:podman"
	transient = "127.0.0.1:5000/os:transient"
)

// TestModes carries /etc from an overlay to a full copy and back, and on to an image
// that keeps nothing, while file systems are as full as can be. In between, podman
// runs a container.
func TestModes(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "v1", "v2", "podman", "transient")
	m.Do(ctx, t, "useradd --uid 4242 alice && rm /etc/issue.net && echo tower > /etc/hostname")

	m.Do(ctx, t, "systemctl start test-registry")
	fillsUp(ctx, t, m, "/var/filler", v2, onRoot, []int{0, 8192, 131072, 512000}) // with the reserve of 3 %
	to(ctx, t, m, "sysupdate-image apply "+v2, "2")
	checkCarried(ctx, t, m, "overlay")

	to(ctx, t, m, "sysupdate-image apply "+podman, "podman")
	checkCarried(ctx, t, m, "ext4")
	runContainer(ctx, t, m)
	to(ctx, t, m, "sysupdate-image apply "+v2, "2")
	checkCarried(ctx, t, m, "overlay")

	m.Do(ctx, t, "systemctl start test-registry && mkdir -p /run/esp && mount "+esp+" /run/esp")
	fillsUp(ctx, t, m, "/run/esp/filler", transient, onESP, []int{0, 8192, 12288, 15360, 24576, 40960})
	m.Do(ctx, t, "umount /run/esp")
	to(ctx, t, m, "sysupdate-image apply "+transient, "transient")
	forgetsEtc(ctx, t, m)
	m.Do(ctx, t, "sysupdate-image repo fsck")
}

// checkCarried finds in /etc what was changed in version 1: a user, next to the
// one that version 2 adds, a file that is no more, and one with another content;
// and what an image has changed and nobody here has.
func checkCarried(ctx context.Context, t *testing.T, m *vm.Machine, fstype string) {
	t.Helper()
	if got := m.Do(ctx, t, "findmnt --noheadings --output FSTYPE /etc"); got != fstype {
		t.Errorf("/etc is on %s; want %s", got, fstype)
	}
	contains(t, "a local user", m.Do(ctx, t, "id alice && getent shadow alice && getent group alice"), "uid=4242(alice)")
	m.Do(ctx, t, `test ! -e /etc/issue.net && test "$(cat /etc/hostname)" = tower`)
	if got := version(ctx, t, m); got == "2" {
		contains(t, "a user of the image", m.Do(ctx, t, "id hello && getent shadow hello && getent group hello"), "(hello)")
		contains(t, "/etc/motd", m.Do(ctx, t, "cat /etc/motd"), "version 2")
	}
}

// fillsUp applies an image with so many KiB left on a file system, fewer first,
// until one is enough: each time before, the message says so, and nothing stays
// behind of what it wrote, as list has it.
func fillsUp(ctx context.Context, t *testing.T, m *vm.Machine, filler, ref, list string, left []int) {
	t.Helper()
	m.Do(ctx, t, "sysupdate-image prune") // what is superseded would go first to make room
	before := m.Do(ctx, t, list)
	failures := 0
	for _, kib := range left {
		m.Do(ctx, t, fmt.Sprintf(leave, filler, kib))
		result, err := m.Run(ctx, "sysupdate-image apply --quiet "+ref)
		if err != nil {
			t.Fatal(err)
		}
		m.Do(ctx, t, "rm -rf "+filler)
		if result.Exit == 0 {
			t.Logf("%s: %d KiB are enough, after %d times that were not", ref, kib, failures)
			if failures < 3 {
				t.Errorf("%s: only %d file systems were too full for it", ref, failures)
			}
			return
		}
		failures++
		t.Logf("%s: %d KiB left: %s", ref, kib, strings.TrimSpace(result.Stderr))
		if !strings.Contains(result.Stderr, "no room") && !strings.Contains(result.Stderr, "no space left") {
			t.Errorf("%s: with %d KiB left the message is %q; want one that says so", ref, kib, result.Stderr)
		}
		nothingStaged(ctx, t, m)
		if after := m.Do(ctx, t, list); after != before {
			t.Errorf("%s: with %d KiB left, there is then:\n%s\nbefore it was:\n%s", ref, kib, diffLines(before, after), diffLines(after, before))
		}
	}
	t.Errorf("%s: %v KiB were never enough", ref, left)
}

// leave makes a directory of files that fill its file system but for so many KiB.
// What it says to be free is more than can be had: a file makes room for them.
const leave = `set -e
filler=%s
rm -rf $filler && mkdir $filler
head -c %dK /dev/zero > $filler/reserve
sync
fallocate -l $(( $(stat --file-system --format '%%f*%%S/1024' $filler) - 65536 ))K $filler/most 2>/dev/null || true
for size in 1M 4K; do
  dd if=/dev/zero of=$filler/$size bs=$size status=none 2>/dev/null || true
done
sync
rm $filler/reserve
sync`

// What is where updates write, a file a line. What was fetched for an apply that
// only the boot partition had no room for stays for the next.
const (
	onRoot = `sync; cd /sysroot
find composefs state/deploy state/sysupdate-image -type f ! -path '*/etc/upper/*' ! -path '*/etc/work/*' -printf '%s %p\n' | sort`
	onESP = `sync; cd /sysroot && find state/deploy state/sysupdate-image -type f ! -path '*/etc/upper/*' ! -path '*/etc/work/*' -printf '%s %p\n' | sort
cd /run/esp && find . -type f ! -path './filler*' -printf '%s %p\n' | sort`
)

// diffLines returns the lines of after that before does not have.
func diffLines(before, after string) string {
	have := make(map[string]bool)
	for line := range strings.Lines(before) {
		have[strings.TrimSpace(line)] = true
	}
	var out strings.Builder
	for line := range strings.Lines(after) {
		if !have[strings.TrimSpace(line)] {
			out.WriteString(line)
		}
	}
	return out.String()
}

// runContainer makes a container image of one static program and runs it. Its
// files are on an overlay of podman's own, which cannot be on that of /var.
func runContainer(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	if got := m.Do(ctx, t, "findmnt --noheadings --output FSTYPE /var"); got != "overlay" {
		t.Errorf("/var is on %s; want overlay", got)
	}
	contains(t, "where containers are", m.Do(ctx, t, "findmnt /var/lib/containers"), "/state/os/default/var/lib/containers", "ext4")
	m.Do(ctx, t, "tar -C /usr/bin -c sysupdate-image | podman import --quiet - localhost/static")
	contains(t, "podman info", m.Do(ctx, t, "podman info --format '{{.Store.GraphDriverName}}'"), "overlay")
	const run = "podman run --rm --network=none localhost/static /sysupdate-image --version"
	contains(t, "the container", m.Do(ctx, t, run), "sysupdate-image")
}

// forgetsEtc changes /etc where that does not last. What was changed before is
// with the previous deployment.
func forgetsEtc(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "/etc", m.Do(ctx, t, "findmnt --noheadings --output SOURCE,FSTYPE /etc"), "transient", "overlay")
	m.Fails(ctx, t, 1, "id alice")
	m.Do(ctx, t, "test -e /etc/issue.net && echo x > /etc/forgotten && useradd bob")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, "test ! -e /etc/forgotten")
	m.Fails(ctx, t, 1, "id bob")
	to(ctx, t, m, "sysupdate-image rollback", "2")
	checkCarried(ctx, t, m, "overlay")
}
