package assemble

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// places are where a machine may have its root and its boot partition mounted.
var places = []string{"/", "/sysroot", "/boot", "/boot/efi", "/efi"}

// inUse returns what a running system has its root and its boot partition on: the aliases
// and drivers of the devices on the way to each disk, and the types of the file systems.
func inUse(machine fs.FS) (aliases, types []string, err error) {
	table, err := bounded.ReadFile(machine, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return nil, nil, err
	}
	m := inspector{machine: machine}
	for line := range strings.Lines(string(table)) {
		if err := m.mount(line); err != nil {
			return nil, nil, err
		}
	}
	if len(m.types) == 0 {
		return nil, nil, fmt.Errorf("none of %s is on a disk", strings.Join(places, ", "))
	}
	return m.aliases, m.types, nil
}

type inspector struct {
	machine        fs.FS
	aliases, types []string
}

// mount looks at a line of /proc/self/mountinfo, see proc_pid_mountinfo(5): the place is
// in the fifth field, type and source follow a dash.
func (m *inspector) mount(line string) error {
	before, after, ok := strings.Cut(line, " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !ok || len(fields) < 5 || len(rest) < 2 || !slices.Contains(places, fields[4]) {
		return nil
	}
	device, ok := strings.CutPrefix(rest[1], "/dev/")
	if !ok {
		return nil
	}
	// A btrfs has a number of its own, so the device is found by its name. It may be a
	// link, such as mapper/root.
	if target, err := fs.ReadLink(m.machine, "dev/"+device); err == nil {
		device = path.Base(target)
	}
	found, err := m.device("sys/class/block/" + strings.ReplaceAll(device, "/", "!"))
	if err == nil && found {
		m.types = append(m.types, rest[0])
	}
	return err
}

// device adds what is on the way to a device of sysfs, and to those that it consists of.
func (m *inspector) device(name string) (found bool, err error) {
	target, err := fs.ReadLink(m.machine, name)
	if found, err = bounded.Found(err); err != nil || !found {
		return false, err
	}
	dir := path.Join(path.Dir(name), target)
	parts, err := fs.ReadDir(m.machine, path.Join(dir, "slaves"))
	if _, err = bounded.Found(err); err != nil {
		return false, err
	}
	for _, part := range parts {
		if _, err := m.device(path.Join(dir, "slaves", part.Name())); err != nil {
			return false, err
		}
	}
	for ; strings.HasPrefix(dir, "sys/devices/"); dir = path.Dir(dir) {
		if err := m.step(dir); err != nil {
			return false, err
		}
	}
	return true, nil
}

// step adds a device: its alias, and the module that drives it, which need not have one.
func (m *inspector) step(dir string) error {
	alias, err := bounded.ReadFile(m.machine, path.Join(dir, "modalias"), limits.Kernel)
	if found, err := bounded.Found(err); err != nil {
		return err
	} else if found {
		m.aliases = append(m.aliases, strings.TrimSpace(string(alias)))
	}
	driver, err := fs.ReadLink(m.machine, path.Join(dir, "driver"))
	found, err := bounded.Found(err)
	if err != nil || !found {
		return err
	}
	module, err := fs.ReadLink(m.machine, path.Join(dir, driver, "module"))
	if found, err = bounded.Found(err); err == nil && found {
		m.aliases = append(m.aliases, path.Base(module))
	}
	return err
}
