package standalone

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// moduleDir returns a directory with modules, all of which depend on one.
func moduleDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("modules.dep", "bus.ko:\nslow.ko: bus.ko\nfast.ko: bus.ko\nlast.ko: fast.ko bus.ko\n")
	write("modules.alias", "alias pci:slow slow\nalias pci:fast fast\nalias pci:last last\n")
	for _, name := range []string{"bus", "slow", "fast", "last"} {
		write(name+".ko", name)
	}
	return dir
}

// TestLoadTogether: drivers are loaded at the same time, each once, and none before what it
// depends on.
func TestLoadTogether(t *testing.T) {
	dir := moduleDir(t)
	var (
		mu       sync.Mutex
		over     []string
		lastDone = make(chan struct{})
	)
	insert := func(f *os.File, _ string, _ bool) error {
		name := strings.TrimSuffix(filepath.Base(f.Name()), ".ko")
		if name == "slow" {
			<-lastDone // its hardware takes as long as all others together
		}
		mu.Lock()
		over = append(over, name)
		mu.Unlock()
		if name == "last" {
			close(lastDone)
		}
		return nil
	}
	l, err := newLoader(dir, nil, insert, &log{})
	if err != nil {
		t.Fatal(err)
	}
	l.aliases("pci:slow", "pci:fast", "pci:last", "pci:none", "pci:slow")
	if want := []string{"bus", "fast", "last", "slow"}; !slices.Equal(over, want) {
		t.Errorf("modules were loaded in the order %q; want %q", over, want)
	}
}

// A driver that hangs keeps those beside it from nothing.
func TestHangingModule(t *testing.T) {
	dir := moduleDir(t)
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		var fast atomic.Bool
		insert := func(f *os.File, _ string, _ bool) error {
			switch filepath.Base(f.Name()) {
			case "slow.ko":
				<-ended
			case "fast.ko":
				fast.Store(true)
			}
			return nil
		}
		l, err := newLoader(dir, nil, insert, &log{})
		if err != nil {
			t.Fatal(err)
		}
		l.aliases("pci:slow", "pci:fast")
		if got := l.loading(); !slices.Equal(got, []string{"slow"}) || !fast.Load() {
			t.Errorf("what hangs is %q, the other is loaded: %t", got, fast.Load())
		}
		close(ended)
	})
}
