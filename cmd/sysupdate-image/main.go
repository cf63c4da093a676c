// Program sysupdate-image fetches, verifies and stages images for a machine to
// boot, and shows what it boots.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// patience is how long an interrupted command may take to clean up.
const patience = 700 * time.Millisecond

// giveUp ends the program where it is. Whatever that is, it is as after a power cut: what
// boots is complete, the locks are gone, and the next run removes what is left over.
func (s *session) giveUp() {
	sayQuickly(os.Stderr, s.name()+": "+s.abandoned())
	os.Exit(exitFailed)
}

// hearing is how long a terminal that was stopped, or a full pipe, has to take the last words.
const hearing = 100 * time.Millisecond

// sayQuickly writes a line, or gives up: what nobody reads must not keep a program running.
func sayQuickly(w io.Writer, text string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintln(w, text)
	}()
	select {
	case <-said:
	case <-time.After(hearing):
	}
}

// interrupts returns the signals after which a command cleans up and ends. A terminal that is
// closed sends SIGHUP, unless nohup(1) has this program ignore it.
func interrupts() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}

func main() {
	syscall.Umask(0o022) // modes of what lasts are ours, not the caller's
	keepMemoryLow()
	forgetUser()
	s := &session{Screen: ui.Screen{Out: os.Stdout, Err: os.Stderr}, host: host(), called: calledAs(os.Args[0])}
	ctx, stop := signal.NotifyContext(context.Background(), interrupts()...)
	finish := context.AfterFunc(ctx, func() {
		stop() // the second interrupt ends the program at once
		time.AfterFunc(patience, s.giveUp)
	})
	code := s.run(ctx, os.Args[1:])
	finish() // an interrupt comes too late
	os.Exit(code)
}
