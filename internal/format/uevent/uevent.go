// Package uevent reads what the kernel says about devices, as it is announced on a
// netlink(7) socket of the family NETLINK_KOBJECT_UEVENT: "add@/devices/…", followed by
// KEY=VALUE, each ended by a zero. The files called uevent in sysfs(5) have the same
// values, one a line.
package uevent

import (
	"fmt"
	"strings"
)

// An Event is one announcement.
type Event struct {
	Action string // such as add, change or remove
	Path   string // of the device, below /sys
	Values Values
}

// Values are the properties of a device, such as MODALIAS, SUBSYSTEM and DEVNAME.
type Values map[string]string

// Parse reads a message of the kernel. Those of udev, which begin with another header,
// are an error.
func Parse(message []byte) (Event, error) {
	header, rest, ok := strings.Cut(string(message), "\x00")
	action, path, isHeader := strings.Cut(header, "@")
	if !ok || !isHeader || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, fmt.Errorf("invalid uevent %.100q: want ACTION@/PATH and a zero", message)
	}
	return Event{action, path, parseValues(rest, "\x00")}, nil
}

// ParseFile reads the content of a file called uevent in sysfs. Lines that are not
// KEY=VALUE are skipped.
func ParseFile(text string) Values { return parseValues(text, "\n") }

func parseValues(text, end string) Values {
	values := make(Values)
	for field := range strings.SplitSeq(text, end) {
		if key, value, ok := strings.Cut(field, "="); ok && key != "" {
			values[key] = value
		}
	}
	return values
}
