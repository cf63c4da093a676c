package durable

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
)

// maxDepth is how deep below the top directories are removed where they are. To
// look a path up takes time for each directory in it.
const maxDepth = 16

// A remover removes a directory with all below it.
type remover struct {
	fsys   FS
	top    string
	lifted []string // directories from further below, now in top
}

func removeTree(fsys FS, name string) error {
	r := remover{fsys: fsys, top: name}
	return r.tree(name, 0)
}

// tree removes what is called name, depth directories below the top.
func (r *remover) tree(name string, depth int) error {
	info, err := r.fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		if depth > maxDepth {
			return r.lift(name)
		}
		if err := r.entries(name, depth); err != nil {
			return err
		}
	}
	err = r.fsys.Remove(name)
	if errors.Is(err, fs.ErrPermission) && r.fsys.Unprotect(name) == nil {
		err = r.fsys.Remove(name)
	}
	return err
}

// entries removes what is in a directory.
func (r *remover) entries(dir string, depth int) error {
	names, err := r.fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.entry(dir, path.Join(dir, name), depth+1); err != nil {
			return err
		}
	}
	for depth == 0 && len(r.lifted) > 0 {
		name := r.lifted[0]
		r.lifted = r.lifted[1:]
		if err := r.entry(dir, name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// entry removes name in dir, also where the directory is protected.
func (r *remover) entry(dir, name string, depth int) error {
	err := r.tree(name, depth)
	if errors.Is(err, fs.ErrPermission) && r.fsys.Unprotect(dir) == nil {
		err = r.tree(name, depth)
	}
	return err
}

// lift moves a directory to the top, from where it is removed in its turn.
func (r *remover) lift(name string) error {
	for n := 1; ; n++ {
		to := path.Join(r.top, ".lifted-"+strconv.Itoa(n))
		if _, err := r.fsys.Lstat(to); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err := r.fsys.Rename(name, to)
		if err == nil {
			r.lifted = append(r.lifted, to)
		}
		return err
	}
}
