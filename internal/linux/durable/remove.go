package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/dirstack"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A Step takes one step of RemoveTree by calling do. It may call describe, which returns
// the step as durabletest writes it, such as "remove a/b". That takes time for each
// directory above the file.
type Step func(describe func() string, do func() error) error

func (o osFS) RemoveTree(ctx context.Context, name string, step Step) error {
	dir, err := o.root.OpenFile(path.Dir(name), os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	r := remover{ctx: ctx, step: step, dirs: dirstack.New(dir)}
	defer r.dirs.Close()
	return r.run(path.Dir(name), path.Base(name))
}

// A remover removes a tree by descriptors. Paths would take time for each directory above
// a file, and there is no limit to how deep a tree is. For the same reason it has a stack
// of its own instead of calling itself.
type remover struct {
	ctx    context.Context
	step   Step
	dirs   *dirstack.Stack
	levels []level // the directory that the tree is in, and those that dirs has entered
}

// A level is a directory that is being emptied.
type level struct {
	name string
	left []string // names in it that are yet to be removed
}

// run removes name in the directory that dirs was made with.
func (r *remover) run(dir, name string) error {
	r.levels = []level{{dir, []string{name}}}
	for {
		last := &r.levels[len(r.levels)-1]
		var err error
		switch {
		case len(last.left) > 0:
			name := last.left[0]
			last.left = last.left[1:]
			err = r.entry(name)
		case len(r.levels) == 1:
			return nil
		default:
			err = r.leave(last.name)
		}
		if err != nil {
			return err
		}
	}
}

// entry removes name in the innermost directory, or enters it if it is a directory.
func (r *remover) entry(name string) error {
	stat, err := sys.Statx(r.dirs.Dir(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return r.remove(name, sys.Unlinkat)
	}
	// What is mounted there is not part of the tree.
	dir, err := sys.Openat2(r.dirs.Dir(), name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0, sys.ResolveNoXdev)
	if err != nil {
		return err
	}
	names, err := cancel.Names(r.ctx, dir)
	if err != nil {
		dir.Close()
		return err
	}
	if err := r.dirs.Enter(dir, name); err != nil {
		return err
	}
	r.levels = append(r.levels, level{name, names})
	return nil
}

// leave removes the innermost directory, which is empty.
func (r *remover) leave(name string) error {
	r.levels = r.levels[:len(r.levels)-1]
	if err := r.dirs.Leave(); err != nil {
		return err
	}
	return r.remove(name, sys.Rmdirat)
}

// remove removes name in the innermost directory, also where one of them is protected.
func (r *remover) remove(name string, unlink func(*os.File, string) error) error {
	if err := cancel.Err(r.ctx); err != nil {
		return err
	}
	do := func() error {
		return r.step(r.describe("remove", name), func() error { return unlink(r.dirs.Dir(), name) })
	}
	err := do()
	if errors.Is(err, fs.ErrPermission) && r.unprotect(name) == nil {
		err = do()
	}
	// The directory that the tree is in stays as it is.
	if errors.Is(err, fs.ErrPermission) && len(r.levels) > 1 && r.unprotect(".") == nil {
		err = do()
	}
	return err
}

// unprotect takes the protection from name in the innermost directory.
func (r *remover) unprotect(name string) error {
	return r.step(r.describe("unprotect", name), func() error {
		// Opening a FIFO for writing alone would wait; devices are never protected.
		f, err := sys.Openat(r.dirs.Dir(), name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return sys.SetProtection(f, sys.Protection{})
	})
}

// describe returns what describes a step that is taken with name now.
func (r *remover) describe(what, name string) func() string {
	return func() string {
		var names []string
		for _, l := range r.levels {
			names = append(names, l.name)
		}
		return what + " " + path.Join(append(names, name)...)
	}
}
