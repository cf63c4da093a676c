package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Limits of what a Reader takes into memory, whatever a file claims.
const (
	maxWindow = 64 << 20 // bytes that the decompressor looks back
	maxPiece  = 64 << 10 // bytes of inline data given at once
)

// A Chunk is a piece of a stream: either bytes or an object whose content
// belongs there.
type Chunk struct {
	Inline []byte        // until the next call of Next
	Object digest.Digest // zero if the chunk is inline
}

// A Reader reads a splitstream. Damaged and hostile files give errors that wrap
// ErrFormat, never a panic, and cost a bounded amount of memory.
type Reader struct {
	src     io.ReaderAt
	size    int64
	alg     digest.Algorithm
	info    info
	objects []byte // digests, one after the other
	streams []byte
	named   map[string]digest.Digest

	decoder *zstd.Decoder
	left    uint64 // inline bytes of the current chunk
	piece   []byte
}

// Open reads the head of the splitstream that src is, size bytes. The Reader
// takes src over: Close closes it if it is an io.Closer, and so does Open if it
// returns an error.
func Open(src io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{src: src, size: size}
	if err := r.readHead(); err != nil {
		r.Close()
		return nil, fmt.Errorf("cannot read splitstream: %w", err)
	}
	return r, nil
}

// Close releases what the Reader holds.
func (r *Reader) Close() error {
	if r.decoder != nil {
		r.decoder.Close()
	}
	if c, ok := r.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Algorithm returns whose digests the stream has.
func (r *Reader) Algorithm() digest.Algorithm { return r.alg }

// ContentType returns what the stream holds.
func (r *Reader) ContentType() ContentType { return r.info.contentType }

// Size returns the length of the whole stream in bytes, as its writer says.
func (r *Reader) Size() uint64 { return r.info.size }

// NamedRefs returns the streams and images that the stream refers to by name.
func (r *Reader) NamedRefs() map[string]digest.Digest { return maps.Clone(r.named) }

// ObjectRefs gives the objects that the stream consists of, each once.
func (r *Reader) ObjectRefs() iter.Seq[digest.Digest] { return r.digests(r.objects) }

// StreamRefs gives the files of other streams that the stream refers to.
func (r *Reader) StreamRefs() iter.Seq[digest.Digest] { return r.digests(r.streams) }

func (r *Reader) digests(data []byte) iter.Seq[digest.Digest] {
	return func(yield func(digest.Digest) bool) {
		for sum := range slices.Chunk(data, r.alg.Size()) {
			d, err := digest.FromBytes(r.alg, sum)
			if err != nil {
				panic(err) // readHead has checked algorithm and length
			}
			if !yield(d) {
				return
			}
		}
	}
}

func (r *Reader) readHead() error {
	head, err := r.read(section{0, headerSize}, limits.Streamed)
	if err != nil {
		return err
	}
	alg, at, err := parseHeader(head)
	if err != nil {
		return err
	}
	r.alg = alg
	if err := r.check(at); err != nil {
		return err
	}
	if at.size() < infoSize {
		return fmt.Errorf("%w: info section is too small", ErrFormat)
	}
	// A longer one is from the future; what we know comes first.
	block, err := r.read(section{at.start, at.start + infoSize}, limits.Streamed)
	if err != nil {
		return err
	}
	r.info = parseInfo(block)
	if r.objects, err = r.readRefs(r.info.objectRefs); err != nil {
		return err
	}
	if r.streams, err = r.readRefs(r.info.streamRefs); err != nil {
		return err
	}
	if err := r.readNamed(); err != nil {
		return fmt.Errorf("named references: %w", err)
	}
	return r.openStream()
}

// check reports whether a section is inside the file.
func (r *Reader) check(s section) error {
	if s.start > s.end || s.end > uint64(max(r.size, 0)) {
		return fmt.Errorf("%w: section %d to %d of %d bytes", ErrFormat, s.start, s.end, r.size)
	}
	return nil
}

// read returns a section.
func (r *Reader) read(s section, most limits.Limit) ([]byte, error) {
	if err := r.check(s); err != nil {
		return nil, err
	}
	if err := most.Check(s.size()); err != nil {
		return nil, fmt.Errorf("%w: section of %d bytes: %w", ErrFormat, s.size(), err)
	}
	// The size of a file may be a claim too, so memory follows what is there.
	data, err := bounded.ReadAll(io.NewSectionReader(r.src, int64(s.start), s.size()), most)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != s.size() {
		return nil, fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return data, nil
}

func (r *Reader) readRefs(s section) ([]byte, error) {
	data, err := r.read(s, limits.Streamed)
	if err == nil && len(data)%r.alg.Size() != 0 {
		err = fmt.Errorf("%w: %d bytes of digests", ErrFormat, len(data))
	}
	return data, err
}

// readNamed reads texts "index:name", each ended by a NUL.
func (r *Reader) readNamed() error {
	data, err := r.read(r.info.namedRefs, limits.Named)
	if err != nil {
		return err
	}
	decoder, err := newDecoder(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer decoder.Close()
	text, err := bounded.ReadAll(decoder, limits.Named)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(text) > 0 && text[len(text)-1] != 0 {
		return fmt.Errorf("%w: no end", ErrFormat)
	}
	r.named = make(map[string]digest.Digest)
	for line := range strings.SplitAfterSeq(string(text), "\x00") {
		if line == "" {
			continue
		}
		if err := r.addNamed(strings.TrimSuffix(line, "\x00")); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) addNamed(line string) error {
	index, name, ok := strings.Cut(line, ":")
	n, err := strconv.ParseUint(index, 10, 32)
	size := uint64(r.alg.Size())
	if !ok || err != nil || n >= uint64(len(r.streams))/size {
		return fmt.Errorf("%w: reference %.80q", ErrFormat, line)
	}
	r.named[name], err = digest.FromBytes(r.alg, r.streams[n*size:(n+1)*size])
	return err
}

func (r *Reader) openStream() error {
	s := r.info.stream
	if err := r.check(s); err != nil {
		return err
	}
	var err error
	r.decoder, err = newDecoder(bufio.NewReaderSize(io.NewSectionReader(r.src, int64(s.start), s.size()), maxPiece))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

func newDecoder(src io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
}

// Next returns the next piece of the stream, io.EOF after the last. A long run
// of inline bytes comes in several pieces.
func (r *Reader) Next() (Chunk, error) {
	chunk, err := r.next()
	if err != nil && err != io.EOF {
		err = fmt.Errorf("cannot read splitstream: %w", err)
	}
	return chunk, err
}

func (r *Reader) next() (Chunk, error) {
	if r.left == 0 {
		var b [8]byte
		if _, err := io.ReadFull(r.decoder, b[:]); err == io.EOF {
			return Chunk{}, io.EOF
		} else if err != nil {
			return Chunk{}, streamError(err)
		}
		n := int64(binary.LittleEndian.Uint64(b[:]))
		if n >= 0 {
			return r.object(uint64(n))
		}
		r.left = -uint64(n)
	}
	if r.piece == nil {
		r.piece = make([]byte, maxPiece)
	}
	piece := r.piece[:min(r.left, maxPiece)]
	if _, err := io.ReadFull(r.decoder, piece); err != nil {
		return Chunk{}, streamError(err)
	}
	r.left -= uint64(len(piece))
	return Chunk{Inline: piece}, nil
}

func (r *Reader) object(n uint64) (Chunk, error) {
	size := uint64(r.alg.Size())
	if n >= uint64(len(r.objects))/size {
		return Chunk{}, fmt.Errorf("%w: object %d of %d", ErrFormat, n, uint64(len(r.objects))/size)
	}
	d, err := digest.FromBytes(r.alg, r.objects[n*size:(n+1)*size])
	return Chunk{Object: d}, err
}

// streamError tells a damaged stream from one that cannot be read now.
func streamError(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}
