package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// A watch notes the time left whenever something comes.
type watch struct {
	*Progress
	mutex sync.Mutex
	notes []note
	ended time.Time
}

// slack is how late this process may be to read what is there.
const slack = 200 * time.Millisecond

type note struct {
	at    time.Time
	bytes int64
	left  time.Duration
}

func (w *watch) Fetched(n int64) {
	w.Progress.Fetched(n)
	s := w.snapshot()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.notes = append(w.notes, note{s.now, s.bytes, s.left()})
}

func (w *watch) FetchDone() {
	w.ended = time.Now()
	w.Progress.FetchDone()
}

// TestTimeLeftIsHonest updates a machine from a registry of constant rate. From a tenth of the
// bytes on, the time left is that until everything is fetched and written, within 20 %. It is
// tried again only where the kernel says that this process had to wait for a processor.
func TestTimeLeftIsHonest(t *testing.T) {
	t.Parallel()
	for range 4 {
		before := waited(t)
		wrong := fetchSlowly(t).wrong()
		if len(wrong) == 0 {
			return
		}
		if busy := waited(t) - before; busy < 2*slack {
			t.Fatalf("having waited %v for a processor:\n%s", busy, strings.Join(wrong, "\n"))
		}
	}
	t.Skip("this machine is too busy to fetch at a constant rate")
}

// wrong returns what was wrong of the time left.
func (w *watch) wrong() (all []string) {
	checked, last := 0, w.notes[len(w.notes)-1]
	for _, n := range w.notes {
		if n.left == 0 { // it says nothing
			continue
		}
		checked++
		// After the last byte, what is in buffers is written.
		least, most := last.at.Sub(n.at)*8/10-slack, w.ended.Sub(n.at)*12/10+slack
		if n.bytes >= last.bytes/10 && (n.left < least || n.left > most) {
			all = append(all, fmt.Sprintf("after %d of %d bytes: %v left; in truth %v", n.bytes, last.bytes, n.left, w.ended.Sub(n.at)))
		}
	}
	if checked < len(w.notes)*8/10 {
		all = append(all, fmt.Sprintf("it says how much is left at %d of %d times", checked, len(w.notes)))
	}
	return all
}

// waited returns how long the threads of this process have waited for a processor, see
// Documentation/scheduler/sched-stats.rst of Linux.
func waited(t *testing.T) (all time.Duration) {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(text), &ran, &waited); err != nil {
			t.Fatal(err)
		}
		all += waited
	}
	return all
}

// fetchSlowly updates a machine from a registry of constant rate.
func fetchSlowly(t *testing.T) *watch {
	t.Helper()
	layout := t.TempDir()
	system, err1 := ocitest.SystemLayer("OS", "1", nil)
	large, err2 := ocitest.NoiseLayer("a", 8*mib)
	other, err3 := ocitest.NoiseLayer("b", 4*mib)
	registry := ocitest.NewRegistry()
	defer registry.Close()
	err := errors.Join(err1, err2, err3, ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{system, large, other}}), registry.Push(layout, "1"))
	if err != nil {
		t.Fatal(err)
	}
	registry.Pace(ocitest.Pace{Rate: 3 * mib / 2})
	m, err := update.Open(machine.Place{Dir: t.TempDir()}, func(err error) { t.Log(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := &watch{Progress: newProgress(time.Now)}
	o := update.Options{Reference: registry.Name() + ":1", Source: oci.Options{InsecureTLS: true}}
	if _, err := m.Apply(t.Context(), o, w); err != nil {
		t.Fatal(err)
	}
	return w
}
