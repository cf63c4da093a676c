package erofs

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// An image is a tree on its way to becoming an image: its inodes in the order
// in which they are written, with all that makes the image differ from the tree.
type image struct {
	version int
	dialect Dialect
	root    *tree.Node // with the stubs
	stubs   map[*tree.Node]bool
	links   map[*tree.Node]*link // of files with several names

	inodes   []inode
	children []int32 // for each directory the inodes of its entries, in order
	refs     []attrRef
	attrs    attrTable
	hasACL   bool

	buildTime  tree.Time
	inodesEnd  uint64 // where the shared attributes begin
	sharedSize uint64
	blocks     uint64 // of the whole image
	dataStart  uint64 // first data block

	names []dirent // for use by one directory at a time
}

// An inode is one file of the image. There are many: no field is larger than what
// an image can hold.
type inode struct {
	node     *tree.Node
	size     uint64 // as written
	nlink    uint32
	parent   int32
	children int32  // of a directory: where in image.children
	refs     uint32 // where in image.refs
	slot     uint32 // where in the image, in units of slotSize
	block    uint32 // first data block, from dataStart
	blocks   uint32 // data blocks

	mode     uint16 // as written: a whiteout is a regular file
	tail     uint16 // bytes behind the inode
	refCount uint16
	attrs    uint16 // size of the extended attributes, as the header says it
	shared   uint8  // how many of them are kept in the shared table
	layout   uint8
	compact  bool
}

// fileType returns the type bits of the mode.
func (n *inode) fileType() uint32 { return uint32(n.mode) & tree.TypeMask }

// A link is what is known of a file with several names.
type link struct {
	names uint32
	dir   *tree.Node // where its inode is written
	name  string
	inode int32 // -1: not yet
}

// prepare checks the tree and lists its inodes.
func prepare(root *tree.Node, opts Options) (*image, error) {
	c, err := checkTree(root)
	if err != nil {
		return nil, fmt.Errorf("cannot make an image: %w", err)
	}
	img := &image{version: opts.Version, dialect: opts.Dialect, root: root, attrs: newAttrTable(c.objects)}
	switch {
	case opts.Version == Auto && c.whiteout:
		img.version = V1
	case opts.Version == Auto:
		img.version = V0
	case opts.Version < V0 || opts.Version > V2:
		return nil, fmt.Errorf("cannot make an image: no format version %d", opts.Version)
	}
	if img.version == V2 {
		img.dialect = ComposefsRS
	}
	img.inodes = make([]inode, 0, c.inodes+256)
	img.children = make([]int32, 0, c.names+256)
	img.refs = make([]attrRef, 0, c.inodes+2*c.objects)
	img.findLinks(c)
	if img.version == V2 {
		err = img.collectDepthFirst(root, 0)
	} else {
		img.addStubs()
		err = img.collectBreadthFirst(root)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make an image: %w", err)
	}
	return img, nil
}

// A census is what one walk through a tree finds out.
type census struct {
	count    map[*tree.Node]uint32 // names of nodes that may have several
	names    int
	inodes   int
	objects  int // files whose content is an object
	whiteout bool
	path     []byte
}

// checkTree returns an error if the tree has what no image can hold.
func checkTree(root *tree.Node) (*census, error) {
	if !root.IsDir() {
		return nil, errors.New("the root is not a directory")
	}
	c := &census{count: map[*tree.Node]uint32{root: 1}, inodes: 1}
	if err := root.Check(); err != nil {
		return nil, fmt.Errorf("the root: %w", err)
	}
	return c, c.dir(root)
}

func (c *census) dir(dir *tree.Node) error {
	length := len(c.path)
	for _, e := range dir.Entries() {
		c.path = append(append(c.path[:length], '/'), e.Name...)
		if err := c.entry(e); err != nil {
			return fmt.Errorf("%q: %w", c.path[:min(len(c.path), 512)], err)
		}
		if e.Node.IsDir() {
			if err := c.dir(e.Node); err != nil {
				return err
			}
		}
	}
	c.path = c.path[:length]
	return nil
}

func (c *census) entry(e tree.Entry) error {
	if len(c.path) > tree.MaxPath {
		return fmt.Errorf("path of %d bytes: want at most %d", len(c.path), tree.MaxPath)
	}
	if err := tree.CheckName(e.Name); err != nil {
		return err
	}
	c.names++
	if c.again(e.Node) {
		if e.Node.IsDir() {
			return errors.New("the directory has a second name")
		}
		return nil
	}
	c.inodes++
	if !e.Node.Digest.IsZero() {
		c.objects++
	}
	c.whiteout = c.whiteout || e.Node.IsWhiteout()
	if e.Node.Size > maxChunks<<maxChunkBits && e.Node.IsRegular() {
		return fmt.Errorf("size %d: want at most 8 PiB", e.Node.Size)
	}
	return e.Node.Check()
}

// again reports whether n was there already under another name.
func (c *census) again(n *tree.Node) bool {
	if _, seen := c.count[n]; !seen && !n.Linked() {
		return false
	}
	c.count[n]++
	return c.count[n] > 1
}

// findLinks finds where the inodes of files with several names are written.
func (img *image) findLinks(c *census) {
	img.links = make(map[*tree.Node]*link)
	for n, names := range c.count {
		if names > 1 {
			img.links[n] = &link{names: names, inode: -1}
		}
	}
	if len(img.links) > 0 {
		img.findHomes(img.root)
	}
}

func (img *image) findHomes(dir *tree.Node) {
	for _, e := range dir.Entries() {
		if e.Node.IsDir() {
			img.findHomes(e.Node)
			continue
		}
		l := img.links[e.Node]
		if l == nil {
			continue
		}
		home, name := e.Node.Home()
		if l.dir == nil || img.dialect == Mkcomposefs && home == dir && name == e.Name {
			l.dir, l.name = dir, e.Name
		}
	}
}

// addStubs gives the root a whiteout for each name of a directory in the
// object store, which is the lowest layer: it does not show through.
func (img *image) addStubs() {
	root := img.root.Clone()
	stubs := make([]tree.Node, 256)
	label, labelled := root.Xattr(selinuxLabel)
	img.stubs = make(map[*tree.Node]bool, len(stubs))
	for i := range stubs {
		name := fmt.Sprintf("%02x", i)
		if own := root.Entry(name); own != nil {
			if img.dialect == ComposefsRS && own.IsWhiteout() && looksLikeStub(own, root) {
				img.stubs[own] = true
			}
			continue
		}
		s := &stubs[i]
		s.Mode, s.Nlink = tree.TypeChar|0o644, 1
		s.UID, s.GID, s.Mtime = root.UID, root.GID, root.Mtime
		if labelled {
			s.SetXattr(selinuxLabel, label)
		}
		img.stubs[s] = true
		root.Set(name, s)
	}
	img.root = root
}

// looksLikeStub reports whether a whiteout is just as addStubs would make it.
func looksLikeStub(n, root *tree.Node) bool {
	if n.Mode != tree.TypeChar|0o644 || n.UID != root.UID || n.GID != root.GID || n.Mtime != root.Mtime {
		return false
	}
	label, ok := root.Xattr(selinuxLabel)
	if !ok {
		return len(n.Xattrs()) == 0
	}
	own, _ := n.Xattr(selinuxLabel)
	return len(n.Xattrs()) == 1 && own == label
}
