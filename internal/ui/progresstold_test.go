package ui

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/terminal"
)

// systemd is told what goes on, and that it goes on as long as something comes.
func TestNotifier(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	told := func() string {
		t.Helper()
		buf := make([]byte, 1000)
		if err := socket.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	c := newClock()
	p := newProgress(c.now)
	p.with(&notifier{socket: name})
	const alive = "\nEXTEND_TIMEOUT_USEC=600000000"
	expect := func(about, want string) {
		t.Helper()
		if got := told(); got != want {
			t.Errorf("%s: systemd is told %q; want %q", about, got, want)
		}
	}
	p.Step("Looking for it")
	expect("a step", "STATUS=Looking for it"+alive)
	p.Fetching(2, 1000*mib)
	expect("a fetch", "STATUS=Fetched 0 B of 1000.0 MiB (0%)"+alive)
	fetch(p, c, 10*mib, 10*time.Second)
	p.tell(goesOn, nothing)
	expect("bytes", "STATUS=Fetched 100.0 MiB of 1000.0 MiB (10%), 10.0 MiB/s, 1 min 30 s left"+alive)
	p.tell(goesOn, nothing)
	expect("too soon", "")
	c.pass(25 * time.Second)
	p.tell(goesOn, nothing)
	expect("nothing comes", "STATUS=Fetched 100.0 MiB of 1000.0 MiB (10%), no data for 25 s")
	p.FetchDone()
	expect("the end of the fetch", "STATUS=Nothing kept: no layer was complete"+alive)
	p.tell(interrupted, nothing)
	expect("the end", "STATUS=")
	p.Step("more")
	expect("after the end", "")
	(&notifier{socket: name + "-gone"}).show(stepBegun, state{step: "nobody listens"})
}

func TestTaskbar(t *testing.T) {
	c := newClock()
	p, screen := newProgress(c.now), terminal.NewScreen(80)
	p.with(&taskbar{w: writer(screen.Write)})
	p.Step("Looking")
	p.tell(goesOn, nothing)
	p.Fetching(1, 100*mib)
	fetch(p, c, 10*mib, time.Second)
	p.tell(goesOn, nothing)
	p.tell(goesOn, nothing)
	c.pass(6 * time.Second)
	p.tell(goesOn, nothing)
	p.FetchDone()
	p.tell(interrupted, nothing)
	p.tell(ended, nothing)
	if got, want := strings.Join(screen.Progress, " "), "3;0 1;0 1;10 1;10 3;0 0;0"; got != want {
		t.Errorf("the terminal is told %s; want %s", got, want)
	}
	if got := screen.String(); got != "\n" {
		t.Errorf("on the screen is %q", got)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestShowsProgress(t *testing.T) {
	for environment, want := range map[string]bool{
		"TERM=xterm-256color": false,
		"":                    false,
		"TERM=xterm-ghostty":  true,
		"TERM=xterm-256color TERM_PROGRAM=ghostty":                     true,
		"TERM=xterm-256color WT_SESSION=0-1":                           true,
		"TERM=xterm-256color VTE_VERSION=7802":                         false,
		"TERM=xterm-256color VTE_VERSION=8000":                         true,
		"TERM=tmux-256color VTE_VERSION=8000":                          false,
		"TERM=screen WT_SESSION=0-1":                                   false,
		"TERM=xterm ConEmuANSI=ON":                                     true,
		"TERM=xterm ConEmuANSI=OFF":                                    false,
		"TERM=xterm TERM_PROGRAM=iTerm.app TERM_PROGRAM_VERSION=3.6.5": false,
		"TERM=xterm TERM_PROGRAM=iTerm.app TERM_PROGRAM_VERSION=3.6.6": true,
		"TERM=xterm TERM_PROGRAM=iTerm.app TERM_PROGRAM_VERSION=3.10":  true,
		"TERM=xterm TERM_PROGRAM=iTerm.app TERM_PROGRAM_VERSION=3.6":   false,
		"TERM=xterm TERM_PROGRAM=iTerm.app TERM_PROGRAM_VERSION=new":   false,
		"TERM=xterm TERM_PROGRAM=iTerm.app":                            false,
		"TERM=xterm-ghostty SYSUPDATE_IMAGE_TERMINAL_PROGRESS=0":       false,
		"TERM=xterm SYSUPDATE_IMAGE_TERMINAL_PROGRESS=1":               true,
	} {
		values := make(map[string]string)
		for pair := range strings.FieldsSeq(environment) {
			name, value, _ := strings.Cut(pair, "=")
			values[name] = value
		}
		if got := showsProgress(func(name string) string { return values[name] }); got != want {
			t.Errorf("showsProgress with %q = %v", environment, got)
		}
	}
}
