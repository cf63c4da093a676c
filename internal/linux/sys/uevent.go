package sys

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrOverrun reports that the kernel announced more than there was room for: some of it is
// lost.
const ErrOverrun = unix.ENOBUFS

// What the socket holds at most, and the largest message of the kernel's, in bytes.
const (
	ueventRoom = 16 << 20
	ueventSize = 8 << 10
)

// Uevents is a socket on which the kernel announces devices. See netlink(7),
// NETLINK_KOBJECT_UEVENT.
type Uevents struct{ socket *os.File }

// OpenUevents begins to listen: what is announced from now on is kept until it is read.
func OpenUevents() (*Uevents, error) {
	const kernelGroup = 1
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("socket NETLINK_KOBJECT_UEVENT: %w", err)
	}
	u := &Uevents{os.NewFile(uintptr(fd), "uevents")}
	// Without the privilege, there is the usual room.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ueventRoom)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		u.Close()
		return nil, fmt.Errorf("bind NETLINK_KOBJECT_UEVENT: %w", err)
	}
	return u, nil
}

// Close ends listening.
func (u *Uevents) Close() error { return u.socket.Close() }

// Next returns the next message. It waits for one until a time, for ever if that is the
// zero time; then the error is os.ErrDeadlineExceeded. After ErrOverrun it can be called
// again.
func (u *Uevents) Next(until time.Time) ([]byte, error) {
	if err := u.socket.SetReadDeadline(until); err != nil {
		return nil, err
	}
	conn, err := u.socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, ueventSize)
	for {
		var n int
		var from unix.Sockaddr
		var result error
		err := conn.Read(func(fd uintptr) bool {
			result = retry(func() (err error) {
				n, from, err = unix.Recvfrom(int(fd), buf, 0)
				return err
			})
			return !errors.Is(result, unix.EAGAIN)
		})
		if err == nil {
			err = result
		}
		if err != nil {
			return nil, fmt.Errorf("recvfrom NETLINK_KOBJECT_UEVENT: %w", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); ok && sender.Pid == 0 {
			return buf[:n], nil
		}
		// A process has sent it, not the kernel.
	}
}
