package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Open opens the repository in dir. It writes nothing and takes no lock. If
// there is none, the error is ErrNotARepository. dir is looked up in its parent
// directory as by OpenIn: a link of that name leads to another place below that, or it
// is an error.
func Open(dir string) (*Repository, error) {
	parent, name, err := openParent(dir)
	if err != nil {
		return nil, explainOpen(dir, err)
	}
	defer parent.Close()
	return OpenIn(parent, name)
}

// OpenIn opens the repository that is called name in parent, which stays the caller's.
// A link that leads out of parent is an error.
func OpenIn(parent *os.Root, name string) (*Repository, error) {
	dir := filepath.Join(parent.Name(), name)
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, explainOpen(dir, err)
	}
	r := &Repository{root: root}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open repository %s: %w", dir, whoMay(err)), r.Close())
	}
	return r, nil
}

// openParent opens the directory that has dir, and says what dir is called in it.
func openParent(dir string) (parent *os.Root, name string, err error) {
	dir = filepath.Clean(dir)
	above, name := filepath.Dir(dir), filepath.Base(dir)
	if name == ".." || name == "/" { // not a name in a directory
		above, name = dir, "."
	}
	parent, err = os.OpenRoot(above)
	return parent, name, err
}

func explainOpen(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s: %w", dir, ErrNotARepository)
	}
	return fmt.Errorf("cannot open repository %s: %w", dir, whoMay(err))
}

// whoMay adds who may open a repository, for somebody who may not.
func whoMay(err error) error {
	if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: must be run as root or by its owner", err)
	}
	return err
}
