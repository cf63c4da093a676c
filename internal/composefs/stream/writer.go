package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// maxRun bounds the inline bytes that a Writer gathers before it compresses
// them, so that memory does not grow with a layer of nothing but small files.
const maxRun = 4 << 20

// A Writer makes a splitstream. It keeps the compressed stream in memory, which
// is small where contents are external. The first error sticks and is returned
// by Finish.
type Writer struct {
	alg         digest.Algorithm
	contentType ContentType

	run        []byte // inline bytes that go into one chunk
	compressed bytes.Buffer
	encoder    *zstd.Encoder
	size       uint64
	err        error

	objects refTable
	streams refTable
	named   map[string]int // index in streams
}

// NewWriter returns a Writer of an empty stream. All digests will be alg's.
func NewWriter(alg digest.Algorithm, contentType ContentType) *Writer {
	w := &Writer{alg: alg, contentType: contentType, named: make(map[string]int)}
	w.encoder, w.err = newEncoder(&w.compressed)
	if alg.Size() == 0 {
		w.fail(fmt.Errorf("unknown hash %s", alg))
	}
	return w
}

// newEncoder returns an encoder without goroutines and of little memory, since
// several layers are written side by side. Of nothing it makes an empty frame,
// since composefs-rs takes an empty section for a broken one.
func newEncoder(w io.Writer) (*zstd.Encoder, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20), zstd.WithZeroFrames(true))
}

// Inline adds bytes that the file itself keeps. Bytes of one call always end up
// in one chunk, those of calls in a row mostly do. A tar header should come in
// one call with all that is read together with it (long names, PAX records):
// composefs-rs does not look for them across chunks.
func (w *Writer) Inline(p []byte) {
	if len(w.run) > 0 && len(w.run)+len(p) > maxRun {
		w.flush()
	}
	w.run = append(w.run, p...)
	w.size += uint64(len(p))
}

// External adds the content of an object, size bytes.
func (w *Writer) External(d digest.Digest, size int64) {
	if size < 0 {
		w.fail(fmt.Errorf("object %s of %d bytes", d, size))
	}
	w.flush()
	w.size += uint64(size)
	w.writeNumber(int64(w.index(&w.objects, d)))
}

// Reference gives another stream, by the digest of its file, a name in this
// one. It adds nothing to the content. What is referred to is not collected as
// garbage as long as this stream is there.
func (w *Writer) Reference(name string, d digest.Digest) {
	if strings.ContainsRune(name, 0) {
		w.fail(fmt.Errorf("name %q of a reference has a NUL", name))
	}
	w.named[name] = w.index(&w.streams, d)
}

// Finish writes the file to out. The Writer is of no more use.
func (w *Writer) Finish(out io.Writer) error {
	w.flush()
	w.fail(w.encoder.Close())
	named, err := w.encodeNamed()
	w.fail(err)
	if w.err != nil {
		return fmt.Errorf("cannot write splitstream: %w", w.err)
	}
	i := info{contentType: w.contentType, size: w.size}
	at := uint64(headerSize + infoSize)
	place := func(s *section, size int) {
		*s = section{at, at + uint64(size)}
		at += uint64(size)
	}
	place(&i.streamRefs, len(w.streams.data))
	place(&i.objectRefs, len(w.objects.data))
	place(&i.namedRefs, len(named))
	place(&i.stream, w.compressed.Len())
	head := i.append(appendHeader(nil, w.alg))
	for _, part := range [][]byte{head, w.streams.data, w.objects.data, named, w.compressed.Bytes()} {
		if _, err := out.Write(part); err != nil {
			return fmt.Errorf("cannot write splitstream: %w", err)
		}
	}
	return nil
}

// encodeNamed returns the section of named references, sorted by name.
func (w *Writer) encodeNamed() ([]byte, error) {
	var out bytes.Buffer
	encoder, err := newEncoder(&out)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(w.named)) {
		if _, err := fmt.Fprintf(encoder, "%d:%s\x00", w.named[name], name); err != nil {
			return nil, err
		}
	}
	err = encoder.Close()
	return out.Bytes(), err
}

// flush ends a run of inline bytes. Their number, negative, comes before them.
func (w *Writer) flush() {
	if len(w.run) == 0 {
		return
	}
	w.writeNumber(-int64(len(w.run)))
	w.write(w.run)
	w.run = w.run[:0]
}

func (w *Writer) writeNumber(n int64) {
	w.write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func (w *Writer) write(p []byte) {
	if w.err == nil {
		_, w.err = w.encoder.Write(p)
	}
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) index(t *refTable, d digest.Digest) int {
	if d.Algorithm() != w.alg {
		w.fail(fmt.Errorf("digest %s is not of %s", d, w.alg))
		return 0
	}
	return t.index(d)
}

// A refTable numbers digests in the order of their first use.
type refTable struct {
	numbers map[digest.Key]uint32
	data    []byte // all digests, as in the file
}

func (t *refTable) index(d digest.Digest) int {
	if n, ok := t.numbers[d.Key()]; ok {
		return int(n)
	}
	if t.numbers == nil {
		t.numbers = make(map[digest.Key]uint32)
	}
	n := len(t.numbers)
	t.numbers[d.Key()] = uint32(n)
	t.data = append(t.data, d.Bytes()...)
	return n
}
