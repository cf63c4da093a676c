package health

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
)

// A check is an executable that tells by its exit status whether a boot is good.
type check struct {
	name     string // of the file
	path     string
	required bool // a boot is not good without it
}

// A kind is the directories of checks that override each other by name, the first one most.
type kind struct {
	dirs      []string
	required  bool
	greenboot bool // these are greenboot's, see its README
}

// kinds are in the order in which the checks run.
var kinds = []kind{
	{[]string{"etc/sysupdate-image/check.d", "usr/lib/sysupdate-image/check.d"}, true, false},
	{[]string{"etc/greenboot/check/required.d", "usr/lib/greenboot/check/required.d"}, true, true},
	{[]string{"etc/greenboot/check/wanted.d", "usr/lib/greenboot/check/wanted.d"}, false, true},
}

// find returns the checks of a kind below the root directory, in the order of their names.
// warnings are about files that are none, and directories that cannot be read.
func (k kind) find(root string) (checks []check, warnings []error) {
	files := make(map[string]string)
	for _, dir := range k.dirs {
		dir = filepath.Join(root, dir)
		list, err := os.ReadDir(dir)
		if _, err = bounded.Found(err); err != nil {
			warnings = append(warnings, fmt.Errorf("cannot look for checks: %w", err))
		}
		for _, d := range list {
			if _, overridden := files[d.Name()]; !overridden && !isBackup(d.Name()) {
				files[d.Name()] = filepath.Join(dir, d.Name())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch err := isCheck(files[name]); {
		case err == nil:
			checks = append(checks, check{name, files[name], k.required})
		case !errors.Is(err, errMasked):
			warnings = append(warnings, fmt.Errorf("%s is not a check: %w", files[name], err))
		}
	}
	return checks, warnings
}

// isBackup reports whether a file is hidden, or what an editor or a package manager leaves.
func isBackup(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return true
	}
	switch filepath.Ext(name) {
	case ".rpmnew", ".rpmsave", ".rpmorig", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".dpkg-tmp", ".bak", ".swp":
		return true
	}
	return false
}

// errMasked says that an administrator does not want a check to run.
var errMasked = errors.New("masked")

// isCheck returns nil if a file can be run.
func isCheck(path string) error {
	if to, err := os.Readlink(path); err == nil && to == os.DevNull {
		return errMasked
	}
	info, err := os.Stat(path)
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed):
		return failed.Err
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Mode()&0o111 == 0:
		return errors.New("not executable")
	}
	return nil
}
