// Package durabletest shows what a durable change does, step by step, and stops
// it between two steps. It hides how the steps are counted.
package durabletest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// ErrCrashed is the error of every step after a crash.
var ErrCrashed = errors.New("crashed")

// A Recorder is an FS that remembers the steps that were taken.
type Recorder struct {
	stepper
	mu   sync.Mutex
	text strings.Builder
	last string
}

// Trace returns fsys as an FS that remembers its steps.
func Trace(fsys durable.FS) *Recorder {
	r := &Recorder{}
	r.stepper = stepper{FS: fsys, step: func(what string, do, _ func() error) error {
		err := do()
		if err == nil {
			r.add(what)
		}
		return err
	}}
	return r
}

// Reset forgets the steps until now.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Reset()
	r.last = ""
}

// Also returns another directory as an FS whose steps are remembered as well, in
// their order, each behind prefix.
func (r *Recorder) Also(prefix string, fsys durable.FS) durable.FS {
	return stepper{FS: fsys, step: func(what string, do, _ func() error) error {
		err := do()
		if err == nil {
			r.add(prefix + what)
		}
		return err
	}}
}

func (r *Recorder) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// How many pieces content comes in says nothing.
	if what == r.last && strings.Contains(what, "write ") {
		return
	}
	r.last = what
	r.text.WriteString(what + "\n")
}

// String returns the steps that succeeded, a line for each, such as
// "rename a.tmp a\n". Several writes to a file in a row are one step.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// CrashAfter returns fsys as an FS that takes n steps; every further one
// returns ErrCrashed. A write that is the first of those is done by half.
// Reading goes on.
func CrashAfter(fsys durable.FS, n int) durable.FS { return Crash(n)(fsys) }

// Crash returns CrashAfter for a change that takes place in several directories:
// n counts the steps in all that it is called for.
func Crash(n int) func(durable.FS) durable.FS { return (&crash{left: n}).wrap }

// BriefCrash is Crash for tests that take long. With -short it counts what follows a sync as
// one step with it, unless it is a write: to stop there leaves the same files once more.
func BriefCrash(n int) func(durable.FS) durable.FS {
	return (&crash{left: n, brief: testing.Short()}).wrap
}

// A crash takes steps until none are left.
type crash struct {
	mu     sync.Mutex
	left   int
	brief  bool // see BriefCrash
	synced bool // the last step was a sync
}

func (c *crash) wrap(fsys durable.FS) durable.FS { return stepper{FS: fsys, step: c.step} }

func (c *crash) step(what string, do, half func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if same := c.brief && c.synced && half == nil; !same || c.left < 0 {
		c.left--
	}
	c.synced = strings.HasPrefix(what, "sync")
	if c.left >= 0 {
		return do()
	}
	if c.left == -1 && half != nil {
		_ = half() // what is left of the write is not known to anybody
	}
	return fmt.Errorf("%s: %w", what, ErrCrashed)
}

// A stepper hands every change to step: what it is, the change, and for a write
// the change done by half.
type stepper struct {
	durable.FS
	step func(what string, do, half func() error) error
}

func (s stepper) Create(name string, perm fs.FileMode) (durable.File, error) {
	var f durable.File
	err := s.step("create "+name, func() (err error) {
		f, err = s.FS.Create(name, perm)
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	return file{f, name, s.step}, nil
}

func (s stepper) Mkdir(name string, perm fs.FileMode) error {
	return s.step("mkdir "+name, func() error { return s.FS.Mkdir(name, perm) }, nil)
}

func (s stepper) Symlink(target, name string) error {
	return s.step("symlink "+target+" "+name, func() error { return s.FS.Symlink(target, name) }, nil)
}

func (s stepper) Rename(oldName, newName string) error {
	return s.step("rename "+oldName+" "+newName, func() error { return s.FS.Rename(oldName, newName) }, nil)
}

func (s stepper) Exchange(a, b string) error {
	return s.step("exchange "+a+" "+b, func() error { return s.FS.Exchange(a, b) }, nil)
}

func (s stepper) Remove(name string) error {
	return s.step("remove "+name, func() error { return s.FS.Remove(name) }, nil)
}

func (s stepper) RemoveTree(ctx context.Context, name string, step durable.Step) error {
	return s.FS.RemoveTree(ctx, name, func(describe func() string, do func() error) error {
		return s.step(describe(), func() error { return step(describe, do) }, nil)
	})
}

func (s stepper) Sync(name string) error {
	return s.step("sync "+name, func() error { return s.FS.Sync(name) }, nil)
}

func (s stepper) Syncfs() error {
	return s.step("syncfs", s.FS.Syncfs, nil)
}

type file struct {
	durable.File
	name string
	step func(what string, do, half func() error) error
}

func (f file) Write(p []byte) (n int, err error) {
	err = f.step("write "+f.name, func() (err error) {
		n, err = f.File.Write(p)
		return err
	}, func() (err error) {
		n, err = f.File.Write(p[:len(p)/2])
		return err
	})
	return n, err
}

func (f file) Sync() error {
	return f.step("sync "+f.name, f.File.Sync, nil)
}
