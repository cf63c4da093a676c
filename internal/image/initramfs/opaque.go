package initramfs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
)

// An OpaqueError reports that an initramfs is compressed in a known way, but cannot be
// looked into: the compressor is not supported here, or the compressed data is damaged.
type OpaqueError struct {
	Compressor string
	Damaged    bool
	Err        error
}

func (e *OpaqueError) Error() string {
	if e.Damaged {
		return fmt.Sprintf("the %s data is damaged: %v", e.Compressor, e.Err)
	}
	return fmt.Sprintf("compressed with %s: %v", e.Compressor, e.Err)
}

func (e *OpaqueError) Unwrap() error { return e.Err }

// compressors are what the kernel can unpack, with their magic numbers.
var compressors = []struct {
	magic, name string
	supported   bool
}{
	{"\x1f\x8b", "gzip", true},
	{zstdframe.Magic, "zstd", true},
	{"\xfd7zXZ\x00", "xz", false},
	{"\x02\x21\x4c\x18", "lz4", false}, // the older format, which the kernel reads
	{"\x04\x22\x4d\x18", "lz4", false},
	{"\x5d\x00\x00", "lzma", false},
	{"BZh", "bzip2", false},
	{"\x89LZO\x00", "lzop", false},
}

// opaque makes an OpaqueError of the error of an archive that begins with head, if it
// is one. What a supported compressor unpacks to may still be in an unknown format.
func opaque(head []byte, err error) error {
	if err == nil {
		return nil
	}
	for _, c := range compressors {
		if strings.HasPrefix(string(head), c.magic) && (!c.supported || !errors.Is(err, ErrFormat)) {
			return &OpaqueError{c.name, c.supported, err}
		}
	}
	return err
}
