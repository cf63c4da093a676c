// Package finalize runs when a machine goes down: it carries local changes to /etc over to
// the staged deployment, and publishes the boot entry. Units of the running system also use
// it to change the disk: to find a staged deployment after a power cut, to mark a boot on
// trial as good, and to prepare directories of /var. It needs no network and asks no
// questions.
package finalize

import (
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemctl"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// A Machine is a running system.
type Machine struct {
	root *os.Root // of the file system at /
	log  journal.Log
	exit func(status int) // ends the program
	// wrap is what all changes to the physical root and the boot partition go
	// through, where a test records or stops them; else nil.
	wrap func(durable.FS) durable.FS
	// unload forgets the kernel that is loaded for kexec, where a test cannot; else nil.
	unload func() error
}

// changes returns a directory to change.
func (m Machine) changes(root *os.Root) durable.FS {
	if m.wrap != nil {
		return m.wrap(durable.OS(root))
	}
	return durable.OS(root)
}

// runningRoot is the root of the machine that runs the program.
const runningRoot = "/"

// bootPartition opens the machine's boot partition. A tree that is not that of
// the running machine has it at /sysroot/boot, where apply puts it.
func (m Machine) bootPartition() (*boot.Partition, error) {
	if m.root.Name() == runningRoot {
		return boot.Find(m.root, deployment.SysrootDir)
	}
	p, err := boot.OpenDir(m.root.Name() + deployment.SysrootDir + "/boot")
	if err == nil && m.wrap != nil {
		p.Through(m.wrap)
	}
	return p, err
}

// A way is how a machine goes down.
type way int

const (
	reboot     way = iota // also poweroff and halt: the running system ends
	softReboot            // user space restarts, on the same root or on another one
	kexec                 // a kernel boots that was loaded before
)

// goesOn reports whether the running system may keep running after this shutdown.
func (w way) goesOn() bool { return w != reboot }

// wayDown returns how the machine goes down.
func (m Machine) wayDown() way {
	if m.root.Name() != runningRoot {
		return reboot
	}
	systemd := systemctl.Manager{Warn: func(err error) { m.logf(journal.Warning, "%v", err) }}
	switch {
	case systemd.HasJob("soft-reboot.target"):
		return softReboot
	case systemd.HasJob("kexec.target"):
		return kexec
	}
	return reboot
}

// forgetKernel keeps the kernel that was loaded for kexec, if the machine goes down for that,
// from starting. systemd then reboots by the firmware.
func (m Machine) forgetKernel(byKexec bool) {
	if !byKexec {
		return
	}
	unload := m.unload
	if unload == nil {
		unload = sys.UnloadKexec
	}
	if err := unload(); err != nil {
		m.logf(journal.Err, "cannot keep the kernel from starting that is loaded for kexec: %v", err)
		return
	}
	m.logf(journal.Notice, "the kernel that was loaded for kexec is forgotten, since the staged deployment does not boot next")
}

// bootID returns the kernel's id of this boot as journald writes it.
func (m Machine) bootID() string { return sysroot.BootID(m.root) }
