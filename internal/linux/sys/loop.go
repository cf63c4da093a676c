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
	return loop(f, os.O_RDONLY, unix.LoopConfig{Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY}})
}

// LoopRange returns a block device that is a part of f, a file or a disk: size bytes from
// offset. It writes to f too, with writable. The device goes away as with LoopDevice.
func LoopRange(f *os.File, offset, size, sector int64, writable bool) (*os.File, error) {
	info := unix.LoopInfo64{Offset: uint64(offset), Sizelimit: uint64(size), Flags: unix.LO_FLAGS_READ_ONLY}
	mode := os.O_RDONLY
	if writable {
		info.Flags, mode = 0, os.O_RDWR
	}
	return loop(f, mode, unix.LoopConfig{Size: uint32(sector), Info: info})
}

func loop(f *os.File, mode int, config unix.LoopConfig) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config.Info.Flags |= unix.LO_FLAGS_AUTOCLEAR
	for range loopTries {
		device, err := takeLoop(control, f, mode, config)
		if !errors.Is(err, unix.EBUSY) {
			return device, err
		}
	}
	return nil, fmt.Errorf("loop device for %s: %w after %d tries", f.Name(), unix.EBUSY, loopTries)
}

// CheckLoop reports what keeps this program from getting a loop device; it takes none.
func CheckLoop() error {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	device, err := freeLoop(control, os.O_RDWR)
	if err != nil {
		return err
	}
	return device.Close()
}

// A LoopBacking says what a loop device reads: a file, or a device if that has a number.
// The numbers are those of stat(2).
type LoopBacking struct{ FileDevice, Inode, Device uint64 }

// ReadLoopBacking returns what the loop device at path reads.
func ReadLoopBacking(path string) (LoopBacking, error) {
	f, err := os.Open(path)
	if err != nil {
		return LoopBacking{}, err
	}
	defer f.Close()
	var info *unix.LoopInfo64
	err = withFD(f, func(fd int) (err error) {
		info, err = unix.IoctlLoopGetStatus64(fd)
		return err
	})
	if err != nil {
		return LoopBacking{}, fmt.Errorf("ioctl LOOP_GET_STATUS64 %s: %w", path, err)
	}
	return LoopBacking{info.Device, info.Inode, info.Rdevice}, nil
}

// freeLoop opens a loop device that is free.
func freeLoop(control *os.File, mode int) (*os.File, error) {
	var n int
	err := withFD(control, func(fd int) (err error) {
		n, err = unix.IoctlRetInt(fd, unix.LOOP_CTL_GET_FREE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ioctl LOOP_CTL_GET_FREE: %w", err)
	}
	return os.OpenFile(fmt.Sprintf("/dev/loop%d", n), mode, 0)
}

func takeLoop(control, f *os.File, mode int, config unix.LoopConfig) (*os.File, error) {
	device, err := freeLoop(control, mode)
	if err != nil {
		return nil, err
	}
	err = withFDs(device, f, func(fd, backing int) error {
		config.Fd = uint32(backing)
		return unix.IoctlLoopConfigure(fd, &config)
	})
	if err != nil {
		device.Close()
		return nil, fmt.Errorf("ioctl LOOP_CONFIGURE %s: %w", device.Name(), err)
	}
	return device, nil
}
