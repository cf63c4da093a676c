// Package limits has the limits on what a small input may cost in memory, time and disk
// space. The manual page is made from the same table. Code that enforces a limit takes its
// value from the table, and returns its error:
//
//	if err := limits.Manifest.Check(size); err != nil {
//		return fmt.Errorf("manifest of %s: %w", ref, err)
//	}
package limits

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// A Limit is one limit. Nothing may exceed Value, or fall below it if Least.
type Limit struct {
	Name   string // as errors and the manual page have it
	Value  int64
	Unit   Unit
	Least  bool
	Bounds string // what is counted, for the manual page
}

// A Unit is what the value of a limit counts: one of the constants, or the
// plural of a noun.
type Unit string

// Units that have a form of their own.
const (
	Bytes     Unit = "bytes"
	PerSecond Unit = "bytes per second"
	Seconds   Unit = "seconds"
	Percent   Unit = "percent"
)

// An Error reports that something exceeded a limit.
type Error struct{ Limit Limit }

func (e *Error) Error() string {
	word := "at most"
	if e.Limit.Least {
		word = "at least"
	}
	return fmt.Sprintf("%s limit: %s %s", e.Limit.Name, word, e.Limit)
}

// Exceeded returns the error that names the limit, an *Error.
func (l Limit) Exceeded() error { return &Error{l} }

// Check returns the limit's error if n exceeds it, or falls below it if Least.
func (l Limit) Check(n int64) error {
	if l.Least && n < l.Value || !l.Least && n > l.Value {
		return l.Exceeded()
	}
	return nil
}

// Duration returns the value of a limit in seconds.
func (l Limit) Duration() time.Duration { return time.Duration(l.Value) * time.Second }

// String returns the value with its unit, such as "4 MiB".
func (l Limit) String() string {
	switch l.Unit {
	case Bytes:
		return bytes(l.Value)
	case PerSecond:
		return bytes(l.Value) + " per second"
	case Seconds:
		return l.Duration().String()
	case Percent:
		return strconv.FormatInt(l.Value, 10) + "%"
	}
	return fmt.Sprintf("%d %s", l.Value, l.Unit)
}

// bytes returns n in the largest unit that has no fraction.
func bytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; i < len(units)-1 && n != 0 && n%1024 == 0; i++ {
		n /= 1024
	}
	return strconv.FormatInt(n, 10) + " " + units[i]
}

// Reader returns r, whose reads fail with the limit's error once it has given
// more bytes than that.
func (l Limit) Reader(r io.Reader) io.Reader { return &reader{r, l, l.Value} }

type reader struct {
	r    io.Reader
	l    Limit
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left < 0 {
		return 0, r.l.Exceeded()
	}
	// One byte more than is allowed tells the end from too much.
	n, err := r.r.Read(p[:min(int64(len(p)), r.left+1)])
	r.left -= int64(n)
	if r.left < 0 {
		return n - 1, r.l.Exceeded()
	}
	return n, err
}
