// Command agent runs in the virtual machines of the tests: it executes the
// scripts that the test sends over a virtio-serial port. It is no part of the
// product.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/guest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

func main() {
	if err := run("/dev/virtio-ports/" + wire.PortName); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(portName string) error {
	port, err := os.OpenFile(portName, os.O_RDWR, 0)
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
