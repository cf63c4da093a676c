package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// errRefused says that the kernel does not mount an overlay of these layers. It
// gives the reason in its log only. Of layers that can be read, there is one: it
// counts too many file systems on each other.
var errRefused = errors.New("the kernel refuses, its log says why")

// overlay mounts an overlay. Directories of its own that are missing are made.
func (b *builder) overlay(m mountplan.Mount, options options) (*os.File, error) {
	if err := b.makeUpper(options); err != nil {
		return nil, err
	}
	layers, err := b.layers(options)
	if err != nil {
		return nil, err
	}
	var attr sys.MountAttr
	if options.has(optReadOnly) {
		attr = sys.ReadOnly
	}
	all := append([]sys.MountOption{sys.MountString("source", m.What)}, options.mountOptions()...)
	mount, err := sys.Detached("overlay", attr, append(all, layers...)...)
	switch {
	case err == nil:
		return mount, nil
	case errors.Is(err, sys.ErrInvalid) && strings.Contains(err.Error(), "'verity'"):
		return nil, fmt.Errorf("the kernel's overlay cannot verify files: Linux 6.6 or later is needed (%w)", err)
	case errors.Is(err, sys.ErrInvalid):
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil, lacking("overlay", err)
}

// layers returns the directories of an overlay as the kernel takes them.
func (b *builder) layers(options options) ([]sys.MountOption, error) {
	var all []sys.MountOption
	lower := ""
	for _, o := range options {
		if !isLayer(o.key) {
			continue
		}
		dir, err := b.open(o.value)
		if err != nil {
			return nil, err
		}
		switch {
		case b.kernel.LayerFDs:
			all = append(all, sys.MountFD(o.key, dir))
		case o.key == optLower:
			lower = procPath(dir)
		case o.key == optData:
			lower += "::" + procPath(dir)
		default:
			all = append(all, sys.MountString(o.key, procPath(dir)))
		}
	}
	if lower != "" {
		all = append(all, sys.MountString("lowerdir", lower))
	}
	return all, nil
}

// makeUpper creates the upper and the work directory of an overlay if they are
// missing. The upper directory stands for the merged one: what it is created
// with, owner, mode and attributes, has to be that of the lower one.
func (b *builder) makeUpper(options options) error {
	upper, ok := options.value(optUpper)
	if !ok {
		return nil
	}
	lower, _ := options.value(optLower)
	work, _ := options.value(optWork)
	like, err := b.open(lower)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the image has no directory /%s: %w", path.Base(lower), err)
		}
		return err
	}
	parent, rest, ok := b.parent(upper)
	if !ok {
		return fmt.Errorf("%s is in no mount of the plan", upper)
	}
	root, err := os.OpenRoot(procPath(parent))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := makeLike(root, rest, like); err != nil {
		return fmt.Errorf("cannot create %s: %w", upper, err)
	}
	_, rest, _ = b.parent(work)
	if err := root.MkdirAll(rest, 0o700); err != nil {
		return fmt.Errorf("cannot create %s: %w", work, err)
	}
	return nil
}

// makeLike creates the directory name with owner, mode and attributes of like,
// unless it is there. It appears when all of that is done.
func makeLike(root *os.Root, name string, like *os.File) error {
	if info, err := root.Lstat(name); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", name)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// An earlier attempt may have been cut short.
	dir, unfinished := path.Split(name)
	unfinished = dir + "." + unfinished + ".new"
	if err := root.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	f, err := root.Open(unfinished)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := copyAttributes(f, like); err != nil {
		return err
	}
	return root.Rename(unfinished, name)
}

func copyAttributes(to, from *os.File) error {
	st, err := sys.Statx(from, "")
	if err != nil {
		return err
	}
	if err := to.Chown(int(st.UID), int(st.GID)); err != nil {
		return err
	}
	// After the owner, since changing that takes bits away.
	if err := sys.Fchmodat(to, "", st.Mode&0o7777); err != nil {
		return err
	}
	names, err := sys.Listxattr(from, "")
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.overlay.") {
			continue // means something to the overlay that from is in
		}
		value, err := sys.Getxattr(from, "", name)
		if err != nil {
			return err
		}
		if err := sys.Setxattr(to, "", name, value); err != nil {
			return err
		}
	}
	return nil
}
