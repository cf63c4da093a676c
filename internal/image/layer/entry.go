package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// Limits on what comes before the content of an entry. Those of tar-core, which
// composefs-rs uses, are the same or larger.
const (
	maxExtensions = 1 << 20 // bytes of extended headers of one entry
	maxHead       = 4 << 20 // bytes of headers, with global ones, of one entry
	maxOdd        = 1 << 20 // bytes after an entry that should have none
)

// maxInline is the size of the largest file whose content is kept in the image.
const maxInline = 64

// An entry is an entry of a tar archive.
type entry struct {
	name, link string // as they are there
	typeflag   byte
	mode       int64
	uid, gid   int64
	mtime      tree.Time
	size       int64   // of the content that follows, without padding
	sparse     *sparse // nil if that is all of the file
	xattrs     []tree.Xattr

	path   []string   // name, in components; none for the root directory
	target []string   // link, of a hard link
	node   *tree.Node // what it is, without content; nil for a hard link
}

// padding is the number of bytes that follow size bytes of content.
func padding(size int64) int { return int(-size & (blockSize - 1)) }

// external reports whether the content is kept as an object. composefs-rs decides
// by the type alone, whatever becomes of the entry.
func (e *entry) external() bool { return holdsFile(e.typeflag) && e.size > maxInline }

// large reports whether the content is an object of the tree.
func (e *entry) large() bool { return e.isFile() && e.node.Size > maxInline }

// isFile reports whether the content is that of a file of the tree.
func (e *entry) isFile() bool { return e.node != nil && e.node.IsRegular() }

// A source gives the bytes of an archive that are not the content of a large
// file.
type source interface {
	// next returns the next n bytes, which stay valid until the next call. The
	// error is io.EOF if there are none left, and io.ErrUnexpectedEOF if there
	// are some but fewer.
	next(n int) ([]byte, error)
}

// A parser reads the headers of an archive.
type parser struct {
	src  source
	head []byte // all bytes that the last call of next read
}

// next returns the next entry. Its content is to be read from the source before
// the next call. The error is io.EOF at the end of the archive: where its last
// block is, or two blocks of zeros are; what follows these is left in the source.
func (p *parser) next() (*entry, error) {
	p.head = p.head[:0]
	var ext extensions
	for {
		block, err := p.block()
		if err == io.EOF && !ext.empty() {
			err = errors.New("extended header without an entry")
		}
		if err != nil {
			return nil, err
		}
		h := header(bytes.Clone(block))
		if err := h.checkSum(); err != nil {
			return nil, err
		}
		if more, err := p.extension(h, &ext); err != nil {
			return nil, err
		} else if more {
			continue
		}
		e, err := newEntry(h, &ext)
		if err == nil && e.typeflag == 'S' {
			err = p.oldSparse(h, e)
		}
		if err == nil {
			err = e.build(h)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", quote(e.name), err)
		}
		return e, nil
	}
}

// block returns the next header block. One block of zeros before it is
// skipped, two are the end.
func (p *parser) block() ([]byte, error) {
	block, err := p.read(blockSize)
	if err != nil || !isZero(block) {
		return block, err
	}
	block, err = p.read(blockSize)
	if err == nil && isZero(block) {
		err = io.EOF
	}
	return block, err
}

// read returns the next n bytes and keeps them in head.
func (p *parser) read(n int) ([]byte, error) {
	if len(p.head)+n > maxHead {
		return nil, fmt.Errorf("more than %d bytes of headers for one entry", maxHead)
	}
	data, err := p.src.next(n)
	if err == io.ErrUnexpectedEOF || err == io.EOF && n != blockSize {
		err = errTruncated
	}
	p.head = append(p.head, data...)
	return data, err
}

var errTruncated = errors.New("archive is truncated")

// extension reads what follows h into ext, if h is an extended header.
func (p *parser) extension(h header, ext *extensions) (bool, error) {
	typeflag := h.typeflag()
	switch typeflag {
	case 'g':
		// A global header applies to all entries after it, see checkGlobal.
		if !ext.empty() {
			return false, errors.New("global header between an extended header and its entry")
		}
	case 'x', 'L', 'K':
		if !h.isUstar() && !h.isGNU() {
			return false, nil
		}
	default:
		return false, nil
	}
	size, err := h.size()
	if err != nil {
		return false, err
	}
	if size > maxExtensions-ext.size {
		return false, fmt.Errorf("extended header of %d bytes", size)
	}
	data, err := p.read(int(size) + padding(size))
	if err != nil {
		return true, endsEarly(err)
	}
	if typeflag == 'g' {
		return true, checkGlobal(string(data[:size]))
	}
	ext.size += size
	ext.set(typeflag, string(data[:size]))
	return true, nil
}

// newEntry returns the entry that h and the extended headers before it make, so far as
// to name it in an error.
func newEntry(h header, ext *extensions) (*entry, error) {
	e := &entry{name: h.name(), link: h.linkName(), typeflag: h.typeflag()}
	if prefix := h.prefix(); prefix != "" {
		e.name = prefix + "/" + e.name
	}
	if ext.longName != nil {
		e.name = *ext.longName
	}
	if ext.longLink != nil {
		e.link = *ext.longLink
	}
	err := e.readNumbers(h)
	if err == nil && ext.pax != nil {
		err = e.applyPAX(*ext.pax)
	}
	return e, err
}

func (e *entry) readNumbers(h header) (err error) {
	if e.mode, err = h.mode(); err != nil {
		return err
	}
	if e.uid, err = h.uid(); err != nil {
		return err
	}
	if e.gid, err = h.gid(); err != nil {
		return err
	}
	e.mtime.Sec = h.mtime()
	e.size, err = h.size()
	return err
}

// quote returns a name for an error, where a long one is cut.
func quote(name string) string {
	const long = 100
	if len(name) > long {
		return fmt.Sprintf("%q… (%d bytes)", name[:long], len(name))
	}
	return fmt.Sprintf("%q", name)
}
