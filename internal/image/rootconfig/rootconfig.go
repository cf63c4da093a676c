// Package rootconfig reads how an image wants its root, /etc and /var mounted. It
// hides that there are two files and several ways to say the same. prepare-root follows
// it, and a program that writes a deployment must know what prepare-root will do.
package rootconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/tomlfile"
)

// Configuration files in the initramfs and in the image that it is made from,
// relative to the root. What the first sets counts, then the second, which is
// bootc's.
const (
	File      = "usr/lib/sysupdate-image/prepare-root.toml"
	BootcFile = "usr/lib/composefs/setup-root-conf.toml"
)

// Program is prepare-root, which is in the same place in both. An image without
// it has another program mount its root.
const Program = "usr/lib/sysupdate-image/prepare-root"

// Standalone is the program that is a whole initramfs by itself, and does the same.
const Standalone = "usr/lib/sysupdate-image/init"

// A Mode says how a writable directory of the root is made.
type Mode string

// Modes of /etc and /var. The empty Mode is one that no configuration sets.
const (
	None      Mode = "none"      // as the image has it, read-only
	Bind      Mode = "bind"      // a directory of the physical root, which holds all files
	Overlay   Mode = "overlay"   // what differs from the image is kept in the physical root
	Transient Mode = "transient" // what differs from the image is kept in memory
)

// Config is what configuration files say about the root. They are TOML:
//
//	[root]
//	transient = false    # true: what differs from the image is kept in memory
//	[etc]
//	mount = "overlay"    # none (or root), bind, overlay, transient (or volatile)
//	transient = false    # true: as mount = "transient", if mount is not set
//	[var]
//	mount = "overlay"    # the same
//
// Each value comes from the first file that has it. What no file sets has its
// zero value here; what that means is for the program that mounts.
type Config struct {
	RootTransient bool
	Etc, Var      Mode
}

// String returns the configuration as a file that says all that it says.
func (c Config) String() string {
	text := fmt.Sprintf("[root]\ntransient = %t\n", c.RootTransient)
	if c.Etc != "" {
		text += fmt.Sprintf("[etc]\nmount = %q\n", c.Etc)
	}
	if c.Var != "" {
		text += fmt.Sprintf("[var]\nmount = %q\n", c.Var)
	}
	return text
}

// Parse reads what String returns.
func Parse(text string) (Config, error) {
	f, _, err := parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read configuration: %w", err)
	}
	return merge([]file{f}), nil
}

// Load reads those of the files that are there. Keys it does not know are
// no error, since a newer program may: there is a warning for each.
func Load(fsys fs.FS, names ...string) (c Config, warnings []string, err error) {
	return load(func(name string) ([]byte, error) { return bounded.ReadFile(fsys, name, limits.Text) }, names)
}

func load(read func(name string) ([]byte, error), names []string) (c Config, warnings []string, err error) {
	var all []file
	for _, name := range names {
		data, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Config{}, nil, fmt.Errorf("cannot read configuration: %w", err)
		}
		f, unknown, err := parse(string(data))
		if err != nil {
			return Config{}, nil, fmt.Errorf("cannot read configuration %s: %w", name, err)
		}
		for _, key := range unknown {
			warnings = append(warnings, fmt.Sprintf("%s: unknown key %s", name, key))
		}
		all = append(all, f)
	}
	return merge(all), warnings, nil
}

// A file is what one configuration file sets; nil and "" are not set.
type file struct {
	root      *bool
	etc, data Mode // data: /var
}

func parse(text string) (c file, unknown []string, err error) {
	type directory struct {
		Mount     *string `toml:"mount"`
		Transient *bool   `toml:"transient"`
	}
	var content struct {
		Root struct {
			Transient *bool `toml:"transient"`
		} `toml:"root"`
		Etc directory `toml:"etc"`
		Var directory `toml:"var"`
	}
	meta, err := tomlfile.Decode(text, &content)
	if err != nil {
		return file{}, nil, err
	}
	for _, key := range meta.Undecoded() {
		// An unknown table is told of by the keys in it.
		if last := len(unknown) - 1; last >= 0 && strings.HasPrefix(key.String(), unknown[last]+".") {
			unknown = unknown[:last]
		}
		unknown = append(unknown, key.String())
	}
	mode := func(name string, d directory) Mode {
		switch {
		case d.Mount != nil:
			m, parseErr := parseMode(*d.Mount)
			if parseErr != nil {
				err = errors.Join(err, fmt.Errorf("[%s] mount: %w", name, parseErr))
			}
			return m
		case d.Transient != nil && *d.Transient:
			return Transient
		}
		return ""
	}
	c = file{root: content.Root.Transient, etc: mode("etc", content.Etc), data: mode("var", content.Var)}
	return c, unknown, err
}

func parseMode(s string) (Mode, error) {
	switch s {
	case "none", "root":
		return None, nil
	case "bind":
		return Bind, nil
	case "overlay":
		return Overlay, nil
	case "transient", "volatile":
		return Transient, nil
	}
	return "", fmt.Errorf("%q is not one of none, bind, overlay and transient", s)
}

func merge(all []file) Config {
	var c Config
	rootSet := false
	for _, f := range all {
		if f.root != nil && !rootSet {
			c.RootTransient, rootSet = *f.root, true
		}
		if c.Etc == "" {
			c.Etc = f.etc
		}
		if c.Var == "" {
			c.Var = f.data
		}
	}
	return c
}
