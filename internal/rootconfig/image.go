package rootconfig

import (
	"errors"
	"fmt"
	"io/fs"
)

// OfInitramfs returns how the root of an image will be mounted when it boots, with
// no value left open. files are those of Names that its initramfs has, as
// initramfs.Find returns them. One without our program has bootc's, which reads its own file only and has other
// defaults.
func OfInitramfs(files map[string][]byte) (Config, error) {
	_, ours := files[Program]
	return of(ours, func(name string) ([]byte, error) {
		data, ok := files[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		if data == nil {
			return nil, fmt.Errorf("%s in the initramfs is too large", name)
		}
		return data, nil
	})
}

// OfImage is OfInitramfs for an initramfs that cannot be looked into: it is taken
// to have what the image has, whose files fsys are.
func OfImage(fsys fs.FS) (Config, error) {
	_, err := fs.Stat(fsys, Program)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("cannot tell how the image mounts its root: %w", err)
	}
	return of(err == nil, func(name string) ([]byte, error) { return fs.ReadFile(fsys, name) })
}

// Names are the files that say how the root is mounted.
func Names() []string { return []string{Program, File, BootcFile} }

func of(ours bool, read func(name string) ([]byte, error)) (Config, error) {
	names, byDefault := []string{File, BootcFile}, Overlay
	if !ours {
		names, byDefault = []string{BootcFile}, Bind
	}
	c, _, err := load(read, names)
	if err != nil {
		return Config{}, err
	}
	if c.Etc == "" {
		c.Etc = byDefault
	}
	if c.Var == "" {
		c.Var = byDefault
	}
	return c, nil
}
