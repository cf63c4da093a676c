package oci

import (
	"context"
	"errors"
	"io"
)

// The room that a layer's archive may be ahead of its reader, and the blob ahead of
// the archive: enough for reading, inflating, hashing and writing to go on side by side.
const (
	aheadBuffers = 7
	aheadSize    = 256 << 10
	blobBuffers  = 4
	blobSize     = 64 << 10
)

// A readAhead reads a source in the background. What it has read, it hands to check
// on another goroutine, in order, before it gives it out.
type readAhead struct {
	source io.ReadCloser
	cancel context.CancelFunc
	check  checker
	read   chan piece // not checked yet
	full   chan piece
	free   chan []byte
	done   chan struct{} // closed when the goroutine has ended

	now  piece // what has not been read of the last one
	buf  []byte
	err  error
	open bool
}

type piece struct {
	data []byte
	err  error // after data
}

// A checker sees all of a source, piece by piece, and returns the error to give out after
// data, where the source had err.
type checker func(data []byte, err error) error

// newReadAhead starts to read source into some buffers of a size. cancel stops a read that
// goes on.
func newReadAhead(source io.ReadCloser, buffers, size int, check checker, cancel context.CancelFunc) *readAhead {
	r := &readAhead{
		source: source,
		cancel: cancel,
		check:  check,
		read:   make(chan piece, buffers),
		full:   make(chan piece, buffers),
		free:   make(chan []byte, buffers),
		done:   make(chan struct{}),
		open:   true,
	}
	for range buffers {
		r.free <- make([]byte, size)
	}
	go r.run()
	go r.runChecks()
	return r
}

func (r *readAhead) run() {
	defer close(r.read)
	for buf := range r.free {
		n, err := fill(r.source, buf)
		r.read <- piece{buf[:n], err} // there is room: as many buffers as places
		if err != nil {
			return
		}
	}
}

func (r *readAhead) runChecks() {
	defer close(r.done)
	defer close(r.full)
	for p := range r.read {
		if p.err = r.check(p.data, p.err); p.err != nil && p.err != io.EOF {
			p.data = p.data[:0] // the caller is to see this error, and not what wrong data looks like
		}
		r.full <- p
	}
}

// fill reads until buf is full or reading ends.
func fill(r io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (r *readAhead) Read(p []byte) (int, error) {
	for len(r.now.data) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if !r.open {
			return 0, errors.New("layer is closed")
		}
		if r.buf != nil {
			r.free <- r.buf
			r.buf = nil
		}
		r.now = <-r.full
		r.buf, r.err = r.now.data[:cap(r.now.data)], r.now.err
	}
	n := copy(p, r.now.data)
	r.now.data = r.now.data[n:]
	return n, nil
}

// Close stops reading, and waits until it has.
func (r *readAhead) Close() error {
	if !r.open {
		return nil
	}
	r.open = false
	r.cancel()
	close(r.free)
	<-r.done
	return r.source.Close()
}
