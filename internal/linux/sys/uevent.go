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

// Next returns the next message. If there is none it waits for one until a time, for ever
// if that is the zero time; then the error is os.ErrDeadlineExceeded. After ErrOverrun it
// can be called again.
func (u *Uevents) Next(until time.Time) ([]byte, error) {
	conn, err := u.socket.SyscallConn()
	if err == nil {
		err = u.socket.SetReadDeadline(until)
	}
	if err != nil {
		return nil, err
	}
	for {
		m := message{buf: make([]byte, ueventSize)}
		// A time that is over would keep Read from looking.
		if err = conn.Control(func(fd uintptr) { m.receive(fd) }); err == nil && errors.Is(m.err, unix.EAGAIN) {
			err = conn.Read(m.receive)
		}
		if err == nil {
			err = m.err
		}
		if err != nil {
			return nil, fmt.Errorf("recvfrom NETLINK_KOBJECT_UEVENT: %w", err)
		}
		if m.fromKernel {
			return m.buf, nil
		}
	}
}

// A message is one that was received, from the kernel or from a process.
type message struct {
	buf        []byte
	fromKernel bool
	err        error
}

// receive reads a message. It reports whether there was one, or an error.
func (m *message) receive(fd uintptr) bool {
	var n int
	var from unix.Sockaddr
	m.err = retry(func() (err error) {
		n, from, err = unix.Recvfrom(int(fd), m.buf, 0)
		return err
	})
	if m.err == nil {
		sender, ok := from.(*unix.SockaddrNetlink)
		m.buf, m.fromKernel = m.buf[:n], ok && sender.Pid == 0
	}
	return !errors.Is(m.err, unix.EAGAIN)
}
