package generators

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// configured returns a function that reports whether the administrator has said what
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

// hasMountUnit reports whether the administrator has a mount unit for a place. One that
// is masked is a link to where nothing need be. What cannot be looked at may be one, and
// theirs goes first.
func (in Input) hasMountUnit(where string) bool {
	_, err := fs.Lstat(in.Root, "etc/systemd/system/"+unitfile.PathEscape(where)+".mount")
	found, err := bounded.Found(err)
	return found || err != nil
}

// fstab returns the lines of fstab(5), none if there is no such file.
func (in Input) fstab() (mountplan.Plan, error) {
	data, err := bounded.ReadFile(in.Root, fstabFile, limits.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot tell what the administrator has mounted: %w", err)
	}
	return mountplan.ParseFstab(string(data)), nil
}
