// Package journal writes to the system's journal. It hides the native protocol of
// systemd-journald, which gives messages fields that programs can search for, and where
// messages go if journald does not take them.
package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Priorities, see sd-daemon(3).
const (
	Err     = 3
	Warning = 4
	Notice  = 5
	Info    = 6
)

// An Entry is a message with what is known about it, see
// systemd.journal-fields(7).
type Entry struct {
	Priority int
	// ID is the MESSAGE_ID in 32 hexadecimal digits, by which programs and the
	// journal's catalog know this kind of message. It may be empty.
	ID      string
	Message string
	Fields  []Field
}

// A Field is one of an entry's further fields.
type Field struct{ Name, Value string }

// Encode returns the entry in the native protocol, see
// https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
func (e Entry) Encode(identifier string) []byte {
	var b bytes.Buffer
	field(&b, "MESSAGE", e.Message)
	field(&b, "PRIORITY", fmt.Sprint(e.Priority))
	if identifier != "" {
		field(&b, "SYSLOG_IDENTIFIER", identifier)
	}
	if e.ID != "" {
		field(&b, "MESSAGE_ID", e.ID)
	}
	for _, f := range e.Fields {
		field(&b, f.Name, f.Value)
	}
	return b.Bytes()
}

// field appends a field. A value of more than one line goes with its length.
func field(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	if strings.ContainsRune(value, '\n') {
		b.WriteByte('\n')
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(value)))
		b.Write(length[:])
	} else {
		b.WriteByte('=')
	}
	b.WriteString(value)
	b.WriteByte('\n')
}

// Socket is where systemd-journald takes entries.
const Socket = "/run/systemd/journal/socket"

// sendTime is how long journald, when it is busy, may take before a message goes
// elsewhere. It reads many thousands in a second.
const sendTime = 2 * time.Second

// A Log takes entries.
type Log struct {
	// Socket is that of the journal; empty means that there is none.
	Socket string
	// Identifier is what the journal calls the program.
	Identifier string
	// Else gets what the journal did not take: a line for each entry, with its
	// priority as sd-daemon(3) has it.
	Else io.Writer
	// Console opens the console, where people see a boot or a shutdown; nil if the log
	// does not show on it. A machine may have none.
	Console func() (io.WriteCloser, error)
}

// ConsoleOf opens the console of a machine with this root directory, for a Log. One that
// nobody reads must not stop a boot or a shutdown.
func ConsoleOf(root *os.Root) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		return root.OpenFile("dev/console", os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	}
}

// Write hands an entry to the journal, or else writes it to l.Else. It reports
// whether the journal has taken it.
func (l Log) Write(e Entry) bool {
	if l.Socket != "" && sys.SendDatagram(l.Socket, e.Encode(l.Identifier), sendTime) == nil {
		l.show(e)
		return true
	}
	fmt.Fprintf(l.Else, "<%d>%s\n", e.Priority, strings.ReplaceAll(e.Message, "\n", "; "))
	return false
}

// show shows an entry of note on the console. The output of a unit would get there by
// itself, but once more into the journal, without an id.
func (l Log) show(e Entry) {
	if l.Console == nil || e.Priority > Notice {
		return
	}
	console, err := l.Console()
	if err != nil {
		return // there is none
	}
	defer console.Close()
	fmt.Fprintf(console, "%s: %s\r\n", l.Identifier, e.Message)
}
