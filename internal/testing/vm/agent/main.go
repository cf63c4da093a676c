// Command agent runs in the virtual machines of the tests: it executes the
// scripts that the test sends over a virtio-serial port, or over the serial line that
// the kernel command line names. It is no part of the product.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/guest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run() error {
	port, err := openPort()
	if err != nil {
		return err
	}
	defer port.Close()
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	return guest.Serve(port, strings.TrimSpace(string(bootID)))
}

func openPort() (*os.File, error) {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(string(cmdline)) {
		if name, ok := strings.CutPrefix(word, wire.PortOption); ok {
			return openLine(name)
		}
	}
	return os.OpenFile("/dev/virtio-ports/"+wire.PortName, os.O_RDWR, 0)
}

// openLine opens a serial line on which bytes arrive as they were sent.
func openLine(name string) (*os.File, error) {
	port, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	settings, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err == nil {
		settings.Iflag, settings.Oflag, settings.Lflag = 0, 0, 0
		settings.Cflag = settings.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
		settings.Cc[unix.VMIN], settings.Cc[unix.VTIME] = 1, 0
		err = unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, settings)
	}
	if err != nil {
		port.Close()
		return nil, fmt.Errorf("cannot set up %s: %w", name, err)
	}
	return port, nil
}
