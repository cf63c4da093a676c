package repo

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const (
	lookEvery = 32 << 20 // bytes that are written between two looks at the file system
	fileCost  = 4 << 10  // bytes that a file counts besides its content: a block or an inode
)

// A reserve refuses to take the last room on a file system, which others need
// too: /var is on it. Which of a hostile image's objects are too many is not known
// before they are written.
type reserve struct {
	dir    *os.File
	look   sync.Mutex   // is held while the file system is looked at
	left   atomic.Int64 // what may be written before the next look
	flight atomic.Int64 // what is being written, which the file system may not count yet
}

// take reports whether size more bytes may be written, to a new file if isNew, and
// returns what to call when they have been. The error is a limits.Error, and like
// that of a full file system.
func (r *reserve) take(size int64, isNew bool) (done func(), err error) {
	if isNew {
		size += fileCost
	}
	r.flight.Add(size)
	done = func() { r.flight.Add(-size) }
	if r.left.Add(-size) >= 0 {
		return done, nil
	}
	r.look.Lock()
	defer r.look.Unlock()
	r.left.Store(math.MinInt64 / 2) // others wait for what is found here
	flight := r.flight.Load()       // first: what ends meanwhile counts twice rather than not at all
	usage, err := sys.UsageOf(r.dir)
	if err != nil {
		done()
		return nil, err
	}
	free := spare(usage) - flight
	if free < 0 {
		done()
		return nil, &reserveError{usage}
	}
	// Half of it, since others write as well.
	r.left.Store(min(free/2, lookEvery))
	return done, nil
}

// Room returns how many bytes objects may take of the file system that dir is in.
func Room(dir *os.File) (int64, error) {
	usage, err := sys.UsageOf(dir)
	return max(spare(usage), 0), err
}

// spare returns how many bytes may be written, in files of any size.
func spare(u sys.Usage) int64 {
	free := u.Free - min(share(u.Size), limits.ReserveBytes.Value)
	if u.Inodes > 0 {
		files := u.FreeInodes - min(share(u.Inodes), limits.ReserveInodes.Value)
		free = min(free, files*fileCost)
	}
	return free
}

func share(n int64) int64 { return n / 100 * limits.Reserve.Value }

// A reserveError unwraps to ENOSPC too, so that callers clean up as after a full disk.
type reserveError struct{ usage sys.Usage }

func (e *reserveError) Error() string {
	return fmt.Sprintf("%v (free on the file system of the repository: %d of %d MiB, %d of %d inodes)",
		limits.Reserve.Exceeded(), e.usage.Free>>20, e.usage.Size>>20, e.usage.FreeInodes, e.usage.Inodes)
}

func (*reserveError) Unwrap() []error { return []error{limits.Reserve.Exceeded(), syscall.ENOSPC} }
