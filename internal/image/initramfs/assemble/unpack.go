package assemble

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// plainName returns what the file of a module is called when it is not compressed.
func plainName(name string) string {
	for _, ext := range []string{".gz", ".xz", ".zst"} {
		if rest, ok := strings.CutSuffix(name, ext); ok {
			return rest
		}
	}
	return name
}

// unpack decompresses the content of a module's file.
func unpack(name string, data []byte) ([]byte, error) {
	var err error
	switch path.Ext(name) {
	case ".xz":
		data, err = unpackXZ(data)
	case ".zst":
		data, err = unpackZstd(data)
	case ".gz":
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = bounded.ReadAll(z, limits.Module)
		}
	}
	if err == nil && !bytes.HasPrefix(data, []byte("\x7fELF")) {
		err = errors.New("not an ELF file")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read module %s: %w", name, err)
	}
	return data, nil
}

// unpackXZ decompresses a file as xz(1) writes it.
func unpackXZ(data []byte) ([]byte, error) {
	z, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return bounded.ReadAll(z, limits.Module)
}

func unpackZstd(data []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limits.Module.Value)))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	content, err := z.DecodeAll(data, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = limits.Module.Exceeded()
	}
	return content, err
}
