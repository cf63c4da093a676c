// Package inits knows which program an initramfs starts in the root that it has prepared.
package inits

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// defaults are the programs to start where the kernel command line names none.
var defaults = []string{"/usr/lib/systemd/systemd", "/sbin/init"}

// Candidates returns the absolute paths of the programs to start, of which the first that is
// there counts: the one on a kernel command line, or the usual ones.
func Candidates(cmdline kcmdline.Cmdline) []string {
	if name, ok := cmdline.Last("init"); ok && name != "" {
		return []string{name}
	}
	return slices.Clone(defaults)
}

// Find returns the program to start in the new root at dir: the one on the kernel command
// line, or the first of the usual ones.
func Find(dir string, cmdline kcmdline.Cmdline) (string, error) {
	root, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	var why []string
	for _, name := range Candidates(cmdline) {
		err := executable(root, name)
		if err == nil {
			return name, nil
		}
		why = append(why, err.Error())
	}
	return "", errors.New("the image has no program to start: " + strings.Join(why, " and "))
}

// executable returns an error unless name is a program in root.
func executable(root *os.File, name string) error {
	if !path.IsAbs(name) {
		return fmt.Errorf("init=%s is not an absolute path", name)
	}
	f, err := sys.Openat2(root, name, os.O_RDONLY, 0, sys.ResolveInRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s", name)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		err = fmt.Errorf("%s is not a program", name)
	}
	return err
}
