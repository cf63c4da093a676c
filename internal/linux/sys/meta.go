package sys

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Stat is what statx(2) knows of a file.
type Stat struct {
	Mode               uint32 // type and permissions
	UID, GID           uint32
	Nlink              uint32
	Size               int64 // bytes
	Blocks             int64 // of 512 bytes that are allocated
	Mtime              time.Time
	Inode              uint64
	MountID            uint64 // differs where something is mounted; see statx(2), stx_mnt_id
	DevMajor, DevMinor uint32 // of the file system
	Rdev               uint64 // of a device, as makedev(3) packs it
	MountRoot          bool   // the file is the root of a mount
	Protection         Protection
}

// Statx returns what is known of name in dir. It does not follow a symbolic
// link nor trigger an automount. With an empty name it is dir itself.
func Statx(dir *os.File, name string) (Stat, error) {
	var s unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH
	err := withFD(dir, func(dirfd int) error {
		return retry(func() error {
			return unix.Statx(dirfd, name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &s)
		})
	})
	if err != nil {
		return Stat{}, fmt.Errorf("statx %s: %w", nameOf(dir, name), err)
	}
	return Stat{
		Mode: uint32(s.Mode), UID: s.Uid, GID: s.Gid, Nlink: s.Nlink,
		Size: int64(s.Size), Blocks: int64(s.Blocks),
		Mtime: time.Unix(s.Mtime.Sec, int64(s.Mtime.Nsec)),
		Inode: s.Ino, MountID: s.Mnt_id,
		DevMajor: s.Dev_major, DevMinor: s.Dev_minor,
		Rdev:      unix.Mkdev(s.Rdev_major, s.Rdev_minor),
		MountRoot: s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
		Protection: Protection{
			Immutable: s.Attributes&unix.STATX_ATTR_IMMUTABLE != 0,
			Append:    s.Attributes&unix.STATX_ATTR_APPEND != 0,
		},
	}, nil
}

// A FileSystem is what statfs(2) knows of one. Sizes are in bytes.
type FileSystem struct {
	Type      int64 // magic number, see statfs(2)
	BlockSize int64
	Size      uint64
	Free      uint64 // for everyone
	Available uint64 // for an ordinary user
	Inodes    uint64 // 0 where there is no limit
	FreeNodes uint64
	ReadOnly  bool
	Attr      MountAttr // of the mount, as far as ReadOnly, NoSuid, NoDev and NoExec go
}

// Statfs returns what is known of the file system that f is in.
func Statfs(f *os.File) (FileSystem, error) {
	var s unix.Statfs_t
	err := withFD(f, func(fd int) error { return retry(func() error { return unix.Fstatfs(fd, &s) }) })
	if err != nil {
		return FileSystem{}, fmt.Errorf("fstatfs %s: %w", f.Name(), err)
	}
	unit := uint64(s.Bsize)
	return FileSystem{
		Type: int64(s.Type), BlockSize: int64(s.Bsize),
		Size: s.Blocks * unit, Free: s.Bfree * unit, Available: s.Bavail * unit,
		Inodes: s.Files, FreeNodes: s.Ffree,
		ReadOnly: s.Flags&unix.ST_RDONLY != 0,
		Attr:     attrOf(s.Flags),
	}, nil
}

func attrOf(flags int64) (attr MountAttr) {
	for _, f := range []struct {
		flag int64
		attr MountAttr
	}{{unix.ST_RDONLY, ReadOnly}, {unix.ST_NOSUID, NoSuid}, {unix.ST_NODEV, NoDev}, {unix.ST_NOEXEC, NoExec}} {
		if flags&f.flag != 0 {
			attr |= f.attr
		}
	}
	return attr
}

// Mknodat creates a file of the type in mode: a device with number rdev, a
// FIFO, a socket or an empty regular file. The umask applies.
func Mknodat(dir *os.File, name string, mode uint32, rdev uint64) error {
	err := withFD(dir, func(dirfd int) error { return unix.Mknodat(dirfd, name, mode, int(rdev)) })
	if err != nil {
		return fmt.Errorf("mknodat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Fchownat changes owner and group of name in dir, of a symbolic link itself.
func Fchownat(dir *os.File, name string, uid, gid uint32) error {
	err := withFD(dir, func(dirfd int) error {
		return unix.Fchownat(dirfd, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	})
	if err != nil {
		return fmt.Errorf("fchownat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Fchmodat changes the permissions of name in dir, set-user-ID, set-group-ID
// and sticky bits included. It refuses a symbolic link, which has none.
func Fchmodat(dir *os.File, name string, perm uint32) error {
	return pathOf(dir, name, func(path string) error {
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil {
			return fmt.Errorf("lstat %s: %w", nameOf(dir, name), err)
		}
		if name != "" && s.Mode&unix.S_IFMT == unix.S_IFLNK {
			return fmt.Errorf("fchmodat %s: %w", nameOf(dir, name), unix.ELOOP)
		}
		if err := unix.Chmod(path, perm&0o7777); err != nil {
			return fmt.Errorf("fchmodat %s: %w", nameOf(dir, name), err)
		}
		return nil
	})
}

// Utimensat sets the modification time of name in dir, of a symbolic link
// itself. The access time stays.
func Utimensat(dir *os.File, name string, mtime time.Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: mtime.Unix(), Nsec: int64(mtime.Nanosecond())}}
	err := withFD(dir, func(dirfd int) error {
		return unix.UtimesNanoAt(dirfd, name, times, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return fmt.Errorf("utimensat %s: %w", nameOf(dir, name), err)
	}
	return nil
}
