package main

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A neighbour is any other program on a busy machine, at its worst: whenever a
// name appears, changes or vanishes it syncs something of its own, and has the
// boot partition's dirty blocks written out. It may not matter to ours when the
// kernel writes what.
//
// It runs before the program whose change woke it goes on: there is one
// processor, and the neighbour has real-time priority.

// startNeighbour watches the file systems mounted at the directories; esp is the
// device of the first.
func startNeighbour(esp string, dirs ...string) error {
	device, err := os.Open(esp)
	if err != nil {
		return err
	}
	started := make(chan error)
	go func() { started <- neighbour(device, dirs, started) }()
	return <-started
}

func neighbour(device *os.File, dirs []string, started chan<- error) error {
	runtime.LockOSThread()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC|unix.FAN_UNLIMITED_QUEUE, unix.O_RDONLY)
	if err != nil {
		return fmt.Errorf("fanotify_init: %w", err)
	}
	for _, dir := range dirs {
		mask := uint64(unix.FAN_CREATE | unix.FAN_MOVED_TO | unix.FAN_MOVED_FROM | unix.FAN_DELETE | unix.FAN_ONDIR)
		if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, mask, unix.AT_FDCWD, dir); err != nil {
			return fmt.Errorf("fanotify_mark %s: %w", dir, err)
		}
	}
	// A name that a new root file system may have.
	if err := os.Mkdir(path.Join(dirs[1], "efi"), 0o755); err != nil {
		return err
	}
	own, err := os.Create(path.Join(dirs[1], "efi/neighbour"))
	if err != nil {
		return err
	}
	realTime := struct{ priority int32 }{10}
	if _, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, uintptr(unsafe.Pointer(&realTime))); errno != 0 {
		return fmt.Errorf("sched_setscheduler: %w", errno)
	}
	started <- nil
	buf := make([]byte, 64<<10)
	for n := int64(0); ; n++ {
		if _, err := unix.Read(fd, buf); err != nil {
			fmt.Println("guest: neighbour:", err)
			return err
		}
		_ = unix.SyncFileRange(int(device.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
		if _, err := own.WriteAt(fmt.Appendf(nil, "%020d", n), 0); err != nil {
			fmt.Println("guest: neighbour:", err)
			return err
		}
		if err := own.Sync(); err != nil {
			fmt.Println("guest: neighbour:", err)
			return err
		}
	}
}
