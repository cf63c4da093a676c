package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// The files of a kernel directory, in the order in which they are hashed.
const (
	linuxFile  = "vmlinuz"
	initrdFile = "initrd"
)

// A kernel is what an entry boots: the files of one directory, which will be
// written: a kernel and its initramfs, or a unified kernel image.
type kernel struct {
	digest string // SHA-256 of its parts, one after the other, in hexadecimal
	parts  []part
	whole  bool   // all of it is there already, and stays
	at     string // its directory, if that is not ours; see placeFor
}

// dir returns the kernel's directory.
func (k kernel) dir() string {
	if k.at != "" {
		return k.at
	}
	return kernelsDir + "/" + k.digest
}

type part struct {
	name    string // below the kernel's directory
	named   bool   // the name is hashed too, before the content
	content io.ReadSeeker
	size    int64
}

// WriteKernel puts a kernel and its initramfs on the partition, where
// deployments share them, and returns the SHA-256 digest of both together, by
// which NewEntry names them. What is there already is verified and used again
// (created is false), or written again if it is damaged. If WriteKernel returns
// nil, both survive a crash once StageEntry has staged the entry that names
// them; with an error, nothing is left behind.
//
// If there is not enough room, also for the entry, boot files of the superseded
// deployments are pruned first, one deployment after the other; the error is a
// *NoRoomError if that does not suffice or there are none.
func (p *Partition) WriteKernel(ctx context.Context, linux, initrd io.ReadSeeker, superseded ...deployment.ID) (digest string, created bool, err error) {
	return p.writeParts(ctx, kernelParts(linux, initrd, nil), superseded)
}

// WriteKernelWith is WriteKernel with further files in the kernel's directory, such as a
// device tree. The digest is of their names and contents too.
func (p *Partition) WriteKernelWith(
	ctx context.Context, linux, initrd io.ReadSeeker, further []File, superseded ...deployment.ID,
) (digest string, created bool, err error) {
	return p.writeParts(ctx, kernelParts(linux, initrd, further), superseded)
}

// IsInKernel reports whether a path in a boot entry is that of a file that was written
// with a kernel: it is in a directory of one, ours or bootc's.
func IsInKernel(name string) bool {
	name = Relative(name)
	for _, place := range kernelPlaces {
		below, ok := cutDir(name, place.dir)
		if ok && len(below) >= len(place.prefix) && strings.EqualFold(below[:len(place.prefix)], place.prefix) {
			return true
		}
	}
	return false
}

// cutDir returns what of a path is below a directory, as FAT compares names.
func cutDir(name, dir string) (below string, ok bool) {
	if len(name) > len(dir) && name[len(dir)] == '/' && strings.EqualFold(name[:len(dir)], dir) {
		return name[len(dir)+1:], true
	}
	return "", false
}

// KernelDigest returns the digest that WriteKernelWith would return.
func KernelDigest(ctx context.Context, linux, initrd io.ReadSeeker, further []File) (string, error) {
	k, err := newKernel(ctx, kernelParts(linux, initrd, further))
	if err != nil {
		return "", fmt.Errorf("cannot read kernel: %w", err)
	}
	return k.digest, nil
}

func kernelParts(linux, initrd io.ReadSeeker, further []File) []part {
	parts := []part{{name: linuxFile, content: linux}, {name: initrdFile, content: initrd}}
	for _, f := range further {
		parts = append(parts, part{name: f.Name, named: true, content: f.Content})
	}
	return parts
}

// writeParts writes a kernel of these parts.
func (p *Partition) writeParts(ctx context.Context, parts []part, superseded []deployment.ID) (digest string, created bool, err error) {
	k, err := newKernel(ctx, parts)
	if err != nil {
		return "", false, fmt.Errorf("cannot read kernel: %w", err)
	}
	if k.at, err = p.placeFor(ctx, k); err == nil {
		created, err = p.writeKernel(ctx, k, superseded)
	}
	if err != nil {
		return "", false, fmt.Errorf("cannot write kernel to %s: %w", p, p.explain(err))
	}
	if p.places == nil {
		p.places = make(map[string]string)
	}
	p.places[k.digest] = k.dir()
	return k.digest, created, nil
}

