// Package console writes to every terminal that the kernel writes its log to: on a machine
// with a screen and a serial line, somebody may look at either.
package console

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Terminals are open terminals, in the order in which the kernel lists them: /dev/console
// is the last one.
type Terminals []*os.File

// Open opens all terminals that can be opened, or else /dev/console. They are never closed:
// what writes to them ends with the machine, or with the program.
func Open() (all Terminals) {
	names, _ := bounded.ReadPath("/sys/class/tty/console/active", limits.Kernel)
	for _, name := range strings.Fields(string(names)) {
		all = all.with(name)
	}
	if len(all) == 0 {
		return all.with("console")
	}
	return all
}

func (t Terminals) with(name string) Terminals {
	f, err := os.OpenFile(filepath.Join("/dev", name), os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return t
	}
	return append(t, f)
}

// Others returns the terminals but for the one that /dev/console stands for.
func (t Terminals) Others() Terminals { return t[:max(len(t)-1, 0)] }

// Show writes a text to each terminal. One that nobody reads from does not keep the others
// waiting.
func (t Terminals) Show(text string) {
	for _, f := range t {
		_ = f.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = f.WriteString(text)
	}
}
