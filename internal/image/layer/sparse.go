package layer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A sparse says what is in a file of which the archive has no holes, see "Storing
// Sparse Files" in GNU tar's manual.
type sparse struct {
	size      int64 // of the file
	list      []segment
	inContent bool // the map is before the content (version 1.0)
}

// A segment is a part of a file that is no hole.
type segment struct{ offset, size int64 }

var errSparse = errors.New("malformed map of a sparse file")

// holesFree is how large holes may be whatever there is between them.
const holesFree = 1 << 30

// countSparse adds up the sizes of sparse files. A hole takes time for its digest, and
// next to nothing of a layer.
func (m *Merger) countSparse(e *entry) error {
	s := e.sparse
	if s == nil {
		return nil
	}
	if s.size > limits.Sparse.Value-m.expanded {
		return limits.Sparse.Exceeded()
	}
	m.expanded += s.size
	m.holes += max(s.size-e.size, 0)
	if data := m.expanded - m.holes; m.holes > holesFree && (m.holes-holesFree)/limits.Holes.Value > data {
		return limits.Holes.Exceeded()
	}
	return nil
}

// oldSparse reads the map of an entry in GNU's old format: four segments are in the
// header, and more in the blocks after it.
func (p *parser) oldSparse(h header, e *entry) (err error) {
	if !h.isGNU() {
		return fmt.Errorf("%w: it is not in a header of GNU tar", errSparse)
	}
	const ofHeader, ofBlock, segmentSize = 4, 21, 24
	s := &sparse{}
	if s.size, err = parseNumber("size of the sparse file", h[483:495]); err != nil {
		return err
	}
	if err = s.addAll(h[386 : 386+ofHeader*segmentSize]); err != nil {
		return err
	}
	for more := h[482]; more != 0; {
		block, err := p.read(blockSize)
		if err != nil {
			return endsEarly(err)
		}
		if err := s.addAll(block[:ofBlock*segmentSize]); err != nil {
			return err
		}
		more = block[ofBlock*segmentSize]
	}
	e.sparse = s
	return s.check()
}

// addAll adds the segments in a part of a header, of which one without a size in it is
// the end.
func (s *sparse) addAll(fields []byte) error {
	for ; len(fields) > 0 && fields[0] != 0; fields = fields[24:] {
		offset, err := parseNumber("offset", fields[:12])
		if err != nil {
			return err
		}
		size, err := parseNumber("size", fields[12:24])
		if err != nil {
			return err
		}
		if err := s.add(offset, size); err != nil {
			return err
		}
	}
	return nil
}

func (s *sparse) add(offset, size int64) error {
	s.list = append(s.list, segment{offset, size})
	return limits.Segments.Check(int64(len(s.list)))
}

// check returns an error unless the segments are in order and in the file.
func (s *sparse) check() error {
	at := int64(0)
	for _, g := range s.list {
		if g.size < 0 || g.offset < at || g.offset > s.size || g.size > s.size-g.offset {
			return fmt.Errorf("%w: %d bytes at %d of %d", errSparse, g.size, g.offset, s.size)
		}
		at = g.offset + g.size
	}
	if s.size < 0 {
		return fmt.Errorf("%w: it has %d bytes", errSparse, s.size)
	}
	return nil
}

// A paxSparse gathers the records of one entry that describe a sparse file.
type paxSparse struct {
	sparse
	name         string
	major, minor string
	found        bool // any that makes it a sparse file
	sized        bool
	offset       int64
}

func (p *paxSparse) apply(key, value string) error {
	p.found = p.found || key != "name" && key != "minor" && key != "major"
	switch key {
	case "major":
		p.major = value
	case "minor":
		p.minor = value
	case "name":
		p.name = value
	case "size", "realsize":
		p.sized = true
		return parseDecimal(sparsePrefix+key, value, &p.size)
	case "offset": // 0.0 has pairs of records
		return parseDecimal(sparsePrefix+key, value, &p.offset)
	case "numbytes":
		var n int64
		if err := parseDecimal(sparsePrefix+key, value, &n); err != nil {
			return err
		}
		return p.add(p.offset, n)
	case "map": // 0.1 has them in one
		return p.addList(strings.Split(value, ","))
	}
	return nil
}

