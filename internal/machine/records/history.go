package records

import (
	"errors"
	"fmt"
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
// both the physical root. Programs that add at the same time wait for each other. A
// file that is not a history is moved away, a new one begins, and the error says so: what
// happened must not be lost because of what somebody else left there.
func AddEvent(root *os.Root, changes durable.FS, e deployment.Event) error {
	if _, err := changes.Lstat(deployment.StateDir); errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
			return noEvent(err)
		}
	}
	lock, err := lockHistory(root)
	if err != nil {
		return noEvent(err)
	}
	defer lock.Close()
	h, unreadable := LoadHistory(root.FS())
	switch {
	case errors.Is(unreadable, fs.ErrNotExist):
		unreadable = nil
	case unreadable != nil:
		if err := durable.Rename(changes, deployment.HistoryFile, deployment.DamagedHistoryFile); err != nil {
			return noEvent(errors.Join(unreadable, err))
		}
		unreadable = fmt.Errorf("the history begins anew; what was there is now in %s: %w", deployment.DamagedHistoryFile, unreadable)
	}
	if e.Time == "" {
		e.Time = time.Now().UTC().Format(time.RFC3339)
	}
	h.Add(e)
	if err := durable.WriteFile(changes, deployment.HistoryFile, h.Encode()); err != nil {
		return errors.Join(noEvent(err), unreadable)
	}
	return unreadable
}

func noEvent(err error) error { return fmt.Errorf("cannot add this to the history: %w", err) }

// lockHistory keeps other programs from adding an event, until the file is closed. Users can
// neither open the file nor lock it.
func lockHistory(root *os.Root) (*os.File, error) {
	lock, err := root.OpenFile(deployment.HistoryLockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(historyTime); ; time.Sleep(10 * time.Millisecond) {
		locked, err := sys.TryFlock(lock, true)
		if err == nil && !locked && time.Now().After(until) {
			err = errors.New("another program is writing to it")
		}
		if err != nil {
			lock.Close()
			return nil, err
		}
		if locked {
			return lock, nil
		}
	}
}
