package standalone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// attributes are options of mount(8) that are the mount's and not the file system's.
var attributes = map[string]sys.MountAttr{
	"nosuid": sys.NoSuid, "nodev": sys.NoDev, "noexec": sys.NoExec,
	"noatime": sys.NoAtime, "relatime": sys.RelAtime, "strictatime": sys.StrictAtime, "nodiratime": sys.NoDirAtime,
	"suid": 0, "dev": 0, "exec": 0, "diratime": 0, "defaults": 0, "auto": 0, "noauto": 0,
}

// A rootMount is how the root's file system is mounted.
type rootMount struct {
	source, fstype string
	attr           sys.MountAttr
	options        []string // the file system's
}

// mountOf decides how to mount the root. It is read-only unless asked for: what needs to
// write makes it writable later.
func (w want) mountOf(c choice) rootMount {
	m := rootMount{source: c.path(), fstype: c.content.Type}
	if w.fstype != "" {
		m.fstype = w.fstype
	}
	writable := w.writable
	for _, flag := range w.flags {
		attr, ok := attributes[flag]
		switch {
		case flag == "ro" || flag == "rw":
			writable = flag == "rw"
		case ok:
			m.attr |= attr
		case strings.HasPrefix(flag, "x-"), strings.HasPrefix(flag, "_netdev"), flag == "nofail":
			// for systemd
		default:
			m.options = append(m.options, flag)
		}
	}
	if c.readOnly || !writable {
		m.attr |= sys.ReadOnly
		m.options = append(m.options, "ro")
	}
	return m
}

// String returns the mount as part of a sentence.
func (m rootMount) String() string {
	s := m.source + " (" + m.fstype
	if len(m.options) > 0 {
		s += ", " + strings.Join(m.options, ",")
	}
	return s + ")"
}

// make mounts the root at a directory.
func (m rootMount) make(where string) error {
	options := []sys.MountOption{sys.MountString("source", m.source)}
	for _, o := range m.options {
		if name, value, ok := strings.Cut(o, "="); ok {
			options = append(options, sys.MountString(name, value))
		} else {
			options = append(options, sys.MountFlag(o))
		}
	}
	mount, err := m.detached(options)
	if errors.Is(err, sys.ErrNoSuchFileSystem) {
		return fmt.Errorf("cannot mount the root %s: the kernel has no %s file system, and the initramfs no module for it: %w", m, m.fstype, err)
	}
	if err != nil {
		return fmt.Errorf("cannot mount the root %s: %w", m, err)
	}
	defer mount.Close()
	dir, err := os.Open(where)
	if err != nil {
		return err
	}
	defer dir.Close()
	return sys.Attach(mount, dir, "")
}

// detached mounts the root; of a medium that is read-only, read-only, as mount(8) does.
func (m rootMount) detached(options []sys.MountOption) (*os.File, error) {
	mount, err := sys.Detached(m.fstype, m.attr, options...)
	refused := errors.Is(err, sys.ErrReadOnly) || errors.Is(err, fs.ErrPermission)
	if !refused || slices.Contains(m.options, "ro") {
		return mount, err
	}
	return sys.Detached(m.fstype, m.attr|sys.ReadOnly, append(options, sys.MountFlag("ro"))...)
}

// gather tells the kernel about all devices of a btrfs.
func (c choice) gather() error {
	if len(c.others) == 0 {
		return nil
	}
	control, err := os.OpenFile("/dev/btrfs-control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot assemble the btrfs on %s: %w", c.path(), err)
	}
	defer control.Close()
	for _, d := range append([]device{c.device}, c.others...) {
		if err := sys.ScanBtrfs(control, d.path()); err != nil {
			return fmt.Errorf("cannot assemble the btrfs on %s: %w", c.path(), err)
		}
	}
	return nil
}
