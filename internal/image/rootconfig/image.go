package rootconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// OfInitramfs returns how the root of an image will be mounted when it boots, with
// no value left open. files are those of Names that its initramfs has, as
// initramfs.Find returns them. One without our program has another one, which reads
// bootc's file only and has other defaults, or is of no use: ErrNoProgram.
func OfInitramfs(files map[string][]byte) (Config, error) {
	_, ours := files[Program]
	_, alone := files[Standalone]
	ours = ours || alone
	if !ours && !slices.ContainsFunc(others, func(name string) bool { _, ok := files[name]; return ok }) {
		return Config{}, ErrNoProgram
	}
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
	return of(err == nil, func(name string) ([]byte, error) { return bounded.ReadFile(fsys, name, limits.Text) })
}

// Names are the files that say how the root is mounted.
func Names() []string { return append([]string{Program, Standalone, File, BootcFile}, others...) }

// others are the programs of bootc, and of composefs-rs, that mount a root by the same
// kernel argument.
var others = []string{"usr/lib/bootc/initramfs-setup", "usr/bin/composefs-setup-root", "usr/sbin/composefs-setup-root", "usr/lib/composefs/setup-root"}

// ErrNoProgram says that there is nothing in an initramfs that would mount the root.
var ErrNoProgram = errors.New("its initramfs has no program that mounts the root: want /" + Program + ", or bootc's /" + others[0] + ", in it")

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
