// Package initramfs looks into an initramfs: cpio archives one after the other,
// each compressed or not, as the kernel unpacks them (see
// Documentation/driver-api/early-userspace/buffer-format.rst). It hides where one
// ends and the next begins.
package initramfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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
// Of a name that is there twice the last counts.
func Find(r io.Reader, names ...string) (map[string][]byte, error) {
	f := finder{names: names, found: make(map[string][]byte)}
	if err := f.all(bufio.NewReaderSize(r, 256<<10)); err != nil {
		return nil, fmt.Errorf("cannot read initramfs: %w", err)
	}
	return f.found, nil
}

type finder struct {
	names []string
	found map[string][]byte
}

// all reads archives to the end of what is in the initramfs.
func (f *finder) all(in *bufio.Reader) error {
	for {
		head, err := nextArchive(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if isArchive(head) {
			err = f.archive(in)
		} else {
			err = f.compressed(in, head)
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
		if _, err := in.Discard(1); err != nil {
			return nil, err
		}
	}
}

// compressed reads what is in a compressed archive, or several in one.
func (f *finder) compressed(in *bufio.Reader, head []byte) error {
	out, err := inflate(in, head)
	if err != nil {
		return err
	}
	defer out.Close()
	plain := bufio.NewReaderSize(out, 256<<10)
	for {
		head, err := nextArchive(plain)
		if err == io.EOF {
			return nil
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

// inflate returns a reader of what is compressed in the next archive. It reads
// no more of in than belongs to that.
func inflate(in *bufio.Reader, head []byte) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return z, nil
	case bytes.HasPrefix(head, []byte(zstdMagic)):
		z, err := zstd.NewReader(&frame{in: in}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("%w: it begins with %q", ErrFormat, head)
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
	name := path.Clean("/" + h.name)[1:]
	if !h.isRegular() || !slices.Contains(f.names, name) {
		return skip(in, padded(h.size))
	}
	if h.size > maxContent {
		f.found[name] = nil
		return skip(in, padded(h.size))
	}
	content := make([]byte, h.size)
	if _, err := io.ReadFull(in, content); err != nil {
		return err
	}
	f.found[name] = content
	return skip(in, padded(h.size)-h.size)
}
