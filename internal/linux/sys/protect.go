package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Flags of an inode, see <linux/fs.h>.
const (
	immutableFlag = 0x10 // FS_IMMUTABLE_FL
	appendFlag    = 0x20 // FS_APPEND_FL
)

// A Protection is what chattr(1) calls the attributes i and a: nobody changes,
// renames or removes the file, or does more than to append to it.
type Protection struct{ Immutable, Append bool }

// SetProtection gives a file a protection, and takes from it what it does not
// have. See FS_IOC_SETFLAGS in ioctl_iflags(2).
func SetProtection(f *os.File, p Protection) error {
	err := withFD(f, func(fd int) error {
		old, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		flags := old &^ (immutableFlag | appendFlag)
		if p.Immutable {
			flags |= immutableFlag
		}
		if p.Append {
			flags |= appendFlag
		}
		if flags == old {
			return nil
		}
		return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags))
	})
	if err != nil {
		return fmt.Errorf("set attributes i and a of %s: %w", f.Name(), err)
	}
	return nil
}
