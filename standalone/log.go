package standalone

import (
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// A log writes to the kernel's log, which decides by its own level (quiet, loglevel=) what
// is shown on the console, and which the journal takes over.
type log struct {
	kmsg    *os.File // nil until there is one
	verbose bool     // debug on the kernel command line
}

// Priorities of syslog(3).
const (
	priWarning = 4
	priInfo    = 6
	priDebug   = 7
)

// open opens the kernel's log. What cannot be logged is lost, and nothing else.
func (l *log) open(cmdline kcmdline.Cmdline) {
	_, debug := cmdline.Last("debug")
	_, rdDebug := cmdline.Last("rd.debug")
	l.verbose = debug || rdDebug
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		l.kmsg = f
	}
}

func (l *log) write(priority int, text string) {
	if l.kmsg == nil {
		return
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(l.kmsg, "<%d>sysupdate-image-init: %s\n", priority, line)
		}
	}
}

func (l *log) info(format string, args ...any) { l.write(priInfo, fmt.Sprintf(format, args...)) }
func (l *log) warn(format string, args ...any) { l.write(priWarning, fmt.Sprintf(format, args...)) }

// debug logs what is of use only to somebody who asked for it: the kernel keeps few
// lines a second.
func (l *log) debug(format string, args ...any) {
	if l.verbose {
		l.write(priDebug, fmt.Sprintf(format, args...))
	}
}

// Write logs lines as warnings, for code that writes to a standard error.
func (l *log) Write(p []byte) (int, error) {
	l.write(priWarning, string(p))
	return len(p), nil
}
