package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/fsverity"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

const (
	objectPerm = 0o644

	// tempPrefix begins the names of what is not at its place yet. They are in
	// the repository's own directory, where nobody takes them for anything.
	tempPrefix = ".new-"
)

// newTemp returns a file without a name in the file system of dir, to write to.
func newTemp(dir *os.File) (*os.File, error) {
	f, err := sys.Tmpfile(dir, objectPerm)
	if err != nil {
		return nil, err
	}
	// Whatever the umask: who may see the repository may read what is in it.
	if err := f.Chmod(objectPerm); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A fork of this process, of another goroutine, holds all files open until it
// executes something, and fs-verity wants no writer.
const (
	busyTries = 3
	busyPause = time.Millisecond
	busyCopy  = 5
)

// protectTemp closes f, a file made by newTemp, and returns it open for reading
// and protected by fs-verity. Also with an error, there is a file to close.
func protectTemp(dir, f *os.File, alg digest.Algorithm) (*os.File, error) {
	for try := 0; ; try++ {
		reader, err := sys.Reopen(f, os.O_RDONLY)
		if err != nil {
			return f, err
		}
		if err := f.Close(); err != nil {
			return reader, err
		}
		err = enable(reader, alg)
		if !errors.Is(err, fsverity.ErrOpenForWriting) || try == busyCopy {
			return reader, err
		}
		// The writer that is in the way stays for long. It has no hold of a copy.
		if f, err = copyTemp(dir, reader); err != nil {
			return reader, err
		}
		reader.Close()
	}
}

func enable(f *os.File, alg digest.Algorithm) error {
	for range busyTries {
		err := fsverity.Enable(f, alg)
		if !errors.Is(err, fsverity.ErrOpenForWriting) {
			return err
		}
		time.Sleep(busyPause)
	}
	return fsverity.Enable(f, alg)
}

func copyTemp(dir, from *os.File) (*os.File, error) {
	to, err := newTemp(dir)
	if err != nil {
		return nil, err
	}
	size, err := from.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = io.Copy(to, io.NewSectionReader(from, 0, size))
	}
	if err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// tempName returns a name that is not taken.
func tempName() string { return tempPrefix + rand.Text() }

// CleanUp removes what programs that were killed have left in the repository.
// The caller holds the exclusive lock and writes nothing meanwhile.
func (r *Repository) CleanUp() error {
	if r.exclusive.Load() == 0 {
		return errors.New("cannot clean up the repository: it is not locked")
	}
	entries, err := r.changes.ReadDir(".")
	if err != nil {
		return fmt.Errorf("cannot clean up the repository: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if err := r.changes.Remove(e.Name()); err != nil {
			return fmt.Errorf("cannot clean up the repository: %w", err)
		}
	}
	return nil
}
