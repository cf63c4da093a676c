package record

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
)

const mib = 1 << 20

// partitions says where the partitions are, on a disk of diskSize.
func partitions(fstype string) (areas []replay.Area, diskSize int64) {
	root := int64(40)
	if fstype == "btrfs" {
		root = 120 // it makes none that is smaller
	}
	sizes := [facts.Places]int64{facts.ESP: 36, facts.Root: root, facts.Marks: 1}
	at := int64(1)
	for _, size := range sizes {
		areas = append(areas, replay.Area{Offset: at * mib, Size: size * mib})
		at += size
	}
	return areas, (at + 1) * mib
}

// superblock says where a root file system has its superblock, which has several
// sectors with one checksum: with some of them alone it cannot be mounted, whoever
// writes to it, and only its own fsck helps (e2fsck has copies).
func superblock(fstype string, root replay.Area) replay.Area {
	if fstype == "btrfs" {
		return replay.Area{Offset: root.Offset + 64<<10, Size: 4096}
	}
	return replay.Area{Offset: root.Offset + 1024, Size: 1024}
}

// makeDisk makes a disk with the partitions, with file systems that are empty.
// cluster is the size of the boot partition's clusters, in sectors.
func makeDisk(ctx context.Context, file, fstype string, cluster int) error {
	areas, size := partitions(fstype)
	if err := create(file, size); err != nil {
		return err
	}
	var table strings.Builder
	table.WriteString("label: gpt\n")
	for i, kind := range []string{"C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"} {
		fmt.Fprintf(&table, "start=%d, size=%d, type=%s\n", areas[i].Offset/512, areas[i].Size/512, kind)
	}
	if _, err := runInput(ctx, table.String(), "sfdisk", "--quiet", file); err != nil {
		return err
	}
	esp, root := file+".esp", file+".root"
	defer os.Remove(esp)
	defer os.Remove(root)
	if err := createUsed(esp, areas[facts.ESP].Size); err != nil {
		return err
	}
	if err := create(root, areas[facts.Root].Size); err != nil {
		return err
	}
	if _, err := run(ctx, "mkfs.vfat", "-F", "32", "-s", strconv.Itoa(cluster), "-i", "70776374", esp); err != nil {
		return err
	}
	// Of what newer mkfs.ext4 turn on, what has a part in recovery.
	mkfs := []string{"mkfs.ext4", "-q", "-b", "4096", "-O", "verity,orphan_file,metadata_csum_seed", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", root}
	if fstype == "btrfs" {
		mkfs = []string{"mkfs.btrfs", "-q", "--nodiscard", "-m", "single", "-d", "single", root}
	}
	if _, err := run(ctx, mkfs[0], mkfs[1:]...); err != nil {
		return err
	}
	for part, from := range map[int]string{facts.ESP: esp, facts.Root: root} {
		if err := copyInto(file, from, areas[part].Offset); err != nil {
			return err
		}
	}
	return nil
}

// createUsed makes a file for a file system on a medium that had another one before.
// mkfs.vfat leaves that in the clusters that are free, and so does the kernel until
// what is written to them arrives: what got its size or its name too early is then no
// run of zeros, which no loader minds, but a boot entry.
func createUsed(file string, size int64) error {
	if err := create(file, size); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const used = 4 * mib // more than is ever written
	if _, err := f.WriteString(strings.Repeat(staleEntry(), used/replay.SectorSize)); err != nil {
		return err
	}
	return f.Close()
}

// staleEntry returns a boot entry that is as long as a sector, and boots nothing.
func staleEntry() string {
	entry := "title Stale\nsort-key sysupdate-image\nlinux /stale/vmlinuz\ninitrd /stale/initrd\noptions rw composefs=" + strings.Repeat("0", 128) + "\n#"
	return entry + strings.Repeat("-", replay.SectorSize-len(entry)-1) + "\n"
}

func create(file string, size int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// copyInto writes the content of a file into another at an offset, leaving holes.
func copyInto(file, from string, offset int64) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const block = 64 << 10
	zero := string(make([]byte, block))
	for at := 0; at < len(data); at += block {
		part := data[at:min(at+block, len(data))]
		if string(part) == zero[:len(part)] {
			continue
		}
		if _, err := f.WriteAt(part, offset+int64(at)); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeDisk writes a file that QEMU takes for a disk: of whole blocks.
func writeDisk(file string, data []byte) error {
	for len(data)%4096 != 0 {
		data = append(data, ' ')
	}
	return os.WriteFile(filepath.Clean(file), data, 0o644)
}
