package machines

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// softTPM has a machine that has no TPM use a program as one.
const softTPM = `
mkdir /run/tpm
swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=/run/tpm --daemon
while ! test -c /dev/tpmrm0; do sleep 0.1; done`

// encryptedInstall installs with an encrypted root, which the TPM opens.
const encryptedInstall = "sysupdate-image install to-disk /dev/disk/by-id/virtio-target --image oci:/image:luks --block-setup tpm2-luks"

// TestEncrypted installs on an encrypted root, with a TPM that is a program.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	installer, err := disks.InstallerOf(ctx, vm.UML, "luks")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	target := vm.Disk{Path: filepath.Join(dir, "disk.raw"), Serial: "target"}
	if err := vm.CreateDisk(ctx, target.Path, "raw", "6G"); err != nil {
		t.Fatal(err)
	}
	cfg := installer.Config(dir, target)
	m := vm.Boot(ctx, t, cfg)
	refusedEncryption(ctx, t, m)
	interruptedEncryption(ctx, t, m)
	plan := m.Do(ctx, t, encryptedInstall+" --plan --wipe")
	contains(t, "the plan", plan, "run       cryptsetup luksFormat ", "run       systemd-cryptenroll --unlock-key-file=/dev/stdin --tpm2-device=auto --tpm2-pcrs=7 ",
		"ext4   type 4f68bce3-e8cd-4db1-96e7-fbcaf984b709, encrypted", "add       kernel arguments rd.luks.uuid=")
	contains(t, "the installation", m.Do(ctx, t, encryptedInstall+" --recovery-key-file /run/key --wipe 2>&1"), "Encrypting the root", "fs-verity: enabled while installing", "Deployed Debian")
	openedByTPM(ctx, t, m)
	off(ctx, t, m)
}

// refusedEncryption wants what cannot be encrypted to be refused before anything is written.
func refusedEncryption(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	const key = " --recovery-key-file /run/key"
	contains(t, "without a TPM", m.Fails(ctx, t, 1, encryptedInstall+key), "this machine has no TPM 2.0")
	m.Do(ctx, t, "set -e"+softTPM)
	contains(t, "without a terminal", m.Fails(ctx, t, 1, encryptedInstall), "the recovery key has nowhere to go")
	m.Do(ctx, t, "test ! -e /run/key && cmp -n 1000000 /dev/zero /dev/disk/by-id/virtio-target")
}

// interruptedEncryption kills the program when the volume is open. The kernel closes it.
func interruptedEncryption(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `mkdir /run/slow && cd /run/slow && cat >mkfs.ext4 <<'EOF'
#!/bin/sh
touch /run/slow/reached
exec sleep 600
EOF
chmod 755 mkfs.ext4
PATH=/run/slow:$PATH `+encryptedInstall+` --recovery-key-file /run/slow/key & program=$!
while ! test -e reached; do kill -0 $program || exit; sleep 0.1; done
test -e /sys/block/dm-0 || exit
kill -KILL $program
while test -e /sys/block/dm-0; do sleep 0.1; done
sysupdate-image install to-disk /dev/disk/by-id/virtio-target --image oci:/image:luks 2>&1 | grep 'an installation that was interrupted'`)
}

// openedByTPM wants the TPM alone to open what was installed, and the recovery key.
func openedByTPM(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	verdict := m.Fails(ctx, t, 1, "sysupdate-image install verify /dev/disk/by-id/virtio-target")
	contains(t, "verify", verdict, "LUKS, opened by the TPM of its machine, or by the recovery key", "it is encrypted, and was not looked into")
	m.Do(ctx, t, `set -e
root=/dev/disk/by-id/virtio-target-part2
udevadm settle # udev makes the links of a disk anew when somebody has written to it
test "$(stat --format=%a /run/key)" = 600
test ! -e /dev/mapper/sysupdate-image-install-*
systemd-cryptsetup attach opened $root - tpm2-device=auto,headless=true
mount --mkdir /dev/mapper/opened /run/opened
mount --mkdir /dev/disk/by-id/virtio-target-part1 /run/opened/efi
sysupdate-image install verify /run/opened | grep '^/run/opened boots Debian'
umount --recursive /run/opened
systemd-cryptsetup detach opened
tr -d '\n' </run/key | cryptsetup open --test-passphrase --key-file=- $root
test "$(cryptsetup luksDump --dump-json-metadata $root | grep -c '"type":"luks2"')" = 2`)
}
