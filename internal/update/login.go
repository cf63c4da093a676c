package update

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

// TellAtLogin makes the line that everybody is told at login true: it says that the machine
// went back from an update, and is removed with what it is about. A machine that is not running
// has no such line.
func TellAtLogin(system *machine.System) error {
	if system.Running == nil {
		return nil
	}
	err := tellAtLogin(system)
	if err != nil {
		return fmt.Errorf("cannot write the message that users see at login: %w", err)
	}
	return nil
}

func tellAtLogin(system *machine.System) error {
	line := status.LoginLine(system)
	if line == "" {
		if err := system.Host.Remove(status.LoginFile); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	// A reboot empties /run: only other readers must not see half of it.
	running := durable.Unsynced(durable.OS(system.Host))
	if err := durable.MkdirAll(running, path.Dir(status.LoginFile), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(running, status.LoginFile, []byte(line))
}
