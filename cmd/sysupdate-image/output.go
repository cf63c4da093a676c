package main

import "io"

// An output is what commands write their results to. It keeps the first error: what
// a script reads must not be cut off without a word, whoever printed it.
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
