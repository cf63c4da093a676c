// Package stream reads and writes the files in which a repository keeps a layer or another
// stream: small pieces inline and compressed, file contents as references to objects. The
// original stream can be restored byte for byte. The package hides the file format of
// composefs-rs (its doc/splitstream.md, here docs/formats/composefs.md, section 3).
package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// ErrFormat says that a file is not a splitstream, or a damaged one.
var ErrFormat = errors.New("not a valid splitstream")

// A ContentType says what a stream holds, as eight ASCII characters.
type ContentType uint64

// The content types of an OCI image in a repository.
const (
	OCIManifest ContentType = 0x66696e616d69636f // "ocimanif"
	OCIConfig   ContentType = 0x67666e6f6369636f // "ociconfg"
	OCILayer    ContentType = 0x726579616c69636f // "ocilayer"
	OCIBlob     ContentType = 0x626f6c625f69636f // "oci_blob"
)

// String returns the eight characters, such as "ocilayer".
func (c ContentType) String() string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(c))
	return string(b[:])
}

const (
	magic         = "SplitStream"
	formatVersion = 0
	logBlock      = 12 // of the fs-verity blocks: 4 KiB

	headerSize = 32
	infoSize   = 4*16 + 2*8
)

// A section is a range of bytes in the file.
type section struct{ start, end uint64 }

func (s section) size() int64 { return int64(s.end - s.start) }

// An info block says where everything else is in the file.
type info struct {
	streamRefs, objectRefs, stream, namedRefs section

	contentType ContentType
	size        uint64 // of the whole stream, with what the objects have
}

func appendSection(b []byte, s section) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.start)
	return binary.LittleEndian.AppendUint64(b, s.end)
}

// appendHeader appends the header of a file whose info block follows it.
func appendHeader(b []byte, alg digest.Algorithm) []byte {
	b = append(b, magic...)
	b = append(b, formatVersion, 0, 0, uint8(alg), logBlock) // with two bytes of flags
	return appendSection(b, section{headerSize, headerSize + infoSize})
}

func (i info) append(b []byte) []byte {
	for _, s := range []section{i.streamRefs, i.objectRefs, i.stream, i.namedRefs} {
		b = appendSection(b, s)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(i.contentType))
	return binary.LittleEndian.AppendUint64(b, i.size)
}

func parseSection(b []byte) section {
	return section{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// parseHeader returns the algorithm of the digests in a file and where its info
// block is. There are two orders of the same fields: composefs-rs in bootc up
// to 1.15 left the order to its compiler, which put the info range first.
func parseHeader(b []byte) (digest.Algorithm, section, error) {
	version, alg, log, at := b[11], b[14], b[15], b[16:]
	switch {
	case string(b[:len(magic)]) == magic:
	case string(b[18:18+len(magic)]) == magic:
		version, alg, log, at = b[29], b[30], b[31], b
	default:
		return 0, section{}, fmt.Errorf("%w: no magic number", ErrFormat)
	}
	if version != formatVersion || log != logBlock || digest.Algorithm(alg).Size() == 0 {
		return 0, section{}, fmt.Errorf("%w: version %d, algorithm %d, blocks of 2^%d bytes are not known",
			ErrFormat, version, alg, log)
	}
	return digest.Algorithm(alg), parseSection(at), nil
}

func parseInfo(b []byte) info {
	return info{
		streamRefs:  parseSection(b[0:]),
		objectRefs:  parseSection(b[16:]),
		stream:      parseSection(b[32:]),
		namedRefs:   parseSection(b[48:]),
		contentType: ContentType(binary.LittleEndian.Uint64(b[64:])),
		size:        binary.LittleEndian.Uint64(b[72:]),
	}
}
