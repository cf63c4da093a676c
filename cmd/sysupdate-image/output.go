package main

import "io"

// An output receives the results of commands. It keeps the first error, so that a
// script never reads a truncated result without being told.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}
