package oci

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	containercompression "go.podman.io/image/v5/pkg/compression"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// checkArchive reads an archive that the library is about to unpack into the directory
// temp, and refuses one that would take more than the room there, or that has too many
// files. A plain docker-archive is read where it is; of each, the layers are inflated
// once to see that they are within the limits.
func checkArchive(ctx context.Context, name, temp, transport string, decoder Gzip) error {
	if _, err := regularSize(name); err != nil {
		return err
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // for the library to say
	}
	if err != nil {
		return err
	}
	defer file.Close()
	room, err := roomIn(temp)
	if err != nil {
		return err
	}
	var check func(*tar.Header, io.Reader) error
	if transport == "docker-archive" {
		check = func(h *tar.Header, content io.Reader) error { return checkDockerFile(ctx, h, content, decoder) }
	}
	size, compressed, err := unpackedSize(ctx, file, room, check)
	if err != nil {
		return err
	}
	if size > room && (compressed || transport == "oci-archive") {
		return fmt.Errorf("cannot unpack %s in %s: more than the %d MiB that may be used there: %w", name, temp, room>>20, limits.Reserve.Exceeded())
	}
	return nil
}

func roomIn(dir string) (int64, error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return repo.Room(f)
}

// unpackedSize adds up what an archive takes when it is unpacked, or is inflated, until
// that is more than enough. What is no archive is for the library to refuse. check, if
// not nil, looks at each file.
func unpackedSize(
	ctx context.Context, file *os.File, enough int64, check func(*tar.Header, io.Reader) error,
) (size int64, compressed bool, err error) {
	plain, compressed, err := containercompression.AutoDecompress(cancel.Reader(ctx, file))
	if err != nil {
		return 0, false, nil
	}
	defer plain.Close()
	var in io.Reader = file // in which the content of a file is skipped
	if compressed {
		in = bufio.NewReader(plain)
	} else if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, false, err
	}
	archive := tar.NewReader(in)
	for files := int64(1); size <= enough; files++ {
		if err := limits.Files.Check(files); err != nil {
			return 0, false, err
		}
		h, err := archive.Next()
		if ctx.Err() != nil {
			return 0, false, context.Cause(ctx)
		}
		if err != nil { // or the end
			return size, compressed, nil
		}
		if err := checkIndex(h); err != nil {
			return 0, false, fmt.Errorf("%s in %s %w", h.Name, file.Name(), err)
		}
		size += max(h.Size, 0) + 512
		if check != nil && size <= enough {
			if err := check(h, archive); err != nil {
				return 0, false, fmt.Errorf("%s in %s: %w", h.Name, file.Name(), err)
			}
		}
	}
	return size, compressed, nil
}

// checkIndex looks at index.json, which the library reads whole.
func checkIndex(h *tar.Header) error {
	if path.Clean("/"+h.Name) != "/"+imgspec.ImageIndexFile {
		return nil
	}
	if h.Typeflag != tar.TypeReg {
		return errors.New("is not a regular file")
	}
	if err := limits.Manifest.Check(h.Size); err != nil {
		return fmt.Errorf("has %d bytes: %w", h.Size, err)
	}
	return nil
}
