package boot

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
)

// A NoRoomError says that a kernel does not fit on the boot partition.
type NoRoomError struct {
	Partition  string
	Need, Free int64 // bytes
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("no room on %s: %s needed, %s free", e.Partition, mebibytes(e.Need, true), mebibytes(e.Free, false))
}

// mebibytes returns a size for people, rounded so that what is needed is never
// said to be there when it is not.
func mebibytes(n int64, up bool) string {
	tenths := n * 10 >> 20
	if up && tenths<<20 < n*10 {
		tenths++
	}
	return fmt.Sprintf("%d.%d MiB", tenths/10, tenths%10)
}

// blocksBesides is how many blocks a new deployment takes besides its kernel and
// initramfs, at most: the kernel's directory, growth of the two directories
// above the kernel and above the entry, and the entry.
const blocksBesides = 5

// Room returns how many bytes a deployment takes on the partition at most, while
// its kernel and initramfs of the given sizes are written, and how many there
// are.
func (p *Partition) Room(linux, initrd int64) (need, free int64, err error) {
	free, block, err := p.space()
	if err != nil {
		return 0, 0, fmt.Errorf("cannot tell the room on %s: %w", p, err)
	}
	for _, size := range []int64{linux, initrd, blocksBesides * block} {
		need += (size + block - 1) / block * block
	}
	return need, free, nil
}

// makeRoom removes kernels that no entry names, and then prunes the boot files
// of superseded deployments until the kernel fits. If it would not fit even so,
// nothing is pruned that makes no difference in the end: the room is looked at
// after each deployment.
func (p *Partition) makeRoom(k kernel, superseded []deployment.ID) error {
	for i := -1; ; i++ {
		need, free, err := p.Room(k.parts[0].size, k.parts[1].size)
		if err != nil {
			return err
		}
		if need <= free {
			return nil
		}
		var gone []deployment.ID // at first none: only what belongs to nobody
		switch {
		case i == len(superseded):
			return &NoRoomError{Partition: p.String(), Need: need, Free: free}
		case i >= 0:
			gone = superseded[i : i+1]
		}
		if err := p.remove(gone); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
	}
}
