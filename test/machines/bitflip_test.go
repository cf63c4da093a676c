package machines

import (
	"context"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// flip is a shell function that changes one bit of a file's first block, behind
// the file system's back.
const flip = `set -e
flip() {
  disk=/dev/disk/by-id/virtio-root-part2
  block=$(filefrag -b4096 -v "$1" | awk '$1 == "0:" { sub(/\.\./, "", $4); print $4 }')
  at=$((block * 4096 + 100))
  byte=$(dd if=$disk bs=1 skip=$at count=1 status=none | od -An -tu1)
  printf "\\$(printf %03o $((byte ^ 1)))" | dd of=$disk bs=1 seek=$at conv=notrunc,fsync status=none
  sync
  echo 3 > /proc/sys/vm/drop_caches
}
`

// TestFlippedBits changes an object and finds that only reading that one fails,
// and that it can be fetched again while the machine runs; then the image itself,
// and finds that the machine refuses to boot it.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v1")

	const victim = "/usr/bin/zstd" // nothing runs it
	object := m.Do(ctx, t, "find /sysroot/composefs/objects -type f -size $(stat -c %s "+victim+")c -exec cmp -s {} "+victim+" \\; -print")
	if strings.Count(object, "/sysroot") != 1 {
		t.Fatalf("%s is in the objects %q; want one", victim, object)
	}
	m.Do(ctx, t, flip+"flip "+object)
	contains(t, "reading the changed file", m.Fails(ctx, t, 1, "cat "+victim+" > /dev/null"), "Input/output error")
	m.Do(ctx, t, "find /usr/bin /etc -type f ! -name zstd -exec cat {} + > /dev/null")
	settled(ctx, t, m)
	repaired(ctx, t, m, victim)

	id := m.Do(ctx, t, "findmnt --noheadings --output SOURCE / | sed 's/.*://'")
	m.Do(ctx, t, flip+"flip $(readlink -f /sysroot/composefs/images/"+id+")")
	if _, err := m.Run(ctx, "systemctl reboot --no-block"); err != nil && !vm.WentDown(err) {
		t.Fatal(err)
	}
	// Nothing else says this name in such a sentence.
	if err := m.WaitConsole(ctx, ": image "+id+" "); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(m.Console()) {
		if strings.Contains(line, "prepare-root[") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// repaired has the machine fetch a damaged file again.
func repaired(ctx context.Context, t *testing.T, m *vm.Machine, victim string) {
	t.Helper()
	contains(t, "repair without where the image came from", m.Fails(ctx, t, 1, "sysupdate-image repo fsck --repair --offline"), "not repaired: nothing was fetched")
	// From now on it follows the registry, which has the same image.
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:v1")
	contains(t, "fsck", m.Fails(ctx, t, 1, "sysupdate-image repo fsck"), "damaged object", "input/output error",
		"--repair fetches layers again from docker://127.0.0.1:5000/os@sha256:")
	contains(t, "repair", m.Do(ctx, t, "sysupdate-image repo fsck --repair"), "damaged object", "(repaired)")
	m.Do(ctx, t, "echo 3 > /proc/sys/vm/drop_caches && cat "+victim+" > /dev/null && sysupdate-image repo fsck")
}
