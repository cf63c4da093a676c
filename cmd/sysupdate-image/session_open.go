package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// changes notes that the command is about to change a machine. From then on, writes to a pipe that
// nobody reads any more fail, rather than end the program: who looks on may leave.
func (s *session) changes() {
	s.changing.Store(true)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// open opens the machine to change it.
func (s *session) open() (*update.Machine, error) {
	s.changes()
	return update.Open(s.machine(), s.WarnOf)
}

// change opens the machine to change it and has f do so.
func (s *session) change(f func(*update.Machine) error) error {
	m, err := s.open()
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}

// switchBoot is change for what needs nothing in the repository: it does not wait for
// an image that is being fetched.
func (s *session) switchBoot(f func(*update.Machine) error) error {
	m, err := s.openToSwitch()
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}

func (s *session) openToSwitch() (*update.Machine, error) {
	s.changes()
	return update.OpenToSwitch(s.machine(), s.WarnOf)
}

// look opens the machine to look at it, with all that a change needs, and has f do so.
func (s *session) look(f func(*update.Machine) error) error {
	m, err := update.OpenToPlan(s.machine(), s.WarnOf)
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}
