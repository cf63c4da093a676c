package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
)

// The files of a kernel directory, in the order in which they are hashed.
const (
	linuxFile  = "vmlinuz"
	initrdFile = "initrd"
)

// A kernel is a kernel and initramfs that are to be written.
type kernel struct {
	digest string // SHA-256 of both, one after the other, in hexadecimal
	parts  []part
}

type part struct {
	name    string
	content io.ReadSeeker
	size    int64
}

// WriteKernel puts a kernel and its initramfs on the partition, where
// deployments share them, and returns the SHA-256 digest of both together, by
// which NewEntry names them. What is there already is verified and used again
// (created is false), or written again if it is damaged. If WriteKernel returns
// nil, both survive a crash; with an error, nothing is left behind.
//
// If there is not enough room, boot files of the superseded deployments are
// pruned first, one deployment after the other; the error is a *NoRoomError if
// that does not suffice or there are none.
func (p *Partition) WriteKernel(ctx context.Context, linux, initrd io.ReadSeeker, superseded ...deployment.ID) (digest string, created bool, err error) {
	k, err := newKernel(ctx, linux, initrd)
	if err != nil {
		return "", false, fmt.Errorf("cannot read kernel: %w", err)
	}
	created, err = p.writeKernel(ctx, k, superseded)
	if err != nil {
		return "", false, fmt.Errorf("cannot write kernel to %s: %w", p, err)
	}
	return k.digest, created, nil
}

func newKernel(ctx context.Context, linux, initrd io.ReadSeeker) (kernel, error) {
	h := sha256.New()
	k := kernel{parts: []part{{name: linuxFile, content: linux}, {name: initrdFile, content: initrd}}}
	for i := range k.parts {
		part := &k.parts[i]
		if _, err := part.content.Seek(0, io.SeekStart); err != nil {
			return k, fmt.Errorf("%s: %w", part.name, err)
		}
		n, err := io.Copy(h, &cancelReader{ctx, part.content})
		if err != nil {
			return k, fmt.Errorf("%s: %w", part.name, err)
		}
		if n == 0 {
			return k, fmt.Errorf("%s is empty", part.name)
		}
		part.size = n
	}
	k.digest = hex.EncodeToString(h.Sum(nil))
	return k, nil
}

func (p *Partition) writeKernel(ctx context.Context, k kernel, superseded []deployment.ID) (created bool, err error) {
	dir := kernelsDir + "/" + k.digest
	whole, err := p.verifyKernel(ctx, k.digest)
	if err != nil || whole {
		return false, err
	}
	if err := p.removeUnfinished(); err != nil {
		return false, err
	}
	if err := p.makeRoom(k, superseded); err != nil {
		return false, err
	}
	tmp := kernelsDir + "/" + tmpPrefix + k.digest
	if err := p.writeParts(ctx, tmp, k); err != nil {
		return false, errors.Join(err, durable.RemoveAll(p.fs, tmp))
	}
	if err := durable.RemoveAll(p.fs, dir); err != nil { // damaged
		return false, err
	}
	return true, durable.Rename(p.fs, tmp, dir)
}

func (p *Partition) writeParts(ctx context.Context, dir string, k kernel) error {
	if err := durable.MkdirAll(p.fs, dir, 0o755); err != nil {
		return err
	}
	h := sha256.New()
	for _, part := range k.parts {
		if _, err := part.content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		content := io.TeeReader(&cancelReader{ctx, part.content}, h)
		if err := p.writePart(dir+"/"+part.name, content); err != nil {
			return err
		}
	}
	if hex.EncodeToString(h.Sum(nil)) != k.digest {
		return errors.New("kernel or initramfs changed while it was read")
	}
	return p.fs.Sync(dir)
}

func (p *Partition) writePart(name string, content io.Reader) error {
	f, err := p.fs.Create(name, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// verifyKernel says whether the kernel is there, and whole.
func (p *Partition) verifyKernel(ctx context.Context, digest string) (bool, error) {
	h := sha256.New()
	for _, name := range []string{linuxFile, initrdFile} {
		path := kernelsDir + "/" + digest + "/" + name
		if !p.isFile(path) {
			return false, nil
		}
		f, err := p.root.Open(path)
		if err != nil {
			return false, err
		}
		_, err = io.Copy(h, &cancelReader{ctx, f})
		f.Close()
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil {
			return false, nil // unreadable: to be written again
		}
	}
	return hex.EncodeToString(h.Sum(nil)) == digest, nil
}

// removeUnfinished removes what a crash left of a kernel being written.
func (p *Partition) removeUnfinished() error {
	list, err := p.readDir(kernelsDir)
	if err != nil {
		return err
	}
	for _, d := range list {
		if isUnfinished(d) {
			if err := durable.RemoveAll(p.fs, kernelsDir+"/"+d.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func isUnfinished(d fs.DirEntry) bool {
	return len(d.Name()) > len(tmpPrefix) && d.Name()[:len(tmpPrefix)] == tmpPrefix
}

// A cancelReader reads until its context is cancelled.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
