package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const consoleName = "console.log"

// A console is the log of the first serial line: firmware, boot loader, kernel
// and what systemd reports. It grows over all starts of a machine.
type console struct {
	name  string
	start int64 // where the log of this start of the machine begins
}

func openConsole(name string) console {
	info, err := os.Stat(name)
	if err != nil {
		return console{name: name}
	}
	return console{name, info.Size()}
}

// escapes matches what moves the cursor and sets colours.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>])|[\r\x00\x07]`)

// text returns what the console has shown since the machine was started.
func (c console) text() string {
	data, err := os.ReadFile(c.name)
	if err != nil || int64(len(data)) < c.start {
		return ""
	}
	return string(escapes.ReplaceAll(data[c.start:], nil))
}

// tail returns the last n lines that are not empty.
func (c console) tail(n int) string {
	var lines []string
	for line := range strings.Lines(c.text()) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Console returns what the console has shown since the machine was started,
// without colours.
func (m *Machine) Console() string { return m.console.text() }

// Type types a text at the console.
func (m *Machine) Type(text string) error {
	f, err := os.OpenFile(filepath.Join(m.dir, typedName+".in"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// WaitConsole waits until the console shows a text.
func (m *Machine) WaitConsole(ctx context.Context, text string) error {
	ctx, stop := m.watch(ctx)
	defer stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if strings.Contains(m.console.text(), text) {
			return nil
		}
		m.mu.Lock()
		ended := m.ended
		m.mu.Unlock()
		if ended && !strings.Contains(m.console.text(), text) {
			return m.explain(fmt.Sprintf("did not show %q", text), m.whyEnded())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return m.explain(fmt.Sprintf("did not show %q", text), context.Cause(ctx))
		}
	}
}
