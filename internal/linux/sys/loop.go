package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loopTries is how often LoopDevice asks for a free device before it gives up:
// between asking and taking, another process may have taken it.
const loopTries = 16

// LoopDevice returns a block device that reads f, and only reads. The device
// goes away when it is closed and no longer mounted. See loop(4).
func LoopDevice(f *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range loopTries {
		device, err := takeLoop(control, f)
		if !errors.Is(err, unix.EBUSY) {
			return device, err
		}
	}
	return nil, fmt.Errorf("loop device for %s: %w after %d tries", f.Name(), unix.EBUSY, loopTries)
}

func takeLoop(control, f *os.File) (*os.File, error) {
	var n int
	err := withFD(control, func(fd int) (err error) {
		n, err = unix.IoctlRetInt(fd, unix.LOOP_CTL_GET_FREE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ioctl LOOP_CTL_GET_FREE: %w", err)
	}
	device, err := os.Open(fmt.Sprintf("/dev/loop%d", n))
	if err != nil {
		return nil, err
	}
	err = withFDs(device, f, func(fd, backing int) error {
		return unix.IoctlLoopConfigure(fd, &unix.LoopConfig{
			Fd:   uint32(backing),
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR},
		})
	})
	if err != nil {
		device.Close()
		return nil, fmt.Errorf("ioctl LOOP_CONFIGURE %s: %w", device.Name(), err)
	}
	return device, nil
}
