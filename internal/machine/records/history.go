package records

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// LoadHistory returns what has happened to the machine's deployments.
func LoadHistory(root fs.FS) (deployment.History, error) {
	return load(root, deployment.HistoryFile, limits.Record, deployment.ParseHistory)
}

// historyTime is how long another program may take to add an event.
const historyTime = 2 * time.Second

// AddEvent adds an event to the history, with the time if it has none. root and changes are
// both the physical root. Programs that add at the same time wait for each other.
func AddEvent(root *os.Root, changes durable.FS, e deployment.Event) error {
	if _, err := changes.Lstat(deployment.StateDir); errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
			return err
		}
	}
	dir, err := root.Open(deployment.StateDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	for until := time.Now().Add(historyTime); ; time.Sleep(10 * time.Millisecond) {
		locked, err := sys.TryFlock(dir, true)
		if err != nil {
			return err
		}
		if locked {
			break
		}
		if time.Now().After(until) {
			return errors.New("another program is writing to the history")
		}
	}
	h, err := LoadHistory(root.FS())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if e.Time == "" {
		e.Time = time.Now().UTC().Format(time.RFC3339)
	}
	h.Add(e)
	return durable.WriteFile(changes, deployment.HistoryFile, h.Encode())
}
