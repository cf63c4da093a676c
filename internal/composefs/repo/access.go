package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// topPerm is the mode of the repository. It holds what the image has for root alone,
// such as /etc/shadow, under names that anyone could read.
const topPerm = 0o700

// ErrOtherOwner says that a repository belongs to another user, who may give anyone
// access to it at any time.
var ErrOtherOwner = errors.New("the repository belongs to another user")

// Restrict gives the repository the mode that keeps others out of it, and returns the
// one that it had if that was another, else 0. The error is ErrOtherOwner if the
// repository does not belong to the user of this process.
func (r *Repository) Restrict() (was fs.FileMode, err error) {
	was, err = r.CheckAccess()
	if err != nil || was == 0 {
		return 0, err
	}
	if err := r.dir.Chmod(topPerm); err != nil {
		return 0, fmt.Errorf("cannot keep others out of the repository: %w", err)
	}
	return was, r.dir.Sync()
}

// CheckAccess returns what Restrict would, and changes nothing. A mode of 0 is one
// that Restrict leaves alone.
func (r *Repository) CheckAccess() (mode fs.FileMode, err error) {
	info, err := r.dir.Stat()
	if err != nil {
		return 0, err
	}
	if uid, ok := otherOwner(info); ok {
		return 0, fmt.Errorf("%w, uid %d: check what is in it, and 'chown -R' it", ErrOtherOwner, uid)
	}
	if info.Mode().Perm() == topPerm {
		return 0, nil
	}
	return info.Mode().Perm(), nil
}

// otherOwner returns the owner of a file if that is not the user of this process.
func otherOwner(info fs.FileInfo) (uid uint32, ok bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return stat.Uid, int64(stat.Uid) != int64(os.Geteuid())
}

// access looks at who may do what with a directory of the repository. Nobody else may
// put in what root takes for an object, nor read anything.
func (c *checker) access(dir string, info fs.FileInfo) {
	if uid, ok := otherOwner(info); ok {
		c.add(WrongOwner, dir, digest.Digest{}, "uid %d, want %d", uid, os.Geteuid())
	}
	if mode, want := info.Mode().Perm(), dirMode(dir, info.Mode()); mode != want {
		c.add(WrongMode, dir, digest.Digest{}, "%04o, want %04o", mode, want)
	}
}

// dirMode returns the mode that a directory with some mode is to have.
func dirMode(dir string, mode fs.FileMode) fs.FileMode {
	if dir == "." {
		return topPerm
	}
	return mode.Perm()&dirPerm | topPerm
}
