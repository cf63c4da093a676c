package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Formats are those of disk images, the default first.
var Formats = []string{"raw", "qcow2", "vhd"}

// ErrExists says that a disk image is there already.
var ErrExists = errors.New("exists already")

// partial is the suffix of a disk image until it is complete.
const partial = ".partial"

// A Target is a disk image that is being made. It has its name only when it is complete.
type Target struct {
	File   string // its name
	Format string
	Size   int64 // bytes of the disk; 0 for what the image needs
}

// Begin makes an empty disk for an image, and the options to install on it. The caller calls
// Drop in the end.
func (t *Target) Begin(o DiskOptions, img Image) (DiskOptions, error) {
	if t.Format != Formats[0] {
		if err := tools.Check("qemu-img"); err != nil {
			return o, fmt.Errorf("cannot make a disk image of format %s: %w", t.Format, err)
		}
	}
	if _, err := os.Lstat(t.File); err == nil && !o.Wipe {
		return o, fmt.Errorf("%s %w", t.File, ErrExists)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	if t.Size == 0 {
		t.Size = layout.ImageSize(img.Bytes, o.BootSize)
	}
	o.Disk, o.Loopback = t.File+partial, true
	if err := os.Remove(o.Disk); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err // what an earlier run has left
	}
	f, err := os.OpenFile(o.Disk, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return o, err
	}
	return o, errors.Join(f.Truncate(t.Size), f.Close())
}

// Drop removes a disk image that is not complete.
func (t *Target) Drop() {
	os.Remove(t.File + partial)
	os.Remove(t.File + partial + "." + t.Format)
}

// Finish converts the disk that was installed, and gives it its name.
func (t *Target) Finish(ctx context.Context, d *device.Disk, r update.Reporter) error {
	if err := d.Sync(); err != nil {
		return err
	}
	made := t.File + partial
	if args := convert[t.Format]; args != nil {
		r.Step("Converting to " + t.Format)
		made += "." + t.Format
		all := append(append([]string{"convert", "-f", "raw"}, args...), t.File+partial, made)
		if err := (tools.Command{Name: "qemu-img", Args: all}).Run(ctx); err != nil {
			return fmt.Errorf("cannot convert %s: %w", t.File, err)
		}
		if err := syncFile(made); err != nil {
			return err
		}
	}
	return os.Rename(made, t.File)
}

// convert are the options of qemu-img(1) for the formats. Azure takes VHDs of fixed size only.
var convert = map[string][]string{
	"qcow2": {"-O", "qcow2"},
	"vhd":   {"-O", "vpc", "-o", "subformat=fixed,force_size=on"},
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
