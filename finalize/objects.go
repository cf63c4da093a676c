package finalize

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo/objects"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// An objectsDir is the repository's directory of objects.
type objectsDir struct{ *os.File }

// errBusy says that another program is changing the repository.
var errBusy = errors.New("another program is changing the repository")

// busyTime is how long finalize waits for another program that changes the
// repository. What runs as a service has been stopped already.
const busyTime = time.Minute

// openObjects opens the repository and keeps others from changing it until
// unlock is called.
func (m Machine) openObjects(root *os.Root, wait time.Duration) (o objectsDir, unlock func(), err error) {
	lock, err := root.Open(deployment.RepositoryDir)
	if err != nil {
		return objectsDir{}, nil, fmt.Errorf("cannot open the repository: %w", err)
	}
	if err := m.waitFlock(lock, wait); err != nil {
		return objectsDir{}, nil, errors.Join(err, lock.Close())
	}
	dir, err := root.Open(deployment.RepositoryDir + "/objects")
	if err != nil {
		return objectsDir{}, nil, errors.Join(fmt.Errorf("cannot open the repository: %w", err), lock.Close())
	}
	return objectsDir{dir}, func() { dir.Close(); lock.Close() }, nil
}

func (m Machine) waitFlock(f *os.File, wait time.Duration) error {
	told := false
	for end := time.Now().Add(wait); ; time.Sleep(100 * time.Millisecond) {
		locked, err := sys.TryFlock(f, true)
		if locked || err != nil {
			return err
		}
		if !told && wait > 0 {
			m.logf(journal.Notice, "%v: waiting for it, %s at most", errBusy, wait)
			told = true
		}
		if time.Now().After(end) {
			return errBusy
		}
	}
}

// open opens an object and verifies it: by fs-verity, or in a repository without it by
// reading all of it once more.
func (o objectsDir) open(d digest.Digest) (*os.File, error) {
	f, err := objects.Open(o.File, d)
	if err != nil {
		return nil, fmt.Errorf("cannot open object: %w", err)
	}
	if err := objects.VerifyOrSum(f, d); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
