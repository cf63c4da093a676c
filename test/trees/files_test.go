package trees

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file is all that can be asked of one: lstat(2), readlink(2), listxattr(2) and
// its content. Files are read here without any of our own code, so that what that
// overlooks is seen.
type file struct {
	mode, uid, gid uint32
	links          uint64 // not of a directory: overlayfs says 1 of each
	size           int64  // not of a directory
	rdev           uint64
	mtime          unix.Timespec
	target         string
	xattrs         string
	sum            [sha256.Size]byte
	same           string // the first name of the file
}

// files returns all below dir, by path.
func files(t *testing.T, dir string) map[string]file {
	t.Helper()
	all := make(map[string]file)
	first := make(map[[2]uint64]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f := file{mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: st.Mtim}
		if f.xattrs, err = xattrsOf(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !e.IsDir() {
			f.links, f.size = uint64(st.Nlink), st.Size
			key := [2]uint64{uint64(st.Dev), st.Ino}
			if first[key] == "" {
				first[key] = name
			}
			f.same = first[key]
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			f.target, err = os.Readlink(path)
		case unix.S_IFREG:
			f.sum, err = sumOf(path)
		case unix.S_IFCHR, unix.S_IFBLK:
			f.rdev = uint64(st.Rdev)
		}
		all[name] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sumOf(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// xattrsOf returns all extended attributes, sorted by name.
func xattrsOf(path string) (string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		return "", fmt.Errorf("llistxattr: %w", err)
	}
	values := make(map[string]string)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", fmt.Errorf("lgetxattr %s: %w", name, err)
		}
		values[name] = string(value[:n])
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, " %s=%q", name, values[name])
	}
	return b.String(), nil
}

// sameFiles fails the test unless both directories have the same files, and says
// how many there are of what.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	g, w := files(t, got), files(t, want)
	wrong := 0
	complain := func(format string, args ...any) {
		t.Helper()
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	counts := make(map[string]int)
	for _, name := range slices.Sorted(maps.Keys(w)) {
		f, ok := g[name]
		switch {
		case !ok:
			complain("%s is not there", name)
		case f != w[name]:
			complain("%s is\n%+v; want\n%+v", name, f, w[name])
		}
		count(counts, name, w[name])
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if _, ok := w[name]; !ok {
			complain("%s is there, but should not be", name)
		}
	}
	t.Logf("%d files are the same, of them %v", len(w)-wrong, counts)
}

func count(counts map[string]int, name string, f file) {
	if f.xattrs != "" {
		counts["with attributes"]++
	}
	if f.same != "" && f.same != name {
		counts["further names"]++
	}
	switch f.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		counts["directories"]++
	case unix.S_IFLNK:
		counts["links"]++
	case unix.S_IFREG:
		counts["regular"]++
	default:
		counts["other types"]++
	}
}
