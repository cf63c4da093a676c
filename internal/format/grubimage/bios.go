package grubimage

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// BootCode is how many bytes of the first sector of a disk are the BIOS's program; after them
// is the partition table.
const BootCode = 440

// MaxCore is how many bytes a core image may have.
const MaxCore = 0xffff * sector

const (
	sector = 512
	// In boot.img: the first sector of the core, and the drive.
	kernelSector = 0x5c
	bootDrive    = 0x64
	anyDrive     = 0xff // the one that the BIOS has booted from
	driveCheck   = 0x66 // a jump by which floppies keep the drive that the BIOS names
	nop          = 0x90
	// At the end of the core's first sector: where the rest of it is. Each has a first sector
	// (8 bytes), how many there are (2), and where they go (2).
	blockList   = sector - 12
	coreSegment = 0x820
	minimumSize = 2 * sector
)

// Boot returns the program for the first sector of a disk, whose core begins at a sector. img
// is the file boot.img.
func Boot(img []byte, at int64) ([]byte, error) {
	if len(img) != sector || img[sector-2] != 0x55 || img[sector-1] != 0xaa {
		return nil, errors.New("boot.img is not a boot sector")
	}
	code := append([]byte(nil), img[:BootCode]...)
	binary.LittleEndian.PutUint64(code[kernelSector:], uint64(at))
	code[bootDrive] = anyDrive
	code[driveCheck], code[driveCheck+1] = nop, nop
	return code, nil
}

// Core returns a core image as it is on the disk from a sector on.
func Core(img []byte, at int64) ([]byte, error) {
	if len(img) < minimumSize || len(img) > MaxCore {
		return nil, fmt.Errorf("core.img has %d bytes, which cannot be", len(img))
	}
	core := make([]byte, (len(img)+sector-1)/sector*sector)
	copy(core, img)
	le := binary.LittleEndian
	if le.Uint16(core[blockList+10:]) != coreSegment {
		return nil, errors.New("core.img does not begin as one for a disk does")
	}
	le.PutUint64(core[blockList:], uint64(at)+1)
	le.PutUint16(core[blockList+8:], uint16(len(core)/sector-1))
	return core, nil
}

// CheckBoot says why a disk does not start a core: of its first bytes, and of the partition that
// begins at a sector.
func CheckBoot(first, core []byte, at int64) error {
	le := binary.LittleEndian
	switch {
	case len(first) < BootCode || len(core) < minimumSize:
		return errors.New("the disk is too small")
	case first[0] != 0xeb || le.Uint64(first[kernelSector:]) != uint64(at):
		return fmt.Errorf("the disk's first sector does not lead to sector %d, where its partition begins", at)
	case le.Uint16(core[blockList+10:]) != coreSegment || le.Uint64(core[blockList:]) != uint64(at)+1:
		return errors.New("there is no core image in its partition")
	case int64(le.Uint16(core[blockList+8:]))*sector > int64(len(core)-sector):
		return errors.New("its core image goes beyond its partition")
	}
	return nil
}
