package records

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// TestAddEvent: programs that add events at the same time lose none.
func TestAddEvent(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			e := deployment.Event{Kind: deployment.EventStaged, Reason: fmt.Sprint(i)}
			if err := AddEvent(root, durable.OS(root), e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	h, err := LoadHistory(root.FS())
	seen := make(map[string]bool)
	for _, e := range h {
		seen[e.Reason] = true
	}
	if err != nil || len(h) != 20 || len(seen) != 20 {
		t.Errorf("%d events, %d different, %v; want 20", len(h), len(seen), err)
	}
}

// TestAddEventStopped: an event that was cut off after any step is there or not, and nothing
// else is lost.
func TestAddEventStopped(t *testing.T) {
	for n := 0; ; n++ {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		first := deployment.Event{Kind: deployment.EventInstalled, Time: "1"}
		if err := AddEvent(root, durable.OS(root), first); err != nil {
			t.Fatal(err)
		}
		second := deployment.Event{Kind: deployment.EventStaged, Time: "2"}
		stopped := AddEvent(root, durabletest.CrashAfter(durable.OS(root), n), second)
		h, err := LoadHistory(root.FS())
		if err != nil || len(h) == 0 || h[0] != first || len(h) > 2 {
			t.Errorf("after %d steps: %+v, %v", n, h, err)
		}
		if err := AddEvent(root, durable.OS(root), second); err != nil {
			t.Errorf("after %d steps: cannot add again: %v", n, err)
		}
		root.Close()
		if stopped == nil {
			return
		}
	}
}

// TestAddEventToOther: what is no history is moved away, and nothing waits for what a user
// locks.
func TestAddEventToOther(t *testing.T) {
	file := func(content string) func(string) error {
		return func(name string) error { return os.WriteFile(name, []byte(content), 0o600) }
	}
	for name, make := range map[string]func(name string) error{
		"huge":      file(strings.Repeat("x", 2<<20)),
		"directory": func(name string) error { return os.Mkdir(name, 0o700) },
		"link":      func(name string) error { return os.Symlink("/etc/passwd", name) },
		"FIFO":      func(name string) error { return syscall.Mkfifo(name, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			dir := filepath.Join(root.Name(), deployment.StateDir)
			if err := errors.Join(os.MkdirAll(dir, 0o755), make(filepath.Join(root.Name(), deployment.HistoryFile))); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			locked, err := os.Open(dir)
			if err == nil {
				defer locked.Close()
				err = syscall.Flock(int(locked.Fd()), syscall.LOCK_EX)
			}
			if err != nil {
				t.Fatal(err)
			}
			e := deployment.Event{Kind: deployment.EventStaged}
			if err := AddEvent(root, durable.OS(root), e); err == nil || !strings.Contains(err.Error(), deployment.DamagedHistoryFile) {
				t.Errorf("the first event: %v; want to be told where the old file is", err)
			}
			if err := AddEvent(root, durable.OS(root), e); err != nil {
				t.Error(err)
			}
			if h, err := LoadHistory(root.FS()); err != nil || len(h) != 2 {
				t.Errorf("%d events, %v; want 2", len(h), err)
			}
			if _, err := root.Lstat(deployment.DamagedHistoryFile); err != nil {
				t.Error(err)
			}
			if d := time.Since(began); d > historyTime {
				t.Errorf("a lock on the directory delays it by %v", d)
			}
			if info, err := root.Stat(deployment.HistoryLockFile); err != nil || info.Mode() != 0o600 {
				t.Errorf("the lock: %v, %v; want it for root alone", info, err)
			}
		})
	}
}
