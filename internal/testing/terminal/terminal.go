// Package terminal runs programs on a pseudo-terminal, and has its screen as a person sees it.
package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal has one program, which is in its foreground.
type Terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{} // closed when all that the program wrote is on the screen

	mutex  sync.Mutex
	screen *Screen
	raw    strings.Builder
}

// Start starts a program on a new terminal of so many columns. What cmd has of standard input,
// output and error goes to the terminal unless it is set.
func Start(t *testing.T, cmd *exec.Cmd, columns int) *Terminal {
	t.Helper()
	master, slave, err := open()
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{t: t, cmd: cmd, master: master, ended: make(chan struct{}), screen: NewScreen(columns)}
	term.setSize(columns)
	if cmd.Stdin == nil {
		cmd.Stdin = slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = slave
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	err = cmd.Start()
	slave.Close()
	if err != nil {
		master.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-term.ended
	})
	go term.read()
	return term
}

// open opens a pseudo-terminal.
func open() (master, slave *os.File, err error) {
	const flags = os.O_RDWR | unix.O_NOCTTY
	if master, err = os.OpenFile("/dev/ptmx", flags, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), flags, 0)
	}
	if err != nil {
		master.Close()
	}
	return master, slave, err
}

func (t *Terminal) read() {
	defer close(t.ended)
	defer t.master.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := t.master.Read(buf)
		t.mutex.Lock()
		t.raw.Write(buf[:n])
		t.screen.Write(buf[:n])
		t.mutex.Unlock()
		if err != nil { // EIO: nobody has the other end any more
			return
		}
	}
}

// Raw returns all that was written to the terminal.
func (t *Terminal) Raw() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.raw.String()
}

// Screen returns what is on the terminal, and what has scrolled away.
func (t *Terminal) Screen() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.screen.String()
}

// Progress returns the states of OSC 9;4 that were set, such as "1;50".
func (t *Terminal) Progress() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.screen.Progress
}

// Unknown returns sequences that were written, and that a Screen does not know.
func (t *Terminal) Unknown() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.screen.Unknown
}

// patience is how long a program may take until something is on the screen.
const patience = time.Minute

// WaitFor waits until something on the screen matches.
func (t *Terminal) WaitFor(pattern string) {
	t.t.Helper()
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); !want.MatchString(t.Screen()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.t.Fatalf("%q did not appear on the screen:\n%s", pattern, t.Screen())
		}
	}
}

// Type types keys: "\x03" is Ctrl-C.
func (t *Terminal) Type(keys string) {
	t.t.Helper()
	if _, err := t.master.WriteString(keys); err != nil {
		t.t.Fatal(err)
	}
}

// Resize makes the terminal narrower or wider.
func (t *Terminal) Resize(columns int) {
	t.t.Helper()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.screen.Resize(columns)
	t.setSize(columns)
}

func (t *Terminal) setSize(columns int) {
	t.t.Helper()
	size := &unix.Winsize{Row: 24, Col: uint16(columns)}
	if err := unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.t.Fatal(os.NewSyscallError("TIOCSWINSZ", err))
	}
}

// Wait waits for the end of the program, and returns its exit status.
func (t *Terminal) Wait() int {
	_ = t.cmd.Wait()
	<-t.ended
	return t.cmd.ProcessState.ExitCode()
}
