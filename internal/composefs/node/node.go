// Package node reads one file of a directory into a tree.Node. The engines that read
// directories share it: scan, which stores contents in a repository, and etc/merge, whose
// programs have no room for one.
package node

import (
	"errors"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Read returns a node with the metadata and the extended attributes of name in dir, or of
// dir itself if name is "". stat is what sys.Statx has returned for it. Content, target
// and children are left to the caller. An attribute that is removed in the meantime is
// left out.
func Read(dir *os.File, name string, stat sys.Stat) (*tree.Node, error) {
	n := Of(stat)
	attrs, err := sys.Listxattr(dir, name)
	if err != nil {
		return nil, err
	}
	for _, attr := range attrs {
		value, err := sys.Getxattr(dir, name, attr)
		if errors.Is(err, sys.ErrNoXattr) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n.SetXattr(attr, string(value))
	}
	return n, nil
}

// Of is Read without extended attributes.
func Of(stat sys.Stat) *tree.Node {
	n := &tree.Node{
		Mode: stat.Mode, UID: stat.UID, GID: stat.GID, Nlink: stat.Nlink,
		Mtime: tree.Time{Sec: stat.Mtime.Unix(), Nsec: uint32(stat.Mtime.Nanosecond())},
	}
	if n.IsDevice() {
		n.Rdev = uint32(stat.Rdev)
	}
	return n
}
