package machines

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestEncryptedFirmware boots a PC with the TPM that has sealed the key of its root. Its firmware
// has measured something else than there was during the installation, so that it asks for the
// recovery key. Once the TPM is enrolled anew, it boots and updates with nobody there.
func TestEncryptedFirmware(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	made := installEncrypted(ctx, t)
	pc, err := disks.InstallerOf(ctx, vm.PC, "luks")
	if err != nil {
		t.Fatal(err)
	}
	registry, err := disks.Registry(ctx, "luks2")
	if err != nil {
		t.Fatal(err)
	}
	cfg := pc.Installed(t.TempDir(), filepath.Join(t.TempDir(), "disk"), registry)
	if err := pc.Own(ctx, cfg.Disks[0].Path, made.disk, "raw"); err != nil {
		t.Fatal(err)
	}
	cfg.TPM = startTPM(ctx, t, made.tpm)
	cfg.Keyboard = true
	m := vm.Launch(ctx, t, cfg)
	if err := m.WaitConsole(ctx, "recovery key"); err != nil {
		t.Fatal(err)
	}
	if err := m.Type(made.key + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WaitBoot(ctx); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	onEncrypted(ctx, t, m, "1")
	m.Do(ctx, t, "PASSWORD="+made.key+" systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto --tpm2-pcrs=7 /dev/disk/by-partlabel/root")

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --insecure-registry 127.0.0.1:5000/os:luks2")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	onEncrypted(ctx, t, m, "2")
	blessed(ctx, t, m)
	m.Do(ctx, t, "echo data >/var/data && sysupdate-image install reset")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	onEncrypted(ctx, t, m, "2")
	m.Do(ctx, t, "test ! -e /var/data")
	off(ctx, t, m)
}

// onEncrypted fails unless a version runs from an encrypted root.
func onEncrypted(ctx context.Context, t *testing.T, m *vm.Machine, want string) {
	t.Helper()
	if v := version(ctx, t, m); v != want {
		t.Errorf("version %q runs; want %s", v, want)
	}
	contains(t, "the root", m.Do(ctx, t, "findmnt --noheadings --output SOURCE /sysroot; sysupdate-image status"), "/dev/mapper/luks-", "Debian")
	contains(t, "verify", m.Fails(ctx, t, 1, "sysupdate-image install verify /dev/disk/by-id/virtio-root"), "LUKS, opened by the TPM of its machine, or by the recovery key")
}

// An encrypted is a disk with an encrypted root, what its TPM keeps, and the recovery key.
type encrypted struct {
	disk, key string
	tpm       []byte
}

// installEncrypted installs with an encrypted root.
func installEncrypted(ctx context.Context, t *testing.T) encrypted {
	t.Helper()
	installer, err := disks.InstallerOf(ctx, vm.UML, "luks")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	made := encrypted{disk: filepath.Join(dir, "disk.raw")}
	if err := vm.CreateDisk(ctx, made.disk, "raw", "6G"); err != nil {
		t.Fatal(err)
	}
	m := vm.Boot(ctx, t, installer.Config(dir, vm.Disk{Path: made.disk, Serial: "target"}))
	m.Do(ctx, t, "set -e"+softTPM+"\n"+encryptedInstall+" --recovery-key-file /run/key")
	made.key = m.Do(ctx, t, "cat /run/key")
	made.tpm, err = base64.StdEncoding.DecodeString(m.Do(ctx, t, "base64 --wrap=0 /run/tpm/tpm2-00.permall"))
	if err != nil {
		t.Fatal(err)
	}
	off(ctx, t, m)
	return made
}

// startTPM starts the image's swtpm(8) with what a TPM keeps, and returns its socket.
func startTPM(ctx context.Context, t *testing.T, state []byte) string {
	t.Helper()
	layout, err := disks.Image(ctx, "luks")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := os.MkdirTemp("", "tpm-") // the name of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tree) })
	tree += "/tree"
	err = disks.Unpack(ctx, layout, "luks", tree)
	if err == nil {
		err = os.WriteFile(tree+"/run/tpm2-00.permall", state, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "chroot", tree, "swtpm", "socket", "--tpm2", "--tpmstate", "dir=/run", "--ctrl", "type=unixio,path=/run/tpm", "--terminate")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("swtpm: %s", &out)
		}
	})
	for socket := tree + "/run/tpm"; ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil || ctx.Err() != nil {
			return socket
		}
	}
}
