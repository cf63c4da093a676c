package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/configfile"
)

// checkDangling returns an error if a file is missing because a symbolic link, its
// own or that of a directory above it, leads nowhere: somebody wanted it there.
func checkDangling(path string) error {
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); info.Mode()&fs.ModeSymlink != 0 && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is a symbolic link that leads nowhere: %w", path, err)
		}
		return nil
	}
	return nil
}

// checkRegistriesConf does so for containers-registries.conf(5) and the files beside it,
// which may block a registry. It also checks that the library can read them.
func checkRegistriesConf(root string) error {
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name: "registries", Extension: "conf", EnvironmentName: "CONTAINERS_REGISTRIES_CONF", UserId: os.Geteuid(), RootForImplicitAbsolutePaths: root,
	})
	if err != nil {
		return err
	}
	names := paths.MainFiles
	for _, dir := range paths.DropInDirectories {
		found, err := filepath.Glob(filepath.Join(dir, "*.conf"))
		if err != nil {
			return err
		}
		names = append(append(names, dir), found...)
	}
	for _, name := range names {
		if err := checkDangling(name); err != nil {
			return err
		}
	}
	return checkConfig(paths, ".conf")
}
