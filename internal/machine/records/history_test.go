package records

import (
	"fmt"
	"os"
	"sync"
	"testing"

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
