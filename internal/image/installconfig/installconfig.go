// Package installconfig reads how an image wants to be installed. The files and their keys
// are bootc's. It hides in which order they are merged.
package installconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/tomlfile"
)

// dirs are where the files are, relative to the root. Of two files of one name, that in the
// later directory counts. A link to /dev/null there masks the others.
var dirs = []string{"usr/lib/bootc/install", "usr/local/lib/bootc/install", "etc/bootc/install", "run/bootc/install"}

// A Config is what the files say together. A key that none has is nil.
type Config struct {
	RootFSType   *string     `toml:"root-fs-type" json:"root-fs-type,omitempty"`
	FileSystem   *FileSystem `toml:"filesystem" json:"filesystem,omitempty"`
	Block        []string    `toml:"block" json:"block,omitempty"`
	Kargs        []string    `toml:"kargs" json:"kargs,omitempty"`
	KargDeletes  []string    `toml:"karg-deletes" json:"karg-deletes,omitempty"`
	RootMount    *string     `toml:"root-mount-spec" json:"root-mount-spec,omitempty"`
	BootMount    *string     `toml:"boot-mount-spec" json:"boot-mount-spec,omitempty"`
	Stateroot    *string     `toml:"stateroot" json:"stateroot,omitempty"`
	Bootloader   *string     `toml:"bootloader" json:"bootloader,omitempty"`
	Discoverable *bool       `toml:"discoverable-partitions" json:"discoverable-partitions,omitempty"`
	Policy       *bool       `toml:"enforce-container-sigpolicy" json:"enforce-container-sigpolicy,omitempty"`
	Ostree       *Ostree     `toml:"ostree" json:"ostree,omitempty"`
	Bootupd      *Bootupd    `toml:"bootupd" json:"bootupd,omitempty"`
	Match        []string    `toml:"match-architectures" json:"-"`
}

// A FileSystem says what file systems are made.
type FileSystem struct {
	Root *RootFS `toml:"root" json:"root,omitempty"`
}

// A RootFS says which file system the root is.
type RootFS struct {
	Type *string `toml:"type" json:"type,omitempty"`
}

// Ostree and Bootupd are for programs that are not used here.
type (
	Ostree struct {
		BLS *string `toml:"bls-append-except-default" json:"bls-append-except-default,omitempty"`
	}
	Bootupd struct {
		SkipBootUUID *bool `toml:"skip-boot-uuid" json:"skip-boot-uuid,omitempty"`
	}
)

// Load reads and merges the files of an image, or a running system, for an architecture as
// Go spells it. Keys that bootc does not have are an error: what is misspelt would have no
// effect, and nobody would notice.
func Load(fsys fs.FS, goarch string) (Config, error) {
	files, err := list(fsys)
	if err != nil {
		return Config{}, err
	}
	var c Config
	for _, base := range slices.Sorted(maps.Keys(files)) {
		name := files[base]
		if target, err := fs.ReadLink(fsys, name); err == nil && path.Clean(target) == "/dev/null" {
			continue // a mask: of the files of this name none counts
		}
		text, err := bounded.ReadFile(fsys, name, limits.Text)
		var more Config
		if err == nil {
			more, err = Parse(string(text))
		}
		if err != nil {
			return Config{}, fmt.Errorf("cannot read configuration /%s: %w", name, err)
		}
		if len(more.Match) == 0 || slices.Contains(more.Match, kargs.Architecture(goarch)) {
			c.merge(more)
		}
	}
	return c, nil
}

// list returns the paths of the files that count, by their names.
func list(fsys fs.FS) (map[string]string, error) {
	files := make(map[string]string)
	for _, dir := range dirs {
		entries, err := fs.ReadDir(fsys, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list /%s: %w", dir, err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".toml") {
				files[e.Name()] = path.Join(dir, e.Name())
			}
		}
	}
	return files, nil
}

// Parse reads a file.
func Parse(text string) (Config, error) {
	var file struct {
		Install Config `toml:"install"`
	}
	meta, err := tomlfile.Decode(text, &file)
	if err != nil {
		return Config{}, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Config{}, fmt.Errorf("unknown key %q", unknown[0].String())
	}
	return file.Install, nil
}

// merge has what a later file says count. Kernel arguments add up.
func (c *Config) merge(more Config) {
	set(&c.RootFSType, more.RootFSType)
	set(&c.FileSystem, more.FileSystem)
	set(&c.RootMount, more.RootMount)
	set(&c.BootMount, more.BootMount)
	set(&c.Stateroot, more.Stateroot)
	set(&c.Bootloader, more.Bootloader)
	set(&c.Discoverable, more.Discoverable)
	set(&c.Policy, more.Policy)
	set(&c.Ostree, more.Ostree)
	set(&c.Bootupd, more.Bootupd)
	if more.Block != nil {
		c.Block = more.Block
	}
	c.Kargs = append(c.Kargs, more.Kargs...)
	c.KargDeletes = append(c.KargDeletes, more.KargDeletes...)
}

func set[T any](key **T, value *T) {
	if value != nil {
		*key = value
	}
}

// RootType returns the file system of the root, "" if no file names one.
func (c Config) RootType() string {
	if c.FileSystem != nil && c.FileSystem.Root != nil && c.FileSystem.Root.Type != nil {
		return *c.FileSystem.Root.Type
	}
	if c.RootFSType != nil {
		return *c.RootFSType
	}
	return ""
}

// Public returns what a program that makes the file systems itself has to know.
func (c Config) Public() Config {
	c.Kargs, c.KargDeletes = nil, nil
	return c
}

// Canonical returns c with what follows from it, as bootc prints it.
func (c Config) Canonical() Config {
	if t := c.RootType(); t != "" {
		c.RootFSType, c.FileSystem = nil, &FileSystem{&RootFS{&t}}
	}
	if c.Block == nil {
		c.Block = []string{"direct"}
	}
	return c
}

// Arguments returns the kernel arguments, without those that are deleted.
func (c Config) Arguments() []string {
	return slices.DeleteFunc(slices.Clone(c.Kargs), func(a string) bool {
		key, _, _ := strings.Cut(a, "=")
		return slices.Contains(c.KargDeletes, a) || slices.Contains(c.KargDeletes, key)
	})
}
