package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// FS returns the root as an fs.FS, which also has fs.ReadLinkFS, fs.StatFS and
// fs.ReadDirFS.
func (r *Root) FS() fs.FS { return rootFS{r} }

type rootFS struct{ root *Root }

func check(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

func (f rootFS) Open(name string) (fs.File, error) {
	if err := check("open", name); err != nil {
		return nil, err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	return openFile{file, f.root, name}, nil
}

func (f rootFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := check("open", name); err != nil {
		return nil, err
	}
	return f.root.ReadDir(name)
}

func (f rootFS) Stat(name string) (fs.FileInfo, error) {
	if err := check("stat", name); err != nil {
		return nil, err
	}
	return f.root.Stat(name)
}

func (f rootFS) Lstat(name string) (fs.FileInfo, error) {
	if err := check("lstat", name); err != nil {
		return nil, err
	}
	return f.root.Lstat(name)
}

func (f rootFS) ReadLink(name string) (string, error) {
	if err := check("readlink", name); err != nil {
		return "", err
	}
	return f.root.Readlink(name)
}

// An openFile knows its name in the root.
type openFile struct {
	*os.File
	root *Root
	name string
}

func (f openFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return named{info, path.Base(f.name)}, nil
}

func (f openFile) ReadDir(n int) ([]fs.DirEntry, error) {
	return f.root.entries(f.File, f.name, n)
}

// entries returns up to n entries of the open directory called name, all if n
// is not positive. Those of package os would be looked up by a path that means
// something else in the running system.
func (r *Root) entries(dir *os.File, name string, n int) ([]fs.DirEntry, error) {
	names, err := dir.Readdirnames(n)
	var entries []fs.DirEntry
	for _, base := range names {
		stat, serr := sys.Statx(dir, base)
		if errors.Is(serr, fs.ErrNotExist) {
			continue // just gone
		}
		if serr != nil {
			return entries, serr
		}
		entries = append(entries, entry{r, path.Join(name, base), fileType(stat.Mode)})
	}
	return entries, err
}

type entry struct {
	root     *Root
	path     string
	fileType fs.FileMode
}

func (e entry) Name() string               { return path.Base(e.path) }
func (e entry) IsDir() bool                { return e.fileType.IsDir() }
func (e entry) Type() fs.FileMode          { return e.fileType }
func (e entry) Info() (fs.FileInfo, error) { return e.root.Lstat(e.path) }
func (e entry) String() string             { return fs.FormatDirEntry(e) }

// fileType returns the type in a mode as in inode(7).
func fileType(mode uint32) fs.FileMode {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return 0
	case syscall.S_IFDIR:
		return fs.ModeDir
	case syscall.S_IFLNK:
		return fs.ModeSymlink
	case syscall.S_IFIFO:
		return fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		return fs.ModeSocket
	case syscall.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case syscall.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}
