package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

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
