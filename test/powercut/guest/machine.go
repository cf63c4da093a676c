package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// sysroot is where the initramfs mounts the physical root.
const sysroot = "/sysroot"

// A machine is the one whose disk is being written to.
type machine struct {
	esp, root string // devices
	fstype    string
}

// rootOptions keep the kernel from writing out by itself what a program should
// have synced: the journal would be committed every five seconds otherwise.
func rootOptions(fstype string) string {
	if fstype == "btrfs" {
		return "commit=3000"
	}
	return "commit=3000,noauto_da_alloc"
}

// stopWriteback has the kernel keep dirty pages until somebody syncs them.
func stopWriteback() error {
	for name, value := range map[string]string{
		"dirty_writeback_centisecs": "0",
		"dirty_expire_centisecs":    "1000000",
		"dirty_background_ratio":    "60",
		"dirty_ratio":               "80",
	} {
		if err := os.WriteFile("/proc/sys/vm/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// boot does what the initramfs does: mount the physical root, and have
// prepare-root mount the deployment over it.
func (m machine) boot(id string) error {
	if err := os.MkdirAll(sysroot, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.root, sysroot, m.fstype, 0, rootOptions(m.fstype)); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	if err := execute("/run/tools/prepare-root", "--cmdline", "composefs="+id); err != nil {
		return err
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run", "/tmp"} {
		if err := unix.Mount(dir, sysroot+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", dir, err)
		}
	}
	return nil
}

// down unmounts what boot mounted. Where a neighbour still has files open, the
// file system lives on, and nothing is written out: a shutdown that hangs.
func (m machine) down(neighbour bool) error {
	if !neighbour {
		return unmountAll(sysroot)
	}
	for {
		err := unix.Unmount(sysroot, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) {
			return nil // nothing is mounted there any more
		}
		if err != nil {
			return fmt.Errorf("unmount root: %w", err)
		}
	}
}

// upper is where the local changes to /etc of a deployment are, from outside.
func upper(id string) string {
	return path.Join(sysroot, "sysroot", deployment.ID(id).EtcUpper())
}

// writeSynced writes a file and syncs it, and its directory.
func writeSynced(name string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(name))
}

func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
