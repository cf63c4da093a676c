package generators

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/unitfile"
)

// configured returns a function that says whether the administrator has said what
// is mounted at a place, even if not now: in fstab(5) or by a mount unit. What
// systemd-fstab-generator makes of the former is in the same directory as units of
// ours, where only one of two of the same name can be.
func (in Input) configured() (func(where string) bool, error) {
	data, err := fs.ReadFile(in.Root, "etc/fstab")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot tell what the administrator has mounted: %w", err)
	}
	fstab := mountplan.ParseFstab(string(data))
	return func(where string) bool {
		inFstab := slices.ContainsFunc(fstab, func(m mountplan.Mount) bool { return path.Clean(m.Where) == where })
		// A unit that is masked is a link to where nothing need be.
		_, err := fs.Lstat(in.Root, "etc/systemd/system/"+unitfile.PathEscape(where)+".mount")
		return inFstab || err == nil
	}, nil
}