// newKernel finds out what the parts are.
func newKernel(ctx context.Context, parts []part) (kernel, error) {
	h := sha256.New()
	k := kernel{parts: parts}
	for i := range k.parts {
		part := &k.parts[i]
		if _, err := part.content.Seek(0, io.SeekStart); err != nil {
			return k, fmt.Errorf("%s: %w", part.name, err)
		}
		part.hashName(h)
		n, err := io.Copy(h, cancel.Reader(ctx, part.content))
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

func (p part) hashName(h hash.Hash) {
	if p.named {
		fmt.Fprintf(h, "%s\x00", p.name)
	}
}

func (p *Partition) writeKernel(ctx context.Context, k kernel, superseded []deployment.ID) (created bool, err error) {
	if k.whole, err = p.verifyKernel(ctx, k); err != nil {
		return false, err
	}
	if err := p.makeRoom(k, superseded); err != nil || k.whole {
		return false, err
	}
	dir := k.dir()
	inUse, err := p.inUse(dir)
	if err != nil {
		return false, err
	}
	if err := p.note(dir); err != nil {
		return false, err
	}
	if inUse {
		// The directory may be missing: an entry that cannot be read may name anything.
		if err := p.makeKernelDirs(dir, k); err != nil {
			return false, err
		}
		return true, p.replaceKernel(ctx, dir, k)
	}
	return true, p.writeUnnamed(ctx, dir, k)
}

// makeKernelDirs makes the directories of a kernel, unless they are there.
func (p *Partition) makeKernelDirs(dir string, k kernel) error {
	found, err := p.exists(dir)
	if err != nil || found {
		return err
	}
	return p.moveDirs(dir, k.dirs())
}

// inUse reports whether an entry boots something in a directory, or another machine may be
// about to write one that does.
func (p *Partition) inUse(dir string) (bool, error) {
	found, err := p.exists(dir)
	if err != nil {
		return false, err
	}
	if found && !p.wrote(dir) {
		return true, nil
	}
	files, err := p.Entries()
	return anyNames(files, dir), err
}

// writeUnnamed writes a kernel that no entry refers to directly to its place; a crash may
// have left files there. The files survive a crash after sync. Until then no entry refers
// to them, and leftovers are compared with their digest before they are used.
func (p *Partition) writeUnnamed(ctx context.Context, dir string, k kernel) error {
	found, err := p.exists(dir)
	if err == nil && found {
		err = p.removeAll([]string{dir})
	}
	if err != nil {
		return err
	}
	err = p.moveDirs(dir, k.dirs())
	if err == nil {
		err = p.writeFiles(ctx, k, func(name string, content io.Reader) error {
			return p.writeNew(dir+"/"+name, content)
		})
	}
	if err != nil {
		return errors.Join(err, p.removeAll([]string{dir}))
	}
	return nil
}

// replaceKernel writes a damaged kernel again and replaces each file atomically: another
// deployment boots it, so none of its files may ever be missing.
func (p *Partition) replaceKernel(ctx context.Context, dir string, k kernel) error {
	for _, below := range k.dirs() {
		if err := durable.MkdirAll(p.fs, path.Join(dir, below), 0o755); err != nil {
			return err
		}
	}
	return p.writeFiles(ctx, k, func(name string, content io.Reader) error {
		return durable.Write(p.fs, dir+"/"+name, 0o644, func(w io.Writer) error {
			_, err := io.Copy(w, content)
			return err
		})
	})
}

// dirs returns the directories that parts are in, below the kernel's own.
func (k kernel) dirs() (dirs []string) {
	for _, part := range k.parts {
		if dir := path.Dir(part.name); dir != "." && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// writeFiles has write write the parts.
func (p *Partition) writeFiles(ctx context.Context, k kernel, write func(name string, content io.Reader) error) error {
	h := sha256.New()
	for _, part := range k.parts {
		if _, err := part.content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		part.hashName(h)
		if err := write(part.name, io.TeeReader(cancel.Reader(ctx, part.content), h)); err != nil {
			return err
		}
	}
	if hex.EncodeToString(h.Sum(nil)) != k.digest {
		return errors.New("kernel or initramfs changed while it was read")
	}
	return nil
}

// verifyKernel reports whether the kernel of these parts is there, and whole.
func (p *Partition) verifyKernel(ctx context.Context, k kernel) (bool, error) {
	h := sha256.New()
	for _, part := range k.parts {
		path := k.dir() + "/" + part.name
		if found, err := p.isFile(path); !found || err != nil {
			return false, err
		}
		f, err := p.root.Open(path)
		if err != nil {
			return false, err
		}
		part.hashName(h)
		_, err = io.Copy(h, cancel.Reader(ctx, f))
		f.Close()
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil {
			return false, nil // unreadable: to be written again
		}
	}
	return hex.EncodeToString(h.Sum(nil)) == k.digest, nil
}
