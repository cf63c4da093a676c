package machines

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// takenOver is what a machine had in fstab(5) before an image was installed on it. None
// of these devices is there: what waits for one does so for 90 seconds, and fails.
const takenOver = `cat > /etc/fstab <<'EOF'
UUID=0e1dd0dc-8b5a-4d6b-9bd2-5cf0b8b0c001 / ext4 rw,errors=remount-ro,x-systemd.growfs 0 1
UUID=0e1dd0dc-8b5a-4d6b-9bd2-5cf0b8b0c002 /usr ext4 ro 0 2
UUID=0e1dd0dc-8b5a-4d6b-9bd2-5cf0b8b0c003 /var ext4 defaults 0 2
UUID=0e1dd0dc-8b5a-4d6b-9bd2-5cf0b8b0c004 /etc ext4 defaults,x-initrd.mount 0 2
UUID=0e1dd0dc-8b5a-4d6b-9bd2-5cf0b8b0c005 none swap sw,nofail,x-systemd.device-timeout=1 0 0
LABEL=not-there /boot/efi vfat umask=0077,noauto 0 1
tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0
EOF
sync`

// TestFstab boots with lines in fstab(5) for what prepare-root mounts: no unit fails,
// nothing is waited for, and all is mounted as without them.
func TestFstab(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v1")
	const mounts = "findmnt --noheadings --output FSTYPE,OPTIONS --mountpoint / && findmnt --noheadings --output FSTYPE /etc && findmnt --noheadings --output FSTYPE /var"
	before := m.Do(ctx, t, mounts)
	m.Do(ctx, t, takenOver)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if after := m.Do(ctx, t, mounts); after != before {
		t.Errorf("mounts are:\n%s\nwithout the lines:\n%s", after, before)
	}
	contains(t, "/usr", m.Do(ctx, t, "findmnt --noheadings --output SOURCE --target /usr"), "composefs:")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --json"), `"usrOverlay": null`)
	contains(t, "/dev/shm", m.Do(ctx, t, "findmnt --noheadings --output OPTIONS /dev/shm"), "noexec")
	contains(t, "/sysroot", m.Do(ctx, t, "findmnt --noheadings --output OPTIONS /sysroot"), "ro,nosuid,nodev,noexec")
	m.Do(ctx, t, "systemctl daemon-reload && systemctl is-system-running")
	// The swap space is waited for, and is allowed to fail.
	m.Do(ctx, t, "! journalctl --boot --no-pager | grep 'Timed out waiting for device.*c00[1-4][.]'")
}
