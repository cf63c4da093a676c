package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A Diversion is something that was left over in the running system, by which a plain reboot
// does not lead to what boots next. See reboot in systemctl(1).
type Diversion string

// The diversions besides boot.OneShot, which is a setting of the loader.
const (
	ByKexec    Diversion = "a kernel is loaded for kexec: a reboot starts it without the boot loader"
	ByNextRoot Diversion = "/run/nextroot is filled: a reboot continues there with the same kernel"
)

const nextRoot = "run/nextroot"

// diversions returns what is left over in the running system.
func (s *System) diversions() (list []Diversion) {
	if s.Running == nil {
		return nil
	}
	if loaded, err := bounded.ReadFile(s.Running, "sys/kernel/kexec_loaded", limits.Kernel); err == nil && strings.TrimSpace(string(loaded)) == "1" {
		list = append(list, ByKexec)
	}
	if names, err := fs.ReadDir(s.Running, nextRoot); err == nil && len(names) > 0 {
		list = append(list, ByNextRoot)
	}
	return list
}

// ClearDiversions has the next plain reboot lead to what boots next. It does so on the running
// machine only.
func (s *System) ClearDiversions() error {
	if s.Running == nil {
		return nil
	}
	var err error
	name := bootcount.VariableFile(boot.OneShot)
	if _, statErr := fs.Stat(s.Running, name); statErr == nil {
		err = clearVariable(s.Host, name)
	}
	for _, d := range s.diversions() {
		if d == ByKexec {
			err = errors.Join(err, sys.UnloadKexec())
		} else {
			err = errors.Join(err, s.clearNextRoot())
		}
	}
	if err != nil {
		return fmt.Errorf("a reboot may not lead to what boots next: %w", err)
	}
	return nil
}

// clearVariable removes an EFI variable, which the kernel protects from being removed by
// mistake.
func clearVariable(host *os.Root, name string) error {
	err := host.Remove(name)
	if errors.Is(err, syscall.EPERM) {
		f, openErr := host.Open(name)
		if openErr != nil {
			return errors.Join(err, openErr)
		}
		defer f.Close()
		if err = sys.SetProtection(f, sys.Protection{}); err == nil {
			err = host.Remove(name)
		}
	}
	return err
}

// clearNextRoot unmounts the root for a soft reboot. A directory that is none stays.
func (s *System) clearNextRoot() error {
	mounts, err := mountTable(s.Running)
	if err != nil {
		return err
	}
	if _, ok := mountplan.At(mounts, "/"+nextRoot); !ok {
		return fmt.Errorf("/%s is a directory with files: remove it", nextRoot)
	}
	return sys.Unmount("/" + nextRoot)
}
