package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// readDir reads the entries of a directory and the inodes that they name.
func (rd *reader) readDir(i int) error {
	c := dirCursor{rd: rd, dir: i}
	if err := rd.eachDirent(rd.dirs[i].inode, c.entry); err != nil {
		return err
	}
	if c.own != 2 {
		return errors.New("directory without its own entries, . and .. among the names")
	}
	return nil
}

// A direntVisitor is given an entry of a directory, the number of its inode and
// the type that it says this has.
type direntVisitor func(name string, number uint64, fileTypeOf uint8) error

// eachDirent visits the entries of a directory, . and .. among them.
func (rd *reader) eachDirent(raw rawInode, visit direntVisitor) error {
	if err := rd.spend(raw.size); err != nil {
		return err
	}
	if raw.layout == layoutPlain && raw.size%blockSize != 0 {
		return fmt.Errorf("directory of %d bytes: want whole blocks", raw.size)
	}
	for k := range raw.size / blockSize {
		block, err := rd.src.at(windowBlocks, (uint64(raw.dataField)+k)*blockSize, blockSize)
		if err != nil {
			return err
		}
		if err := eachDirentOf(string(block), visit); err != nil {
			return err
		}
	}
	if raw.size%blockSize == 0 {
		return nil
	}
	tail, err := rd.tail(windowTails, &raw)
	if err != nil {
		return err
	}
	return eachDirentOf(string(tail), visit)
}

// eachDirentOf visits the entries of one block: their headers come first, then
// the names.
func eachDirentOf(b string, visit direntVisitor) error {
	if len(b) < direntSize {
		return errors.New("block of a directory is too short")
	}
	first := nameOffset(b, 0)
	count := first / direntSize
	if count == 0 || first%direntSize != 0 || first > len(b) {
		return fmt.Errorf("block of a directory begins its names at %d", first)
	}
	for k := range count {
		start, end := nameOffset(b, k), len(b)
		if k+1 < count {
			end = nameOffset(b, k+1)
		}
		if start < first || end < start || end > len(b) {
			return errors.New("name of an entry is not within its block")
		}
		name := b[start:end]
		if k+1 == count {
			name = trimPadding(name)
		}
		header := []byte(b[k*direntSize : (k+1)*direntSize])
		if err := visit(name, binary.LittleEndian.Uint64(header), header[10]); err != nil {
			return fmt.Errorf("entry %q: %w", name[:min(len(name), 256)], err)
		}
	}
	return nil
}

func nameOffset(b string, k int) int {
	return int(b[k*direntSize+8]) | int(b[k*direntSize+9])<<8
}

// trimPadding removes the zeros behind the last name of a block.
func trimPadding(name string) string {
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	return name
}

// A dirCursor goes through the entries of one directory.
type dirCursor struct {
	rd   *reader
	dir  int    // in reader.dirs
	last string // name
	own  int    // how many of . and .. were seen
}

// entry reads one entry.
func (c *dirCursor) entry(name string, number uint64, fileTypeOf uint8) error {
	if c.last >= name {
		return fmt.Errorf("it comes after %q: want the names in order", c.last)
	}
	c.last = name
	if name == "." || name == ".." {
		return c.ownEntry(name, number)
	}
	if err := tree.CheckName(name); err != nil {
		return err
	}
	rd := c.rd
	dir := rd.dirs[c.dir]
	length := dir.pathLength + 1 + len(name)
	if length > tree.MaxPath {
		return fmt.Errorf("path of %d bytes: want at most %d", length, tree.MaxPath)
	}
	var below Part
	if rd.part != nil {
		if below = dir.part(name); below == nil {
			dir.node.Set(name, &tree.Node{})
			return nil
		}
	}
	k, err := rd.readInode(number)
	if err != nil {
		return err
	}
	if fileType(k.node.Mode) != fileTypeOf {
		return fmt.Errorf("entry has type %d, its inode mode %o", fileTypeOf, k.node.Mode)
	}
	rd.settle(k, c.dir, name)
	if k.node.IsDir() {
		d := &rd.dirs[len(rd.dirs)-1]
		d.parent, d.name, d.pathLength, d.part = c.dir, name, length, below
	}
	dir.node.Set(name, k.node)
	return nil
}

// ownEntry checks the entries of the directory itself and of its parent.
func (c *dirCursor) ownEntry(name string, number uint64) error {
	dir := c.rd.dirs[c.dir]
	want := dir.inode.number
	if name == ".." {
		want = c.rd.dirs[dir.parent].inode.number
	}
	if number != want {
		return fmt.Errorf("it is inode %d: want %d", number, want)
	}
	c.own++
	return nil
}

// settle decides whether name, the entry of the directory dir that comes next,
// is the home of k. V0 and V1 number the inodes in the order of this walk, each where
// its home is. When the next entries but one after another are names of the same
// file, the image does not tell which is the home: then it is the first in the
// order of tree.Node.Walk.
func (rd *reader) settle(k *known, dir int, name string) {
	entry := len(rd.dirs[dir].node.Entries())
	k.names++
	switch {
	case k.number == rd.next:
		rd.next++
		rd.last = k
	case k.names == 1:
	case k == rd.last && slices.Compare(rd.components(dir, name), rd.components(k.dir, rd.homeName(k))) < 0:
	default:
		return
	}
	k.dir, k.entry = dir, entry
}

func (rd *reader) homeName(k *known) string {
	return rd.dirs[k.dir].node.Entries()[k.entry].Name
}

// components returns the names from the root to an entry of a directory.
func (rd *reader) components(dir int, name string) []string {
	names := []string{name}
	for ; dir > 0; dir = rd.dirs[dir].parent {
		names = append(names, rd.dirs[dir].name)
	}
	slices.Reverse(names)
	return names
}

// setHomes says of files with several names which one is their home.
func (rd *reader) setHomes() {
	if rd.version == V2 || rd.part != nil {
		return // other names may be elsewhere
	}
	for _, k := range rd.inodes {
		if k.names > 1 {
			k.node.SetHome(rd.dirs[k.dir].node, rd.homeName(k))
		}
	}
}
