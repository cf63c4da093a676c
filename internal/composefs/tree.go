// Package composefs holds the file tree that a composefs image describes: the
// tree itself, its text form (composefs-dump(5)), and the canonical forms that
// make an image's digest the same on every machine.
package composefs

import (
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
)

// File types in Node.Mode, as in inode(7).
const (
	TypeMask    = 0o170000 // S_IFMT
	TypeFIFO    = 0o010000 // S_IFIFO
	TypeChar    = 0o020000 // S_IFCHR
	TypeDir     = 0o040000 // S_IFDIR
	TypeBlock   = 0o060000 // S_IFBLK
	TypeRegular = 0o100000 // S_IFREG
	TypeSymlink = 0o120000 // S_IFLNK
	TypeSocket  = 0o140000 // S_IFSOCK
)

// A Time is a modification time: seconds since the epoch, which may be
// negative, and nanoseconds from 0 to 999999999.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Compare orders times: -1 if t is before u, 0 if they are the same, 1 if
// it is after.
func (t Time) Compare(u Time) int {
	switch {
	case t.Sec != u.Sec && t.Sec < u.Sec, t.Sec == u.Sec && t.Nsec < u.Nsec:
		return -1
	case t == u:
		return 0
	}
	return 1
}

// A Node is one inode of a tree. A file with several names (hard links) is one
// Node entered under each of them. Nodes are not safe for concurrent change.
type Node struct {
	Mode     uint32 // type and permissions, as st_mode
	UID, GID uint32
	Nlink    uint32 // as written in a dump; CountLinks recomputes it
	Rdev     uint32 // of a device: the lower 32 bits of dev_t as glibc packs it
	Mtime    Time

	Size    uint64        // of a regular file, in bytes
	Inline  []byte        // content of a regular file that is kept in the image
	Payload string        // path of the content below the object directory, if it is not the digest's
	Digest  digest.Digest // fs-verity digest of the content kept as an object
	Target  string        // of a symbolic link

	// NoPayload says that there is a Digest, but that the content is not to
	// be found by it. A dump can say so; no image made here does.
	NoPayload bool

	home    *home   // of a file with several names, see Home
	xattrs  []Xattr // sorted by name
	entries []Entry // of a directory, sorted by name
}

// A home is an entry of a directory.
type home struct {
	dir  *Node
	name string
}

// An Xattr is an extended attribute. Value is binary.
type Xattr struct{ Name, Value string }

// An Entry is a name in a directory.
type Entry struct {
	Name string
	Node *Node
}

// Type returns the file type bits of the mode.
func (n *Node) Type() uint32 { return n.Mode & TypeMask }

// IsDir says whether n is a directory.
func (n *Node) IsDir() bool { return n.Type() == TypeDir }

// IsRegular says whether n is a regular file.
func (n *Node) IsRegular() bool { return n.Type() == TypeRegular }

// IsSymlink says whether n is a symbolic link.
func (n *Node) IsSymlink() bool { return n.Type() == TypeSymlink }

// IsWhiteout says whether n is an overlay whiteout: a character device 0:0.
func (n *Node) IsWhiteout() bool { return n.Type() == TypeChar && n.Rdev == 0 }

// Entries returns the names in a directory, sorted by bytes. The caller does
// not change the slice; Set and Remove may.
func (n *Node) Entries() []Entry { return n.entries }

// Entry returns the node called name in the directory n, nil if there is none.
func (n *Node) Entry(name string) *Node {
	if i, ok := n.search(name); ok {
		return n.entries[i].Node
	}
	return nil
}

// Set enters child into the directory n under name, replacing what had it.
func (n *Node) Set(name string, child *Node) {
	// Nearly every source gives names in order.
	if k := len(n.entries); k == 0 || n.entries[k-1].Name < name {
		n.entries = append(n.entries, Entry{name, child})
		return
	}
	i, ok := n.search(name)
	if ok {
		n.entries[i].Node = child
		return
	}
	n.entries = slices.Insert(n.entries, i, Entry{name, child})
}

// Remove takes name out of the directory n and says whether it was there.
func (n *Node) Remove(name string) bool {
	i, ok := n.search(name)
	if ok {
		n.entries = slices.Delete(n.entries, i, i+1)
	}
	return ok
}

// Clear takes all names out of the directory n.
func (n *Node) Clear() { n.entries = nil }

