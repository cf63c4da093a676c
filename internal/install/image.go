package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Formats are those of disk images, the default first.
var Formats = []string{"raw", "qcow2", "vhd"}

// ErrExists says that a disk image is there already.
var ErrExists = errors.New("already exists")

// ErrDevice says that a device was named in place of a disk image.
var ErrDevice = errors.New("is a device, not a disk image")

// partial is the suffix of a disk image until it is complete.
const partial = ".partial"

// A Target is a disk image that is being made. It has its name only when it is complete.
type Target struct {
	File   string // its name
	Format string
	Size   int64 // bytes of the disk; 0 for what the image needs

	onlyPlan bool     // the disk is another file, which drop removes
	wipe     bool     // FILE may be replaced
	disk     string   // path of the disk until it is complete
	own      *os.File // the disk, which is locked
}

// check refuses a target that cannot be made, or replaced with wipe.
func (t *Target) check(wipe bool) error {
	t.wipe = wipe
	if t.Format != Formats[0] {
		if err := tools.Check("qemu-img"); err != nil {
			return fmt.Errorf("cannot make a disk image of format %s: %w", t.Format, err)
		}
	}
	info, err := os.Lstat(t.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeDevice != 0:
		return fmt.Errorf("%s %w", t.File, ErrDevice)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file, and will not be replaced", t.File)
	case !wipe:
		return fmt.Errorf("%s %w", t.File, ErrExists)
	}
	return nil
}

// begin makes an empty disk for an image, and the options to install on it. The caller calls
// drop in the end.
func (t *Target) begin(o DiskOptions, img Image) (DiskOptions, error) {
	if t.Size == 0 {
		t.Size = layout.ImageSize(img.Bytes, o.BootSize+o.VarSize)
	}
	path, err := filepath.Abs(t.File)
	if err != nil {
		return o, err
	}
	if t.onlyPlan {
		t.own, err = os.CreateTemp(filepath.Dir(path), ".sysupdate-image-plan-")
	} else {
		t.own, err = claim(path + partial)
	}
	if err != nil {
		return o, err
	}
	t.disk = t.own.Name()
	o.Disk, o.Name, o.Loopback, o.Unmounted = t.disk, t.File, true, !canMount()
	return o, t.own.Truncate(t.Size)
}

// drop removes what was made and is not complete. It leaves alone what another run has made.
func (t *Target) drop() {
	if t.own == nil {
		return
	}
	if isAt(t.own, t.disk) {
		os.Remove(t.disk + "." + t.Format) // first, as long as the lock counts
		os.Remove(t.disk)
	}
	t.own.Close()
	t.own = nil
}

// finish converts the disk that was installed, and gives it its name.
func (t *Target) finish(ctx context.Context, d *device.Disk, r update.Reporter) error {
	if err := d.Sync(); err != nil {
		return err
	}
	made := t.disk
	if args := convert[t.Format]; args != nil {
		r.Step("Converting to " + t.Format)
		made += "." + t.Format
		if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // what a killed run has left, or a link
		}
		all := append(append([]string{"convert", "-f", "raw"}, args...), t.disk, made)
		if err := (tools.Command{Name: "qemu-img", Args: all}).Run(ctx); err != nil {
			return fmt.Errorf("cannot convert %s: %w", t.File, err)
		}
		if err := syncFile(made, os.O_RDWR); err != nil {
			return err
		}
	}
	return t.publish(made)
}

// publish gives a disk image its name, durably. A file that was made meanwhile is not lost.
func (t *Target) publish(made string) error {
	var err error
	if t.wipe {
		err = os.Rename(made, t.File)
	} else {
		err = sys.Renameat2(nil, made, nil, t.File, sys.RenameNoReplace)
	}
	if errors.Is(err, syscall.EINVAL) { // by file systems such as NFS
		if err = t.check(false); err == nil {
			err = os.Rename(made, t.File)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", t.File, ErrExists)
	}
	if err != nil {
		return err
	}
	return syncFile(filepath.Dir(made), os.O_RDONLY)
}

// convert are the options of qemu-img(1) for the formats. Azure takes VHDs of fixed size only.
var convert = map[string][]string{
	"qcow2": {"-O", "qcow2"},
	"vhd":   {"-O", "vpc", "-o", "subformat=fixed,force_size=on"},
}

func syncFile(name string, mode int) error {
	f, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
