package generators

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/unitfile"
)

// configured returns a function that says whether the administrator has said what
// is mounted at a place, even if not now: in fstab(5) or by a mount unit. What
// systemd-fstab-generator makes of the former is in the same directory as units of
// ours, where only one of two of the same name can be.
func (in Input) configured() (func(where string) bool, error) {
	lines, err := in.fstab()
	if err != nil {
		return nil, err
	}
	return func(where string) bool { return hasLine(lines, where) || in.hasMountUnit(where) }, nil
}

// hasMountUnit says whether the administrator has a mount unit for a place. One that
// is masked is a link to where nothing need be.
func (in Input) hasMountUnit(where string) bool {
	_, err := fs.Lstat(in.Root, "etc/systemd/system/"+unitfile.PathEscape(where)+".mount")
	return err == nil
}

// maxFstab is how much of fstab(5) is read.
const maxFstab = 4 << 20

// fstab returns the lines of fstab(5), none if there is no such file.
func (in Input) fstab() (mountplan.Plan, error) {
	data, err := in.readFstab()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot tell what the administrator has mounted: %w", err)
	}
	return mountplan.ParseFstab(string(data)), nil
}

func (in Input) readFstab() ([]byte, error) {
	// Opening a FIFO would not return.
	info, err := fs.Stat(in.Root, fstabFile)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", fstabFile)
	}
	f, err := in.Root.Open(fstabFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFstab+1))
	if len(data) > maxFstab {
		return nil, fmt.Errorf("%s is larger than %d bytes", fstabFile, maxFstab)
	}
	return data, err
}
