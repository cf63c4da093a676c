package repo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	unlock, err := r.Lock(false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Lock(false)
	if err != nil {
		t.Fatal(err)
	}
	second()
	if _, err := r.Lock(true); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), " by "+filepath.Base(os.Args[0])+", process ") || !strings.Contains(err.Error(), ": try again") {
		t.Errorf("exclusive Lock beside a shared one = %v; want ErrBusy with a process, and what to do", err)
	}
	unlock()
	unlock()
	if unlock, err = r.Lock(true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Lock(false); !errors.Is(err, ErrBusy) {
		t.Errorf("Lock beside an exclusive one = %v; want ErrBusy", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockedBy(t *testing.T) {
	for line, want := range map[string]int{
		"1: FLOCK  ADVISORY  WRITE 4711 fe:00:131073 0 EOF":  4711,
		"1: FLOCK  ADVISORY  WRITE 4711 fe:00:1310731 0 EOF": 0,
		"1: POSIX  ADVISORY  WRITE 4711 fe:00:131073 0 EOF":  0,
		"1: -> FLOCK  ADVISORY  WRITE 4 fe:00:131073 0 EOF":  0,
		"": 0,
	} {
		if got := lockedBy(line, 131073); got != want {
			t.Errorf("lockedBy(%q) = %d; want %d", line, got, want)
		}
	}
}
