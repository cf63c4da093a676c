package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const tempPrefix = "sysupdate-image-"

// A tempDir is where an archive is unpacked. It is locked as long as it is in
// use, so that the next run can tell what a killed one has left behind.
type tempDir struct {
	path string
	lock *os.File
}

// newTempDir makes a directory below parent (/var/tmp if empty), after it has
// removed those that nobody uses any more.
func newTempDir(parent string) (*tempDir, error) {
	if parent == "" {
		parent = "/var/tmp"
	}
	removeStale(parent)
	path, err := os.MkdirTemp(parent, tempPrefix)
	if err != nil {
		return nil, fmt.Errorf("cannot make room for an archive: %w", err)
	}
	lock, err := lockDir(path)
	if err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("cannot make room for an archive: %w", err)
	}
	return &tempDir{path, lock}, nil
}

// Close removes the directory and all in it.
func (d *tempDir) Close() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// removeStale removes what killed processes have left below parent. It is no
// error if it cannot: other users' directories are theirs to remove.
func removeStale(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if lock, err := lockDir(path); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

// lockDir locks a directory, or fails if somebody else has. Between a
// directory's birth and its lock another process may remove it: then the lock
// is on a directory without a name, and lockDir fails as well.
func lockDir(path string) (_ *os.File, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			dir.Close()
		}
	}()
	mine, err := dir.Stat()
	if err != nil {
		return nil, err
	}
	if ok, err := sys.TryFlock(dir, true); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("%s is in use", path)
	}
	there, err := os.Lstat(path)
	if err == nil && !os.SameFile(mine, there) {
		err = fmt.Errorf("%s was replaced", path)
	}
	return dir, err
}
