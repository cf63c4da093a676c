package boot

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
)

// Where bootc has kernels: DIR/bootc_composefs-NAME/{vmlinuz,initrd}. It reads every
// entry on the partition, and none if one names a kernel elsewhere. So on a machine that
// it installed ours are there as well. Where it belongs to another system on the
// partition, its directory is that system's, and stays as it is.
const (
	bootcDir    = "EFI/Linux"
	bootcPrefix = "bootc_composefs-"

	// bootcStaged is where it keeps entries for the next shutdown.
	bootcStaged = "loader/entries.staged"
)

// besideBootc reports whether bootc reads the machine's entries: one of them names a kernel
// where it has them.
func besideBootc(files []EntryFile) bool {
	return slices.ContainsFunc(files, func(f EntryFile) bool {
		dir := path.Dir(Relative(f.Entry.Linux))
		return !f.Foreign && strings.EqualFold(path.Dir(dir), bootcDir) && strings.HasPrefix(path.Base(dir), bootcPrefix)
	})
}

// placeFor returns the directory for a kernel with its initramfs: beside bootc's, or the one in which
// bootc has put the same already. It is "" where ours are.
func (p *Partition) placeFor(ctx context.Context, k kernel) (string, error) {
	files, err := p.Entries()
	if err != nil || k.parts[0].name != linuxFile || !besideBootc(files) {
		return "", err
	}
	names, err := p.readDir(bootcDir)
	if err != nil {
		return "", err
	}
	own := bootcDir + "/" + bootcPrefix + k.digest
	for _, name := range names {
		k.at = path.Join(bootcDir, name)
		if !strings.HasPrefix(name, bootcPrefix) || k.at == own || !p.hasSizes(k) {
			continue
		}
		if same, err := p.verifyKernel(ctx, k); same || err != nil {
			return k.at, err
		}
	}
	return own, nil
}

// hasSizes reports whether files of the right sizes are where the kernel would be, which
// is cheap to find out.
func (p *Partition) hasSizes(k kernel) bool {
	return !slices.ContainsFunc(k.parts, func(part part) bool {
		info, err := p.root.Lstat(k.dir() + "/" + part.name)
		return err != nil || !info.Mode().IsRegular() || info.Size() != part.size
	})
}

// KernelDir returns the directory of the kernel with a digest, which WriteKernel has
// written or found.
func (p *Partition) KernelDir(digest string) string {
	if dir, ok := p.places[digest]; ok {
		return dir
	}
	return kernelsDir + "/" + digest
}

// stagedByBootc returns the entries that bootc publishes at the next shutdown.
func (p *Partition) stagedByBootc() ([]EntryFile, error) {
	names, err := p.readDir(bootcStaged)
	if err != nil {
		return nil, err
	}
	var files []EntryFile
	for _, name := range names {
		f := EntryFile{File: name, Staged: true}
		if f.raw, f.Err = p.readSmall(bootcStaged + "/" + name); f.Err == nil {
			f.Entry, f.Err = bootentry.Parse(bytes.Clone(f.raw))
		} else {
			f.unread = !errors.Is(f.Err, bounded.ErrNotRegular)
		}
		files = append(files, f)
	}
	return files, nil
}
