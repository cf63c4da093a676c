// Package finalize is what happens when a machine goes down: local changes to
// /etc are carried over to the staged deployment, and its boot entry is
// published. It also has what two units of the running system do to the
// physical root: telling why a boot on trial failed, and readying directories
// of /var. It hides that the physical root is mounted read-only.
package finalize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// A Machine is a running system.
type Machine struct {
	root *os.Root  // of the file system at /
	log  io.Writer // lines with a priority as in sd-daemon(3)
}

// runningRoot is the root of the machine that runs the program.
const runningRoot = "/"

// bootPartition opens the machine's boot partition. A tree that is not that of
// the running machine has it at /sysroot/boot, where apply puts it.
func (m Machine) bootPartition() (*boot.Partition, error) {
	if m.root.Name() == runningRoot {
		return boot.Find(deployment.SysrootDir)
	}
	return boot.OpenDir(m.root.Name() + deployment.SysrootDir + "/boot")
}

// Priorities of messages, see sd-daemon(3).
const (
	logErr     = 3
	logWarning = 4
	logNotice  = 5
	logInfo    = 6
)

func (m Machine) logf(priority int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(m.log, "<%d>%s\n", priority, strings.ReplaceAll(text, "\n", "; "))
}

// booted returns the deployment that the machine runs, and the mount table.
func (m Machine) booted() (deployment.ID, []mountplan.Mounted, error) {
	data, err := m.root.ReadFile("proc/self/mountinfo")
	if err != nil {
		return "", nil, fmt.Errorf("cannot read the mount table: %w", err)
	}
	mounts, err := mountplan.ParseMountinfo(string(data))
	if err != nil {
		return "", nil, err
	}
	root, _ := mountplan.At(mounts, "/")
	id, ok := deployment.FromMountSource(root.What)
	if !ok {
		return "", nil, fmt.Errorf("cannot tell which deployment is booted: / is mounted from %q", root.What)
	}
	return id, mounts, nil
}

// bootID returns the kernel's id of this boot as journald writes it.
func (m Machine) bootID() string {
	data, err := m.root.ReadFile("proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "-", "")
}

// A sysroot is the physical root, writable.
type sysroot struct {
	*os.Root
	mount *os.File // private; nil if the physical root is mounted writable
}

// openSysroot opens the physical root. It is mounted read-only, so that nobody
// writes to it by mistake: a copy of the mount that only this process has is
// made writable.
func (m Machine) openSysroot() (*sysroot, error) {
	name := strings.TrimPrefix(deployment.SysrootDir, "/")
	dir, err := m.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the physical root: %w", err)
	}
	defer dir.Close()
	info, err := sys.Statfs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the physical root: %w", err)
	}
	if !info.ReadOnly {
		root, err := os.OpenRoot(dir.Name())
		return &sysroot{Root: root}, err
	}
	mount, err := writableCopy(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the physical root writable: %w", err)
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the physical root: %w", err), mount.Close())
	}
	return &sysroot{Root: root, mount: mount}, nil
}

func writableCopy(dir *os.File) (*os.File, error) {
	mount, err := sys.CloneTree(dir, "")
	if err != nil {
		return nil, err
	}
	if err := sys.SetMountAttr(mount, 0, sys.ReadOnly); err != nil {
		return nil, errors.Join(err, mount.Close())
	}
	return mount, nil
}

// Close lets go of the physical root and of the private mount.
func (s *sysroot) Close() error {
	err := s.Root.Close()
	if s.mount != nil {
		err = errors.Join(err, s.mount.Close())
	}
	return err
}
