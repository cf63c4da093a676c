package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Power is a state that the machine can be put in.
type Power int

// The states, see reboot(2).
const (
	PowerReboot Power = iota
	PowerOff
)

// sigRTMin is the first real-time signal that is free as C libraries count:
// they keep the two of the kernel's before it to themselves. See signal(7).
const sigRTMin = 34

// AskInit asks systemd as PID 1 to put the machine in the state, by the signals
// that systemd(1) lists: units are stopped first.
func AskInit(p Power) error {
	signal := unix.Signal(sigRTMin + 5) // starts reboot.target
	if p == PowerOff {
		signal = sigRTMin + 4 // starts poweroff.target
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
	cmd := unix.LINUX_REBOOT_CMD_RESTART
	if p == PowerOff {
		cmd = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	if err := unix.Reboot(cmd); err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	return nil
}
