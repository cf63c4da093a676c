package scan

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// inlineSize is up to which size, in bytes, images hold contents themselves; see
// docs/formats/composefs.md, section 1.3.
const inlineSize = 64

// A job is a file to hash, and the node that gets the digest.
type job struct {
	file *os.File
	node *tree.Node
}

// content reads a small file, and hands a large one to those who hash.
func (s *scanner) content(ctx context.Context, jobs chan<- job, d directory, name string, n *tree.Node, stat sys.Stat) error {
	n.Size = uint64(stat.Size)
	if stat.Size == 0 {
		return nil
	}
	if s.opts.Shallow {
		s.tree.paths[n] = d.path + name
		return nil
	}
	f, err := openRegular(s.dirs.Dir(), name)
	if err != nil {
		return err
	}
	if stat.Size <= inlineSize {
		defer f.Close()
		n.Inline, err = bounded.Head(f, inlineSize+1)
		return sizeStayed(f, n, int64(len(n.Inline)), err)
	}
	s.tree.paths[n] = d.path + name
	select {
	case jobs <- job{f, n}:
		return nil
	case <-ctx.Done():
		f.Close()
		return ctx.Err()
	}
}

// openRegular opens a file for reading, and nothing that has taken its place:
// opening a FIFO would not return.
func openRegular(dir *os.File, path string) (*os.File, error) {
	f, err := sys.Openat2(dir, path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0, sys.ResolveBeneath|sys.ResolveNoSymlinks)
	if err != nil {
		return nil, err
	}
	stat, err := sys.Statx(f, "")
	if err == nil && stat.Mode&tree.TypeMask != tree.TypeRegular {
		err = fmt.Errorf("%s is no longer a regular file", f.Name())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sizeStayed returns err, or an error if a file turned out to have another size
// than the directory said.
func sizeStayed(f *os.File, n *tree.Node, size int64, err error) error {
	if err == nil && uint64(size) != n.Size {
		err = fmt.Errorf("%s had %d bytes, and %d when it was read", f.Name(), n.Size, size)
	}
	return err
}

// work hashes the files that come.
func (s *scanner) work(ctx context.Context, jobs <-chan job) error {
	buf := make([]byte, copySize)
	for j := range jobs {
		err := ctx.Err()
		if err == nil {
			j.node.Digest, err = s.hash(ctx, j, buf)
		}
		j.file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

const copySize = 256 << 10

// hash returns the digest of a file's content, which is then in the repository
// if there is one. What the kernel says of a file that fs-verity protects is not
// asked for: with a salt, or blocks of another size, that is another digest.
func (s *scanner) hash(ctx context.Context, j job, buf []byte) (digest.Digest, error) {
	if s.opts.Repository != nil {
		return s.store(ctx, j, buf)
	}
	h := verity.New(s.opts.Algorithm)
	err := copyContent(ctx, h, j, buf)
	return h.Sum(), err
}

func (s *scanner) store(ctx context.Context, j job, buf []byte) (digest.Digest, error) {
	w, err := s.opts.Repository.NewObject()
	if err != nil {
		return digest.Digest{}, err
	}
	defer w.Abort()
	if err := copyContent(ctx, w, j, buf); err != nil {
		return digest.Digest{}, err
	}
	return w.Commit()
}

func copyContent(ctx context.Context, to io.Writer, j job, buf []byte) error {
	// Hidden behind other types, neither end can pass the buffer by.
	size, err := io.CopyBuffer(struct{ io.Writer }{to}, cancel.Reader(ctx, j.file), buf)
	return sizeStayed(j.file, j.node, size, err)
}
