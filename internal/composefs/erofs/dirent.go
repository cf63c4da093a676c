package erofs

import (
	"encoding/binary"
	"slices"
	"strings"
)

// A dirent is an entry of a directory in the form in which it is written: with . and .. among
// the others.
type dirent struct {
	name  string
	inode int32
}

// dirents returns the entries of directory i, sorted by name. They are valid
// until dirents is called again.
func (img *image) dirents(i int) []dirent {
	n := &img.inodes[i]
	entries := n.node.Entries()
	list := img.names[:0]
	for k, e := range entries {
		list = append(list, dirent{e.Name, img.children[int(n.children)+k]})
	}
	for _, own := range []dirent{{".", int32(i)}, {"..", n.parent}} {
		at, _ := slices.BinarySearchFunc(list, own.name, func(d dirent, name string) int {
			return strings.Compare(d.name, name)
		})
		list = slices.Insert(list, at, own)
	}
	img.names = list
	return list
}

// firstBlock returns how many of the entries go into one block, and how many
// bytes they take.
func firstBlock(list []dirent) (count, size int) {
	for _, d := range list {
		if size+direntSize+len(d.name) > blockSize {
			break
		}
		size += direntSize + len(d.name)
		count++
	}
	return count, size
}

// measureDirents returns how many blocks the entries take, and how many bytes
// of the rest go behind the inode.
func measureDirents(list []dirent) (blocks, tail int) {
	for len(list) > 0 {
		count, size := firstBlock(list)
		list = list[count:]
		if len(list) == 0 && size <= maxTail {
			return blocks, size
		}
		blocks++
	}
	return blocks, 0
}

// appendDirents appends the entries of one block: their headers, then the
// names.
func (img *image) appendDirents(b []byte, list []dirent) []byte {
	nameOffset := direntSize * len(list)
	for _, d := range list {
		child := &img.inodes[d.inode]
		b = binary.LittleEndian.AppendUint64(b, uint64(child.slot))
		b = binary.LittleEndian.AppendUint16(b, uint16(nameOffset))
		b = append(b, fileType(child.fileType()), 0)
		nameOffset += len(d.name)
	}
	for _, d := range list {
		b = append(b, d.name...)
	}
	return b
}
