package finalize

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Finalize only reads objects. It does so without package repo, whose streams
// need a decompressor that would be a tenth of the program.

// objects is the repository's directory of objects.
type objects struct{ dir *os.File }

// errBusy says that another program is changing the repository.
var errBusy = errors.New("another program is changing the repository")

// busyTime is how long finalize waits for another program that changes the
// repository. What runs as a service has been stopped already.
const busyTime = time.Minute

// openObjects opens the repository and keeps others from changing it until
// unlock is called.
func (m Machine) openObjects(root *os.Root, wait time.Duration) (o objects, unlock func(), err error) {
	lock, err := root.Open(deployment.RepositoryDir)
	if err != nil {
		return objects{}, nil, fmt.Errorf("cannot open the repository: %w", err)
	}
	if err := m.waitFlock(lock, wait); err != nil {
		return objects{}, nil, errors.Join(err, lock.Close())
	}
	dir, err := root.Open(deployment.RepositoryDir + "/objects")
	if err != nil {
		return objects{}, nil, errors.Join(fmt.Errorf("cannot open the repository: %w", err), lock.Close())
	}
	return objects{dir}, func() { dir.Close(); lock.Close() }, nil
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

// open opens an object, whose content is what its name promises: fs-verity says
// so, or where a repository does without, all of it is read once more.
func (o objects) open(d digest.Digest) (*os.File, error) {
	f, err := sys.Openat(o.dir, d.ObjectPath(), syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open object: %w", err)
	}
	got, err := verity.Measure(f)
	if errors.Is(err, verity.ErrNotEnabled) || errors.Is(err, verity.ErrNotSupported) {
		got, err = sum(f, d.Algorithm())
	}
	if err == nil && got != d {
		err = fmt.Errorf("its content has the digest %s", got)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("object %s is damaged: %w", d, err), f.Close())
	}
	return f, nil
}

func sum(f *os.File, alg digest.Algorithm) (digest.Digest, error) {
	d, _, err := verity.SumReader(alg, f)
	if err != nil {
		return digest.Digest{}, err
	}
	_, err = f.Seek(0, 0)
	return d, err
}
