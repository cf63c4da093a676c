package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Power is a state that the machine can be put in.
type Power int

// The states, see reboot(2).
const (
	PowerReboot Power = iota
	PowerOff
	PowerKexec // boot the kernel that LoadKernel has loaded
)

// sigRTMin is the first real-time signal that is free as C libraries count:
// they keep the two of the kernel's before it to themselves. See signal(7).
const sigRTMin = 34

// AskInit asks systemd as PID 1 to put the machine in the state, by the signals
// that systemd(1) lists: units are stopped first.
func AskInit(p Power) error {
	signal := unix.Signal(sigRTMin + 5) // starts reboot.target
	switch p {
	case PowerOff:
		signal = sigRTMin + 4 // starts poweroff.target
	case PowerKexec:
		signal = sigRTMin + 6 // starts kexec.target
	}
	if err := unix.Kill(1, signal); err != nil {
		return fmt.Errorf("kill 1, %d: %w", int(signal), err)
	}
	return nil
}

// SetPower writes what is in memory to the disks and then puts the machine in
// the state, at once. See reboot(2).
func SetPower(p Power) error {
	unix.Sync()
	return ForcePower(p)
}

// ForcePower is SetPower without a wait for the disks: what is in memory is lost.
func ForcePower(p Power) error {
	cmd := unix.LINUX_REBOOT_CMD_RESTART
	switch p {
	case PowerOff:
		cmd = unix.LINUX_REBOOT_CMD_POWER_OFF
	case PowerKexec:
		cmd = unix.LINUX_REBOOT_CMD_KEXEC
	}
	if err := unix.Reboot(cmd); err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	return nil
}

// LoadKernel loads a kernel and its initramfs, to be booted by PowerKexec with a kernel
// command line. See kexec_file_load(2). A kernel that is locked down takes only one that is
// signed.
func LoadKernel(kernel, initrd *os.File, cmdline string) error {
	err := withFDs(kernel, initrd, func(k, i int) error { return unix.KexecFileLoad(k, i, cmdline, 0) })
	if err != nil {
		return fmt.Errorf("kexec_file_load %s: %w", kernel.Name(), err)
	}
	return nil
}
