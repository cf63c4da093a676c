// Package initramfs looks into an initramfs: cpio archives one after the other,
// each compressed or not, as the kernel unpacks them (see
// Documentation/driver-api/early-userspace/buffer-format.rst). It hides where one
// ends and the next begins.
package initramfs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
)

// maxContent bounds the files of which Find returns the content.
const maxContent = 64 << 10

// maxWindow is the most memory that a zstd frame may ask for, as for the kernel.
const maxWindow = 128 << 20

// ErrFormat says that an initramfs is in a format that is not known here: not
// plain, gzip or zstd, which are what builders use by default.
var ErrFormat = errors.New("unknown format")

// Find returns those of the files with the given names, relative to the root,
// that are in an initramfs: their contents, or nil for one of more than 64 KiB.
// Of a name that is there twice the last counts. It ends early with ctx, and
// where the initramfs has more in it than a kernel could unpack.
func Find(ctx context.Context, r io.Reader, names ...string) (map[string][]byte, error) {
	contents, _, err := FindSums(ctx, r, names...)
	return contents, err
}

// A Sum is the SHA-256 digest of a file's content.
type Sum = [sha256.Size]byte

// FindSums is Find, and also returns the digests of these files, however large they are.
func FindSums(ctx context.Context, r io.Reader, names ...string) (map[string][]byte, map[string]Sum, error) {
	f := finder{
		ctx: ctx, left: limits.InitramfsSize.Value, names: names,
		found: make(map[string][]byte), sums: make(map[string]Sum),
	}
	if err := f.all(f.reader(r)); err != nil {
		return nil, nil, fmt.Errorf("cannot read initramfs: %w", err)
	}
	return f.found, f.sums, nil
}

// Has reports which of the patterns match what an initramfs has: the last element of the name of
// a file or a link, as path.Match has it. It ends early as Find does.
func Has(ctx context.Context, r io.Reader, patterns ...string) (map[string]bool, error) {
	f := finder{ctx: ctx, left: limits.InitramfsSize.Value, patterns: patterns, has: make(map[string]bool)}
	if err := f.all(f.reader(r)); err != nil {
		return nil, fmt.Errorf("cannot read initramfs: %w", err)
	}
	return f.has, nil
}

type finder struct {
	ctx   context.Context
	left  int64 // bytes that may still be read, inflated ones included
	names []string
	found map[string][]byte
	sums  map[string]Sum

	patterns []string
	has      map[string]bool // patterns
}

// reader returns a reader of r for which the context and the limit count. What
// comes out of a decoder needs that too: a few bytes may inflate for hours.
func (f *finder) reader(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(&meter{cancel.Reader(f.ctx, r), &f.left}, 256<<10)
}

// A meter ends with an error where no bytes are left that may be read.
type meter struct {
	r    io.Reader
	left *int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if *m.left -= int64(n); *m.left < 0 {
		return 0, limits.InitramfsSize.Exceeded()
	}
	return n, err
}

// all reads archives to the end of what is in the initramfs.
func (f *finder) all(in *bufio.Reader) error {
	for n := int64(0); ; n++ {
		head, err := nextArchive(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := limits.InitramfsArchives.Check(n + 1); err != nil {
			return err // each costs a decoder, however short it is
		}
		if isArchive(head) || isBegun(head) {
			err = truncated(f.archive(in))
		} else {
			err = opaque(head, f.compressed(in, head))
		}
		if err != nil {
			return err
		}
	}
}

// headSize is how much tells what an archive is.
const headSize = 6

// nextArchive skips padding and returns how the next archive begins; io.EOF if
// there is none.
func nextArchive(in *bufio.Reader) ([]byte, error) {
	for {
		head, err := in.Peek(headSize)
		if len(head) == 0 {
			return nil, err
		}
		if head[0] != 0 {
			return head, nil
		}
		if err := skipZeros(in); err != nil {
			return nil, err
		}
	}
}

// skipZeros skips the zeros with which what is buffered begins.
func skipZeros(in *bufio.Reader) error {
	buffered, err := in.Peek(in.Buffered())
	if err == nil {
		_, err = in.Discard(len(buffered) - len(bytes.TrimLeft(buffered, "\x00")))
	}
	return err
}

// compressed reads what is in a compressed archive, or several in one.
func (f *finder) compressed(in *bufio.Reader, head []byte) error {
	out, err := inflate(in, head)
	if err != nil {
		return err
	}
	defer out.Close()
	plain := f.reader(out)
	for {
		head, err := nextArchive(plain)
		if err == io.EOF {
			return out.whole()
		}
		if err == nil && !isArchive(head) {
			err = fmt.Errorf("%w of an archive", ErrFormat)
		}
		if err == nil {
			err = f.archive(plain)
		}
		if err != nil {
			return err
		}
	}
}

// An inflater gives what is compressed in an archive.
type inflater struct {
	io.ReadCloser
	whole func() error // reports an archive that ended early, as not every decoder does
}

// inflate returns a reader of what is compressed in the next archive. It reads
// no more of in than belongs to that, and something of it.
func inflate(in *bufio.Reader, head []byte) (inflater, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return inflater{}, noEOF(err)
		}
		z.Multistream(false)
		return inflater{z, func() error { return nil }}, nil
	case bytes.HasPrefix(head, []byte(zstdframe.Magic)):
		f := &frame{in: in}
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return inflater{}, err
		}
		return inflater{z.IOReadCloser(), f.whole}, nil
	}
	return inflater{}, fmt.Errorf("%w: it begins with %q", ErrFormat, head)
}

// archive reads a cpio archive to its trailer.
func (f *finder) archive(in *bufio.Reader) error {
	for {
		h, err := readHeader(in)
		if err != nil {
			return err
		}
		if h.name == trailer {
			return nil
		}
		if err := f.entry(in, h); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
}

func (f *finder) entry(in *bufio.Reader, h header) error {
	f.match(path.Base(h.name))
	name := path.Clean("/" + h.name)[1:]
	if !h.isRegular() || !slices.Contains(f.names, name) {
		return skip(in, padded(h.size))
	}
	hash := sha256.New()
	if h.size > maxContent {
		f.found[name] = nil
		if _, err := io.CopyN(hash, in, h.size); err != nil {
			return noEOF(err)
		}
	} else {
		content := make([]byte, h.size)
		if _, err := io.ReadFull(in, content); err != nil {
			return noEOF(err)
		}
		hash.Write(content)
		f.found[name] = content
	}
	f.sums[name] = Sum(hash.Sum(nil))
	return skip(in, padded(h.size)-h.size)
}

// match notes which patterns match the last element of a name.
func (f *finder) match(base string) {
	for _, pattern := range f.patterns {
		if ok, _ := path.Match(pattern, base); ok {
			f.has[pattern] = true
		}
	}
}
