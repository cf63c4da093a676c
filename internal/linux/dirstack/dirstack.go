// Package dirstack walks down into directories without keeping all of them open:
// however deep a tree is, a walk takes a bounded number of descriptors. It hides
// how a directory is opened again on the way back, and that it is the same one.
//
//	s := dirstack.New(root)
//	defer s.Close()
//	err := s.Within(file, "a", func() error { // file is the directory "a" in root
//		… s.Dir() is "a" here …
//	})
//	… and here root again, whatever happened …
package dirstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// keepOpen is how many directories above the innermost one stay open.
const keepOpen = 32

// A Stack is a directory with its parents, up to the root of the walk.
type Stack struct {
	root   *os.File
	levels []level // below root, the innermost last
}

type level struct {
	file *os.File // nil while it is closed
	name string
	id   identity
}

// An identity tells a directory from one that took its place.
type identity struct {
	major, minor uint32
	inode, mount uint64
}

// New returns a stack with nothing but root, which the caller closes.
func New(root *os.File) *Stack { return &Stack{root: root} }

// Dir returns the innermost directory, nil if it could not be opened again after a
// directory in it. It is valid until the next call of Within, Enter or Leave.
func (s *Stack) Dir() *os.File {
	if len(s.levels) == 0 {
		return s.root
	}
	return s.levels[len(s.levels)-1].file
}

// Within calls f while dir, which is called name in Dir, is the innermost directory, and
// then makes its parent the innermost one again, whatever f has returned. It closes dir.
// The error is that of f, or else says that the parent could not be opened again:
// fs.ErrNotExist if it was moved or removed in the meantime.
func (s *Stack) Within(dir *os.File, name string, f func() error) error {
	if err := s.Enter(dir, name); err != nil {
		return err
	}
	err := f()
	if left := s.Leave(); err == nil {
		err = left
	}
	return err
}

// Enter makes dir, which is called name in Dir, the innermost directory. The stack closes
// it, even after an error.
func (s *Stack) Enter(dir *os.File, name string) error {
	id, err := identify(dir)
	if err != nil {
		dir.Close()
		return err
	}
	s.levels = append(s.levels, level{dir, name, id})
	if i := len(s.levels) - 1 - keepOpen; i >= 0 && s.levels[i].file != nil {
		s.levels[i].file.Close()
		s.levels[i].file = nil
	}
	return nil
}

// Leave closes the innermost directory and makes its parent the innermost one. The error
// is fs.ErrNotExist if that was moved or removed in the meantime; Dir is nil then.
func (s *Stack) Leave() error {
	last := len(s.levels) - 1
	child := s.levels[last].file
	s.levels = s.levels[:last]
	if child != nil {
		defer child.Close()
	}
	if last == 0 || s.levels[last-1].file != nil {
		return nil
	}
	parent := &s.levels[last-1]
	if child != nil {
		if f, err := sys.OpenParent(child); err == nil && parent.is(f) {
			parent.file = f
			return nil
		}
	}
	return s.reopen()
}

// reopen opens the innermost directory by its names, from the nearest parent that is
// open.
func (s *Stack) reopen() error {
	from, at := 0, s.root
	for i, l := range s.levels {
		if l.file != nil {
			from, at = i+1, l.file
		}
	}
	for i := from; i < len(s.levels); i++ {
		next, err := sys.Openat(at, s.levels[i].name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if i > from {
			at.Close()
		}
		if found, err := bounded.Found(err); err != nil && !errors.Is(err, syscall.ELOOP) {
			return err
		} else if !found || err != nil || !s.levels[i].is(next) {
			return fmt.Errorf("a directory was moved while it was read: %w", fs.ErrNotExist)
		}
		at = next
	}
	s.levels[len(s.levels)-1].file = at
	return nil
}

// is reports whether f is the directory of a level, and closes it if not.
func (l level) is(f *os.File) bool {
	if id, err := identify(f); err == nil && id == l.id {
		return true
	}
	f.Close()
	return false
}

// Close closes what is open but the root.
func (s *Stack) Close() {
	for _, l := range s.levels {
		if l.file != nil {
			l.file.Close()
		}
	}
	s.levels = nil
}

func identify(dir *os.File) (identity, error) {
	stat, err := sys.Statx(dir, "")
	return identity{stat.DevMajor, stat.DevMinor, stat.Inode, stat.MountID}, err
}

// Names returns the names in an open directory, sorted, however often it was read
// before. A directory may have millions of them: Names stops when ctx ends.
func Names(ctx context.Context, dir *os.File) ([]string, error) {
	return NamesUpTo(ctx, dir, math.MaxInt)
}

// NamesUpTo is Names, but stops reading after the first name that is one more than most.
func NamesUpTo(ctx context.Context, dir *os.File, most int) ([]string, error) {
	list, err := sys.Openat(dir, ".", os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	return cancel.NamesUpTo(ctx, list, most)
}
