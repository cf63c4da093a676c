// Package systemd asks the running system's manager to do things, over D-Bus.
package systemd

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// StartUnit starts a unit and waits for the end of the job. The error names
// the job's result if that is not "done", see org.freedesktop.systemd1(5).
func StartUnit(ctx context.Context, name string) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("cannot start %s: connect to systemd: %w", name, err)
	}
	defer conn.Close()
	result := make(chan string, 1)
	if _, err := conn.StartUnitContext(ctx, name, "replace", result); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	select {
	case r := <-result:
		if r != "done" {
			return fmt.Errorf("cannot start %s: the result of the job is %q", name, r)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot start %s: %w", name, ctx.Err())
	}
}

// Reboot begins an orderly reboot and returns. It asks logind, which tells the
// users, or the manager itself where logind cannot do it.
func Reboot(ctx context.Context) error { return goDown(ctx, "reboot", 0) }

// SoftReboot is Reboot for user space alone: the kernel keeps running. It needs systemd 254.
func SoftReboot(ctx context.Context) error { return goDown(ctx, "soft-reboot", viaSoftReboot) }

// Kexec is Reboot into the kernel that was loaded, without firmware and boot loader.
func Kexec(ctx context.Context) error { return goDown(ctx, "kexec", viaKexec) }

// Flags of logind's RebootWithFlags, see org.freedesktop.login1(5).
const (
	viaKexec      uint64 = 1 << 1
	viaSoftReboot uint64 = 1 << 2
)

// goDown starts the target that a verb of systemctl(1) is named after, as that does.
func goDown(ctx context.Context, verb string, flags uint64) error {
	errLogind := rebootByLogind(ctx, flags)
	if errLogind == nil {
		return nil
	}
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("cannot %s: %w", verb, errors.Join(errLogind, err))
	}
	defer conn.Close()
	if _, err := conn.StartUnitContext(ctx, verb+".target", "replace-irreversibly", nil); err != nil {
		return fmt.Errorf("cannot %s: %w", verb, errors.Join(errLogind, err))
	}
	return nil
}

func rebootByLogind(ctx context.Context, flags uint64) error {
	conn, err := godbus.ConnectSystemBus(godbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	logind := conn.Object("org.freedesktop.login1", "/org/freedesktop/login1")
	const manager = "org.freedesktop.login1.Manager."
	if flags != 0 {
		return logind.CallWithContext(ctx, manager+"RebootWithFlags", 0, flags).Err
	}
	const askForPassword = false
	return logind.CallWithContext(ctx, manager+"Reboot", 0, askForPassword).Err
}
