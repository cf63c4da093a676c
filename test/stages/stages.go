package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const bufferSize = 256 << 10

func unpack(l layer) (int64, error) {
	to, err := os.Create(l.archive)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	if _, err := inflateTo(l, to); err != nil {
		return 0, err
	}
	return 0, to.Sync()
}

func inflate(l layer) (int64, error) { return inflateTo(l, io.Discard) }

func inflateTo(l layer, to io.Writer) (int64, error) {
	blob, err := os.Open(l.blob)
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	in := bufio.NewReaderSize(blob, bufferSize)
	out, err := inflater(in)
	if err != nil {
		return 0, err
	}
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{out}, make([]byte, bufferSize))
}

func inflater(in *bufio.Reader) (io.Reader, error) {
	if head, err := in.Peek(2); err != nil || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	}
	return gzip.NewReader(in)
}

func hash(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.CopyBuffer(sha256.New(), struct{ io.Reader }{f}, make([]byte, bufferSize))
}

func strictness(l layer) (int64, error) {
	return eachFile(l, func(r io.Reader) error {
		_, _, err := verity.SumReader(digest.SHA512, r)
		return err
	})
}

// eachFile calls f for the content of each file that becomes an object.
func eachFile(l layer, f func(io.Reader) error) (total int64, err error) {
	archive, err := os.Open(l.archive)
	if err != nil {
		return 0, err
	}
	defer archive.Close()
	for entries := tar.NewReader(bufio.NewReaderSize(archive, bufferSize)); ; {
		h, err := entries.Next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if h.Typeflag != tar.TypeReg || h.Size <= 64 {
			continue
		}
		total += h.Size
		if err := f(entries); err != nil {
			return total, err
		}
	}
}

// A writer writes files below a directory.
type writer struct {
	dir     *os.File
	count   atomic.Int64
	buffers sync.Pool
}

// newWriter makes a directory for each 256th of the files, as a repository has.
func newWriter(dir string) (*writer, error) {
	for i := range 256 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o777); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(dir)
	return &writer{dir: f, buffers: sync.Pool{New: func() any { return new([bufferSize]byte) }}}, err
}

func (w *writer) sync() error { return sys.Syncfs(w.dir) }

func (w *writer) archive(l layer) (n int64, err error) {
	f, err := os.Open(l.archive)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return w.write(struct{ io.Reader }{f})
}

func (w *writer) files(l layer) (int64, error) {
	return eachFile(l, func(r io.Reader) error {
		_, err := w.write(struct{ io.Reader }{r})
		return err
	})
}

func (w *writer) write(r io.Reader) (int64, error) {
	i := w.count.Add(1)
	f, err := os.Create(filepath.Join(w.dir.Name(), fmt.Sprint(i%256), fmt.Sprint(i)))
	if err != nil {
		return 0, err
	}
	buf := w.buffers.Get().(*[bufferSize]byte)
	defer w.buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, r, buf[:])
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return n, err
}
