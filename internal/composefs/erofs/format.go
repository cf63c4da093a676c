package erofs

import "github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"

// Sizes and places in an image. All numbers are little-endian.
const (
	blockSize = 4096
	blockBits = 12
	slotSize  = 32 // inodes begin at multiples of it; their number is offset / slotSize

	superblockOffset = 1024
	superblockSize   = 128
	firstInode       = superblockOffset + superblockSize // the root's

	compactSize  = 32
	extendedSize = 64
	direntSize   = 12

	xattrBodySize   = 12 // header of an inode's attributes
	xattrHeaderSize = 4  // of one attribute
)

// The header of a composefs image, at offset 0.
const (
	composefsMagic      = 0xd078629a
	composefsHeader     = 1 // its version
	composefsFlagHasACL = 1 // some inode has a POSIX ACL
)

// The superblock.
const (
	erofsMagic       = 0xe0f5e1e2
	compatMtime      = 2
	compatXattrIndex = 4 // the attribute headers have a name filter
)

// Of the format field of an inode: bit 0 says that it is an extended one, the
// others how its data is kept.
const (
	formatExtended = 1

	layoutPlain  = 0 // in whole blocks
	layoutInline = 2 // whole blocks, then the rest behind the inode
	layoutChunk  = 4 // a table of chunks; ours have none

	maxTail      = 2048 // bytes of content or names kept behind an inode
	maxChunkBits = 43   // of the size of a chunk
	maxChunks    = 1024
	chunkFormat2 = 31 // which V2 writes for any size
)

// fileType returns the type that directory entries have for a mode.
func fileType(mode uint32) uint8 {
	switch mode & tree.TypeMask {
	case tree.TypeRegular:
		return 1
	case tree.TypeDir:
		return 2
	case tree.TypeChar:
		return 3
	case tree.TypeBlock:
		return 4
	case tree.TypeFIFO:
		return 5
	case tree.TypeSocket:
		return 6
	case tree.TypeSymlink:
		return 7
	}
	return 0
}

// An xattrPrefix is a beginning of attribute names that is written as a number.
type xattrPrefix struct {
	prefix string
	index  uint8
}

// xattrPrefixes are the beginnings that are written as numbers; the names of
// other attributes are whole, with the number 0.
var xattrPrefixes = []xattrPrefix{
	{"user.", 1},
	{"system.posix_acl_access", indexACLAccess},
	{"system.posix_acl_default", indexACLDefault},
	{"trusted.", indexTrusted},
	{"lustre.", indexLustre},
	{"security.", 6},
}

const (
	indexACLAccess  = 2
	indexACLDefault = 3
	indexTrusted    = 4
	indexLustre     = 5 // written in V2 only
)

// The attributes by which overlayfs finds the content of files, and those that
// stand for whiteouts. See "Nesting overlayfs mounts" in
// Documentation/filesystems/overlayfs.rst.
const (
	overlayPrefix = "trusted.overlay."
	overlayEscape = "trusted.overlay.overlay."

	overlayMetacopy = "trusted.overlay.metacopy"
	overlayRedirect = "trusted.overlay.redirect"
	overlayOpaque   = "trusted.overlay.opaque"

	escapedWhiteout  = "trusted.overlay.overlay.whiteout"
	userWhiteout     = "user.overlay.whiteout"
	escapedWhiteouts = "trusted.overlay.overlay.whiteouts"
	userWhiteouts    = "user.overlay.whiteouts"
	escapedOpaque    = "trusted.overlay.overlay.opaque"
	userOpaque       = "user.overlay.opaque"

	selinuxLabel = "security.selinux"
)

// roundUp returns n or the next multiple of unit, a power of two.
func roundUp[T int | uint64](n, unit T) T {
	return (n + unit - 1) &^ (unit - 1)
}
