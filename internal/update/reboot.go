package update

import (
	"context"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemd"
)

// withWishes returns the options with the way to reboot that update.toml has, if the machine
// is to reboot and no way was given.
func (m *Machine) withWishes(o Options) (Options, error) {
	if !o.Reboot || o.SoftReboot != NotWanted || o.Kexec != NotWanted {
		return o, nil
	}
	c, err := m.config()
	if err != nil {
		return o, err
	}
	switch c.reboot() {
	case updateconfig.ByKexec:
		o.Kexec = IfPossible
	case updateconfig.BySoftReboot:
		o.SoftReboot = IfPossible
	}
	return o, nil
}

// Reboot asks the running machine to boot what is next, in the way that was wished for if
// that is possible.
func (m *Machine) Reboot(ctx context.Context, r Result) error {
	switch {
	case r.SoftReboot != nil && r.SoftReboot.Possible:
		return systemd.SoftReboot(ctx)
	case r.kexec != NotWanted && (r.Kexec == nil || r.Kexec.Possible):
		err := m.loadKexec(r.ID)
		if err == nil {
			return systemd.Kexec(ctx)
		}
		err = fmt.Errorf("cannot load the new kernel: %w", err)
		if r.kexec == IfPossibleOrFail && errors.Is(err, errLocked) {
			return err
		}
		if r.kexec == IfPossibleOrFail {
			return fmt.Errorf("staged, and takes effect at the next reboot, but %w", err)
		}
		m.warn(fmt.Errorf("%w; rebooting by the firmware", err))
	}
	return systemd.Reboot(ctx)
}
