package sys

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A MountAttr is a set of attributes of a mount, as for fsmount(2).
type MountAttr uint

// Attributes of a mount.
const (
	ReadOnly MountAttr = unix.MOUNT_ATTR_RDONLY
	NoSuid   MountAttr = unix.MOUNT_ATTR_NOSUID
	NoDev    MountAttr = unix.MOUNT_ATTR_NODEV
	NoExec   MountAttr = unix.MOUNT_ATTR_NOEXEC

	RelAtime    MountAttr = unix.MOUNT_ATTR_RELATIME // the default: 0
	NoAtime     MountAttr = unix.MOUNT_ATTR_NOATIME
	StrictAtime MountAttr = unix.MOUNT_ATTR_STRICTATIME
	NoDirAtime  MountAttr = unix.MOUNT_ATTR_NODIRATIME
)

// Errors of mounting that callers tell apart.
const (
	ErrNoSuchFileSystem = unix.ENODEV  // fsopen: the kernel has no such file system
	ErrNotBlockDevice   = unix.ENOTBLK // the file system wants a block device, not a file
	ErrInvalid          = unix.EINVAL  // the kernel does not know an option, or how to do this
	ErrBadFile          = unix.EBADF   // the kernel wants a file for an option that is no detached mount
	ErrReadOnly         = unix.EROFS   // the file system or its medium is read-only
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of <linux/mount.h>.
const moveMountBeneath = 0x200

// A MountOption is a parameter of a file system: a word, a word with a value,
// or a word with an open file. Make it with MountFlag, MountString or MountFD.
type MountOption struct {
	key, value string
	file       *os.File
	isFlag     bool
}

// MountFlag returns the option key, such as "ro".
func MountFlag(key string) MountOption { return MountOption{key: key, isFlag: true} }

// MountString returns the option key=value.
func MountString(key, value string) MountOption { return MountOption{key: key, value: value} }

// MountFD returns the option key with an open file for a value. The file stays the
// caller's to close.
func MountFD(key string, f *os.File) MountOption { return MountOption{key: key, file: f} }

// String returns the option as mount(8) takes it.
func (o MountOption) String() string {
	switch {
	case o.isFlag:
		return o.key
	case o.file != nil:
		return o.key + "=" + o.file.Name()
	}
	return o.key + "=" + o.value
}

// Detached mounts a file system of the given type without attaching it
// anywhere: it is gone when the returned file is closed, unless Attach was
// called. Errors carry what the kernel logged about them. See fsopen(2).
func Detached(fstype string, attr MountAttr, options ...MountOption) (*os.File, error) {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(ctx)
	if err := configure(ctx, options); err != nil {
		return nil, err
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, fmt.Errorf("fsconfig create %s: %w%s", fstype, err, why(ctx))
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, int(attr))
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w%s", fstype, err, why(ctx))
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// Reconfigure changes options of the file system that is mounted at mount, for
// all its mounts, as remounting does. See fspick(2).
func Reconfigure(mount *os.File, options ...MountOption) error {
	var ctx int
	err := withFD(mount, func(fd int) (err error) {
		ctx, err = unix.Fspick(fd, "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)
		return err
	})
	if err != nil {
		return fmt.Errorf("fspick %s: %w", mount.Name(), err)
	}
	defer unix.Close(ctx)
	if err := configure(ctx, options); err != nil {
		return err
	}
	if err := unix.FsconfigReconfigure(ctx); err != nil {
		return fmt.Errorf("fsconfig reconfigure %s: %w%s", mount.Name(), err, why(ctx))
	}
	return nil
}

// HasMountOption reports whether a file system of the given type takes the
// option. It may be that of another kernel that does not.
func HasMountOption(fstype string, option MountOption) (bool, error) {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(ctx)
	return configure(ctx, []MountOption{option}) == nil, nil
}

func configure(ctx int, options []MountOption) error {
	for _, o := range options {
		var err error
		switch {
		case o.isFlag:
			err = unix.FsconfigSetFlag(ctx, o.key)
		case o.file != nil:
			err = withFD(o.file, func(fd int) error { return unix.FsconfigSetFd(ctx, o.key, fd) })
		default:
			err = unix.FsconfigSetString(ctx, o.key, o.value)
		}
		if err != nil {
			return fmt.Errorf("fsconfig %s: %w%s", o, err, why(ctx))
		}
	}
	return nil
}

// why returns what the kernel logged in a file system context, in parentheses
// and after a space, or nothing. Each read gives one message, which begins with
// e, w or i for its severity.
func why(ctx int) string {
	var messages []string
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(ctx, buf)
		if err != nil || n <= 0 {
			break // ENODATA: no more
		}
		messages = append(messages, strings.TrimSpace(string(buf[:n])))
	}
	if len(messages) == 0 {
		return ""
	}
	return " (" + strings.Join(messages, "; ") + ")"
}

// CloneTree makes a copy of the mount at path below dir, without the mounts
// below it, that is attached nowhere. path may be "": dir itself. See
// open_tree(2) with OPEN_TREE_CLONE.
func CloneTree(dir *os.File, path string) (*os.File, error) {
	var tree int
	err := withFD(dir, func(fd int) (err error) {
		tree, err = unix.OpenTree(fd, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open_tree %s: %w", nameOf(dir, path), err)
	}
	return os.NewFile(uintptr(tree), nameOf(dir, path)), nil
}

// Attach attaches a mount at path below dir, where it hides what was there. A
// mount that is attached already is moved, with the mounts below it. path may
// be "": dir itself. See move_mount(2).
func Attach(mount, dir *os.File, path string) error {
	return moveMount(mount, dir, path, 0)
}

// AttachBeneath attaches a mount as Attach does, but beneath the mount that is there. It
// becomes visible when that one is unmounted, so there is a mount at all times. It needs
// Linux 6.5.
func AttachBeneath(mount, dir *os.File, path string) error {
	return moveMount(mount, dir, path, moveMountBeneath)
}

func moveMount(mount, dir *os.File, path string, flags int) error {
	flags |= unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_SYMLINKS
	if path == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	err := withFDs(mount, dir, func(from, to int) error { return unix.MoveMount(from, "", to, path, flags) })
	if err != nil {
		return fmt.Errorf("move_mount %s to %s: %w", mount.Name(), nameOf(dir, path), err)
	}
	return nil
}

// SetMountAttr sets and clears attributes of a mount, but not of those below
// it. See mount_setattr(2).
func SetMountAttr(mount *os.File, set, clear MountAttr) error {
	return setattr(mount, 0, unix.MountAttr{Attr_set: uint64(set), Attr_clr: uint64(clear)})
}

// MakePrivate stops propagation of mounts to and from a mount and, if
// recursive, those below it. See mount_namespaces(7).
func MakePrivate(mount *os.File, recursive bool) error {
	var flags uint
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	return setattr(mount, flags, unix.MountAttr{Propagation: unix.MS_PRIVATE})
}

func setattr(mount *os.File, flags uint, attr unix.MountAttr) error {
	err := withFD(mount, func(fd int) error {
		return unix.MountSetattr(fd, "", flags|unix.AT_EMPTY_PATH, &attr)
	})
	if err != nil {
		return fmt.Errorf("mount_setattr %s: %w", mount.Name(), err)
	}
	return nil
}

// Unmount detaches the mount that is seen at path and those below it at once;
// the file system is let go when nothing uses it any more. See umount2(2) with
// MNT_DETACH.
func Unmount(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("umount2 %s: %w", path, err)
	}
	return nil
}
