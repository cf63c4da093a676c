package superblock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// bootSectorSize is how much of a FAT file system tells what it is.
const bootSectorSize = 512

// FATID returns the number of a FAT file system as blkid(8) and GRUB have it, such as
// 1A2B-3C4D.
func FATID(device io.ReaderAt) (string, error) {
	head, err := readUpTo(device, 0, bootSectorSize)
	if err != nil {
		return "", err
	}
	// FAT32 has no entries in a root directory of a fixed size, and its fields further back.
	signature, number := int64(38), int64(39)
	if at(head, 17, 2) == "\x00\x00" {
		signature, number = 66, 67
	}
	if s := at(head, signature, 1); at(head, 510, 2) != "\x55\xaa" || s != "\x28" && s != "\x29" {
		return "", errors.New("it is not a FAT file system with a number")
	}
	id := binary.LittleEndian.Uint32(head[number:])
	return fmt.Sprintf("%04X-%04X", id>>16, id&0xffff), nil
}
