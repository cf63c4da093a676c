// Package partition reads partition tables: of GPT, as the UEFI specification describes
// it, and of MBR. It hides where they have what identifies a partition, and the backup
// that a GPT has at the end of the disk.
package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"unicode/utf16"
)

// A Table is a partition table. The zero value is that of a disk without one.
type Table struct {
	partitions map[int]Partition // of a GPT, by their numbers
	signature  uint32            // of the disk, in an MBR
}

// A Partition is what a table says about a partition.
type Partition struct {
	Type       string // GUID of a GPT, as text in lower case
	UUID       string // as the kernel takes it for PARTUUID=, in lower case
	Label      string
	Attributes uint64 // of a GPT, such as discoverable.NoAuto
	Start      int64  // of a GPT: bytes from the beginning of the disk
	Size       int64  // of a GPT, in bytes
}

// Partition returns the partition with a number, as the kernel counts them from 1.
func (t Table) Partition(number int) (Partition, bool) {
	if t.signature != 0 {
		return Partition{UUID: fmt.Sprintf("%08x-%02x", t.signature, number)}, number > 0
	}
	p, ok := t.partitions[number]
	return p, ok
}

// Numbers returns the numbers of the partitions of a GPT, in their order.
func (t Table) Numbers() []int { return slices.Sorted(maps.Keys(t.partitions)) }

// IsGPT reports whether the table is a GPT.
func (t Table) IsGPT() bool { return t.partitions != nil }

// IsMBR reports whether the table is an MBR without a GPT.
func (t Table) IsMBR() bool { return t.signature != 0 }

// Read reads the table of a disk with sectors and a size in bytes. A disk without a table
// that is whole is no error.
func Read(disk io.ReaderAt, sector, size int64) (Table, error) {
	if sector < 512 || size < 2*sector {
		return Table{}, nil
	}
	first := make([]byte, 512)
	if _, err := disk.ReadAt(first, 0); err != nil && !errors.Is(err, io.EOF) {
		return Table{}, err
	}
	if first[510] != 0x55 || first[511] != 0xaa {
		return Table{}, nil // the kernel reads a GPT only behind its MBR
	}
	for _, at := range []int64{1, size/sector - 1} {
		t, err := readGPT(disk, sector, at)
		if err == nil || !errors.Is(err, errNotGPT) {
			return t, err
		}
	}
	return Table{signature: binary.LittleEndian.Uint32(first[440:])}, nil
}

// errNotGPT reports that there is no GPT whose checksums are right.
var errNotGPT = errors.New("not a GPT")

const (
	headerSize = 92
	entrySize  = 128
	mostBytes  = 1 << 20 // of entries; the usual table has 16 KiB
)

// A gpt is one of the two copies of a table.
type gpt struct {
	header, entries []byte
	start           int64 // of the entries, in bytes
}

// readGPT reads the table whose header is in the sector with a number.
func readGPT(disk io.ReaderAt, sector, at int64) (Table, error) {
	g, err := loadGPT(disk, sector, at)
	if err != nil {
		return Table{}, err
	}
	return parseEntries(g.entries, sector), nil
}

// loadGPT reads a copy whose checksums are right.
func loadGPT(disk io.ReaderAt, sector, at int64) (gpt, error) {
	header := make([]byte, headerSize)
	if err := readFull(disk, header, at*sector); err != nil {
		return gpt{}, err
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(header[i:]) }
	sum := u32(16)
	own := binary.LittleEndian.Uint64(header[24:])
	if string(header[:8]) != "EFI PART" || u32(12) != headerSize || own != uint64(at) {
		return gpt{}, errNotGPT
	}
	copy(header[16:20], make([]byte, 4)) // the sum is computed without itself
	start, count, each := binary.LittleEndian.Uint64(header[72:]), int64(u32(80)), int64(u32(84))
	if crc32.ChecksumIEEE(header) != sum || each != entrySize || count*each > mostBytes || start > 1<<53/uint64(sector) {
		return gpt{}, errNotGPT
	}
	entries := make([]byte, count*each)
	if err := readFull(disk, entries, int64(start)*sector); err != nil {
		return gpt{}, err
	}
	if crc32.ChecksumIEEE(entries) != u32(88) {
		return gpt{}, errNotGPT
	}
	return gpt{header, entries, int64(start) * sector}, nil
}

// readFull reads all of p. What is beyond the end of the disk is no GPT.
func readFull(disk io.ReaderAt, p []byte, at int64) error {
	n, err := disk.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return errNotGPT
	}
	return err
}

func parseEntries(entries []byte, sector int64) Table {
	t := Table{partitions: make(map[int]Partition)}
	unused := make([]byte, 16)
	for n := 1; len(entries) >= entrySize; n++ {
		e := entries[:entrySize]
		entries = entries[entrySize:]
		if bytes.Equal(e[:16], unused) {
			continue
		}
		first, last := binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
		t.partitions[n] = Partition{
			Type: guid(e[:16]), UUID: guid(e[16:32]),
			Attributes: binary.LittleEndian.Uint64(e[48:]), Label: label(e[56:]),
			Start: bytesOf(first, sector), Size: bytesOf(last-first+1, sector),
		}
	}
	return t
}

// bytesOf returns how many bytes some sectors have; -1 for more than a disk can have.
func bytesOf(sectors uint64, sector int64) int64 {
	if sectors > 1<<62/uint64(sector) {
		return -1
	}
	return int64(sectors) * sector
}

// guid returns a GUID as text. Its first three parts are in little endian.
func guid(b []byte) string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b),
		binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
}

// label decodes UTF-16, up to the first zero.
func label(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}
