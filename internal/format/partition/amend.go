package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

// A Disk is what a table is read from and written to.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// A Change is what Amend changes of a partition.
type Change struct {
	Label      string
	Attributes uint64
}

// labelUnits is how many UTF-16 units a label may have.
const labelUnits = 36

// Amend gives partitions of a GPT other labels and attributes, by their numbers. The backup is
// changed and synced before the primary table, so that one of the two is whole at any time.
func Amend(disk Disk, sector, size int64, changes map[int]Change) error {
	if sector < 512 || size < 2*sector {
		return errNotGPT
	}
	for _, at := range []int64{size/sector - 1, 1} {
		if err := amend(disk, sector, at, changes); err != nil {
			return fmt.Errorf("cannot change the partition table: %w", err)
		}
		if err := disk.Sync(); err != nil {
			return fmt.Errorf("cannot change the partition table: %w", err)
		}
	}
	return nil
}

// amend changes the table whose header is in the sector with a number.
func amend(disk Disk, sector, at int64, changes map[int]Change) error {
	g, err := loadGPT(disk, sector, at)
	if err != nil {
		return err
	}
	for number, change := range changes {
		if number < 1 || number*entrySize > len(g.entries) {
			return fmt.Errorf("there is no partition %d", number)
		}
		units := utf16.Encode([]rune(change.Label))
		if len(units) > labelUnits {
			return fmt.Errorf("label %q is too long", change.Label)
		}
		binary.LittleEndian.PutUint64(g.entries[(number-1)*entrySize+48:], change.Attributes)
		field := g.entries[(number-1)*entrySize+56 : number*entrySize]
		clear(field)
		for i, u := range units {
			binary.LittleEndian.PutUint16(field[2*i:], u)
		}
	}
	binary.LittleEndian.PutUint32(g.header[88:], crc32.ChecksumIEEE(g.entries))
	clear(g.header[16:20])
	binary.LittleEndian.PutUint32(g.header[16:], crc32.ChecksumIEEE(g.header))
	if _, err := disk.WriteAt(g.entries, g.start); err != nil {
		return err
	}
	// A disk takes whole sectors only.
	block := make([]byte, sector)
	if err := readFull(disk, block, at*sector); err != nil {
		return err
	}
	copy(block, g.header)
	_, err = disk.WriteAt(block, at*sector)
	return err
}

// ErrNoBackup says that the primary copy of a GPT is whole, and the backup is not where it
// belongs, at the end of the disk. Firmware and Linux are content with the primary.
var ErrNoBackup = errors.New("the backup partition table is damaged, or not at the end of the disk")

// Damaged says what is wrong with one of the two copies of a GPT, nil if both are whole.
func Damaged(disk io.ReaderAt, sector, size int64) error {
	if _, err := loadGPT(disk, sector, 1); errors.Is(err, errNotGPT) {
		return errors.New("the primary partition table is damaged or missing")
	} else if err != nil {
		return err
	}
	_, err := loadGPT(disk, sector, size/sector-1)
	if errors.Is(err, errNotGPT) {
		return ErrNoBackup
	}
	return err
}
