package system

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Titles returns what a person calls the system whose files are given: its name
// and its version by os-release(5). Without that file it is "Linux".
func Titles(fsys fs.FS) (name, version string, err error) {
	text, err := bounded.ReadFile(fsys, "usr/lib/os-release", limits.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	name, version = titles(osRelease(text))
	return name, version, nil
}
