package layer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// build makes the path and the node of e, and refuses what no tree can hold.
func (e *entry) build(h header) (err error) {
	if e.name == "" {
		return errors.New("no name")
	}
	if e.path, err = splitPath(e.name); err != nil {
		return err
	}
	if e.size > maxOdd && !holdsFile(e.typeflag) {
		return fmt.Errorf("%d bytes after an entry that is not a regular file", e.size)
	}
	if len(e.path) > 0 && isWhiteout(e.path[len(e.path)-1]) {
		return nil // of any type, and nothing else about it counts
	}
	if e.typeflag == '1' {
		if e.target, err = splitPath(e.link); err == nil && len(e.target) == 0 {
			err = fmt.Errorf("hard link to %q", e.link)
		}
	} else {
		err = e.buildNode(h)
	}
	if err != nil {
		return err
	}
	if len(e.path) == 0 && (e.node == nil || !e.node.IsDir()) {
		return errors.New("the root must be a directory")
	}
	return nil
}

// maxID is the last user or group that Linux can have: the next one means none.
const maxID = 1<<32 - 2

func (e *entry) buildNode(h header) error {
	kind, err := fileType(e.typeflag)
	if err != nil {
		return err
	}
	if kind == tree.TypeRegular && strings.HasSuffix(e.name, "/") {
		kind = tree.TypeDir // as Seventh Edition's tar has them
	}
	for what, id := range map[string]int64{"uid": e.uid, "gid": e.gid} {
		if id < 0 || id > maxID {
			return fmt.Errorf("%s %d: want 0 to %d", what, id, maxID)
		}
	}
	e.node = &tree.Node{
		Mode:  kind | uint32(e.mode&0o7777),
		UID:   uint32(e.uid),
		GID:   uint32(e.gid),
		Mtime: e.mtime,
	}
	switch kind {
	case tree.TypeRegular:
		e.node.Size = uint64(e.size)
		if e.sparse != nil {
			e.node.Size = uint64(e.sparse.size)
		}
	case tree.TypeSymlink:
		e.node.Target = strings.Clone(e.link)
	case tree.TypeChar, tree.TypeBlock:
		if e.node.Rdev, err = h.device(); err != nil {
			return err
		}
	}
	e.node.SetXattrs(slices.Clip(e.xattrs))
	return e.node.Check()
}

// holdsFile reports whether entries of a type have the content of a file.
func holdsFile(typeflag byte) bool {
	kind, err := fileType(typeflag)
	return err == nil && kind == tree.TypeRegular
}

// fileType returns the type of a file by that of its entry.
func fileType(typeflag byte) (uint32, error) {
	switch typeflag {
	case '0', 0, '7', 'S': // '7' is a contiguous file, 'S' a sparse one
		return tree.TypeRegular, nil
	case '2':
		return tree.TypeSymlink, nil
	case '3':
		return tree.TypeChar, nil
	case '4':
		return tree.TypeBlock, nil
	case '5':
		return tree.TypeDir, nil
	case '6':
		return tree.TypeFIFO, nil
	}
	return 0, fmt.Errorf("entries of type %q are not supported", typeflag)
}

// splitPath splits a path into its components. It is below the root, whether it
// begins with a slash or not, and cannot leave it.
func splitPath(path string) ([]string, error) {
	if len(path) > tree.MaxPath {
		return nil, fmt.Errorf("path of %d bytes: want at most %d", len(path), tree.MaxPath)
	}
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			return nil, fmt.Errorf("path %s has the component \"..\"", quote(path))
		}
		if err := tree.CheckName(name); err != nil {
			return nil, err
		}
		names = append(names, strings.Clone(name))
	}
	return names, nil
}
