// Package mount mounts composefs images to look into them. It hides the differences between
// kernels: EROFS from a file or from a loop device, and layers of an overlay that need not
// be attached, or only for a moment.
package mount

import (
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Options say how to mount an image.
type Options struct {
	// Source is what the mount table calls it.
	Source string

	// Verity has the kernel refuse contents that fs-verity does not protect with
	// the digest that is in the image.
	Verity bool
}

// Mount mounts a composefs image with the contents that are in the directory
// objects, read-only, at dir. Whoever calls is root.
func Mount(image, objects *os.File, dir string, opts Options) error {
	at, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot mount image: %w", err)
	}
	defer at.Close()
	mount, err := mountFrom(image, objects, opts, []way{{}, {layersAttached: true}})
	if err != nil {
		return fmt.Errorf("cannot mount image: %w", err)
	}
	defer mount.Close()
	if err := sys.Attach(mount, at, ""); err != nil {
		return fmt.Errorf("cannot mount image: %w", err)
	}
	return nil
}

// A way is how to mount an image: without the abilities of its zero value on kernels that
// lack them.
type way struct {
	loop           bool // without trying the file itself: see EROFS
	layersAttached bool // Linux before 6.15 wants layers that have a path
}

// mountFrom mounts an image in the first way that the kernel takes.
func mountFrom(image, objects *os.File, opts Options, ways []way) (mount *os.File, err error) {
	for _, w := range ways {
		mount, err = w.mount(image, objects, opts)
		if !errors.Is(err, sys.ErrInvalid) && !errors.Is(err, sys.ErrBadFile) {
			break
		}
	}
	return mount, err
}

func (w way) mount(image, objects *os.File, opts Options) (*os.File, error) {
	erofs, err := EROFS(image, !w.loop)
	if err != nil {
		return nil, err
	}
	defer erofs.Close()
	options := []sys.MountOption{
		sys.MountString("source", opts.Source), sys.MountString("metacopy", "on"), sys.MountString("redirect_dir", "on"),
	}
	if opts.Verity {
		options = append(options, sys.MountString("verity", "require"))
	}
	if !w.layersAttached {
		options = append(options, sys.MountFD("lowerdir+", erofs), sys.MountFD("datadir+", objects))
		return overlay(options)
	}
	return attached(erofs, func(path string) (*os.File, error) {
		layers := path + "::" + procPath(objects)
		return overlay(append(options, sys.MountString("lowerdir", layers)))
	})
}

func overlay(options []sys.MountOption) (*os.File, error) {
	mount, err := sys.Detached("overlay", sys.ReadOnly, options...)
	return mount, lacking("overlay", err)
}

// ErrNoLoop says that the kernel can mount an image neither from a file nor from a loop
// device.
var ErrNoLoop = errors.New("the kernel cannot mount an image from a file, nor make it a loop device")

// EROFS mounts the EROFS image in a file, read-only and attached nowhere. With fromFile,
// it first tries the file itself, which Linux reads since 6.12, and then a loop device.
func EROFS(image *os.File, fromFile bool) (*os.File, error) {
	if fromFile {
		mount, err := erofsAt(procPath(image))
		if !errors.Is(err, sys.ErrNotBlockDevice) {
			return mount, err
		}
	}
	device, err := sys.LoopDevice(image)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoop, err)
	}
	defer device.Close() // the mount keeps it
	return erofsAt(device.Name())
}

func erofsAt(source string) (*os.File, error) {
	mount, err := sys.Detached("erofs", sys.ReadOnly, sys.MountFlag("ro"), sys.MountString("source", source))
	return mount, lacking("erofs", err)
}

// attached calls f while mount is attached at the path that f gets.
func attached(mount *os.File, f func(path string) (*os.File, error)) (*os.File, error) {
	path, err := os.MkdirTemp("", "sysupdate-image-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	at, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	if err := sys.Attach(mount, at, ""); err != nil {
		return nil, err
	}
	result, err := f(path)
	if err := sys.Unmount(path); err != nil {
		return result, err
	}
	return result, err
}

// lacking says what to do when the kernel does not know a file system.
func lacking(fstype string, err error) error {
	if errors.Is(err, sys.ErrNoSuchFileSystem) {
		return fmt.Errorf("the kernel has no %s file system (modprobe %s?): %w", fstype, fstype, err)
	}
	return err
}

// procPath returns a name of an open file that mount options take.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
