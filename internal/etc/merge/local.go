package merge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// localPayload begins the Payload of a file whose content is in a directory on
// disk. What follows tells which directory that is, if there are several, and
// after colons the file's identity and its paths there, separated by NUL.
const localPayload = "local"

// maxPaths is up to what length a Payload takes further paths.
const maxPaths = 4096

// oPath is O_PATH of open(2): just the place, without touching what is there.
const oPath = 0o10000000

// ErrGone is the error of an Opener for a file that has disappeared since it was
// read, or is no regular file any more.
var ErrGone = errors.New("it has disappeared or was replaced while it was read")

// A goneError is an ErrGone that tells what is there now, nil for nothing.
type goneError struct {
	path string
	now  *tree.Node
}

func (e *goneError) Error() string { return e.path + ": " + ErrGone.Error() }
func (e *goneError) Unwrap() error { return ErrGone }

// LocalOpener returns an Opener for the trees that come from what ReadDir has
// made of dir; other nodes are left to images. The error is ErrGone for what is
// not there any more.
func LocalOpener(dir *os.File, images Opener) Opener { return localOpener(dir, "", images) }

func localOpener(dir *os.File, tag string, images Opener) Opener {
	return func(n *tree.Node) (io.ReadCloser, error) {
		payload, ok := strings.CutPrefix(n.Payload(), localPayload+tag+":")
		if ok {
			id, paths, _ := strings.Cut(payload, ":")
			return openLocal(dir, id, strings.Split(paths, "\x00"))
		}
		if images == nil {
			return nil, fmt.Errorf("object %s is not in %s", n.Digest, dir.Name())
		}
		return images(n)
	}
}

// fileID tells a file from one that takes its place, and from itself with
// another mode or owner.
func fileID(s sys.Stat) string {
	return fmt.Sprintf("%d.%d.%d.%o.%d.%d", s.DevMajor, s.DevMinor, s.Inode, s.Mode, s.UID, s.GID)
}

// addPath notes one more path at which the content of n can be found.
func addPath(n *tree.Node, path string) {
	if p := n.Payload(); p != "" && len(p) < maxPaths {
		n.SetPayload(p + "\x00" + strings.TrimPrefix(path, "/"))
	}
}

// A localFile is the content of a file in a directory on disk.
type localFile struct {
	file *os.File
	// now has its metadata if they are not those that were read: a new content
	// is not to be had with permissions that were meant for an old one.
	now *tree.Node
}

func (f localFile) Read(p []byte) (int, error) { return f.file.Read(p) }
func (f localFile) Close() error               { return f.file.Close() }

// openLocal opens the file with an identity at one of its paths or, if there is
// none any more, what has taken its place.
func openLocal(dir *os.File, id string, paths []string) (f io.ReadCloser, err error) {
	for _, any := range []bool{false, true} {
		for _, path := range paths {
			f, err = openAt(dir, path, id, any)
			if !errors.Is(err, ErrGone) {
				return f, err
			}
		}
	}
	return nil, err
}

// openAt opens a regular file: the one with the identity, or any.
func openAt(dir *os.File, path, id string, any bool) (io.ReadCloser, error) {
	place, err := sys.Openat2(dir, path, oPath|syscall.O_NOFOLLOW, 0, sys.ResolveBeneath|sys.ResolveNoSymlinks)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil, &goneError{path, nil}
	}
	if err != nil {
		return nil, err
	}
	defer place.Close()
	stat, err := sys.Statx(place, "")
	if err != nil {
		return nil, err
	}
	var now *tree.Node
	if fileID(stat) != id {
		if now, err = instead(place, stat); err != nil {
			return nil, err
		}
		if !any || now == nil || !now.IsRegular() {
			return nil, &goneError{path, now}
		}
	}
	f, err := sys.Reopen(place, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return localFile{f, now}, nil
}

// instead returns what has taken the place of a file, nil for what counts as
// nothing: a whiteout, a file whose content is elsewhere, and a directory, which
// would have to be read and merged.
func instead(place *os.File, stat sys.Stat) (*tree.Node, error) {
	n, err := (&dirReader{}).node(place, "", stat)
	if err != nil {
		return nil, err
	}
	if _, ok := n.Xattr(metacopyAttr); ok || n.IsDir() || n.IsWhiteout() {
		return nil, nil
	}
	if n.IsSymlink() {
		n.Target, err = sys.Readlink(place, "")
	}
	return withoutNotes(n), err
}