func (n *Node) search(name string) (int, bool) {
	return slices.BinarySearchFunc(n.entries, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
}

// Lookup returns the node at path below the directory n, nil if there is none.
// Slashes at either end do not matter; symbolic links are not followed.
func (n *Node) Lookup(path string) *Node {
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		if n = n.Entry(name); n == nil {
			return nil
		}
	}
	return n
}

// Xattrs returns the extended attributes, sorted by name. The caller does not
// change the slice.
func (n *Node) Xattrs() []Xattr { return n.xattrs }

// Xattr returns the value of an extended attribute and whether n has it.
func (n *Node) Xattr(name string) (string, bool) {
	if i, ok := n.searchXattr(name); ok {
		return n.xattrs[i].Value, true
	}
	return "", false
}

// SetXattr gives n an extended attribute, replacing its value if n has it.
func (n *Node) SetXattr(name, value string) {
	i, ok := n.searchXattr(name)
	if ok {
		n.xattrs[i].Value = value
		return
	}
	n.xattrs = slices.Insert(n.xattrs, i, Xattr{name, value})
}

// KeepXattrs drops the extended attributes whose names keep refuses.
func (n *Node) KeepXattrs(keep func(name string) bool) {
	n.xattrs = slices.DeleteFunc(n.xattrs, func(x Xattr) bool { return !keep(x.Name) })
}

func (n *Node) searchXattr(name string) (int, bool) {
	return slices.BinarySearchFunc(n.xattrs, name, func(x Xattr, name string) int {
		return strings.Compare(x.Name, name)
	})
}

// Home returns which of its names a file with several names has been given by
// SetHome; dir is nil if it was never given one. That name is the one with which
// a dump describes the file, and at whose place mkcomposefs writes its inode.
// Without it, the first name in the order of Walk has that part.
func (n *Node) Home() (dir *Node, name string) {
	if n.home == nil {
		return nil, ""
	}
	return n.home.dir, n.home.name
}

// SetHome says which of its names is the home of n. It has no effect once that
// entry is removed.
func (n *Node) SetHome(dir *Node, name string) { n.home = &home{dir, name} }

// PayloadPath returns where the content of a regular file is, below the object
// directory: Payload, or the path that the digest gives; "" if nothing says it.
func (n *Node) PayloadPath() string {
	if n.Payload != "" || n.NoPayload {
		return n.Payload
	}
	return n.Digest.ObjectPath()
}

// CopyMetadata gives n the mode bits (not the type), owner, time and extended
// attributes of from.
func (n *Node) CopyMetadata(from *Node) {
	n.Mode = n.Mode&TypeMask | from.Mode&^TypeMask
	n.UID, n.GID, n.Mtime = from.UID, from.GID, from.Mtime
	n.xattrs = slices.Clone(from.xattrs)
}

// Clone returns a copy of n with its own attributes and list of names; the
// nodes that these name are shared.
func (n *Node) Clone() *Node {
	c := *n
	c.xattrs, c.entries = slices.Clone(n.xattrs), slices.Clone(n.entries)
	return &c
}

// CountLinks sets Nlink throughout the tree: names that refer to a file, and 2
// plus the number of subdirectories for a directory.
func (n *Node) CountLinks() {
	n.Walk(func(_ string, m *Node) { m.Nlink = 0 })
	n.countLinks()
}

func (n *Node) countLinks() {
	n.Nlink = 2
	for _, e := range n.entries {
		if e.Node.IsDir() {
			n.Nlink++
			e.Node.countLinks()
		} else {
			e.Node.Nlink++
		}
	}
}

// Walk calls visit for n and all below it, directories before their entries,
// these in order. Paths are absolute: "/" for n itself. A file with several
// names is visited under each.
func (n *Node) Walk(visit func(path string, n *Node)) {
	n.walk("/", visit)
}

func (n *Node) walk(path string, visit func(string, *Node)) {
	visit(path, n)
	for _, e := range n.entries {
		e.Node.walk(strings.TrimSuffix(path, "/")+"/"+e.Name, visit)
	}
}

// Objects returns the digests of all contents that are kept as objects, each
// once, in the order of the tree.
func (n *Node) Objects() []digest.Digest {
	var out []digest.Digest
	seen := make(map[digest.Digest]bool)
	n.Walk(func(_ string, m *Node) {
		if !m.Digest.IsZero() && !seen[m.Digest] {
			seen[m.Digest] = true
			out = append(out, m.Digest)
		}
	})
	return out
}
