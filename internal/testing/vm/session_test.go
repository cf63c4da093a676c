package vm

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/guest"
)

// connect returns a machine whose agent runs in this process, and a function that
// ends one boot and begins the next.
func connect(t *testing.T) (m *Machine, reboot func(bootID string)) {
	t.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	m = &Machine{port: ours, changed: make(chan struct{}), pending: make(map[uint64]chan outcome)}
	go m.listen()
	return m, func(bootID string) { go guest.Serve(theirs, bootID) }
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, reboot := connect(t)
	reboot("boot 1")
	if id, err := m.WaitBoot(ctx); id != "boot 1" || err != nil {
		t.Fatalf("WaitBoot() = %q, %v; want boot 1", id, err)
	}
	tests := []struct {
		script         string
		stdout, stderr string
		exit           int
	}{
		{"echo out; echo err >&2; exit 3", "out\n", "err\n", 3},
		{"kill -9 $$", "", "", 137},
		{`printf 'a\000\377'`, "a\x00\xff", "", 0},
		{"sleep 60 & echo started", "started\n", "", 0},
		{"cat", "", "", 0},
	}
	for _, tt := range tests {
		got, err := m.Run(ctx, tt.script)
		if err != nil || got.Stdout != tt.stdout || got.Stderr != tt.stderr || got.Exit != tt.exit {
			t.Errorf("Run(%q) = %+v, %v; want %q, %q, %d", tt.script, got, err, tt.stdout, tt.stderr, tt.exit)
		}
	}
}

func TestRunKillsWhenItsContextEnds(t *testing.T) {
	m, reboot := connect(t)
	reboot("boot 1")
	if _, err := m.WaitBoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark := t.TempDir() + "/survived"
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := m.Run(ctx, "(sleep 1; touch "+Quote(mark)+") & wait"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run() error = %v; want %v", err, context.DeadlineExceeded)
	}
	if _, err := m.Run(t.Context(), "sleep 1.5"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("what the script had started ran on")
	}
}

func TestRunWhileTheMachineRestarts(t *testing.T) {
	m, reboot := connect(t)
	reboot("boot 1")
	if _, err := m.WaitBoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, func() { reboot("boot 2") })
	if _, err := m.Run(t.Context(), "sleep 30"); !errors.Is(err, ErrRestarted) {
		t.Errorf("Run() error = %v; want %v", err, ErrRestarted)
	}
	if id, err := m.WaitBoot(t.Context()); id != "boot 2" || err != nil {
		t.Errorf("WaitBoot() = %q, %v; want boot 2", id, err)
	}
}

func TestWriteFile(t *testing.T) {
	m, reboot := connect(t)
	reboot("boot 1")
	if _, err := m.WaitBoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, data := t.TempDir()+"/it's a file", strings.Repeat("\x00line\n", 100_000)
	if err := m.WriteFile(t.Context(), name, []byte(data)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != data {
		t.Errorf("found %d bytes, %v; want %d", len(got), err, len(data))
	}
}

func TestConsoleText(t *testing.T) {
	name := t.TempDir() + "/log"
	if err := os.WriteFile(name, []byte("earlier start\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := openConsole(name)
	if err := os.WriteFile(name, []byte("earlier start\n\x1b[0;32m  OK  \x1b[0m] Started\r\n\r\nlast\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := c.tail(2), "  OK  ] Started\nlast"; got != want {
		t.Errorf("tail = %q; want %q", got, want)
	}
}
