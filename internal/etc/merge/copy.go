package merge

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// How lseek(2) finds what of a file is there: SEEK_DATA and SEEK_HOLE.
const (
	seekData = 3
	seekHole = 4
)

// mustLink reports whether a local file takes too much room to be copied. It then
// gets one more name, so that nothing of it is lost. Both deployments have it then,
// as a change by one is one for the other.
func (w *dirWriter) mustLink(f localFile) (bool, error) {
	stat, err := sys.Statx(f.file, "")
	if err != nil {
		return false, err
	}
	const block = 512
	room := stat.Blocks * block
	if isTooLarge(room) || limits.EtcContents.Check(w.copied+room) != nil {
		return stat.Nlink > 0, nil
	}
	w.copied += room
	return false, nil
}

// copyLocal copies a file with its holes, up to the size that it has now: it may
// grow as fast as it is read.
func copyLocal(ctx context.Context, out, in *os.File) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if sys.Clone(out, in) == nil {
		return nil
	}
	size := info.Size()
	for at := int64(0); at < size; {
		begin, end, err := nextData(in, at, size)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(out, begin), cancel.Reader(ctx, io.NewSectionReader(in, begin, end-begin))); err != nil {
			return err
		}
		at = end
	}
	return out.Truncate(size)
}

// nextData returns where the next data of a file begins and ends, or size twice if there
// is no more.
func nextData(f *os.File, at, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(at, seekData)
	if errors.Is(err, syscall.ENXIO) {
		return size, size, nil
	}
	if err != nil {
		return 0, 0, err
	}
	end, err = f.Seek(begin, seekHole)
	return min(begin, size), min(end, size), err
}
