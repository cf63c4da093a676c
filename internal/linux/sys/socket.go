package sys

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// SendDatagram sends data to the datagram socket called name, in one piece. It
// gives up when nobody has made room for it after the time given.
func SendDatagram(name string, data []byte, limit time.Duration) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(limit.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return fmt.Errorf("setsockopt SO_SNDTIMEO: %w", err)
	}
	err = retry(func() error {
		return unix.Sendto(fd, data, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: name})
	})
	if err != nil {
		return fmt.Errorf("sendto %s: %w", name, err)
	}
	return nil
}
