package system

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Release returns the variables of os-release(5) of the system whose files are given, none
// if it has no such file.
func Release(fsys fs.FS) (map[string]string, error) {
	text, err := bounded.ReadFile(fsys, "usr/lib/os-release", limits.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return ParseRelease(text), nil
}

// Titles returns what a person calls the system whose files are given: its name
// and its version by os-release(5). Without that file it is "Linux".
func Titles(fsys fs.FS) (name, version string, err error) {
	vars, err := Release(fsys)
	if err != nil {
		return "", "", err
	}
	name, version = titles(vars)
	return name, version, nil
}
