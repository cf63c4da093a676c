package update

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// checkRoom reports, before anything is fetched, that layers cannot fit on the root file
// system: their contents take at least as much as the compressed layers. If there are
// images already, layers may share contents with them, so it only warns.
func (m *Machine) checkRoom(layers []oci.Layer) error {
	need := bytesOf(layers)
	free, err := m.freeBytes()
	if err != nil || need <= free {
		return err
	}
	text := fmt.Sprintf("no room on the root file system: %d MiB to fetch, %d MiB free", (need+1<<20-1)>>20, free>>20)
	images, err := m.Repository.Images()
	if err != nil {
		return err
	}
	if len(images) == 0 {
		return errors.New(text)
	}
	m.warn(errors.New(text + "; trying, since some of it may be there already"))
	return nil
}

// freeBytes returns how much an image may take of the root file system.
func (m *Machine) freeBytes() (int64, error) {
	dir, err := m.Root.Open(".")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	free, err := repo.Room(dir)
	if err != nil {
		return 0, fmt.Errorf("cannot determine the free space on the root file system: %w", err)
	}
	return free, nil
}

// afterFull frees what a failed apply has used of a full file system, in the repository and
// elsewhere, and adds to err which file system is full. The layers are kept only if the
// boot partition is the full one: otherwise they would not fit the next time either.
func (m *Machine) afterFull(ctx context.Context, err error) error {
	if ctx.Err() != nil || m.Repository == nil || m.Boot == nil || !m.ranFull(err) {
		return err
	}
	lacks := m.lacksOtherThanBytes(err) // what was written is still there
	s, spare, pruneErr := m.stateAndSpare()
	if pruneErr == nil {
		// Also where no deployment is kept: then this was to be the first.
		_, pruneErr = m.pruneTo(ctx, s, s.Kept(spare), false)
	}
	if pruneErr != nil {
		return errors.Join(err, pruneErr)
	}
	noRoom, full := (*boot.NoRoomError)(nil), (*boot.FullError)(nil)
	if errors.As(err, &noRoom) || errors.As(err, &full) {
		return err // which says where
	}
	if lacks != "" {
		return fmt.Errorf("no room on the root file system: %s: %w", lacks, err)
	}
	free, freeErr := m.freeBytes()
	if freeErr != nil {
		return errors.Join(err, freeErr)
	}
	return fmt.Errorf("no room, the image needs more than the %d MiB that are free on the root file system: %w", free>>20, err)
}

// lacksOtherThanBytes says what has run out on the root file system if it is not its
// blocks, "" if it is.
func (m *Machine) lacksOtherThanBytes(err error) string {
	if errors.Is(err, syscall.EDQUOT) {
		return "a disk quota is used up, see quota(1) or btrfs-qgroup(8)"
	}
	dir, err := m.Root.Open(".")
	if err != nil {
		return ""
	}
	defer dir.Close()
	fs, err := sys.Statfs(dir)
	if err != nil || fs.Inodes == 0 || fs.FreeNodes >= fewInodes {
		return ""
	}
	return fmt.Sprintf("all of its %d inodes are in use, while %d MiB are free", fs.Inodes, fs.Available>>20)
}

// fewInodes is less than several layers take that are being written.
const fewInodes = 16

// ranFull reports whether err is that a file system was full. That the boot partition
// has no room for a kernel is no such error, unless its room is the root's.
func (m *Machine) ranFull(err error) bool {
	if noRoom := (*boot.NoRoomError)(nil); errors.As(err, &noRoom) {
		return m.bootInRoot()
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// bootInRoot reports whether the boot partition is a directory of the root file system.
func (m *Machine) bootInRoot() bool {
	dir, err := m.Root.Open(".")
	if err != nil {
		return false
	}
	defer dir.Close()
	return m.Boot.SharesRoom(dir)
}
