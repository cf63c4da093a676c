// Package bug turns a panic into an error, so that the program still cleans up, records why
// it failed, and exits with a status that means a bug. Go itself would exit with status 2,
// which means wrong usage.
package bug

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ExitStatus is the status of a program that panicked: EX_SOFTWARE of sysexits.h,
// which systemd knows by name.
const ExitStatus = 70

// An Error is a panic.
type Error struct {
	Value any
	Stack []byte
}

// Error returns the panic on the first line, and the stack below.
func (e *Error) Error() string {
	return fmt.Sprintf("this is a bug in sysupdate-image, please report it with the lines below: panic: %v\n%s", e.Value, e.Stack)
}

// Unwrap returns the value of the panic if that is an error.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Catch calls f and returns its error, or an *Error if it panics. A goroutine needs a
// Catch of its own.
func Catch(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Status returns the exit status of a program that failed with err: ExitStatus after a
// panic, else failed.
func Status(err error, failed int) int {
	var e *Error
	if errors.As(err, &e) {
		return ExitStatus
	}
	return failed
}