func (s *sparse) addList(numbers []string) error {
	if len(numbers) == 1 && numbers[0] == "" {
		return nil
	}
	if len(numbers)%2 != 0 {
		return fmt.Errorf("%w: %d numbers", errSparse, len(numbers))
	}
	for i := 0; i < len(numbers); i += 2 {
		var g segment
		err := parseDecimal(sparsePrefix+"map", numbers[i], &g.offset)
		if err == nil {
			err = parseDecimal(sparsePrefix+"map", numbers[i+1], &g.size)
		}
		if err == nil {
			err = s.add(g.offset, g.size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end makes e the sparse file that the records describe, if they do.
func (p *paxSparse) end(e *entry) error {
	if p.name != "" {
		e.name = p.name
	}
	p.inContent = p.major == "1"
	if !p.found && !p.inContent || !holdsFile(e.typeflag) || e.typeflag == 'S' {
		return nil
	}
	if p.inContent && len(p.list) > 0 {
		return fmt.Errorf("%w: it is there twice", errSparse)
	}
	if p.major != "" && p.major+"."+p.minor != "1.0" && p.major != "0" {
		return fmt.Errorf("sparse file of version %s.%s: want 1.0 at most", quote(p.major), quote(p.minor))
	}
	if !p.sized {
		p.size = e.size
	}
	s := p.sparse
	e.sparse = &s
	return s.check()
}

// expand writes the file to a writer. from gives what the archive has of it, size bytes.
func (s *sparse) expand(ctx context.Context, to io.Writer, from io.Reader, size int64) error {
	in := bufio.NewReaderSize(io.LimitReader(from, size), 64<<10)
	if s.inContent {
		n, err := s.readMap(in)
		if err != nil {
			return err
		}
		size -= n
	}
	at := int64(0)
	for _, g := range append(s.list, segment{s.size, 0}) {
		if err := copyAll(ctx, to, zeros{}, g.offset-at); err != nil {
			return err
		}
		if err := copyAll(ctx, to, in, g.size); err != nil {
			return err
		}
		at, size = g.offset+g.size, size-g.size
	}
	if size != 0 {
		return fmt.Errorf("%w: the archive has %d bytes more than it says", errSparse, size)
	}
	return nil
}

// readMap reads the map before the content: numbers, each a line, in whole blocks. It
// returns how many bytes those are.
func (s *sparse) readMap(in *bufio.Reader) (n int64, err error) {
	next := func() (int64, error) {
		line, err := in.ReadSlice('\n')
		n += int64(len(line))
		if err != nil || len(line) == 1 {
			return 0, errors.Join(errSparse, endsEarly(err))
		}
		v, err := strconv.ParseUint(string(line[:len(line)-1]), 10, 63)
		if err != nil {
			return 0, fmt.Errorf("%w: %s is not a number", errSparse, quote(string(line)))
		}
		return int64(v), nil
	}
	count, err := next()
	for i := int64(0); i < count && err == nil; i++ {
		var g segment
		if g.offset, err = next(); err == nil {
			g.size, err = next()
		}
		if err == nil {
			err = s.add(g.offset, g.size)
		}
	}
	if err != nil {
		return 0, err
	}
	pad := padding(n)
	if _, err := in.Discard(pad); err != nil {
		return 0, endsEarly(err)
	}
	return n + int64(pad), s.check()
}

// zeros is what is in a hole.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// copyAll copies n bytes.
func copyAll(ctx context.Context, to io.Writer, from io.Reader, n int64) error {
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		k, err := io.CopyN(to, from, min(n, 1<<20))
		if n -= k; err != nil {
			return endsEarly(err)
		}
	}
	return nil
}

// objects are the contents of large files.
type objects interface {
	open(digest.Digest) (io.ReadCloser, error)
	create() (object, error)
}

// A measured is an object of which only the digest is computed.
type measured struct{ *verity.Hasher }

func (m *measured) Commit() (digest.Digest, error) { return m.Sum(), nil }
func (m *measured) Abort()                         {}

// A noted is a measured object whose size is noted.
type noted struct {
	*verity.Hasher
	size  int64
	sizes map[digest.Digest]int64
}

func (n *noted) Write(p []byte) (int, error) {
	n.size += int64(len(p))
	return n.Hasher.Write(p)
}

func (n *noted) Commit() (digest.Digest, error) {
	d := n.Sum()
	n.sizes[d] = n.size
	return d, nil
}

func (n *noted) Abort() {}

// expand enters a sparse file, and writes it to also, if that is not nil.
func (e *entry) expand(ctx context.Context, from io.Reader, o object, also io.Writer) error {
	var inline bytes.Buffer
	var to io.Writer = &inline
	if e.large() {
		to = o
	}
	if also != nil {
		to = io.MultiWriter(to, also)
	}
	if err := e.sparse.expand(ctx, to, from, e.size); err != nil || !e.large() {
		o.Abort()
		e.node.Inline = inline.Bytes()
		return err
	}
	var err error
	e.node.Digest, err = o.Commit()
	return err
}

// expandObject expands an object, in which is what the archive has of a sparse file.
func (c *chunks) expandObject(e *entry, d digest.Digest) error {
	f, err := c.objects.open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.expand(e, f)
}

func (c *chunks) expand(e *entry, from io.Reader) error {
	if !e.isFile() {
		return nil
	}
	o, err := c.objects.create()
	if err != nil {
		return err
	}
	return e.expand(c.ctx, from, o, nil)
}
