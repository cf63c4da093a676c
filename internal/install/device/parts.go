package device

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A Part is a partition that programs can open by its path, until it is closed.
type Part struct {
	Path string
	loop *os.File // nil for a block device of the kernel's
}

// Close lets go of the partition. A loop device is gone once nothing else has it open.
func (p Part) Close() error {
	if p.loop == nil {
		return nil
	}
	return p.loop.Close()
}

// Files returns what keeps the path that of this partition as long as it is open.
func (p Part) Files() []*os.File {
	if p.loop == nil {
		return nil
	}
	return []*os.File{p.loop}
}

// nodeTime is how long the kernel and udev may take to show a partition.
const nodeTime = 10 * time.Second

// Part returns the partition with a number. Where the kernel shows no partitions, as of a
// file, it is a loop device.
func (d *Disk) Part(ctx context.Context, number int, p partition.Partition, writable bool) (Part, error) {
	if p.Start <= 0 || p.Size <= 0 || p.Start+p.Size > d.Size {
		return Part{}, fmt.Errorf("partition %d of %s is not on the disk", number, d)
	}
	if d.IsBlock() {
		node, err := d.node(ctx, number, p)
		if node != "" || err != nil {
			return Part{Path: node}, err
		}
	}
	loop, err := sys.LoopRange(d.file, p.Start, p.Size, d.Sector, writable)
	if err != nil {
		return Part{}, fmt.Errorf("cannot reach partition %d of %s: %w", number, d, err)
	}
	return Part{loop.Name(), loop}, nil
}

// node returns the path of a partition's block device, "" if the kernel shows none for the
// disk. It must be where the table has it: the kernel may not have read the new one.
func (d *Disk) node(ctx context.Context, number int, p partition.Partition) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	for {
		shown := d.parts()
		for _, name := range shown {
			if d.text(name, "partition") != strconv.Itoa(number) {
				continue
			}
			if d.text(name, "start") != fmt.Sprint(p.Start/512) || d.text(name, "size") != fmt.Sprint(p.Size/512) {
				return "", fmt.Errorf("the kernel still has the old partition table of %s; reboot, and try again", d)
			}
			if _, _, err := sys.BlockDevice("/dev/" + name); err == nil {
				return "/dev/" + name, nil
			}
		}
		if len(shown) == 0 {
			return "", nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("there is no block device for partition %d of %s", number, d)
		}
	}
}
