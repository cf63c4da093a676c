package boot

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A NoRoomError says that a kernel does not fit on the boot partition.
type NoRoomError struct {
	Partition  string
	Need, Free int64  // bytes
	Besides    string // what else takes room there, "" for nothing
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("no room on %s: %s needed, %s free%s", e.Partition, mebibytes(e.Need, true), mebibytes(e.Free, false), e.Besides)
}

// A FullError says that the boot partition, and no other file system, was full when
// something was written.
type FullError struct {
	Partition string
	Err       error
	Besides   string // as in NoRoomError
}

func (e *FullError) Error() string {
	return fmt.Sprintf("no room on %s: %v%s", e.Partition, e.Err, e.Besides)
}

func (e *FullError) Unwrap() error { return e.Err }

// mebibytes returns a size for people, rounded so that what is needed is never
// said to be there when it is not.
func mebibytes(n int64, up bool) string {
	tenths := n * 10 >> 20
	if up && tenths<<20 < n*10 {
		tenths++
	}
	return fmt.Sprintf("%d.%d MiB", tenths/10, tenths%10)
}

// blocksBesides is how many blocks a new deployment takes besides the files that
// it boots, at most: the kernel's directory, growth of the two directories
// above the kernel and above the entry, the entry, and the copy that publishes it.
const blocksBesides = 6

// Room returns how many bytes a deployment takes on the partition at most, while
// the files that it boots, of the given sizes, are written, and how many there
// are.
func (p *Partition) Room(sizes ...int64) (need, free int64, err error) {
	free, block, err := p.space()
	if err != nil {
		return 0, 0, fmt.Errorf("cannot tell the room on %s: %w", p, err)
	}
	if need, err = p.roomForDirs(block); err != nil {
		return 0, 0, fmt.Errorf("cannot tell the room on %s: %w", p, err)
	}
	for _, size := range append(sizes, blocksBesides*block) {
		need += (size + block - 1) / block * block
	}
	return need, free, nil
}

// SharesRoom reports whether the partition is a directory in the file system that dir is
// in, not a separate one.
func (p *Partition) SharesRoom(dir *os.File) bool {
	ours, err := sys.Statx(p.dir, "")
	theirs, dirErr := sys.Statx(dir, "")
	return err == nil && dirErr == nil && ours.DevMajor == theirs.DevMajor && ours.DevMinor == theirs.DevMinor
}

// makeRoom removes kernels that no entry names, and then prunes the boot files
// of superseded deployments until the kernel and an entry for it fit, one deployment
// after the other. If they would not fit without all of these, none is pruned.
func (p *Partition) makeRoom(k kernel, superseded []deployment.ID) error {
	sizes := k.sizes()
	need, free, err := p.Room(sizes...)
	if err != nil || need <= free {
		return err
	}
	if err := p.pruneFor(k, nil); err != nil { // what belongs to nobody
		return err
	}
	if need, free, err = p.Room(sizes...); err != nil {
		return err
	}
	gain, err := p.gain(k, superseded)
	if err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	for i := 0; need > free; i++ {
		if i == len(superseded) || need > free+gain && i == 0 {
			return &NoRoomError{Partition: p.String(), Need: need, Free: free, Besides: p.besides()}
		}
		if err := p.pruneFor(k, superseded[i:i+1]); err != nil {
			return err
		}
		if need, free, err = p.Room(sizes...); err != nil {
			return err
		}
	}
	return nil
}

// removalFor returns what makes room for a kernel: the boot files of deployments,
// and what belongs to none, but not the kernel itself where it is there already.
func (p *Partition) removalFor(k kernel, gone []deployment.ID) (Removal, error) {
	r, err := p.removal(gone, func(EntryFile) bool { return false })
	r.stays = func(id string) bool { return !anyBegins(gone, id) }
	r.Kernels = slices.DeleteFunc(r.Kernels, func(name string) bool { return k.whole && name == k.dir() })
	return r, err
}

// pruneFor prunes the boot files of deployments, and of what belongs to none.
func (p *Partition) pruneFor(k kernel, gone []deployment.ID) error {
	r, err := p.removalFor(k, gone)
	if err == nil {
		err = p.Prune(r)
	}
	if err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	return nil
}

// gain returns how many bytes there are at most to be had from deployments: the
// kernels that no other boots, and a block of each entry.
func (p *Partition) gain(k kernel, gone []deployment.ID) (size int64, err error) {
	r, err := p.removalFor(k, gone)
	if err != nil {
		return 0, err
	}
	_, block, err := p.space()
	if err != nil {
		return 0, err
	}
	for _, name := range r.Paths() {
		n, err := p.sizeOf(name, block)
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

// sizeOf returns what a file takes, or a directory with all that is below it.
func (p *Partition) sizeOf(name string, block int64) (size int64, err error) {
	err = fs.WalkDir(p.root.FS(), name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size += max(1, (info.Size()+block-1)/block) * block
		return nil
	})
	return size, err
}

// sizes returns the sizes of the kernel's files that will be written. The directory of those that have
// one for themselves counts as a file, of as many blocks as there can be.
func (k kernel) sizes() []int64 {
	if k.whole {
		return nil
	}
	var sizes []int64
	below := int64(0)
	for _, part := range k.parts {
		sizes = append(sizes, part.size)
		if strings.ContainsRune(part.name, '/') {
			below += longestDirEntry
		}
	}
	if below > 0 {
		sizes = append(sizes, below+longestDirEntry)
	}
	return sizes
}

// longestDirEntry is what a FAT directory takes for one name, in bytes.
const longestDirEntry = 21 * 32
