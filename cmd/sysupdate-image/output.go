package main

import (
	"io"
	"os"
)

// An output receives the results of commands. It keeps the first error, so that a
// script never reads a truncated result without being told.
type output struct {
	to  io.Writer
	err error
}

// File returns the file that the results go to, nil if it is none.
func (o *output) File() *os.File {
	f, _ := o.to.(*os.File)
	return f
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}
