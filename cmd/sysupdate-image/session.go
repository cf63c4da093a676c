package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// Exit codes, as the help text documents them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2

	exitAvailable = 10 // apply --check has found an update, see its help
)

// A usageError is an invalid command line.
type usageError struct{ error }

// An availableError ends the program with exitAvailable: it has said what there is.
type availableError struct{}

func (availableError) Error() string { return "an update is available" }

// A session is what all commands share.
type session struct {
	ui.Screen
	host     machine.Host
	called   string      // the program, if not programName
	sysroot  string      // --sysroot
	changing atomic.Bool // the machine is being changed
	// unfinished is the disk that is being installed on; "" for none.
	unfinished atomic.Pointer[string]
}

// machine returns which machine a command is about.
func (s *session) machine() machine.Place { return machine.Place{Host: s.host, Dir: s.sysroot} }

// run carries out the command line and returns the exit code.
func run(ctx context.Context, host machine.Host, args []string, out, stderr io.Writer) int {
	s := &session{Screen: ui.Screen{Out: out, Err: stderr}, host: host}
	return s.run(ctx, args)
}

func (s *session) run(ctx context.Context, args []string) int {
	results := &output{to: s.Out}
	s.Out = results
	root := s.command()
	root.SetArgs(args)
	cmd := root
	err := bug.Catch(func() (err error) {
		cmd, err = root.ExecuteContextC(ctx)
		return err
	})
	s.EndProgress()
	if err == nil && results.err != nil {
		err = fmt.Errorf("the command succeeded, but its output could not be written: %w", results.err)
	}
	return s.exitCode(ctx, cmd, err)
}

// exitCode prints the error that a command ended with, and returns the exit code.
func (s *session) exitCode(ctx context.Context, cmd *cobra.Command, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &availableError{}):
		return exitAvailable
	case errors.As(err, &usage):
		fmt.Fprintf(s.Err, "%s: %v\nTry '%s --help'.\n", s.name(), err, cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		err = s.interrupted(ctx, err)
	}
	s.PrintError(s.name() + ": " + printable.Text(ui.Advise(err, s.About).Error()))
	return bug.Status(err, exitFailed)
}
