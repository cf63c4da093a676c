package erofs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// EachObject calls visit for each object that a composefs image names, for some
// more than once. It makes no tree of the image: what it remembers is a
// sixteenth of the image's size at most. It finds all that the kernel finds, but
// not all that is wrong: that takes Read.
func EachObject(ctx context.Context, image *os.File, visit func(digest.Digest)) error {
	info, err := image.Stat()
	if err != nil {
		return err
	}
	return eachObject(ctx, image, info.Size(), visit)
}

func eachObject(ctx context.Context, image io.ReaderAt, size int64, visit func(digest.Digest)) error {
	w := objectWalk{reader: newReader(image, size), visit: visit}
	if err := w.walk(ctx); err != nil {
		return fmt.Errorf("cannot read the objects of an image: %w", err)
	}
	return nil
}

// An objectWalk goes through the inodes of an image, each once.
type objectWalk struct {
	reader
	visit  func(digest.Digest)
	inodes bitset   // seen, by number
	attrs  bitset   // shared ones seen, by their place in words
	dirs   []uint64 // inodes of directories that were found
}

func (w *objectWalk) walk(ctx context.Context) error {
	root, err := w.readStart()
	if err != nil {
		return err
	}
	w.inodes, w.attrs = newBitset(w.src.size/slotSize), newBitset(w.src.size/4)
	if err := w.inode(root); err != nil {
		return err
	}
	for i := 0; i < len(w.dirs); i++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// Through the window of what follows it: the inodes are far ahead.
		raw, err := w.readHeader(windowTails, w.dirs[i])
		if err != nil {
			return err
		}
		if err := w.eachDirent(raw, w.entry); err != nil {
			return err
		}
	}
	return nil
}

func (w *objectWalk) entry(name string, number uint64, _ uint8) error {
	if name == "." || name == ".." {
		return nil
	}
	return w.inode(number)
}

func (w *objectWalk) inode(number uint64) error {
	raw, err := w.readHeader(windowInodes, number)
	if err != nil || !w.inodes.add(number) {
		return err
	}
	if raw.mode&tree.TypeMask == tree.TypeDir {
		w.dirs = append(w.dirs, number)
	}
	if raw.attrsSize == 0 {
		return nil
	}
	if err := w.readAttrs(&raw); err != nil {
		return fmt.Errorf("extended attributes: %w", err)
	}
	return nil
}

func (w *objectWalk) readAttrs(raw *rawInode) error {
	if err := w.spend(raw.attrsSize); err != nil {
		return err
	}
	body, err := w.src.at(windowInodes, raw.attrs, raw.attrsSize)
	if err != nil {
		return err
	}
	shared := 4 * int(body[4])
	rest := body[xattrBodySize:]
	if len(rest) < shared {
		return fmt.Errorf("%d shared ones in %d bytes", shared/4, len(body))
	}
	for ; shared > 0; shared -= 4 {
		if err := w.sharedAttr(binary.LittleEndian.Uint32(rest)); err != nil {
			return err
		}
		rest = rest[4:]
	}
	for len(rest) > 0 {
		if err := w.attr(rest); err != nil {
			return err
		}
		rest = rest[attrSize(rest):]
	}
	return nil
}

func (w *objectWalk) sharedAttr(number uint32) error {
	offset := w.attrBase + 4*uint64(number)
	b, err := w.src.at(windowShared, offset, xattrHeaderSize)
	if err != nil || !w.attrs.add(offset/4) {
		return err
	}
	size := attrSize(b)
	if err := w.spend(size); err != nil {
		return err
	}
	if b, err = w.src.at(windowShared, offset, size); err != nil {
		return err
	}
	return w.attr(b)
}

// attr visits the object that the attribute at the beginning of b names.
func (w *objectWalk) attr(b []byte) error {
	if len(b) < xattrHeaderSize || attrSize(b) > uint64(len(b)) {
		return errAttrEnd
	}
	prefix, err := prefixOf(b[1])
	if err != nil {
		return err
	}
	nameEnd := xattrHeaderSize + int(b[0])
	suffix, ok := strings.CutPrefix(overlayMetacopy, prefix)
	if !ok || string(b[xattrHeaderSize:nameEnd]) != suffix {
		return nil
	}
	d, err := parseMetacopy(string(b[nameEnd : nameEnd+int(binary.LittleEndian.Uint16(b[2:]))]))
	if err == nil && !d.IsZero() {
		w.visit(d)
	}
	return err
}

// A bitset is a set of numbers.
type bitset []uint64

// newBitset returns an empty set for numbers up to n.
func newBitset(n uint64) bitset { return make(bitset, n/64+1) }

// add puts i into the set and reports whether that is new.
func (s bitset) add(i uint64) bool {
	word, bit := &s[i/64], uint64(1)<<(i%64)
	added := *word&bit == 0
	*word |= bit
	return added
}
