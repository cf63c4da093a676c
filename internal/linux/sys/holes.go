package sys

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
)

// CopyData copies what a file has, up to a size, to the same places after an offset. Holes are
// left out: what is to be there stays as it is.
func CopyData(ctx context.Context, to io.WriterAt, offset int64, from *os.File, size int64) error {
	for at := int64(0); at < size; {
		begin, end, err := NextData(from, at, size)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, offset+begin), cancel.Reader(ctx, io.NewSectionReader(from, begin, end-begin))); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// NextData returns where the next data of a file begins and ends at or after an offset, or
// size twice if there is no more before size. The rest are holes: see SEEK_DATA in lseek(2).
func NextData(f *os.File, at, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if err != nil {
		return 0, 0, err
	}
	end, err = f.Seek(begin, unix.SEEK_HOLE)
	return min(begin, size), min(end, size), err
}
