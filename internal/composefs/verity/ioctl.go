package verity

import (
	"errors"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

var (
	// ErrNotSupported says that the kernel or the file system has no fs-verity,
	// or not this algorithm.
	ErrNotSupported = errors.New("no fs-verity here")

	// ErrNotEnabled says that fs-verity does not protect a file.
	ErrNotEnabled = errors.New("fs-verity is not enabled")

	// ErrOpenForWriting says that fs-verity cannot be enabled as yet since
	// somebody has the file open for writing.
	ErrOpenForWriting = errors.New("file is open for writing")
)

// Enable makes the kernel protect f with fs-verity, permanently: the file cannot
// be written any more. f is open for reading only. What is protected already
// is left as it is, be it with another algorithm. The error wraps
// ErrNotSupported or ErrOpenForWriting where they are the reason.
func Enable(f *os.File, alg digest.Algorithm) error {
	err := sys.EnableVerity(f, uint32(alg))
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return classify(err)
}

// Measure returns the digest with which the kernel protects f, without reading
// its content. The error wraps ErrNotEnabled or ErrNotSupported where they are
// the reason.
func Measure(f *os.File) (digest.Digest, error) {
	alg, sum, err := sys.MeasureVerity(f)
	if err != nil {
		return digest.Digest{}, classify(err)
	}
	return digest.FromBytes(digest.Algorithm(alg), sum)
}

// classify adds the sentinel that an error number stands for; see the lists of
// error codes in the kernel's Documentation/filesystems/fsverity.rst.
func classify(err error) error {
	for _, c := range []struct {
		errno    syscall.Errno
		sentinel error
	}{
		{syscall.ENOTTY, ErrNotSupported},     // the file system has none
		{syscall.EOPNOTSUPP, ErrNotSupported}, // nor with this mkfs option
		{syscall.ENOPKG, ErrNotSupported},     // the kernel lacks the algorithm
		{syscall.ENODATA, ErrNotEnabled},
		{syscall.ETXTBSY, ErrOpenForWriting},
	} {
		if errors.Is(err, c.errno) {
			return &classified{err, c.sentinel}
		}
	}
	return err
}

// A classified error reads like the kernel's and is also a sentinel.
type classified struct{ err, sentinel error }

func (c *classified) Error() string   { return c.err.Error() + " (" + c.sentinel.Error() + ")" }
func (c *classified) Unwrap() []error { return []error{c.err, c.sentinel} }
