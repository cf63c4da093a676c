// Package tree holds the file tree that a composefs image describes: the
// tree itself, its text form (composefs-dump(5)), and the canonical forms that
// make an image's digest the same on every machine.
package tree

import (
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
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
// Node entered under each of them. Nodes are not safe for concurrent change, and
// Entries may be one, if it is the first since Set or Remove.
//
// Trees have hundreds of thousands of nodes: the fields are in the order that
// wastes nothing, and what few files have is elsewhere.
type Node struct {
	Mode     uint32 // type and permissions, as st_mode
	UID, GID uint32
	Nlink    uint32 // as written in a dump; CountLinks recomputes it
	Mtime    Time

	Size   uint64 // of a regular file, in bytes
	Inline []byte // content of a regular file that is kept in the image
	Target string // of a symbolic link

	xattrs *[]Xattr // sorted by name; never changed, since nodes share them
	rare   *rare    // nil if there is nothing in it

	Rdev   uint32        // of a device: the lower 32 bits of dev_t as glibc packs it
	Digest digest.Digest // fs-verity digest of the content kept as an object

	// NoPayload says that there is a Digest, but that the content is not to
	// be found by it. A dump can say so; no image made here does.
	NoPayload bool

	entered bool // into a directory
	linked  bool // entered more than once
}

// rare is what few nodes have.
type rare struct {
	entries []Entry // of a directory, sorted by name but for what is late
	home    home    // of a file with several names, see Home
	payload string  // see Payload

	// Of a large directory: the indexes of the names at the end of entries that
	// came late, and whether there are entries without a node, which were removed.
	late map[string]int
	gaps bool
}

// largeDir is the number of names from which inserting each in its place would take too
// long: an image can have its names in an order that moves all others each time.
const largeDir = 1024

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

// IsDir reports whether n is a directory.
func (n *Node) IsDir() bool { return n.Type() == TypeDir }

// IsRegular reports whether n is a regular file.
func (n *Node) IsRegular() bool { return n.Type() == TypeRegular }

// IsSymlink reports whether n is a symbolic link.
func (n *Node) IsSymlink() bool { return n.Type() == TypeSymlink }

// IsDevice reports whether n is a character or block device.
func (n *Node) IsDevice() bool { return n.Type() == TypeChar || n.Type() == TypeBlock }

// Device returns the numbers of a device.
func (n *Node) Device() (major, minor uint32) {
	return n.Rdev >> 8 & 0xfff, n.Rdev&0xff | n.Rdev>>12&0xfff00
}

// IsWhiteout reports whether n is an overlay whiteout: a character device 0:0.
func (n *Node) IsWhiteout() bool { return n.Type() == TypeChar && n.Rdev == 0 }

// Entries returns the names in a directory, sorted by bytes. The caller does
// not change the slice; Set and Remove may.
func (n *Node) Entries() []Entry {
	if n.rare == nil {
		return nil
	}
	if n.rare.late != nil || n.rare.gaps {
		n.rare.settle()
	}
	return n.rare.entries
}

// settle brings the entries into order.
func (r *rare) settle() {
	early, late := r.early(), slices.Sorted(maps.Keys(r.late))
	all := make([]Entry, 0, len(r.entries))
	for len(early)+len(late) > 0 {
		var e Entry
		if len(early) == 0 || len(late) > 0 && late[0] < early[0].Name {
			e, late = r.entries[r.late[late[0]]], late[1:]
		} else {
			e, early = early[0], early[1:]
		}
		if e.Node != nil {
			all = append(all, e)
		}
	}
	r.entries, r.late, r.gaps = all, nil, false
}

// early returns the entries that are in order: all but those that came late.
func (r *rare) early() []Entry { return r.entries[:len(r.entries)-len(r.late)] }

// makeRare returns what n has that few have, to change it.
func (n *Node) makeRare() *rare {
	if n.rare == nil {
		n.rare = new(rare)
	}
	return n.rare
}

// Entry returns the node called name in the directory n, nil if there is none.
func (n *Node) Entry(name string) *Node {
	if n.rare == nil {
		return nil
	}
	if i, ok := n.rare.search(name); ok {
		return n.rare.entries[i].Node
	}
	return nil
}

// Set enters child into the directory n under name, replacing what had it.
func (n *Node) Set(name string, child *Node) {
	child.linked = child.entered
	child.entered = true
	r := n.makeRare()
	i, ok := r.search(name)
	switch k := len(r.entries); {
	case ok:
		r.entries[i].Node = child
	case r.late == nil && (i == k || k < largeDir):
		r.entries = slices.Insert(r.entries, i, Entry{name, child})
	default:
		if r.late == nil {
			r.late = make(map[string]int)
		}
		r.late[name] = k
		r.entries = append(r.entries, Entry{name, child})
	}
}

// Move is Set for a child that is in a directory which is given up, so that it gets no
// second name by that.
func (n *Node) Move(name string, child *Node) {
	linked := child.linked
	n.Set(name, child)
	child.linked = linked
}

// Linked reports whether n may have several names. If not, it has one at most in
// any tree that does not hold a directory together with its Clone.
func (n *Node) Linked() bool { return n.linked }

// Remove takes name out of the directory n and reports whether it was there.
func (n *Node) Remove(name string) bool {
	if n.Entry(name) == nil {
		return false
	}
	r := n.rare
	i, _ := r.search(name)
	if r.late == nil && len(r.entries) < largeDir {
		r.entries = slices.Delete(r.entries, i, i+1)
	} else {
		r.entries[i].Node, r.gaps = nil, true
	}
	return true
}

// Clear takes all names out of the directory n.
func (n *Node) Clear() {
	if r := n.rare; r != nil {
		r.entries, r.late, r.gaps = nil, nil, false
	}
}

// search returns the index of the entry with the name, or of its place among those
// that are in order. An entry that was removed may still be found.
func (r *rare) search(name string) (int, bool) {
	early := r.early()
	// Nearly every source gives names in order.
	if k := len(early); r.late == nil && (k == 0 || early[k-1].Name < name) {
		return k, false
	}
	i, ok := slices.BinarySearchFunc(early, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if k, late := r.late[name]; late {
		return k, true
	}
	return i, ok
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
func (n *Node) Xattrs() []Xattr {
	if n.xattrs == nil {
		return nil
	}
	return *n.xattrs
}

// Xattr returns the value of an extended attribute and whether n has it.
func (n *Node) Xattr(name string) (string, bool) {
	if i, ok := n.searchXattr(name); ok {
		return (*n.xattrs)[i].Value, true
	}
	return "", false
}

// SetXattr gives n an extended attribute, replacing its value if n has it.
func (n *Node) SetXattr(name, value string) {
	i, ok := n.searchXattr(name)
	x := Xattr{name, value}
	switch old := n.Xattrs(); {
	case !ok:
		list := make([]Xattr, 0, len(old)+1)
		n.setXattrs(append(append(append(list, old[:i]...), x), old[i:]...))
	case old[i] != x:
		list := slices.Clone(old)
		list[i] = x
		n.setXattrs(list)
	}
}

// SetXattrs gives n the extended attributes in list, and no others. Of several
// with one name the last counts. The list is n's from then on.
func (n *Node) SetXattrs(list []Xattr) { n.setXattrs(sortLastWins(list)) }

// KeepXattrs drops the extended attributes whose names keep refuses.
func (n *Node) KeepXattrs(keep func(name string) bool) {
	dropped := func(x Xattr) bool { return !keep(x.Name) }
	if old := n.Xattrs(); slices.ContainsFunc(old, dropped) {
		n.setXattrs(slices.DeleteFunc(slices.Clone(old), dropped))
	}
}

// setXattrs gives n a list of its own, which is sorted.
func (n *Node) setXattrs(list []Xattr) {
	n.xattrs = nil
	if len(list) > 0 {
		n.xattrs = &list
	}
}

func (n *Node) searchXattr(name string) (int, bool) {
	return slices.BinarySearchFunc(n.Xattrs(), name, func(x Xattr, name string) int {
		return strings.Compare(x.Name, name)
	})
}

// Home returns which of its names a file with several names has been given by
// SetHome; dir is nil if it was never given one. That name is the one with which
// a dump describes the file, and at whose place mkcomposefs writes its inode.
// Without it, the first name in the order of Walk has that part.
func (n *Node) Home() (dir *Node, name string) {
	if n.rare == nil {
		return nil, ""
	}
	return n.rare.home.dir, n.rare.home.name
}

// SetHome says which of its names is the home of n. It has no effect once that
// entry is removed.
func (n *Node) SetHome(dir *Node, name string) { n.makeRare().home = home{dir, name} }

// Payload returns the path of the content of a regular file below the object
// directory, if that is not the path that the digest gives.
func (n *Node) Payload() string {
	if n.rare == nil {
		return ""
	}
	return n.rare.payload
}

// SetPayload sets what Payload returns.
func (n *Node) SetPayload(path string) {
	if path != n.Payload() {
		n.makeRare().payload = path
	}
}

// PayloadPath returns where the content of a regular file is, below the object
// directory: Payload, or the path that the digest gives; "" if nothing says it.
func (n *Node) PayloadPath() string {
	if p := n.Payload(); p != "" || n.NoPayload {
		return p
	}
	return n.Digest.ObjectPath()
}

// CopyMetadata gives n the mode bits (not the type), owner, time and extended
// attributes of from.
func (n *Node) CopyMetadata(from *Node) {
	n.Mode = n.Mode&TypeMask | from.Mode&^TypeMask
	n.UID, n.GID, n.Mtime = from.UID, from.GID, from.Mtime
	n.xattrs = from.xattrs
}

// Clone returns a copy of n that is in no directory, with its own attributes and
// list of names; the nodes that these name are shared.
func (n *Node) Clone() *Node {
	c := *n
	c.entered, c.linked = false, false
	if n.rare != nil {
		entries := slices.Clone(n.Entries())
		r := *n.rare
		r.entries = entries
		c.rare = &r
	}
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
	for _, e := range n.Entries() {
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
	for _, e := range n.Entries() {
		e.Node.walk(strings.TrimSuffix(path, "/")+"/"+e.Name, visit)
	}
}

// Objects returns the digests of all contents that are kept as objects, each
// once, in the order of the tree.
func (n *Node) Objects() []digest.Digest {
	var out []digest.Digest
	seen := make(digest.Set)
	n.Walk(func(_ string, m *Node) {
		if !m.Digest.IsZero() && !seen.Has(m.Digest) {
			seen.Add(m.Digest)
			out = append(out, m.Digest)
		}
	})
	return out
}
