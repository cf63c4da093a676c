package update

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// Two locks keep others from changing a machine. The lock of the repository is exclusive
// while objects may be removed, and shared while an image is fetched, so that nothing removes
// objects that nothing refers to yet. The lock of the physical root is held while the next
// boot or the state of deployments changes, but not while an image is fetched, which may
// take days.

// lockAll keeps others from changing the machine until Close.
func (m *Machine) lockAll() error { return m.lock(true) }

// lockShared keeps others from changing what the machine boots until Close, and from
// removing anything from the repository.
func (m *Machine) lockShared() error { return m.lock(false) }

func (m *Machine) lock(exclusive bool) (err error) {
	if m.held, err = m.Repository.LockFor(exclusive); err != nil {
		return err
	}
	m.Until(m.held.Unlock)
	m.Until(m.unlockState)
	if err := m.lockState(); err != nil {
		return err
	}
	if exclusive {
		return m.Repository.CleanUp()
	}
	return nil
}

func (m *Machine) lockState() error {
	dir, err := sysroot.TryLock(m.Root)
	if err == nil && dir == nil {
		err = fmt.Errorf("%w: try again when it is done", repo.ErrBusy)
	}
	m.state = dir
	return err
}

func (m *Machine) unlockState() error {
	if m.state == nil {
		return nil
	}
	defer func() { m.state = nil }()
	return m.state.Close()
}

// How long apply waits, after it has fetched an image, for a program that changes what boots.
const (
	statePatience = time.Minute
	statePause    = 50 * time.Millisecond
)

// whileShared has fetch write to the repository, while others may change what boots, but
// remove nothing. What is in the repository before fetch begins may have changed.
func (m *Machine) whileShared(ctx context.Context, fetch func() error) error {
	if m.held == nil { // there is no repository yet
		return fetch()
	}
	if err := m.held.Share(); err != nil {
		return err
	}
	if err := m.unlockState(); err != nil {
		return err
	}
	fetchErr := fetch()
	err := patiently(ctx, m.lockState)
	if fetchErr != nil {
		return fetchErr
	}
	return err
}

// patiently has lock try again while another has what it wants.
func patiently(ctx context.Context, lock func() error) error {
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	for {
		err := lock()
		if !errors.Is(err, repo.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(statePause):
		}
	}
}

// exclude has the machine for itself again after whileShared, to remove something.
func (m *Machine) exclude() error {
	if m.state == nil {
		if err := m.lockState(); err != nil {
			return err
		}
	}
	return m.held.Exclude()
}

// excludeKeeping is exclude while nothing refers to an image that is here: for a moment
// another may have had the repository, and collected it as garbage.
func (m *Machine) excludeKeeping(img *oci.Image, id deployment.ID) error {
	if err := m.exclude(); err != nil {
		return err
	}
	found, err := m.Repository.HasImage(string(id))
	if err != nil {
		return err
	}
	if !found || len(missing(img, m.Repository)) > 0 {
		return errors.New("another program removed the fetched layers; try again")
	}
	return nil
}
