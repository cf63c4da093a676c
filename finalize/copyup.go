package finalize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// completeAttr marks a directory below the shared /var that has all that the
// image had in it when it was first used.
const completeAttr = "trusted.sysupdate-image.passthrough"

// CopyUp readies directories of /var to be mounted from the overlay's upper
// directory: it makes them, and has the overlay copy into the upper directory
// what the image has in them. That is done once for each directory; what later
// images have in it does not show, as with a /var that is no overlay. After a
// crash the copying goes on where it was. What goes wrong with one directory does not
// keep the others from being ready.
func CopyUp(m Machine, dirs []string) error {
	physical, err := m.root.OpenRoot(strings.TrimPrefix(deployment.SysrootDir, "/"))
	if err != nil {
		return err
	}
	defer physical.Close()
	for _, dir := range dirs {
		err = errors.Join(err, m.ready(physical, dir))
	}
	return err
}

// ready readies one directory.
func (m Machine) ready(root *os.Root, dir string) error {
	below, ok := strings.CutPrefix(path.Clean(dir), "/var/")
	if !ok {
		return fmt.Errorf("cannot prepare %s: it is not below /var", dir)
	}
	if isComplete(root, path.Join(deployment.SharedVar, below)) {
		return nil
	}
	if err := m.copyUp("var/" + below); err != nil {
		return fmt.Errorf("cannot prepare %s: %w", dir, err)
	}
	m.logf(journal.Info, "%s is ready to be passed through", dir)
	return nil
}

func isComplete(root *os.Root, name string) bool {
	dir, err := root.Open(name)
	if err != nil {
		return false
	}
	defer dir.Close()
	_, err = sys.Getxattr(dir, "", completeAttr)
	return err == nil
}

func (m Machine) copyUp(name string) error {
	if err := m.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	dir, err := m.root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := touchTree(dir); err != nil {
		return err
	}
	if err := sys.Syncfs(dir); err != nil {
		return err
	}
	if err := sys.Setxattr(dir, "", completeAttr, []byte("1")); err != nil {
		return err
	}
	return sys.Syncfs(dir)
}

// touchTree gives everything in dir, and dir itself, the modification time that
// it has. An overlay copies up what is changed, even if nothing changes; other
// ways to do so clear setuid bits or do not work on symbolic links.
func touchTree(dir *os.File) error {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = touchBelow(dir, e.Name())
		} else {
			err = touch(dir, e.Name())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may go meanwhile
			return err
		}
	}
	return touch(dir, ".")
}

func touchBelow(dir *os.File, name string) error {
	sub, err := sys.Openat(dir, name, syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer sub.Close()
	return touchTree(sub)
}

func touch(dir *os.File, name string) error {
	st, err := sys.Statx(dir, name)
	if err != nil {
		return err
	}
	return sys.Utimensat(dir, name, st.Mtime)
}
