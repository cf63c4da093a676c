package machines

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// plant puts an init on the physical root, which ends in a panic of the kernel if it is
// ever run, and takes the image away.
const plant = `set -e
id=$(findmnt --noheadings --output SOURCE / | sed 's/.*://')
unshare --mount sh -ec '
  mount -o remount,bind,rw,exec /sysroot
  mkdir -p /sysroot/sbin /sysroot/etc /sysroot/usr/lib
  cp /usr/lib/sysupdate-image/prepare-root /sysroot/sbin/init
  cp /usr/lib/os-release /sysroot/usr/lib/
  cp /usr/lib/os-release /sysroot/etc/
  rm "/sysroot/composefs/images/$1"
' sh $id
sync`

// leaveShell has the machine boot by dracut's initramfs and a unit that tries one way after the other to get from
// the emergency mode to another root, as somebody at the machine might.
const leaveShell = `set -e
dir=$(mktemp -d)
cd $dir
mkdir -p usr/lib/systemd/system/emergency.target.wants
cat > usr/lib/systemd/system/test-way-out.service <<'EOF'
[Unit]
Description=Ways out of the emergency mode
DefaultDependencies=no
IgnoreOnIsolate=yes

[Service]
ExecStart=/bin/sh /test-way-out
EOF
ln -s ../test-way-out.service usr/lib/systemd/system/emergency.target.wants/
cat > test-way-out <<'EOF'
say() { echo "test: $*" > /dev/console; }
# Nothing that leads out is queued, twice in a row.
settle() {
  idle=0
  while [ $idle -lt 2 ]; do
    sleep 1
    case $(systemctl list-jobs --no-legend) in
      *initrd.target* | *switch-root* | *initrd-cleanup* | *prepare-root*) idle=0 ;;
      *) idle=$((idle + 1)) ;;
    esac
  done
}
settle
# A job that is irreversible goes on when a failing unit would have it cancelled.
for way in default 'isolate initrd-switch-root.target' 'start initrd-switch-root.service' 'start initrd-cleanup.service' \
  'start --job-mode=replace-irreversibly initrd-switch-root.target' 'start --job-mode=replace-irreversibly initrd-switch-root.service'; do
  say "systemctl $way"
  systemctl start sysroot.mount
  systemctl --no-block $way
  settle
done
say 'no way out'
echo o > /proc/sysrq-trigger
EOF
mount /dev/disk/by-id/virtio-root-part1 /mnt
initrd=$(echo /mnt/sysupdate-image/*/initrd)
find usr test-way-out | cpio --quiet --create --format=newc > $initrd
cat /usr/lib/test-machine/dracut.img >> $initrd
umount /mnt`

// TestNoWayOut boots a deployment whose image is missing, and finds no way from the
// emergency mode to the physical root, on which somebody has planted an init.
func TestNoWayOut(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v1")
	m.Do(ctx, t, leaveShell)
	m.Do(ctx, t, plant)
	before := len(m.Console())
	if _, err := m.Run(ctx, "systemctl reboot --no-block"); err != nil && !vm.WentDown(err) {
		t.Fatal(err)
	}
	if err := m.WaitConsole(ctx, "test: no way out"); err != nil {
		t.Fatal(err)
	}
	console := m.Console()[before:]
	for _, text := range []string{"Switching root", "Attempted to kill init"} {
		if strings.Contains(console, text) {
			t.Errorf("the console says %q:\n%s", text, console)
		}
	}
	// Once at boot, and at least once more by one of the ways.
	if n := strings.Count(console, "This system cannot start"); n < 2 {
		t.Errorf("prepare-root failed %d times; want more than once:\n%s", n, console)
	}
}
