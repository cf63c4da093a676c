package rootconfig

import (
	"errors"
	"fmt"
	"io/fs"
)

// OfImage returns how an image, whose files fsys has, will have its root
// mounted when it boots, with no value left open. An image without our program
// has bootc's, which reads its own file only and has other defaults. What was
// put into the initramfs alone is not seen.
func OfImage(fsys fs.FS) (Config, error) {
	names, byDefault := []string{File, BootcFile}, Overlay
	if _, err := fs.Stat(fsys, Program); errors.Is(err, fs.ErrNotExist) {
		names, byDefault = []string{BootcFile}, Bind
	} else if err != nil {
		return Config{}, fmt.Errorf("cannot tell how the image mounts its root: %w", err)
	}
	c, _, err := Load(fsys, names...)
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
