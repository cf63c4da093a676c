// Package edit shows and undoes local changes to /etc. It hides where a machine keeps them,
// and how a file is replaced while programs use it.
package edit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// ErrNoDeployment says that a system has no deployment whose /etc it could be.
var ErrNoDeployment = errors.New("no deployment to compare /etc with")

// An Etc is the /etc of a deployment: as its image has it, and as it is.
type Etc struct {
	carry.Side
	Base, Local *tree.Node

	carrier carry.Carrier
	repo    *repo.Repository
	open    merge.Opener
	live    *os.Root            // /etc of the running machine, nil for another
	mounts  []mountplan.Mounted // of the running machine
	close   []func() error
}

// Open opens the /etc of the running machine, or of the deployment that boots next on a
// machine that is not running. With whole, everything is read; else what is as the image
// has it is there by name alone, where that saves time. The caller closes it.
func Open(ctx context.Context, at machine.Place, whole bool) (*Etc, error) {
	e := &Etc{}
	err := e.openSide(at)
	if err == nil {
		err = e.read(ctx, whole)
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// openSide finds out which deployment it is and how it has its /etc.
func (e *Etc) openSide(at machine.Place) error {
	if at.Dir == "" {
		return e.openRunning(at)
	}
	system, err := e.openSystem(at)
	if err != nil {
		return err
	}
	if e.ID = system.State().Next(); e.ID == "" {
		return fmt.Errorf("%s: %w", at.Dir, ErrNoDeployment)
	}
	e.Etc, err = carry.OnDisk(e.carrier.Sysroot, e.ID)
	return err
}

// ErrNeedRoot says that somebody else than root asked about a running machine.
var ErrNeedRoot = errors.New("must be run as root: only root can read all of /etc and the attributes of the overlay")

func (e *Etc) openRunning(at machine.Place) (err error) {
	if e.ID, e.mounts, err = sysroot.Booted(at.Host.Root); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return ErrNeedRoot
	}
	e.Etc = carry.Mounted(e.mounts)
	if e.live, err = at.Host.Root.OpenRoot("etc"); err != nil {
		return err
	}
	e.close = append(e.close, e.live.Close)
	_, err = e.openSystem(at)
	e.carrier.Booted = e.ID
	return err
}

// openSystem opens the machine, and needs its physical root and its repository.
func (e *Etc) openSystem(at machine.Place) (*machine.System, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return nil, err
	}
	e.close = append(e.close, system.Close)
	if system.Repository == nil {
		return nil, system.RepositoryErr
	}
	e.repo = system.Repository
	e.carrier = carry.Carrier{Sysroot: system.Root, OpenObject: system.Repository.OpenObject}
	return system, nil
}

// read reads both trees. Local changes are read where they are kept: there
// nothing is mounted over any of them.
func (e *Etc) read(ctx context.Context, whole bool) error {
	dir, err := e.carrier.LocalDir(e.Side)
	switch {
	case err == nil:
		e.close = append(e.close, dir.Close)
		e.open = merge.LocalOpener(dir, e.carrier.OpenContent)
		e.Base, e.Local, _, err = e.carrier.Local(ctx, e.Side, dir, whole)
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read local changes to /etc: %w", err)
	case e.Etc == deployment.EtcTransient && e.live != nil:
		return e.readLive(ctx)
	}
	e.open = e.carrier.OpenContent
	e.Base, err = e.carrier.Pristine(e.ID, erofs.All)
	e.Local = e.Base
	return err
}

// readLive reads /etc through its mount, where that alone shows it. What is
// mounted below is taken to hide what the image has.
func (e *Etc) readLive(ctx context.Context) error {
	id, err := e.ID.Digest()
	if err != nil {
		return err
	}
	dir, err := e.live.Open(".")
	if err != nil {
		return err
	}
	e.close = append(e.close, dir.Close)
	e.open = merge.LocalOpener(dir, e.carrier.OpenContent)
	if e.Base, err = e.carrier.Pristine(e.ID, erofs.All); err != nil {
		return err
	}
	if e.Local, err = merge.ReadDir(ctx, dir, id.Algorithm(), e.Base.Lookup); err != nil {
		return err
	}
	merge.FillSkipped(e.Local, e.Base)
	return nil
}

// Close lets go of what Open has opened.
func (e *Etc) Close() error {
	var errs []error
	for _, c := range e.close {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
